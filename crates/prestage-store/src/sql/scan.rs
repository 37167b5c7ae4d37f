//! Reads a table day by day: which files, which rows of them, which columns.
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use ::parquet::data_type::{DoubleType, Int64Type};
use datafusion::arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray,
    TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use prestage_telemetry::Timestamp;

use super::bounds::{Bounds, Names};
use super::tables::{Kind, UTC};
use crate::part::PartFile;
use crate::query::{Decode, wanted_rows};
use crate::{Damaged, DaySamples, Error, PartMeta, Query, Snapshot, Tier};

/// Rows that a batch has at least, unless the day has no more.
const BATCH_ROWS: usize = 8_192;

/// What the scans of a question came upon.
#[derive(Debug, Default)]
pub struct Findings(Mutex<Found>);

#[derive(Debug, Default)]
struct Found {
    damaged: Vec<Damaged>,
    failure: Option<Error>,
    rows_scanned: u64,
}

/// One scan of one table.
#[derive(Clone)]
pub struct Scan {
    /// The table.
    pub kind: Kind,
    /// Columns that are wanted, in their order.
    pub schema: SchemaRef,
    /// What is read.
    pub snapshot: Arc<Snapshot>,
    /// Where findings go.
    pub findings: Arc<Findings>,
    /// Rows that can matter.
    pub bounds: Bounds,
}

/// What is read at once.
enum Unit {
    /// The samples of a metric on a day.
    Samples(Query, i64),
    /// A downsampled partition.
    Rollups(Query, PartMeta),
}

/// The batches of a scan, made as they are asked for.
struct Batches {
    scan: Scan,
    units: VecDeque<Unit>,
    ready: VecDeque<RecordBatch>,
}

/// Rows of one metric, by service, with their columns.
struct Chunk {
    metric: String,
    tier: Tier,
    runs: Vec<(String, usize)>,
    columns: BTreeMap<&'static str, ArrayRef>,
}

impl Findings {
    fn change(&self, change: impl FnOnce(&mut Found)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// A question that reads a table twice meets a damaged partition twice.
    fn add_damaged(&self, damaged: Vec<Damaged>) {
        self.change(|found| {
            for one in damaged {
                if !found.damaged.contains(&one) {
                    found.damaged.push(one);
                }
            }
        });
    }

    /// What stopped a scan.
    pub fn take_failure(&self) -> Option<Error> {
        let mut failure = None;
        self.change(|found| failure = found.failure.take());
        failure
    }

    /// Partitions that are missing from the answer.
    pub fn take_damaged(&self) -> Vec<Damaged> {
        let mut damaged = Vec::new();
        self.change(|found| damaged = std::mem::take(&mut found.damaged));
        damaged
    }

    /// Rows decoded.
    pub fn rows_scanned(&self) -> u64 {
        let mut rows = 0;
        self.change(|found| rows = found.rows_scanned);
        rows
    }
}

impl fmt::Debug for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scan({}, {:?})", self.kind.name(), self.bounds)
    }
}

impl PartitionStream for Scan {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let batches = Batches {
            units: self.units(),
            scan: self.clone(),
            ready: VecDeque::new(),
        };
        let stream = futures::stream::iter(batches);
        Box::pin(RecordBatchStreamAdapter::new(
            Arc::clone(&self.schema),
            stream,
        ))
    }
}

impl Scan {
    /// What is to be read, by metric and day.
    fn units(&self) -> VecDeque<Unit> {
        let Bounds {
            services, from, to, ..
        } = &self.bounds;
        if from >= to || services.as_ref().is_some_and(|names| names.is_empty()) {
            return VecDeque::new();
        }
        let metrics = self.snapshot.metrics().into_keys();
        metrics
            .filter(|metric| is_in(&self.bounds.metrics, metric))
            .flat_map(|metric| {
                let query = Query {
                    services: services.iter().flatten().cloned().collect(),
                    from: Timestamp(*from),
                    to: Timestamp(*to),
                    ..Query::new(metric)
                };
                self.units_of(query)
            })
            .collect()
    }

    fn units_of(&self, query: Query) -> Vec<Unit> {
        match self.kind {
            Kind::Samples => {
                let days = self.snapshot.days(&query).into_iter();
                days.map(|day| Unit::Samples(query.clone(), day)).collect()
            }
            Kind::Rollups => {
                let is_wanted = |part: &&PartMeta| {
                    part.tier != Tier::Raw
                        && part.metric == query.metric
                        && is_in(&self.bounds.tiers, part.tier.name())
                        && part.first < query.to.0
                        && part.last >= query.from.0
                };
                let parts = self.snapshot.parts().iter().filter(is_wanted);
                let unit = |part: &PartMeta| Unit::Rollups(query.clone(), part.clone());
                parts.map(unit).collect()
            }
        }
    }

    fn wants(&self, column: &str) -> bool {
        self.schema.column_with_name(column).is_some()
    }

    fn read(&self, unit: &Unit) -> Result<Vec<Chunk>, Error> {
        match unit {
            Unit::Samples(query, day) => self.read_samples(query, *day),
            Unit::Rollups(query, part) => match self.read_rollups(query, part) {
                Ok(chunk) => Ok(vec![chunk]),
                Err(Error::Damaged { problem, .. }) => {
                    let file = part.file.clone();
                    self.findings.add_damaged(vec![Damaged { file, problem }]);
                    Ok(Vec::new())
                }
                Err(error) => Err(error),
            },
        }
    }

    fn read_samples(&self, query: &Query, day: i64) -> Result<Vec<Chunk>, Error> {
        let decode = if self.wants("value") {
            Decode::TimesAndValues
        } else {
            Decode::Times
        };
        let read = self.snapshot.read_day(query, day, decode)?;
        self.findings.add_damaged(read.damaged);
        self.findings
            .change(|found| found.rows_scanned += read.rows_decoded);
        Ok(chunks(&query.metric, read.samples))
    }

    fn read_rollups(&self, query: &Query, part: &PartMeta) -> Result<Chunk, Error> {
        let file = PartFile::open(self.snapshot.root(), part)?;
        let mut runs = Vec::new();
        let ranges = wanted_rows(query, &file.index.runs, &mut runs);
        let runs: Vec<(String, usize)> = runs
            .into_iter()
            .map(|(service, rows)| (service, rows.len()))
            .collect();
        let rows: usize = runs.iter().map(|run| run.1).sum();
        self.findings
            .change(|found| found.rows_scanned += rows as u64);
        let mut columns: BTreeMap<&'static str, ArrayRef> = BTreeMap::new();
        for name in [
            "time", "count", "sum", "min", "max", "first", "last", "increase",
        ] {
            if self.wants(name) {
                columns.insert(name, rollup_column(&file, name, &ranges)?);
            }
        }
        Ok(Chunk {
            metric: query.metric.clone(),
            tier: part.tier,
            runs,
            columns,
        })
    }
}

fn is_in(names: &Names, name: &str) -> bool {
    names.as_ref().is_none_or(|names| names.contains(name))
}

fn rollup_column(file: &PartFile, name: &str, ranges: &[Range<usize>]) -> Result<ArrayRef, Error> {
    let (mut ints, mut doubles): (Vec<i64>, Vec<f64>) = (Vec::new(), Vec::new());
    for rows in ranges.iter().cloned() {
        match name {
            "time" => file.read_times(rows, &mut ints)?,
            "count" => file.read_rollup_column::<Int64Type>(name, rows, &mut ints)?,
            _ => file.read_rollup_column::<DoubleType>(name, rows, &mut doubles)?,
        }
    }
    Ok(match name {
        "time" => times(ints),
        "count" => Arc::new(Int64Array::from(ints)),
        _ => Arc::new(Float64Array::from(doubles)),
    })
}

fn times(micros: Vec<i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(micros).with_timezone(UTC))
}

/// The samples of a day in chunks of a size that is worth a batch.
fn chunks(metric: &str, samples: Vec<DaySamples>) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let (mut runs, mut micros, mut values) = (Vec::new(), Vec::new(), Vec::new());
    let mut samples = samples.into_iter().peekable();
    while let Some(service) = samples.next() {
        runs.push((service.series.service, service.times.len()));
        micros.extend(service.times);
        values.extend(service.values);
        if micros.len() >= BATCH_ROWS || samples.peek().is_none() {
            let values: ArrayRef = Arc::new(Float64Array::from(std::mem::take(&mut values)));
            let time = times(std::mem::take(&mut micros));
            chunks.push(Chunk {
                metric: metric.to_owned(),
                tier: Tier::Raw,
                runs: std::mem::take(&mut runs),
                columns: BTreeMap::from([("time", time), ("value", values)]),
            });
        }
    }
    chunks
}

impl Chunk {
    fn batch(&self, schema: &SchemaRef) -> Result<RecordBatch, DataFusionError> {
        let rows: usize = self.runs.iter().map(|run| run.1).sum();
        let column = |name: &str| -> ArrayRef {
            match name {
                "metric" => repeated([(self.metric.as_str(), rows)]),
                "tier" => repeated([(self.tier.name(), rows)]),
                "service" => repeated(
                    self.runs
                        .iter()
                        .map(|(service, rows)| (service.as_str(), *rows)),
                ),
                name => Arc::clone(&self.columns[name]),
            }
        };
        let columns = schema.fields().iter().map(|field| column(field.name()));
        // A question that only counts wants no column.
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let schema = Arc::clone(schema);
        Ok(RecordBatch::try_new_with_options(
            schema,
            columns.collect(),
            &options,
        )?)
    }
}

fn repeated<'a>(names: impl IntoIterator<Item = (&'a str, usize)>) -> ArrayRef {
    let names = names.into_iter();
    let each = names.flat_map(|(name, rows)| std::iter::repeat_n(name, rows));
    // Arrow wants to know the length beforehand, which a flat map does not say.
    Arc::new(StringArray::from(each.collect::<Vec<&str>>()))
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, DataFusionError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() {
            let unit = self.units.pop_front()?;
            match self.scan.read(&unit) {
                Ok(chunks) => {
                    for chunk in chunks {
                        match chunk.batch(&self.scan.schema) {
                            Ok(batch) => self.ready.push_back(batch),
                            Err(error) => return Some(Err(error)),
                        }
                    }
                }
                Err(error) => {
                    self.units.clear();
                    let stopped = DataFusionError::Execution(error.to_string());
                    self.scan
                        .findings
                        .change(|found| found.failure = Some(error));
                    return Some(Err(stopped));
                }
            }
        }
        self.ready.pop_front().map(Ok)
    }
}
