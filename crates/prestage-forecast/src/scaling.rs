//! Scaling: will the load outgrow the capacity within the horizon?
//!
//! Log load = level + daily profile (weekday and weekend, by the hour) + error.
//! The level is tracked by exponential smoothing on five-minute means; the
//! profile is relearnt at every retraining; the error grows with the horizon as
//! a power law fitted to the one-step and twelve-step errors. Fails on load that
//! jumps without precedent: then only the widening error band helps.
//!
//! Reference: exponential smoothing with multiplicative seasonality, Winters
//! (1960); error growth as in direct multi-horizon evaluation.
use prestage_telemetry::{Metric, SeriesId, Span, Tail, Timestamp};
use serde::{Deserialize, Serialize};

use crate::drift::ErrorDrift;
use crate::model::{
    Entry, NeedModel, NeedModelInput, RequiredReplicas, required_replicas, restored, saved,
};
use crate::normal::{normal_cdf, normal_quantile};
use crate::staffing::Staffing;

/// Registry entry.
pub const ENTRY: Entry = Entry {
    name: "profile-smoothing",
    about: "exponential smoothing of log load around a weekday/weekend hourly profile",
    need: "scaling",
    build: |input| Box::new(ScalingModel::new(input)),
    restore: restored::<ScalingModel>,
};

const BIN: i64 = 300_000_000;
const BINS_A_DAY: usize = 288;
const LONG_STEPS: usize = 12;
/// Half-life of the error statistics and of the profile accumulators.
const ERROR_HALF_LIFE_H: f64 = 48.0;
const PROFILE_HALF_LIFE_H: f64 = 14.0 * 24.0;
/// Half-life of the slow level that the profile is measured against.
const SLOW_HALF_LIFE_H: f64 = 7.0 * 24.0;
/// How far the horizon is looked at: the profile repeats, and the error has stopped growing.
const FARTHEST: Span = Span::from_hours(168);
/// Values beyond this are taken for missing: sums of them would not be finite.
const LARGEST: f64 = 1e100;

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ScalingModel {
    input: NeedModelInput,
    load_cursor: u64,
    replicas_cursor: u64,
    replicas: f64,
    half_life_h: f64,
    bin: Bin,
    level: f64,
    slow_level: f64,
    age_h: f64,
    last: Option<(Timestamp, f64)>,
    recent_levels: [f64; LONG_STEPS],
    n_bins: u64,
    step_h: f64,
    variance_1: f64,
    variance_long: f64,
    /// Exponent of the error's growth with the horizon.
    growth: f64,
    persistence: f64,
    forgetting: Forgetting,
    learning: ByHour<Slot>,
    profile: ByHour<f64>,
    staffing: Staffing,
    drift: ErrorDrift,
}

/// One of each for the hours of a working day, then for those of the weekend.
type ByHour<T> = [[T; 24]; 2];

/// Mean deviation of the log load from its slow level, and the hours behind it.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Slot {
    mean: f64,
    weight_h: f64,
}

/// What is kept of each statistic over one step. Steps are nearly always the
/// same, and exponentials are most of the cost of learning a sample.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Forgetting {
    elapsed_h: f64,
    half_life_h: f64,
    error: f64,
    level: f64,
    slow: f64,
    profile: f64,
}

impl Forgetting {
    fn over(self, elapsed_h: f64, half_life_h: f64) -> Self {
        if self.elapsed_h == elapsed_h && self.half_life_h == half_life_h {
            return self;
        }
        Self {
            elapsed_h,
            half_life_h,
            error: keep(elapsed_h, ERROR_HALF_LIFE_H),
            level: keep(elapsed_h, half_life_h),
            slow: keep(elapsed_h, SLOW_HALF_LIFE_H),
            profile: keep(elapsed_h, PROFILE_HALF_LIFE_H),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Bin {
    index: i64,
    sum: f64,
    count: u32,
}

impl ScalingModel {
    /// A model that has seen nothing.
    pub fn new(input: NeedModelInput) -> Self {
        Self {
            input,
            load_cursor: 0,
            replicas_cursor: 0,
            replicas: 1.0,
            half_life_h: 1.0,
            bin: Bin::default(),
            level: 0.0,
            slow_level: 0.0,
            age_h: 0.0,
            last: None,
            recent_levels: [0.0; LONG_STEPS],
            n_bins: 0,
            step_h: BIN as f64 / 3.6e9,
            variance_1: 0.01,
            variance_long: 0.04,
            growth: growth(0.01, 0.04),
            persistence: 0.01,
            forgetting: Forgetting::default(),
            learning: ByHour::default(),
            profile: ByHour::default(),
            staffing: Staffing::default(),
            drift: ErrorDrift::new(BINS_A_DAY),
        }
    }

    /// Log of a load; the floor keeps an idle service finite.
    fn log_load(&self, load: f64) -> f64 {
        (load.max(0.0) + 0.02 * self.input.rated_load_per_replica).ln()
    }

    fn close_bin(&mut self) {
        if self.bin.count == 0 {
            return;
        }
        let mean = self.bin.sum / f64::from(self.bin.count);
        let at = Timestamp((self.bin.index + 1) * BIN);
        let value = self.log_load(mean);
        self.learn(at, value);
    }

    fn learn(&mut self, at: Timestamp, value: f64) {
        let seasonal = self.seasonal(at);
        let Some((previous_at, previous)) = self.last else {
            self.level = value - seasonal;
            self.slow_level = value;
            self.recent_levels = [self.level; LONG_STEPS];
            self.last = Some((at, value));
            return;
        };
        let elapsed_h = (at.0 - previous_at.0) as f64 / 3.6e9;
        self.step_h += 0.05 * (elapsed_h - self.step_h);
        self.forgetting = self.forgetting.over(elapsed_h, self.half_life_h);
        let kept = self.forgetting;
        let forget = kept.error;
        let long = self.recent_levels[self.n_bins as usize % LONG_STEPS];
        self.variance_1 = blend(
            self.variance_1,
            square(value - self.level - seasonal),
            forget,
        );
        self.variance_long = blend(self.variance_long, square(value - long - seasonal), forget);
        self.drift.learn((value - long - seasonal).abs());
        self.persistence = blend(self.persistence, square(value - previous), forget);

        self.growth = growth(self.variance_1, self.variance_long);
        self.level = blend(self.level, value - seasonal, kept.level);
        // A plain mean at first: a level that starts from one sample would need weeks to settle.
        self.age_h += elapsed_h;
        let kept_slow = kept.slow.min(1.0 - elapsed_h / (self.age_h + 1.0));
        self.slow_level = blend(self.slow_level, value, kept_slow);
        self.recent_levels[self.n_bins as usize % LONG_STEPS] = self.level;
        self.n_bins += 1;
        self.learn_profile(at, value - self.slow_level, elapsed_h);
        self.last = Some((at, value));
    }

    fn learn_profile(&mut self, at: Timestamp, deviation: f64, elapsed_h: f64) {
        let slot = &mut self.learning.as_flattened_mut()[slot(at).0];
        slot.weight_h = slot.weight_h * self.forgetting.profile + elapsed_h.min(24.0);
        let share = elapsed_h.min(24.0) / slot.weight_h.max(1e-9);
        slot.mean += share * (deviation - slot.mean);
    }

    /// Profile at `at`, linear between the middles of the hours.
    fn seasonal(&self, at: Timestamp) -> f64 {
        let (from, to, share) = slot(at);
        let profile = self.profile.as_flattened();
        profile[from] + share * (profile[to] - profile[from])
    }

    /// Variance of the log forecast `steps` ahead, given the log of `steps`.
    fn variance(&self, steps_log: f64) -> f64 {
        // Loads return to their profile: the error stops growing at twice what it
        // is after twelve steps, where a power law would go on.
        let limit = 2.0 * self.variance_long.max(self.variance_1);
        let grown = self.variance_1 * (self.growth * steps_log.max(0.0)).exp();
        grown.min(limit).max(1e-6)
    }

    fn steps_log(&self, ahead: Span) -> f64 {
        (ahead.0 as f64 / 3.6e9 / self.step_h).ln()
    }

    fn capacity_log(&self) -> f64 {
        let rated_load = self.input.rated_load_per_replica;
        self.log_load(self.staffing.capacity(self.replicas, rated_load))
    }

    /// Largest `look` on the way to the horizon, a function of the mean and the standard
    /// deviation of the log load at a moment.
    ///
    /// The moments are the same for every horizon and the way between two is a straight line, so
    /// that it never falls as the horizon grows.
    fn largest(&self, now: Timestamp, horizon: Span, look: impl Fn(f64, f64) -> f64) -> f64 {
        let horizon = horizon.clamp(Span::ZERO, FARTHEST);
        let step_log = self.step_h.ln();
        let at = |(ahead, hours_log): (Span, f64)| {
            let mean = self.level + self.seasonal(Timestamp(now.0 + ahead.0));
            look(mean, self.variance(hours_log - step_log).sqrt())
        };
        let mut from = (Span::ZERO, at((Span::ZERO, f64::NEG_INFINITY)));
        for node in (0..).map(node) {
            let to = (node.0, from.1.max(at(node)));
            if horizon <= to.0 {
                let share = (horizon.0 - from.0.0) as f64 / (to.0.0 - from.0.0) as f64;
                return from.1 + share * (to.1 - from.1);
            }
            from = to;
        }
        unreachable!("nodes go on beyond every horizon")
    }
}

impl NeedModel for ScalingModel {
    fn save(&self) -> Vec<u8> {
        saved(self)
    }

    fn observe(&mut self, tail: &Tail, _now: Timestamp) {
        let replicas = SeriesId::new(self.input.service, Metric::Replicas);
        if let Some(&latest) = tail.read(replicas, &mut self.replicas_cursor).1.last()
            && (0.0..=LARGEST).contains(&latest)
        {
            self.replicas = latest;
        }
        let load = SeriesId::new(self.input.service, Metric::RequestsPerSecond);
        let (times, values) = tail.read(load, &mut self.load_cursor);
        for (&at, &value) in times.iter().zip(values) {
            let index = at.0.div_euclid(BIN);
            if index != self.bin.index {
                self.close_bin();
                self.bin = Bin {
                    index,
                    sum: 0.0,
                    count: 0,
                };
            }
            if value.abs() <= LARGEST {
                self.bin.sum += value;
                self.bin.count += 1;
            }
        }
    }

    fn retrain(&mut self, _now: Timestamp) {
        self.drift.reset();
        let learning = self.learning.as_flattened();
        let weight: f64 = learning.iter().map(|slot| slot.weight_h).sum();
        if weight < 24.0 {
            return;
        }
        let before = self.last.map(|(at, _)| self.seasonal(at));
        let sum: f64 = learning.iter().map(|slot| slot.mean * slot.weight_h).sum();
        let mean = sum / weight;
        for (profile, slot) in self.profile.as_flattened_mut().iter_mut().zip(learning) {
            // Half an hour of prior weight: a slot seen for one hour moves two thirds of the way.
            let shrink = slot.weight_h / (slot.weight_h + 0.5);
            *profile = shrink * (slot.mean - mean);
        }
        // The level is relative to the profile: move it so that the fit at the
        // last sample stays what it was.
        if let (Some(before), Some((at, _))) = (before, self.last) {
            let shift = before - self.seasonal(at);
            self.level += shift;
            self.recent_levels
                .iter_mut()
                .for_each(|level| *level += shift);
        }
    }

    fn set_half_life(&mut self, half_life: Span) {
        self.half_life_h = half_life.0 as f64 / 3.6e9;
    }

    fn set_staffing(&mut self, staffing: Staffing) {
        self.staffing = staffing;
    }

    fn has_drifted(&self) -> Option<bool> {
        Some(self.drift.is_raised())
    }

    fn probability(&self, now: Timestamp, horizon: Span) -> f64 {
        if self.last.is_none() {
            return 0.0;
        }
        let capacity = self.capacity_log();
        normal_cdf(self.largest(now, horizon, |mean, sigma| (mean - capacity) / sigma))
    }

    fn magnitude(&self, now: Timestamp, horizon: Span, quantile: f64) -> u32 {
        let z = normal_quantile(quantile);
        let highest = self.largest(now, horizon, |mean, sigma| mean + z * sigma);
        let load = highest.min(60.0).exp() - 0.02 * self.input.rated_load_per_replica;
        let rule = RequiredReplicas {
            rated_load_per_replica: self.input.rated_load_per_replica,
            min_replicas: 1,
            staffing: self.staffing,
        };
        // More than twice what runs now is a forecast gone wrong, not a need.
        required_replicas(load, rule).min(((self.replicas * 2.0).ceil() as u32).saturating_add(1))
    }

    fn spread(&self, horizon: Span) -> f64 {
        self.variance(self.steps_log(horizon)).sqrt()
    }

    fn demand_ratio(&self) -> f64 {
        self.last.map_or(0.0, |(at, value)| {
            value - self.slow_level - self.seasonal(at)
        })
    }

    fn headroom(&self) -> f64 {
        self.last
            .map_or(0.0, |(_, value)| self.capacity_log() - value)
    }

    fn skill(&self) -> f64 {
        (self.variance_1.max(1e-9) / self.persistence.max(1e-9)).ln()
    }
}

/// The moments ahead that are looked at, and the log of their hours: a quarter of an hour, half
/// of one, then every hour.
fn node(index: u32) -> (Span, f64) {
    match index {
        0 => (Span::from_minutes(15), 0.25_f64.ln()),
        1 => (Span::from_minutes(30), 0.5_f64.ln()),
        2 => (Span::from_hours(1), 0.0),
        _ => (
            Span::from_hours(i64::from(index) - 1),
            f64::from(index - 1).ln(),
        ),
    }
}

/// Two neighbouring profile slots and the share of the second.
fn slot(at: Timestamp) -> (usize, usize, f64) {
    const HOUR: i64 = 3_600_000_000;
    let weekend = if at.day_of_week() >= 5 { 24 } else { 0 };
    // From the middle of an hour to the middle of the next.
    let since_half_past = (at.0 + HOUR / 2).rem_euclid(24 * HOUR);
    let to = (since_half_past / HOUR) as usize;
    let from = if to == 0 { 23 } else { to - 1 };
    let share = (since_half_past % HOUR) as f64 / HOUR as f64;
    (from + weekend, to + weekend, share)
}

/// How the error grows with the horizon: the exponent of a power law through the
/// variances one and [`LONG_STEPS`] steps ahead.
fn growth(variance_1: f64, variance_long: f64) -> f64 {
    let ratio = (variance_long / variance_1.max(1e-9)).clamp(1.0, 1e3);
    (ratio.ln() / (LONG_STEPS as f64).ln()).clamp(0.0, 1.0)
}

fn keep(elapsed_h: f64, half_life_h: f64) -> f64 {
    (-std::f64::consts::LN_2 * elapsed_h / half_life_h).exp()
}

fn blend(old: f64, new: f64, kept: f64) -> f64 {
    kept * old + (1.0 - kept) * new
}

fn square(x: f64) -> f64 {
    x * x
}

#[cfg(test)]
mod tests {
    use prestage_telemetry::ServiceId;

    use super::*;

    const INPUT: NeedModelInput = NeedModelInput {
        service: ServiceId(0),
        rated_load_per_replica: 10.0,
        suite_budget_s: 0.0,
    };

    fn fed(load: impl Fn(f64) -> f64, days: i64, replicas: f64) -> (ScalingModel, Timestamp) {
        let mut tail = Tail::new(1, Span::MAX);
        let mut model = ScalingModel::new(INPUT);
        model.set_half_life(Span::from_hours(1));
        let start = Timestamp::from_seconds(1_704_067_200);
        let series = SeriesId::new(ServiceId(0), Metric::RequestsPerSecond);
        tail.push(
            SeriesId::new(ServiceId(0), Metric::Replicas),
            start,
            replicas,
        );
        for minute in 0..days * 1440 {
            let at = start + Span::from_minutes(minute);
            tail.push(series, at, load(minute as f64 / 60.0));
            if minute % 1440 == 0 {
                model.observe(&tail, at);
                model.retrain(at);
            }
        }
        let now = start + Span::from_days(days);
        model.observe(&tail, now);
        model.retrain(now);
        (model, now)
    }

    fn daily(hour: f64) -> f64 {
        50.0 + 30.0 * (std::f64::consts::TAU * (hour - 9.0) / 24.0).sin()
    }

    #[test]
    fn a_constant_load_far_below_capacity_needs_nothing() {
        let (model, now) = fed(|_| 20.0, 7, 5.0);
        assert!(model.probability(now, Span::from_hours(2)) < 1e-3);
        assert_eq!(model.magnitude(now, Span::from_hours(2), 0.5), 2);
    }

    #[test]
    fn the_daily_rise_is_seen_before_it_comes() {
        // At midnight load is about 29; at 15:00 it peaks at 80.
        let (model, now) = fed(daily, 14, 6.0);
        let soon = model.probability(now, Span::from_hours(2));
        let later = model.probability(now, Span::from_hours(16));
        assert!(soon < 0.05, "nothing is due in the night: {soon}");
        assert!(later > 0.9, "the day's peak exceeds six replicas: {later}");
        let wanted = model.magnitude(now, Span::from_hours(16), 0.9);
        assert!(
            (8..=10).contains(&wanted),
            "80 units of load need 8 replicas, their 90 % quantile a little more: {wanted}"
        );
    }

    #[test]
    fn probability_grows_with_the_horizon() {
        let (model, now) = fed(|h| daily(h) * (1.0 + 0.1 * (h * 7.3).sin()), 10, 6.0);
        let mut last = 0.0;
        for hours in 1..24 {
            let p = model.probability(now, Span::from_hours(hours));
            assert!((0.0..=1.0).contains(&p));
            last = f64::max(last, p);
        }
        assert!(last > 0.5);
    }

    #[test]
    fn no_data_no_need() {
        let model = ScalingModel::new(INPUT);
        assert_eq!(model.probability(Timestamp(0), Span::from_hours(1)), 0.0);
        assert_eq!(model.demand_ratio(), 0.0);
    }
}
