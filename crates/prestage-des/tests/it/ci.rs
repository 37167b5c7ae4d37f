//! A pool of CI runners that serves commits and, while nothing better is to do,
//! speculative stages; runners fail and come back. The model that tests and the
//! examples share.
//!
//! Must not know what is asserted about it.

use prestage_des::preemptive::{Demand, Interrupted, OnLoss, Preemption, Start};
use prestage_des::{EventId, EventQueue, PreemptiveResource, SimTime, Stream, Streams};
use serde::{Deserialize, Serialize};

/// The class of commits.
pub const COMMIT: u8 = 0;
/// The class of speculative stages.
pub const SPECULATIVE: u8 = 1;

/// What happens in the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Work of this class arrives.
    Arrival(u8),
    /// A job ends.
    Done(u64),
    /// All but this many runners are lost, or come back.
    Runners(usize),
}

/// The shape of the pool. Times are exponential with these means in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    /// Runners.
    pub runners: usize,
    /// Between two arrivals, by class.
    pub gap_secs: [f64; 2],
    /// Of work, for both classes.
    pub work_secs: f64,
    /// Between two outages, and of an outage; no outages when `None`.
    pub outages: Option<[f64; 2]>,
    /// What interrupted speculation keeps.
    pub interrupted: Interrupted,
}

/// The model in the middle of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ci {
    shape: Shape,
    arrivals: [Stream; 2],
    works: [Stream; 2],
    outages: Stream,
    job_next: u64,
    /// The ends of the jobs in service.
    ends: Vec<(u64, EventId)>,
    /// Who waits and who is served.
    pub pool: PreemptiveResource<u64>,
    /// What is to come.
    pub queue: EventQueue<Event>,
}

impl Ci {
    /// An idle pool before its first arrival.
    pub fn new(shape: Shape, seed: u64) -> Self {
        let streams = Streams::new(seed);
        let open = |source| [COMMIT, SPECULATIVE].map(|class| streams.open(source, class.into()));
        let preemption = Preemption {
            from_class: SPECULATIVE,
            interrupted: shape.interrupted,
        };
        let mut ci = Self {
            shape,
            arrivals: open("arrivals"),
            works: open("works"),
            outages: streams.open("outages", 0),
            job_next: 0,
            ends: Vec::new(),
            pool: PreemptiveResource::new(shape.runners, preemption),
            queue: EventQueue::new(),
        };
        ci.schedule_arrival(COMMIT);
        ci.schedule_arrival(SPECULATIVE);
        if let Some([gap_secs, _]) = shape.outages {
            ci.schedule_runners(gap_secs, shape.runners / 2);
        }
        ci
    }

    /// Handles the next event.
    pub fn step(&mut self) -> (SimTime, Event) {
        let (now, event) = self.queue.pop().expect("an arrival is always scheduled");
        match event {
            Event::Arrival(class) => self.arrive(now, class),
            Event::Done(job) => {
                self.ends.retain(|&(other, _)| other != job);
                let started = self.pool.finish(now, job);
                self.start_all(started);
            }
            Event::Runners(runners) => self.set_runners(now, runners),
        }
        (now, event)
    }

    fn arrive(&mut self, now: SimTime, class: u8) {
        self.schedule_arrival(class);
        let work = self.works[usize::from(class)].exponential(self.shape.work_secs);
        let work = SimTime::from_secs_f64(work);
        let job = self.job_next;
        self.job_next += 1;
        let admission = self.pool.request(now, job, Demand { class, work });
        self.void_ends(admission.preempted);
        self.start_all(admission.started);
    }

    fn set_runners(&mut self, now: SimTime, runners: usize) {
        let resized = self.pool.set_servers(now, runners, OnLoss::Preempt);
        self.void_ends(resized.preempted);
        self.start_all(resized.started);
        if let Some([gap_secs, outage_secs]) = self.shape.outages {
            if runners < self.shape.runners {
                self.schedule_runners(outage_secs, self.shape.runners);
            } else {
                self.schedule_runners(gap_secs, self.shape.runners / 2);
            }
        }
    }

    fn schedule_arrival(&mut self, class: u8) {
        let place = usize::from(class);
        let gap = self.arrivals[place].exponential(self.shape.gap_secs[place]);
        self.queue
            .schedule_in(SimTime::from_secs_f64(gap), Event::Arrival(class));
    }

    fn schedule_runners(&mut self, mean_secs: f64, runners: usize) {
        let gap = SimTime::from_secs_f64(self.outages.exponential(mean_secs));
        self.queue.schedule_in(gap, Event::Runners(runners));
    }

    fn start_all(&mut self, started: impl IntoIterator<Item = Start<u64>>) {
        for Start { job, work } in started {
            let end = self.queue.schedule_in(work, Event::Done(job));
            self.ends.push((job, end));
        }
    }

    fn void_ends(&mut self, preempted: impl IntoIterator<Item = u64>) {
        for job in preempted {
            let place = self.ends.iter().position(|&(other, _)| other == job);
            let place = place.expect("a job in service has an end");
            let (_, end) = self.ends.remove(place);
            assert!(self.queue.cancel(end), "the end of a running job is due");
        }
    }
}
