//! The footer's list of runs: which rows belong to which service, and what those rows sum up to.
use serde::{Deserialize, Serialize};

use crate::Sketch;

/// Key of the index in the footer.
pub const KEY: &str = "prestage.index";

/// What the footer of a partition says of its rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// [`super::SCHEMA_VERSION`].
    pub schema_version: u32,
    /// `raw`, `5m` or `1h`.
    pub tier: crate::Tier,
    /// The metric.
    pub metric: String,
    /// One for each service, sorted; together all rows.
    pub runs: Vec<Run>,
}

/// The rows of one service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// The service; empty for what belongs to none.
    pub service: String,
    /// Rows.
    pub rows: u64,
    /// Earliest time, epoch microseconds.
    pub first: i64,
    /// Latest time, epoch microseconds.
    pub last: i64,
    /// Samples the rows stand for.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// Their quantile sketch, as hexadecimal digits.
    pub sketch: String,
}

impl Run {
    /// The sketch of the samples; `None` when the digits are none.
    pub fn sketch(&self) -> Option<Sketch> {
        let digits = self.sketch.as_bytes();
        let (pairs, []) = digits.as_chunks::<2>() else {
            return None;
        };
        let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
        Sketch::from_bytes(&bytes?)
    }
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes
        .iter()
        .flat_map(|&byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}
