//! The samples themselves, for exporters.
use std::collections::BTreeMap;
use std::ops::Range;

use super::scan::wanted_rows;
use super::snapshot::Snapshot;
use super::{Damaged, Query};
use crate::part::PartFile;
use crate::tail::Columns;
use crate::{Error, PartMeta, SeriesKey, Tier};

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

/// Which columns are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decode {
    /// Times; zeros stand for the values.
    #[cfg_attr(
        not(feature = "sql"),
        expect(dead_code, reason = "only SQL asks without values")
    )]
    Times,
    /// Both.
    TimesAndValues,
}

/// Samples of one day, and what reading them took.
#[derive(Debug, Default)]
pub struct DayRead {
    /// By service, sorted.
    pub samples: Vec<DaySamples>,
    /// Partitions that are missing from them.
    pub damaged: Vec<Damaged>,
    /// Rows decoded.
    pub rows_decoded: u64,
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
        let read = self.read_day(query, day, Decode::TimesAndValues)?;
        Ok((read.samples, read.damaged))
    }

    /// As [`Snapshot::samples`], decoding no more than `decode` says.
    pub(crate) fn read_day(
        &self,
        query: &Query,
        day: i64,
        decode: Decode,
    ) -> Result<DayRead, Error> {
        let mut services: BTreeMap<String, Columns> = BTreeMap::new();
        let mut read = DayRead::default();
        for part in self.raw_parts(query).filter(|part| part.day == day) {
            match self.read_part(query, part, decode) {
                Ok(runs) => {
                    for (service, columns) in runs {
                        read.rows_decoded += columns.times.len() as u64;
                        add(&mut services, &service, columns);
                    }
                }
                Err(Error::Damaged { problem, .. }) => read.damaged.push(Damaged {
                    file: part.file.clone(),
                    problem,
                }),
                Err(error) => return Err(error),
            }
        }
        let day_range = day * MICROS_PER_DAY..(day + 1) * MICROS_PER_DAY;
        for (service, columns) in self.tail_of(query).filter(|(name, _)| query.wants(name)) {
            add(&mut services, service, cut(columns, &day_range));
        }
        for (service, columns) in services {
            let columns = cut(&columns, &(query.from.0..query.to.0));
            if !columns.times.is_empty() {
                read.samples.push(DaySamples {
                    series: SeriesKey::new(&query.metric, &service)?,
                    times: columns.times,
                    values: columns.values,
                });
            }
        }
        Ok(read)
    }

    /// The rows of the wanted services of a part.
    fn read_part(
        &self,
        query: &Query,
        part: &PartMeta,
        decode: Decode,
    ) -> Result<Vec<(String, Columns)>, Error> {
        let file = PartFile::open(self.root(), part)?;
        let (mut runs, mut times, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for rows in wanted_rows(query, &file.index.runs, &mut runs) {
            match decode {
                Decode::Times => file.read_times(rows, &mut times)?,
                Decode::TimesAndValues => file.read_raw(rows, &mut times, &mut values)?,
            }
        }
        values.resize(times.len(), 0.0);
        let columns = |(service, rows): (String, Range<usize>)| {
            let columns = Columns::sorted(times[rows.clone()].to_vec(), values[rows].to_vec());
            (service, columns)
        };
        Ok(runs.into_iter().map(columns).collect())
    }

    fn raw_parts<'a>(&'a self, query: &'a Query) -> impl Iterator<Item = &'a PartMeta> {
        let is_wanted = move |part: &&PartMeta| {
            part.tier == Tier::Raw
                && part.metric == query.metric
                && part.first < query.to.0
                && part.last >= query.from.0
        };
        self.parts().iter().filter(is_wanted)
    }
}

/// Adds newer samples of a service.
fn add(services: &mut BTreeMap<String, Columns>, service: &str, newer: Columns) {
    let older = services.remove(service).unwrap_or_default();
    services.insert(service.to_owned(), Columns::merge(older, newer).0);
}

fn cut(columns: &Columns, range: &Range<i64>) -> Columns {
    let start = columns.times.partition_point(|&time| time < range.start);
    let end = columns.times.partition_point(|&time| time < range.end);
    Columns::sorted(
        columns.times[start..end].to_vec(),
        columns.values[start..end].to_vec(),
    )
}
