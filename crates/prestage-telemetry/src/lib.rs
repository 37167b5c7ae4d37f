//! Telemetry: what was measured, when, and of which service.
//!
//! Two stores of the same facts: the in-memory [`Tail`], which the simulator and the live
//! loop append to and the forecasters read, and the [`history`] directory, a recorded
//! world on disk. [`detect`] says which samples are unlike what came before. Must never know
//! SQL or Parquet (that is prestage-store), simulation, or reinforcement learning.
mod metric;
mod series;
mod tail;
mod time;

pub mod detect;
pub mod history;

pub use history::History;
pub use metric::{METRICS, Metric, MetricInfo, MetricKind};
pub use series::{SeriesId, ServiceId};
pub use tail::{OutOfOrder, Tail};
pub use time::{Span, Timestamp};
