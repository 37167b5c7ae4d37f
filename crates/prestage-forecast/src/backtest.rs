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
mod signals;
mod slots;

pub use events::{EventStream, Said, log_score, walk_events, walk_in_fleet};
pub use rolling::{Plan, Walk, walk};
pub use scores::{PIT_BINS, Scores, pinball_loss};
pub use signals::{Signal, Signals, walk_signals};
pub use slots::Slots;
