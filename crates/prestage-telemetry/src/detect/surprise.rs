//! Turns a statistic whose scale nobody knows into a surprise: how improbable, in nats, a
//! value this large was, judged by the statistic's own past.
//!
//! Two stages, both with forgetting. The logarithm of the statistic is standardised by its
//! running mean and deviation. What exceeds one deviation is the tail, and its excess is
//! taken to be exponential: the generalised Pareto tail with shape 0 of peaks over a
//! threshold (Pickands 1975; streaming use: Siffer et al., "Anomaly Detection in Streams with
//! Extreme Value Theory", KDD 2017). Hence
//! `P(z > x) = P(z > 1) exp(-(x - 1) / mean excess)` and the surprise is `-ln P`.
use serde::{Deserialize, Serialize};

/// Standard deviations above the mean at which the tail begins.
const TAIL_BEGINS: f64 = 1.0;
/// Values before anything is judged.
const LEARNT_AT_LEAST: u64 = 10;
/// Share by which a new value moves the mean and the deviation, once they are settled.
const FORGET_BODY: f64 = 0.002;
/// The same for the probability of the tail, of which there is less to see.
const FORGET_TAIL: f64 = 0.000_5;
/// The same for the mean excess, which moves only at a value in the tail.
const FORGET_EXCESS: f64 = 0.01;
/// Below this the log statistic is taken to be constant, and every ripple would surprise.
const DEVIATION_MIN: f64 = 0.3;
/// Excesses are counted up to here, or the first would be the last that surprises.
const DEVIATIONS_COUNTED: f64 = 6.0;

/// The past of one non-negative statistic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Surprise {
    /// Added to the statistic before its logarithm is taken: its noise floor.
    floor: f64,
    count: u64,
    mean: f64,
    variance: f64,
    tail_count: u64,
    tail_probability: f64,
    tail_excess: f64,
}

impl Surprise {
    /// Knows nothing yet; `floor` is a value of the statistic that means nothing at all.
    pub fn new(floor: f64) -> Self {
        assert!(floor > 0.0, "the noise floor is {floor}");
        Self {
            floor,
            count: 0,
            mean: 0.0,
            variance: 0.0,
            tail_count: 0,
            // The normal distribution's, until the series has shown its own.
            tail_probability: 0.16,
            tail_excess: 0.5,
        }
    }

    /// How surprising `statistic` is, in nats, 0 when it is no more than usual; then learns it.
    pub fn next(&mut self, statistic: f64) -> f64 {
        let log = (statistic + self.floor).ln();
        let surprise = if self.count < LEARNT_AT_LEAST {
            0.0
        } else {
            let deviations = (log - self.mean) / self.variance.sqrt().max(DEVIATION_MIN);
            let surprise = self.of_deviations(deviations);
            self.learn_tail(deviations);
            surprise
        };
        self.learn_body(log);
        surprise
    }

    fn of_deviations(&self, deviations: f64) -> f64 {
        if deviations <= TAIL_BEGINS {
            return 0.0;
        }
        let excess = (deviations - TAIL_BEGINS) / self.tail_excess.max(0.1);
        excess - self.tail_probability.clamp(0.02, 0.3).ln()
    }

    fn learn_tail(&mut self, deviations: f64) {
        let in_tail = deviations > TAIL_BEGINS;
        let judged = (self.count - LEARNT_AT_LEAST + 2) as f64;
        let share = FORGET_TAIL.max(1.0 / judged);
        self.tail_probability += share * (f64::from(u8::from(in_tail)) - self.tail_probability);
        if in_tail {
            self.tail_count += 1;
            let share = FORGET_EXCESS.max(1.0 / (self.tail_count as f64 + 3.0));
            let excess = deviations.min(DEVIATIONS_COUNTED) - TAIL_BEGINS;
            self.tail_excess += share * (excess - self.tail_excess);
        }
    }

    fn learn_body(&mut self, log: f64) {
        self.count += 1;
        let share = FORGET_BODY.max(1.0 / self.count as f64);
        let difference = log - self.mean;
        self.mean += share * difference;
        self.variance = (1.0 - share) * (self.variance + share * difference * difference);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_variance_of_the_log_are_those_of_the_sample() {
        let mut surprise = Surprise::new(1e-12);
        for value in [1.0_f64, 2.0, 4.0, 8.0] {
            surprise.next(value);
        }
        let step = std::f64::consts::LN_2;
        assert!((surprise.mean - 1.5 * step).abs() < 1e-9);
        assert!((surprise.variance - 1.25 * step * step).abs() < 1e-9);
    }

    #[test]
    fn surprise_is_the_exponential_tail() {
        let mut surprise = Surprise::new(1e-9);
        surprise.tail_probability = 0.1;
        surprise.tail_excess = 0.5;
        assert_eq!(surprise.of_deviations(1.0), 0.0);
        // -ln(0.1 exp(-(2 - 1) / 0.5)) = ln 10 + 2
        assert!((surprise.of_deviations(2.0) - (10.0_f64.ln() + 2.0)).abs() < 1e-12);
    }

    #[test]
    fn what_is_as_frequent_as_one_in_a_hundred_surprises_by_about_ln_100() {
        // A deterministic stream of exponential variates: the quantiles of a golden-ratio
        // sequence, which is equidistributed.
        let mut surprise = Surprise::new(1e-6);
        let mut exceeded = 0;
        let n = 40_000;
        for i in 0..n {
            let uniform = (f64::from(i) * 0.618_033_988_749_894_9).fract();
            let value = (-(1.0 - uniform).ln()).exp();
            if surprise.next(value) > 100.0_f64.ln() {
                exceeded += 1;
            }
        }
        let share = f64::from(exceeded) / f64::from(n);
        assert!((0.004..0.02).contains(&share), "share {share}");
    }
}
