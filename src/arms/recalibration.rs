//! `recalibration`: corrects each threshold by how wrong the forecasts have been.
//!
//! The observation tells the mean of forecast minus outcome. With the mean forecast beside
//! it, that is a shift in log-odds, by which the threshold is moved: forecasts that have
//! been too low by one log-odds lower it by one. Single cells see a need in days, so the
//! error of a cell is mixed with that of all cells of its need type.
//!
//! Reference: recalibration in the large, Cox, Two further applications of a model for
//! binary regression (1958), its intercept only.
use prestage_controller::{Parameter, Scale};
use prestage_policy::Policy;

use super::Given;
use super::sensors::Sensed;
use super::steered::{Steered, ThresholdRule};

/// Tuned for each need type.
pub(super) static PARAMETERS: &[Parameter] = &[
    Parameter {
        name: "gain",
        about: "share of the measured shift that is corrected",
        default: 1.0,
        low: 0.0,
        high: 2.0,
        scale: Scale::Linear,
    },
    Parameter {
        name: "day_ratio",
        about: "weight of the last day's error; the rest is the week's",
        default: 0.3,
        low: 0.0,
        high: 1.0,
        scale: Scale::Linear,
    },
    Parameter {
        name: "pool_ratio",
        about: "weight of the error of all cells of the need type; the rest is the cell's own",
        default: 0.7,
        low: 0.0,
        high: 1.0,
        scale: Scale::Linear,
    },
];

/// Makes one.
pub(super) fn build(given: &Given) -> Box<dyn Policy> {
    Box::new(Steered::new(Recalibration {
        settings: std::array::from_fn(|need| {
            let [gain, day_ratio, pool_ratio] = given.numbers(need);
            Setting {
                gain,
                day_ratio,
                pool_ratio,
            }
        }),
        horizon_leads: given.horizon_leads(),
        forecasts: Vec::new(),
    }))
}

/// Hours over which the mean forecast is taken: the memory of the daily error.
const MEMORY_H: f64 = 24.0;
/// What happened is taken to be at most so many times as frequent as forecast, or as rare:
/// a day without any need says little.
const RATIO_MAX: f64 = 5.0;

#[derive(Clone, Copy)]
struct Setting {
    gain: f64,
    day_ratio: f64,
    pool_ratio: f64,
}

struct Recalibration {
    settings: [Setting; 4],
    /// Horizon of the forecasts whose error is told, by need type.
    horizon_leads: [f64; 4],
    /// Mean forecast by cell.
    forecasts: Vec<f64>,
}

/// Log-odds by which a forecast of this mean and mean error is too high.
fn shift(forecast: f64, error: f64) -> f64 {
    let forecast = forecast.clamp(1e-6, 1.0 - 1e-6);
    let low = forecast / RATIO_MAX;
    let high = (forecast * RATIO_MAX).min(1.0 - (1.0 - forecast) / RATIO_MAX);
    let outcome = (forecast - error).clamp(low, high);
    let log_odds = |p: f64| (p / (1.0 - p)).ln();
    log_odds(forecast) - log_odds(outcome)
}

/// Mean forecast and mean error over the cells of a need type.
#[derive(Clone, Copy, Default)]
struct Pool {
    forecast: f64,
    error: f64,
    cells: f64,
}

impl Recalibration {
    fn error(&self, cell: &Sensed) -> f64 {
        let day = self.settings[cell.need].day_ratio;
        day * cell.calibration_day + (1.0 - day) * cell.calibration_week
    }

    fn track(&mut self, cells: &[Option<Sensed>]) {
        self.forecasts.resize(cells.len(), f64::NAN);
        for (mean, cell) in self.forecasts.iter_mut().zip(cells) {
            let Some(cell) = cell else { continue };
            let within = cell.expected_within(self.horizon_leads[cell.need]);
            let now = -(-within).exp_m1();
            *mean = if mean.is_finite() {
                *mean + (now - *mean) / MEMORY_H
            } else {
                now
            };
        }
    }
}

impl ThresholdRule for Recalibration {
    fn decide(&mut self, cells: &[Option<Sensed>], levels: &mut [f64]) {
        self.track(cells);
        let mut pools = [Pool::default(); 4];
        for (forecast, cell) in self.forecasts.iter().zip(cells) {
            if let Some(cell) = cell {
                let pool = &mut pools[cell.need];
                pool.forecast += forecast;
                pool.error += self.error(cell);
                pool.cells += 1.0;
            }
        }
        for ((level, cell), forecast) in levels.iter_mut().zip(cells).zip(&self.forecasts) {
            let Some(cell) = cell else { continue };
            let setting = self.settings[cell.need];
            let pool = pools[cell.need];
            let pooled = shift(pool.forecast / pool.cells, pool.error / pool.cells);
            let own = shift(*forecast, self.error(cell));
            let mixed = setting.pool_ratio * pooled + (1.0 - setting.pool_ratio) * own;
            *level = setting.gain * mixed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arms::stand::{cell, run};

    #[test]
    fn the_shift_is_that_of_the_odds() {
        assert_eq!(shift(0.2, 0.0), 0.0);
        // Forecast 0.2, happened 0.4: odds 1/4 against 2/3.
        assert!((shift(0.2, -0.2) - (0.25f64 / (2.0 / 3.0)).ln()).abs() < 1e-12);
        assert!(
            shift(0.2, 0.2) <= (5.0f64 * 1.3).ln(),
            "nothing happened, for a day"
        );
    }

    #[test]
    fn forecasts_that_are_too_low_lower_the_threshold_of_their_need_type() {
        let mut rule = Recalibration {
            settings: [Setting {
                gain: 1.0,
                day_ratio: 0.5,
                pool_ratio: 1.0,
            }; 4],
            horizon_leads: [1.0; 4],
            forecasts: Vec::new(),
        };
        let low = Sensed {
            log_odds_1x: -2.0,
            calibration_day: -0.1,
            calibration_week: -0.1,
            ..cell(1)
        };
        let fine = Sensed {
            calibration_day: 0.0,
            calibration_week: 0.0,
            ..low
        };
        let other = Sensed { need: 2, ..fine };
        let levels = run(&mut rule, &[Some(low), Some(fine), None, Some(other)]);
        assert!(levels[0] < -0.2, "{levels:?}");
        assert_eq!(levels[0], levels[1], "pooled");
        assert_eq!(levels[2..], [0.0, 0.0]);
    }
}
