//! `linear`: a weighted sum of eight fields moves the threshold.
//!
//! The weights are shared by all cells of a need type and tuned, like the static policy's
//! knobs, by covariance matrix adaptation; all zeros is the static policy itself. It is
//! the simplest policy of the class that a network learns, and the rival to beat.
//!
//! Reference: linear policies found by random search, Mania, Guy and Recht, Simple random
//! search of static linear policies is competitive for reinforcement learning (2018).
use prestage_controller::{Parameter, Scale, Values, action_space, layout};
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

/// Tuned for each need type; named for the fields that they weigh.
pub(super) static PARAMETERS: [Parameter; 8] = [
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
];

/// Those of the arm.
pub(super) fn parameters() -> &'static [Parameter] {
    &PARAMETERS
}

/// Makes the arm of the ladder.
pub(super) fn build(given: &Given) -> Box<dyn Policy> {
    Box::new(Linear::new(given.values.clone()))
}

/// The rule; the privileged arm has it too.
pub(super) struct Linear {
    layout: Layout,
    action: MultiDiscrete,
    need: [usize; 4],
    fields: Vec<usize>,
    /// By need type.
    weights: Values,
    levels: Vec<f64>,
}

impl Linear {
    pub(super) fn new(weights: Values) -> Self {
        let layout = layout();
        Self {
            need: need_fields(&layout),
            fields: PARAMETERS
                .iter()
                .map(|parameter| field(&layout, parameter.name))
                .collect(),
            weights,
            action: action_space(),
            levels: Vec::new(),
            layout,
        }
    }

    /// The level of a cell's threshold, neither rounded nor clipped.
    pub(super) fn level(&self, row: &[f32]) -> f64 {
        let Some(need) = need_of(row, &self.need) else {
            return 0.0;
        };
        let seen = self.fields.iter().map(|&index| f64::from(row[index]));
        self.weights[need]
            .iter()
            .zip(seen)
            .map(|(weight, value)| weight * value)
            .sum()
    }

    fn set(&mut self, observations: &[f32], actions: &mut [u8]) {
        let mut levels = std::mem::take(&mut self.levels);
        levels.clear();
        let rows = observations.chunks_exact(self.layout.len());
        levels.extend(rows.map(|row| self.level(row)));
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
        self.set(observations, actions);
    }

    /// It remembers nothing between turns, as the network that it rivals.
    fn interrupt(&mut self, observations: &[f32], actions: &mut [u8]) {
        self.set(observations, actions);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_that_of_the_fields() {
        let mut values: Values = std::array::from_fn(|_| vec![0.0; 8]);
        values[1][0] = 1.0;
        values[1][7] = -0.5;
        let mut linear = Linear::new(values);
        let layout = layout();
        let mut row = vec![0.0; layout.len()];
        row[field(&layout, "is_feature_release")] = 1.0;
        row[field(&layout, "calibration_day")] = 2.2;
        row[field(&layout, "is_working")] = 1.0;
        let mut actions = [9; 6];
        Policy::act(&mut linear, &row, &mut actions);
        assert_eq!(actions, [3 + 2, 3, 3, 3, 3, 3], "2.2 - 0.5 rounds to 2");
        row[field(&layout, "is_feature_release")] = 0.0;
        row[field(&layout, "is_test_suite")] = 1.0;
        Policy::act(&mut linear, &row, &mut actions);
        assert_eq!(actions, [3; 6], "zero weights leave the centre alone");
    }
}
