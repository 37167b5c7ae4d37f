//! One row for each forecaster: geometric means over series, relative to seasonal naive, paired.
use prestage_forecast::backtest::{PIT_BINS, Scores};

use super::{Comparison, SeriesResult};
use crate::statistics::{Bootstrap, Grid, Interval};

/// Ratios are kept within this factor of one: where seasonal naive, or a forecaster, is right to
/// the last digit, one series would decide the mean of all.
pub(super) const RATIO_MAX: f64 = 1e3;
/// Seed of the bootstrap over series.
const SEED: u64 = 1;

/// What a forecaster was worth over many series.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSummary {
    /// Name in the registry.
    pub name: &'static str,
    /// Mean absolute scaled error, mean over the series that have a scale.
    pub mase: Option<f64>,
    /// Geometric mean over series of the error relative to seasonal naive, with a paired 95 %
    /// interval over series; `None` without any series that has one.
    pub relative_mase: Option<Interval>,
    /// Continuous ranked probability score over the scale of the series, mean over those that
    /// have one.
    pub scaled_crps: Option<f64>,
    /// Geometric mean of the score relative to seasonal naive, as that of the error.
    pub relative_crps: Option<Interval>,
    /// Mean over series of the shares inside the 80, 90 and 95 % intervals.
    pub coverage: [f64; 3],
    /// Their 95 % intervals over series; `None` of fewer than two.
    pub coverage_interval: [Option<Interval>; 3],
    /// Mean over series of the probability integral transform's histogram.
    pub pit: [f64; PIT_BINS],
    /// Forecasts in which the model failed and the newest value stood in.
    pub fallbacks: u64,
}

/// Sums up `series`, some or all of the comparison's.
pub fn summarize(comparison: &Comparison, series: &[&SeriesResult]) -> Vec<ModelSummary> {
    let baseline = comparison.seasonal_naive();
    let summary = |(model, name): (usize, &'static str)| ModelSummary {
        name,
        mase: scaled(series, model, Scores::mean_absolute_error),
        scaled_crps: scaled(series, model, Scores::crps),
        relative_mase: relative(series, model, baseline, Scores::mean_absolute_error),
        relative_crps: relative(series, model, baseline, Scores::crps),
        coverage: mean_of(series, model, Scores::coverage),
        coverage_interval: [0, 1, 2].map(|which| coverage_interval(series, model, which)),
        pit: mean_of(series, model, Scores::pit),
        fallbacks: series.iter().map(|one| one.walks[model].fallbacks).sum(),
    };
    let names = comparison.entries.iter().map(|entry| entry.name);
    names.enumerate().map(summary).collect()
}

impl Comparison {
    /// Place of the baseline among the entries.
    pub fn seasonal_naive(&self) -> usize {
        let mut entries = self.entries.iter();
        entries
            .position(|entry| entry.name == "seasonal-naive")
            .expect("a comparison includes seasonal naive")
    }
}

impl SeriesResult {
    /// A loss of an entry over the same loss of another, bounded as in the means; `None` when
    /// there is no ratio.
    pub fn ratio(&self, model: usize, baseline: usize, loss: fn(&Scores) -> f64) -> Option<f64> {
        let of = |which: usize| loss(&self.walks[which].scores);
        log_ratio(of(model), of(baseline)).map(f64::exp)
    }

    /// A loss of an entry over the scale of the series; `None` when it has none.
    pub fn scaled(&self, model: usize, loss: fn(&Scores) -> f64) -> Option<f64> {
        (self.scale > 0.0).then(|| loss(&self.walks[model].scores) / self.scale)
    }
}

fn scaled(series: &[&SeriesResult], model: usize, loss: fn(&Scores) -> f64) -> Option<f64> {
    let scaled: Vec<f64> = series
        .iter()
        .filter_map(|one| one.scaled(model, loss))
        .collect();
    (!scaled.is_empty()).then(|| crate::statistics::mean(&scaled))
}

fn coverage_interval(series: &[&SeriesResult], model: usize, which: usize) -> Option<Interval> {
    let shares: Vec<f64> = series
        .iter()
        .map(|one| one.walks[model].scores.coverage()[which])
        .collect();
    if shares.is_empty() {
        return None;
    }
    Bootstrap::new(SEED).mean(&Grid::new(shares.len(), shares))
}

fn relative(
    series: &[&SeriesResult],
    model: usize,
    baseline: usize,
    loss: impl Fn(&Scores) -> f64,
) -> Option<Interval> {
    let logs: Vec<f64> = series
        .iter()
        .filter_map(|one| {
            let of = |which: usize| loss(&one.walks[which].scores);
            log_ratio(of(model), of(baseline))
        })
        .collect();
    if logs.is_empty() {
        return None;
    }
    let mean = crate::statistics::mean(&logs);
    let alone = Interval {
        estimate: mean,
        lower: mean,
        upper: mean,
    };
    let interval = Bootstrap::new(SEED)
        .mean(&Grid::new(logs.len(), logs))
        .unwrap_or(alone);
    Some(Interval {
        estimate: interval.estimate.exp(),
        lower: interval.lower.exp(),
        upper: interval.upper.exp(),
    })
}

/// Logarithm of the ratio of two losses; `None` when the second is zero and the first is not: there
/// is no ratio then.
fn log_ratio(loss: f64, baseline: f64) -> Option<f64> {
    if baseline > 0.0 {
        return Some((loss / baseline).clamp(1.0 / RATIO_MAX, RATIO_MAX).ln());
    }
    (loss == 0.0).then_some(0.0)
}

fn mean_of<const N: usize>(
    series: &[&SeriesResult],
    model: usize,
    shares: impl Fn(&Scores) -> [f64; N],
) -> [f64; N] {
    let mut mean = [0.0; N];
    for one in series {
        for (sum, share) in mean.iter_mut().zip(shares(&one.walks[model].scores)) {
            *sum += share / series.len() as f64;
        }
    }
    mean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_bounded_and_defined_where_they_can_be() {
        assert_eq!(log_ratio(0.0, 0.0), Some(0.0));
        assert_eq!(log_ratio(1.0, 0.0), None);
        assert_eq!(log_ratio(2.0, 1.0), Some(2.0_f64.ln()));
        assert_eq!(log_ratio(0.0, 1.0), Some(-RATIO_MAX.ln()));
    }
}
