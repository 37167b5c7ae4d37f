//! One row for each forecaster: geometric means over series, relative to seasonal naive, paired.
use prestage_forecast::backtest::{PIT_BINS, Scores};

use super::{Comparison, SeriesResult};
use crate::statistics::{Bootstrap, Grid, Interval};

/// Ratios are kept within this factor of one: where seasonal naive, or a forecaster, is right to
/// the last digit, one series would decide the mean of all.
const RATIO_MAX: f64 = 1e3;
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
    /// The same of the continuous ranked probability score.
    pub relative_crps: Option<Interval>,
    /// Mean over series of the shares inside the 80, 90 and 95 % intervals.
    pub coverage: [f64; 3],
    /// Mean over series of the probability integral transform's histogram.
    pub pit: [f64; PIT_BINS],
    /// Forecasts in which the model failed and the newest value stood in.
    pub fallbacks: u64,
}

/// Sums up `series`, some or all of the comparison's.
pub fn summarize(comparison: &Comparison, series: &[&SeriesResult]) -> Vec<ModelSummary> {
    let baseline = comparison
        .entries
        .iter()
        .position(|entry| entry.name == "seasonal-naive")
        .expect("a comparison includes seasonal naive");
    let summary = |(model, name): (usize, &'static str)| ModelSummary {
        name,
        mase: mase(series, model),
        relative_mase: relative(series, model, baseline, Scores::mean_absolute_error),
        relative_crps: relative(series, model, baseline, Scores::crps),
        coverage: mean_of(series, model, Scores::coverage),
        pit: mean_of(series, model, Scores::pit),
        fallbacks: series.iter().map(|one| one.walks[model].fallbacks).sum(),
    };
    let names = comparison.entries.iter().map(|entry| entry.name);
    names.enumerate().map(summary).collect()
}

fn mase(series: &[&SeriesResult], model: usize) -> Option<f64> {
    let scaled: Vec<f64> = series
        .iter()
        .filter(|one| one.scale > 0.0)
        .map(|one| one.walks[model].scores.mean_absolute_error() / one.scale)
        .collect();
    (!scaled.is_empty()).then(|| crate::statistics::mean(&scaled))
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
