//! The in-memory columnar tail: the recent samples of every series.
//!
//! The simulator pushes tens of samples for every simulated minute, so a push is one
//! index computation, two comparisons and two appends; no map, no per-push trimming.
//! Readers either ask for a time range ([`Tail::since`]) or keep a cursor
//! ([`Tail::read`]) that stays valid while old samples are dropped.
use serde::{Deserialize, Serialize};

use crate::{Metric, SeriesId, Span, Timestamp};

/// Below this many samples a column is not worth trimming.
const TRIM_SAMPLES_MIN: usize = 64;

/// Recent samples of every series, in time order, two parallel columns for each.
///
/// ```
/// use prestage_telemetry::{Metric, SeriesId, ServiceId, Span, Tail, Timestamp};
/// let series = SeriesId::new(ServiceId(0), Metric::Replicas);
/// let mut tail = Tail::new(1, Span::from_days(14));
/// tail.push(series, Timestamp::from_seconds(60), 3.0);
/// tail.push(series, Timestamp::from_seconds(120), 4.0);
/// let mut cursor = 0;
/// assert_eq!(tail.read(series, &mut cursor).1, [3.0, 4.0]);
/// assert_eq!(tail.since(series, Timestamp::from_seconds(60)).1, [4.0]);
/// assert!(tail.read(series, &mut cursor).1.is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tail {
    retention: Span,
    services: usize,
    /// Samples ever pushed, by column. Apart from the columns, because most reads
    /// find nothing new, and then this is all they touch.
    pushed: Vec<u64>,
    columns: Vec<Column>,
}

/// A sample that is older than the last of its series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sample of {series} at {time} is older than the last one at {last}")]
pub struct OutOfOrder {
    /// The series pushed to.
    pub series: SeriesId,
    /// Time of the refused sample.
    pub time: Timestamp,
    /// Time of the newest sample held.
    pub last: Timestamp,
}

/// On a cache line of its own: a sweep of a thousand services pushes to a thousand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[repr(align(64))]
struct Column {
    times: Vec<Timestamp>,
    values: Vec<f64>,
    /// Time of the newest sample ever pushed, also when it was dropped since.
    last: Timestamp,
    /// Length at which the next push trims. Kept here, not read from the vector's
    /// capacity, so that a restored snapshot trims at the same sample.
    trim_at: usize,
}

impl Tail {
    /// An empty tail for `services` services and the global series.
    ///
    /// At least the last `retention` of every series stays readable; up to about twice
    /// as much is held, because trimming waits until it is cheap.
    ///
    /// # Panics
    /// When `retention` is not positive.
    pub fn new(services: usize, retention: Span) -> Self {
        let columns = (services + 1) * Metric::COUNT;
        let mut tail = Self {
            retention,
            services,
            pushed: vec![0; columns],
            columns: vec![Column::new(); columns],
        };
        tail.set_retention(retention);
        tail
    }

    /// Changes how long samples stay readable, from the next push of each series on.
    ///
    /// # Panics
    /// When `retention` is not positive.
    pub fn set_retention(&mut self, retention: Span) {
        assert!(
            retention > Span::ZERO,
            "retention must be positive, not {retention}"
        );
        self.retention = retention;
        for column in &mut self.columns {
            column.trim_at = TRIM_SAMPLES_MIN;
        }
    }

    /// How many services the tail has room for.
    pub fn services(&self) -> usize {
        self.services
    }

    /// Appends a sample; equal times are kept in the order of their pushes.
    ///
    /// # Panics
    /// When `time` is before the last sample of the series, or the service is unknown:
    /// the simulation owns its order. Use [`Tail::try_push`] for samples from outside.
    #[inline]
    pub fn push(&mut self, series: SeriesId, time: Timestamp, value: f64) {
        let retention = self.retention;
        let index = series.column(self.services);
        let column = &mut self.columns[index];
        if time < column.last {
            refuse(series, time, column.last);
        }
        column.push(time, value, retention);
        self.pushed[index] += 1;
    }

    /// Appends a sample that comes from outside.
    ///
    /// # Errors
    /// When `time` is before the last sample of the series; nothing is appended then.
    pub fn try_push(
        &mut self,
        series: SeriesId,
        time: Timestamp,
        value: f64,
    ) -> Result<(), OutOfOrder> {
        let last = self.column(series).last;
        if time < last {
            return Err(OutOfOrder { series, time, last });
        }
        self.push(series, time, value);
        Ok(())
    }

    /// The samples strictly after `after` that are still held.
    pub fn since(&self, series: SeriesId, after: Timestamp) -> (&[Timestamp], &[f64]) {
        let column = self.column(series);
        column.from(column.times.partition_point(|&time| time <= after))
    }

    /// The samples not yet read by the owner of `cursor`, which moves past them.
    ///
    /// A cursor starts at 0 and counts samples of this series ever pushed. Samples that
    /// were dropped before they were read are skipped.
    pub fn read(&self, series: SeriesId, cursor: &mut u64) -> (&[Timestamp], &[f64]) {
        let index = series.column(self.services);
        let pushed = self.pushed[index];
        let unread = pushed.saturating_sub(*cursor);
        *cursor = pushed;
        if unread == 0 {
            return (&[], &[]);
        }
        let column = &self.columns[index];
        let held = column.times.len();
        column.from(held - held.min(usize::try_from(unread).unwrap_or(usize::MAX)))
    }

    /// Everything still held of a series.
    pub fn samples(&self, series: SeriesId) -> (&[Timestamp], &[f64]) {
        self.column(series).from(0)
    }

    /// The newest sample of a series.
    pub fn latest(&self, series: SeriesId) -> Option<(Timestamp, f64)> {
        let column = self.column(series);
        Some((*column.times.last()?, *column.values.last()?))
    }

    /// How many samples of a series were ever pushed.
    pub fn sequence(&self, series: SeriesId) -> u64 {
        self.pushed[series.column(self.services)]
    }

    fn column(&self, series: SeriesId) -> &Column {
        &self.columns[series.column(self.services)]
    }
}

impl Column {
    const fn new() -> Self {
        Self {
            times: Vec::new(),
            values: Vec::new(),
            last: Timestamp::MIN,
            trim_at: TRIM_SAMPLES_MIN,
        }
    }

    #[inline]
    fn push(&mut self, time: Timestamp, value: f64, retention: Span) {
        if self.times.len() >= self.trim_at {
            self.trim(time, retention);
        }
        self.last = time;
        self.times.push(time);
        self.values.push(value);
    }

    /// Amortised: the next trim comes only after as many pushes as samples are left.
    #[cold]
    #[inline(never)]
    fn trim(&mut self, now: Timestamp, retention: Span) {
        self.drop_before(Timestamp(now.0.saturating_sub(retention.0)));
        self.trim_at = TRIM_SAMPLES_MIN.max(self.times.len() * 2);
    }

    fn drop_before(&mut self, time: Timestamp) {
        let count = self.times.partition_point(|&held| held < time);
        self.times.drain(..count);
        self.values.drain(..count);
        assert_eq!(self.times.len(), self.values.len());
    }

    fn from(&self, start: usize) -> (&[Timestamp], &[f64]) {
        (&self.times[start..], &self.values[start..])
    }
}

/// Kept out of line, so that the message costs the push nothing.
#[cold]
#[inline(never)]
fn refuse(series: SeriesId, time: Timestamp, last: Timestamp) -> ! {
    panic!("{series}: time ran backwards, {time} < {last}");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ServiceId;

    const SERIES: SeriesId = SeriesId::new(ServiceId(1), Metric::RequestsPerSecond);

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_seconds(minute * 60)
    }

    fn filled(minutes: i64, retention: Span) -> Tail {
        let mut tail = Tail::new(2, retention);
        for minute in 0..minutes {
            tail.push(SERIES, at(minute), minute as f64);
        }
        tail
    }

    #[test]
    fn since_is_exclusive_and_other_series_stay_empty() {
        let tail = filled(10, Span::from_days(1));
        assert_eq!(tail.since(SERIES, at(7)).1, [8.0, 9.0]);
        assert_eq!(tail.since(SERIES, Timestamp::MIN).1.len(), 10);
        assert!(tail.since(SERIES, Timestamp::MAX).1.is_empty());
        let other = SeriesId::new(ServiceId(0), Metric::RequestsPerSecond);
        assert!(tail.samples(other).1.is_empty());
        assert_eq!(tail.latest(SERIES), Some((at(9), 9.0)));
        assert_eq!(tail.services(), 2);
    }

    #[test]
    fn memory_is_bounded_and_retention_is_kept() {
        let tail = filled(100_000, Span::from_hours(10));
        let held = tail.samples(SERIES).1.len();
        assert!(
            (600..=1_203).contains(&held),
            "held {held} samples for 600 minutes"
        );
        assert_eq!(tail.sequence(SERIES), 100_000);
        assert_eq!(tail.since(SERIES, at(99_999 - 600)).1.len(), 600);
    }

    #[test]
    fn cursor_survives_trimming() {
        let mut tail = filled(1_000, Span::from_days(1));
        let mut cursor = 0;
        assert_eq!(tail.read(SERIES, &mut cursor).1.len(), 1_000);
        tail.set_retention(Span::from_minutes(10));
        tail.push(SERIES, at(1_000), 7.0);
        assert_eq!(
            tail.read(SERIES, &mut cursor),
            (&[at(1_000)][..], &[7.0][..])
        );
        let mut late = 0;
        assert_eq!(
            tail.read(SERIES, &mut late).1.len(),
            11,
            "dropped samples are skipped"
        );
        assert_eq!(late, 1_001);
    }

    #[test]
    fn refuses_a_step_back_in_time() {
        let mut tail = filled(2, Span::from_days(1));
        let error = tail.try_push(SERIES, at(0), 0.0).unwrap_err();
        assert_eq!(
            error.to_string(),
            "sample of requests_per_second of service 1 at 1970-01-01T00:00:00Z is older than \
             the last one at 1970-01-01T00:01:00Z"
        );
        tail.try_push(SERIES, at(1), 0.5).unwrap();
        assert_eq!(tail.samples(SERIES).1, [0.0, 1.0, 0.5]);
    }

    #[test]
    #[should_panic(expected = "time ran backwards")]
    fn asserts_order_of_the_simulation() {
        filled(2, Span::from_days(1)).push(SERIES, at(0), 0.0);
    }

    #[test]
    fn snapshot_trims_like_the_original() {
        let mut tail = filled(700, Span::from_hours(1));
        let json = serde_json::to_string(&tail).unwrap();
        let mut restored: Tail = serde_json::from_str(&json).unwrap();
        for minute in 700..2_000 {
            tail.push(SERIES, at(minute), 0.0);
            restored.push(SERIES, at(minute), 0.0);
            assert_eq!(tail, restored);
        }
    }

    proptest! {
        #[test]
        fn every_reader_sees_every_sample_once(steps in prop::collection::vec(0_i64..900, 1..600)) {
            let mut tail = Tail::new(2, Span::from_hours(2));
            let (mut cursor, mut now, mut seen) = (0, 0, Vec::new());
            for (index, step) in steps.iter().enumerate() {
                now += step;
                tail.push(SERIES, Timestamp::from_seconds(now), index as f64);
                if index % 7 == 0 {
                    seen.extend_from_slice(tail.read(SERIES, &mut cursor).1);
                }
            }
            seen.extend_from_slice(tail.read(SERIES, &mut cursor).1);
            let expected: Vec<f64> = (0..steps.len()).map(|index| index as f64).collect();
            prop_assert_eq!(seen, expected);
        }
    }
}
