//! Probabilistic forecasts of one series: samples in, quantiles out.
//!
//! ```text
//! sample -> Grid (slots, gaps) -> Past (filled memory) -> Model -> Quantiles on a fixed grid of levels
//! ```
//!
//! Every [`Forecaster`] streams: bounded time and memory for each sample, and what it will say
//! depends on nothing but the samples it was given, their order and the moments of
//! [`Forecaster::retrain`]. [`FORECASTERS`] lists them, the first is the default; a new one is a
//! file and a line.
//!
//! What becomes of awkward samples, for every entry:
//!
//! | input | outcome |
//! |---|---|
//! | NaN, an infinity, a magnitude beyond 1e100 | missing: time passes, nothing is learnt |
//! | a gap | the slots between are missing; beyond four longest seasons they are not walked through |
//! | irregular steps | a sample belongs to the nearest slot; further samples of a slot are counted and dropped |
//! | a sample older than the newest | counted and dropped |
//! | a value below the floor | raised to the floor; no quantile is ever below it |
//! | no sample at all | every quantile is the floor, or zero without one |
//! | a model that diverges | the newest value takes its place, [`Health::fallbacks`] counts it |
//! | daylight saving, leap days | slots are UTC: a shifted rhythm is a change of profile, which is relearnt |
//!
//! Must never know: needs, files, threads, where samples come from.
mod setting;

mod quantiles;

mod grid;
mod past;

mod atom;
mod band;
mod least_squares;
mod profile;
mod sorted_window;

mod drift;

mod ensemble;
mod holt_winters;
mod mstl;
mod persistence;
mod quantile_regression;
mod registry;
mod regressors;
mod ridge;
mod seasonal_naive;
mod theta;

pub(crate) use drift::Drift;
pub use quantiles::{LEVELS, Quantiles};
pub use registry::{Entry, FORECASTERS, forecaster};
pub use setting::Setting;

use past::Past;
use prestage_telemetry::{Span, Timestamp};

/// Forecasts one series.
pub trait Forecaster: Send {
    /// Takes the next sample; see the module for samples that are not fit to be learnt from.
    fn update(&mut self, at: Timestamp, value: f64);

    /// Chooses again what is not tracked with every sample: smoothing constants, seasonal
    /// decompositions. Costs a pass or a few over what is remembered.
    fn retrain(&mut self);

    /// The distribution of the value `steps` slots after the newest sample's, from 1 to the
    /// setting's horizon; finite and not decreasing in the level.
    fn predict(&self, steps: usize) -> Quantiles;

    /// How the forecaster is doing.
    fn health(&self) -> Health;

    /// The whole state, for [`Entry::restore`] of the same entry.
    fn save(&self) -> Vec<u8>;

    /// Takes a whole history, oldest first, and retrains on it; also on the way, ever more rarely, so
    /// that the errors which give the intervals are those of a trained model.
    fn fit(&mut self, history: &[(Timestamp, f64)]);
}

/// What a forecaster has to say of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Health {
    /// Samples that could not be taken: older than the newest, or the second of a slot.
    pub dropped: u64,
    /// Slots that passed without a usable sample.
    pub missing: u64,
    /// Forecasts in which the model's own answer was not finite and the newest value stood in.
    pub fallbacks: u64,
    /// Whether errors have grown since the last retraining beyond what chance explains: time
    /// to call [`Forecaster::retrain`].
    pub drifted: bool,
}

/// A setting no forecaster can work with, or a state that is not one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Time does not pass between samples.
    #[error("the step between samples is {step} (allowed: more than 0 s)")]
    Step {
        /// The step given.
        step: Span,
    },
    /// No horizon, or one that nobody could keep state for.
    #[error(
        "the horizon has {found} steps (allowed: 1 to {})",
        setting::HORIZON_MAX
    )]
    Horizon {
        /// The number of steps given.
        found: usize,
    },
    /// The bytes are not the saved state of this forecaster.
    #[error("not a saved state of the forecaster `{forecaster}`: {cause}")]
    State {
        /// Name of the entry.
        forecaster: &'static str,
        /// What the decoder says.
        cause: postcard::Error,
    },
}

/// What the entries are made of: a model on a regular grid, given the past with every slot.
trait Model: serde::Serialize + serde::de::DeserializeOwned + Send + 'static {
    /// The newest slot of `past` is new; it may be missing.
    fn learn(&mut self, past: &Past);

    /// The distribution `steps` slots ahead.
    fn quantiles(&self, past: &Past, steps: usize) -> Quantiles;

    /// See [`Forecaster::retrain`].
    fn retrain(&mut self, _past: &Past) {}

    /// See [`Health::fallbacks`].
    fn fallbacks(&self) -> u64 {
        0
    }

    /// See [`Health::drifted`].
    fn has_drifted(&self) -> bool {
        false
    }
}

/// A model that only says where the middle of the distribution is; [`band::Banded`] makes
/// the rest out of its errors.
trait PointModel: serde::Serialize + serde::de::DeserializeOwned + Send + 'static {
    /// The newest slot of `past` is new; it may be missing.
    fn learn(&mut self, past: &Past);

    /// The value expected `steps` slots ahead.
    fn point(&self, past: &Past, steps: usize) -> f64;

    /// The same for the anchor `which` of the setting, asked for right after `learn`: a model that
    /// has just made that forecast to be scored does not make it twice.
    fn anchor_point(&self, past: &Past, _which: usize, steps: usize) -> f64 {
        self.point(past, steps)
    }

    /// See [`Forecaster::retrain`].
    fn retrain(&mut self, _past: &Past) {}
}

#[cfg(test)]
mod conformance;
