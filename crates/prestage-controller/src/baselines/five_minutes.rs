//! The load of a service as autoscalers meter it: means of five minutes.
use prestage_telemetry::{Metric, SeriesId, ServiceId, Tail, Timestamp};

/// Length of a bin, microseconds.
pub(super) const BIN: i64 = 300_000_000;

/// Reads the load of one service.
#[derive(Clone, Debug, Default)]
pub(super) struct LoadReader {
    cursor: u64,
    bin: i64,
    sum: f64,
    count: u32,
}

impl LoadReader {
    /// Calls `closed` with the index (from the epoch) and the mean of every bin that
    /// has ended by `now`, oldest first; bins without a known sample are left out.
    pub fn read(
        &mut self,
        service: ServiceId,
        tail: &Tail,
        now: Timestamp,
        mut closed: impl FnMut(i64, f64),
    ) {
        let series = SeriesId::new(service, Metric::RequestsPerSecond);
        let (times, values) = tail.read(series, &mut self.cursor);
        for (&at, &value) in times.iter().zip(values) {
            self.close_before(at.0.div_euclid(BIN), &mut closed);
            if value.is_finite() {
                self.sum += value;
                self.count += 1;
            }
        }
        self.close_before(now.0.div_euclid(BIN), &mut closed);
    }

    fn close_before(&mut self, bin: i64, closed: &mut impl FnMut(i64, f64)) {
        if bin > self.bin {
            if self.count > 0 {
                closed(self.bin, self.sum / f64::from(self.count));
            }
            (self.bin, self.sum, self.count) = (bin, 0.0, 0);
        }
    }
}

/// Replicas a service runs now, 0 while unknown.
pub(super) fn replicas(service: ServiceId, tail: &Tail) -> f64 {
    tail.latest(SeriesId::new(service, Metric::Replicas))
        .map_or(0.0, |(_, replicas)| replicas)
}

#[cfg(test)]
mod tests {
    use prestage_telemetry::Span;

    use super::*;

    #[test]
    fn bins_close_once_with_their_mean() {
        let service = ServiceId(0);
        let mut tail = Tail::new(1, Span::MAX);
        let start = Timestamp(1_704_067_200_000_000);
        let series = SeriesId::new(service, Metric::RequestsPerSecond);
        for minute in 0..7 {
            let load = if minute == 3 { f64::NAN } else { minute as f64 };
            tail.push(series, start + Span::from_minutes(minute), load);
        }
        let mut reader = LoadReader::default();
        let mut bins = Vec::new();
        let first = start.0 / BIN;
        reader.read(
            service,
            &tail,
            start + Span::from_minutes(6),
            |bin, mean| {
                bins.push((bin - first, mean));
            },
        );
        assert_eq!(bins, [(0, 7.0 / 4.0)], "the second bin is open");
        reader.read(
            service,
            &tail,
            start + Span::from_minutes(20),
            |bin, mean| {
                bins.push((bin - first, mean));
            },
        );
        assert_eq!(bins[1..], [(1, 5.5)]);
    }
}
