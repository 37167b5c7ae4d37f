//! Sealing the tail into partitions, and compaction of partitions that came in parts.
use std::collections::BTreeMap;

use crate::manifest::{Manifest, PartMeta};
use crate::part::{PartFile, RawRun, Target, write_raw};
use crate::tail::Columns;
use crate::wal::Segment;
use crate::{Error, SeriesKey, Tier, disk};

use super::{Counts, MICROS_PER_DAY, Store, remove_segments_before};

/// The rows of one partition, by service.
pub type ByService = BTreeMap<String, Columns>;

impl Store {
    /// Seals the tail into partitions and begins a new segment of the log.
    ///
    /// Where the tail and sealed parts of a partition overlap in time they are merged, and the
    /// tail wins. All or nothing.
    ///
    /// # Errors
    /// When the disk fails; the tail is still there then.
    pub fn seal(&mut self) -> Result<Counts, Error> {
        if self.tail.rows() == 0 {
            return Ok(Counts::default());
        }
        self.sync()?;
        let (columns, duplicates) = self.tail.drain();
        match self.seal_columns(&columns) {
            Ok(counts) => Ok(Counts {
                duplicates: counts.duplicates + duplicates,
                ..counts
            }),
            Err(error) => {
                for (number, run) in columns.iter().enumerate() {
                    let numbers = vec![number as u32; run.times.len()];
                    self.tail.append(&numbers, &run.times, &run.values);
                }
                Err(error)
            }
        }
    }

    fn seal_columns(&mut self, columns: &[Columns]) -> Result<Counts, Error> {
        let mut manifest = self.manifest.clone();
        let mut replaced: Vec<PartMeta> = Vec::new();
        let mut counts = Counts::default();
        for ((metric, day), runs) in by_partition(self.series.keys(), columns) {
            let old = overlapping(&manifest, metric, day, &runs);
            let meta = if old.is_empty() {
                let file = manifest.next_path(Tier::Raw, metric, day);
                self.write_runs(file, metric, day, &runs)?
            } else {
                let (mut merged, _) = self.load(&old, &mut manifest)?;
                for run in &runs {
                    counts.duplicates += add(&mut merged, run.service, run.times, run.values);
                }
                let file = manifest.next_path(Tier::Raw, metric, day);
                self.write_services(file, metric, day, &merged)?
            };
            counts.rows += meta.rows;
            counts.written += 1;
            manifest.swap(&old, [meta]);
            replaced.extend(old);
        }
        manifest.series = self.series.keys().to_vec();
        manifest.series.sort();
        let segment = Segment::create(&self.root, self.segment_number + 1)?;
        manifest.wal_floor = self.segment_number + 1;
        self.commit(manifest, &replaced)?;
        self.segment = segment;
        self.segment_number += 1;
        remove_segments_before(&self.root, self.segment_number)?;
        counts.removed = replaced.len() as u64;
        Ok(counts)
    }

    /// Merges the parts of each raw partition into one file.
    ///
    /// # Errors
    /// When the disk fails; what was merged before stays merged.
    pub fn compact(&mut self) -> Result<Counts, Error> {
        let mut parts: BTreeMap<(String, i64), Vec<PartMeta>> = BTreeMap::new();
        for part in self
            .manifest
            .parts
            .iter()
            .filter(|part| part.tier == Tier::Raw)
        {
            let key = (part.metric.clone(), part.day);
            parts.entry(key).or_default().push(part.clone());
        }
        let mut counts = Counts::default();
        for ((metric, day), old) in parts.into_iter().filter(|(_, parts)| parts.len() > 1) {
            let mut manifest = self.manifest.clone();
            let (merged, duplicates) = self.load(&old, &mut manifest)?;
            let mut new = None;
            if !merged.is_empty() {
                let file = manifest.next_path(Tier::Raw, &metric, day);
                new = Some(self.write_services(file, &metric, day, &merged)?);
            }
            counts.duplicates += duplicates;
            counts.removed += old.len() as u64;
            counts.written += u64::from(new.is_some());
            counts.rows += new.as_ref().map_or(0, |part| part.rows);
            manifest.swap(&old, new);
            self.commit(manifest, &old)?;
        }
        Ok(counts)
    }

    /// Makes a manifest the one that holds, then removes the files it does not name any more.
    pub(super) fn commit(&mut self, mut manifest: Manifest, old: &[PartMeta]) -> Result<(), Error> {
        manifest.write(&self.root)?;
        self.manifest = manifest;
        for part in old {
            disk::remove(&part.path(&self.root))?;
        }
        Ok(())
    }

    /// Reads raw parts, in time order; a damaged one goes into quarantine and the rest is read.
    /// Also returns how many rows a later part replaced.
    pub(super) fn load(
        &self,
        parts: &[PartMeta],
        manifest: &mut Manifest,
    ) -> Result<(ByService, u64), Error> {
        let mut merged = ByService::new();
        let mut replaced = 0;
        for meta in parts {
            match read_raw(&self.root, meta) {
                Ok(runs) => {
                    for (service, columns) in runs {
                        replaced += add(&mut merged, &service, &columns.times, &columns.values);
                    }
                }
                Err(Error::Damaged { problem, .. }) => {
                    self.quarantine(meta, problem, manifest)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok((merged, replaced))
    }

    fn write_services(
        &self,
        file: String,
        metric: &str,
        day: i64,
        services: &ByService,
    ) -> Result<PartMeta, Error> {
        let runs: Vec<RawRun<'_>> = services
            .iter()
            .map(|(service, columns)| RawRun {
                service,
                times: &columns.times,
                values: &columns.values,
            })
            .collect();
        self.write_runs(file, metric, day, &runs)
    }

    fn write_runs(
        &self,
        file: String,
        metric: &str,
        day: i64,
        runs: &[RawRun<'_>],
    ) -> Result<PartMeta, Error> {
        let target = Target {
            root: &self.root,
            file,
            day,
            metric,
        };
        write_raw(target, runs)
    }
}

/// The samples of a sealed raw part.
pub fn read_raw(root: &std::path::Path, meta: &PartMeta) -> Result<ByService, Error> {
    let file = PartFile::open(root, meta)?;
    let (mut times, mut values) = (Vec::new(), Vec::new());
    file.read_raw(0..meta.rows as usize, &mut times, &mut values)?;
    let mut services = ByService::new();
    let mut start = 0;
    for run in &file.index.runs {
        let rows = start..start + run.rows as usize;
        start = rows.end;
        let columns = Columns::sorted(times[rows.clone()].to_vec(), values[rows].to_vec());
        services.insert(run.service.clone(), columns);
    }
    Ok(services)
}

/// Adds newer samples of a service; returns how many they replace.
pub fn add(services: &mut ByService, service: &str, times: &[i64], values: &[f64]) -> u64 {
    let newer = Columns::sorted(times.to_vec(), values.to_vec());
    let older = services.remove(service).unwrap_or_default();
    let (merged, replaced) = Columns::merge(older, newer);
    services.insert(service.to_owned(), merged);
    replaced
}

/// The tail's samples by metric and day; services sorted within.
fn by_partition<'a>(
    keys: &'a [SeriesKey],
    columns: &'a [Columns],
) -> BTreeMap<(&'a str, i64), Vec<RawRun<'a>>> {
    let mut sorted: Vec<(&SeriesKey, &Columns)> = keys.iter().zip(columns).collect();
    sorted.sort_by_key(|(key, _)| *key);
    let mut partitions: BTreeMap<(&str, i64), Vec<RawRun<'_>>> = BTreeMap::new();
    for (key, columns) in sorted {
        let mut start = 0;
        while start < columns.times.len() {
            let day = columns.times[start].div_euclid(MICROS_PER_DAY);
            let day_end = (day + 1) * MICROS_PER_DAY;
            let end = start + columns.times[start..].partition_point(|&time| time < day_end);
            partitions
                .entry((&key.metric, day))
                .or_default()
                .push(RawRun {
                    service: &key.service,
                    times: &columns.times[start..end],
                    values: &columns.values[start..end],
                });
            start = end;
        }
    }
    partitions
}

/// The sealed parts of a partition that overlap in time with the runs, or with a part that does.
fn overlapping(manifest: &Manifest, metric: &str, day: i64, runs: &[RawRun<'_>]) -> Vec<PartMeta> {
    let mut first = runs.iter().map(|run| run.times[0]).min().unwrap_or(0);
    let mut last = runs
        .iter()
        .map(|run| run.times[run.times.len() - 1])
        .max()
        .unwrap_or(0);
    let mut old: Vec<PartMeta> = Vec::new();
    for part in manifest.partition(Tier::Raw, metric, day) {
        if part.first <= last && part.last >= first {
            first = first.min(part.first);
            last = last.max(part.last);
            old.push(part);
        }
    }
    old
}
