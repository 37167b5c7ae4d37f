//! The scan: which rows of a day's partitions, and in which order.
//!
//! Push-down: the manifest skips days and metrics, the list of runs in a footer skips services and row
//! groups, statistics in the footer answer a run that lies in one bucket without reading a row, and only
//! the columns `time` and `value` are ever decoded.
use std::ops::Range;

use super::accumulate::{Buckets, Needs};
use super::snapshot::Snapshot;
use super::{Damaged, Query, Rollup};
use crate::manifest::PartMeta;
use crate::part::{PartFile, Run};
use crate::summary::Summary;
use crate::tail::Columns;
use crate::{Error, Sketch, Tier};

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// A service and its buckets by their beginnings, microseconds.
type ServiceBuckets = (String, Vec<(i64, Summary, Sketch)>);

/// The samples of one service on one day, from one source.
struct Slice<'a> {
    service: &'a str,
    times: &'a [i64],
    values: &'a [f64],
}

/// What was decoded of one partition.
#[derive(Default)]
struct Decoded {
    runs: Vec<(String, Range<usize>)>,
    times: Vec<i64>,
    values: Vec<f64>,
}

/// A query under way.
pub struct Scan<'a> {
    snapshot: &'a Snapshot,
    query: &'a Query,
    /// Services of the answer, sorted.
    pub services: Vec<String>,
    /// The last sample of each.
    last: Vec<Option<f64>>,
    needs: Needs,
}

impl<'a> Scan<'a> {
    /// Of a query whose answer may have these services, sorted.
    pub fn new(snapshot: &'a Snapshot, query: &'a Query, services: Vec<String>) -> Self {
        Self {
            snapshot,
            query,
            last: vec![None; services.len()],
            services,
            needs: Needs::of(query),
        }
    }

    /// Adds the rows of one day.
    pub fn day(
        &mut self,
        day: i64,
        files: &[(PartMeta, PartFile)],
        buckets: &mut Buckets<'_>,
        rollup: &mut Rollup,
    ) -> Result<(), Error> {
        let unsealed = self.unsealed(day);
        let mut decoded: Vec<Decoded> = Vec::new();
        for (meta, file) in files {
            if unsealed.is_empty() && self.answered_by_footer(meta, file, buckets) {
                rollup.parts_from_footer += 1;
            } else if meta.tier == Tier::Raw {
                decoded.extend(keep_sound(self.decode(file), meta, rollup)?);
            } else if let Some(runs) = keep_sound(self.decode_rollup(file), meta, rollup)? {
                rollup.rows_scanned += meta.rows;
                self.add_rollup(&runs, buckets);
            }
        }
        for part in &decoded {
            rollup.rows_scanned += part.times.len() as u64;
        }
        self.add_raw(&decoded, &unsealed, buckets);
        Ok(())
    }

    /// The tail's samples of a day.
    fn unsealed(&self, day: i64) -> Vec<Slice<'a>> {
        let snapshot = self.snapshot;
        let slice = |(service, columns): (&'a str, &'a Columns)| {
            let start = columns
                .times
                .partition_point(|&time| time < day * MICROS_PER_DAY);
            let end = columns
                .times
                .partition_point(|&time| time < (day + 1) * MICROS_PER_DAY);
            Slice {
                service,
                times: &columns.times[start..end],
                values: &columns.values[start..end],
            }
        };
        snapshot
            .tail_of(self.query)
            .filter(|(service, _)| self.query.wants(service))
            .map(slice)
            .filter(|slice| !slice.times.is_empty())
            .collect()
    }

    /// Answers a partition from the statistics in its footer, where every run of it lies in the
    /// range and in one bucket, and the aggregations need no more.
    fn answered_by_footer(
        &self,
        meta: &PartMeta,
        file: &PartFile,
        buckets: &mut Buckets<'_>,
    ) -> bool {
        let wanted = || {
            file.index
                .runs
                .iter()
                .filter(|run| self.query.wants(&run.service))
        };
        let step = meta.tier.step_micros();
        let fits = |run: &Run| {
            run.first >= self.query.from.0
                && run.last.saturating_add(step) <= self.query.to.0
                && buckets.is_one_bucket(run.first, run.last)
        };
        let needs_samples = self.needs.increase || (self.needs.values && !self.query.approximate);
        if needs_samples || !wanted().all(fits) {
            return false;
        }
        let mut found: Vec<(usize, &Run, Option<Sketch>)> = Vec::new();
        for run in wanted() {
            let sketch = if self.needs.values {
                run.sketch()
            } else {
                None
            };
            if self.needs.values && sketch.is_none() {
                return false;
            }
            found.push((self.number(&run.service), run, sketch));
        }
        for (number, run, sketch) in found {
            let summary = Summary {
                count: run.count,
                sum: run.sum,
                min: run.min,
                max: run.max,
                first: f64::NAN,
                last: f64::NAN,
                increase: 0.0,
            };
            let group = self.group(number);
            buckets.add_summary(group, run.first, &summary, sketch.as_ref(), &mut None);
        }
        true
    }

    /// Decodes the rows of the wanted services, neighbours together.
    fn decode(&self, file: &PartFile) -> Result<Decoded, Error> {
        let mut decoded = Decoded::default();
        for rows in wanted_rows(self.query, &file.index.runs, &mut decoded.runs) {
            file.read_raw(rows, &mut decoded.times, &mut decoded.values)?;
        }
        Ok(decoded)
    }

    fn decode_rollup(&self, file: &PartFile) -> Result<Vec<ServiceBuckets>, Error> {
        let mut runs = Vec::new();
        let mut row = 0;
        for run in &file.index.runs {
            let rows = row..row + run.rows as usize;
            row = rows.end;
            if self.query.wants(&run.service) {
                runs.push((run.service.clone(), file.read_rollup(rows)?));
            }
        }
        Ok(runs)
    }

    fn add_rollup(&mut self, runs: &[ServiceBuckets], buckets: &mut Buckets<'_>) {
        for (service, rows) in runs {
            let number = self.number(service);
            let group = self.group(number);
            for (time, summary, sketch) in rows {
                if (self.query.from.0..self.query.to.0).contains(time) {
                    let sketch = self.needs.values.then_some(sketch);
                    buckets.add_summary(group, *time, summary, sketch, &mut self.last[number]);
                }
            }
        }
    }

    /// Adds a day's samples service by service, sealed parts first; where the tail overlaps with
    /// them, its samples replace those of the same time.
    fn add_raw(&mut self, parts: &[Decoded], unsealed: &[Slice<'_>], buckets: &mut Buckets<'_>) {
        let mut sources: Vec<Slice<'_>> = Vec::new();
        for part in parts {
            sources.extend(part.runs.iter().map(|(service, rows)| Slice {
                service,
                times: &part.times[rows.clone()],
                values: &part.values[rows.clone()],
            }));
        }
        let sealed = sources.len();
        sources.extend(unsealed.iter().map(|slice| Slice { ..*slice }));
        let mut order: Vec<usize> = (0..sources.len()).collect();
        order.sort_by_key(|&place| (sources[place].service, place));
        for same in order.chunk_by(|&a, &b| sources[a].service == sources[b].service) {
            let number = self.number(sources[same[0]].service);
            let in_order = same
                .windows(2)
                .all(|pair| sources[pair[0]].times.last() < sources[pair[1]].times.first());
            if in_order {
                for &place in same {
                    self.add_samples(number, sources[place].times, sources[place].values, buckets);
                }
            } else {
                let columns = |is_sealed: bool| {
                    let wanted = same
                        .iter()
                        .filter(move |&&place| (place < sealed) == is_sealed);
                    let (mut times, mut values) = (Vec::new(), Vec::new());
                    for &place in wanted {
                        times.extend_from_slice(sources[place].times);
                        values.extend_from_slice(sources[place].values);
                    }
                    Columns::sorted(times, values)
                };
                let (merged, _) = Columns::merge(columns(true), columns(false));
                self.add_samples(number, &merged.times, &merged.values, buckets);
            }
        }
    }

    #[inline]
    fn add_samples(
        &mut self,
        number: usize,
        times: &[i64],
        values: &[f64],
        buckets: &mut Buckets<'_>,
    ) {
        let start = times.partition_point(|&time| time < self.query.from.0);
        let end = times.partition_point(|&time| time < self.query.to.0);
        let group = self.group(number);
        let last = &mut self.last[number];
        buckets.add(group, &times[start..end], &values[start..end], last);
    }

    fn number(&self, service: &str) -> usize {
        self.services
            .binary_search_by(|known| known.as_str().cmp(service))
            .expect("every wanted service of every source was listed")
    }

    fn group(&self, number: usize) -> usize {
        if self.query.by_service { number } else { 0 }
    }
}

/// Ranges of rows to decode for a query, neighbours together; `runs` gets where each service will lie
/// in what is decoded.
pub fn wanted_rows(
    query: &Query,
    all: &[Run],
    runs: &mut Vec<(String, Range<usize>)>,
) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let (mut row, mut place) = (0, 0);
    for run in all {
        let rows = row..row + run.rows as usize;
        row = rows.end;
        let in_range = run.first < query.to.0 && run.last >= query.from.0;
        if !in_range || !query.wants(&run.service) {
            continue;
        }
        runs.push((run.service.clone(), place..place + rows.len()));
        place += rows.len();
        match ranges.last_mut() {
            Some(last) if last.end == rows.start => last.end = rows.end,
            _ => ranges.push(rows),
        }
    }
    ranges
}

/// A damaged partition goes into the answer's list, any other failure is one.
pub fn keep_sound<T>(
    read: Result<T, Error>,
    meta: &PartMeta,
    rollup: &mut Rollup,
) -> Result<Option<T>, Error> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(Error::Damaged { problem, .. }) => {
            rollup.damaged.push(Damaged {
                file: meta.file.clone(),
                problem,
            });
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
