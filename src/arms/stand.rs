//! Cells for the tests of the rules.
use super::sensors::{Counts, Sensed, StageSeen};
use super::steered::ThresholdRule;

/// A cell of a need type to which nothing happens.
pub(super) fn cell(need: usize) -> Sensed {
    Sensed {
        need,
        log_odds_1x: -3.0,
        log_odds_2x: -2.3,
        margin: -1.0,
        calibration_day: 0.0,
        calibration_week: 0.0,
        week: Counts::default(),
        stage: StageSeen::None,
        miss_usd: 50.0,
        waste_usd: 10.0,
        hour: [0.0, 1.0],
        is_working: true,
        runner_utilization: 0.5,
    }
}

/// One decision of a rule.
pub(super) fn run(rule: &mut impl ThresholdRule, cells: &[Option<Sensed>]) -> Vec<f64> {
    let mut levels = vec![0.0; cells.len()];
    rule.decide(cells, &mut levels);
    levels
}
