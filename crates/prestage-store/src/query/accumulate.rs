//! Buckets that are being filled, group by group, and the order they are finished in.
//!
//! Partitions come in order of time, so a bucket that ends before the next partition begins is
//! finished: memory is a day's buckets, whatever the range.
use prestage_telemetry::Timestamp;

use super::{Aggregation, Query, Rollup};
use crate::Sketch;
use crate::summary::{Summary, gain};

/// What the aggregations of a query need of each sample.
#[derive(Clone, Copy, Debug)]
pub struct Needs {
    /// Smallest and largest.
    pub extremes: bool,
    /// The increase of a counter.
    pub increase: bool,
    /// The samples themselves.
    pub values: bool,
}

/// One bucket of one group.
#[derive(Clone, Debug)]
struct Bucket {
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
    increase: f64,
    values: Vec<f64>,
    /// Boxed: few buckets have one, and services by the thousand have many buckets.
    sketch: Option<Box<Sketch>>,
}

/// The buckets of every group from `base` on.
pub struct Buckets<'a> {
    query: &'a Query,
    every: i64,
    needs: Needs,
    groups: usize,
    /// Number of the first bucket held.
    base: i64,
    /// `groups` buckets for each number from `base` on.
    held: Vec<Bucket>,
    /// Emptied vectors, kept for their memory.
    spare: Vec<Vec<f64>>,
}

impl Needs {
    /// Of a query.
    pub fn of(query: &Query) -> Self {
        let has = |wanted: fn(&Aggregation) -> bool| query.aggregations.iter().any(wanted);
        Self {
            extremes: has(|a| matches!(a, Aggregation::Min | Aggregation::Max)),
            increase: has(|a| matches!(a, Aggregation::Rate)),
            values: has(|a| matches!(a, Aggregation::Percentile(_))),
        }
    }
}

impl Bucket {
    const EMPTY: Self = Self {
        count: 0,
        sum: 0.0,
        min: f64::INFINITY,
        max: f64::NEG_INFINITY,
        increase: 0.0,
        values: Vec::new(),
        sketch: None,
    };
}

impl<'a> Buckets<'a> {
    /// No bucket yet. `every` in microseconds.
    pub fn new(query: &'a Query, every: i64, groups: usize) -> Self {
        Self {
            needs: Needs::of(query),
            query,
            every,
            groups,
            base: 0,
            held: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// Adds samples of one group in time order. `last` is the sample before them, and becomes
    /// their last.
    #[inline]
    pub fn add(&mut self, group: usize, times: &[i64], values: &[f64], last: &mut Option<f64>) {
        assert_eq!(times.len(), values.len());
        let mut start = 0;
        while start < times.len() {
            let number = times[start].div_euclid(self.every);
            let limit = self.every.saturating_mul(number + 1);
            let mut end = start + 1;
            while end < times.len() && times[end] < limit {
                end += 1;
            }
            self.add_slice(number, group, &values[start..end], last);
            start = end;
        }
    }

    #[inline]
    fn add_slice(&mut self, number: i64, group: usize, values: &[f64], last: &mut Option<f64>) {
        let needs = self.needs;
        let bucket = self.bucket(number, group);
        bucket.count += values.len() as u64;
        bucket.sum += values.iter().sum::<f64>();
        if needs.extremes {
            for &value in values {
                bucket.min = bucket.min.min(value);
                bucket.max = bucket.max.max(value);
            }
        }
        if needs.increase {
            for &value in values {
                bucket.increase += last.map_or(0.0, |before| gain(before, value));
                *last = Some(value);
            }
        }
        if needs.values {
            bucket.values.extend_from_slice(values);
        }
    }

    /// Adds what is already summed up and lies in one bucket.
    pub fn add_summary(
        &mut self,
        group: usize,
        time: i64,
        summary: &Summary,
        sketch: Option<&Sketch>,
        last: &mut Option<f64>,
    ) {
        let number = time.div_euclid(self.every);
        let bucket = self.bucket(number, group);
        bucket.count += summary.count;
        bucket.sum += summary.sum;
        bucket.min = bucket.min.min(summary.min);
        bucket.max = bucket.max.max(summary.max);
        bucket.increase +=
            last.map_or(0.0, |before| gain(before, summary.first)) + summary.increase;
        *last = Some(summary.last);
        if let Some(sketch) = sketch {
            bucket.sketch.get_or_insert_default().merge(sketch);
        }
    }

    /// Whether both instants lie in one bucket.
    pub fn is_one_bucket(&self, first: i64, last: i64) -> bool {
        first.div_euclid(self.every) == last.div_euclid(self.every)
    }

    /// Finishes the buckets that end at or before `time`; nothing before `time` comes after.
    pub fn finish_before(&mut self, time: i64, rollup: &mut Rollup) {
        let ended = time.div_euclid(self.every) - self.base;
        let held = (self.held.len() / self.groups.max(1)) as i64;
        let count = ended.clamp(0, held) as usize * self.groups;
        let finished: Vec<Bucket> = self.held.drain(..count).collect();
        for (place, bucket) in finished.into_iter().enumerate() {
            if bucket.count > 0 {
                let number = self.base + (place / self.groups) as i64;
                self.emit(number, place % self.groups, bucket, rollup);
            }
        }
        self.base += (count / self.groups.max(1)) as i64;
        if self.held.is_empty() {
            self.base = time.div_euclid(self.every);
        }
    }

    /// Finishes all buckets.
    pub fn finish(mut self, rollup: &mut Rollup) {
        self.finish_before(i64::MAX, rollup);
    }

    #[inline]
    fn bucket(&mut self, number: i64, group: usize) -> &mut Bucket {
        assert!(number >= self.base, "partitions come in order of time");
        let place = (number - self.base) as usize * self.groups + group;
        if place >= self.held.len() {
            let length = (place / self.groups + 1) * self.groups;
            self.grow(length);
        }
        &mut self.held[place]
    }

    #[cold]
    fn grow(&mut self, length: usize) {
        let spare = &mut self.spare;
        self.held.resize_with(length, || Bucket {
            values: spare.pop().unwrap_or_default(),
            ..Bucket::EMPTY
        });
    }

    fn emit(&mut self, number: i64, group: usize, mut bucket: Bucket, rollup: &mut Rollup) {
        let is_whole = self.query.every.is_none();
        let start = if is_whole {
            self.query.from.0
        } else {
            number * self.every
        };
        rollup.times.push(Timestamp(start));
        rollup.service_numbers.push(group as u32);
        self.settle(&mut bucket, rollup);
        for (column, aggregation) in rollup.columns.iter_mut().zip(&self.query.aggregations) {
            column.push(match *aggregation {
                Aggregation::Count => bucket.count as f64,
                Aggregation::Sum => bucket.sum,
                Aggregation::Mean => bucket.sum / bucket.count as f64,
                Aggregation::Min => bucket.min,
                Aggregation::Max => bucket.max,
                Aggregation::Rate => bucket.increase / self.seconds(),
                Aggregation::Percentile(percent) => match &bucket.sketch {
                    Some(sketch) => sketch.quantile(percent / 100.0).unwrap_or(f64::NAN),
                    None => percentile(&mut bucket.values, percent / 100.0),
                },
            });
        }
        bucket.values.clear();
        self.spare.push(bucket.values);
    }

    /// A bucket with a sketch and samples has all in the sketch afterwards.
    fn settle(&self, bucket: &mut Bucket, rollup: &mut Rollup) {
        if !self.needs.values {
            bucket.sketch = None;
        }
        if let Some(sketch) = &mut bucket.sketch {
            sketch.extend(&bucket.values);
            rollup.is_approximate = true;
        }
    }

    /// Length of a bucket, or of the range when there is one bucket.
    fn seconds(&self) -> f64 {
        let micros = match self.query.every {
            Some(every) => every.0,
            None => self.query.to.0.saturating_sub(self.query.from.0),
        };
        micros as f64 / 1e6
    }
}

/// Type 7 of Hyndman and Fan; reorders the values.
fn percentile(values: &mut [f64], q: f64) -> f64 {
    let place = q * (values.len() - 1) as f64;
    let (low, share) = (place.floor() as usize, place.fract());
    let (_, &mut below, above) = values.select_nth_unstable_by(low, f64::total_cmp);
    if share == 0.0 {
        return below;
    }
    let next = above.iter().copied().fold(f64::INFINITY, f64::min);
    below + share * (next - below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_numpy() {
        let mut values = [15.0, 20.0, 35.0, 40.0, 50.0];
        assert_eq!(percentile(&mut values, 0.4), 29.0);
        assert_eq!(percentile(&mut values, 0.0), 15.0);
        assert_eq!(percentile(&mut values, 1.0), 50.0);
        assert_eq!(percentile(&mut [7.0], 0.95), 7.0);
        assert_eq!(percentile(&mut [1.0, 2.0], 0.95), 1.95);
    }
}
