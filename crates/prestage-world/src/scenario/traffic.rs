//! `[traffic]`: requests of the users, and what clients do when they fail.
use serde::{Deserialize, Serialize};

use super::ranges::Ranges;
use super::traffic_class::{TrafficClass, check_profile};

/// Requests: base x trend x day x week x launch x burst x lognormal noise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrafficSpec {
    /// Mean load of a service, requests a second.
    pub base_rps: f64,
    /// Spread of the base between services (standard deviation of its log).
    pub base_sigma: f64,
    /// What one replica is rated for, requests a second.
    pub rated_rps: f64,
    /// Log amplitude of the daily wave.
    pub daily_amplitude: f64,
    /// Load at weekends over load on weekdays.
    pub weekend_factor: f64,
    /// Log of the load over the base in the middle of each hour, weekdays and then
    /// weekends, instead of wave and weekend factor; empty for those.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hourly_profile: Vec<f64>,
    /// Growth a week; 0.02 is 2 %.
    pub growth_per_week: f64,
    /// Standard deviation of the log noise.
    pub noise_sigma: f64,
    /// Half-life of its correlation, minutes.
    pub noise_half_life_minutes: f64,
    /// Half-life of the filter that makes it go on in the direction it took, minutes; 0
    /// for none.
    pub noise_smoothing_minutes: f64,
    /// Share of its variance that is drawn afresh every five minutes.
    pub noise_white_share: f64,
    /// Bursts a week and service.
    pub bursts_per_week: f64,
    /// Median height of a burst over the load.
    pub burst_factor: f64,
    /// Half-life of a burst, minutes.
    pub burst_minutes: f64,
    /// Share of bursts that hit every service at once.
    pub burst_shared_share: f64,
    /// Product launches a month and service.
    pub launches_per_month: f64,
    /// Median load after a launch over the load before.
    pub launch_factor: f64,
    /// Half-life of the interest in a launch, days.
    pub launch_half_life_days: f64,
    /// Standard deviation of the log step by which a service's level moves each
    /// week without warning (what an upgrade does to the cost of a request).
    pub drift_sigma_per_week: f64,
    /// Probability that a client repeats a failed request a minute later. It acts
    /// on the load that arrives, so it depends on the capacity at hand.
    pub retry_probability: f64,
    /// Services whose load looks different.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<TrafficClass>,
}

impl Default for TrafficSpec {
    fn default() -> Self {
        Self {
            base_rps: 400.0,
            base_sigma: 0.5,
            rated_rps: 50.0,
            daily_amplitude: 0.45,
            weekend_factor: 0.65,
            hourly_profile: Vec::new(),
            growth_per_week: 0.0,
            noise_sigma: 0.08,
            noise_half_life_minutes: 30.0,
            noise_smoothing_minutes: 0.0,
            noise_white_share: 0.0,
            bursts_per_week: 2.0,
            burst_factor: 1.6,
            burst_minutes: 40.0,
            burst_shared_share: 0.0,
            launches_per_month: 0.0,
            launch_factor: 2.0,
            launch_half_life_days: 3.0,
            drift_sigma_per_week: 0.0,
            retry_probability: 0.0,
            classes: Vec::new(),
        }
    }
}

impl TrafficSpec {
    pub(super) fn check(&self, ranges: &mut Ranges) {
        self.check_shape(ranges);
        ranges.share("burst_shared_share", self.burst_shared_share);
        ranges.number("launches_per_month", self.launches_per_month, 0.0, 30.0);
        ranges.number("launch_factor", self.launch_factor, 1.0, 20.0);
        ranges.number(
            "launch_half_life_days",
            self.launch_half_life_days,
            0.01,
            365.0,
        );
        ranges.number("drift_sigma_per_week", self.drift_sigma_per_week, 0.0, 1.0);
        ranges.number("retry_probability", self.retry_probability, 0.0, 0.95);
        self.check_classes(ranges);
    }

    /// What a class may have for itself.
    pub(super) fn check_shape(&self, ranges: &mut Ranges) {
        ranges.number("base_rps", self.base_rps, 0.001, 1e9);
        ranges.number("base_sigma", self.base_sigma, 0.0, 3.0);
        ranges.number("rated_rps", self.rated_rps, 0.001, 1e9);
        ranges.number(
            "base_rps / traffic.rated_rps",
            self.base_rps / self.rated_rps,
            0.0,
            10_000.0,
        );
        ranges.number("daily_amplitude", self.daily_amplitude, 0.0, 3.0);
        ranges.number("weekend_factor", self.weekend_factor, 0.01, 10.0);
        ranges.number("growth_per_week", self.growth_per_week, -0.5, 0.5);
        ranges.number("noise_sigma", self.noise_sigma, 0.0, 2.0);
        ranges.number(
            "noise_half_life_minutes",
            self.noise_half_life_minutes,
            1.0,
            10_080.0,
        );
        ranges.number(
            "noise_smoothing_minutes",
            self.noise_smoothing_minutes,
            0.0,
            10_080.0,
        );
        ranges.share("noise_white_share", self.noise_white_share);
        check_profile(&self.hourly_profile, ranges);
        ranges.number("bursts_per_week", self.bursts_per_week, 0.0, 500.0);
        ranges.number("burst_factor", self.burst_factor, 1.0, 10_000.0);
        ranges.number("burst_minutes", self.burst_minutes, 1.0, 10_080.0);
    }
}
