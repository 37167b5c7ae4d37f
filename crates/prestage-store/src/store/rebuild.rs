//! Making a lost manifest again from the partitions and the log.
//!
//! A kill may have left files that the manifest did not name: replaced and not removed yet, or written and not in effect yet.
//! Which of two they were is not known, and need not be:
//!
//! - Raw parts that overlap in time are merged, and of two samples of one time that of the newer file counts. A seal or a compaction
//!   only ever writes what its old parts and the tail have, and the tail is in the log still.
//! - A day of a metric that is there both raw and downsampled is taken from the tier with more samples; the finer, if they are equal.
//!   Downsampling loses none, so fewer mean that removing the old ones had begun.
//! - The log is read from its oldest segment on: reading what was sealed already changes nothing.
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::manifest::{FILE, Floors, Manifest};
use crate::part::{Described, RawRun, Target, describe, write_raw};
use crate::{Error, PartMeta, SeriesKey, Tier, disk, wal};

use super::recover::{entries, partition_files, remove_strays};
use super::seal::{ByService, add, read_raw};
use super::{QUARANTINE, Store, lock, options};

/// What [`Store::rebuild`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Partitions that the store consists of now.
    pub parts: u64,
    /// Rows in those.
    pub rows: u64,
    /// Files that others had replaced, or were to replace; they are gone.
    pub superseded: u64,
    /// Files that cannot be read, with the reason; they are in `quarantine` now.
    pub damaged: Vec<(String, String)>,
}

/// The partitions of one metric and day.
type Partition = BTreeMap<Tier, Vec<Described>>;

impl Store {
    /// Makes the manifest of the store in `root` again, where it is missing or damaged.
    ///
    /// What was in quarantine stays in its folder and is forgotten otherwise. Samples of a day that was
    /// downsampled are refused as before, where the day has samples.
    ///
    /// # Errors
    /// [`Error::ManifestIsSound`] when there is nothing to do; when there is no store, another process
    /// writes to it, a file is of another version, or the disk fails.
    pub fn rebuild(root: &Path) -> Result<Rebuilt, Error> {
        options::read(root)?;
        let _lock = lock(root)?;
        match Manifest::read(root) {
            Err(Error::Manifest { .. }) => {}
            Err(error) => return Err(error),
            Ok(_) => {
                return Err(Error::ManifestIsSound {
                    path: root.join(FILE).display().to_string(),
                });
            }
        }
        let mut rebuilt = Rebuilt::default();
        let partitions = read_partitions(root, &mut rebuilt)?;
        let found: usize = partitions
            .values()
            .flat_map(BTreeMap::values)
            .map(Vec::len)
            .sum();
        let mut manifest = Manifest {
            next_file: next_file(root)?,
            wal_floor: wal::numbers(root)?.first().copied().unwrap_or(1),
            ..Manifest::empty()
        };
        for ((metric, day), partition) in partitions {
            add_partition(root, &mut manifest, (&metric, day), partition)?;
        }
        manifest.series.sort();
        manifest.series.dedup();
        manifest.floors = floors(&manifest.parts);
        manifest.write(root)?;
        remove_strays(root, &manifest)?;
        rebuilt.parts = manifest.parts.len() as u64;
        rebuilt.rows = manifest.parts.iter().map(|part| part.rows).sum();
        rebuilt.superseded = found.saturating_sub(manifest.parts.len()) as u64;
        Ok(rebuilt)
    }
}

/// Every partition that can be read, by metric and day; the others go into quarantine.
fn read_partitions(
    root: &Path,
    rebuilt: &mut Rebuilt,
) -> Result<BTreeMap<(String, i64), Partition>, Error> {
    let mut partitions: BTreeMap<(String, i64), Partition> = BTreeMap::new();
    for file in partition_files(root)? {
        if !file.ends_with(".parquet") {
            continue;
        }
        match describe(root, &file) {
            Ok(described) => {
                let key = (described.meta.metric.clone(), described.meta.day);
                let tiers = partitions.entry(key).or_default();
                tiers
                    .entry(described.meta.tier)
                    .or_default()
                    .push(described);
            }
            Err(Error::Damaged { problem, .. }) => {
                set_aside(root, &file)?;
                rebuilt.damaged.push((file, problem));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(partitions)
}

fn set_aside(root: &Path, file: &str) -> Result<(), Error> {
    let folder = root.join(QUARANTINE);
    disk::make_directory(&folder)?;
    let kept = folder.join(file.replace('/', "_"));
    fs::rename(root.join(file), &kept).map_err(|cause| disk::failed(&kept, "write", cause))
}

/// One more than the highest number of any partition, in quarantine or not.
fn next_file(root: &Path) -> Result<u64, Error> {
    let mut names = partition_files(root)?;
    for path in entries(&root.join(QUARANTINE))? {
        names.push(path.to_string_lossy().into_owned());
    }
    Ok(names
        .iter()
        .filter_map(|name| number(name))
        .max()
        .unwrap_or(0)
        + 1)
}

/// The number in a partition's name, below the store or in quarantine.
fn number(file: &str) -> Option<u64> {
    let stem = file.strip_suffix(".parquet")?;
    stem.rsplit(['/', '_']).next()?.parse().ok()
}

/// Puts the tier with the most samples into the manifest.
fn add_partition(
    root: &Path,
    manifest: &mut Manifest,
    (metric, day): (&str, i64),
    partition: Partition,
) -> Result<(), Error> {
    let mut best: Option<(u64, Vec<PartMeta>)> = None;
    for (tier, mut parts) in partition {
        parts.sort_by_key(|part| number(&part.meta.file));
        for run in parts.iter().flat_map(|part| &part.index.runs) {
            manifest.series.push(SeriesKey::new(metric, &run.service)?);
        }
        let (samples, parts) = match tier {
            Tier::Raw if overlap(&parts) => {
                let merged = merge(root, manifest, (metric, day), &parts)?;
                (merged.rows, vec![merged])
            }
            Tier::Raw => parts
                .into_iter()
                .fold((0, Vec::new()), |(samples, mut kept), part| {
                    let samples = samples + part.samples();
                    kept.push(part.meta);
                    (samples, kept)
                }),
            // One file is the whole day of a coarser tier.
            Tier::FiveMinutes | Tier::Hour => match parts.pop() {
                Some(newest) => (newest.samples(), vec![newest.meta]),
                None => continue,
            },
        };
        if best.as_ref().is_none_or(|(most, _)| samples > *most) {
            best = Some((samples, parts));
        }
    }
    manifest
        .parts
        .extend(best.into_iter().flat_map(|(_, parts)| parts));
    Ok(())
}

fn overlap(parts: &[Described]) -> bool {
    let mut ranges: Vec<(i64, i64)> = parts
        .iter()
        .map(|part| (part.meta.first, part.meta.last))
        .collect();
    ranges.sort_unstable();
    ranges.windows(2).any(|pair| pair[1].0 <= pair[0].1)
}

/// Writes one part with the rows of several, oldest file first.
fn merge(
    root: &Path,
    manifest: &mut Manifest,
    (metric, day): (&str, i64),
    parts: &[Described],
) -> Result<PartMeta, Error> {
    let mut services = ByService::new();
    for part in parts {
        for (service, columns) in read_raw(root, &part.meta)? {
            add(&mut services, &service, &columns.times, &columns.values);
        }
    }
    let runs: Vec<RawRun<'_>> = services
        .iter()
        .map(|(service, columns)| RawRun {
            service,
            times: &columns.times,
            values: &columns.values,
        })
        .collect();
    let target = Target {
        root,
        file: manifest.next_path(Tier::Raw, metric, day),
        day,
        metric,
    };
    write_raw(target, &runs)
}

/// The day after the last one that each tier lost to a coarser one.
fn floors(parts: &[PartMeta]) -> Floors {
    let after = |is_coarser: fn(Tier) -> bool| {
        let days = parts.iter().filter(|part| is_coarser(part.tier));
        days.map(|part| part.day + 1).max().unwrap_or(0)
    };
    Floors {
        raw: after(|tier| tier != Tier::Raw),
        five_minutes: after(|tier| tier == Tier::Hour),
        hour: 0,
    }
}
