//! Which metric of which service a sample belongs to, and how many of those a store admits.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Error;

/// Series that a store admits if `store.json` does not say otherwise.
pub const SERIES_LIMIT_DEFAULT: usize = 100_000;

const METRIC_LENGTH_MAX: usize = 200;
const SERVICE_LENGTH_MAX: usize = 256;

/// A metric, by its Prometheus name, of a service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesKey {
    /// Prometheus name of the metric.
    pub metric: String,
    /// Name of the service; empty for what belongs to none.
    pub service: String,
}

/// A series of one open store; cheap to copy, meaningless in any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeriesRef(pub(crate) u32);

/// The series of a store, numbered in the order they came.
#[derive(Debug, Default)]
pub struct SeriesTable {
    keys: Vec<SeriesKey>,
    numbers: BTreeMap<SeriesKey, u32>,
}

impl SeriesKey {
    /// `metric` of `service`.
    ///
    /// # Errors
    /// When a name is one that the store or Prometheus would not take.
    pub fn new(metric: &str, service: &str) -> Result<Self, Error> {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let starts_well = metric.starts_with(|c: char| is_word(c) && !c.is_ascii_digit());
        if !starts_well || !metric.chars().all(is_word) || metric.len() > METRIC_LENGTH_MAX {
            return Err(Error::MetricName {
                name: metric.to_owned(),
            });
        }
        if service.len() > SERVICE_LENGTH_MAX || service.chars().any(char::is_control) {
            return Err(Error::ServiceName {
                name: service.escape_debug().to_string(),
            });
        }
        Ok(Self {
            metric: metric.to_owned(),
            service: service.to_owned(),
        })
    }

    /// Whether the values count something, so that none can be negative.
    pub fn is_counter(&self) -> bool {
        self.metric.ends_with("_total")
    }

    /// `metric{service}`, as messages show it.
    pub fn shown(&self) -> String {
        format!("{}{{service=\"{}\"}}", self.metric, self.service)
    }
}

impl SeriesTable {
    /// The number of a series; a new one gets the next, unless `limit` is reached.
    pub fn number(&mut self, key: &SeriesKey, limit: usize) -> Result<u32, Error> {
        if let Some(&number) = self.numbers.get(key) {
            return Ok(number);
        }
        if self.keys.len() >= limit {
            return Err(Error::Cardinality {
                series: key.shown(),
                count: self.keys.len() + 1,
                limit,
            });
        }
        let number = self.keys.len() as u32;
        self.keys.push(key.clone());
        self.numbers.insert(key.clone(), number);
        Ok(number)
    }

    /// Every series, by its number.
    pub fn keys(&self) -> &[SeriesKey] {
        &self.keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert!(SeriesKey::new("requests_per_second", "").is_ok());
        assert!(SeriesKey::new("job:rate5m", "é/web.1").is_ok());
        for metric in ["", "5xx", "a-b", "a b", "ä"] {
            assert!(SeriesKey::new(metric, "web").is_err(), "{metric}");
        }
        let error = SeriesKey::new("cpu", "a\nb").unwrap_err();
        assert_eq!(
            error.to_string(),
            "service `a\\nb` (allowed: at most 256 bytes without control characters)"
        );
    }

    #[test]
    fn a_series_too_many_is_refused_with_its_name() {
        let mut table = SeriesTable::default();
        let key = |service: &str| SeriesKey::new("cpu", service).unwrap();
        assert_eq!(table.number(&key("a"), 1).unwrap(), 0);
        assert_eq!(table.number(&key("a"), 1).unwrap(), 0);
        let message = table.number(&key("b"), 1).unwrap_err().to_string();
        assert!(
            message.starts_with(
                "series `cpu{service=\"b\"}` would be number 2 of the store (allowed: 1)"
            ),
            "{message}"
        );
    }
}
