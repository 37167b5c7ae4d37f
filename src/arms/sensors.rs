//! What an adaptive rule reads from an observation: fields by name, in their own units.
//!
//! A rule here sees what a learnt policy sees and nothing else, so it may be exported and
//! deployed like one. Needs, misses and wasted stages are read back from the weekly
//! counts, which fade by the hour; a count beyond the layout's clip stands still.
use prestage_controller::{NeedType, layout};
use prestage_policy::Layout;

/// What is left of a weekly count after an hour.
const HOUR_KEPT: f64 = 0.994_065_293_776_264_6;

/// Where the fields stand.
#[derive(Clone, Debug)]
pub struct Sensors {
    width: usize,
    need: [usize; 4],
    log_odds_1x: usize,
    log_odds_2x: usize,
    margin: usize,
    calibration_day: usize,
    calibration_week: usize,
    hits: usize,
    misses: usize,
    waste: usize,
    rollbacks: usize,
    stage_state: usize,
    price_miss: usize,
    price_waste: usize,
    hour_sine: usize,
    hour_cosine: usize,
    is_working: usize,
    runner_utilization: usize,
}

/// What there is of a cell's stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageSeen {
    /// None.
    None,
    /// One under way.
    Preparing,
    /// One that is ready.
    Ready,
}

/// One cell at one decision.
#[derive(Clone, Copy, Debug)]
pub struct Sensed {
    /// Need type, by its position in [`NeedType::ALL`].
    pub need: usize,
    /// Log-odds of a need within the lead time.
    pub log_odds_1x: f64,
    /// Log-odds of a need within twice the lead time.
    pub log_odds_2x: f64,
    /// Log-odds of the need above those of the threshold at its centre.
    pub margin: f64,
    /// Mean of forecast minus outcome over a day, in probability.
    pub calibration_day: f64,
    /// The same over a week.
    pub calibration_week: f64,
    /// Counts of the last week, forgotten exponentially.
    pub week: Counts,
    /// The stage.
    pub stage: StageSeen,
    /// Cost of a miss now, US dollars.
    pub miss_usd: f64,
    /// Cost of a wasted stage, US dollars.
    pub waste_usd: f64,
    /// Sine and cosine of the hour of the day.
    pub hour: [f64; 2],
    /// Working hours?
    pub is_working: bool,
    /// Busy share of the runner pool.
    pub runner_utilization: f64,
}

impl Sensed {
    /// Expected needs within so many lead times, their rate being constant on either
    /// side of one.
    pub fn expected_within(&self, leads: f64) -> f64 {
        let once = expected_needs(self.log_odds_1x);
        let twice = expected_needs(self.log_odds_2x);
        if leads <= 1.0 {
            leads * once
        } else {
            once + (leads - 1.0) * (twice - once).max(0.0)
        }
    }

    /// Log-odds of a need within so many lead times above those of the threshold at its
    /// centre; [`Sensed::margin`] is told for one lead time.
    pub fn margin_within(&self, leads: f64) -> f64 {
        // The odds of at least one need are e^expected - 1.
        let log_odds = self.expected_within(leads).exp_m1().max(1e-12).ln();
        self.margin + log_odds - self.log_odds_1x
    }
}

/// Expected needs of a Poisson process that has at least one with these log-odds:
/// -ln(1 - p), which is softplus of the log-odds.
pub fn expected_needs(log_odds: f64) -> f64 {
    log_odds.max(0.0) + (-log_odds.abs()).exp().ln_1p()
}

/// Needs that found a stage, needs that did not, and stages that found no need.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    /// Needs that found a ready stage.
    pub hits: f64,
    /// Needs that did not.
    pub misses: f64,
    /// Stages never used, those that broke included.
    pub waste: f64,
}

/// Position of a field.
///
/// # Panics
/// When the layout has no such field: its name was changed and this rule was not.
pub(super) fn field(layout: &Layout, name: &str) -> usize {
    layout
        .fields
        .iter()
        .position(|field| field.name == name)
        .unwrap_or_else(|| panic!("the observation has no field `{name}`"))
}

/// Positions of the fields that say of which need type a cell is.
pub(super) fn need_fields(layout: &Layout) -> [usize; 4] {
    NeedType::ALL.map(|need| field(layout, &format!("is_{need}")))
}

/// The need type of a row; `None` where the cell does not exist now.
pub(super) fn need_of(row: &[f32], fields: &[usize; 4]) -> Option<usize> {
    fields.iter().position(|&index| row[index] == 1.0)
}

impl Sensors {
    /// For the controller's present layout.
    pub fn new() -> Self {
        let layout = layout();
        let at = |name: &str| field(&layout, name);
        Self {
            width: layout.len(),
            need: need_fields(&layout),
            log_odds_1x: at("need_log_odds_1x"),
            log_odds_2x: at("need_log_odds_2x"),
            margin: at("threshold_margin"),
            calibration_day: at("calibration_day"),
            calibration_week: at("calibration_week"),
            hits: at("hits_week"),
            misses: at("misses_week"),
            waste: at("waste_week"),
            rollbacks: at("rollbacks_week"),
            stage_state: at("stage_state"),
            price_miss: at("price_miss"),
            price_waste: at("price_waste"),
            hour_sine: at("hour_sine"),
            hour_cosine: at("hour_cosine"),
            is_working: at("is_working"),
            runner_utilization: at("runner_utilization"),
        }
    }

    /// Reads all cells; `None` for those that do not exist now.
    pub fn read(&self, observations: &[f32], cells: &mut Vec<Option<Sensed>>) {
        cells.clear();
        cells.extend(
            observations
                .chunks_exact(self.width)
                .map(|row| self.sense(row)),
        );
    }

    fn sense(&self, row: &[f32]) -> Option<Sensed> {
        let need = need_of(row, &self.need)?;
        let at = |index: usize| f64::from(row[index]);
        let count = |index: usize| at(index) * at(index);
        let state = at(self.stage_state);
        Some(Sensed {
            need,
            log_odds_1x: 3.0 * at(self.log_odds_1x),
            log_odds_2x: 3.0 * at(self.log_odds_2x),
            margin: 3.0 * at(self.margin),
            calibration_day: at(self.calibration_day) / 5.0,
            calibration_week: at(self.calibration_week) / 5.0,
            week: Counts {
                hits: count(self.hits),
                misses: count(self.misses),
                waste: count(self.waste) + count(self.rollbacks),
            },
            stage: if state > 0.75 {
                StageSeen::Ready
            } else if state > 0.25 {
                StageSeen::Preparing
            } else {
                StageSeen::None
            },
            miss_usd: 50.0 * (2.0 * at(self.price_miss)).exp(),
            waste_usd: 10.0 * (2.0 * at(self.price_waste)).exp(),
            hour: [at(self.hour_sine), at(self.hour_cosine)],
            is_working: at(self.is_working) > 0.5,
            runner_utilization: at(self.runner_utilization),
        })
    }
}

/// Turns weekly counts into what happened since the last decision.
#[derive(Clone, Debug, Default)]
pub struct Happened {
    before: Vec<Counts>,
}

impl Happened {
    /// What happened in cell `index` in the hour that ends now.
    pub fn since(&mut self, index: usize, now: Counts) -> Counts {
        if self.before.len() <= index {
            self.before.resize(index + 1, Counts::default());
        }
        let before = std::mem::replace(&mut self.before[index], now);
        let new = |now: f64, before: f64| (now - before * HOUR_KEPT).round().max(0.0);
        Counts {
            hits: new(now.hits, before.hits),
            misses: new(now.misses, before.misses),
            waste: new(now.waste, before.waste),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_back_from_fading_counts() {
        let (mut happened, mut count) = (Happened::default(), 0.0);
        let events = [0, 1, 0, 0, 2, 0, 1, 1, 0, 3];
        for event in events.into_iter().cycle().take(200) {
            // An event in the middle of the hour has faded a little when it is read.
            count = count * HOUR_KEPT + f64::from(event) * HOUR_KEPT.sqrt();
            let seen = f64::from((count.sqrt() as f32).min(5.0));
            let week = Counts {
                misses: seen * seen,
                ..Counts::default()
            };
            if seen < 5.0 {
                assert_eq!(happened.since(0, week).misses, f64::from(event));
            }
        }
    }

    #[test]
    fn the_horizon_lies_between_the_two_that_are_told() {
        let cell = Sensed {
            log_odds_1x: 0.1f64.exp_m1().ln(),
            log_odds_2x: 0.3f64.exp_m1().ln(),
            margin: -0.7,
            ..crate::arms::stand::cell(0)
        };
        for (leads, needs) in [(0.5, 0.05), (1.0, 0.1), (1.5, 0.2), (2.0, 0.3), (3.0, 0.5)] {
            assert!(
                (cell.expected_within(leads) - needs).abs() < 1e-12,
                "{leads}"
            );
        }
        assert!((cell.margin_within(1.0) + 0.7).abs() < 1e-9);
        let raised = cell.log_odds_2x - cell.log_odds_1x;
        assert!((cell.margin_within(2.0) + 0.7 - raised).abs() < 1e-9);
    }

    #[test]
    fn rows_are_read_in_their_units() {
        let layout = layout();
        let mut row = vec![0.0; 2 * layout.len()];
        for (name, value) in [
            ("is_feature_release", 1.0),
            ("threshold_margin", -0.5),
            ("misses_week", 2.0),
            ("waste_week", 1.0),
            ("rollbacks_week", 1.0),
            ("stage_state", 0.5),
            ("calibration_day", -1.0),
        ] {
            row[field(&layout, name)] = value;
        }
        let mut cells = Vec::new();
        Sensors::new().read(&row, &mut cells);
        assert!(
            cells[1].is_none(),
            "a cell that does not exist reads as zeros"
        );
        let cell = cells[0].unwrap();
        assert_eq!(NeedType::ALL[cell.need], NeedType::FeatureRelease);
        assert_eq!((cell.margin, cell.calibration_day), (-1.5, -0.2));
        assert_eq!((cell.week.misses, cell.week.waste), (4.0, 2.0));
        assert_eq!(cell.stage, StageSeen::Preparing);
        assert_eq!((cell.miss_usd, cell.waste_usd), (50.0, 10.0));
    }
}
