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
//! periods. Beside it: [`Schedule`] finds period and phase of upstream releases, [`Stretches`] has the time
//! from a signal to its answer, [`PooledGaps`] learns from the needs of other services, [`Recalibrated`] corrects
//! a model by what came of what it said.
//! Must never know: how needs are scored or staged.
mod exposure;
mod fix;
mod gaps;
mod isotonic;
mod mixture;
mod pooled;
mod rate;
mod schedule;
mod stack;
mod train;
mod upstream;

pub use exposure::ExposureModel;
pub use fix::{Case, Stretches};
pub use gaps::Gaps;
pub use isotonic::Recalibrated;
pub use mixture::EventMixture;
pub use pooled::PooledGaps;
pub use rate::Rate;
pub use schedule::{Found, Outlook, Schedule};
pub use upstream::UpstreamModel;

pub(crate) use isotonic::{DEPENDENCY as DEPENDENCY_ISOTONIC, RELEASE as RELEASE_ISOTONIC};
pub(crate) use mixture::{DEPENDENCY, DEPENDENCY_POOLED, EXPOSURE, RELEASE, SUITE, UPSTREAM};
pub(crate) use pooled::ENTRY as POOLED_GAPS;
pub(crate) use upstream::ENTRY as SCHEDULE;

use prestage_telemetry::Timestamp;

use crate::model::NeedModel;

/// A need model that says how many needs to expect, of which the probability of one follows.
pub trait Intensity: NeedModel {
    /// Needs expected in `(now, now + hours]`: the log of the probability of none, negated. Finite,
    /// and not falling in `hours`.
    fn expected(&self, now: Timestamp, hours: f64) -> f64;
}
