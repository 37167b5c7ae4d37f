//! Encodes a partition in memory and puts it in its place.
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, Encoding, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, ParquetMetaData, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::ColumnPath;

use super::index::{Index, KEY, Run, hex};
use super::schema::required;
use super::{ROW_GROUP_ROWS, SCHEMA_VERSION};
use crate::summary::Summary;
use crate::{Error, PartMeta, Sketch, Tier, disk};

/// Rows of a page: a window of a day of one service decodes few more than it asks for.
const PAGE_ROWS: usize = 8_192;

/// Values looked at to see whether a dictionary pays.
const DICTIONARY_SAMPLE: usize = 4_096;

/// Samples of one service, times strictly ascending.
pub struct RawRun<'a> {
    /// The service.
    pub service: &'a str,
    /// Epoch microseconds.
    pub times: &'a [i64],
    /// Values, parallel to `times`.
    pub values: &'a [f64],
}

/// Buckets of one service, times strictly ascending.
pub struct RollupRun<'a> {
    /// The service.
    pub service: &'a str,
    /// Start of each bucket, what it sums up to, and its distribution.
    pub buckets: &'a [(i64, Summary, Sketch)],
}

/// What a partition is of, and where it goes.
pub struct Target<'a> {
    /// The store.
    pub root: &'a Path,
    /// Path below it.
    pub file: String,
    /// Days since 1970-01-01.
    pub day: i64,
    /// The metric.
    pub metric: &'a str,
}

/// Writes a partition of samples. Runs are sorted by service and none is empty.
pub fn write_raw(target: Target<'_>, runs: &[RawRun<'_>]) -> Result<PartMeta, Error> {
    let rows: usize = runs.iter().map(|run| run.times.len()).sum();
    let mut times: Vec<i64> = Vec::with_capacity(rows);
    let mut values: Vec<f64> = Vec::with_capacity(rows);
    let mut described: Vec<Run> = Vec::with_capacity(runs.len());
    for run in runs {
        times.extend_from_slice(run.times);
        values.extend_from_slice(run.values);
        let summary = Summary::of(run.values);
        described.push(describe(
            run.service,
            run.times,
            &summary,
            &Sketch::of(run.values),
        ));
    }
    let fields = [(VALUE, Physical::DOUBLE)];
    let columns = vec![Column::Double(values)];
    write(target, Tier::Raw, &fields, described, times, columns)
}

/// Writes a partition of buckets. Runs are sorted by service and none is empty.
pub fn write_rollup(
    target: Target<'_>,
    tier: Tier,
    runs: &[RollupRun<'_>],
) -> Result<PartMeta, Error> {
    let mut described: Vec<Run> = Vec::with_capacity(runs.len());
    for run in runs {
        let times: Vec<i64> = run.buckets.iter().map(|bucket| bucket.0).collect();
        let (_, mut summary, mut sketch) = run.buckets[0].clone();
        for (_, later, distribution) in &run.buckets[1..] {
            summary.then(later);
            sketch.merge(distribution);
        }
        described.push(describe(run.service, &times, &summary, &sketch));
    }
    let buckets = || runs.iter().flat_map(|run| run.buckets);
    let doubles = |of: fn(&Summary) -> f64| Column::Double(buckets().map(|b| of(&b.1)).collect());
    let columns = vec![
        Column::Int(buckets().map(|bucket| bucket.1.count as i64).collect()),
        doubles(|summary| summary.sum),
        doubles(|summary| summary.min),
        doubles(|summary| summary.max),
        doubles(|summary| summary.first),
        doubles(|summary| summary.last),
        doubles(|summary| summary.increase),
        Column::Bytes(
            buckets()
                .map(|bucket| ByteArray::from(bucket.2.to_bytes()))
                .collect(),
        ),
    ];
    let times = buckets().map(|bucket| bucket.0).collect();
    write(target, tier, &ROLLUP_FIELDS, described, times, columns)
}

const VALUE: &str = "value";

/// Columns of a downsampled partition after `service` and `time`.
pub const ROLLUP_FIELDS: [(&str, Physical); 8] = [
    ("count", Physical::INT64),
    ("sum", Physical::DOUBLE),
    ("min", Physical::DOUBLE),
    ("max", Physical::DOUBLE),
    ("first", Physical::DOUBLE),
    ("last", Physical::DOUBLE),
    ("increase", Physical::DOUBLE),
    ("sketch", Physical::BYTE_ARRAY),
];

/// A column of a whole partition.
enum Column {
    Int(Vec<i64>),
    Double(Vec<f64>),
    Bytes(Vec<ByteArray>),
}

fn describe(service: &str, times: &[i64], summary: &Summary, sketch: &Sketch) -> Run {
    Run {
        service: service.to_owned(),
        rows: times.len() as u64,
        first: times[0],
        last: times[times.len() - 1],
        count: summary.count,
        sum: summary.sum,
        min: summary.min,
        max: summary.max,
        sketch: hex(&sketch.to_bytes()),
    }
}

fn write(
    target: Target<'_>,
    tier: Tier,
    fields: &[(&str, Physical)],
    runs: Vec<Run>,
    times: Vec<i64>,
    columns: Vec<Column>,
) -> Result<PartMeta, Error> {
    let path = target.root.join(&target.file);
    assert!(
        !runs.is_empty(),
        "a partition has rows: its caller has samples"
    );
    let index = Index {
        schema_version: SCHEMA_VERSION,
        tier,
        metric: target.metric.to_owned(),
        runs,
    };
    let (bytes, metadata) =
        encode(&index, fields, &times, &columns).map_err(|cause| Error::Encode {
            path: path.display().to_string(),
            cause,
        })?;
    let folder = path.parent().unwrap_or(target.root);
    disk::make_directory(folder)?;
    disk::write_whole(&path, &bytes)?;
    let written = Written {
        file: target.file,
        day: target.day,
        index: &index,
        bytes: &bytes,
        metadata: &metadata,
    };
    Ok(written.describe())
}

/// The whole of a partition.
pub struct Written<'a> {
    /// Path below the store.
    pub file: String,
    /// Days since 1970-01-01.
    pub day: i64,
    /// What its footer says of the rows; at least one run.
    pub index: &'a Index,
    /// All of the file.
    pub bytes: &'a [u8],
    /// Its footer, decoded.
    pub metadata: &'a ParquetMetaData,
}

impl Written<'_> {
    /// What the manifest says of the partition.
    pub fn describe(self) -> PartMeta {
        let runs = &self.index.runs;
        let footer = footer_start(self.bytes).expect("a partition ends with its footer");
        PartMeta {
            file: self.file,
            tier: self.index.tier,
            day: self.day,
            metric: self.index.metric.clone(),
            rows: runs.iter().map(|run| run.rows).sum(),
            first: runs.iter().map(|run| run.first).min().unwrap_or(0),
            last: runs.iter().map(|run| run.last).max().unwrap_or(0),
            bytes: self.bytes.len() as u64,
            crc: crc32fast::hash(self.bytes),
            footer_crc: crc32fast::hash(&self.bytes[footer..]),
            chunk_crcs: chunk_crcs(self.bytes, self.metadata),
        }
    }
}

/// Where the footer of a file begins; `None` when the file is shorter than it says.
pub fn footer_start(bytes: &[u8]) -> Option<usize> {
    let body = bytes.len().checked_sub(8)?;
    let length = bytes[body..].first_chunk::<4>()?;
    body.checked_sub(u32::from_le_bytes(*length) as usize)
}

fn chunk_crcs(bytes: &[u8], metadata: &ParquetMetaData) -> Vec<u32> {
    let groups = metadata.row_groups().iter();
    let ranges = groups.flat_map(|group| group.columns().iter().map(|chunk| chunk.byte_range()));
    // A footer that was not written by us may point anywhere: such a chunk reads as damaged later.
    let crc = |(start, length): (u64, u64)| {
        let range = start as usize..start.saturating_add(length) as usize;
        crc32fast::hash(bytes.get(range).unwrap_or_default())
    };
    ranges.map(crc).collect()
}

fn encode(
    index: &Index,
    fields: &[(&str, Physical)],
    times: &[i64],
    columns: &[Column],
) -> Result<(Vec<u8>, ParquetMetaData), ParquetError> {
    let properties = Arc::new(properties(index, fields, columns));
    let mut all = vec![("service", Physical::BYTE_ARRAY), ("time", Physical::INT64)];
    all.extend(fields);
    let mut writer = SerializedFileWriter::new(Vec::new(), required("samples", &all)?, properties)?;
    for start in (0..times.len()).step_by(ROW_GROUP_ROWS) {
        let rows = start..(start + ROW_GROUP_ROWS).min(times.len());
        let mut group = writer.next_row_group()?;
        let services = services(&index.runs, &rows);
        write_column::<ByteArrayType>(&mut group, &services)?;
        write_column::<Int64Type>(&mut group, &times[rows.clone()])?;
        for column in columns {
            let rows = rows.clone();
            match column {
                Column::Int(values) => write_column::<Int64Type>(&mut group, &values[rows])?,
                Column::Double(values) => write_column::<DoubleType>(&mut group, &values[rows])?,
                Column::Bytes(values) => write_column::<ByteArrayType>(&mut group, &values[rows])?,
            }
        }
        group.close()?;
    }
    let metadata = writer.finish()?;
    // `into_inner` would write the footer again.
    Ok((std::mem::take(writer.inner_mut()), metadata))
}

fn write_column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    values: &[T::T],
) -> Result<(), ParquetError> {
    let mut column = group
        .next_column()?
        .expect("the schema has a column for each that is written");
    column.typed::<T>().write_batch(values, None, None)?;
    column.close()
}

/// The column of services of some rows.
fn services(runs: &[Run], rows: &std::ops::Range<usize>) -> Vec<ByteArray> {
    let mut services = Vec::with_capacity(rows.len());
    let mut start = 0;
    for run in runs {
        let end = start + run.rows as usize;
        let within = start.max(rows.start)..end.min(rows.end);
        let service = ByteArray::from(run.service.as_str());
        services.extend(std::iter::repeat_n(service, within.len()));
        start = end;
    }
    services
}

fn properties(index: &Index, fields: &[(&str, Physical)], columns: &[Column]) -> WriterProperties {
    let path = |name: &str| ColumnPath::from(name);
    let footer = serde_json::to_string(index).expect("an index has text keys and finite numbers");
    let mut builder = WriterProperties::builder()
        .set_compression(compression())
        .set_dictionary_enabled(false)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(PAGE_ROWS)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by(concat!("prestage ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_sorting_columns(Some(vec![ascending(0), ascending(1)]))
        .set_key_value_metadata(Some(vec![KeyValue::new(KEY.to_owned(), footer)]))
        .set_column_dictionary_enabled(path("service"), true)
        .set_column_encoding(path("time"), Encoding::DELTA_BINARY_PACKED);
    for ((name, _), column) in fields.iter().zip(columns) {
        let pays = matches!(column, Column::Double(values) if dictionary_pays(values));
        builder = builder.set_column_dictionary_enabled(path(name), pays);
    }
    builder.build()
}

fn compression() -> Compression {
    Compression::LZ4_RAW
}

fn ascending(column: i32) -> SortingColumn {
    SortingColumn {
        column_idx: column,
        descending: false,
        nulls_first: false,
    }
}

/// Whether values repeat enough that numbers into a list of them are shorter: flags and small
/// counts do, measurements do not, and trying costs a hash of each.
fn dictionary_pays(values: &[f64]) -> bool {
    let step = values.len().div_ceil(DICTIONARY_SAMPLE);
    let mut sample: Vec<u64> = values
        .iter()
        .step_by(step)
        .map(|value| value.to_bits())
        .collect();
    let looked_at = sample.len();
    sample.sort_unstable();
    sample.dedup();
    sample.len() * 8 <= looked_at
}
