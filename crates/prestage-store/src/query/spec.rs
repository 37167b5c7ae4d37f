//! What can be asked.
use std::fmt;
use std::str::FromStr;

use prestage_telemetry::{Span, Timestamp};

use crate::Error;

/// A question about one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// Prometheus name of the metric.
    pub metric: String,
    /// Services to look at; all when empty.
    pub services: Vec<String>,
    /// First instant of the range.
    pub from: Timestamp,
    /// Instant after the range.
    pub to: Timestamp,
    /// Length of a bucket; buckets begin at multiples of it since 1970. One bucket for the whole
    /// range when absent.
    pub every: Option<Span>,
    /// What to compute of each bucket.
    pub aggregations: Vec<Aggregation>,
    /// One row for each service, instead of all services together.
    pub by_service: bool,
    /// Allow percentiles from sketches where that saves reading samples.
    pub approximate: bool,
}

/// What is computed of the samples in a bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Aggregation {
    /// Number of samples.
    Count,
    /// Their sum.
    Sum,
    /// Their mean.
    Mean,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// Increase a second of a cumulative counter; resets count from zero. The step from the last
    /// sample before the bucket belongs to the bucket, if it lies in the range.
    Rate,
    /// A percentile, from 0 to 100.
    Percentile(f64),
}

impl Query {
    /// Everything known of a metric, by mean.
    pub fn new(metric: &str) -> Self {
        Self {
            metric: metric.to_owned(),
            services: Vec::new(),
            from: Timestamp(0),
            to: Timestamp::MAX,
            every: None,
            aggregations: vec![Aggregation::Mean],
            by_service: false,
            approximate: false,
        }
    }

    /// Whether a service is one of those asked for.
    pub(super) fn wants(&self, service: &str) -> bool {
        self.services.is_empty() || self.services.iter().any(|wanted| wanted == service)
    }

    /// Bucket length in microseconds; the whole of time when there is none.
    pub(super) fn validate(&self) -> Result<i64, Error> {
        let refuse = |problem: String| Err(Error::Query { problem });
        if self.from >= self.to {
            return refuse(format!(
                "the range begins at {} and ends at {} (allowed: an end after the beginning)",
                self.from, self.to
            ));
        }
        if self.aggregations.is_empty() {
            return refuse(format!("no aggregation was asked for (known: {KNOWN})"));
        }
        match self.every {
            None => Ok(i64::MAX),
            Some(every) if every.0 >= 1 => Ok(every.0),
            Some(every) => refuse(format!("buckets of {every} (allowed: longer than 0 s)")),
        }
    }
}

const KNOWN: &str = "count, sum, mean, min, max, rate, p0 to p100";

impl FromStr for Aggregation {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let unknown = || Error::Query {
            problem: format!("there is no aggregation `{text}` (known: {KNOWN})"),
        };
        Ok(match text {
            "count" => Self::Count,
            "sum" => Self::Sum,
            "mean" => Self::Mean,
            "min" => Self::Min,
            "max" => Self::Max,
            "rate" => Self::Rate,
            _ => {
                let percent = text
                    .strip_prefix('p')
                    .and_then(|digits| digits.parse().ok());
                match percent {
                    Some(percent) if (0.0..=100.0).contains(&percent) => Self::Percentile(percent),
                    _ => return Err(unknown()),
                }
            }
        })
    }
}

impl fmt::Display for Aggregation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count => f.write_str("count"),
            Self::Sum => f.write_str("sum"),
            Self::Mean => f.write_str("mean"),
            Self::Min => f.write_str("min"),
            Self::Max => f.write_str("max"),
            Self::Rate => f.write_str("rate"),
            Self::Percentile(percent) => write!(f, "p{percent}"),
        }
    }
}
