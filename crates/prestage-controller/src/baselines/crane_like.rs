//! `crane-like`: the largest load of the past days at this hour, and a margin.
//!
//! Crane's periodic forecast (DSP): seven days of history; where the load repeats by the
//! day, the forecast of a moment is the largest value at that time of day, raised by a
//! margin; the largest of the next hour decides. Where it does not repeat there is no
//! forecast and nothing is staged. Crane looks for a peak of the autocorrelation near a
//! day; here it must be at least one half at a day, checked every twelve hours, when
//! Crane renews its forecast. Its Fourier estimators are left out. It only scales.
//!
//! Reference: Crane documentation, "Timeseries forecasting by DSP" and "Using effective
//! HPA" (prediction window 3,600 s).
use prestage_lpt::NeedType;
use prestage_telemetry::{Tail, Timestamp};

use super::Baseline;
use super::five_minutes::{BIN, LoadReader, replicas};
use crate::arm::OnDemand;
use crate::cell::{CellSpec, need_index};
use crate::knobs::KnobCenters;
use crate::parameter::{Parameter, Scale};
use crate::rule::{RuleEntry, Sight, StagingRule, Verdict};

pub(super) const ENTRY: Baseline = Baseline {
    name: "crane-like",
    about: "the largest load of seven days at this hour plus a margin, where days repeat",
    centers: |_| KnobCenters::default(),
    on_demand: OnDemand::Template,
    rule: Some(&RULE),
};

static RULE: RuleEntry = RuleEntry {
    name: "crane-like",
    parameters: &[Parameter {
        name: "margin_ratio",
        about: "what is added to the forecast load",
        default: 0.1,
        low: 0.0,
        high: 1.0,
        scale: Scale::Linear,
    }],
    build: |cells, values| {
        let scaling = |cell: &CellSpec| (cell.need == NeedType::Scaling).then(Days::new);
        Box::new(CraneLike {
            margin_ratio: values[need_index(NeedType::Scaling)][0],
            services: cells.iter().map(scaling).collect(),
        })
    },
};

const BINS_A_DAY: i64 = 86_400_000_000 / BIN;
const DAYS: i64 = 7;
const BINS: i64 = DAYS * BINS_A_DAY;
/// `predictionWindowSeconds`, 3,600.
const WINDOW_BINS: i64 = 3_600_000_000 / BIN;
/// The forecast is renewed every twelve hours.
const RENEW_BINS: i64 = BINS_A_DAY / 2;
const PERIODIC_FROM: f64 = 0.5;

struct CraneLike {
    margin_ratio: f64,
    /// By cell; `None` where it does not scale.
    services: Vec<Option<Days>>,
}

/// The last days of one service.
#[derive(Clone, Debug)]
struct Days {
    load: LoadReader,
    /// Mean load by bin modulo [`BINS`]; NaN is unknown.
    bins: Vec<f64>,
    /// The bin that is open.
    next: i64,
    renew_at: i64,
    is_periodic: bool,
    replicas: f64,
}

impl Days {
    fn new() -> Self {
        Self {
            load: LoadReader::default(),
            bins: vec![f64::NAN; BINS as usize],
            next: 0,
            renew_at: 0,
            is_periodic: false,
            replicas: 0.0,
        }
    }

    fn put(&mut self, bin: i64, mean: f64) {
        for skipped in self.next.max(bin - BINS)..bin {
            self.bins[skipped.rem_euclid(BINS) as usize] = f64::NAN;
        }
        self.bins[bin.rem_euclid(BINS) as usize] = mean;
        self.next = bin + 1;
    }

    /// Correlation of the load with itself a day before.
    fn day_correlation(&self) -> f64 {
        let known = || self.bins.iter().filter(|load| load.is_finite());
        let mean = known().sum::<f64>() / known().count().max(1) as f64;
        let (mut together, mut alone, mut pairs) = (0.0, 0.0, 0_u32);
        for bin in self.next - (DAYS - 1) * BINS_A_DAY..self.next {
            let now = self.bins[bin.rem_euclid(BINS) as usize] - mean;
            let before = self.bins[(bin - BINS_A_DAY).rem_euclid(BINS) as usize] - mean;
            if now.is_finite() && before.is_finite() {
                together += now * before;
                alone += 0.5 * (now * now + before * before);
                pairs += 1;
            }
        }
        // Crane wants two whole cycles.
        if i64::from(pairs) < BINS_A_DAY || alone <= 0.0 {
            return 0.0;
        }
        together / alone
    }

    /// The largest load of the days before in the hour from now; `None` without a
    /// forecast.
    fn peak(&self, now: Timestamp) -> Option<f64> {
        let at = |ahead: i64, day: i64| {
            let bin = now.0.div_euclid(BIN) + ahead - day * BINS_A_DAY;
            self.bins[bin.rem_euclid(BINS) as usize]
        };
        (0..WINDOW_BINS)
            .flat_map(|ahead| (1..=DAYS).map(move |day| at(ahead, day)))
            .filter(|load| load.is_finite() && self.is_periodic)
            .reduce(f64::max)
    }
}

impl CraneLike {
    fn wanted(&self, cell: &CellSpec, now: Timestamp) -> u32 {
        let days = self.services[cell.id.index()].as_ref();
        let Some(peak) = days.and_then(|days| days.peak(now)) else {
            return 0;
        };
        let load = peak * (1.0 + self.margin_ratio);
        (load / cell.rated_load_per_replica - 1e-9)
            .ceil()
            .clamp(0.0, 1e6) as u32
    }
}

impl StagingRule for CraneLike {
    fn observe(&mut self, cell: &CellSpec, tail: &Tail, now: Timestamp) {
        let Some(days) = &mut self.services[cell.id.index()] else {
            return;
        };
        days.replicas = replicas(cell.service, tail);
        let mut load = std::mem::take(&mut days.load);
        load.read(cell.service, tail, now, |bin, mean| days.put(bin, mean));
        days.load = load;
        if days.next >= days.renew_at {
            days.is_periodic = days.day_correlation() >= PERIODIC_FROM;
            days.renew_at = days.next + RENEW_BINS;
        }
    }

    fn verdict(&mut self, cell: &CellSpec, sight: &Sight) -> Verdict {
        let wanted = f64::from(self.wanted(cell, sight.now));
        let running = self.services[cell.id.index()]
            .as_ref()
            .map_or(0.0, |days| days.replicas);
        if wanted > running {
            Verdict::Stage
        } else {
            Verdict::Withdraw
        }
    }

    fn magnitude(&self, cell: &CellSpec, sight: &Sight) -> u32 {
        self.wanted(cell, sight.now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baselines::stand::Stand;

    #[test]
    fn yesterdays_peak_and_a_tenth_is_staged_an_hour_ahead() {
        let mut stand = Stand::new(&ENTRY, NeedType::Scaling);
        stand.replicas(3.0);
        stand.days(8, |hour| {
            if (8.0..20.0).contains(&hour) {
                60.0
            } else {
                20.0
            }
        });
        stand.forward_to(6, 55);
        assert_eq!(stand.verdict(), Verdict::Withdraw);
        stand.forward_to(7, 5);
        // 60 x 1.1 / 10 a replica.
        assert_eq!((stand.verdict(), stand.magnitude()), (Verdict::Stage, 7));
    }

    #[test]
    fn a_load_that_does_not_repeat_has_no_forecast() {
        let mut stand = Stand::new(&ENTRY, NeedType::Scaling);
        stand.replicas(1.0);
        stand.days(8, |_| 60.0);
        assert_eq!(
            stand.verdict(),
            Verdict::Withdraw,
            "a constant has no period"
        );
    }
}
