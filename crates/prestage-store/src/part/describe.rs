//! Describes a partition whose description was lost, by what is in it.
//!
//! Parquet pages have no checksums here (the manifest has), so every row is read and held against what the footer says of its run: order,
//! first and last time, count, sum, smallest and largest. A changed value that leaves all of these as they are, bit for
//! bit, is not seen.
use std::fs;
use std::path::Path;

use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use super::index::{Index, Run};
use super::read::{PartFile, read_index};
use super::write::{Written, footer_start};
use crate::summary::Summary;
use crate::{Error, PartMeta, Tier, disk};

const MICROS_PER_DAY: i64 = 86_400_000_000;
/// Length of the footer and the magic, at a file's end; the magic at its beginning.
const LEAST_BYTES: usize = 12;

/// A partition that was described by what is in it.
pub struct Described {
    /// What the manifest says of a partition.
    pub meta: PartMeta,
    /// What its footer says.
    pub index: Index,
}

impl Described {
    /// Samples that the rows stand for.
    pub fn samples(&self) -> u64 {
        self.index.runs.iter().map(|run| run.count).sum()
    }
}

/// Reads the partition `file`, a path below the store in `root`.
///
/// # Errors
/// [`Error::Damaged`] when it is none, or a row is not what the footer says.
pub fn describe(root: &Path, file: &str) -> Result<Described, Error> {
    let path = root.join(file);
    let bytes = fs::read(&path).map_err(|cause| disk::failed(&path, "read", cause))?;
    let metadata = metadata(&path, &bytes)?;
    let index = read_index(&path, &metadata)?;
    let first = index.runs.iter().map(|run| run.first).min();
    let day = first.map(|first| first.div_euclid(MICROS_PER_DAY));
    let day = day.ok_or_else(|| disk::damaged(&path, "it has no rows"))?;
    let written = Written {
        file: file.to_owned(),
        day,
        index: &index,
        bytes: &bytes,
        metadata: &metadata,
    };
    let meta = written.describe();
    verify(&PartFile::open(root, &meta)?, &meta, &path)?;
    Ok(Described { meta, index })
}

fn metadata(path: &Path, bytes: &[u8]) -> Result<ParquetMetaData, Error> {
    let has_frame =
        bytes.len() >= LEAST_BYTES && bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1");
    let start = if has_frame { footer_start(bytes) } else { None };
    let start = start.ok_or_else(|| disk::damaged(path, "it is truncated"))?;
    ParquetMetaDataReader::decode_metadata(&bytes[start..bytes.len() - 8])
        .map_err(|problem| disk::damaged(path, problem.to_string()))
}

fn verify(part: &PartFile, meta: &PartMeta, path: &Path) -> Result<(), Error> {
    let found = match meta.tier {
        Tier::Raw => raw_runs(part, meta)?,
        Tier::FiveMinutes | Tier::Hour => rollup_runs(part, meta)?,
    };
    for (run, (times, summary)) in part.index.runs.iter().zip(&found) {
        if !is_described(run, times, summary) {
            let problem = format!("the rows of `{}` are not what its footer says", run.service);
            return Err(disk::damaged(path, problem));
        }
    }
    Ok(())
}

/// The times of a run and what its rows sum up to.
type Found = (Vec<i64>, Summary);

fn raw_runs(part: &PartFile, meta: &PartMeta) -> Result<Vec<Found>, Error> {
    let (mut times, mut values) = (Vec::new(), Vec::new());
    part.read_raw(0..meta.rows as usize, &mut times, &mut values)?;
    let mut start = 0;
    let found = part.index.runs.iter().map(|run| {
        let rows = start..start + run.rows as usize;
        start = rows.end;
        (times[rows.clone()].to_vec(), Summary::of(&values[rows]))
    });
    Ok(found.collect())
}

fn rollup_runs(part: &PartFile, meta: &PartMeta) -> Result<Vec<Found>, Error> {
    let mut rows = part.read_rollup(0..meta.rows as usize)?.into_iter();
    let found = part.index.runs.iter().map(|run| {
        let mut times = Vec::new();
        let mut whole: Option<Summary> = None;
        for (time, summary, _) in rows.by_ref().take(run.rows as usize) {
            times.push(time);
            match &mut whole {
                Some(whole) => whole.then(&summary),
                None => whole = Some(summary),
            }
        }
        (times, whole.unwrap_or_else(|| Summary::of(&[])))
    });
    Ok(found.collect())
}

fn is_described(run: &Run, times: &[i64], summary: &Summary) -> bool {
    let same = |a: f64, b: f64| a.to_bits() == b.to_bits();
    times.is_sorted_by(|a, b| a < b)
        && times.first() == Some(&run.first)
        && times.last() == Some(&run.last)
        && summary.count == run.count
        && same(summary.sum, run.sum)
        && same(summary.min, run.min)
        && same(summary.max, run.max)
}
