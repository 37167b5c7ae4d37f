//! Retention: raw samples become five-minute rows, those become hourly rows, and those end.
//!
//! Each partition changes its tier at once, with the manifest, so that a day of a metric is in
//! exactly one tier whenever the process dies. Floors never move back, also when the clock does.
use std::collections::BTreeMap;

use prestage_telemetry::Timestamp;

use crate::manifest::{Floors, Manifest, PartMeta};
use crate::part::{PartFile, RollupRun, Target, write_rollup};
use crate::summary::Summary;
use crate::{Error, Sketch, Tier};

use super::{Counts, MICROS_PER_DAY, Store};

type Buckets = Vec<(i64, Summary, Sketch)>;

impl Store {
    /// Downsamples and removes what is older than `store.json` says, as of `now`.
    ///
    /// Seals first. Samples of days before the raw floor are refused from here on.
    ///
    /// # Errors
    /// When the disk fails; what was done before stays done, and another pass does the rest.
    pub fn retain(&mut self, now: Timestamp) -> Result<Counts, Error> {
        let mut counts = self.seal()?;
        let floors = self.floors(now);
        let mut manifest = self.manifest.clone();
        manifest.floors = floors;
        self.commit(manifest, &[])?;
        counts.merge(self.downsample(Tier::Raw, floors.raw, Tier::FiveMinutes)?);
        counts.merge(self.downsample(Tier::FiveMinutes, floors.five_minutes, Tier::Hour)?);
        let ended = |part: &&PartMeta| part.tier == Tier::Hour && part.day < floors.hour;
        let ended: Vec<PartMeta> = self.manifest.parts.iter().filter(ended).cloned().collect();
        if !ended.is_empty() {
            let mut manifest = self.manifest.clone();
            manifest.swap(&ended, []);
            self.commit(manifest, &ended)?;
        }
        counts.removed += ended.len() as u64;
        Ok(counts)
    }

    fn floors(&self, now: Timestamp) -> Floors {
        let today = now.0.div_euclid(MICROS_PER_DAY);
        let kept = &self.options.retention;
        let old = self.manifest.floors;
        let hour = kept.hour_days.map_or(0, |days| today - i64::from(days));
        Floors {
            raw: old.raw.max(today - i64::from(kept.raw_days)),
            five_minutes: old
                .five_minutes
                .max(today - i64::from(kept.five_minutes_days)),
            hour: old.hour.max(hour),
        }
    }

    fn downsample(&mut self, from: Tier, floor: i64, to: Tier) -> Result<Counts, Error> {
        let mut partitions: BTreeMap<(String, i64), Vec<PartMeta>> = BTreeMap::new();
        let due = |part: &&PartMeta| part.tier == from && part.day < floor;
        for part in self.manifest.parts.iter().filter(due) {
            let key = (part.metric.clone(), part.day);
            partitions.entry(key).or_default().push(part.clone());
        }
        let mut counts = Counts::default();
        for ((metric, day), old) in partitions {
            let mut manifest = self.manifest.clone();
            let services = self.buckets(&old, to, &mut manifest)?;
            let mut new = None;
            if !services.is_empty() {
                let runs: Vec<RollupRun<'_>> = services
                    .iter()
                    .map(|(service, buckets)| RollupRun { service, buckets })
                    .collect();
                let target = Target {
                    root: &self.root,
                    file: manifest.next_path(to, &metric, day),
                    day,
                    metric: &metric,
                };
                new = Some(write_rollup(target, to, &runs)?);
            }
            counts.rows += new.as_ref().map_or(0, |part| part.rows);
            counts.written += u64::from(new.is_some());
            counts.removed += old.len() as u64;
            manifest.swap(&old, new);
            self.commit(manifest, &old)?;
        }
        Ok(counts)
    }

    /// The rows of some parts of one partition as buckets of the tier `to`.
    fn buckets(
        &self,
        parts: &[PartMeta],
        to: Tier,
        manifest: &mut Manifest,
    ) -> Result<BTreeMap<String, Buckets>, Error> {
        let step = to.step_micros();
        if to == Tier::FiveMinutes {
            let (services, _) = self.load(parts, manifest)?;
            let roll = |(service, columns): (String, crate::tail::Columns)| {
                (service, roll_up(&columns.times, &columns.values, step))
            };
            return Ok(services.into_iter().map(roll).collect());
        }
        let mut services: BTreeMap<String, Buckets> = BTreeMap::new();
        for meta in parts {
            match read_rollup(&self.root, meta) {
                Ok(runs) => {
                    for (service, buckets) in runs {
                        let coarser = services.entry(service).or_default();
                        coarsen(buckets, step, coarser);
                    }
                }
                Err(Error::Damaged { problem, .. }) => {
                    self.quarantine(meta, problem, manifest)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(services)
    }
}

impl Counts {
    /// Adds what another operation did.
    pub fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        self.duplicates += other.duplicates;
        self.written += other.written;
        self.removed += other.removed;
    }
}

/// Samples, in time order, as buckets of `step` microseconds.
pub fn roll_up(times: &[i64], values: &[f64], step: i64) -> Buckets {
    let mut buckets = Buckets::new();
    let mut start = 0;
    while start < times.len() {
        let bucket = times[start].div_euclid(step) * step;
        let end = start + times[start..].partition_point(|&time| time < bucket + step);
        let samples = &values[start..end];
        buckets.push((bucket, Summary::of(samples), Sketch::of(samples)));
        start = end;
    }
    buckets
}

fn coarsen(buckets: Buckets, step: i64, coarser: &mut Buckets) {
    for (time, summary, sketch) in buckets {
        let bucket = time.div_euclid(step) * step;
        match coarser.last_mut() {
            Some((last, known, distribution)) if *last == bucket => {
                known.then(&summary);
                distribution.merge(&sketch);
            }
            _ => coarser.push((bucket, summary, sketch)),
        }
    }
}

/// The buckets of a downsampled part, by service.
fn read_rollup(root: &std::path::Path, meta: &PartMeta) -> Result<Vec<(String, Buckets)>, Error> {
    let file = PartFile::open(root, meta)?;
    let mut buckets = file.read_rollup(0..meta.rows as usize)?.into_iter();
    let run = |run: &crate::part::Run| {
        let rows = buckets.by_ref().take(run.rows as usize).collect();
        (run.service.clone(), rows)
    };
    Ok(file.index.runs.iter().map(run).collect())
}
