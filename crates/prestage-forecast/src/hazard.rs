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
/// Most covariates of one process.
const FACTORS_MAX: usize = 4;
/// Prior weight of a multiplier, in expected events.
const PRIOR_EVENTS: f64 = 1.0;
const HOUR: i64 = 3_600_000_000;

/// One multiplier, by bin of a covariate.
#[derive(Clone, Debug)]
struct Factor {
    bins: Vec<Bin>,
    /// Published multipliers, of which a forecast reads a few in a row.
    published: Vec<f64>,
}

/// What has been learnt of a bin.
#[derive(Clone, Copy, Debug, Default)]
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
#[derive(Clone, Debug)]
pub struct Hazard {
    prior_rate: f64,
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
            prior_rate,
            memory_h: 28.0 * 24.0,
            base_events: 0.0,
            base_hours: 0.0,
            clock: None,
            unforgotten_h: 0.0,
            unbooked: 0.0,
            multiplier: 1.0,
            present: [0; 1 + FACTORS_MAX],
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
        self.multiply();
    }

    /// Events an hour, before calendar and factors.
    pub fn base_rate(&self) -> f64 {
        (self.base_events + 1.0) / (self.base_hours + 1.0 / self.prior_rate)
    }

    /// Expected number of events in `(now, now + hours]`, the covariates staying
    /// in their present bins.
    pub fn expected(&self, now: Timestamp, hours: f64) -> f64 {
        let mut left = hours;
        let mut at = now;
        let mut sum = 0.0;
        while left > 1e-9 {
            let to_hour = (HOUR - at.0.rem_euclid(HOUR)) as f64 / HOUR as f64;
            let piece = to_hour.min(left);
            sum += piece * self.factors[0].published[calendar_bin(at)];
            left -= piece;
            at = Timestamp(at.0 + (piece * HOUR as f64).ceil() as i64);
        }
        self.base_rate() * self.multiplier * sum
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
