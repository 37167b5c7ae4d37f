//! What the first forecaster said at the newest origin of some series, and what came.
//!
//! Three series of each task: the one on which it was best relative to seasonal naive, the middle
//! one and the worst, so that nobody chose the pretty ones. Where one of the two is right to the last
//! digit there is no ratio, and nothing to see.
use prestage_forecast::backtest::Scores;
use prestage_forecast::series::{Error, Quantiles, Setting};
use prestage_telemetry::{Span, Timestamp};
use rayon::prelude::*;

use super::compare::{Prepared, prepare, step_in};
use super::summary::RATIO_MAX;
use super::{Comparison, Options, RecordedSeries, SeriesResult};

/// Slots shown before the origin, in horizons.
const HORIZONS_BEFORE: usize = 3;

/// Which of the series of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    /// The lowest ratio of CRPS to seasonal naive.
    Best,
    /// The middle one.
    Middle,
    /// The highest.
    Worst,
}

/// One forecast with what came before and after.
#[derive(Clone, Debug, PartialEq)]
pub struct Fan {
    /// Name of the series.
    pub name: String,
    /// The forecaster.
    pub model: &'static str,
    /// Why this series is shown.
    pub rank: Rank,
    /// CRPS over all origins, relative to seasonal naive.
    pub relative_crps: f64,
    /// Length of a slot.
    pub step: Span,
    /// End of the newest slot that the forecaster had seen.
    pub origin: Timestamp,
    /// The newest slots up to the origin, oldest first.
    pub before: Vec<Option<f64>>,
    /// Slot by slot after it: what was said and what came.
    pub ahead: Vec<(Quantiles, Option<f64>)>,
}

/// The fans of all tasks, in their order; walks the first entry once more through each series.
///
/// # Errors
/// When a task's step or horizon is not one that forecasters know.
pub fn fans(
    series: &[RecordedSeries],
    comparison: &Comparison,
    options: &Options,
) -> Result<Vec<Fan>, Error> {
    let mut jobs = Vec::new();
    for (task, wanted) in options.tasks.iter().enumerate() {
        for (rank, relative_crps, result) in ranked(comparison, task) {
            // Names may repeat among files; the first of a name is the one shown.
            let found = series.iter().find(|one| one.name == result.name);
            let recorded = found.expect("a result has its series");
            let step = step_in(recorded, options, *wanted).expect("it took part in the task");
            let setting = Setting::new(step, wanted.horizon)?;
            jobs.push((rank, relative_crps, recorded, setting));
        }
    }
    let fans: Vec<Option<Fan>> = jobs
        .par_iter()
        .map(|(rank, relative_crps, recorded, setting)| {
            let prepared = prepare(recorded, setting, options)?;
            let (origin, before, ahead) = newest(comparison, &prepared)?;
            Some(Fan {
                name: recorded.name.clone(),
                model: comparison.entries[0].name,
                rank: *rank,
                relative_crps: *relative_crps,
                step: setting.step(),
                origin,
                before,
                ahead,
            })
        })
        .collect();
    Ok(fans.into_iter().flatten().collect())
}

/// Best, middle and worst series of a task; fewer where there are not three.
fn ranked(comparison: &Comparison, task: usize) -> Vec<(Rank, f64, &SeriesResult)> {
    let baseline = comparison.seasonal_naive();
    let mut by_ratio: Vec<(f64, &SeriesResult)> = comparison
        .series
        .iter()
        .filter(|one| one.task == task)
        .filter_map(|one| Some((one.ratio(0, baseline, Scores::crps)?, one)))
        .filter(|(ratio, _)| (1.01 / RATIO_MAX..RATIO_MAX / 1.01).contains(ratio))
        .collect();
    by_ratio.sort_by(|a, b| a.0.total_cmp(&b.0));
    let count = by_ratio.len();
    let mut places = vec![(Rank::Best, 0)];
    if count > 2 {
        places.push((Rank::Middle, count / 2));
    }
    if count > 1 {
        places.push((Rank::Worst, count - 1));
    }
    places
        .into_iter()
        .filter_map(|(rank, place)| by_ratio.get(place).map(|&(ratio, one)| (rank, ratio, one)))
        .collect()
}

type Window = (Timestamp, Vec<Option<f64>>, Vec<(Quantiles, Option<f64>)>);

/// The forecast after the newest measured slot from which a whole horizon is known; trained on
/// the way as in the comparison.
fn newest(comparison: &Comparison, prepared: &Prepared) -> Option<Window> {
    let Prepared {
        setting,
        slots,
        plan,
    } = prepared;
    let values = slots.values();
    let last = (plan.origins.clone())
        .rev()
        .find(|&slot| values[slot].is_some())?;
    let mut forecaster = (comparison.entries[0].build)(setting);
    for (slot, value) in values.iter().enumerate().take(last + 1) {
        if let Some(value) = value {
            forecaster.update(slots.time(slot), *value);
        }
        let learnt = slot + 1;
        if learnt.is_multiple_of(plan.retrain_every) || learnt == plan.origins.start {
            forecaster.retrain();
        }
    }
    let first = (last + 1).saturating_sub(HORIZONS_BEFORE * setting.horizon());
    let ahead = (1..=setting.horizon())
        .map(|steps| {
            let came = values.get(last + steps).copied().flatten();
            (forecaster.predict(steps), came)
        })
        .collect();
    let origin = slots.time(last) + setting.step();
    Some((origin, values[first..=last].to_vec(), ahead))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backtest::{Part, Task, compare};

    /// A daily wave, of another height each, with noise without a generator.
    fn recorded(index: i64, hours: i64) -> RecordedSeries {
        let value = |hour: i64| {
            let phase = (hour % 24) as f64 / 24.0 * std::f64::consts::TAU;
            let noise = (hour * hour * 7_919 % 1_009) as f64 / 1_009.0;
            50.0 + (5 + 10 * index) as f64 * phase.sin() + 10.0 * noise
        };
        RecordedSeries {
            name: format!("series-{index}"),
            step: Span::from_hours(1),
            samples: (0..hours)
                .map(|hour| (Timestamp::from_seconds(hour * 3_600), value(hour)))
                .collect(),
        }
    }

    fn options() -> Options {
        Options {
            tasks: vec![Task {
                step: Span::from_hours(1),
                horizon: 12,
            }],
            entries: prestage_forecast::series::FORECASTERS[1..3]
                .iter()
                .collect(),
            part: Part::Evaluation,
            origins_max: 20,
        }
    }

    #[test]
    fn three_of_four_are_shown_and_end_with_the_series() {
        let series: Vec<RecordedSeries> = (0..4).map(|index| recorded(index, 400)).collect();
        let comparison = compare(&series, &options()).unwrap();
        let shown = fans(&series, &comparison, &options()).unwrap();
        let ranks: Vec<Rank> = shown.iter().map(|fan| fan.rank).collect();
        assert_eq!(ranks, [Rank::Best, Rank::Middle, Rank::Worst]);
        assert!(shown.is_sorted_by(|a, b| a.relative_crps <= b.relative_crps));
        for fan in &shown {
            assert_eq!((fan.before.len(), fan.ahead.len()), (36, 12));
            assert_eq!(fan.origin, Timestamp::from_seconds((400 - 12) * 3_600));
            let last = series
                .iter()
                .find(|one| one.name == fan.name)
                .unwrap()
                .samples[399];
            assert_eq!(fan.ahead[11].1, Some(last.1));
        }
    }

    #[test]
    fn what_came_does_not_change_what_was_said() {
        let series = vec![recorded(1, 400)];
        let mut altered = series.clone();
        for sample in &mut altered[0].samples[400 - 12..] {
            sample.1 = 1e6;
        }
        let comparison = compare(&series, &options()).unwrap();
        let said = |series: &[RecordedSeries]| {
            let fan = fans(series, &comparison, &options()).unwrap().remove(0);
            fan.ahead
                .into_iter()
                .map(|(said, _)| said)
                .collect::<Vec<_>>()
        };
        assert_eq!(said(&series), said(&altered));
    }
}
