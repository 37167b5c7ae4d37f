//! Reads the rows of a partition that a query asks for, and nothing else.
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parquet::column::reader::{ColumnReader, get_column_reader, get_typed_column_reader};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;

use super::SCHEMA_VERSION;
use super::index::{Index, KEY};
use crate::summary::Summary;
use crate::{Error, PartMeta, Sketch, disk};

const TIME: usize = 1;
const VALUE: usize = 2;

/// A partition whose footer was checked.
pub struct PartFile {
    path: PathBuf,
    metadata: ParquetMetaData,
    chunk_crcs: Vec<u32>,
    /// What the footer says of the rows.
    pub index: Index,
}

/// One column chunk in memory, at its place in the file.
struct Chunk {
    start: u64,
    bytes: Bytes,
}

impl PartFile {
    /// Opens a partition of the store in `root`.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the file is missing, truncated, or its footer is not what was written.
    pub fn open(root: &Path, meta: &PartMeta) -> Result<Self, Error> {
        let path = meta.path(root);
        let file = open(&path)?;
        let metadata = read_footer(&path, &file, meta)?;
        let index = read_index(&path, &metadata)?;
        let rows: u64 = index.runs.iter().map(|run| run.rows).sum();
        if rows != meta.rows || index.metric != meta.metric || index.tier != meta.tier {
            let problem = "its footer is of another partition than the manifest says";
            return Err(disk::damaged(&path, problem));
        }
        Ok(Self {
            metadata,
            index,
            chunk_crcs: meta.chunk_crcs.clone(),
            path,
        })
    }

    /// Appends times and values of some rows.
    ///
    /// # Errors
    /// [`Error::Damaged`] when a column chunk is not what was written.
    pub fn read_raw(
        &self,
        rows: Range<usize>,
        times: &mut Vec<i64>,
        values: &mut Vec<f64>,
    ) -> Result<(), Error> {
        self.read_times(rows.clone(), times)?;
        self.read_column::<DoubleType>(VALUE, rows, values)
    }

    /// Appends the times of some rows.
    ///
    /// # Errors
    /// As [`PartFile::read_raw`].
    pub fn read_times(&self, rows: Range<usize>, times: &mut Vec<i64>) -> Result<(), Error> {
        self.read_column::<Int64Type>(TIME, rows, times)
    }

    /// Appends one column of numbers of some rows of a downsampled partition: `count` to `increase`.
    ///
    /// # Errors
    /// As [`PartFile::read_raw`].
    #[cfg(feature = "sql")]
    pub fn read_rollup_column<T: DataType>(
        &self,
        name: &str,
        rows: Range<usize>,
        values: &mut Vec<T::T>,
    ) -> Result<(), Error> {
        let place = super::write::ROLLUP_FIELDS
            .iter()
            .position(|&(field, _)| field == name)
            .expect("the schema of SQL has the columns of the files");
        self.read_column::<T>(VALUE + place, rows, values)
    }

    /// The buckets of some rows of a downsampled partition.
    ///
    /// # Errors
    /// As [`PartFile::read_raw`].
    pub fn read_rollup(&self, rows: Range<usize>) -> Result<Vec<(i64, Summary, Sketch)>, Error> {
        let ints = |column| {
            let mut values: Vec<i64> = Vec::new();
            self.read_column::<Int64Type>(column, rows.clone(), &mut values)?;
            Ok::<_, Error>(values)
        };
        let doubles = |column| {
            let mut values: Vec<f64> = Vec::new();
            self.read_column::<DoubleType>(column, rows.clone(), &mut values)?;
            Ok::<_, Error>(values)
        };
        let (times, counts) = (ints(TIME)?, ints(2)?);
        let (sum, min, max) = (doubles(3)?, doubles(4)?, doubles(5)?);
        let (first, last, increase) = (doubles(6)?, doubles(7)?, doubles(8)?);
        let mut sketches: Vec<ByteArray> = Vec::new();
        self.read_column::<ByteArrayType>(9, rows.clone(), &mut sketches)?;
        let bucket = |row: usize| {
            let summary = Summary {
                count: counts[row] as u64,
                sum: sum[row],
                min: min[row],
                max: max[row],
                first: first[row],
                last: last[row],
                increase: increase[row],
            };
            let sketch = Sketch::from_bytes(sketches[row].data())
                .ok_or_else(|| disk::damaged(&self.path, format!("row {row} has no sketch")))?;
            Ok((times[row], summary, sketch))
        };
        (0..times.len()).map(bucket).collect()
    }

    /// Appends some rows of a column, reading only the row groups that hold them.
    fn read_column<T: DataType>(
        &self,
        column: usize,
        rows: Range<usize>,
        values: &mut Vec<T::T>,
    ) -> Result<(), Error> {
        values.reserve(rows.len());
        let file = open(&self.path)?;
        let mut start = 0;
        for (number, group) in self.metadata.row_groups().iter().enumerate() {
            let end = start + group.num_rows() as usize;
            let within = start.max(rows.start)..end.min(rows.end);
            if within.start < within.end {
                let wanted = within.start - start..within.end - start;
                self.read_chunk::<T>(&file, (number, column), wanted, values)?;
            }
            start = end;
        }
        Ok(())
    }

    fn read_chunk<T: DataType>(
        &self,
        file: &File,
        (group, column): (usize, usize),
        rows: Range<usize>,
        values: &mut Vec<T::T>,
    ) -> Result<(), Error> {
        let metadata = self.metadata.row_group(group);
        let chunk = self.chunk(file, group, column)?;
        let decode = || {
            let total = metadata.num_rows() as usize;
            let pages = SerializedPageReader::new(chunk, metadata.column(column), total, None)?;
            let reader: ColumnReader =
                get_column_reader(metadata.column(column).column_descr_ptr(), Box::new(pages));
            let mut reader = get_typed_column_reader::<T>(reader);
            if reader.skip_records(rows.start)? != rows.start {
                return Err(ParquetError::EOF("rows are missing".to_owned()));
            }
            let mut left = rows.len();
            while left > 0 {
                let (read, ..) = reader.read_records(left, None, None, values)?;
                if read == 0 {
                    return Err(ParquetError::EOF("rows are missing".to_owned()));
                }
                left -= read;
            }
            Ok(())
        };
        decode().map_err(|problem| disk::damaged(&self.path, problem.to_string()))
    }

    fn chunk(&self, file: &File, group: usize, column: usize) -> Result<Arc<Chunk>, Error> {
        let metadata = self.metadata.row_group(group);
        let (start, length) = metadata.column(column).byte_range();
        let bytes = read_at(&self.path, file, start, length)?;
        let expected = self.chunk_crcs.get(group * metadata.num_columns() + column);
        if expected != Some(&crc32fast::hash(&bytes)) {
            let problem = format!("the checksum of column {column} of row group {group} differs");
            return Err(disk::damaged(&self.path, problem));
        }
        Ok(Arc::new(Chunk {
            start,
            bytes: bytes.into(),
        }))
    }
}

/// No file is held open between reads: a query may go over more of them than a process may open.
fn open(path: &Path) -> Result<File, Error> {
    File::open(path).map_err(|cause| match cause.kind() {
        std::io::ErrorKind::NotFound => disk::damaged(path, "it is missing"),
        _ => disk::failed(path, "read", cause),
    })
}

fn read_footer(path: &Path, file: &File, meta: &PartMeta) -> Result<ParquetMetaData, Error> {
    let length = file
        .metadata()
        .map_err(|cause| disk::failed(path, "read", cause))?
        .len();
    if length != meta.bytes {
        let problem = format!("{length} bytes, the manifest says {}", meta.bytes);
        return Err(disk::damaged(path, problem));
    }
    let end = read_at(path, file, length - 8, 4)?;
    let footer = u64::from(u32::from_le_bytes(
        end.try_into().expect("four bytes were read"),
    ));
    if footer + 12 > length {
        return Err(disk::damaged(
            path,
            "the length of its footer is impossible",
        ));
    }
    let bytes = read_at(path, file, length - 8 - footer, footer + 8)?;
    if crc32fast::hash(&bytes) != meta.footer_crc {
        return Err(disk::damaged(path, "the checksum of its footer differs"));
    }
    ParquetMetaDataReader::decode_metadata(&bytes[..footer as usize])
        .map_err(|problem| disk::damaged(path, problem.to_string()))
}

/// What a footer says of the rows.
pub fn read_index(path: &Path, metadata: &ParquetMetaData) -> Result<Index, Error> {
    let keys = metadata.file_metadata().key_value_metadata();
    let text = keys
        .and_then(|keys| keys.iter().find(|pair| pair.key == KEY))
        .and_then(|pair| pair.value.as_deref())
        .ok_or_else(|| disk::damaged(path, format!("its footer has no `{KEY}`")))?;
    let index: Index =
        serde_json::from_str(text).map_err(|problem| disk::damaged(path, problem.to_string()))?;
    if index.schema_version != SCHEMA_VERSION {
        return Err(Error::Version {
            path: path.display().to_string(),
            found: index.schema_version,
            known: SCHEMA_VERSION,
        });
    }
    Ok(index)
}

fn read_at(path: &Path, mut file: &File, start: u64, length: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; length as usize];
    file.seek(SeekFrom::Start(start))
        .and_then(|_| file.read_exact(&mut bytes))
        .map_err(|cause| match cause.kind() {
            std::io::ErrorKind::UnexpectedEof => disk::damaged(path, "it is truncated"),
            _ => disk::failed(path, "read", cause),
        })?;
    Ok(bytes)
}

impl Length for Chunk {
    fn len(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

impl ChunkReader for Chunk {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        let length = Length::len(self).saturating_sub(start) as usize;
        Ok(bytes::Buf::reader(self.get_bytes(start, length)?))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let from = start.checked_sub(self.start).map(|from| from as usize);
        match from {
            Some(from) if from + length <= self.bytes.len() => {
                Ok(self.bytes.slice(from..from + length))
            }
            _ => Err(ParquetError::EOF(
                "a page lies outside its column".to_owned(),
            )),
        }
    }
}
