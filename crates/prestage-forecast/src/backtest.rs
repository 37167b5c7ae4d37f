//! Rolling-origin evaluation of the forecasters of [`crate::series`] and of the need models of events.
//!
//! A forecaster walks once through a series; at every origin it says what it expects at each step of
//! the horizon, and is told the values only as the walk reaches them. So no forecast can know its
//! future, and one walk costs what the forecaster would cost in operation.
//!
//! Must never know: files, threads, how results are printed.
mod events;
mod rolling;
mod scores;
mod slots;

pub use events::{EventStream, Said, log_score, walk_events};
pub use rolling::{Plan, Walk, walk};
pub use scores::{PIT_BINS, Scores, pinball_loss};
pub use slots::Slots;
