//! Fills a store from what prestage itself writes: history directories and telemetry streams.
//!
//! Streams of events (`*_total`) may have several samples at one time; a store has one value for each
//! series and time, so they are added up here, where the whole stream is in sight. Ingesting a file
//! twice changes nothing.
use std::collections::BTreeMap;
use std::io::Read;

use csv::ByteRecord;
use prestage_telemetry::{History, Timestamp};

use crate::{Batch, Error, Outcome, SeriesRef, Store};

/// Header of the telemetry stream that `prestage simulate --telemetry` writes.
pub const STREAM_COLUMNS: [&str; 4] = ["time_s", "service", "metric", "value"];

const BATCH_ROWS: usize = 1 << 16;

/// Collects samples into batches.
struct Filler<'a> {
    store: &'a mut Store,
    batch: Batch,
    outcome: Outcome,
    /// The sample to append next, while others of its time may follow.
    pending: Option<(SeriesRef, i64, f64)>,
}

/// Takes the traffic and the event streams of a history. Events are of the service `repository`; runs
/// of continuous integration are of their suite.
///
/// # Errors
/// When a name cannot be stored, the store has as many series as it may, or the disk fails.
pub fn history(store: &mut Store, history: &History, repository: &str) -> Result<Outcome, Error> {
    let mut filler = Filler::new(store);
    for traffic in &history.traffic {
        let series = filler.store.series(&traffic.metric, &traffic.service)?;
        for (&time, &value) in traffic.times.iter().zip(&traffic.values) {
            filler.gauge(series, time, value)?;
        }
    }
    let commits = history.commits.iter().filter(|commit| commit.mainline);
    let releases = history.releases.iter().map(|release| release.tag_epoch);
    let deps = history.deps.iter().map(|change| change.epoch);
    let advisories = history
        .advisories
        .iter()
        .map(|advisory| advisory.publish_epoch);
    filler.events(
        "commits_total",
        repository,
        commits.map(|commit| commit.commit_epoch),
    )?;
    filler.events("releases_total", repository, releases)?;
    filler.events("dependency_updates_total", repository, deps)?;
    filler.events("advisories_total", repository, advisories)?;
    for run in &history.ci_runs {
        let series = filler.store.series("test_suite_seconds", &run.suite)?;
        filler.gauge(series, run.epoch, run.duration_s)?;
    }
    filler.finish()
}

/// Takes a telemetry stream: CSV with [`STREAM_COLUMNS`].
///
/// # Errors
/// As [`history`]; also when a line is not of that form, with its number.
pub fn stream(store: &mut Store, input: impl Read) -> Result<Outcome, Error> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .buffer_capacity(1 << 18)
        .from_reader(input);
    let mut record = ByteRecord::new();
    let mut known: BTreeMap<(Vec<u8>, Vec<u8>), SeriesRef> = BTreeMap::new();
    let mut filler = Filler::new(store);
    let mut latest: Option<(Vec<u8>, Vec<u8>, SeriesRef)> = None;
    let mut is_header = true;
    while read(&mut reader, &mut record)? {
        if std::mem::take(&mut is_header) {
            check_header(&record)?;
            continue;
        }
        let (service, metric) = (&record[1], &record[2]);
        let series = match &latest {
            Some((of, named, series)) if of == service && named == metric => *series,
            _ => {
                let key = (service.to_vec(), metric.to_vec());
                let series = match known.get(&key) {
                    Some(series) => *series,
                    None => {
                        let series = filler.store.series(text(&record, 2)?, text(&record, 1)?)?;
                        known.insert(key.clone(), series);
                        series
                    }
                };
                latest = Some((key.0, key.1, series));
                series
            }
        };
        let seconds: f64 = number(&record, 0)?;
        let time = Timestamp((seconds * 1e6).round() as i64);
        filler.push(
            series,
            time.0,
            number(&record, 3)?,
            metric.ends_with(b"_total"),
        )?;
    }
    if is_header {
        return Err(refuse(1, "the end of the file", &STREAM_COLUMNS.join(",")));
    }
    filler.finish()
}

/// Takes OpenMetrics text whose samples have times, such as `prestage store export --openmetrics` writes.
///
/// # Errors
/// As [`history`]; also when a line is no sample with a time, or the text is cut: nothing is taken then.
pub fn openmetrics(store: &mut Store, text: &str) -> Result<Outcome, Error> {
    let samples = crate::export::openmetrics::read(text)?;
    let mut filler = Filler::new(store);
    for sample in samples {
        let key = sample.series;
        let series = filler.store.series(&key.metric, &key.service)?;
        filler.push(series, sample.time, sample.value, false)?;
    }
    filler.finish()
}

impl<'a> Filler<'a> {
    fn new(store: &'a mut Store) -> Self {
        Self {
            store,
            batch: Batch::new(),
            outcome: Outcome::default(),
            pending: None,
        }
    }

    fn gauge(&mut self, series: SeriesRef, epoch: i64, value: f64) -> Result<(), Error> {
        self.push(series, Timestamp::from_seconds(epoch).0, value, false)
    }

    fn events(
        &mut self,
        metric: &str,
        service: &str,
        epochs: impl Iterator<Item = i64>,
    ) -> Result<(), Error> {
        let series = self.store.series(metric, service)?;
        for epoch in epochs {
            self.push(series, Timestamp::from_seconds(epoch).0, 1.0, true)?;
        }
        Ok(())
    }

    fn push(
        &mut self,
        series: SeriesRef,
        time: i64,
        value: f64,
        adds_up: bool,
    ) -> Result<(), Error> {
        match &mut self.pending {
            Some((of, at, sum)) if adds_up && (*of, *at) == (series, time) => *sum += value,
            pending => {
                if let Some((of, at, sum)) = pending.replace((series, time, value)) {
                    self.batch.push(of, Timestamp(at), sum);
                }
            }
        }
        if self.batch.len() >= BATCH_ROWS {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.outcome.merge(self.store.append(&self.batch)?);
        self.batch.clear();
        Ok(())
    }

    /// Appends the rest and makes everything durable.
    fn finish(mut self) -> Result<Outcome, Error> {
        if let Some((series, time, value)) = self.pending.take() {
            self.batch.push(series, Timestamp(time), value);
        }
        self.flush()?;
        self.store.sync()?;
        Ok(self.outcome)
    }
}

fn read<R: Read>(reader: &mut csv::Reader<R>, record: &mut ByteRecord) -> Result<bool, Error> {
    reader.read_byte_record(record).map_err(|error| {
        let line = error.position().map_or(0, csv::Position::line);
        match error.into_kind() {
            csv::ErrorKind::Io(cause) => Error::Io {
                path: "the telemetry stream".to_owned(),
                action: "read",
                cause,
            },
            csv::ErrorKind::UnequalLengths { len, .. } => {
                refuse(line, &format!("{len} fields"), "4 fields")
            }
            kind => refuse(line, &format!("{kind:?}"), "a row of CSV"),
        }
    })
}

fn check_header(record: &ByteRecord) -> Result<(), Error> {
    let is_header = record
        .iter()
        .eq(STREAM_COLUMNS.iter().map(|name| name.as_bytes()));
    if is_header {
        return Ok(());
    }
    let found: Vec<String> = record
        .iter()
        .map(|f| String::from_utf8_lossy(f).into_owned())
        .collect();
    Err(refuse(
        1,
        &format!("`{}`", found.join(",")),
        &STREAM_COLUMNS.join(","),
    ))
}

fn text(record: &ByteRecord, column: usize) -> Result<&str, Error> {
    std::str::from_utf8(&record[column]).map_err(|_| {
        refuse(
            line(record),
            "bytes that are not UTF-8",
            STREAM_COLUMNS[column],
        )
    })
}

fn number(record: &ByteRecord, column: usize) -> Result<f64, Error> {
    let text = text(record, column)?;
    text.parse().map_err(|_| {
        let allowed = format!("a number as `{}`", STREAM_COLUMNS[column]);
        refuse(line(record), &format!("`{text}`"), &allowed)
    })
}

fn line(record: &ByteRecord) -> u64 {
    record.position().map_or(0, csv::Position::line)
}

fn refuse(line: u64, found: &str, allowed: &str) -> Error {
    Error::Query {
        problem: format!("line {line} of the telemetry stream: found {found} (allowed: {allowed})"),
    }
}

#[cfg(test)]
mod tests {
    use prestage_telemetry::Span;

    use super::*;
    use crate::{Aggregation, Query, StoreOptions};

    fn take(text: &str) -> Result<(Outcome, Vec<Vec<f64>>), Error> {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open_or_create(folder.path(), &StoreOptions::default())?;
        stream(&mut store, text.as_bytes())?;
        // Again: at-least-once delivery changes nothing.
        let outcome = stream(&mut store, text.as_bytes())?;
        let query = Query {
            every: Some(Span::from_seconds(60)),
            aggregations: vec![Aggregation::Sum, Aggregation::Count],
            ..Query::new("commits_total")
        };
        Ok((outcome, store.snapshot().query(&query)?.columns))
    }

    #[test]
    fn events_of_one_time_add_up_and_a_second_reading_changes_nothing() {
        let text = "time_s,service,metric,value\n0.5,web,commits_total,1\n0.5,web,commits_total,2\n\
                    61,web,commits_total,1\n61,,replicas,3\n";
        let (outcome, columns) = take(text).unwrap();
        assert_eq!(outcome.accepted, 3);
        assert_eq!(columns, [[3.0, 1.0], [1.0, 1.0]]);
    }

    #[test]
    fn what_was_exported_is_ingested_again_exactly() {
        let key = crate::SeriesKey::new("cpu", "w\"e\\b").unwrap();
        let (times, values) = ([1, 1_000_000, 2_500_000], [0.1, -3e-300, 7.0]);
        let mut text = String::new();
        crate::export::openmetrics::write_head(&mut text, "cpu");
        crate::export::openmetrics::write_samples(&mut text, &key, &times, &values);
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open_or_create(folder.path(), &StoreOptions::default()).unwrap();
        let cut = openmetrics(&mut store, &text).unwrap_err().to_string();
        assert!(cut.contains("# EOF"), "{cut}");
        crate::export::openmetrics::write_end(&mut text);
        assert_eq!(openmetrics(&mut store, &text).unwrap().accepted, 3);
        let (days, damaged) = store.snapshot().samples(&Query::new("cpu"), 0).unwrap();
        assert_eq!(damaged, []);
        let found = (&days[0].series, &days[0].times[..], &days[0].values[..]);
        assert_eq!(found, (&key, &times[..], &values[..]));
    }

    #[test]
    fn a_line_of_another_form_is_named() {
        let refused = |text: &str| take(text).unwrap_err().to_string();
        assert!(
            refused("time,service,metric,value\n")
                .starts_with("line 1 of the telemetry stream: found `time,")
        );
        let header = "time_s,service,metric,value\n";
        assert_eq!(
            refused(&format!("{header}1,a,cpu,x\n")),
            "line 2 of the telemetry stream: found `x` (allowed: a number as `value`)"
        );
        assert!(
            refused(&format!("{header}1,a,cpu\n")).contains("found 3 fields (allowed: 4 fields)")
        );
        assert!(refused("").contains("the end of the file"));
    }
}
