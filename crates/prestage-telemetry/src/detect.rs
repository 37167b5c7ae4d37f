//! Anomaly detectors: one sample in, one score out.
//!
//! ```text
//! sample -> Detector::score in [0, 1] -> Alarm (hysteresis, rest) -> raised | standing | silent
//! ```
//!
//! Every detector streams: constant time and memory for each sample, nothing read ahead, not
//! even the range of the series. A score of [`ALARM_LEVEL`] is where the detector itself
//! would raise an alarm; whoever tunes a threshold starts there. [`DETECTORS`] lists them,
//! the first is the default; a new one is a file and a line. [`evaluate`] scores them.
//!
//! Must never know: files, threads, where samples come from or what an alarm is good for.
mod alarm;
mod baseline;
pub mod change_point;
pub mod cusum;
pub mod discord;
pub mod ensemble;
pub mod ewma;
pub mod half_space_trees;
pub mod holt_winters;
pub mod record;
mod registry;
pub mod seasonal_residual;
mod surprise;

pub mod evaluate;

pub use alarm::{Alarm, AlarmSpec, AlarmState};
pub use change_point::ChangePoint;
pub use cusum::Cusum;
pub use discord::Discord;
pub use ensemble::Ensemble;
pub use ewma::Ewma;
pub use half_space_trees::HalfSpaceTrees;
pub use holt_winters::HoltWinters;
pub use record::Record;
pub use registry::{DETECTORS, Entry, detector};
pub use seasonal_residual::SeasonalResidual;

use crate::{Span, Timestamp};

/// The score at which a detector would raise an alarm by itself.
pub const ALARM_LEVEL: f64 = 0.5;

/// Samples a warm-up may have.
const WARM_UP_SAMPLES: std::ops::RangeInclusive<usize> = 16..=100_000;

/// Scores the samples of one series, in time order.
pub trait Detector: Send {
    /// How unusual the next sample is, in `[0, 1]`; 0 throughout the warm-up.
    ///
    /// A sample that is not finite is missing: it scores 0 and teaches nothing. A gap in
    /// time is not an anomaly; only detectors with a season look at `at`, to find the
    /// place in it. Two samples of one time are two samples.
    fn score(&mut self, at: Timestamp, value: f64) -> f64;

    /// The whole state, for [`Entry::restore`] of the same entry.
    fn save(&self) -> Vec<u8>;
}

/// What a detector is told before its first sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    step: Span,
    warm_up: usize,
}

/// A setting no detector can work with, or a state that is not one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Time does not pass between samples.
    #[error("the step between samples is {step} (allowed: more than 0 s)")]
    Step {
        /// The step given.
        step: Span,
    },
    /// Too few samples to learn from, or more than are kept.
    #[error("the warm-up has {found} samples (allowed: {} to {})", WARM_UP_SAMPLES.start(), WARM_UP_SAMPLES.end())]
    WarmUp {
        /// The number given.
        found: usize,
    },
    /// The bytes are not the saved state of this detector.
    #[error("not a saved state of the detector `{detector}`: {cause}")]
    State {
        /// Name of the entry.
        detector: &'static str,
        /// What the decoder says.
        cause: postcard::Error,
    },
}

impl Setting {
    /// Samples come every `step`, nominally; the first `warm_up` of them are only learnt from.
    ///
    /// # Errors
    /// When `step` is not positive or `warm_up` is not from 16 to 100,000.
    pub fn new(step: Span, warm_up: usize) -> Result<Self, Error> {
        if step <= Span::ZERO {
            return Err(Error::Step { step });
        }
        if !WARM_UP_SAMPLES.contains(&warm_up) {
            return Err(Error::WarmUp { found: warm_up });
        }
        Ok(Self { step, warm_up })
    }

    /// Nominal time between two samples.
    pub const fn step(self) -> Span {
        self.step
    }

    /// Samples that are learnt from before the first score.
    pub const fn warm_up(self) -> usize {
        self.warm_up
    }

    /// Alarms as every evaluation of this project raises them: at [`ALARM_LEVEL`], lowered
    /// at half of it, with a rest of a fifth of the warm-up.
    ///
    /// The rest is that of KNN-CAD and CAD-OSE on the Numenta benchmark.
    pub fn alarm(self) -> Alarm {
        Alarm::new(AlarmSpec {
            raise: ALARM_LEVEL,
            lower: ALARM_LEVEL / 2.0,
            rest: self.warm_up / 5,
        })
    }
}

/// Maps a statistic from `[0, inf)` to `[0, 1)`, `level` to [`ALARM_LEVEL`].
fn squash(statistic: f64, level: f64) -> f64 {
    debug_assert!(level > 0.0);
    if statistic == f64::INFINITY {
        return 1.0;
    }
    statistic / (statistic + level)
}

/// The state of a detector as bytes.
fn encode<T: serde::Serialize>(state: &T) -> Vec<u8> {
    postcard::to_allocvec(state).expect("a detector's state is numbers and vectors of numbers")
}

/// Value at rank `share` of sorted finite values, the nearest rank below.
fn sorted_quantile(sorted: &[f64], share: f64) -> f64 {
    assert!(!sorted.is_empty(), "no value to take a quantile of");
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_refused_with_what_is_allowed() {
        let refused = Setting::new(Span::ZERO, 100).unwrap_err().to_string();
        assert_eq!(
            refused,
            "the step between samples is 0 s (allowed: more than 0 s)"
        );
        let refused = Setting::new(Span::from_minutes(5), 3).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the warm-up has 3 samples (allowed: 16 to 100000)"
        );
    }

    #[test]
    fn the_level_is_squashed_to_the_alarm_level() {
        assert_eq!(squash(3.0, 3.0), ALARM_LEVEL);
        assert_eq!(squash(0.0, 3.0), 0.0);
        assert_eq!(squash(f64::INFINITY, 3.0), 1.0);
        assert!(squash(1e300, 3.0) <= 1.0);
    }
}
