//! A point process whose rate depends on the calendar and on what has happened.
//!
//! rate(t) = base x calendar(hour, weekend) x product of factors(bin). Each
//! multiplier is a gamma-Poisson posterior mean with a prior of one, so a bin
//! that was never seen says "as usual" instead of "never". The base rate is
//! tracked all the time; multipliers are published at a retraining.
//!
//! Reference: piecewise-exponential hazards with gamma priors, e.g. Gelman et
//! al., Bayesian Data Analysis, section 2.6 (conjugate rate estimation).
use prestage_telemetry::Timestamp;
use serde::{Deserialize, Serialize};

const CALENDAR: usize = 48;
/// Most covariates of one process.
const FACTORS_MAX: usize = 4;
/// Prior weight of a multiplier, in expected events.
const PRIOR_EVENTS: f64 = 1.0;
const HOUR: i64 = 3_600_000_000;
/// Ten years without a call: nothing of before counts any more.
const FORGOTTEN_H: i64 = 87_660;
/// A century: farther nobody looks.
const HORIZON_MAX_H: f64 = 876_600.0;

/// One multiplier, by bin of a covariate.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Factor {
    bins: Vec<Bin>,
    /// Published multipliers, of which a forecast reads a few in a row.
    published: Vec<f64>,
}

/// What has been learnt of a bin.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Bin {
    events: f64,
    expected: f64,
}

impl Factor {
    /// All bins at one.
    fn new(bins: usize) -> Self {
        Self {
            bins: vec![Bin::default(); bins],
            published: vec![1.0; bins],
        }
    }

    fn forget(&mut self, kept: f64) {
        for bin in &mut self.bins {
            bin.events *= kept;
            bin.expected *= kept;
        }
    }

    fn publish(&mut self) {
        for (published, bin) in self.published.iter_mut().zip(&self.bins) {
            *published = (bin.events + PRIOR_EVENTS) / (bin.expected + PRIOR_EVENTS);
        }
    }
}

/// See the module.
///
/// Time passes every few minutes and bins change every few hours: exposure waits in
/// the struct until the bins it belongs to are left, so that most calls touch nothing
/// else. With a thousand services that is most of the cost of a forecast.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hazard {
    /// Hours that one event takes by the prior.
    prior_hours: f64,
    memory_h: f64,
    base_events: f64,
    base_hours: f64,
    clock: Option<Timestamp>,
    /// Hours since the last forgetting.
    unforgotten_h: f64,
    /// Expected events that are not booked in the present bins yet.
    unbooked: f64,
    /// Product of the published multipliers of the present bins, but for the calendar.
    multiplier: f64,
    /// The calendar's present bin, then those of the covariates.
    present: [u8; 1 + FACTORS_MAX],
    /// The calendar, then the covariates.
    factors: Vec<Factor>,
    calendar: Calendar,
}

/// Sums of the published multipliers over the hours of a working day and of one of the weekend, so
/// that a horizon costs two look-ups instead of a walk through its hours.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Calendar {
    days: [[f64; 25]; 2],
}

impl Calendar {
    fn of(published: &[f64]) -> Self {
        let mut days = [[0.0; 25]; 2];
        for (day, multipliers) in days.iter_mut().zip(published.chunks_exact(24)) {
            for (hour, multiplier) in multipliers.iter().enumerate() {
                day[hour + 1] = day[hour] + multiplier;
            }
        }
        Self { days }
    }

    /// Hours in `(now, end]`, each counted as often as its multiplier says.
    fn hours(&self, now: Timestamp, end: Timestamp) -> f64 {
        let [working, weekend] = [self.days[0][24], self.days[1][24]];
        let week = |at: Timestamp| (at.0.div_euclid(24 * HOUR) + 3).div_euclid(7);
        let weeks = (week(end) - week(now)) as f64 * (5.0 * working + 2.0 * weekend);
        weeks + self.since_monday(end) - self.since_monday(now)
    }

    fn since_monday(&self, at: Timestamp) -> f64 {
        let day = at.day_of_week() as usize;
        let hours = &self.days[usize::from(day >= 5)];
        let hour = at.hour_of_day() as usize;
        let share = at.0.rem_euclid(HOUR) as f64 / HOUR as f64;
        day.min(5) as f64 * self.days[0][24]
            + day.saturating_sub(5) as f64 * self.days[1][24]
            + hours[hour]
            + share * (hours[hour + 1] - hours[hour])
    }
}

impl Hazard {
    /// `prior_rate` is in events an hour and weighs as much as one event;
    /// `factor_bins` gives the number of bins of every covariate.
    pub fn new(prior_rate: f64, factor_bins: &[usize]) -> Self {
        assert!(prior_rate > 0.0, "prior rate is {prior_rate}");
        assert!(
            factor_bins.len() <= FACTORS_MAX && factor_bins.iter().all(|&bins| bins <= 256),
            "at most {FACTORS_MAX} covariates of at most 256 bins, not {factor_bins:?}"
        );
        Self {
            prior_hours: 1.0 / prior_rate,
            memory_h: 28.0 * 24.0,
            base_events: 0.0,
            base_hours: 0.0,
            clock: None,
            unforgotten_h: 0.0,
            unbooked: 0.0,
            multiplier: 1.0,
            present: [0; 1 + FACTORS_MAX],
            calendar: Calendar::of(&[1.0; CALENDAR]),
            factors: std::iter::once(CALENDAR)
                .chain(factor_bins.iter().copied())
                .map(Factor::new)
                .collect(),
        }
    }

    /// Half-life of what is learnt, hours.
    pub fn set_memory_h(&mut self, hours: f64) {
        assert!(hours > 0.0, "memory of {hours} hours");
        self.memory_h = hours;
    }

    /// Sets the bin a covariate is in from now on, the last one for what is beyond it;
    /// call [`Hazard::advance`] first.
    pub fn set_bin(&mut self, factor: usize, bin: usize) {
        if bin == usize::from(self.present[1 + factor]) {
            return;
        }
        let last = self.factors[1 + factor].published.len() - 1;
        self.book();
        self.present[1 + factor] = bin.min(last) as u8;
        self.multiply();
    }

    /// Lets time pass without an event.
    pub fn advance(&mut self, to: Timestamp) {
        let Some(mut at) = self.clock else {
            self.clock = Some(to);
            self.present[0] = calendar_bin(to) as u8;
            return;
        };
        if (to.0 - at.0) / HOUR > FORGOTTEN_H {
            self.start_again(to);
            return;
        }
        while at < to {
            let hour_end = Timestamp((at.0.div_euclid(HOUR) + 1) * HOUR);
            let end = hour_end.min(to);
            self.expose((end.0 - at.0) as f64 / HOUR as f64);
            at = end;
            if at == hour_end {
                self.book();
                self.present[0] = calendar_bin(at) as u8;
            }
        }
        self.clock = Some(at);
    }

    fn start_again(&mut self, at: Timestamp) {
        self.base_events = 0.0;
        self.base_hours = 0.0;
        self.unbooked = 0.0;
        self.factors
            .iter_mut()
            .for_each(|factor| factor.forget(0.0));
        self.clock = Some(at);
        self.present[0] = calendar_bin(at) as u8;
    }

    /// The time advanced to.
    pub fn now(&self) -> Option<Timestamp> {
        self.clock
    }

    /// Records an event at the time advanced to.
    pub fn record(&mut self) {
        if self.clock.is_none() {
            return;
        }
        self.base_events += 1.0;
        for (factor, &bin) in self.factors.iter_mut().zip(&self.present) {
            factor.bins[usize::from(bin)].events += 1.0;
        }
    }

    /// Publishes the multipliers learnt so far.
    pub fn retrain(&mut self) {
        self.book();
        self.factors.iter_mut().for_each(Factor::publish);
        self.calendar = Calendar::of(&self.factors[0].published);
        self.multiply();
    }

    /// Events an hour, before calendar and factors.
    pub fn base_rate(&self) -> f64 {
        (self.base_events + 1.0) / (self.base_hours + self.prior_hours)
    }

    /// Expected number of events in `(now, now + hours]`, the covariates staying
    /// in their present bins.
    pub fn expected(&self, now: Timestamp, hours: f64) -> f64 {
        let end = Timestamp(now.0 + (hours.clamp(0.0, HORIZON_MAX_H) * HOUR as f64) as i64);
        self.base_rate() * self.multiplier * self.calendar.hours(now, end)
    }

    /// Probability of at least one event in `(now, now + hours]`.
    pub fn probability(&self, now: Timestamp, hours: f64) -> f64 {
        -(-self.expected(now, hours)).exp_m1()
    }

    /// Forgetting costs a pass over all bins, so it comes every six hours.
    fn expose(&mut self, hours: f64) {
        self.base_hours += hours;
        self.unforgotten_h += hours;
        self.unbooked += self.base_rate() * hours;
        if self.unforgotten_h >= 6.0 {
            self.book();
            let kept = (-std::f64::consts::LN_2 * self.unforgotten_h / self.memory_h).exp();
            self.unforgotten_h = 0.0;
            self.base_events *= kept;
            self.base_hours *= kept;
            self.factors
                .iter_mut()
                .for_each(|factor| factor.forget(kept));
        }
    }

    /// Books the exposure of the present bins before one of them is left.
    fn book(&mut self) {
        let expected = std::mem::take(&mut self.unbooked);
        for (factor, &bin) in self.factors.iter_mut().zip(&self.present) {
            factor.bins[usize::from(bin)].expected += expected;
        }
    }

    fn multiply(&mut self) {
        let factors = self.factors.iter().zip(&self.present).skip(1);
        self.multiplier = factors
            .map(|(factor, &bin)| factor.published[usize::from(bin)])
            .product();
    }
}

/// The moments after `from` up to and including `to`, an hour apart at most; `to`
/// alone when there is no `from`, or one that a hazard has forgotten.
pub(crate) fn hourly(from: Option<Timestamp>, to: Timestamp) -> impl Iterator<Item = Timestamp> {
    let from = from.unwrap_or(to);
    let whole = Some((to.0 - from.0).max(0) / HOUR)
        .filter(|&hours| hours <= FORGOTTEN_H)
        .unwrap_or(0);
    (1..=whole)
        .map(move |i| Timestamp(from.0 + i * HOUR))
        .chain(std::iter::once(to))
}

fn calendar_bin(at: Timestamp) -> usize {
    let weekend = if at.day_of_week() >= 5 { 24 } else { 0 };
    at.hour_of_day() as usize + weekend
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Timestamp {
        Timestamp::from_seconds(1_704_067_200)
    }

    #[test]
    fn a_steady_process_is_estimated_at_its_rate() {
        let mut hazard = Hazard::new(0.01, &[]);
        hazard.set_memory_h(1e6);
        hazard.advance(start());
        for i in 1..=400 {
            hazard.advance(Timestamp(start().0 + i * 10 * HOUR));
            hazard.record();
        }
        hazard.retrain();
        // 400 events in 4,000 hours and a prior of one event in 100 hours.
        let expected = 401.0 / 4100.0;
        assert!(
            (hazard.base_rate() - expected).abs() < 1e-4,
            "rate {}",
            hazard.base_rate()
        );
        let now = Timestamp(start().0 + 4000 * HOUR);
        // Ten hours of exposure at 0.1 an hour: one expected event.
        assert!((hazard.expected(now, 24.0) - 2.4).abs() < 0.5);
    }

    #[test]
    fn working_hours_are_learnt_after_a_retraining() {
        let mut hazard = Hazard::new(0.05, &[]);
        hazard.set_memory_h(1e6);
        hazard.advance(start());
        for day in 0..60 {
            hazard.advance(Timestamp(start().0 + (day * 24 + 10) * HOUR + 1));
            hazard.record();
        }
        let midnight = Timestamp(start().0 + 60 * 24 * HOUR);
        let before = hazard.probability(Timestamp(midnight.0 + 10 * HOUR), 1.0);
        hazard.retrain();
        let at_ten = hazard.probability(Timestamp(midnight.0 + 10 * HOUR), 1.0);
        let at_three = hazard.probability(Timestamp(midnight.0 + 3 * HOUR), 1.0);
        assert!(before < 0.1, "unpublished: {before}");
        assert!(
            at_ten > 0.25 && at_three < 0.05,
            "ten {at_ten}, three {at_three}"
        );
    }

    #[test]
    fn sums_of_the_calendar_are_those_of_a_walk_through_its_hours() {
        let published: Vec<f64> = (0..CALENDAR).map(|bin| 0.2 + bin as f64 * 0.03).collect();
        let calendar = Calendar::of(&published);
        for (from_minutes, minutes) in [(0, 1), (17, 50), (4_000, 700), (9_990, 200), (31, 50_000)]
        {
            let now = Timestamp(start().0 + from_minutes * HOUR / 60);
            let walked: f64 = (0..minutes)
                .map(|minute| calendar_bin(Timestamp(now.0 + minute * HOUR / 60)))
                .map(|bin| published[bin] / 60.0)
                .sum();
            let summed = calendar.hours(now, Timestamp(now.0 + minutes * HOUR / 60));
            assert!(
                (summed - walked).abs() < 1e-6 * walked,
                "{summed}, {walked}"
            );
        }
    }

    #[test]
    fn a_factor_shifts_the_rate_to_its_bin() {
        let mut hazard = Hazard::new(0.05, &[2]);
        hazard.set_memory_h(1e6);
        hazard.advance(start());
        for i in 1..200 {
            hazard.set_bin(0, usize::from(i % 2 == 0));
            hazard.advance(Timestamp(start().0 + i * 5 * HOUR));
            if i % 2 == 0 {
                hazard.record();
            }
        }
        hazard.retrain();
        let now = Timestamp(start().0 + 995 * HOUR);
        hazard.set_bin(0, 0);
        let quiet = hazard.expected(now, 1.0);
        hazard.set_bin(0, 1);
        assert!(hazard.expected(now, 1.0) > 10.0 * quiet);
    }
}
