//! Rare needs: a release, a dependency update, a suite over its budget.
//!
//! ```text
//! hazards (short and long memory) --+
//! gaps between needs ---------------+--> mixture weighted by log score --> online logistic stack --> p
//! rate, trains of 1 to 13 weeks ----+
//! ```
//!
//! [`EventMixture`] wraps a need model and asks simpler ones beside it: the histogram of gaps and the
//! plain rate, which are also the baselines that any event model must beat, and trains of regular
//! periods. Must never know: how needs are scored or staged.
mod gaps;
mod logistic;
mod mixture;
mod rate;
mod train;

pub use gaps::Gaps;
pub use mixture::EventMixture;
pub use rate::Rate;

pub(crate) use mixture::{DEPENDENCY, RELEASE, SUITE};
