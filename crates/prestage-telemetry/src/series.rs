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

    /// Column in a dense table with a block for every metric, of the global series
    /// first and `services` more: a sweep of all services goes through it in order.
    pub(crate) const fn column(self, services: usize) -> usize {
        // GLOBAL is u32::MAX, so that adding one wraps it to place 0.
        self.metric.index() * (services + 1) + self.service.0.wrapping_add(1) as usize
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
        const SERVICES: usize = 3;
        assert_eq!(
            SeriesId::global(Metric::RequestsPerSecond).column(SERVICES),
            0
        );
        let mut columns: Vec<usize> = crate::METRICS
            .iter()
            .flat_map(|row| {
                let services = (0..SERVICES as u32).map(ServiceId);
                std::iter::once(ServiceId::GLOBAL)
                    .chain(services)
                    .map(|service| SeriesId::new(service, row.metric).column(SERVICES))
            })
            .collect();
        columns.sort_unstable();
        assert!(columns.into_iter().eq(0..Metric::COUNT * (SERVICES + 1)));
    }
}
