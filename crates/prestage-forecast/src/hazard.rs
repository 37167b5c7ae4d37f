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

const CALENDAR: usize = 48;
/// Prior weight of a multiplier, in expected events.
const PRIOR_EVENTS: f64 = 1.0;
const HOUR: i64 = 3_600_000_000;

/// One multiplier, by bin of a covariate.
#[derive(Clone, Debug, Default)]
pub struct HazardFactor {
    events: Vec<f64>,
    expected: Vec<f64>,
    published: Vec<f64>,
    bin: usize,
}

impl HazardFactor {
    /// All bins at one.
    pub fn new(bins: usize) -> Self {
        Self {
            events: vec![0.0; bins],
            expected: vec![0.0; bins],
            published: vec![1.0; bins],
            bin: 0,
        }
    }

    fn learn_exposure(&mut self, bin: usize, expected: f64, kept: f64) {
        for value in self.events.iter_mut().chain(self.expected.iter_mut()) {
            *value *= kept;
        }
        self.expected[bin] += expected;
    }

    fn publish(&mut self) {
        for bin in 0..self.published.len() {
            self.published[bin] =
                (self.events[bin] + PRIOR_EVENTS) / (self.expected[bin] + PRIOR_EVENTS);
        }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Hazard {
    prior_rate: f64,
    memory_h: f64,
    base_events: f64,
    base_hours: f64,
    calendar: HazardFactor,
    factors: Vec<HazardFactor>,
    clock: Option<Timestamp>,
    pending_h: f64,
}

impl Hazard {
    /// `prior_rate` is in events an hour and weighs as much as one event;
    /// `factor_bins` gives the number of bins of every covariate.
    pub fn new(prior_rate: f64, factor_bins: &[usize]) -> Self {
        assert!(prior_rate > 0.0, "prior rate is {prior_rate}");
        Self {
            prior_rate,
            memory_h: 28.0 * 24.0,
            base_events: 0.0,
            base_hours: 0.0,
            calendar: HazardFactor::new(CALENDAR),
            factors: factor_bins
                .iter()
                .map(|&bins| HazardFactor::new(bins))
                .collect(),
            clock: None,
            pending_h: 0.0,
        }
    }

    /// Half-life of what is learnt, hours.
    pub fn set_memory_h(&mut self, hours: f64) {
        assert!(hours > 0.0, "memory of {hours} hours");
        self.memory_h = hours;
    }

    /// Sets the bin a covariate is in from now on; call [`Hazard::advance`] first.
    pub fn set_bin(&mut self, factor: usize, bin: usize) {
        let factor = &mut self.factors[factor];
        factor.bin = bin.min(factor.published.len() - 1);
    }

    /// Lets time pass without an event.
    pub fn advance(&mut self, to: Timestamp) {
        let Some(mut at) = self.clock else {
            self.clock = Some(to);
            return;
        };
        while at < to {
            let hour_end = Timestamp((at.0.div_euclid(HOUR) + 1) * HOUR);
            let end = hour_end.min(to);
            self.expose(at, (end.0 - at.0) as f64 / HOUR as f64);
            at = end;
        }
        self.clock = Some(at);
    }

    /// The time advanced to.
    pub fn now(&self) -> Option<Timestamp> {
        self.clock
    }

    /// Records an event at the time advanced to.
    pub fn record(&mut self) {
        let Some(at) = self.clock else { return };
        self.base_events += 1.0;
        self.calendar.events[calendar_bin(at)] += 1.0;
        for factor in &mut self.factors {
            factor.events[factor.bin] += 1.0;
        }
    }

    /// Publishes the multipliers learnt so far.
    pub fn retrain(&mut self) {
        self.calendar.publish();
        self.factors.iter_mut().for_each(HazardFactor::publish);
    }

    /// Events an hour, before calendar and factors.
    pub fn base_rate(&self) -> f64 {
        (self.base_events + 1.0) / (self.base_hours + 1.0 / self.prior_rate)
    }

    /// Expected number of events in `(now, now + hours]`, the covariates staying
    /// in their present bins.
    pub fn expected(&self, now: Timestamp, hours: f64) -> f64 {
        let factor: f64 = self
            .factors
            .iter()
            .map(|factor| factor.published[factor.bin])
            .product();
        let mut left = hours;
        let mut at = now;
        let mut sum = 0.0;
        while left > 1e-9 {
            let to_hour = (HOUR - at.0.rem_euclid(HOUR)) as f64 / HOUR as f64;
            let piece = to_hour.min(left);
            sum += piece * self.calendar.published[calendar_bin(at)];
            left -= piece;
            at = Timestamp(at.0 + (piece * HOUR as f64).ceil() as i64);
        }
        self.base_rate() * factor * sum
    }

    /// Probability of at least one event in `(now, now + hours]`.
    pub fn probability(&self, now: Timestamp, hours: f64) -> f64 {
        -(-self.expected(now, hours)).exp_m1()
    }

    /// Exposure is booked an hour at a time: forgetting costs a pass over all
    /// bins, and calls come every five minutes.
    fn expose(&mut self, at: Timestamp, hours: f64) {
        self.base_hours += hours;
        self.pending_h += hours;
        let expected = self.base_rate() * hours;
        self.calendar.expected[calendar_bin(at)] += expected;
        for factor in &mut self.factors {
            factor.expected[factor.bin] += expected;
        }
        if self.pending_h >= 6.0 {
            let kept = (-std::f64::consts::LN_2 * self.pending_h / self.memory_h).exp();
            self.pending_h = 0.0;
            self.base_events *= kept;
            self.base_hours *= kept;
            self.calendar.learn_exposure(0, 0.0, kept);
            self.factors
                .iter_mut()
                .for_each(|factor| factor.learn_exposure(0, 0.0, kept));
        }
    }
}

/// The moments after `from` up to and including `to`, an hour apart at most; `to`
/// alone when there is no `from`.
pub(crate) fn hourly(from: Option<Timestamp>, to: Timestamp) -> impl Iterator<Item = Timestamp> {
    let from = from.unwrap_or(to);
    let whole = (to.0 - from.0).max(0) / HOUR;
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
