//! Servers with a queue in front: priority classes, FIFO inside a class.
//!
//! Decides who is served next and keeps the statistics of waiting. The model keeps
//! the clock: it passes `now` to every call and schedules the end of each service
//! itself.
//!
//! Invariants: a job waits only while every server is busy; time never runs
//! backwards; the integral of the queue length equals the sum of all waits to the
//! microsecond (Little's law on a sample path), which `check_littles_law` asserts.
//! Must not know what a job is or how long it is served.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::time::SimTime;

/// A pool of identical servers for jobs of type `J`, usually an id.
///
/// ```
/// use prestage_des::{Resource, SimTime};
///
/// let mut runners = Resource::new(1);
/// let second = SimTime::from_secs;
/// assert_eq!(runners.request(second(0), "build", 1), Some("build"));
/// assert_eq!(runners.request(second(1), "test", 1), None);
/// assert_eq!(runners.request(second(2), "hotfix", 0), None);
/// assert_eq!(runners.release(second(5)), Some("hotfix"));
/// assert_eq!(runners.waits(0).mean_secs(), 3.0);
/// runners.check_littles_law(second(5));
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Resource<J> {
    servers: usize,
    busy: usize,
    ticket_next: u64,
    queue_length: usize,
    /// Ascending by class; a class appears with its first request and stays.
    classes: Vec<Class<J>>,
    areas: Areas,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Class<J> {
    class: u8,
    /// Ascending by ticket.
    waiting: VecDeque<Waiting<J>>,
    waits: WaitStatistics,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Waiting<J> {
    job: J,
    /// Order of request over all classes: a promoted job keeps its seniority.
    ticket: u64,
    since: SimTime,
}

/// How long the jobs of one class waited before they started.
///
/// A job counts in the class from which it started; one that started at once counts
/// with a wait of zero; one that was withdrawn does not count.
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

/// Integrals over time in count x microseconds, exact.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Areas {
    start: SimTime,
    last: SimTime,
    busy: i64,
    servers: i64,
    queue: i64,
    /// What the jobs that left the queue had waited since `start`, by whatever exit.
    waited: i64,
}

impl<J: Copy + PartialEq> Resource<J> {
    /// `servers` idle servers, watched from [`SimTime::ZERO`].
    pub fn new(servers: usize) -> Self {
        Self::starting_at(SimTime::ZERO, servers)
    }

    /// `servers` idle servers, watched from `now`.
    pub fn starting_at(now: SimTime, servers: usize) -> Self {
        Self {
            servers,
            busy: 0,
            ticket_next: 0,
            queue_length: 0,
            classes: Vec::new(),
            areas: Areas::starting_at(now),
        }
    }

    /// `job` asks for a server; lower classes go first.
    ///
    /// `Some(job)` when it starts now. Otherwise it waits, and a later `release` or
    /// `set_servers` returns it.
    pub fn request(&mut self, now: SimTime, job: J, class: u8) -> Option<J> {
        self.advance(now);
        let ticket = self.ticket_next;
        self.ticket_next += 1;
        let index = self.class_index(class);
        if self.busy < self.servers {
            assert!(self.queue_length == 0, "a job waits beside an idle server");
            self.busy += 1;
            self.classes[index].waits.add(SimTime::ZERO);
            return Some(job);
        }
        let since = now;
        self.classes[index]
            .waiting
            .push_back(Waiting { job, ticket, since });
        self.queue_length += 1;
        None
    }

    /// A server finished; returns the job that takes its place, which starts now.
    ///
    /// Panics when no server is busy.
    pub fn release(&mut self, now: SimTime) -> Option<J> {
        self.advance(now);
        assert!(
            self.busy > 0,
            "released a server that was not busy at {now}"
        );
        self.busy -= 1;
        self.start_next(now)
    }

    /// Changes the number of servers; returns the jobs that start now, in order.
    ///
    /// Fewer servers interrupt nobody: the pool shrinks as running jobs finish.
    pub fn set_servers(&mut self, now: SimTime, servers: usize) -> Vec<J> {
        self.advance(now);
        self.servers = servers;
        std::iter::from_fn(|| self.start_next(now)).collect()
    }

    /// Moves a waiting job to a better class, where it stands by its time of request.
    ///
    /// `false` when no such job waits, or it waits in that class or a better one.
    pub fn promote(&mut self, job: J, class: u8) -> bool {
        let Some((from, position)) = self.find(job) else {
            return false;
        };
        if self.classes[from].class <= class {
            return false;
        }
        let waiting = self.take(from, position);
        let to = self.class_index(class);
        let queue = &mut self.classes[to].waiting;
        let place = queue.partition_point(|other| other.ticket < waiting.ticket);
        queue.insert(place, waiting);
        true
    }

    /// Takes a waiting job out of the queue; `false` when no such job waits.
    pub fn withdraw(&mut self, now: SimTime, job: J) -> bool {
        self.advance(now);
        let Some((class, position)) = self.find(job) else {
            return false;
        };
        let waiting = self.take(class, position);
        self.areas.leave_queue(now, waiting.since);
        self.queue_length -= 1;
        true
    }

    fn start_next(&mut self, now: SimTime) -> Option<J> {
        if self.busy >= self.servers || self.queue_length == 0 {
            return None;
        }
        let class = self
            .classes
            .iter_mut()
            .find(|class| !class.waiting.is_empty())?;
        let waiting = class.waiting.pop_front()?;
        class.waits.add(now - waiting.since);
        self.areas.leave_queue(now, waiting.since);
        self.queue_length -= 1;
        self.busy += 1;
        Some(waiting.job)
    }

    fn advance(&mut self, now: SimTime) {
        self.areas
            .advance(now, self.busy, self.servers, self.queue_length);
    }

    /// The place of `class` in `classes`, made when it is new.
    fn class_index(&mut self, class: u8) -> usize {
        // Pools have one to four classes: a scan beats a search.
        let index = self
            .classes
            .iter()
            .take_while(|known| known.class < class)
            .count();
        if self
            .classes
            .get(index)
            .is_none_or(|known| known.class != class)
        {
            self.classes.insert(index, Class::new(class));
        }
        index
    }

    fn find(&self, job: J) -> Option<(usize, usize)> {
        self.classes.iter().enumerate().find_map(|(index, class)| {
            let position = class
                .waiting
                .iter()
                .position(|waiting| waiting.job == job)?;
            Some((index, position))
        })
    }

    fn take(&mut self, class: usize, position: usize) -> Waiting<J> {
        let taken = self.classes[class].waiting.remove(position);
        taken.expect("the position was found by `find`")
    }
}

/// State and statistics. Means are over the time since the start or the last
/// [`Resource::reset_statistics`].
impl<J: Copy> Resource<J> {
    /// Servers in the pool.
    pub fn servers(&self) -> usize {
        self.servers
    }

    /// Jobs in service; more than `servers` for a while after the pool shrank.
    pub fn busy(&self) -> usize {
        self.busy
    }

    /// Jobs that wait.
    pub fn queue_length(&self) -> usize {
        self.queue_length
    }

    /// The waiting jobs with class and time of request, in the order of service.
    pub fn waiting(&self) -> impl Iterator<Item = (J, u8, SimTime)> + '_ {
        self.classes.iter().flat_map(|class| {
            let queue = class.waiting.iter();
            queue.map(|waiting| (waiting.job, class.class, waiting.since))
        })
    }

    /// The mean number of jobs in service.
    pub fn busy_mean(&self, now: SimTime) -> f64 {
        self.mean_of(now, |areas| areas.busy)
    }

    /// The mean number of jobs that wait.
    pub fn queue_length_mean(&self, now: SimTime) -> f64 {
        self.mean_of(now, |areas| areas.queue)
    }

    /// Busy time over server time, 0 while there was no server.
    pub fn utilization(&self, now: SimTime) -> f64 {
        let areas = self.areas_at(now);
        if areas.servers == 0 {
            0.0
        } else {
            areas.busy as f64 / areas.servers as f64
        }
    }

    /// The waits of one class.
    pub fn waits(&self, class: u8) -> WaitStatistics {
        let known = self.classes.iter().find(|known| known.class == class);
        known.map(|known| known.waits).unwrap_or_default()
    }

    /// The waits of all classes together.
    pub fn waits_total(&self) -> WaitStatistics {
        let mut total = WaitStatistics::default();
        for class in &self.classes {
            total.merge(&class.waits);
        }
        total
    }

    /// Forgets what was measured so far, at the end of a warm-up for instance. Jobs
    /// in service and in the queue stay.
    pub fn reset_statistics(&mut self, now: SimTime) {
        assert!(
            now >= self.areas.last,
            "time ran backwards: {now} < {}",
            self.areas.last
        );
        self.areas = Areas::starting_at(now);
        for class in &mut self.classes {
            class.waits = WaitStatistics::default();
        }
    }

    /// Asserts Little's law on this sample path, to the microsecond: the integral of
    /// the queue length is what the jobs that left had waited, plus what the jobs
    /// still in line have waited so far.
    pub fn check_littles_law(&self, now: SimTime) {
        let areas = self.areas_at(now);
        let queued: usize = self.classes.iter().map(|class| class.waiting.len()).sum();
        assert!(
            queued == self.queue_length,
            "{queued} jobs wait, not {}",
            self.queue_length
        );
        let elapsed: i64 = self
            .waiting()
            .map(|(_, _, since)| areas.waited_by(now, since))
            .sum();
        assert!(
            areas.queue == areas.waited + elapsed,
            "Little's law is broken at {now}: queue area {} us, waits {} us + {elapsed} us",
            areas.queue,
            areas.waited,
        );
    }

    fn areas_at(&self, now: SimTime) -> Areas {
        let mut areas = self.areas.clone();
        areas.advance(now, self.busy, self.servers, self.queue_length);
        areas
    }

    fn mean_of(&self, now: SimTime, area: impl Fn(&Areas) -> i64) -> f64 {
        let areas = self.areas_at(now);
        let elapsed = (now - areas.start).as_micros();
        if elapsed == 0 {
            0.0
        } else {
            area(&areas) as f64 / elapsed as f64
        }
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
}

impl Areas {
    fn starting_at(now: SimTime) -> Self {
        Self {
            start: now,
            last: now,
            busy: 0,
            servers: 0,
            queue: 0,
            waited: 0,
        }
    }

    #[inline]
    fn advance(&mut self, now: SimTime, busy: usize, servers: usize, queue_length: usize) {
        assert!(
            now >= self.last,
            "time ran backwards: {now} < {}",
            self.last
        );
        let elapsed = (now - self.last).as_micros();
        if elapsed > 0 {
            accumulate(&mut self.busy, busy, elapsed);
            accumulate(&mut self.servers, servers, elapsed);
            accumulate(&mut self.queue, queue_length, elapsed);
            self.last = now;
        }
    }

    #[inline]
    fn leave_queue(&mut self, now: SimTime, since: SimTime) {
        self.waited += self.waited_by(now, since);
    }

    /// The wait that falls into the watched time.
    #[inline]
    fn waited_by(&self, now: SimTime, since: SimTime) -> i64 {
        (now - since.max(self.start)).as_micros()
    }
}

/// 64 bits hold 1,000 jobs for 292 years; a wrapped sum would be a silent lie.
#[inline]
fn accumulate(area: &mut i64, count: usize, elapsed: i64) {
    let product = (count as i64).checked_mul(elapsed);
    let sum = product.and_then(|product| area.checked_add(product));
    *area = sum.expect("statistics cover less than 292,000 job-years: reset them");
}
