//! Have a need model's forecasts got worse, so that it should be retrained before it is due?
//!
//! Two tests, both after Page (1954), "Continuous inspection schemes":
//!
//! - [`ErrorDrift`], for a model that measures its own errors: the test of Page and Hinkley that
//!   forecasters of series have, against errors as they usually are.
//! - [`LogScoreDrift`], for forecasts that are only probabilities: the log score of what was said
//!   against that of the same probabilities with their odds doubled, and halved.
use serde::{Deserialize, Serialize};

use crate::series::Drift;

/// Half-life of what an error usually is, in errors: two weeks of five minutes.
const USUAL_HALF_LIFE: f64 = 14.0 * 288.0;
/// Errors after which there is a usual one: two days of five minutes.
const USUAL_AFTER: u64 = 2 * 288;

/// Half-life of what errors have been of late, in errors: a day of five minutes.
const RECENT_HALF_LIFE: f64 = 288.0;

/// Page-Hinkley test on the sizes of a model's errors; see the module.
///
/// What has been found is not found again: with the retraining that it brought, errors as they have
/// been of late become the usual ones, and the test rests until they have been averaged for a while.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ErrorDrift {
    test: Drift,
    usual: f64,
    recent: f64,
    errors: u64,
}

impl ErrorDrift {
    /// For a model with `season` errors a day.
    pub fn new(season: usize) -> Self {
        Self {
            test: Drift::new(season),
            usual: 0.0,
            recent: 0.0,
            errors: 0,
        }
    }

    /// Takes the size of the newest error.
    pub fn learn(&mut self, size: f64) {
        if self.errors >= USUAL_AFTER {
            self.test.learn(size, self.usual);
        }
        // A plain mean at first, then one that forgets.
        self.errors += 1;
        let share = (std::f64::consts::LN_2 / USUAL_HALF_LIFE).max(1.0 / self.errors as f64);
        self.usual += share * (size - self.usual);
        let share = (std::f64::consts::LN_2 / RECENT_HALF_LIFE).max(1.0 / self.errors as f64);
        self.recent += share * (size - self.recent);
    }

    /// The model has been retrained.
    pub fn reset(&mut self) {
        if self.test.is_raised() {
            self.usual = self.usual.max(self.recent);
            self.errors = USUAL_AFTER / 2;
        }
        self.test.reset();
    }

    /// Whether errors have grown since.
    pub fn is_raised(&self) -> bool {
        self.test.is_raised()
    }
}

/// The log of the factor by which the alternatives' odds differ.
const ODDS_LOG: f64 = std::f64::consts::LN_2;
/// Evidence that raises the signal, nats. Probabilities that are right take at least e^7, over a
/// thousand, forecasts on either side until the first false signal on average (Lorden 1971); of needs
/// that are rare a forecast says less, and it takes longer: years, as the tests measure.
const LIMIT: f64 = 7.0;
/// Fisher information behind the first bias: a standard deviation of a half in log-odds.
const PRIOR_INFORMATION: f64 = 4.0;
/// What is kept of the information with each forecast: half after about 1,000 of them.
const INFORMATION_KEPT: f64 = 1.0 - 0.000_7;

/// Page's test on the log scores of probabilities; see the module.
///
/// A bias that has always been there is no drift: the log-odds are first moved by the model's own
/// bias so far (one Newton step of its likelihood with each forecast). Forecasts must not overlap,
/// since outcomes of overlapping ones are the same needs counted twice.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LogScoreDrift {
    /// Evidence for needs more frequent than said, and for less frequent, nats.
    more: f64,
    less: f64,
    bias: f64,
    information: f64,
    raised: bool,
}

impl Default for LogScoreDrift {
    fn default() -> Self {
        Self {
            more: 0.0,
            less: 0.0,
            bias: 0.0,
            information: PRIOR_INFORMATION,
            raised: false,
        }
    }
}

impl LogScoreDrift {
    /// Takes a forecast whose horizon has passed.
    pub fn learn(&mut self, probability: f64, happened: bool) {
        let said = probability.clamp(1e-6, 1.0 - 1e-6);
        let odds_log = (said / (1.0 - said)).ln() + self.bias;
        let gain = |shift: f64| {
            log_likelihood(odds_log + shift, happened) - log_likelihood(odds_log, happened)
        };
        self.more = (self.more + gain(ODDS_LOG)).max(0.0);
        self.less = (self.less + gain(-ODDS_LOG)).max(0.0);
        if self.more > LIMIT || self.less > LIMIT {
            self.raised = true;
            // What has been found is not found again: the bias is where the evidence says.
            self.bias += if self.more > LIMIT {
                ODDS_LOG
            } else {
                -ODDS_LOG
            };
            (self.more, self.less) = (0.0, 0.0);
            self.information = PRIOR_INFORMATION;
            return;
        }
        let expected = 1.0 / (1.0 + (-odds_log).exp());
        let outcome = f64::from(u8::from(happened));
        self.information = PRIOR_INFORMATION
            + INFORMATION_KEPT * (self.information - PRIOR_INFORMATION)
            + expected * (1.0 - expected);
        self.bias += (outcome - expected) / self.information;
    }

    /// The model has been retrained: what comes now is judged anew.
    pub fn reset(&mut self) {
        self.raised = false;
    }

    /// Whether probabilities have become wrong since.
    pub fn is_raised(&self) -> bool {
        self.raised
    }
}

/// Of an outcome, given the log-odds; without cancellation at either end.
fn log_likelihood(odds_log: f64, happened: bool) -> f64 {
    let against = if happened { -odds_log } else { odds_log };
    -(against.max(0.0) + (-against.abs()).exp().ln_1p())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A generator without a crate: SplitMix64 (Steele, Lea & Flood 2014).
    struct Uniform(u64);

    impl Uniform {
        fn next(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
        }
    }

    /// Forecasts of two hours, twelve a day, that say `said` needs a day while `true_rate` come.
    fn signals(test: &mut LogScoreDrift, draws: &mut Uniform, days: u32, rates: (f64, f64)) -> u32 {
        let within = |rate: f64| 1.0 - (-rate / 12.0).exp();
        let mut count = 0;
        for _ in 0..days * 12 {
            test.learn(within(rates.0), draws.next() < within(rates.1));
            if test.is_raised() {
                count += 1;
                test.reset();
            }
        }
        count
    }

    #[test]
    fn a_stationary_stream_hardly_ever_raises_a_false_signal() {
        // 26 weeks of 100 cells, which is 50 years. Found: 0, 1, 4 and 13 signals.
        for (rate, most) in [(0.14, 2), (0.5, 4), (1.0, 8), (3.0, 16)] {
            let found: u32 = (0..100)
                .map(|cell| {
                    let mut draws = Uniform(1_000 * cell + 7);
                    let mut test = LogScoreDrift::default();
                    signals(&mut test, &mut draws, 182, (rate, rate))
                })
                .sum();
            assert!(found <= most, "{found} signals in 50 years at {rate} a day");
        }
    }

    #[test]
    fn a_bias_that_was_always_there_is_no_drift() {
        let found: u32 = (0..20)
            .map(|cell| {
                let mut draws = Uniform(31 * cell + 5);
                signals(&mut LogScoreDrift::default(), &mut draws, 182, (1.5, 1.0))
            })
            .sum();
        assert!(found <= 1, "{found} signals in ten years");
    }

    #[test]
    fn a_level_shift_is_found_once() {
        for (before, after) in [(0.3, 1.2), (1.0, 4.0), (4.0, 1.0)] {
            let mut once = 0;
            for cell in 0..20 {
                let mut draws = Uniform(17 * cell + 3);
                let mut test = LogScoreDrift::default();
                signals(&mut test, &mut draws, 91, (before, before));
                once += u32::from(signals(&mut test, &mut draws, 91, (before, after)) == 1);
            }
            assert!(once >= 17, "{once} of 20 from {before} to {after} a day");
        }
    }

    #[test]
    fn errors_twice_as_large_are_drift_and_errors_as_usual_are_not() {
        let mut draws = Uniform(1);
        let mut test = ErrorDrift::new(288);
        for _ in 0..90 * 288 {
            test.learn(draws.next());
        }
        assert!(!test.is_raised());
        for _ in 0..288 {
            test.learn(2.0 * draws.next());
        }
        assert!(test.is_raised());
        test.reset();
        for _ in 0..30 * 288 {
            test.learn(2.0 * draws.next());
        }
        assert!(!test.is_raised(), "found once more");
    }
}
