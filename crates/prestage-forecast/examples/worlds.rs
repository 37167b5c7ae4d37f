//! The loads of histories, series by series: how a forecaster compares with seasonal naive.
//!
//! Usage: `worlds tuning|evaluation STEP HORIZON ORIGINS FORECASTER HISTORY...`, STEP in minutes. The plan is that
//! of `prestage forecast backtest`: constants are chosen on `tuning`, the first halves; `evaluation` is for the
//! figures of the documents. One line a series: ratios of MASE and CRPS to seasonal naive, coverage of the 90 %
//! interval; the last line has geometric means of the ratios and the mean of the coverage.
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use prestage_forecast::backtest::{Plan, Scores, Slots, walk};
use prestage_forecast::series::{Entry, Setting, forecaster};
use prestage_telemetry::{History, Span, Timestamp};

type Failure = Box<dyn std::error::Error>;

/// What is asked for.
struct Question {
    is_tuning: bool,
    step: Span,
    horizon: usize,
    origins_max: usize,
    entry: &'static Entry,
    histories: Vec<String>,
}

/// A series with the slots it is forecast on.
struct Series {
    name: String,
    slots: Slots,
}

/// Scores of seasonal naive and of the forecaster on one series.
struct Row {
    name: String,
    bar: Scores,
    own: Scores,
}

fn main() -> Result<(), Failure> {
    let question = question(std::env::args().skip(1).collect())?;
    let mut series = Vec::new();
    for path in &question.histories {
        series.extend(read(Path::new(path), question.step)?);
    }
    report(&all_rows(&question, &series)?);
    Ok(())
}

fn question(arguments: Vec<String>) -> Result<Question, Failure> {
    let usage = "usage: worlds tuning|evaluation STEP HORIZON ORIGINS FORECASTER HISTORY...";
    let [part, step, horizon, origins, name, histories @ ..] = arguments.as_slice() else {
        return Err(usage.into());
    };
    Ok(Question {
        is_tuning: match part.as_str() {
            "tuning" => true,
            "evaluation" => false,
            _ => return Err(usage.into()),
        },
        step: Span::from_minutes(step.parse()?),
        horizon: horizon.parse()?,
        origins_max: origins.parse()?,
        entry: forecaster(name).ok_or(format!("unknown forecaster `{name}`"))?,
        histories: histories.to_vec(),
    })
}

/// The series that are fine enough for `step`; at hours also the coarser ones, at their own step.
fn read(path: &Path, step: Span) -> Result<Vec<Series>, Failure> {
    let history = History::read(path)?;
    let mut all = Vec::new();
    for traffic in &history.traffic {
        let own = Span::from_seconds(traffic.step_s.max(1));
        if own > step && step < Span::from_hours(1) {
            continue;
        }
        let times = traffic.times.iter().map(|&at| Timestamp::from_seconds(at));
        let samples: Vec<(Timestamp, f64)> = times.zip(traffic.values.iter().copied()).collect();
        all.push(Series {
            name: format!("{}/{}", history.world.world, traffic.service),
            slots: Slots::from_samples(step.max(own), &samples),
        });
    }
    Ok(all)
}

/// One row for each series long enough, in their order; two threads share the work.
fn all_rows(question: &Question, series: &[Series]) -> Result<Vec<Row>, Failure> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut rows = Vec::new();
        while let Some(one) = series.get(next.fetch_add(1, Ordering::Relaxed)) {
            rows.push(row(question, one).map_err(|error| error.to_string())?);
        }
        Ok::<_, String>(rows)
    };
    let mut rows: Vec<Row> = std::thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        let results = threads.map(|thread| thread.join().expect("a walk does not panic"));
        results.into_iter().collect::<Result<Vec<_>, _>>()
    })?
    .into_iter()
    .flatten()
    .flatten()
    .collect();
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(rows)
}

fn row(question: &Question, series: &Series) -> Result<Option<Row>, Failure> {
    let mut setting = Setting::new(series.slots.step(), question.horizon)?;
    let Some(plan) = plan(question, &setting, series.slots.values().len()) else {
        return Ok(None);
    };
    let known = &series.slots.values()[..plan.origins.start];
    if known.iter().flatten().all(|&value| value >= 0.0) {
        setting = setting.with_floor(0.0);
    }
    let bar = forecaster("seasonal-naive").ok_or("seasonal naive is always there")?;
    Ok(Some(Row {
        name: series.name.clone(),
        bar: walk(bar, &setting, &series.slots, &plan).scores,
        own: walk(question.entry, &setting, &series.slots, &plan).scores,
    }))
}

/// The plan of the command; `None` for a series that is too short.
fn plan(question: &Question, setting: &Setting, slots: usize) -> Option<Plan> {
    let learnt = (2 * setting.season()).clamp(slots / 5, slots / 4);
    let origins = if question.is_tuning {
        learnt..(slots / 2).checked_sub(setting.horizon())?
    } else {
        slots / 2..slots.checked_sub(setting.horizon())?
    };
    (origins.len() >= 20).then(|| Plan {
        stride: origins.len().div_ceil(question.origins_max.max(1)).max(1),
        retrain_every: setting.season().max(24),
        origins,
    })
}

fn report(rows: &[Row]) {
    let (mut mases, mut crpses, mut covered) = (Vec::new(), Vec::new(), 0.0);
    for row in rows {
        let mase = ratio(row, Scores::mean_absolute_error);
        let crps = ratio(row, Scores::crps);
        let coverage = row.own.coverage()[1];
        mases.extend(mase);
        crpses.extend(crps);
        let (mase, crps) = (mase.unwrap_or(f64::NAN), crps.unwrap_or(f64::NAN));
        println!(
            "{:34} {mase:8.4} {crps:8.4} {:5.1}",
            row.name,
            100.0 * coverage
        );
        covered += coverage;
    }
    println!(
        "{:34} {:8.4} {:8.4} {:5.1}",
        format!("all {}", rows.len()),
        geometric_mean(&mases),
        geometric_mean(&crpses),
        100.0 * covered / rows.len().max(1) as f64
    );
}

fn geometric_mean(ratios: &[f64]) -> f64 {
    let logs: f64 = ratios.iter().map(|ratio| ratio.ln()).sum();
    (logs / ratios.len().max(1) as f64).exp()
}

/// As in the command: within a thousand times, one when both are zero, none when only the bar is.
fn ratio(row: &Row, loss: impl Fn(&Scores) -> f64) -> Option<f64> {
    let (own, bar) = (loss(&row.own), loss(&row.bar));
    if bar > 0.0 {
        return Some((own / bar).clamp(1e-3, 1e3));
    }
    (own == 0.0).then_some(1.0)
}
