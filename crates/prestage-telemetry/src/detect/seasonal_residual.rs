//! Seasonal residual: far from what is usual at this time of the day, robustly.
//!
//! One location for each bin of the day, one scale for all: medians and the median absolute
//! deviation of the residuals (MAD) over the warm-up, then followed by steps of a fixed share
//! of the scale, up or down, which is a streaming median. The statistic is the modified
//! z-score `0.6745 |r| / MAD` of Iglewicz and Hoaglin, "How to Detect and Handle Outliers"
//! (1993). An outlier moves nothing by more than any other sample does. Knows one season, the
//! UTC day; where weekends differ it is wide, where there is no season it is a plain MAD test.
use serde::{Deserialize, Serialize};

use super::registry::Entry;
use super::{Detector, Setting, encode, sorted_quantile, squash};
use crate::{Span, Timestamp};

/// Bins of the day; an hour is as fine as most loads are regular.
const BINS: usize = 24;
/// Standard deviations of a normal distribution in one MAD.
const DEVIATION_OF_MAD: f64 = 1.0 / 0.674_5;
/// Step of a bin's location, in deviations.
const LOCATION_STEP: f64 = 0.05;
/// Share by which the scale grows or shrinks.
const SCALE_STEP: f64 = 0.005;
/// Smallest MAD, as a share of the range of the warm-up.
const MAD_MIN_SHARE: f64 = 0.01;
/// Modified z-score that raises an alarm. Iglewicz and Hoaglin flag from 3.5, for samples of
/// a normal distribution; tails of telemetry are longer.
const SCORE_LEVEL: f64 = 8.0;

pub(super) const ENTRY: Entry = Entry {
    name: "seasonal-residual",
    about: "modified z-score of the residual from the usual value at this hour (median, MAD)",
    build: |setting| Box::new(SeasonalResidual::new(setting)),
    restore: |bytes| Ok(Box::new(postcard::from_bytes::<SeasonalResidual>(bytes)?)),
};

/// See the [module](self).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeasonalResidual {
    warm_up: usize,
    seen: usize,
    /// Bin and value of the samples of the warm-up; empty after it.
    warming: Vec<(usize, f64)>,
    /// Usual value of each bin; `None` where there was no sample yet.
    locations: Vec<Option<f64>>,
    mad: f64,
    /// The MAD is taken to be this at least: where most samples are equal it is 0, and
    /// everything else would be infinitely far.
    mad_min: f64,
}

impl SeasonalResidual {
    /// Has seen nothing.
    pub fn new(setting: Setting) -> Self {
        Self {
            warm_up: setting.warm_up(),
            seen: 0,
            warming: Vec::new(),
            locations: vec![None; BINS],
            mad: 0.0,
            mad_min: 0.0,
        }
    }

    fn finish_warm_up(&mut self) {
        let samples = std::mem::take(&mut self.warming);
        for (bin, location) in self.locations.iter_mut().enumerate() {
            let of_bin = samples.iter().filter(|sample| sample.0 == bin);
            *location = median(of_bin.map(|sample| sample.1).collect());
        }
        let residual = |&(bin, value): &(usize, f64)| {
            let location = self.locations[bin].expect("the bin of a sample has a median");
            (value - location).abs()
        };
        self.mad = median(samples.iter().map(residual).collect()).unwrap_or(0.0);
        let values = samples.iter().map(|sample| sample.1);
        let high = values.clone().fold(f64::NEG_INFINITY, f64::max);
        let low = values.fold(f64::INFINITY, f64::min);
        // Halves, because the range of the largest floats is infinite.
        let range = 2.0 * (high / 2.0 - low / 2.0).max(0.0);
        self.mad_min = (MAD_MIN_SHARE * range).min(f64::MAX);
    }

    /// The modified z-score of a value; then learns it.
    fn next(&mut self, bin: usize, value: f64) -> f64 {
        let Some(location) = self.locations[bin] else {
            self.locations[bin] = Some(value);
            return 0.0;
        };
        let residual = value - location;
        // Rounding must not look like a deviation where nothing deviates.
        let rounding = 1e-6 * location.abs() + f64::MIN_POSITIVE.sqrt();
        let mad = self.mad.max(self.mad_min).max(rounding);
        let deviation = DEVIATION_OF_MAD * mad;
        self.locations[bin] = Some(location + LOCATION_STEP * deviation * sign(residual));
        self.mad = mad * (1.0 + SCALE_STEP * sign(residual.abs() - mad));
        (residual / deviation).abs()
    }
}

impl Detector for SeasonalResidual {
    fn score(&mut self, at: Timestamp, value: f64) -> f64 {
        let bin = bin_of_day(at);
        if self.seen < self.warm_up {
            self.seen += 1;
            if value.is_finite() {
                self.warming.push((bin, value));
            }
            if self.seen == self.warm_up {
                self.finish_warm_up();
            }
            return 0.0;
        }
        if !value.is_finite() {
            return 0.0;
        }
        squash(self.next(bin, value), SCORE_LEVEL)
    }

    fn save(&self) -> Vec<u8> {
        encode(self)
    }
}

fn bin_of_day(at: Timestamp) -> usize {
    let day = Span::from_days(1).micros();
    (at.micros().rem_euclid(day) / (day / BINS as i64)) as usize
}

/// -1, 0 or 1; unlike `f64::signum`, 0 at 0.
fn sign(value: f64) -> f64 {
    if value > 0.0 {
        1.0
    } else if value < 0.0 {
        -1.0
    } else {
        0.0
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    (!values.is_empty()).then(|| sorted_quantile(&values, 0.5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_warm_up_is_median_and_mad_and_the_score_is_modified_z() {
        let setting = Setting::new(Span::from_seconds(1), 17).unwrap();
        let mut detector = SeasonalResidual::new(setting);
        for i in 0..17 {
            let value = f64::from(i * 5 % 17);
            assert_eq!(
                detector.score(Timestamp::from_seconds(i64::from(i)), value),
                0.0
            );
        }
        // Of 0..=16 the median is 8; the absolute deviations are 0, 1, 1, ..., 8, 8.
        assert_eq!(detector.locations[0], Some(8.0));
        assert_eq!(detector.mad, 4.0);
        let statistic = detector.next(0, 28.0);
        assert!((statistic - 0.674_5 * 20.0 / 4.0).abs() < 1e-12);
    }

    #[test]
    fn an_hour_never_seen_is_learnt_not_judged() {
        let setting = Setting::new(Span::from_minutes(1), 20).unwrap();
        let mut detector = SeasonalResidual::new(setting);
        for i in 0..20 {
            detector.score(Timestamp::from_seconds(i * 60), (i % 3) as f64);
        }
        let noon = Timestamp::from_seconds(12 * 3_600);
        assert_eq!(detector.score(noon, 1e6), 0.0);
        assert!(detector.score(noon, 0.0) > 0.9);
    }
}
