//! The shared runner pool: who runs, who waits, who gives way.
//!
//! Builds and what a pipeline waits for go before speculative work; with
//! `preempt_speculative` they also take its runners, and it starts anew later. A
//! job's runner minutes are booked when it starts and what it did not use is given
//! back when it is interrupted or withdrawn.
use prestage_controller::{CellId, Retraining};
use prestage_des::preemptive::{Demand, Interrupted, OnLoss, Preemption, PreemptiveResource};
use prestage_des::{EventId, SimTime, Streams};
use serde::{Deserialize, Serialize};

use crate::event_log::LogKind;
use crate::stage::StageId;
use crate::world::{Event, World, WorldOptions};

/// What occupies a runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Job {
    /// Of the commit with this index.
    Build(u32),
    /// A build that failed for no reason, repeated.
    Rebuild(u32),
    Validate(StageId),
    Refresh(StageId),
    /// Of a cell's model; the number tells one retraining from the next.
    Retrain(CellId, u32, Retraining),
}

/// Priority classes of the runner pool.
pub(crate) mod class {
    /// A pipeline waits for it.
    pub const URGENT: u8 = 0;
    /// Ordinary builds.
    pub const BUILD: u8 = 1;
    /// Ahead of a need, or retraining.
    pub const SPECULATIVE: u8 = 2;
    /// No job is of it.
    pub const NONE: u8 = u8::MAX;
}

/// The end of a job that runs.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct End {
    event: EventId,
    at: SimTime,
}

/// An idle pool whose statistics begin at `now`.
pub(crate) fn runners(options: &WorldOptions, now: SimTime) -> PreemptiveResource<Job> {
    let preemption = Preemption {
        from_class: if options.preempt_speculative {
            class::SPECULATIVE
        } else {
            class::NONE
        },
        interrupted: Interrupted::Restarts,
    };
    let mut runners = PreemptiveResource::new(options.runners as usize, preemption);
    runners.reset_statistics(now);
    runners
}

impl WorldOptions {
    /// How long the build of the `index`-th commit of a record runs: a mixture of two
    /// lognormals with one median ratio, the tail of real build times.
    pub fn build_duration(&self, index: u32, service: u32) -> SimTime {
        let streams = Streams::new(self.seed);
        let mut stream = streams.at("build", u64::from(service), u64::from(index));
        let commits = &self.commits;
        let usual = stream.lognormal(commits.build_minutes * 60.0, commits.build_sigma);
        let slow = commits.slow_share > 0.0 && stream.unit() < commits.slow_share;
        SimTime::from_secs_f64(if slow {
            usual * commits.slow_factor
        } else {
            usual
        })
    }

    /// Runners that an outage of this share of the pool leaves.
    pub fn runners_in_outage(&self, share: f64) -> u32 {
        let lost = (f64::from(self.runners) * share).round() as u32;
        self.runners - lost.min(self.runners - 1)
    }
}

impl World {
    pub(crate) fn request_runner(&mut self, job: Job, class: u8) {
        let work = self.duration(job);
        let admission = self.runners.request(self.now, job, Demand { class, work });
        if let Some(loser) = admission.preempted {
            self.preempted(loser);
        }
        if let Some(start) = admission.started {
            self.job_starts(start.job, start.work);
        }
    }

    /// Moves a job that waits to another class; one that runs goes on.
    pub(crate) fn hurry(&mut self, job: Job, class: u8) {
        if !self.ends.contains_key(&job) && self.runners.withdraw(self.now, job).is_some() {
            self.request_runner(job, class);
        }
    }

    /// Takes a job away, if it is here.
    pub(crate) fn withdraw_job(&mut self, job: Job) {
        if self.ends.contains_key(&job) {
            self.interrupt(job);
        }
        if let Some(Some(start)) = self.runners.withdraw(self.now, job) {
            self.job_starts(start.job, start.work);
        }
    }

    /// A job has run to its end; the next one takes its runner.
    pub(crate) fn release_runner(&mut self, job: Job) {
        self.ends.remove(&job);
        if let Some(start) = self.runners.finish(self.now, job) {
            self.job_starts(start.job, start.work);
        }
    }

    /// Changes the size of the pool; jobs on runners that go away finish first.
    pub(crate) fn set_runners(&mut self, runners: u32) {
        self.note(LogKind::PoolResized, 0, u64::from(runners));
        let resized = self
            .runners
            .set_servers(self.now, runners as usize, OnLoss::Finish);
        for start in resized.started {
            self.job_starts(start.job, start.work);
        }
    }

    fn job_starts(&mut self, job: Job, work: SimTime) {
        let at = self.now + work;
        let event = self.queue.schedule(at, Event::JobDone(job));
        self.ends.insert(job, End { event, at });
        self.charge(job, work.as_minutes_f64());
    }

    fn preempted(&mut self, job: Job) {
        self.interrupt(job);
        let cell = self.cell_of(job).expect("only speculative jobs give way");
        self.note(LogKind::Preempted, cell.0, 0);
    }

    /// The end of a running job is void; its unused minutes are given back.
    fn interrupt(&mut self, job: Job) {
        let end = self.ends.remove(&job).expect("the job runs");
        assert!(self.queue.cancel(end.event), "a running job has no end");
        self.charge(job, -(end.at - self.now).as_minutes_f64());
    }

    fn charge(&mut self, job: Job, minutes: f64) {
        if let Some(cell) = self.cell_of(job) {
            self.cells[cell.index()].tally.usage.runner_minutes += minutes;
        }
    }

    /// Whose work it is; builds are nobody's.
    fn cell_of(&self, job: Job) -> Option<CellId> {
        match job {
            Job::Build(_) | Job::Rebuild(_) => None,
            Job::Validate(id) | Job::Refresh(id) => Some(self.stages[id.0 as usize].cell),
            Job::Retrain(cell, ..) => Some(cell),
        }
    }

    fn duration(&self, job: Job) -> SimTime {
        match job {
            Job::Build(index) | Job::Rebuild(index) => {
                let service = self.record.commits[index as usize].service;
                self.options.build_duration(index, service)
            }
            Job::Validate(id) | Job::Refresh(id) => self.stages[id.0 as usize].validate,
            Job::Retrain(..) => {
                SimTime::from_secs_f64(self.options.operation.retrain_minutes * 60.0)
            }
        }
    }
}
