//! What a store does when it is opened after whatever happened to the process before.
use std::fs;
use std::path::Path;

use crate::manifest::Manifest;
use crate::series::SeriesTable;
use crate::tail::Tail;
use crate::{Error, Tier, disk, wal};

use super::{QUARANTINE, remove_segments_before};

/// What opening a store found in its log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Samples read back into the tail.
    pub rows: u64,
    /// Bytes at the end of a segment that a kill left half written; they were never acknowledged.
    pub torn_bytes: u64,
    /// Frames that are whole and wrong, or without the name of a series: their samples are lost. The
    /// segments are kept in `quarantine`.
    pub damaged_frames: u64,
}

/// Removes files that no manifest names: what a killed writer had not finished or not tidied up.
pub fn remove_strays(root: &Path, manifest: &Manifest) -> Result<(), Error> {
    for name in partition_files(root)? {
        if !manifest.parts.iter().any(|part| part.file == name) {
            disk::remove(&root.join(name))?;
        }
    }
    remove_segments_before(root, manifest.wal_floor)
}

/// Everything that lies where partitions do, as paths below the store with `/`, sorted within a tier.
pub fn partition_files(root: &Path) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for tier in [Tier::Raw, Tier::FiveMinutes, Tier::Hour] {
        for day in directories(&root.join(tier.name()))? {
            for metric in directories(&day)? {
                for file in entries(&metric)? {
                    let below = file.strip_prefix(root).unwrap_or(&file);
                    names.push(below.to_string_lossy().replace('\\', "/"));
                }
            }
        }
    }
    Ok(names)
}

/// Reads the log into the tail. Returns the number of the next segment.
pub fn replay(
    root: &Path,
    manifest: &Manifest,
    series: &mut SeriesTable,
    tail: &mut Tail,
) -> Result<(u64, Recovered), Error> {
    let mut recovered = Recovered::default();
    let mut next = manifest.wal_floor;
    for number in wal::numbers(root)? {
        if number < manifest.wal_floor {
            continue;
        }
        next = number + 1;
        let path = wal::path(root, number);
        let replayed = wal::replay(&path)?;
        let damaged = replayed.damaged_frames + replay_into(&replayed, series, tail)?;
        if damaged > 0 {
            keep_copy(root, &path)?;
        }
        recovered.damaged_frames += damaged;
        recovered.torn_bytes += replayed.bytes.saturating_sub(replayed.valid_bytes.max(8));
    }
    recovered.rows = tail.rows() as u64;
    Ok((next, recovered))
}

/// Appends a segment's batches with this process's numbers; returns batches without names.
pub fn replay_into(
    replayed: &wal::Replayed,
    series: &mut SeriesTable,
    tail: &mut Tail,
) -> Result<u64, Error> {
    let mut numbers: Vec<Option<u32>> = Vec::new();
    for (number, key) in &replayed.series {
        let place = *number as usize;
        numbers.resize(numbers.len().max(place + 1), None);
        // What was admitted once stays admitted, also after the limit was lowered.
        numbers[place] = Some(series.number(key, usize::MAX)?);
    }
    let mut unnamed = 0;
    for batch in &replayed.batches {
        let known = |number: &u32| numbers.get(*number as usize).copied().flatten();
        match batch.series.iter().map(known).collect::<Option<Vec<u32>>>() {
            Some(own) => {
                tail.append(&own, &batch.times, &batch.values);
            }
            None => unnamed += 1,
        }
    }
    Ok(unnamed)
}

fn keep_copy(root: &Path, segment: &Path) -> Result<(), Error> {
    let folder = root.join(QUARANTINE);
    disk::make_directory(&folder)?;
    let copy = folder.join(segment.file_name().unwrap_or_default());
    fs::copy(segment, &copy)
        .map(|_| ())
        .map_err(|cause| disk::failed(&copy, "write", cause))
}

fn directories(folder: &Path) -> Result<Vec<std::path::PathBuf>, Error> {
    Ok(entries(folder)?
        .into_iter()
        .filter(|path| path.is_dir())
        .collect())
}

/// The entries of a folder, sorted; none when it is absent.
pub fn entries(folder: &Path) -> Result<Vec<std::path::PathBuf>, Error> {
    let read = match fs::read_dir(folder) {
        Ok(read) => read,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(disk::failed(folder, "read", cause)),
    };
    let mut paths = Vec::new();
    for entry in read {
        paths.push(
            entry
                .map_err(|cause| disk::failed(folder, "read", cause))?
                .path(),
        );
    }
    paths.sort();
    Ok(paths)
}
