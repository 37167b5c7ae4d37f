//! Our side of a comparison with other forecasting libraries (`scripts/compare_forecast.py`).
//!
//! Usage: `forecast_peers FILE [FORECASTER]...`. A line of FILE is `season,horizon,value,value,...`; the last
//! `horizon` values are held out. For each forecaster one JSON line: mean MASE, coverage of the 95 %
//! intervals, and the CPU time of fit and forecast, milliseconds a series, median and mean.
use std::time::Duration;

use prestage_forecast::series::{Entry, FORECASTERS, Setting, forecaster};
use prestage_telemetry::{Span, Timestamp};
use rustix::time::{ClockId, clock_gettime};

/// One line of the file.
struct Task {
    season: usize,
    horizon: usize,
    known: Vec<f64>,
    held_out: Vec<f64>,
}

struct Outcome {
    mase: f64,
    covered: f64,
    cpu_ms: f64,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let path = args
        .next()
        .ok_or("usage: forecast_peers FILE [FORECASTER]...")?;
    let text = std::fs::read_to_string(&path)?;
    let tasks: Vec<Task> = text.lines().map(task).collect::<Result<_, _>>()?;
    let names: Vec<String> = args.collect();
    let entries: Vec<&Entry> = if names.is_empty() {
        FORECASTERS.iter().collect()
    } else {
        let known = |name: &String| forecaster(name).ok_or(format!("unknown forecaster `{name}`"));
        names.iter().map(known).collect::<Result<_, _>>()?
    };
    for entry in entries {
        let outcomes: Vec<Outcome> = tasks
            .iter()
            .map(|task| run(entry, task))
            .collect::<Result<_, _>>()?;
        report(entry.name, outcomes);
    }
    Ok(())
}

fn task(line: &str) -> Result<Task, Box<dyn std::error::Error>> {
    let mut fields = line.split(',');
    let mut number = || fields.next().ok_or("season or horizon is missing");
    let (season, horizon): (usize, usize) = (number()?.parse()?, number()?.parse()?);
    let mut known: Vec<f64> = fields.map(str::parse).collect::<Result<_, _>>()?;
    if known.len() <= horizon + season {
        return Err(format!("{} values of a season of {season}", known.len()).into());
    }
    let held_out = known.split_off(known.len() - horizon);
    Ok(Task {
        season,
        horizon,
        known,
        held_out,
    })
}

fn run(entry: &Entry, task: &Task) -> Result<Outcome, Box<dyn std::error::Error>> {
    // Hours have a day and a week; any other season is its own, a step of an hour standing for it.
    let step = Span::from_hours(1);
    let mut setting = Setting::new(step, task.horizon)?;
    if task.season != 24 {
        setting = setting.with_season(task.season);
    }
    if task.known.iter().all(|&value| value >= 0.0) {
        setting = setting.with_floor(0.0);
    }
    let history: Vec<(Timestamp, f64)> = (0..)
        .map(|slot| Timestamp::EPOCH + step * slot)
        .zip(task.known.iter().copied())
        .collect();
    let before = cpu_time();
    let mut forecaster = (entry.build)(&setting);
    forecaster.fit(&history);
    let quantiles: Vec<_> = (1..=task.horizon)
        .map(|steps| forecaster.predict(steps))
        .collect();
    let cpu_ms = (cpu_time() - before).as_secs_f64() * 1e3;
    let errors = quantiles.iter().zip(&task.held_out);
    let absolute: f64 = errors.clone().map(|(q, y)| (q.median() - y).abs()).sum();
    let inside = errors.filter(|(q, y)| q.at(0.025) <= **y && **y <= q.at(0.975));
    let seasonal = task.known.iter().skip(task.season).zip(&task.known);
    let scale = seasonal.map(|(now, ago)| (now - ago).abs()).sum::<f64>()
        / (task.known.len() - task.season) as f64;
    Ok(Outcome {
        mase: absolute / task.horizon as f64 / scale,
        covered: inside.count() as f64 / task.horizon as f64,
        cpu_ms,
    })
}

fn report(name: &str, outcomes: Vec<Outcome>) {
    let n = outcomes.len() as f64;
    let mean = |of: fn(&Outcome) -> f64| outcomes.iter().map(of).sum::<f64>() / n;
    let mut times: Vec<f64> = outcomes.iter().map(|outcome| outcome.cpu_ms).collect();
    times.sort_unstable_by(f64::total_cmp);
    println!(
        "{{\"lib\": \"prestage\", \"model\": \"{name}\", \"series\": {}, \"ms_median\": {:.3}, \
         \"ms_mean\": {:.3}, \"mase\": {:.4}, \"cov95\": {:.3}}}",
        outcomes.len(),
        times[times.len() / 2],
        mean(|outcome| outcome.cpu_ms),
        mean(|outcome| outcome.mase),
        mean(|outcome| outcome.covered),
    );
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).expect("CPU time is not negative"),
        u32::try_from(time.tv_nsec).expect("nanoseconds are below a second"),
    )
}
