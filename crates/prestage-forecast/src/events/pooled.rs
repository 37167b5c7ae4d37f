//! Gaps between needs, pooled in part over the services of a fleet.
//!
//! A service with two needs says little about its gaps; a fleet of thirty such services says much about
//! gaps in general. The hazard by the time since the last need is the fleet's, times the service's own
//! level, bent to its own gaps as they come in (see the module `fix`, which does the same for signals). It
//! reads the needs of all services that the telemetry has; a fleet of one is a service on its own. Fails where
//! services have nothing in common.
use prestage_telemetry::{Metric, SeriesId, ServiceId, Span, Tail, Timestamp};
use serde::{Deserialize, Serialize};

use super::Intensity;
use super::fix::{Life, Stretches};
use crate::model::{Entry, NeedModel, NeedModelInput, restored, saved};

/// Registry entry.
pub const ENTRY: Entry = Entry {
    name: "pooled-suite-gaps",
    about: "gaps between a suite's needs, a gamma-Poisson hazard pooled in part over all suites",
    need: "test_suite",
    build: |input| Box::new(PooledGaps::new(input, Metric::TestShards)),
    restore: restored::<PooledGaps>,
};

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PooledGaps {
    own: usize,
    needs: Metric,
    services: Vec<Gone>,
    hazard: Stretches,
}

/// What a service has lived through.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Gone {
    cursor: u64,
    newest_value: f64,
    /// The last need, or the beginning.
    last: Option<Timestamp>,
    life: Life,
}

impl Gone {
    const NOTHING: Self = Self {
        cursor: 0,
        newest_value: f64::INFINITY,
        last: None,
        life: Life::NONE,
    };

    fn read(&mut self, tail: &Tail, series: SeriesId) {
        let (times, values) = tail.read(series, &mut self.cursor);
        for (&at, &value) in times.iter().zip(values) {
            let last = *self.last.get_or_insert(at);
            if is_need(series.metric, value, self.newest_value) {
                let age_h = (at - last).as_hours();
                self.life.pass(0.0, age_h);
                self.life.happen(age_h);
                self.last = Some(at);
            }
            self.newest_value = value;
        }
    }

    /// With the time since the last need.
    fn life_until(&self, now: Timestamp) -> Life {
        let mut life = self.life;
        life.pass(0.0, self.age_h(now));
        life
    }

    fn age_h(&self, now: Timestamp) -> f64 {
        self.last
            .map_or(0.0, |last| (now - last).as_hours().max(0.0))
    }
}

/// Whether a sample is a need: shards that grow, advisories that expose, whatever else is counted.
pub(super) fn is_need(metric: Metric, value: f64, before: f64) -> bool {
    match metric {
        Metric::TestShards => value > before,
        Metric::AdvisoriesTotal => value > 0.0,
        _ => true,
    }
}

impl PooledGaps {
    /// A model that has seen nothing; needs are the samples of `needs`, of any service.
    pub fn new(input: NeedModelInput, needs: Metric) -> Self {
        let own = input.service.0 as usize;
        Self {
            own,
            needs,
            services: vec![Gone::NOTHING; own + 1],
            hazard: Stretches::of_fleet(&Life::NONE),
        }
    }

    fn read(&mut self, tail: &Tail, service: usize) {
        let series = SeriesId::new(ServiceId(service as u32), self.needs);
        self.services[service].read(tail, series);
    }
}

impl NeedModel for PooledGaps {
    fn save(&self) -> Vec<u8> {
        saved(self)
    }

    /// Its own service is followed all the time, the others from one retraining to the next.
    fn observe(&mut self, tail: &Tail, now: Timestamp) {
        self.services
            .resize(tail.services().max(self.own + 1), Gone::NOTHING);
        self.services[self.own].last.get_or_insert(now);
        for service in 0..tail.services() {
            self.read(tail, service);
        }
    }

    fn retrain(&mut self, now: Timestamp) {
        let lives: Vec<Life> = self
            .services
            .iter()
            .map(|gone| gone.life_until(now))
            .collect();
        self.hazard = Stretches::pooled(&lives, self.own);
    }

    fn set_half_life(&mut self, _half_life: Span) {
        // Gaps are rare: none is forgotten.
    }

    fn probability(&self, now: Timestamp, horizon: Span) -> f64 {
        -(-self.expected(now, horizon.as_hours())).exp_m1()
    }

    fn demand_ratio(&self) -> f64 {
        0.0
    }
}

impl Intensity for PooledGaps {
    fn expected(&self, now: Timestamp, hours: f64) -> f64 {
        self.hazard
            .expected(self.services[self.own].age_h(now), hours)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(service: u32) -> NeedModelInput {
        NeedModelInput {
            service: ServiceId(service),
            rated_load_per_replica: 1.0,
            suite_budget_s: 1.0,
        }
    }

    #[test]
    fn a_new_service_is_forecast_from_the_others() {
        let start = Timestamp::from_seconds(1_704_067_200);
        let mut tail = Tail::new(6, Span::MAX);
        for service in 0..5 {
            let series = SeriesId::new(ServiceId(service), Metric::ReleasesTotal);
            for week in 0..50 {
                tail.push(
                    series,
                    start + Span::from_hours(week * 168 + i64::from(service)),
                    1.0,
                );
            }
        }
        let now = start + Span::from_days(340);
        let told = |service: u32| {
            let mut model = PooledGaps::new(input(service), Metric::ReleasesTotal);
            model.observe(&tail, now);
            model.retrain(now);
            model
        };
        let stranger = told(5);
        let soon = stranger.probability(now, Span::from_hours(96));
        let late = now + Span::from_hours(160);
        let due = stranger.probability(late, Span::from_hours(24));
        assert!(soon < 0.2 && due > 0.5, "soon {soon}, due {due}");
        // On its own it knows nothing but its prior.
        let mut alone = PooledGaps::new(input(0), Metric::ReleasesTotal);
        let empty = Tail::new(1, Span::MAX);
        alone.observe(&empty, now);
        alone.retrain(now);
        let by_prior = alone.probability(late, Span::from_hours(24));
        assert!(by_prior < 0.1, "{by_prior}");
    }
}
