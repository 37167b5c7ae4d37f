//! The in-memory end of a store: samples that are logged and not sealed yet, in the columns of
//! the partitions, one pair a series.

/// Samples of one series.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    /// Epoch microseconds.
    pub times: Vec<i64>,
    /// Values, parallel to `times`.
    pub values: Vec<f64>,
    /// Whether `times` ascends strictly.
    is_sorted: bool,
}

/// Samples of every series, by the number of the series.
#[derive(Clone, Debug, Default)]
pub struct Tail {
    series: Vec<Columns>,
    rows: usize,
}

impl Columns {
    /// Appends; returns whether the sample is older than the one before.
    #[inline]
    fn push(&mut self, time: i64, value: f64) -> bool {
        let last = self.times.last().copied();
        self.times.push(time);
        self.values.push(value);
        match last {
            None => self.is_sorted = true,
            Some(last) if time > last => {}
            Some(last) => {
                self.is_sorted = false;
                return time < last;
            }
        }
        false
    }

    /// Sorts by time; of equal times the sample that came last stays. Returns how many went.
    pub fn sort(&mut self) -> u64 {
        if self.is_sorted || self.times.is_empty() {
            return 0;
        }
        let before = self.times.len();
        let mut order: Vec<u32> = (0..before as u32).collect();
        order.sort_by_key(|&index| self.times[index as usize]);
        // The sort is stable: the last of a run of equal times came last.
        let is_last_of_run = |place: usize| {
            let time = |place: usize| self.times[order[place] as usize];
            place + 1 == before || time(place) != time(place + 1)
        };
        let kept: Vec<u32> = (0..before)
            .filter(|&place| is_last_of_run(place))
            .map(|place| order[place])
            .collect();
        self.times = kept
            .iter()
            .map(|&index| self.times[index as usize])
            .collect();
        self.values = kept
            .iter()
            .map(|&index| self.values[index as usize])
            .collect();
        self.is_sorted = true;
        (before - kept.len()) as u64
    }

    /// Joins two sorted runs; where both have a time, `newer` wins. Returns how many of `older`
    /// were replaced.
    pub fn merge(older: Self, newer: Self) -> (Self, u64) {
        if older.times.is_empty() || newer.times.is_empty() {
            return (if older.times.is_empty() { newer } else { older }, 0);
        }
        let mut merged = Self {
            times: Vec::with_capacity(older.times.len() + newer.times.len()),
            values: Vec::with_capacity(older.times.len() + newer.times.len()),
            is_sorted: true,
        };
        let (mut i, mut replaced) = (0, 0);
        for (&time, &value) in newer.times.iter().zip(&newer.values) {
            while i < older.times.len() && older.times[i] < time {
                merged.take(older.times[i], older.values[i]);
                i += 1;
            }
            if i < older.times.len() && older.times[i] == time {
                i += 1;
                replaced += 1;
            }
            merged.take(time, value);
        }
        merged.times.extend_from_slice(&older.times[i..]);
        merged.values.extend_from_slice(&older.values[i..]);
        (merged, replaced)
    }

    /// Sorted columns.
    ///
    /// # Panics
    /// When `times` does not ascend strictly.
    pub fn sorted(times: Vec<i64>, values: Vec<f64>) -> Self {
        assert_eq!(times.len(), values.len());
        debug_assert!(times.windows(2).all(|pair| pair[0] < pair[1]));
        Self {
            times,
            values,
            is_sorted: true,
        }
    }

    fn take(&mut self, time: i64, value: f64) {
        self.times.push(time);
        self.values.push(value);
    }
}

impl Tail {
    /// Appends a batch of columns; returns how many samples were out of order.
    pub fn append(&mut self, series: &[u32], times: &[i64], values: &[f64]) -> u64 {
        let mut out_of_order = 0;
        for ((&series, &time), &value) in series.iter().zip(times).zip(values) {
            let series = series as usize;
            if series >= self.series.len() {
                self.series.resize_with(series + 1, Columns::default);
            }
            out_of_order += u64::from(self.series[series].push(time, value));
        }
        self.rows += times.len();
        out_of_order
    }

    /// Samples held.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Takes everything out, sorted; also how many duplicates went.
    pub fn drain(&mut self) -> (Vec<Columns>, u64) {
        self.rows = 0;
        let mut series = std::mem::take(&mut self.series);
        let duplicates = series.iter_mut().map(Columns::sort).sum();
        (series, duplicates)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn samples() -> impl Strategy<Value = Vec<(i64, f64)>> {
        prop::collection::vec((0_i64..40, 0.0_f64..9.0), 0..60)
    }

    fn columns(samples: &[(i64, f64)]) -> Columns {
        let mut columns = Columns::default();
        for &(time, value) in samples {
            columns.push(time, value);
        }
        columns
    }

    fn pairs(columns: &Columns) -> Vec<(i64, f64)> {
        columns
            .times
            .iter()
            .copied()
            .zip(columns.values.iter().copied())
            .collect()
    }

    proptest! {
        #[test]
        fn the_last_write_of_a_time_wins(first in samples(), second in samples()) {
            let expected: BTreeMap<i64, u64> =
                first.iter().chain(&second).map(|&(time, value)| (time, value.to_bits())).collect();
            let (mut older, mut newer) = (columns(&first), columns(&second));
            let mut gone = older.sort() + newer.sort();
            let (merged, replaced) = Columns::merge(older, newer);
            gone += replaced;
            let found: Vec<(i64, u64)> =
                pairs(&merged).into_iter().map(|(time, value)| (time, value.to_bits())).collect();
            prop_assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
            prop_assert_eq!(merged.times.len() as u64 + gone, (first.len() + second.len()) as u64);
        }
    }
}
