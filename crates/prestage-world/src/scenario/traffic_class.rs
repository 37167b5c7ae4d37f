//! `[[traffic.classes]]`: services whose load looks different from the others'.
use serde::{Deserialize, Serialize};

use super::TrafficSpec;
use super::ranges::Ranges;

/// Slots of an hourly profile: 24 hours of weekdays, then of weekends.
pub const PROFILE_SLOTS: usize = 48;
/// Largest log of a load over its base in a profile.
const PROFILE_LOG_MAX: f64 = 8.0;

/// A number of services and what is different about their load; what is not given is
/// as `[traffic]` has it. Classes take the services in order, those left are of none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrafficClass {
    /// How many services are of this class.
    pub services: u32,
    /// See [`TrafficSpec::base_rps`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_rps: Option<f64>,
    /// See [`TrafficSpec::base_sigma`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_sigma: Option<f64>,
    /// See [`TrafficSpec::daily_amplitude`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily_amplitude: Option<f64>,
    /// See [`TrafficSpec::weekend_factor`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weekend_factor: Option<f64>,
    /// See [`TrafficSpec::hourly_profile`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hourly_profile: Option<Vec<f64>>,
    /// See [`TrafficSpec::growth_per_week`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub growth_per_week: Option<f64>,
    /// See [`TrafficSpec::noise_sigma`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise_sigma: Option<f64>,
    /// See [`TrafficSpec::noise_half_life_minutes`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise_half_life_minutes: Option<f64>,
    /// See [`TrafficSpec::noise_smoothing_minutes`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise_smoothing_minutes: Option<f64>,
    /// See [`TrafficSpec::noise_white_share`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise_white_share: Option<f64>,
    /// See [`TrafficSpec::bursts_per_week`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bursts_per_week: Option<f64>,
    /// See [`TrafficSpec::burst_factor`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst_factor: Option<f64>,
    /// See [`TrafficSpec::burst_minutes`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst_minutes: Option<f64>,
}

impl TrafficSpec {
    /// The traffic of a service, its class written over the section.
    pub fn of(&self, service: u32) -> Self {
        let mut first = 0_u32;
        for class in &self.classes {
            if (first..first.saturating_add(class.services)).contains(&service) {
                return class.over(self);
            }
            first = first.saturating_add(class.services);
        }
        Self {
            classes: Vec::new(),
            ..self.clone()
        }
    }

    /// Bursts of the class that has most.
    pub(super) fn most_bursts_per_week(&self) -> f64 {
        let classes = self.classes.iter();
        classes
            .filter_map(|class| class.bursts_per_week)
            .fold(self.bursts_per_week, f64::max)
    }

    pub(super) fn check_classes(&self, ranges: &mut Ranges) {
        for (index, class) in self.classes.iter().enumerate() {
            let ranges = ranges.section(&format!("traffic.classes[{index}]"));
            ranges.count("services", class.services, 1, 100_000);
            class.over(self).check_shape(ranges);
        }
    }
}

impl TrafficClass {
    fn over(&self, section: &TrafficSpec) -> TrafficSpec {
        let mut spec = TrafficSpec {
            classes: Vec::new(),
            ..section.clone()
        };
        macro_rules! take {
            ($($field:ident),*) => {
                $(if let Some(value) = &self.$field {
                    spec.$field.clone_from(value);
                })*
            };
        }
        take!(
            base_rps,
            base_sigma,
            daily_amplitude,
            weekend_factor,
            hourly_profile,
            growth_per_week,
            noise_sigma,
            noise_half_life_minutes,
            noise_smoothing_minutes,
            noise_white_share,
            bursts_per_week,
            burst_factor,
            burst_minutes
        );
        spec
    }
}

pub(super) fn check_profile(profile: &[f64], ranges: &mut Ranges) {
    if profile.is_empty() {
        return;
    }
    if profile.len() != PROFILE_SLOTS {
        ranges.refuse(
            "hourly_profile",
            format!("{} values", profile.len()),
            format!("none or {PROFILE_SLOTS}"),
        );
    }
    for (slot, &value) in profile.iter().enumerate() {
        let key = format!("hourly_profile[{slot}]");
        ranges.number(&key, value, -PROFILE_LOG_MAX, PROFILE_LOG_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_take_services_in_order_and_leave_the_rest() {
        let class = |services, noise_sigma| TrafficClass {
            services,
            noise_sigma: Some(noise_sigma),
            ..TrafficClass::default()
        };
        let spec = TrafficSpec {
            noise_sigma: 0.1,
            base_rps: 7.0,
            classes: vec![class(2, 0.2), class(1, 0.3)],
            ..TrafficSpec::default()
        };
        let sigmas: Vec<f64> = (0..4).map(|service| spec.of(service).noise_sigma).collect();
        assert_eq!(sigmas, [0.2, 0.2, 0.3, 0.1]);
        assert_eq!(spec.of(1).base_rps, 7.0);
    }
}
