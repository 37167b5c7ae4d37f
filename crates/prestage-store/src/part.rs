//! One Parquet file of one metric and one day, sorted by service and time.
//!
//! Columns of a raw partition: `service`, `time` (UTC, microseconds), `value`. Columns of a
//! downsampled one: `service`, `time` (start of the bucket), `count`, `sum`, `min`, `max`, `first`,
//! `last`, `increase`, `sketch`. Since rows are sorted, one list of runs in the footer says which rows
//! belong to which service ([`index`]): a query reads only the row groups it needs and never the column
//! of services. Only the Parquet crate's column readers and writers are used, not Arrow's: for
//! three flat columns they do the same work in a fifth of the build.
mod describe;
mod index;
mod read;
mod schema;
mod write;

pub use describe::{Described, describe};
pub use index::Run;
pub use read::PartFile;
pub use schema::required;
pub use write::{RawRun, RollupRun, Target, write_raw, write_rollup};

/// Rows of a row group: about what DuckDB gives one thread (122,880).
pub const ROW_GROUP_ROWS: usize = 131_072;

/// Version of the schema, in the footer of every partition.
pub const SCHEMA_VERSION: u32 = 1;

#[cfg(test)]
mod tests;
