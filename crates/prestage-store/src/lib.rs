//! The time-series database on disk: what `prestage` measured, for years, in files that others read.
//!
//! A [`Store`] is a directory. Samples go through a write-ahead log into an in-memory columnar
//! tail and are sealed into Parquet partitions, one for each day and metric, sorted by service
//! and time; DuckDB, Polars and Spark read those files as they are. [`Snapshot`] answers
//! time-series queries over partitions and tail. Beside it, importers make histories of what
//! other tools recorded, and exporters hand samples on.
//!
//! Must never know forecasts, simulation or reinforcement learning; only the root package uses
//! it, so that nothing that simulates has to build Parquet.
mod disk;
mod error;
mod http;
mod manifest;
mod part;
mod query;
mod samples;
mod series;
mod sketch;
#[cfg(feature = "sql")]
mod sql;
mod store;
mod summary;
mod tail;
mod wal;

pub mod export;
pub mod import;
pub mod ingest;

#[cfg(test)]
mod http_server;
#[cfg(test)]
mod kills;

pub use error::Error;
pub use http::Patience;
pub use manifest::{PartMeta, Tier};
pub use query::{Aggregation, Damaged, DaySamples, Query, Rollup, Row, Snapshot};
pub use samples::{Batch, Outcome, Reason, Rejection};
pub use series::{SERIES_LIMIT_DEFAULT, SeriesKey, SeriesRef};
pub use sketch::{RELATIVE_ERROR, Sketch};
#[cfg(feature = "sql")]
pub use sql::{SqlAnswer, SqlColumn, SqlValues};
pub use store::{CheckReport, Counts, Rebuilt, Recovered, Retention, Store, StoreOptions};
