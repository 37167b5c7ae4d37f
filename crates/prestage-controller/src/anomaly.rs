//! Watches what comes in at every service for what is unusual.
//!
//! ```text
//! requests, errors -> mean of 5 minutes -> seasonal residual -> score, fading -> observation
//!                                                           `-> alarm        -> interrupt
//! ```
//! The detector is not the ensemble that is the default for series that are looked at one by one: that takes 1.6 us a
//! sample, which is more than everything else that is done for it here. The modified z-score against the usual value of
//! the hour takes a few nanoseconds, and a mean of five minutes is what needs of replicas are judged by.
//!
//! Changes nothing but what a policy sees and when it is asked.
use prestage_telemetry::detect::{
    ALARM_LEVEL, Alarm, AlarmSpec, AlarmState, Detector, SeasonalResidual, Setting,
};
use prestage_telemetry::{Metric, SeriesId, ServiceId, Span, Tail, Timestamp};

use crate::cell::CellSpec;

/// What is watched of each service.
const METRICS: [Metric; 2] = [Metric::RequestsPerSecond, Metric::ErrorsPerSecond];
/// What one score is of.
const BIN: Span = Span::from_minutes(5);
/// Bins that are only learnt from: three days, so that each hour of the day was there three times.
const WARM_UP_BINS: usize = 3 * 24 * 12;
/// Bins after an alarm in which the same series raises none: an hour, when the policy is asked again anyway.
const REST_BINS: usize = 12;
/// What is left of a score after a bin: half after an hour, the time between two turns.
const FADE: f64 = 0.943_874_312_681_693_5;
/// A score is none any more when the series has had no sample for this long.
const STALE_AFTER: Span = Span::from_hours(1);

/// The services of a controller.
pub(crate) struct Watch {
    services: Vec<[Stream; METRICS.len()]>,
    /// Which of those each cell is of.
    of_cell: Vec<usize>,
}

/// One series under watch.
struct Stream {
    series: SeriesId,
    cursor: u64,
    bin: Bin,
    detector: SeasonalResidual,
    alarm: Alarm,
    /// The latest score, or what is left of an earlier one.
    score: f64,
}

/// The samples of the five minutes before `end`.
struct Bin {
    end: Timestamp,
    sum: f64,
    count: u32,
}

impl Watch {
    /// Of cells whose services may be the same.
    pub(crate) fn new<'a>(cells: impl Iterator<Item = &'a CellSpec>) -> Self {
        let mut known: Vec<ServiceId> = Vec::new();
        let number = |cell: &CellSpec| {
            let place = known.iter().position(|&service| service == cell.service);
            place.unwrap_or_else(|| {
                known.push(cell.service);
                known.len() - 1
            })
        };
        let of_cell = cells.map(number).collect();
        let streams = |&service: &ServiceId| {
            METRICS.map(|metric| Stream::new(SeriesId::new(service, metric)))
        };
        Self {
            services: known.iter().map(streams).collect(),
            of_cell,
        }
    }

    /// Takes in what the telemetry has to say since the last time; whether an alarm was raised.
    pub(crate) fn observe(&mut self, tail: &Tail, now: Timestamp) -> bool {
        let mut raised = false;
        for stream in self.services.iter_mut().flatten() {
            raised |= stream.observe(tail, now);
        }
        raised
    }

    /// How unusual the service of a cell has been of late, in `[0, 1]`; 0.5 is where alarms are raised.
    pub(crate) fn score(&self, cell: usize, now: Timestamp) -> f64 {
        let streams = self.services[self.of_cell[cell]].iter();
        let current = streams.filter(|stream| !stream.is_stale(now));
        current.map(|stream| stream.score).fold(0.0, f64::max)
    }

    /// Series with an alarm that was raised and not lowered.
    pub(crate) fn standing(&self, now: Timestamp) -> impl Iterator<Item = SeriesId> {
        let streams = self.services.iter().flatten();
        let standing = streams.filter(move |stream| stream.stands(now));
        standing.map(|stream| stream.series)
    }

    /// Services with an alarm that was raised and not lowered.
    pub(crate) fn alarms(&self, now: Timestamp) -> usize {
        let services = self.services.iter();
        services
            .filter(|streams| streams.iter().any(|stream| stream.stands(now)))
            .count()
    }
}

impl Stream {
    fn new(series: SeriesId) -> Self {
        let setting = Setting::new(BIN, WARM_UP_BINS).expect("864 bins of five minutes are legal");
        Self {
            series,
            cursor: 0,
            bin: Bin {
                end: Timestamp::MIN,
                sum: 0.0,
                count: 0,
            },
            detector: SeasonalResidual::new(setting),
            alarm: Alarm::new(AlarmSpec {
                raise: ALARM_LEVEL,
                lower: ALARM_LEVEL / 2.0,
                rest: REST_BINS,
            }),
            score: 0.0,
        }
    }

    fn observe(&mut self, tail: &Tail, now: Timestamp) -> bool {
        let mut raised = false;
        let (times, values) = tail.read(self.series, &mut self.cursor);
        for (&at, &value) in times.iter().zip(values) {
            if at >= self.bin.end {
                raised |= self.close_bin();
                self.bin.end = Timestamp((at.0.div_euclid(BIN.0) + 1) * BIN.0);
            }
            self.bin.sum += value;
            self.bin.count += 1;
        }
        if now >= self.bin.end {
            raised |= self.close_bin();
        }
        raised
    }

    /// Scores the bin, if it has samples, and empties it.
    fn close_bin(&mut self) -> bool {
        if self.bin.count == 0 {
            return false;
        }
        let mean = self.bin.sum / f64::from(self.bin.count);
        self.bin.sum = 0.0;
        self.bin.count = 0;
        let score = self.detector.score(self.bin.end - BIN, mean);
        self.score = score.max(self.score * FADE);
        self.alarm.update(score) == AlarmState::Raised
    }

    fn stands(&self, now: Timestamp) -> bool {
        self.alarm.is_standing() && !self.is_stale(now)
    }

    fn is_stale(&self, now: Timestamp) -> bool {
        now.0.saturating_sub(self.bin.end.0) > STALE_AFTER.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60;
    const DAY: i64 = 86_400;

    fn stream() -> Stream {
        Stream::new(SeriesId::new(ServiceId(0), Metric::RequestsPerSecond))
    }

    /// Five days of minutes: a daily wave, and ten times as much in twenty minutes of the last day.
    fn tail() -> Tail {
        let mut tail = Tail::new(1, Span::from_days(10));
        for minute in 0..5 * DAY / MINUTE {
            let at = Timestamp::from_seconds(minute * MINUTE);
            let wave = (minute as f64 / 1440.0 * std::f64::consts::TAU).sin();
            let burst = (4 * 1440 + 600..4 * 1440 + 620).contains(&minute);
            let load =
                (100.0 + 50.0 * wave + (minute * 7 % 11) as f64) * if burst { 10.0 } else { 1.0 };
            let series = SeriesId::new(ServiceId(0), Metric::RequestsPerSecond);
            tail.push(series, at, load);
        }
        tail
    }

    /// Times at which an alarm is raised, looking every `every` seconds.
    fn alarms(every: i64) -> (Vec<i64>, Stream) {
        let whole = tail();
        let mut stream = stream();
        let mut raised = Vec::new();
        let (times, values) = whole.samples(stream.series);
        let mut tail = Tail::new(1, Span::from_days(10));
        let mut next = 0;
        for now in (every..=5 * DAY).step_by(every as usize) {
            while next < times.len() && times[next].seconds() < now {
                tail.push(stream.series, times[next], values[next]);
                next += 1;
            }
            if stream.observe(&tail, Timestamp::from_seconds(now)) {
                raised.push(now);
            }
        }
        (raised, stream)
    }

    #[test]
    fn a_burst_raises_one_alarm_within_five_minutes_and_a_daily_wave_none() {
        let (raised, _) = alarms(5 * MINUTE);
        assert_eq!(raised, [4 * DAY + 605 * MINUTE]);
    }

    #[test]
    fn looking_seldom_scores_the_same() {
        let (often, one) = alarms(5 * MINUTE);
        let (seldom, other) = alarms(DAY);
        assert_eq!((often.len(), seldom.len()), (1, 1));
        assert_eq!(one.score.to_bits(), other.score.to_bits());
        assert_eq!(one.detector, other.detector);
    }

    #[test]
    fn looking_again_changes_nothing() {
        let (_, mut stream) = alarms(5 * MINUTE);
        let (score, detector) = (stream.score, stream.detector.clone());
        // The cursor of the stream has read everything that a new tail may hold.
        assert!(!stream.observe(
            &Tail::new(1, Span::from_days(1)),
            Timestamp::from_seconds(5 * DAY)
        ));
        assert_eq!((stream.score, &stream.detector), (score, &detector));
    }

    #[test]
    fn a_score_fades_by_half_an_hour_and_ends_with_the_samples() {
        let mut stream = stream();
        stream.score = 0.8;
        for bin in 1..=12 {
            stream.bin = Bin {
                end: Timestamp(bin * BIN.0),
                sum: 1.0,
                count: 1,
            };
            stream.close_bin();
        }
        assert!((stream.score - 0.4).abs() < 1e-12);
        let end = stream.bin.end;
        assert!(!stream.is_stale(end + STALE_AFTER));
        assert!(stream.is_stale(end + STALE_AFTER + BIN));
    }
}
