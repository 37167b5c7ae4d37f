//! How much to trust several forecasts together: an online regression of needs on what they expect.
//!
//! The log of the number of needs expected is linear in the features (a complementary log-log link,
//! proportional hazards), so that what was learnt about days holds for any part of one. One Newton step
//! for each outcome on the running curvature (online Newton step: Hazan, Agarwal & Kale 2007).
use serde::{Deserialize, Serialize};

/// Numbers that an expectation is made of.
pub(super) const FEATURES: usize = 10;

pub(super) type Features = [f64; FEATURES];

/// Logs of expectations are kept inside these bounds: one need in a thousand days, thirty in one.
const BOUNDS: (f64, f64) = (-7.0, 3.4);

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Stack {
    weights: Features,
    covariance: [Features; FEATURES],
}

impl Stack {
    /// Starts at `weights`, each of which may move by about the root of `prior`.
    pub(super) fn new(weights: Features, prior: f64) -> Self {
        let mut covariance = [[0.0; FEATURES]; FEATURES];
        for (i, row) in covariance.iter_mut().enumerate() {
            row[i] = prior;
        }
        Self {
            weights,
            covariance,
        }
    }

    /// Needs expected, relative to `usual`, the log of the usual number.
    pub(super) fn expected(&self, usual: f64, features: &Features) -> f64 {
        let sum: f64 = self.weights.iter().zip(features).map(|(w, x)| w * x).sum();
        (usual + sum).clamp(BOUNDS.0, BOUNDS.1).exp()
    }

    /// Whether a need arose where `expected` of the same arguments were expected.
    pub(super) fn learn(&mut self, usual: f64, features: &Features, happened: bool) {
        let expected = self.expected(usual, features);
        // Slope and curvature of the log likelihood in the log of the expectation.
        let (slope, curvature) = if happened {
            let slope = expected / expected.exp_m1();
            (slope, expected * slope)
        } else {
            (-expected, expected)
        };
        let along: Features = self
            .covariance
            .map(|row| row.iter().zip(features).map(|(c, x)| c * x).sum());
        let spread: f64 = along.iter().zip(features).map(|(a, x)| a * x).sum();
        let gain = 1.0 / (1.0 + curvature * spread);
        for i in 0..FEATURES {
            self.weights[i] += gain * along[i] * slope;
            for j in 0..FEATURES {
                self.covariance[i][j] -= gain * curvature * along[i] * along[j];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overconfidence_is_unlearnt() {
        // Expects ten times the usual number or a tenth of it; is right about twice and half.
        let usual = 0.1_f64.ln();
        let features = |busy: bool| {
            let mut features = [0.0; FEATURES];
            features[0] = 10.0_f64.ln() * if busy { 1.0 } else { -1.0 };
            features
        };
        let mut start = [0.0; FEATURES];
        start[0] = 1.0;
        let mut stack = Stack::new(start, 1.0);
        for i in 0..20_000_u64 {
            let busy = i % 2 == 0;
            let p = 1.0 - (-0.1 * if busy { 2.0_f64 } else { 0.5 }).exp();
            let happened = (i / 2 * 7_919 % 10_007) as f64 / 10_007.0 < p;
            stack.learn(usual, &features(busy), happened);
        }
        let expected = stack.expected(usual, &features(true));
        assert!((0.18..0.22).contains(&expected), "{expected}");
    }
}
