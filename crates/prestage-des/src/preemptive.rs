//! Servers that interrupt speculative work for work that was asked for.
//!
//! A better job takes the server of a worse one whose class may be interrupted. The
//! interrupted job goes back into the line, where it stands by its time of request, and
//! later goes on with the work that was left ([`Interrupted::Resumes`]) or starts again
//! ([`Interrupted::Restarts`]). The model keeps the clock: it schedules the end of each
//! [`Start`] and cancels that event for each job it is told was preempted.
//!
//! Invariants: a job waits only while every server is busy; nobody waits in a better
//! class than a job in service that it could interrupt, but while more jobs finish than
//! there are servers left; Little's law on the sample path;
//! the busy area is the work done, useful and lost. Must not know why a job is
//! speculative.

use serde::{Deserialize, Serialize};

use crate::areas::CountArea;
use crate::line::{Line, WaitStatistics, Waiting};
use crate::resource::mean;
use crate::time::SimTime;

/// What an interrupted job keeps of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Interrupted {
    /// It goes on where it was interrupted.
    Resumes,
    /// It starts again: what was done is lost.
    Restarts,
}

/// Who may be interrupted, and at what price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preemption {
    /// Jobs of this class and of worse ones can be interrupted by any better class.
    pub from_class: u8,
    /// What they keep.
    pub interrupted: Interrupted,
}

/// What a job asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demand {
    /// Lower classes go first.
    pub class: u8,
    /// How long it occupies a server when nobody interrupts it; not negative.
    pub work: SimTime,
}

/// A job starts or goes on now and, left alone, ends after `work`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start<J> {
    /// The job.
    pub job: J,
    /// What is left of its work.
    pub work: SimTime,
}

/// What a request led to; both are empty when the job waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission<J> {
    /// The job that lost its server; the event of its end is void.
    pub preempted: Option<J>,
    /// The job that asked, when it starts now.
    pub started: Option<Start<J>>,
}

/// What a change of the number of servers led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resized<J> {
    /// The jobs that lost their servers, in the order of interruption.
    pub preempted: Vec<J>,
    /// The jobs that start now, in order.
    pub started: Vec<Start<J>>,
}

/// What happens to jobs on servers that go away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLoss {
    /// They finish first: the pool shrinks as jobs end.
    Finish,
    /// They go back into the line, whatever their class: an outage asks nobody.
    Preempt,
}

/// A pool of identical servers that knows who is in service.
///
/// ```
/// use prestage_des::preemptive::{Demand, Interrupted, Preemption, Start};
/// use prestage_des::{PreemptiveResource, SimTime};
///
/// let second = SimTime::from_secs;
/// let speculative = Preemption { from_class: 1, interrupted: Interrupted::Resumes };
/// let mut runner = PreemptiveResource::new(1, speculative);
/// runner.request(second(0), "guess", Demand { class: 1, work: second(10) });
///
/// let admission = runner.request(second(4), "commit", Demand { class: 0, work: second(3) });
/// assert_eq!(admission.preempted, Some("guess"));
/// assert_eq!(admission.started, Some(Start { job: "commit", work: second(3) }));
///
/// let resumed = runner.finish(second(7), "commit");
/// assert_eq!(resumed, Some(Start { job: "guess", work: second(6) }));
/// assert_eq!(runner.finish(second(13), "guess"), None);
/// runner.check_conservation(second(13));
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PreemptiveResource<J> {
    preemption: Preemption,
    servers: CountArea,
    busy: CountArea,
    line: Line<Held<J>>,
    /// Ascending by start. Pools are small: a scan beats an index.
    in_service: Vec<InService<J>>,
    /// How many of them there are of each class: a pool full of jobs that may not be
    /// interrupted, the usual one, is not searched.
    of_class: Vec<usize>,
    tally: ServiceTally,
    /// Statistics count from here.
    start: SimTime,
}

/// A job in line with the work that it will bring to a server.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Held<J> {
    job: J,
    left: SimTime,
}

/// The work is not part of who a job is.
impl<J: PartialEq> PartialEq for Held<J> {
    fn eq(&self, other: &Self) -> bool {
        self.job == other.job
    }
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct InService<J> {
    job: J,
    class: u8,
    ticket: u64,
    since: SimTime,
    left: SimTime,
}

/// Where server time went, and how services ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceTally {
    /// Services that ended.
    pub finished: u64,
    /// Services that were interrupted by a better job or a lost server.
    pub preempted: u64,
    /// Jobs withdrawn while in service.
    pub withdrawn: u64,
    /// Server time of services that ended, and of interrupted work that was kept.
    pub kept: SimTime,
    /// Server time of work that was lost: restarts and withdrawals.
    pub lost: SimTime,
}

impl<J: Copy + PartialEq> PreemptiveResource<J> {
    /// `servers` idle servers, watched from [`SimTime::ZERO`].
    pub fn new(servers: usize, preemption: Preemption) -> Self {
        Self {
            preemption,
            servers: CountArea::new(servers),
            busy: CountArea::new(0),
            line: Line::starting_at(SimTime::ZERO),
            in_service: Vec::new(),
            of_class: Vec::new(),
            tally: ServiceTally::default(),
            start: SimTime::ZERO,
        }
    }

    /// `job` asks for a server; it starts, takes somebody's server, or waits.
    ///
    /// The job that is interrupted is of the worst class in service, and among those
    /// the one that started last, because it loses least. Panics when `job` is already
    /// here or its work is negative.
    pub fn request(&mut self, now: SimTime, job: J, demand: Demand) -> Admission<J> {
        let Demand { class, work } = demand;
        assert!(work >= SimTime::ZERO, "a job cannot take {work}");
        debug_assert!(
            !self.contains(job),
            "a job asks twice: a scan in a hot loop"
        );
        self.line.advance(now);
        let ticket = self.line.ticket();
        let candidate = InService {
            job,
            class,
            ticket,
            since: now,
            left: work,
        };
        if self.busy() < self.servers() {
            assert!(self.line.is_empty(), "a job waits beside an idle server");
            self.line.pass(class);
            return Admission {
                preempted: None,
                started: Some(self.serve(candidate)),
            };
        }
        let Some(victim) = self.victim_of(class) else {
            self.line.join(class, candidate.waiting(now));
            return Admission {
                preempted: None,
                started: None,
            };
        };
        let preempted = self.interrupt(now, victim);
        self.line.pass(class);
        Admission {
            preempted: Some(preempted),
            started: Some(self.serve(candidate)),
        }
    }

    /// The service of `job` ends; returns who takes its place.
    ///
    /// Panics when `job` is not in service, or has work left: its end was not
    /// cancelled when it was preempted.
    pub fn finish(&mut self, now: SimTime, job: J) -> Option<Start<J>> {
        self.line.advance(now);
        let place = self.place(job);
        let place = place.unwrap_or_else(|| panic!("finished a job that is not served at {now}"));
        let done = self.in_service[place];
        assert!(
            now - done.since == done.left,
            "a service of {} ends after {}: was its event cancelled when it was preempted?",
            done.left,
            now - done.since
        );
        self.leave_service(now, place);
        self.tally.finished += 1;
        self.tally.kept += self.watched(now, done.since);
        self.start_next(now)
    }

    /// Takes a job away, waiting or in service; `None` when it is not here.
    ///
    /// In service, its end is void and its work lost; the inner value is who takes its
    /// place.
    pub fn withdraw(&mut self, now: SimTime, job: J) -> Option<Option<Start<J>>> {
        self.line.advance(now);
        let left = SimTime::ZERO;
        if self.line.withdraw(now, Held { job, left }).is_some() {
            return Some(None);
        }
        let place = self.place(job)?;
        let since = self.in_service[place].since;
        self.leave_service(now, place);
        self.tally.withdrawn += 1;
        self.tally.lost += self.watched(now, since);
        Some(self.start_next(now))
    }

    /// Changes the number of servers, in an outage for instance.
    pub fn set_servers(&mut self, now: SimTime, servers: usize, on_loss: OnLoss) -> Resized<J> {
        let since_start = self.line.advance(now);
        self.servers.set(since_start, servers);
        let mut preempted = Vec::new();
        while on_loss == OnLoss::Preempt && self.busy() > servers {
            let victim = self.worst().expect("more servers are busy than there are");
            preempted.push(self.interrupt(now, victim));
        }
        let started = std::iter::from_fn(|| self.start_next(now)).collect();
        Resized { preempted, started }
    }

    /// The job in service that a request of `class` may interrupt.
    fn victim_of(&self, class: u8) -> Option<usize> {
        // A pool that is shrinking has no server to pass on: the job that would be
        // interrupted stands on one that goes away when it ends.
        if self.busy() > self.servers() {
            return None;
        }
        let worst = self.worst_class()?;
        (worst > class && worst >= self.preemption.from_class)
            .then(|| self.last_of(worst))
            .flatten()
    }

    fn worst_class(&self) -> Option<u8> {
        let class = self.of_class.iter().rposition(|&jobs| jobs > 0)?;
        u8::try_from(class).ok()
    }

    /// The last to start of a class.
    fn last_of(&self, class: u8) -> Option<usize> {
        self.in_service.iter().rposition(|job| job.class == class)
    }

    /// The last to start of the worst class in service.
    fn worst(&self) -> Option<usize> {
        self.last_of(self.worst_class()?)
    }

    fn interrupt(&mut self, now: SimTime, victim: usize) -> J {
        let mut job = self.in_service[victim];
        self.leave_service(now, victim);
        self.tally.preempted += 1;
        let served = self.watched(now, job.since);
        match self.preemption.interrupted {
            Interrupted::Resumes => {
                self.tally.kept += served;
                job.left -= now - job.since;
            }
            Interrupted::Restarts => self.tally.lost += served,
        }
        self.line.join(job.class, job.waiting(now));
        job.job
    }

    fn start_next(&mut self, now: SimTime) -> Option<Start<J>> {
        if self.busy() >= self.servers() {
            return None;
        }
        let (class, waiting) = self.line.start_next(now)?;
        Some(self.serve(InService {
            job: waiting.job.job,
            class,
            ticket: waiting.ticket,
            since: now,
            left: waiting.job.left,
        }))
    }

    fn serve(&mut self, job: InService<J>) -> Start<J> {
        self.busy.increment(job.since - self.start);
        let class = usize::from(job.class);
        if self.of_class.len() <= class {
            self.of_class.resize(class + 1, 0);
        }
        self.of_class[class] += 1;
        self.in_service.push(job);
        Start {
            job: job.job,
            work: job.left,
        }
    }

    fn leave_service(&mut self, now: SimTime, place: usize) {
        self.busy.decrement(now - self.start);
        let job = self.in_service.remove(place);
        self.of_class[usize::from(job.class)] -= 1;
    }

    fn place(&self, job: J) -> Option<usize> {
        self.in_service.iter().position(|other| other.job == job)
    }

    fn contains(&self, job: J) -> bool {
        self.place(job).is_some() || self.line.waiting().any(|(held, ..)| held.job == job)
    }
}

/// State and statistics. Means are over the time since the start or the last
/// [`PreemptiveResource::reset_statistics`].
impl<J: Copy> PreemptiveResource<J> {
    /// Servers in the pool.
    pub fn servers(&self) -> usize {
        self.servers.count()
    }

    /// Jobs in service; more than `servers` for a while after a pool shrank.
    pub fn busy(&self) -> usize {
        self.busy.count()
    }

    /// Jobs that wait, interrupted ones included.
    pub fn queue_length(&self) -> usize {
        self.line.len()
    }

    /// The jobs in service with their class, the longest in service first.
    pub fn in_service(&self) -> impl Iterator<Item = (J, u8)> + '_ {
        self.in_service.iter().map(|job| (job.job, job.class))
    }

    /// The waiting jobs with class and the time since which they wait, in the order of
    /// service.
    pub fn waiting(&self) -> impl Iterator<Item = (J, u8, SimTime)> + '_ {
        let line = self.line.waiting();
        line.map(|(held, class, since)| (held.job, class, since))
    }

    /// The mean number of jobs in service.
    pub fn busy_mean(&self, now: SimTime) -> f64 {
        let since_start = self.line.since_start(now);
        mean(self.busy.integral(since_start), since_start)
    }

    /// The mean number of jobs that wait.
    pub fn queue_length_mean(&self, now: SimTime) -> f64 {
        mean(self.line.area(now), self.line.since_start(now))
    }

    /// Busy time over server time, 0 while there was no server.
    pub fn utilization(&self, now: SimTime) -> f64 {
        let since_start = self.line.since_start(now);
        let available = self.servers.integral(since_start);
        if available == 0 {
            0.0
        } else {
            self.busy.integral(since_start) as f64 / available as f64
        }
    }

    /// The waits of one class, from request or interruption to the next start.
    pub fn waits(&self, class: u8) -> WaitStatistics {
        self.line.waits(class)
    }

    /// Where server time went so far. Services under way are not in it.
    pub fn tally(&self) -> ServiceTally {
        self.tally
    }

    /// Forgets what was measured so far; jobs stay where they are.
    pub fn reset_statistics(&mut self, now: SimTime) {
        self.line.reset_statistics(now);
        self.busy = CountArea::new(self.busy());
        self.servers = CountArea::new(self.servers());
        self.tally = ServiceTally::default();
        self.start = now;
    }

    /// Asserts, to the microsecond, that the waits make up the area of the queue
    /// (Little's law) and that services make up the area of the busy servers.
    pub fn check_conservation(&self, now: SimTime) {
        self.line.check_littles_law(now);
        let jobs = self.in_service.len();
        assert!(
            jobs == self.busy(),
            "{jobs} jobs on {} servers",
            self.busy()
        );
        let under_way = self.in_service.iter();
        let under_way: SimTime = under_way.map(|job| self.watched(now, job.since)).sum();
        let served = self.tally.kept + self.tally.lost + under_way;
        let busy = self.busy.integral(self.line.since_start(now));
        assert!(
            busy == served.as_micros(),
            "servers were busy for {busy} us, jobs were served for {served}"
        );
    }

    /// The part of a service that falls into the watched time.
    fn watched(&self, now: SimTime, since: SimTime) -> SimTime {
        now - since.max(self.start)
    }
}

impl<J: Copy> InService<J> {
    fn waiting(self, now: SimTime) -> Waiting<Held<J>> {
        let (job, left) = (self.job, self.left);
        Waiting {
            job: Held { job, left },
            ticket: self.ticket,
            since: now,
        }
    }
}
