//! How long a stage takes while nothing makes it wait: not for a runner, not for a
//! reviewer who has others open.
//!
//! A function of the options alone: every draw is addressed by cell and need, or
//! minute, so a stage asked for at the same time takes the same time whoever asks,
//! and whoever knows the seed can tell before it is asked for.
use prestage_controller::{CellId, CellSpec, OnDemand};
use prestage_des::{SimTime, Streams};

use crate::world::{MINUTE, WorldOptions};

/// Spread of the log durations of validation, review and writing.
const VALIDATE_SIGMA: f64 = 0.3;
const REVIEW_SIGMA: f64 = 0.6;
const WRITE_SIGMA: f64 = 0.4;
/// Rendering and committing a stage.
const SYNTHESIS: SimTime = SimTime::from_secs(5);

/// Why a stage is made, which is what addresses its draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageCause {
    /// A need of the cell, the first of which is 0, found none.
    Need(u64),
    /// The controller asked for it ahead of a need.
    Ahead {
        /// When; the draws are those of the minute.
        at: SimTime,
        /// Does anybody work then?
        working: bool,
    },
}

/// The parts of a stage's lead time that chance draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageTimes {
    /// On one runner.
    pub validate: SimTime,
    /// Of a person with no other review open.
    pub review: SimTime,
    /// Until what it brings is usable.
    pub provision: SimTime,
}

impl StageTimes {
    /// From the start of the validation until it is ready, at the earliest.
    pub fn total(&self) -> SimTime {
        self.validate + self.review + self.provision
    }
}

impl WorldOptions {
    /// How long a stage of this cell takes.
    pub fn stage_times(&self, cell: &CellSpec, cause: StageCause) -> StageTimes {
        let times = self.stages.of(cell.need);
        let (address, urgency) = match cause {
            StageCause::Need(need) => (need, self.operation.urgent_review_factor),
            StageCause::Ahead { at, working } => {
                let minute = (1 << 40) | at.div_floor(MINUTE) as u64;
                let off_hours = self.operation.off_hours_review_factor;
                (minute, if working { 1.0 } else { off_hours })
            }
        };
        let streams = Streams::new(self.seed);
        let mut stream = streams.at("stage", u64::from(cell.id.0), address);
        let validate = stream.lognormal(times.validate_minutes * 60.0, VALIDATE_SIGMA);
        let review = stream.lognormal(times.review_minutes.max(1e-6) * 60.0, REVIEW_SIGMA);
        let provision = times.provision_minutes * 60.0 * stream.uniform(0.8, 1.2);
        StageTimes {
            validate: SimTime::from_secs_f64(validate),
            review: SimTime::from_secs_f64(review * urgency),
            provision: SimTime::from_secs_f64(provision),
        }
    }

    /// Uniform on [0, 1): a ready stage has gone stale for this need unless the chance
    /// that it holds is larger.
    pub fn staleness(&self, cell: CellId, need: u64) -> f64 {
        let streams = Streams::new(self.seed);
        streams.at("stale", u64::from(cell.0), need).unit()
    }

    /// From a need that finds no stage until one is written for it.
    pub fn writing_time(&self, cell: &CellSpec, need: u64, on_demand: OnDemand) -> SimTime {
        match on_demand {
            OnDemand::Template => SYNTHESIS,
            OnDemand::ByHand => {
                let median = self.operation.hand_written_minutes * 60.0;
                let streams = Streams::new(self.seed);
                let mut stream = streams.at("write", u64::from(cell.id.0), need);
                SimTime::from_secs_f64(stream.lognormal(median, WRITE_SIGMA))
            }
        }
    }
}
