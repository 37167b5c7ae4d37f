//! Holt-Winters band: outside what smoothing of level, trend and day predicts.
//!
//! Brutlag, "Aberrant Behavior Detection in Time Series for Network Monitoring", LISA 2000:
//! additive Holt-Winters forecasts, one step ahead, and a smoothed absolute error as the
//! width of the band. Deviation: one width instead of one for each slot of the season, which
//! halves the memory and settles within the warm-up. Catches jumps and spikes; a slow change
//! is followed, and the return from an anomaly is a second alarm.
use serde::{Deserialize, Serialize};

use super::registry::Entry;
use super::{Detector, Setting, encode, squash};
use crate::{Span, Timestamp};

/// Slots of the season at most: a day of 5-minute samples.
const SLOTS_MAX: i64 = 288;
/// Weights of the newest sample in level, trend and season.
const ALPHA: f64 = 0.1;
const BETA: f64 = 0.001;
const GAMMA: f64 = 0.1;
/// Weight of the newest absolute error in the width.
const DELTA: f64 = 0.02;
/// Errors before any is judged.
const ERRORS_AT_LEAST: u32 = 50;
/// Widths from the forecast that raise an alarm; Brutlag uses 2 to 3 and counts violations.
const WIDTHS_LEVEL: f64 = 7.0;

pub(super) const ENTRY: Entry = Entry {
    name: "holt-winters",
    about: "one-step forecast of level, trend and day with a band of smoothed errors (Brutlag 2000)",
    build: |setting| Box::new(HoltWinters::new(setting)),
    restore: |bytes| Ok(Box::new(postcard::from_bytes::<HoltWinters>(bytes)?)),
};

/// See the [module](self).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HoltWinters {
    warm_up: usize,
    seen: usize,
    level: Option<f64>,
    trend: f64,
    /// Seasonal term of each slot of the day; `None` where there was no sample yet.
    season: Vec<Option<f64>>,
    width: f64,
    /// Errors the width was learnt from, up to [`ERRORS_AT_LEAST`].
    errors: u32,
}

impl HoltWinters {
    /// Has seen nothing.
    pub fn new(setting: Setting) -> Self {
        let samples_a_day = Span::from_days(1).micros() / setting.step().micros();
        Self {
            warm_up: setting.warm_up(),
            seen: 0,
            level: None,
            trend: 0.0,
            season: vec![None; samples_a_day.clamp(1, SLOTS_MAX) as usize],
            width: 0.0,
            errors: 0,
        }
    }

    /// Slot of the day, or none where a day is a sample or less: then there is no season.
    fn slot(&self, at: Timestamp) -> Option<usize> {
        if self.season.len() == 1 {
            return None;
        }
        let day = Span::from_days(1).micros();
        let slot = at.micros().rem_euclid(day) / (day / self.season.len() as i64);
        Some((slot as usize).min(self.season.len() - 1))
    }

    /// Absolute error of the forecast in widths; then learns the value.
    fn next(&mut self, slot: Option<usize>, value: f64) -> f64 {
        let Some(level) = self.level else {
            self.level = Some(value);
            return 0.0;
        };
        let ahead = level + self.trend;
        let seasonal = match slot {
            None => 0.0,
            Some(slot) => match self.season[slot] {
                Some(term) => term,
                // The first time round the slot is what it is; the level learns nothing.
                None => {
                    self.season[slot] = Some(value - level);
                    return 0.0;
                }
            },
        };
        let error = value - (ahead + seasonal);
        let smoothed = ahead + ALPHA * error;
        self.trend += BETA * (smoothed - level - self.trend);
        self.level = Some(smoothed);
        if let Some(slot) = slot {
            self.season[slot] = Some(seasonal + GAMMA * (value - smoothed - seasonal));
        }
        self.judge(
            error.abs(),
            1e-6 * smoothed.abs() + f64::MIN_POSITIVE.sqrt(),
        )
    }

    /// The error in widths of the band, which is `floor` at least; then learns it.
    fn judge(&mut self, error: f64, floor: f64) -> f64 {
        if self.errors < ERRORS_AT_LEAST {
            self.errors += 1;
            self.width += (error - self.width) / f64::from(self.errors);
            return 0.0;
        }
        let width = self.width.max(floor);
        // An outlier widens the band as much as the alarm level does, no more.
        self.width += DELTA * (error.min(WIDTHS_LEVEL * width) - self.width);
        error / width
    }
}

impl Detector for HoltWinters {
    fn score(&mut self, at: Timestamp, value: f64) -> f64 {
        let warm = self.seen == self.warm_up;
        if !warm {
            self.seen += 1;
        }
        if !value.is_finite() {
            return 0.0;
        }
        let statistic = self.next(self.slot(at), value);
        if warm {
            squash(statistic, WIDTHS_LEVEL)
        } else {
            0.0
        }
    }

    fn save(&self) -> Vec<u8> {
        encode(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_season_it_is_double_exponential_smoothing() {
        let setting = Setting::new(Span::from_days(1), 16).unwrap();
        let mut smoothing = HoltWinters::new(setting);
        smoothing.next(None, 10.0);
        smoothing.next(None, 20.0);
        // Forecast 10, error 10: level 10 + 0.1 x 10, trend 0.001 x 1.
        assert_eq!(smoothing.level, Some(11.0));
        assert!((smoothing.trend - 0.001).abs() < 1e-15);
    }

    #[test]
    fn a_repeated_day_is_forecast_exactly() {
        let setting = Setting::new(Span::from_hours(1), 48).unwrap();
        let mut smoothing = HoltWinters::new(setting);
        for hour in 0..240_i64 {
            let at = Timestamp::from_seconds(hour * 3_600);
            let value = [0.0, 3.0, 9.0, 4.0][hour as usize / 6 % 4];
            assert_eq!(smoothing.score(at, value), 0.0, "hour {hour}");
        }
    }
}
