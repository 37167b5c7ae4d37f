//! The samples themselves, for exporters.
use std::collections::BTreeMap;

use super::snapshot::Snapshot;
use super::{Damaged, Query};
use crate::part::PartFile;
use crate::tail::Columns;
use crate::{Error, SeriesKey, Tier};

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Samples of one series on one day.
#[derive(Clone, Debug, PartialEq)]
pub struct DaySamples {
    /// The series.
    pub series: SeriesKey,
    /// Epoch microseconds, ascending strictly.
    pub times: Vec<i64>,
    /// Values, parallel to `times`.
    pub values: Vec<f64>,
}

impl Snapshot {
    /// Days on which the raw samples of a query's metric, services and range lie, in order.
    pub fn days(&self, query: &Query) -> Vec<i64> {
        let mut days: Vec<i64> = self.tail_days(query);
        days.extend(self.raw_parts(query).map(|part| part.day));
        days.sort_unstable();
        days.dedup();
        days
    }

    /// The services that a metric has, sealed or not, sorted.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn services(&self, metric: &str) -> Result<Vec<String>, Error> {
        let query = Query::new(metric);
        let mut services: Vec<String> = self
            .tail_of(&query)
            .map(|(service, _)| service.to_owned())
            .collect();
        for part in self.raw_parts(&query) {
            match PartFile::open(self.root(), part) {
                Ok(file) => services.extend(file.index.runs.into_iter().map(|run| run.service)),
                Err(Error::Damaged { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        services.sort_unstable();
        services.dedup();
        Ok(services)
    }

    /// The raw samples of one day, by service; damaged partitions are named and left out.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn samples(
        &self,
        query: &Query,
        day: i64,
    ) -> Result<(Vec<DaySamples>, Vec<Damaged>), Error> {
        let mut services: BTreeMap<String, Columns> = BTreeMap::new();
        let mut damaged = Vec::new();
        for part in self.raw_parts(query).filter(|part| part.day == day) {
            match crate::store::read_raw(self.root(), part) {
                Ok(runs) => {
                    for (service, columns) in runs {
                        let older = services.remove(&service).unwrap_or_default();
                        services.insert(service, Columns::merge(older, columns).0);
                    }
                }
                Err(Error::Damaged { problem, .. }) => damaged.push(Damaged {
                    file: part.file.clone(),
                    problem,
                }),
                Err(error) => return Err(error),
            }
        }
        let day_range = day * MICROS_PER_DAY..(day + 1) * MICROS_PER_DAY;
        for (service, columns) in self.tail_of(query) {
            let newer = cut(columns, &day_range);
            let older = services.remove(service).unwrap_or_default();
            services.insert(service.to_owned(), Columns::merge(older, newer).0);
        }
        let mut samples = Vec::new();
        for (service, columns) in services
            .into_iter()
            .filter(|(service, _)| query.wants(service))
        {
            let columns = cut(&columns, &(query.from.0..query.to.0));
            if !columns.times.is_empty() {
                samples.push(DaySamples {
                    series: SeriesKey::new(&query.metric, &service)?,
                    times: columns.times,
                    values: columns.values,
                });
            }
        }
        Ok((samples, damaged))
    }

    fn raw_parts<'a>(&'a self, query: &'a Query) -> impl Iterator<Item = &'a crate::PartMeta> {
        let is_wanted = move |part: &&crate::PartMeta| {
            part.tier == Tier::Raw
                && part.metric == query.metric
                && part.first < query.to.0
                && part.last >= query.from.0
        };
        self.parts().iter().filter(is_wanted)
    }
}

fn cut(columns: &Columns, range: &std::ops::Range<i64>) -> Columns {
    let start = columns.times.partition_point(|&time| time < range.start);
    let end = columns.times.partition_point(|&time| time < range.end);
    Columns::sorted(
        columns.times[start..end].to_vec(),
        columns.values[start..end].to_vec(),
    )
}
