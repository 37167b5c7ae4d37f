//! Traffic out of a CSV file with one sample a row.
use std::collections::BTreeMap;
use std::path::Path;

use prestage_telemetry::history::{ServiceMeta, TrafficSeries};

use super::table::Table;
use super::{Error, Streams};

const REQUIRED: [&str; 2] = ["time", "value"];
const KNOWN: [&str; 5] = ["time", "service", "metric", "value", "anomaly"];

/// What the file does not say.
#[derive(Clone, Debug)]
pub struct TrafficOptions {
    /// Service of rows without one.
    pub service: String,
    /// Metric of rows without one.
    pub metric: String,
    /// Unit of the values.
    pub unit: String,
}

/// Samples by service and metric, then time: value and label.
pub type Samples = BTreeMap<(String, String), BTreeMap<i64, (f64, Option<bool>)>>;

/// Reads a CSV file with the columns `time`, `value` and, where they are known, `service`, `metric`,
/// `anomaly`. Of two rows of one series and time the later stays. Rows may be in any order.
///
/// # Errors
/// When the file cannot be read, lacks a column, or a field is not of its kind.
pub fn import(path: &Path, options: &TrafficOptions) -> Result<Streams, Error> {
    let mut table = Table::open(path, &REQUIRED, &KNOWN)?;
    let mut samples = Samples::new();
    let mut dropped = 0;
    while table.next()? {
        let name = |column, default: &str| table.text(column).unwrap_or(default).to_owned();
        let key = (
            name("service", &options.service),
            name("metric", &options.metric),
        );
        let value = table
            .number("value", f64::NEG_INFINITY)?
            .ok_or_else(|| table.refuse("value", "", "a finite number; leave the row out"))?;
        let row = (value, table.flag("anomaly")?);
        let replaced = samples
            .entry(key)
            .or_default()
            .insert(table.epoch("time")?, row);
        dropped += u64::from(replaced.is_some());
    }
    let mut streams = series(samples, &options.unit, &path.display().to_string());
    if dropped > 0 {
        streams.notes.push(format!(
            "{dropped} rows were replaced by a later row of the same time"
        ));
    }
    Ok(streams)
}

/// Series out of samples; the step of each is the commonest distance of two of its samples.
pub fn series(samples: Samples, unit: &str, source: &str) -> Streams {
    let mut streams = Streams::default();
    for ((service, metric), rows) in samples {
        let times: Vec<i64> = rows.keys().copied().collect();
        let labelled = rows.values().any(|(_, anomaly)| anomaly.is_some());
        let step_s = commonest_step(&times);
        let meta = ServiceMeta {
            service: service.clone(),
            metric: metric.clone(),
            unit: unit.to_owned(),
            step_s,
            labelled: Some(labelled),
            source: Some(source.to_owned()),
            ..ServiceMeta::default()
        };
        let series = TrafficSeries {
            service,
            metric,
            unit: unit.to_owned(),
            step_s,
            orig_times: times.clone(),
            times,
            values: rows.values().map(|(value, _)| *value).collect(),
            anomaly: rows.values().map(|(_, anomaly)| *anomaly).collect(),
        };
        streams.traffic.push((meta, series));
    }
    streams
}

fn commonest_step(times: &[i64]) -> i64 {
    let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
    for pair in times.windows(2) {
        *counts.entry(pair[1] - pair[0]).or_default() += 1;
    }
    // Of equally common steps the shortest: gaps are longer than the step, never shorter.
    let commonest = counts
        .into_iter()
        .max_by_key(|&(step, count)| (count, -step));
    commonest.map_or(60, |(step, _)| step)
}
