//! Bayesian online change point detection: how probable it is that a new regime has just begun.
//!
//! Adams and MacKay, "Bayesian Online Changepoint Detection" (arXiv:0710.3742, 2007): the
//! posterior of the run length, with a constant hazard and a normal model of unknown mean and
//! precision (normal-gamma prior, Student's t predictions; Murphy, "Conjugate Bayesian
//! analysis of the Gaussian distribution", 2007). The oldest run is kept as "at least this
//! long" and the rest is truncated to `RUNS` lengths, which keeps a sample O(1). The score
//! is the probability of a run of at most `RECENT` samples. Assumes independent samples
//! within a regime, hence many regimes in a series with a rhythm.
use serde::{Deserialize, Serialize};

use super::baseline::Baseline;
use super::registry::Entry;
use super::{Detector, Setting, encode};
use crate::Timestamp;

/// Run lengths that are kept.
const RUNS: usize = 64;
/// A run this short has just begun, samples.
const RECENT: usize = 4;
/// Prior probability of a change at a sample; the paper's examples use 1/250.
const HAZARD: f64 = 1.0 / 250.0;
/// Normal-gamma prior of a regime, in deviations of the warm-up: its mean is worth a hundredth
/// of a sample, its variance two.
const PRIOR: Regime = Regime {
    mean: 0.0,
    kappa: 0.01,
    alpha: 1.0,
    beta: 1.0,
    // ln(sqrt(pi) / 2)
    log_gamma_ratio: -0.120_782_237_635_245_22,
};

pub(super) const ENTRY: Entry = Entry {
    name: "change-point",
    about: "probability that the run length has just become short (Adams, MacKay 2007)",
    build: |setting| Box::new(ChangePoint::new(setting)),
    restore: |bytes| Ok(Box::new(postcard::from_bytes::<ChangePoint>(bytes)?)),
};

/// See the [module](self).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChangePoint {
    baseline: Baseline,
    /// Runs by length, the shortest first; probabilities sum to 1.
    runs: Vec<Run>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Run {
    probability: f64,
    length: u64,
    regime: Regime,
}

/// Parameters of a normal-gamma distribution.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Regime {
    mean: f64,
    kappa: f64,
    alpha: f64,
    beta: f64,
    /// `ln Gamma(alpha + 1/2) - ln Gamma(alpha)`, carried along because it is dear to compute.
    log_gamma_ratio: f64,
}

impl ChangePoint {
    /// Has seen nothing.
    pub fn new(setting: Setting) -> Self {
        Self {
            baseline: Baseline::new(setting.warm_up()),
            runs: vec![Run::of_warm_up(setting.warm_up())],
        }
    }

    /// Takes the next standardized sample; the probability of a recent change.
    fn next(&mut self, x: f64) -> f64 {
        let logs: Vec<f64> = self
            .runs
            .iter()
            .map(|run| run.probability.ln() + run.regime.log_predictive(x))
            .collect();
        let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // In units of the largest, or a surprising sample would round every run to 0.
        let weights: Vec<f64> = logs.iter().map(|log| (log - largest).exp()).collect();
        let total: f64 = weights.iter().sum();
        let grown = |(run, weight): (&Run, &f64)| Run {
            probability: (1.0 - HAZARD) * weight / total,
            length: run.length.saturating_add(1),
            regime: run.regime.learn(x),
        };
        let mut runs = vec![Run {
            probability: HAZARD,
            length: 0,
            regime: PRIOR,
        }];
        runs.extend(self.runs.iter().zip(&weights).map(grown));
        self.runs = runs;
        self.truncate();
        let recent = self.runs.iter().filter(|run| run.length <= RECENT as u64);
        recent.map(|run| run.probability).sum::<f64>().min(1.0)
    }

    /// Drops the least probable run that is not recent, and gives the rest its share.
    fn truncate(&mut self) {
        if self.runs.len() <= RUNS {
            return;
        }
        let (least, _) = self.runs[RECENT + 1..]
            .iter()
            .enumerate()
            .min_by(|a, b| a.1.probability.total_cmp(&b.1.probability))
            .expect("more runs are kept than are recent");
        self.runs.remove(RECENT + 1 + least);
        let total: f64 = self.runs.iter().map(|run| run.probability).sum();
        for run in &mut self.runs {
            run.probability /= total;
        }
    }
}

impl Run {
    /// The warm-up was one regime: its samples, standardized, have mean 0 and variance 1.
    fn of_warm_up(samples: usize) -> Self {
        let count = samples as f64;
        Self {
            probability: 1.0,
            length: samples as u64,
            regime: Regime {
                mean: 0.0,
                kappa: count,
                alpha: count / 2.0,
                beta: count / 2.0,
                log_gamma_ratio: log_gamma(count / 2.0 + 0.5) - log_gamma(count / 2.0),
            },
        }
    }
}

impl Regime {
    /// Log density of Student's t with `2 alpha` degrees of freedom about the mean.
    fn log_predictive(&self, x: f64) -> f64 {
        let freedom = 2.0 * self.alpha;
        let scale = self.beta * (self.kappa + 1.0) / (self.alpha * self.kappa);
        let squared = (x - self.mean) * (x - self.mean) / scale;
        self.log_gamma_ratio
            - 0.5 * (std::f64::consts::PI * freedom * scale).ln()
            - (self.alpha + 0.5) * (squared / freedom).ln_1p()
    }

    fn learn(&self, x: f64) -> Self {
        let difference = x - self.mean;
        Self {
            mean: self.mean + difference / (self.kappa + 1.0),
            kappa: self.kappa + 1.0,
            alpha: self.alpha + 0.5,
            beta: self.beta + 0.5 * self.kappa * difference * difference / (self.kappa + 1.0),
            // Gamma(alpha + 1) = alpha Gamma(alpha).
            log_gamma_ratio: self.alpha.ln() - self.log_gamma_ratio,
        }
    }
}

impl Detector for ChangePoint {
    fn score(&mut self, _at: Timestamp, value: f64) -> f64 {
        if !value.is_finite() {
            return 0.0;
        }
        match self.baseline.standardize(value) {
            // Beyond this the square overflows; no regime is that far from another.
            Some(deviations) => self.next(deviations.clamp(-1e6, 1e6)),
            None => 0.0,
        }
    }

    fn save(&self) -> Vec<u8> {
        encode(self)
    }
}

/// Logarithm of the gamma function for `x >= 0.5`, to about 1e-10: Stirling's series after
/// shifting the argument beyond 7 (Abramowitz and Stegun 6.1.15, 6.1.41).
fn log_gamma(x: f64) -> f64 {
    debug_assert!(x >= 0.5);
    let (mut x, mut product) = (x, 1.0);
    while x < 7.0 {
        product *= x;
        x += 1.0;
    }
    let inverse = 1.0 / x;
    let square = inverse * inverse;
    let series =
        inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square / 1680.0)));
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series - product.ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Span;

    #[test]
    fn log_gamma_is_that_of_factorials_and_of_one_half() {
        assert!((log_gamma(5.0) - 24.0_f64.ln()).abs() < 1e-9);
        assert!((log_gamma(1.0)).abs() < 1e-9);
        let half = std::f64::consts::PI.sqrt().ln();
        assert!((log_gamma(0.5) - half).abs() < 1e-9);
    }

    #[test]
    fn the_predictive_density_integrates_to_one() {
        let regime = Regime {
            mean: 1.0,
            kappa: 3.0,
            alpha: 4.0,
            beta: 2.0,
            log_gamma_ratio: log_gamma(4.5) - log_gamma(4.0),
        };
        let step = 0.01;
        let sum: f64 = (-4_000..4_000)
            .map(|i| (regime.log_predictive(f64::from(i) * step)).exp() * step)
            .sum();
        assert!((sum - 1.0).abs() < 1e-4, "integral {sum}");
    }

    #[test]
    fn the_carried_ratio_is_that_of_the_gamma_function() {
        let mut regime = PRIOR;
        for _ in 0..1_000 {
            regime = regime.learn(0.5);
            let exact = log_gamma(regime.alpha + 0.5) - log_gamma(regime.alpha);
            assert!((regime.log_gamma_ratio - exact).abs() < 1e-9);
        }
    }

    #[test]
    fn one_step_of_the_posterior_is_that_computed_by_hand() {
        let mut detector = ChangePoint::new(Setting::new(Span::from_minutes(1), 16).unwrap());
        detector.runs = vec![Run {
            probability: 1.0,
            length: 0,
            regime: PRIOR,
        }];
        detector.next(0.3);
        // One run can only grow or end: P(r = 0) = H, P(r = 1) = 1 - H.
        assert_eq!(detector.runs[0].probability, HAZARD);
        assert!((detector.runs[1].probability - (1.0 - HAZARD)).abs() < 1e-15);
        // mean 0.3 / 1.01, kappa 1.01, alpha 1.5, beta 1 + 0.5 x 0.01 x 0.09 / 1.01
        let regime = detector.runs[1].regime;
        assert!((regime.mean - 0.3 / 1.01).abs() < 1e-15);
        assert!((regime.beta - (1.0 + 0.000_45 / 1.01)).abs() < 1e-15);
        assert_eq!((regime.kappa, regime.alpha), (1.01, 1.5));
    }

    #[test]
    fn a_shift_of_the_mean_is_found_within_a_few_samples_and_once() {
        let setting = Setting::new(Span::from_minutes(1), 100).unwrap();
        let mut detector = ChangePoint::new(setting);
        let mut found = Vec::new();
        for i in 0..1_000_u32 {
            let noise = f64::from(i * 7919 % 101) / 101.0;
            let value = noise + if i >= 600 { 5.0 } else { 0.0 };
            if detector.score(Timestamp::EPOCH, value) >= super::super::ALARM_LEVEL {
                found.push(i);
            }
        }
        assert!((600..=605).contains(&found[0]), "found at {found:?}");
        assert!(found.iter().all(|i| (600..620).contains(i)), "{found:?}");
    }
}
