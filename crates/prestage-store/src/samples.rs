//! Samples on their way into a store, and what became of them.
use std::collections::BTreeMap;

use prestage_telemetry::Timestamp;

use crate::SeriesRef;

/// Samples in columns; any order, any mixture of series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    pub(crate) series: Vec<u32>,
    pub(crate) times: Vec<i64>,
    pub(crate) values: Vec<f64>,
}

/// Why a sample was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// NaN or infinite.
    NotFinite,
    /// A metric that ends in `_total` below zero.
    NegativeCounter,
    /// Before 1970 or after 9999.
    TimeOutOfRange,
    /// Of a day whose raw samples were downsampled already.
    TooLate,
}

/// Samples that were refused for one reason.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejection {
    /// How many.
    pub count: u64,
    /// The first of them, with its series, time and value.
    pub first: String,
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Samples taken; durable once [`crate::Store::sync`] returns.
    pub accepted: u64,
    /// Of those, older than an earlier sample of their series: sorted in when they are sealed.
    pub out_of_order: u64,
    /// Samples refused, by reason.
    pub rejected: BTreeMap<Reason, Rejection>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a sample.
    #[inline]
    pub fn push(&mut self, series: SeriesRef, time: Timestamp, value: f64) {
        self.series.push(series.0);
        self.times.push(time.0);
        self.values.push(value);
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Forgets the samples and keeps the memory.
    pub fn clear(&mut self) {
        self.series.clear();
        self.times.clear();
        self.values.clear();
    }
}

impl Reason {
    /// In words, as messages show it.
    pub fn words(self) -> &'static str {
        match self {
            Self::NotFinite => "not a finite number",
            Self::NegativeCounter => "a counter below zero",
            Self::TimeOutOfRange => "a time outside 1970 to 9999",
            Self::TooLate => "older than the raw samples that are kept",
        }
    }
}

impl Outcome {
    /// Adds another outcome.
    pub fn merge(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.out_of_order += other.out_of_order;
        for (reason, rejection) in other.rejected {
            self.rejected
                .entry(reason)
                .and_modify(|known| known.count += rejection.count)
                .or_insert(rejection);
        }
    }

    /// Samples refused, whatever the reason.
    pub fn rejected_count(&self) -> u64 {
        self.rejected
            .values()
            .map(|rejection| rejection.count)
            .sum()
    }
}
