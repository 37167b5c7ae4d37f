//! One detector on one or several series: its alarms, and how they meet the labels.
use prestage_telemetry::Timestamp;
use prestage_telemetry::detect::evaluate::events::Events;
use prestage_telemetry::detect::{Alarm, AlarmSpec, AlarmState, Entry, Setting};
use rayon::prelude::*;

use super::{Error, Series};

/// What may be chosen about a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunOptions {
    /// Score that raises an alarm.
    pub threshold: f64,
    /// Samples of the warm-up; 15 % of the series and at most 750 when `None`.
    pub warm_up: Option<usize>,
}

/// One alarm.
#[derive(Clone, Debug, PartialEq)]
pub struct RaisedAlarm {
    /// The series.
    pub series: String,
    /// Its sample, from 0.
    pub index: usize,
    /// When the sample was taken.
    pub at: Timestamp,
    /// The score that raised it.
    pub score: f64,
}

/// The alarms of a run and how good they were.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Alarms, series by series, in order.
    pub alarms: Vec<RaisedAlarm>,
    /// Over all labelled series; `None` when none is labelled.
    pub events: Option<Events>,
    /// Mean time from the beginning of an incident to its first alarm, seconds; `None` when
    /// no incident was found.
    pub delay_s: Option<f64>,
}

/// Runs a detector over each series.
///
/// # Errors
/// The first series that is too short, in the order given.
pub fn run(entry: &Entry, series: &[Series], options: RunOptions) -> Result<Run, Error> {
    let judged: Vec<Judged> = series
        .par_iter()
        .map(|one| Judged::of(entry, one, options))
        .collect::<Result<_, Error>>()?;
    let events = judged.iter().filter_map(|one| one.events);
    let delay_s = mean_delay_s(judged.iter().map(|one| (one.events, one.step_s)));
    Ok(Run {
        events: events.reduce(Events::plus),
        delay_s,
        alarms: judged.into_iter().flat_map(|one| one.alarms).collect(),
    })
}

/// Mean delay over all found incidents of series with different steps, seconds.
pub fn mean_delay_s(series: impl Iterator<Item = (Option<Events>, f64)>) -> Option<f64> {
    let (mut seconds, mut found) = (0.0, 0);
    for (events, step_s) in series {
        let Some(events) = events else { continue };
        seconds += events.delay_samples as f64 * step_s;
        found += events.found;
    }
    (found > 0).then(|| seconds / found as f64)
}

struct Judged {
    alarms: Vec<RaisedAlarm>,
    events: Option<Events>,
    step_s: f64,
}

impl Judged {
    fn of(entry: &Entry, series: &Series, options: RunOptions) -> Result<Self, Error> {
        let setting = series.setting(options.warm_up)?;
        let scores = scores(entry, series, setting);
        let raised = raised(&scores, alarm(setting, options.threshold));
        let events = series
            .incidents
            .is_some()
            .then(|| events(&raised, series, setting));
        let alarm = |&index: &usize| RaisedAlarm {
            series: series.name.clone(),
            index,
            at: series.times[index],
            score: scores[index],
        };
        Ok(Self {
            alarms: raised.iter().map(alarm).collect(),
            events,
            step_s: setting.step().as_seconds(),
        })
    }
}

/// The scores a detector gives a series.
pub fn scores(entry: &Entry, series: &Series, setting: Setting) -> Vec<f64> {
    let mut detector = (entry.build)(setting);
    let samples = series.times.iter().zip(&series.values);
    samples
        .map(|(&at, &value)| detector.score(at, value))
        .collect()
}

/// The alarm of a setting, at another level.
pub fn alarm(setting: Setting, threshold: f64) -> Alarm {
    Alarm::new(AlarmSpec {
        raise: threshold,
        lower: threshold / 2.0,
        rest: setting.warm_up() / 5,
    })
}

/// Samples at which an alarm is raised.
pub fn raised(scores: &[f64], mut alarm: Alarm) -> Vec<usize> {
    let states = scores.iter().map(|&score| alarm.update(score));
    states
        .enumerate()
        .filter(|(_, state)| *state == AlarmState::Raised)
        .map(|(index, _)| index)
        .collect()
}

/// Alarms against the incidents that begin after the warm-up.
///
/// An alarm may come a little late and still be true: 7 samples where they are minutes apart,
/// 3 where they are hours (the delays Ren et al., "Time-Series Anomaly Detection Service at
/// Microsoft", KDD 2019, allow for their minute and hourly series).
pub fn events(raised: &[usize], series: &Series, setting: Setting) -> Events {
    let grace = if setting.step() < prestage_telemetry::Span::from_hours(1) {
        7
    } else {
        3
    };
    let incidents: Vec<_> = series
        .incidents
        .iter()
        .flatten()
        .copied()
        .filter(|incident| incident.first >= setting.warm_up())
        .collect();
    Events::matching(raised, &incidents, grace)
}
