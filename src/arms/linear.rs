//! `linear`: a weighted sum of eight fields moves the threshold.
//!
//! The weights are shared by all cells of a need type and tuned, like the static policy's
//! knobs, by covariance matrix adaptation; all zeros is the static policy itself. It is
//! the simplest policy of the class that a network learns, and the rival to beat.
//!
//! Reference: linear policies found by random search, Mania, Guy and Recht, Simple random
//! search of static linear policies is competitive for reinforcement learning (2018).
use prestage_controller::{Parameter, Scale, action_space, layout};
use prestage_envs::{Latent, PrivilegedPolicy};
use prestage_policy::{Layout, MultiDiscrete, Policy};

use super::Given;
use super::sensors::{field, need_fields, need_of};
use super::steered::write;

/// Ranges are about what one level takes from a usual value of the field.
const fn weight(name: &'static str, about: &'static str, most: f64) -> Parameter {
    Parameter {
        name,
        about,
        default: 0.0,
        low: -most,
        high: most,
        scale: Scale::Linear,
    }
}

/// Tuned for each need type, the last three in the privileged arm alone. The first are
/// named for the fields that they weigh.
static PARAMETERS: [Parameter; FIELDS + 3] = [
    weight(
        "calibration_day",
        "log-odds for each unit of the field",
        6.0,
    ),
    weight(
        "calibration_week",
        "log-odds for each unit of the field",
        6.0,
    ),
    weight("error_cusum", "log-odds for each unit of the field", 0.8),
    weight("lead_drift", "log-odds for each unit of the field", 3.0),
    weight("demand_ratio", "log-odds for each unit of the field", 3.0),
    weight("open_signals", "log-odds for each unit of the field", 1.0),
    weight("runner_queue", "log-odds for each unit of the field", 1.5),
    weight("is_working", "log-odds for each unit of the field", 1.5),
    weight("latent_quiet", "log-odds in the hidden quiet regime", 2.0),
    weight("latent_busy", "log-odds in the hidden busy regime", 2.0),
    weight(
        "latent_outage",
        "log-odds for the share of the runner pool that is away",
        2.0,
    ),
];

/// Fields that are weighed.
const FIELDS: usize = 8;

/// Those of the arm that sees no more than a learnt policy.
pub(super) fn parameters() -> &'static [Parameter] {
    &PARAMETERS[..FIELDS]
}

/// Those of the privileged arm.
pub(super) fn privileged_parameters() -> &'static [Parameter] {
    &PARAMETERS
}

/// Makes the arm of the ladder.
pub(super) fn build(given: &Given) -> Box<dyn Policy> {
    Box::new(Linear::new(given))
}

/// Makes the privileged arm, of the same class.
pub(super) fn build_privileged(given: &Given) -> Box<dyn PrivilegedPolicy> {
    Box::new(Linear::new(given))
}

struct Linear {
    layout: Layout,
    action: MultiDiscrete,
    need: [usize; 4],
    fields: Vec<usize>,
    /// By need type; those beyond the fields weigh what only the privileged see.
    weights: [Vec<f64>; 4],
    levels: Vec<f64>,
}

impl Linear {
    fn new(given: &Given) -> Self {
        let layout = layout();
        Self {
            need: need_fields(&layout),
            fields: parameters()
                .iter()
                .map(|parameter| field(&layout, parameter.name))
                .collect(),
            weights: given.values.clone(),
            action: action_space(),
            levels: Vec::new(),
            layout,
        }
    }

    fn level(&self, row: &[f32], beside: &[f64]) -> f64 {
        let Some(need) = need_of(row, &self.need) else {
            return 0.0;
        };
        let seen = self.fields.iter().map(|&index| f64::from(row[index]));
        let all = seen.chain(beside.iter().copied());
        self.weights[need]
            .iter()
            .zip(all)
            .map(|(weight, value)| weight * value)
            .sum()
    }

    fn set(&mut self, observations: &[f32], beside: &[f64], actions: &mut [u8]) {
        let mut levels = std::mem::take(&mut self.levels);
        levels.clear();
        let rows = observations.chunks_exact(self.layout.len());
        levels.extend(rows.map(|row| self.level(row, beside)));
        write(&levels, actions);
        self.levels = levels;
    }
}

impl Policy for Linear {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn action(&self) -> &MultiDiscrete {
        &self.action
    }

    fn act(&mut self, observations: &[f32], actions: &mut [u8]) {
        self.set(observations, &[], actions);
    }

    /// It remembers nothing between turns, as the network that it rivals.
    fn interrupt(&mut self, observations: &[f32], actions: &mut [u8]) {
        self.set(observations, &[], actions);
    }
}

impl PrivilegedPolicy for Linear {
    fn act(&mut self, latent: &Latent, observations: &[f32], actions: &mut [u8]) {
        let beside = [latent.quiet, latent.busy, latent.outage];
        self.set(observations, &beside, actions);
    }
}

#[cfg(test)]
mod tests {
    use prestage_controller::KnobCenters;

    use super::*;

    #[test]
    fn the_sum_is_that_of_the_fields_and_of_what_lies_beside() {
        let centers = KnobCenters::default();
        let mut values: [Vec<f64>; 4] = std::array::from_fn(|_| vec![0.0; 11]);
        values[1][0] = 1.0;
        values[1][7] = -0.5;
        values[1][9] = -2.0;
        let given = Given {
            centers: &centers,
            values: &values,
        };
        let mut linear = Linear::new(&given);
        let layout = layout();
        let mut row = vec![0.0; layout.len()];
        row[field(&layout, "is_feature_release")] = 1.0;
        row[field(&layout, "calibration_day")] = 2.2;
        row[field(&layout, "is_working")] = 1.0;
        let mut actions = [9; 6];
        Policy::act(&mut linear, &row, &mut actions);
        assert_eq!(actions, [3 + 2, 3, 3, 3, 3, 3], "2.2 - 0.5 rounds to 2");
        let busy = Latent {
            busy: 1.0,
            ..Latent::default()
        };
        PrivilegedPolicy::act(&mut linear, &busy, &row, &mut actions);
        assert_eq!(actions[0], 3, "and two less");
        row[field(&layout, "is_feature_release")] = 0.0;
        row[field(&layout, "is_test_suite")] = 1.0;
        Policy::act(&mut linear, &row, &mut actions);
        assert_eq!(actions, [3; 6], "zero weights leave the centre alone");
    }
}
