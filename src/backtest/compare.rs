//! Every forecaster on every series, at every step asked for.
use prestage_forecast::backtest::{Plan, Slots, Walk, walk};
use prestage_forecast::series::{Entry, Error, Setting, forecaster};
use prestage_telemetry::Span;
use rayon::prelude::*;

use super::RecordedSeries;

/// A step and a horizon at which series are forecast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// Series are averaged over slots of this length.
    pub step: Span,
    /// Slots ahead.
    pub horizon: usize,
}

/// Which origins are scored. Settings of the forecasters were chosen on the first part only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Up to the middle of each series.
    Tuning,
    /// From the middle on; what lies before is only learnt from.
    Evaluation,
}

/// What is compared, and on what.
#[derive(Clone)]
pub struct Options {
    /// Steps and horizons; a series takes part in those that are no finer than itself, one
    /// that is coarser than all takes part in the coarsest at its own step.
    pub tasks: Vec<Task>,
    /// The forecasters; seasonal naive and persistence are added when they are not among them.
    pub entries: Vec<&'static Entry>,
    /// Which origins.
    pub part: Part,
    /// Most origins of a series, evenly spread; long series are subsampled.
    pub origins_max: usize,
}

/// All results, series by series in the order of the tasks.
#[derive(Clone)]
pub struct Comparison {
    /// What was compared, seasonal naive and persistence included.
    pub entries: Vec<&'static Entry>,
    /// One for each series and task.
    pub series: Vec<SeriesResult>,
    /// Series that are too short for a task, by name.
    pub too_short: Vec<String>,
}

/// One series at one step.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesResult {
    /// Name of the series.
    pub name: String,
    /// Index of the task.
    pub task: usize,
    /// Mean absolute seasonal difference before the first origin, which scales errors; zero when
    /// nothing changed there.
    pub scale: f64,
    /// One for each of the comparison's entries.
    pub walks: Vec<Walk>,
}

/// Slots a part of a series must have to be scored at all.
const ORIGINS_MIN: usize = 20;

/// Walks every forecaster through every series.
///
/// # Errors
/// When a task's step or horizon is not one that forecasters know.
pub fn compare(series: &[RecordedSeries], options: &Options) -> Result<Comparison, Error> {
    let entries = with_baselines(&options.entries);
    let mut jobs = Vec::new();
    for (task, wanted) in options.tasks.iter().enumerate() {
        for one in series {
            if let Some(step) = step_in(one, options, *wanted) {
                let setting = Setting::new(step, wanted.horizon)?;
                jobs.push((task, one, setting));
            }
        }
    }
    let results: Vec<Result<SeriesResult, String>> = jobs
        .par_iter()
        .map(|(task, one, setting)| run(*task, one, setting, &entries, options))
        .collect();
    let mut comparison = Comparison {
        entries,
        series: Vec::new(),
        too_short: Vec::new(),
    };
    for result in results {
        match result {
            Ok(result) => comparison.series.push(result),
            Err(name) => comparison.too_short.push(name),
        }
    }
    Ok(comparison)
}

fn with_baselines(entries: &[&'static Entry]) -> Vec<&'static Entry> {
    let mut entries = entries.to_vec();
    for baseline in ["seasonal-naive", "persistence"] {
        if entries.iter().all(|entry| entry.name != baseline) {
            entries.extend(forecaster(baseline));
        }
    }
    entries
}

/// The step at which a series takes part in a task, if it does.
pub(super) fn step_in(series: &RecordedSeries, options: &Options, task: Task) -> Option<Span> {
    if series.step <= task.step {
        return Some(task.step);
    }
    let coarsest = options.tasks.iter().map(|task| task.step).max();
    (coarsest == Some(task.step)).then_some(series.step)
}

fn run(
    task: usize,
    series: &RecordedSeries,
    setting: &Setting,
    entries: &[&'static Entry],
    options: &Options,
) -> Result<SeriesResult, String> {
    let Prepared {
        setting,
        slots,
        plan,
    } = prepare(series, setting, options).ok_or_else(|| series.name.clone())?;
    let known = &slots.values()[..plan.origins.start];
    let walks: Vec<Walk> = entries
        .iter()
        .map(|entry| walk(entry, &setting, &slots, &plan))
        .collect();
    Ok(SeriesResult {
        name: series.name.clone(),
        task,
        scale: seasonal_difference(known, setting.season()),
        walks,
    })
}

/// A series as it is walked through.
pub(super) struct Prepared {
    pub setting: Setting,
    pub slots: Slots,
    pub plan: Plan,
}

/// Cuts a series into slots and plans its walk; `None` when it is too short.
pub(super) fn prepare(
    series: &RecordedSeries,
    setting: &Setting,
    options: &Options,
) -> Option<Prepared> {
    let slots = Slots::from_samples(setting.step(), &series.samples);
    let plan = plan(setting, slots.values().len(), options)?;
    let known = &slots.values()[..plan.origins.start];
    let is_never_negative = known.iter().flatten().all(|&value| value >= 0.0);
    let setting = if is_never_negative {
        setting.clone().with_floor(0.0)
    } else {
        setting.clone()
    };
    Some(Prepared {
        setting,
        slots,
        plan,
    })
}

/// The tuning part begins after two days and at least a fifth and at most a quarter of a series,
/// and ends a horizon before its middle, where the evaluation part begins.
fn plan(setting: &Setting, slots: usize, options: &Options) -> Option<Plan> {
    let learnt = (2 * setting.season()).clamp(slots / 5, slots / 4);
    let horizon = setting.horizon();
    let origins = match options.part {
        Part::Tuning => learnt..(slots / 2).checked_sub(horizon)?,
        Part::Evaluation => slots / 2..slots.checked_sub(horizon)?,
    };
    (origins.len() >= ORIGINS_MIN).then(|| Plan {
        stride: origins.len().div_ceil(options.origins_max.max(1)).max(1),
        retrain_every: setting.season().max(24),
        origins,
    })
}

fn seasonal_difference(values: &[Option<f64>], season: usize) -> f64 {
    let pairs = values.iter().skip(season).zip(values);
    let differences: Vec<f64> = pairs
        .filter_map(|(value, before)| Some((value.as_ref()? - before.as_ref()?).abs()))
        .collect();
    differences.iter().sum::<f64>() / differences.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(part: Part) -> Options {
        Options {
            tasks: vec![
                Task {
                    step: Span::from_hours(1),
                    horizon: 24,
                },
                Task {
                    step: Span::from_minutes(5),
                    horizon: 12,
                },
            ],
            entries: Vec::new(),
            part,
            origins_max: 100,
        }
    }

    #[test]
    fn parts_do_not_meet_and_the_second_reaches_the_end() {
        let setting = Setting::new(Span::from_hours(1), 24).unwrap();
        let tuning = plan(&setting, 1_000, &options(Part::Tuning)).unwrap();
        let evaluation = plan(&setting, 1_000, &options(Part::Evaluation)).unwrap();
        assert_eq!(tuning.origins, 200..476);
        assert_eq!((evaluation.origins, evaluation.stride), (500..976, 5));
        assert_eq!(plan(&setting, 50, &options(Part::Tuning)), None);
    }

    #[test]
    fn a_series_takes_part_where_it_is_fine_enough_and_coarse_ones_once() {
        let options = options(Part::Evaluation);
        let steps = |minutes| {
            let series = RecordedSeries {
                name: String::new(),
                step: Span::from_minutes(minutes),
                samples: Vec::new(),
            };
            let step = |task: &Task| step_in(&series, &options, *task).map(Span::as_minutes);
            options.tasks.iter().map(step).collect::<Vec<_>>()
        };
        assert_eq!(steps(1), [Some(60.0), Some(5.0)]);
        assert_eq!(steps(30), [Some(60.0), None]);
        assert_eq!(steps(1_440), [Some(1_440.0), None]);
    }

    #[test]
    fn the_scale_is_the_mean_seasonal_difference() {
        let values = [Some(1.0), Some(5.0), None, Some(6.0), Some(4.0)];
        assert_eq!(seasonal_difference(&values, 2), 1.0);
        assert_eq!(seasonal_difference(&[], 2), 0.0);
    }
}
