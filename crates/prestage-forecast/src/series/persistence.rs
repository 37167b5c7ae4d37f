//! The newest value, for ever: hard to beat a few minutes ahead ("Is machine learning necessary
//! for cloud resource usage forecasting?", SoCC 2023). Fails wherever a rhythm turns.
use serde::{Deserialize, Serialize};

use super::band::Banded;
use super::grid::Gridded;
use super::registry::Entry;
use super::{Past, PointModel};

/// Registry entry.
pub const ENTRY: Entry = Entry {
    name: "persistence",
    about: "the newest value, with the errors that it makes",
    build: |setting| Box::new(Gridded::new(setting, Banded::new(setting, Persistence))),
    restore: Gridded::<Banded<Persistence>>::restore,
};

/// See the module.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Persistence;

impl PointModel for Persistence {
    fn learn(&mut self, _past: &Past) {}

    fn point(&self, past: &Past, _steps: usize) -> f64 {
        past.newest()
    }
}

#[cfg(test)]
mod tests {
    use prestage_telemetry::{Span, Timestamp};

    use super::*;
    use crate::series::Setting;

    #[test]
    fn steps_of_known_size_give_intervals_of_that_size() {
        // A walk of +-1 steps: one step ahead the value is one off, one way or the other.
        let setting = Setting::new(Span::from_hours(1), 1).unwrap();
        let mut forecaster = (ENTRY.build)(&setting);
        let mut value = 100.0;
        for i in 0..2_000_i64 {
            value += if (i * i * 7_919 / 64) % 2 == 0 {
                1.0
            } else {
                -1.0
            };
            forecaster.update(Timestamp::from_seconds(i * 3_600), value);
        }
        let quantiles = forecaster.predict(1);
        assert!(
            (quantiles.at(0.05) - (value - 1.0)).abs() < 0.2,
            "{quantiles:?}"
        );
        assert!(
            (quantiles.at(0.95) - (value + 1.0)).abs() < 0.2,
            "{quantiles:?}"
        );
    }
}
