//! A store as it was at one moment, and how a question goes through it.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::accumulate::Buckets;
use super::scan::{Scan, keep_sound};
use super::{Query, Rollup};
use crate::manifest::{Manifest, PartMeta};
use crate::part::PartFile;
use crate::series::SeriesTable;
use crate::store::{replay_into, store_exists};
use crate::tail::{Columns, Tail};
use crate::{Error, wal};

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Attempts at an answer while a writer replaces the files that are being read.
const ATTEMPTS_MAX: u32 = 5;

/// A store as it was at one moment, for reading; takes no lock.
pub struct Snapshot {
    root: PathBuf,
    manifest: Manifest,
    /// Samples that are not sealed: by metric, then service; sorted.
    tail: BTreeMap<String, BTreeMap<String, Columns>>,
}

impl Snapshot {
    /// Reads the manifest and the log of the store in `root`.
    ///
    /// # Errors
    /// When there is no store, or it cannot be read.
    pub fn open(root: &Path) -> Result<Self, Error> {
        if !store_exists(root) {
            return Err(Error::NotAStore {
                path: root.display().to_string(),
            });
        }
        for _ in 1..ATTEMPTS_MAX {
            let snapshot = Self::read(root)?;
            // A writer that sealed in between has moved the log's samples into partitions.
            if Manifest::read(root)?.wal_floor == snapshot.manifest.wal_floor {
                return Ok(snapshot);
            }
        }
        Self::read(root)
    }

    fn read(root: &Path) -> Result<Self, Error> {
        let manifest = Manifest::read(root)?;
        let (mut series, mut tail) = (SeriesTable::default(), Tail::default());
        for number in wal::numbers(root)? {
            if number >= manifest.wal_floor {
                match wal::replay(&wal::path(root, number)) {
                    Ok(replayed) => replay_into(&replayed, &mut series, &mut tail)?,
                    // Sealed and removed in between: the caller looks at the manifest again.
                    Err(Error::Io { cause, .. })
                        if cause.kind() == std::io::ErrorKind::NotFound =>
                    {
                        0
                    }
                    Err(error) => return Err(error),
                };
            }
        }
        Ok(Self::of(root, manifest, series.keys(), tail))
    }

    /// From the state of an open store.
    pub(crate) fn of(
        root: &Path,
        manifest: Manifest,
        keys: &[crate::SeriesKey],
        mut tail: Tail,
    ) -> Self {
        let (columns, _) = tail.drain();
        let mut by_metric: BTreeMap<String, BTreeMap<String, Columns>> = BTreeMap::new();
        for (key, columns) in keys.iter().zip(columns) {
            if !columns.times.is_empty() {
                let services = by_metric.entry(key.metric.clone()).or_default();
                services.insert(key.service.clone(), columns);
            }
        }
        Self {
            root: root.to_owned(),
            manifest,
            tail: by_metric,
        }
    }

    /// The metrics that have samples, with how many rows, sorted.
    pub fn metrics(&self) -> BTreeMap<&str, u64> {
        let mut rows: BTreeMap<&str, u64> = BTreeMap::new();
        for part in &self.manifest.parts {
            *rows.entry(&part.metric).or_default() += part.rows;
        }
        for (metric, services) in &self.tail {
            let held: usize = services.values().map(|columns| columns.times.len()).sum();
            *rows.entry(metric).or_default() += held as u64;
        }
        rows
    }

    /// Answers a query. A damaged partition is named in the answer and the rest answers.
    ///
    /// # Errors
    /// When the query has no meaning, asks for finer rows than are kept, or the disk fails.
    pub fn query(&self, query: &Query) -> Result<Rollup, Error> {
        let mut rollup = self.answer(query)?;
        for _ in 1..ATTEMPTS_MAX {
            if rollup.damaged.is_empty() {
                break;
            }
            // What is missing may have been replaced by a writer since the snapshot was taken.
            let newer = Self::open(&self.root)?;
            if newer.manifest == self.manifest {
                break;
            }
            rollup = newer.answer(query)?;
        }
        Ok(rollup)
    }

    fn answer(&self, query: &Query) -> Result<Rollup, Error> {
        let every = query.validate()?;
        let parts = self.parts_of(query, every)?;
        let mut rollup = Rollup {
            columns: vec![Vec::new(); query.aggregations.len()],
            ..Rollup::default()
        };
        let mut scan = Scan::new(self, query, self.services_of(query));
        let groups = if query.by_service {
            scan.services.len()
        } else {
            1
        };
        let mut buckets = Buckets::new(query, every, groups);
        // A day's files at a time: a footer describes every service, and a year has many.
        for (day, parts) in by_day(parts, self.tail_days(query)) {
            let begin = (day * MICROS_PER_DAY).max(query.from.0);
            buckets.finish_before(begin, &mut rollup);
            let files = self.open_parts(parts, &mut rollup)?;
            scan.day(day, &files, &mut buckets, &mut rollup)?;
        }
        buckets.finish(&mut rollup);
        if query.by_service {
            rollup.services = scan.services;
            rollup.forget_absent_services();
        }
        Ok(rollup)
    }

    /// The partitions that may hold rows of the answer, in order of time.
    fn parts_of(&self, query: &Query, every: i64) -> Result<Vec<PartMeta>, Error> {
        let matches = |part: &&PartMeta| {
            part.metric == query.metric
                && part.first < query.to.0
                && part.last.saturating_add(part.tier.step_micros()) > query.from.0
        };
        let mut parts: Vec<PartMeta> = self
            .manifest
            .parts
            .iter()
            .filter(matches)
            .cloned()
            .collect();
        parts.sort_by_key(|part| part.first);
        for part in &parts {
            let step = part.tier.step_micros();
            let fits = |micros: i64| micros % step == 0;
            let to_fits = fits(query.to.0) || query.to.0 > part.last + step;
            let every_fits = query.every.is_none() || fits(every);
            if !every_fits || !to_fits || !(fits(query.from.0) || query.from.0 <= part.first) {
                return Err(Error::Query {
                    problem: format!(
                        "of `{}` only rows of {} are kept on {}\n\nhint: let the range and its \
                         buckets be multiples of {}",
                        query.metric,
                        part.tier.name(),
                        prestage_telemetry::Timestamp(part.first),
                        part.tier.name()
                    ),
                });
            }
        }
        Ok(parts)
    }

    /// The services that may have rows in the answer, sorted.
    fn services_of(&self, query: &Query) -> Vec<String> {
        let sealed = self.manifest.series.iter();
        let sealed = sealed.filter(|key| key.metric == query.metric);
        let mut services: Vec<String> = sealed
            .map(|key| key.service.as_str())
            .chain(self.tail_of(query).map(|(service, _)| service))
            .filter(|service| query.wants(service))
            .map(str::to_owned)
            .collect();
        services.sort_unstable();
        services.dedup();
        services
    }

    fn open_parts(
        &self,
        parts: Vec<PartMeta>,
        rollup: &mut Rollup,
    ) -> Result<Vec<(PartMeta, PartFile)>, Error> {
        let mut opened = Vec::with_capacity(parts.len());
        for meta in parts {
            if let Some(file) = keep_sound(PartFile::open(&self.root, &meta), &meta, rollup)? {
                opened.push((meta, file));
            }
        }
        Ok(opened)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn parts(&self) -> &[PartMeta] {
        &self.manifest.parts
    }

    pub(crate) fn tail_of(&self, query: &Query) -> impl Iterator<Item = (&str, &Columns)> {
        let services = self.tail.get(&query.metric).into_iter().flatten();
        services.map(|(service, columns)| (service.as_str(), columns))
    }

    /// Days on which the tail has samples of the answer.
    pub(super) fn tail_days(&self, query: &Query) -> Vec<i64> {
        let mut days: Vec<i64> = Vec::new();
        for (_, columns) in self.tail_of(query) {
            let mut start = columns.times.partition_point(|&time| time < query.from.0);
            let end = columns.times.partition_point(|&time| time < query.to.0);
            while start < end {
                let day = columns.times[start].div_euclid(MICROS_PER_DAY);
                days.push(day);
                start = columns
                    .times
                    .partition_point(|&time| time < (day + 1) * MICROS_PER_DAY);
            }
        }
        days.sort_unstable();
        days.dedup();
        days
    }
}

/// Partitions by day, with the days that only the tail has.
fn by_day(parts: Vec<PartMeta>, tail_days: Vec<i64>) -> BTreeMap<i64, Vec<PartMeta>> {
    let mut days: BTreeMap<i64, Vec<PartMeta>> = BTreeMap::new();
    for day in tail_days {
        days.entry(day).or_default();
    }
    for part in parts {
        days.entry(part.day).or_default().push(part);
    }
    days
}
