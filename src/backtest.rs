//! Forecasters compared on recorded series: reading them, walking all through all, summing up.
//!
//! The forecasters and the walk are `prestage_forecast`; here are the files, the threads and the
//! comparison. Series are spread over threads and results gathered in their order, so that the
//! output is the same on any number of them.
mod compare;
mod events;
mod fans;
mod series;
mod summary;

pub use compare::{Comparison, Options, Part, SeriesResult, Task, compare};
pub use events::{
    EventSummary, RecordedEvents, RecordedSignals, StreamVerdict, Verdict, compare_events,
    compare_fixes,
};
pub use fans::{Fan, Rank, fans};
pub use series::{Recorded, RecordedSeries, read};
pub use summary::{ModelSummary, summarize};
