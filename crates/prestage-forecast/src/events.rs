//! Rare needs: a release, a dependency update, a suite over its budget.
//!
//! ```text
//! hazards (short and long memory) --+
//! gaps between needs ---------------+--> pool weighted by log score --> online stack --> needs in a day
//! rate, trains of 1 to 13 weeks ----+                                                    |
//! hazard (short memory) --> where in the day ------------------------------------------> p
//! ```
//!
//! [`EventMixture`] wraps a need model and asks simpler ones beside it: the histogram of gaps and the
//! plain rate, which are also the baselines that any event model must beat, and trains of regular
//! periods. Must never know: how needs are scored or staged.
mod gaps;
mod mixture;
mod rate;
mod stack;
mod train;

pub use gaps::Gaps;
pub use mixture::EventMixture;
pub use rate::Rate;

pub(crate) use mixture::{DEPENDENCY, RELEASE, SUITE};

use prestage_telemetry::Timestamp;

use crate::model::NeedModel;

/// A need model that says how many needs to expect, of which the probability of one follows.
pub trait Intensity: NeedModel {
    /// Needs expected in `(now, now + hours]`: the log of the probability of none, negated. Finite,
    /// and not falling in `hours`.
    fn expected(&self, now: Timestamp, hours: f64) -> f64;
}
