//! Whose metric a sample belongs to.
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Metric;

/// A service, numbered densely from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ServiceId(pub u32);

/// One metric of one service, or of the whole world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SeriesId {
    /// The service, or [`ServiceId::GLOBAL`].
    pub service: ServiceId,
    /// The metric.
    pub metric: Metric,
}

impl ServiceId {
    /// Stands for what belongs to no single service: the runner pool, the calendar.
    pub const GLOBAL: Self = Self(u32::MAX);

    /// Position among the services.
    ///
    /// # Panics
    /// On [`ServiceId::GLOBAL`], which has none.
    pub fn index(self) -> usize {
        assert!(self != Self::GLOBAL, "the global service has no index");
        self.0 as usize
    }
}

impl SeriesId {
    /// `metric` of `service`.
    pub const fn new(service: ServiceId, metric: Metric) -> Self {
        Self { service, metric }
    }

    /// `metric` of the whole world.
    pub const fn global(metric: Metric) -> Self {
        Self {
            service: ServiceId::GLOBAL,
            metric,
        }
    }

    /// Column in a dense table whose first row is the global one.
    pub(crate) const fn column(self) -> usize {
        // GLOBAL is u32::MAX, so that adding one wraps it to row 0.
        self.service.0.wrapping_add(1) as usize * Metric::COUNT + self.metric.index()
    }
}

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::GLOBAL => f.write_str("global"),
            Self(number) => write!(f, "service {number}"),
        }
    }
}

impl fmt::Display for SeriesId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.metric, self.service)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_dense_and_global_comes_first() {
        assert_eq!(SeriesId::global(Metric::RequestsPerSecond).column(), 0);
        assert_eq!(
            SeriesId::global(Metric::BuildFailuresTotal).column(),
            Metric::COUNT - 1
        );
        let first = SeriesId::new(ServiceId(0), Metric::RequestsPerSecond);
        assert_eq!(first.column(), Metric::COUNT);
    }
}
