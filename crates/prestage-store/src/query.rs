//! Time-series questions: one metric, some services, a range, buckets, aggregations.
//!
//! Percentiles of raw samples are exact: linear interpolation between order statistics (type 7 of
//! Hyndman and Fan, "Sample Quantiles in Statistical Packages", 1996), as DuckDB's `quantile_cont` and NumPy
//! have it. Where raw samples were downsampled they come from sketches, within
//! [`crate::RELATIVE_ERROR`].
mod accumulate;
mod output;
mod samples;
mod scan;
mod snapshot;
mod spec;

pub use samples::DaySamples;
#[cfg(feature = "sql")]
pub use samples::Decode;
#[cfg(feature = "sql")]
pub use scan::wanted_rows;
pub use snapshot::Snapshot;
pub use spec::{Aggregation, Query};

use prestage_telemetry::Timestamp;

/// The answer to a query, in columns; rows are in order of time, then service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rollup {
    /// Start of each row's bucket.
    pub times: Vec<Timestamp>,
    /// Position of each row's service in `services`; all 0 where services are taken together.
    pub service_numbers: Vec<u32>,
    /// Services of the answer, sorted; empty where they are taken together.
    pub services: Vec<String>,
    /// One column for each aggregation of the query, in its order.
    pub columns: Vec<Vec<f64>>,
    /// Partitions that could not be read, and are missing from the answer.
    pub damaged: Vec<Damaged>,
    /// Rows decoded.
    pub rows_scanned: u64,
    /// Partitions answered from their footers alone.
    pub parts_from_footer: u64,
    /// Whether a percentile comes from sketches.
    pub is_approximate: bool,
}

/// A partition that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// Path below the store.
    pub file: String,
    /// What does not fit.
    pub problem: String,
}

/// One row of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Row<'a> {
    /// Start of the bucket.
    pub time: Timestamp,
    /// The service, where services are kept apart.
    pub service: Option<&'a str>,
    /// One value for each aggregation.
    pub values: Vec<f64>,
}

impl Rollup {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether no sample matched.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Leaves only the services that have rows.
    fn forget_absent_services(&mut self) {
        let mut new_numbers: Vec<Option<u32>> = vec![None; self.services.len()];
        for &number in &self.service_numbers {
            new_numbers[number as usize] = Some(0);
        }
        for (next, number) in new_numbers.iter_mut().flatten().enumerate() {
            *number = next as u32;
        }
        let mut present = new_numbers.iter().map(Option::is_some);
        self.services.retain(|_| present.next() == Some(true));
        for number in &mut self.service_numbers {
            *number = new_numbers[*number as usize].expect("every row's service was marked");
        }
    }

    /// The rows, one by one.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.len()).map(|row| Row {
            time: self.times[row],
            service: self
                .services
                .get(self.service_numbers[row] as usize)
                .map(String::as_str),
            values: self.columns.iter().map(|column| column[row]).collect(),
        })
    }
}

#[cfg(test)]
mod tests;
