//! `traffic.csv`: samples of all series in one file, sorted by time.
//!
//! In memory each series is columnar. Must not know what a metric means.
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;

use csv::{ByteRecord, Writer};

use super::table::{EPOCHS, Fields, Row, Table};
use super::{Error, ServiceMeta, WorldMeta, show};

/// The file.
pub const FILE: &str = "traffic.csv";
/// Its header.
pub const COLUMNS: &[&str] = &[
    "epoch",
    "orig_epoch",
    "service",
    "metric",
    "value",
    "anomaly",
];

/// One traffic series; the four columns are parallel and strictly ascending in time.
#[derive(Clone, Debug, PartialEq)]
pub struct TrafficSeries {
    /// Name of the service.
    pub service: String,
    /// What was measured, in the words of the source.
    pub metric: String,
    /// Unit of the values, in the words of the source.
    pub unit: String,
    /// Nominal distance of two samples, seconds.
    pub step_s: i64,
    /// Epoch seconds.
    pub times: Vec<i64>,
    /// Epoch seconds before the series was moved.
    pub orig_times: Vec<i64>,
    /// The measured values, finite.
    pub values: Vec<f64>,
    /// Whether the sample was labelled anomalous; `None` when it was not labelled.
    pub anomaly: Vec<Option<bool>>,
}

impl TrafficSeries {
    /// The series an entry of `world.json` promises, still without samples.
    pub fn empty(service: &ServiceMeta) -> Self {
        let rows = usize::try_from(service.rows.unwrap_or(0))
            .unwrap_or(0)
            .min(1 << 20);
        Self {
            service: service.service.clone(),
            metric: service.metric.clone(),
            unit: service.unit.clone(),
            step_s: service.step_s,
            times: Vec::with_capacity(rows),
            orig_times: Vec::with_capacity(rows),
            values: Vec::with_capacity(rows),
            anomaly: Vec::with_capacity(rows),
        }
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    fn has_name(&self, service: &[u8], metric: &[u8]) -> bool {
        self.service.as_bytes() == service && self.metric.as_bytes() == metric
    }
}

/// Reads `traffic.csv` into one series for each service of `world`.
pub fn read(directory: &Path, world: &WorldMeta) -> Result<Vec<TrafficSeries>, Error> {
    let mut table = Table::open(directory, FILE, COLUMNS)?;
    let mut all: Vec<TrafficSeries> = world.services.iter().map(TrafficSeries::empty).collect();
    let mut previous = *EPOCHS.start();
    let mut latest = 0;
    while let Some(row) = table.next()? {
        let epoch = row.epoch(0)?;
        row.check_order(0, epoch, previous)?;
        previous = epoch;
        latest = find(&row, &all, latest)?;
        append(&row, &mut all[latest], epoch)?;
    }
    for (service, series) in world.services.iter().zip(&all) {
        check_count(directory, service, series)?;
    }
    Ok(all)
}

/// Writes `traffic.csv`, sorted by time, then service, then metric.
pub fn write(all: &[TrafficSeries], file: &mut File) -> csv::Result<()> {
    let mut writer = Writer::from_writer(file);
    writer.write_record(COLUMNS)?;
    let mut rows: Vec<(i64, &str, &str, usize, usize)> = Vec::new();
    for (number, series) in all.iter().enumerate() {
        for (index, &time) in series.times.iter().enumerate() {
            rows.push((time, &series.service, &series.metric, number, index));
        }
    }
    rows.sort_unstable();
    let mut record = ByteRecord::new();
    for (time, service, metric, number, index) in rows {
        let series = &all[number];
        record.clear();
        Fields(&mut record)
            .show(time)
            .show(series.orig_times[index])
            .text(service)
            .text(metric)
            .show(series.values[index])
            .flag_optional(series.anomaly[index]);
        writer.write_byte_record(&record)?;
    }
    writer.flush()?;
    Ok(())
}

/// Writes `traffic.csv` sample by sample, for histories that do not fit into memory.
pub struct TrafficWriter<'a> {
    writer: Writer<BufWriter<&'a mut File>>,
    record: ByteRecord,
    services: &'a [ServiceMeta],
    rows: Vec<u64>,
    last: Vec<i64>,
    now: i64,
}

impl<'a> TrafficWriter<'a> {
    pub(super) fn new(file: &'a mut File, services: &'a [ServiceMeta]) -> csv::Result<Self> {
        let mut writer = Writer::from_writer(BufWriter::with_capacity(1 << 20, file));
        writer.write_record(COLUMNS)?;
        Ok(Self {
            writer,
            record: ByteRecord::new(),
            services,
            rows: vec![0; services.len()],
            last: vec![i64::MIN; services.len()],
            now: i64::MIN,
        })
    }

    /// Appends a sample of the series with this position in the world's services.
    ///
    /// # Panics
    /// When samples come out of order, are not finite, or of an unknown series: the
    /// caller makes them, so that is a bug.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn push(&mut self, series: usize, epoch: i64, value: f64) -> io::Result<()> {
        assert!(epoch >= self.now, "sample at {epoch} after {}", self.now);
        assert!(
            epoch > self.last[series],
            "two samples of {series} at {epoch}"
        );
        assert!(EPOCHS.contains(&epoch), "{epoch} is no epoch");
        assert!(value.is_finite(), "sample {value} of {series}");
        self.now = epoch;
        self.last[series] = epoch;
        self.rows[series] += 1;
        let service = &self.services[series];
        self.record.clear();
        Fields(&mut self.record)
            .show(epoch)
            .show(epoch)
            .text(&service.service)
            .text(&service.metric)
            .show(value)
            .flag_optional(None);
        self.writer.write_byte_record(&self.record)?;
        Ok(())
    }

    /// Ends the file; the number of rows must be what the world says.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.writer.flush()?;
        for (service, &rows) in self.services.iter().zip(&self.rows) {
            assert_eq!(service.rows, Some(rows), "rows of `{}`", service.service);
        }
        Ok(())
    }
}

/// The series of a row: most often the one after the series of the row before.
fn find(row: &Row<'_>, all: &[TrafficSeries], latest: usize) -> Result<usize, Error> {
    let (service, metric) = (row.bytes(2), row.bytes(3));
    let count = all.len();
    (1..=count)
        .map(|offset| (latest + offset) % count)
        .find(|&index| all[index].has_name(service, metric))
        .ok_or_else(|| unknown_service(row, all))
}

fn unknown_service(row: &Row<'_>, all: &[TrafficSeries]) -> Error {
    let names = || Ok::<_, Error>((row.text(2)?.to_owned(), row.text(3)?.to_owned()));
    let (service, metric) = match names() {
        Ok(names) => names,
        Err(not_utf8) => return not_utf8,
    };
    let known: Vec<String> = all
        .iter()
        .map(|series| format!("{} {}", series.service, series.metric))
        .collect();
    let known = if known.is_empty() {
        "none".to_owned()
    } else {
        known.join(", ")
    };
    Error::UnknownService {
        path: row.path(),
        line: row.line(),
        service,
        metric,
        known,
    }
}

fn append(row: &Row<'_>, series: &mut TrafficSeries, epoch: i64) -> Result<(), Error> {
    if series.times.last() == Some(&epoch) {
        return Err(Error::DuplicateRow {
            path: row.path(),
            line: row.line(),
            service: series.service.clone(),
            metric: series.metric.clone(),
            epoch,
        });
    }
    series.times.push(epoch);
    series.orig_times.push(row.epoch(1)?);
    series.values.push(row.number(4)?);
    series.anomaly.push(row.flag_optional(5)?);
    Ok(())
}

fn check_count(directory: &Path, meta: &ServiceMeta, series: &TrafficSeries) -> Result<(), Error> {
    match meta.rows {
        Some(expected) if expected != series.len() as u64 => Err(Error::RowCount {
            path: show(directory, FILE),
            stream: format!(" of service `{}`", series.service),
            found: series.len() as u64,
            expected,
        }),
        _ => Ok(()),
    }
}
