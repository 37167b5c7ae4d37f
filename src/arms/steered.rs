//! Puts a rule that moves thresholds behind the contract of a policy.
use prestage_controller::{KNOBS, Knob, NEUTRAL, action_space, layout};
use prestage_policy::{Layout, MultiDiscrete, Policy};

use super::sensors::{Sensed, Sensors};

/// Highest level of a knob; the lowest is its negative.
pub(super) const LEVEL_MAX: f64 = 3.0;

/// Decides once an hour how far each cell's threshold is from its centre.
pub(super) trait ThresholdRule {
    /// Writes a level for every cell, in log-odds; rounded and clipped afterwards. The
    /// levels are 0 when it is called.
    fn decide(&mut self, cells: &[Option<Sensed>], levels: &mut [f64]);
}

/// A policy that turns the threshold knob and leaves the others alone.
pub(super) struct Steered<R> {
    rule: R,
    sensors: Sensors,
    layout: Layout,
    action: MultiDiscrete,
    cells: Vec<Option<Sensed>>,
    levels: Vec<f64>,
}

impl<R: ThresholdRule> Steered<R> {
    pub fn new(rule: R) -> Self {
        Self {
            rule,
            sensors: Sensors::new(),
            layout: layout(),
            action: action_space(),
            cells: Vec::new(),
            levels: Vec::new(),
        }
    }
}

impl<R: ThresholdRule> Policy for Steered<R> {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn action(&self) -> &MultiDiscrete {
        &self.action
    }

    fn act(&mut self, observations: &[f32], actions: &mut [u8]) {
        self.sensors.read(observations, &mut self.cells);
        self.levels.clear();
        self.levels.resize(self.cells.len(), 0.0);
        self.rule.decide(&self.cells, &mut self.levels);
        write(&self.levels, actions);
    }
}

/// Writes threshold levels as actions; whatever is not a number leaves the centre alone.
pub(super) fn write(levels: &[f64], actions: &mut [u8]) {
    let threshold = KNOBS
        .iter()
        .position(|&knob| knob == Knob::Threshold)
        .expect("the threshold is a knob");
    assert_eq!(actions.len(), levels.len() * KNOBS.len(), "action length");
    for (level, action) in levels.iter().zip(actions.chunks_exact_mut(KNOBS.len())) {
        action.fill(NEUTRAL);
        if level.is_finite() {
            let level = level.round().clamp(-LEVEL_MAX, LEVEL_MAX) as i8;
            action[threshold] = (NEUTRAL as i8 + level) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_rounded_clipped_and_never_nonsense() {
        let mut actions = [9; 6 * 4];
        write(&[0.4, -1.6, 99.0, f64::NAN], &mut actions);
        let thresholds: Vec<u8> = actions.chunks(6).map(|action| action[0]).collect();
        assert_eq!(thresholds, [3, 1, 6, 3]);
        assert!(actions.chunks(6).all(|action| action[1..] == [3; 5]));
    }
}
