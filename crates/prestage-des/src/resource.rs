//! Servers with a queue in front: priority classes, FIFO inside a class.
//!
//! Decides who is served next and keeps the statistics of waiting. The model keeps
//! the clock: it passes `now` to every call and schedules the end of each service
//! itself. Nobody is interrupted; [`crate::PreemptiveResource`] does that.
//!
//! Invariants: a job waits only while every server is busy; time never runs
//! backwards; the integral of the queue length equals the sum of all waits to the
//! microsecond (Little's law on a sample path), which `check_littles_law` asserts.
//! Must not know what a job is or how long it is served.

use serde::{Deserialize, Serialize};

use crate::areas::CountArea;
use crate::line::{Line, WaitStatistics, Waiting};
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
    servers: CountArea,
    busy: CountArea,
    line: Line<J>,
}

impl<J: Copy + PartialEq> Resource<J> {
    /// `servers` idle servers, watched from [`SimTime::ZERO`].
    pub fn new(servers: usize) -> Self {
        Self::starting_at(SimTime::ZERO, servers)
    }

    /// `servers` idle servers, watched from `now`.
    pub fn starting_at(now: SimTime, servers: usize) -> Self {
        Self {
            servers: CountArea::new(servers),
            busy: CountArea::new(0),
            line: Line::starting_at(now),
        }
    }

    /// `job` asks for a server; lower classes go first.
    ///
    /// `Some(job)` when it starts now. Otherwise it waits, and a later `release` or
    /// `set_servers` returns it. Panics when `now` lies before an earlier call.
    #[inline]
    pub fn request(&mut self, now: SimTime, job: J, class: u8) -> Option<J> {
        let since_start = self.line.advance(now);
        let ticket = self.line.ticket();
        if self.busy() < self.servers() {
            assert!(self.line.is_empty(), "a job waits beside an idle server");
            self.busy.increment(since_start);
            self.line.pass(class);
            return Some(job);
        }
        let since = now;
        self.line.join(class, Waiting { job, ticket, since });
        None
    }

    /// A server finished; returns the job that takes its place, which starts now.
    ///
    /// Panics when no server is busy.
    #[inline]
    pub fn release(&mut self, now: SimTime) -> Option<J> {
        let since_start = self.line.advance(now);
        let busy = self.busy();
        assert!(busy > 0, "released a server that was not busy at {now}");
        if busy <= self.servers()
            && let Some((_, next)) = self.line.start_next(now)
        {
            return Some(next.job);
        }
        self.busy.decrement(since_start);
        None
    }

    /// Changes the number of servers; returns the jobs that start now, in order.
    ///
    /// Fewer servers interrupt nobody: the pool shrinks as running jobs finish.
    pub fn set_servers(&mut self, now: SimTime, servers: usize) -> Vec<J> {
        let since_start = self.line.advance(now);
        self.servers.set(since_start, servers);
        let mut started = Vec::new();
        while self.busy() < self.servers()
            && let Some((_, next)) = self.line.start_next(now)
        {
            self.busy.increment(since_start);
            started.push(next.job);
        }
        started
    }

    /// Moves a waiting job to a better class, where it stands by its time of request.
    ///
    /// `false` when no such job waits, or it waits in that class or a better one.
    pub fn promote(&mut self, job: J, class: u8) -> bool {
        self.line.promote(job, class)
    }

    /// Takes a waiting job out of the queue; `false` when no such job waits.
    pub fn withdraw(&mut self, now: SimTime, job: J) -> bool {
        self.line.advance(now);
        self.line.withdraw(now, job).is_some()
    }
}

/// State and statistics. Means are over the time since the start or the last
/// [`Resource::reset_statistics`].
impl<J: Copy> Resource<J> {
    /// Servers in the pool.
    #[inline]
    pub fn servers(&self) -> usize {
        self.servers.count()
    }

    /// Jobs in service; more than `servers` for a while after the pool shrank.
    #[inline]
    pub fn busy(&self) -> usize {
        self.busy.count()
    }

    /// Jobs that wait.
    pub fn queue_length(&self) -> usize {
        self.line.len()
    }

    /// The waiting jobs with class and time of request, in the order of service.
    pub fn waiting(&self) -> impl Iterator<Item = (J, u8, SimTime)> + '_ {
        self.line.waiting()
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

    /// The waits of one class.
    pub fn waits(&self, class: u8) -> WaitStatistics {
        self.line.waits(class)
    }

    /// The waits of all classes together.
    pub fn waits_total(&self) -> WaitStatistics {
        self.line.waits_total()
    }

    /// Forgets what was measured so far, at the end of a warm-up for instance. Jobs
    /// in service and in the queue stay.
    pub fn reset_statistics(&mut self, now: SimTime) {
        self.line.reset_statistics(now);
        self.busy = CountArea::new(self.busy());
        self.servers = CountArea::new(self.servers());
    }

    /// Asserts Little's law on this sample path, to the microsecond: the integral of
    /// the queue length is what the jobs that left had waited, plus what the jobs
    /// still in line have waited so far.
    pub fn check_littles_law(&self, now: SimTime) {
        self.line.check_littles_law(now);
    }
}

/// The time average of a count, 0 over no time.
pub(crate) fn mean(area: i64, elapsed: SimTime) -> f64 {
    if elapsed == SimTime::ZERO {
        0.0
    } else {
        area as f64 / elapsed.as_micros() as f64
    }
}
