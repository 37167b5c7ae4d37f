//! Anomaly detectors on recorded series: reading them, running one, comparing all.
//!
//! The detectors and the measures are `prestage_telemetry::detect`; here are the files, the
//! threads and what is printed. Files are spread over threads, results gathered in the order
//! of their names, so that the output is the same on any number of them.
mod bench;
mod error;
mod nab;
mod run;
mod series;
mod timestamp;

pub use bench::{Bench, DetectorBench, LabelledScore, ProfileScore, bench};
pub use error::Error;
pub use nab::{Corpus, is_corpus};
pub use run::{RaisedAlarm, Run, RunOptions, run};
pub use series::{Series, read_directory, read_series};
