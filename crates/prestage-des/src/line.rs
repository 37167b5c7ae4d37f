//! A waiting line: classes in order, FIFO inside a class, with the statistics of waits.
//!
//! Both kinds of resource stand behind one. Jobs keep a ticket, their order of request
//! over all classes, so that a job that is promoted, or comes back after it was
//! preempted, stands by its seniority.
//!
//! Invariant: the integral of the length equals the sum of all waits to the microsecond
//! (Little's law on a sample path). Must not know servers.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::areas::CountArea;
use crate::time::SimTime;

/// How long the jobs of one class waited before they started.
///
/// A job counts in the class from which it started; one that started at once counts
/// with a wait of zero; one that was withdrawn does not count. A job that was preempted
/// counts again when it goes on, with the wait since it was preempted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitStatistics {
    /// Jobs that started.
    pub count: u64,
    /// Jobs among them that had to wait for a server.
    pub delayed_count: u64,
    /// The sum of their waits.
    pub sum: SimTime,
    /// The longest of their waits.
    pub max: SimTime,
}

impl WaitStatistics {
    /// The mean wait in seconds; 0 before the first start.
    pub fn mean_secs(&self) -> f64 {
        if self.count == 0 {
            0.0
        } else {
            self.sum.as_secs_f64() / self.count as f64
        }
    }

    #[inline]
    fn add(&mut self, wait: SimTime) {
        self.count += 1;
        self.delayed_count += u64::from(wait > SimTime::ZERO);
        self.sum += wait;
        self.max = self.max.max(wait);
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.delayed_count += other.delayed_count;
        self.sum += other.sum;
        self.max = self.max.max(other.max);
    }
}

/// A job in line.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Waiting<J> {
    pub job: J,
    /// Order of request over all classes.
    pub ticket: u64,
    pub since: SimTime,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Class<J> {
    class: u8,
    /// Ascending by ticket.
    waiting: VecDeque<Waiting<J>>,
    waits: WaitStatistics,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Line<J> {
    start: SimTime,
    last: SimTime,
    /// Ascending by class; a class appears with its first request and stays.
    classes: Vec<Class<J>>,
    length: CountArea,
    /// What the jobs that left had waited since `start`, by whatever exit.
    waited: i64,
    ticket_next: u64,
}

impl<J: Copy> Line<J> {
    pub fn starting_at(now: SimTime) -> Self {
        Self {
            start: now,
            last: now,
            classes: Vec::new(),
            length: CountArea::new(0),
            waited: 0,
            ticket_next: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.length.count()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Moves the clock of the line; returns the time since the start of statistics.
    #[inline]
    pub fn advance(&mut self, now: SimTime) -> SimTime {
        assert!(
            now >= self.last,
            "time ran backwards: {now} < {}",
            self.last
        );
        self.last = now;
        now - self.start
    }

    /// The time since the start of statistics, for who only looks.
    pub fn since_start(&self, now: SimTime) -> SimTime {
        assert!(
            now >= self.last,
            "time ran backwards: {now} < {}",
            self.last
        );
        now - self.start
    }

    /// The place in the order of requests for a job that asks now.
    #[inline]
    pub fn ticket(&mut self) -> u64 {
        self.ticket_next += 1;
        self.ticket_next - 1
    }

    /// A job of `class` starts without having stood in line.
    #[inline]
    pub fn pass(&mut self, class: u8) {
        self.class_mut(class).waits.add(SimTime::ZERO);
    }

    /// A job joins, where it stands by its ticket.
    #[inline]
    pub fn join(&mut self, class: u8, waiting: Waiting<J>) {
        self.length.increment(waiting.since - self.start);
        self.class_mut(class).insert(waiting);
    }

    /// The next job leaves the line and starts at `now`.
    #[inline]
    pub fn start_next(&mut self, now: SimTime) -> Option<(u8, Waiting<J>)> {
        let mut classes = self.classes.iter_mut();
        let class = classes.find(|class| !class.waiting.is_empty())?;
        let waiting = class.waiting.pop_front()?;
        class.waits.add(now - waiting.since);
        let class = class.class;
        self.leave(now, waiting.since);
        Some((class, waiting))
    }

    #[inline]
    fn leave(&mut self, now: SimTime, since: SimTime) {
        self.length.decrement(now - self.start);
        self.waited += self.waited_by(now, since);
    }

    /// The wait that falls into the watched time.
    #[inline]
    fn waited_by(&self, now: SimTime, since: SimTime) -> i64 {
        (now - since.max(self.start)).as_micros()
    }

    /// The class, made when it is new.
    #[inline]
    fn class_mut(&mut self, class: u8) -> &mut Class<J> {
        // Pools have one to four classes: a scan beats a search.
        let classes = self.classes.iter();
        let index = classes.take_while(|known| known.class < class).count();
        if self.classes.get(index).map(|known| known.class) != Some(class) {
            self.classes.insert(index, Class::new(class));
        }
        &mut self.classes[index]
    }

    /// The waiting jobs with class and time of request, in the order of service.
    pub fn waiting(&self) -> impl Iterator<Item = (J, u8, SimTime)> + '_ {
        self.classes.iter().flat_map(|class| {
            let queue = class.waiting.iter();
            queue.map(|waiting| (waiting.job, class.class, waiting.since))
        })
    }

    /// The integral of the length in jobs x microseconds.
    pub fn area(&self, now: SimTime) -> i64 {
        self.length.integral(self.since_start(now))
    }

    pub fn waits(&self, class: u8) -> WaitStatistics {
        let known = self.classes.iter().find(|known| known.class == class);
        known.map(|known| known.waits).unwrap_or_default()
    }

    pub fn waits_total(&self) -> WaitStatistics {
        let mut total = WaitStatistics::default();
        for class in &self.classes {
            total.merge(&class.waits);
        }
        total
    }

    pub fn reset_statistics(&mut self, now: SimTime) {
        self.advance(now);
        self.start = now;
        self.length = CountArea::new(self.len());
        self.waited = 0;
        for class in &mut self.classes {
            class.waits = WaitStatistics::default();
        }
    }

    /// Asserts Little's law on this sample path, to the microsecond.
    pub fn check_littles_law(&self, now: SimTime) {
        let queued: usize = self.classes.iter().map(|class| class.waiting.len()).sum();
        assert!(
            queued == self.len(),
            "{queued} jobs wait, not {}",
            self.len()
        );
        let area = self.area(now);
        let elapsed: i64 = self
            .waiting()
            .map(|(_, _, since)| self.waited_by(now, since))
            .sum();
        assert!(
            area == self.waited + elapsed,
            "Little's law is broken at {now}: queue area {area} us, waits {} us + {elapsed} us",
            self.waited,
        );
    }
}

impl<J: Copy + PartialEq> Line<J> {
    /// Moves a waiting job to a better class; `false` when there is nothing to do.
    pub fn promote(&mut self, job: J, class: u8) -> bool {
        let Some((from, position)) = self.find(job) else {
            return false;
        };
        if self.classes[from].class <= class {
            return false;
        }
        let waiting = self.take(from, position);
        self.class_mut(class).insert(waiting);
        true
    }

    /// Takes a job out of the line, with its class.
    pub fn withdraw(&mut self, now: SimTime, job: J) -> Option<(u8, Waiting<J>)> {
        let (index, position) = self.find(job)?;
        let waiting = self.take(index, position);
        self.leave(now, waiting.since);
        Some((self.classes[index].class, waiting))
    }

    fn find(&self, job: J) -> Option<(usize, usize)> {
        self.classes.iter().enumerate().find_map(|(index, class)| {
            let mut queue = class.waiting.iter();
            Some((index, queue.position(|waiting| waiting.job == job)?))
        })
    }

    fn take(&mut self, class: usize, position: usize) -> Waiting<J> {
        let taken = self.classes[class].waiting.remove(position);
        taken.expect("the position was found by `find`")
    }
}

impl<J> Class<J> {
    fn new(class: u8) -> Self {
        Self {
            class,
            waiting: VecDeque::new(),
            waits: WaitStatistics::default(),
        }
    }

    #[inline]
    fn insert(&mut self, waiting: Waiting<J>) {
        let newest = self
            .waiting
            .back()
            .is_none_or(|last| last.ticket < waiting.ticket);
        if newest {
            self.waiting.push_back(waiting);
        } else {
            let ticket = waiting.ticket;
            let place = self.waiting.partition_point(|other| other.ticket < ticket);
            self.waiting.insert(place, waiting);
        }
    }
}
