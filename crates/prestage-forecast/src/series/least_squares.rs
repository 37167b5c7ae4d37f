//! Recursive least squares with forgetting: regression in constant time for each sample.
//!
//! Reference: Haykin, Adaptive Filter Theory, chapter "Recursive least-squares". The prior
//! covariance acts as a ridge penalty. A feature whose variance is as wide as the prior's does not
//! forget, so that features that stand still do not blow it up.
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct LeastSquares {
    weights: Vec<f64>,
    /// Row by row.
    covariance: Vec<f64>,
    prior: f64,
    forgetting: f64,
}

impl LeastSquares {
    /// Starts at `weights`; a feature's weight may move away from them by about the square root
    /// of `prior` before data speak. `forgetting` is what a sample keeps of its weight over one
    /// update, in (0, 1].
    pub(super) fn new(weights: Vec<f64>, prior: f64, forgetting: f64) -> Self {
        let n = weights.len();
        let mut covariance = vec![0.0; n * n];
        for i in 0..n {
            covariance[i * n + i] = prior;
        }
        Self {
            weights,
            covariance,
            prior,
            forgetting,
        }
    }

    /// The prediction for `features`.
    pub(super) fn predict(&self, features: &[f64]) -> f64 {
        self.weights.iter().zip(features).map(|(w, x)| w * x).sum()
    }

    /// Moves towards `target`; an error beyond `clip` counts as `clip`.
    pub(super) fn learn<const N: usize>(&mut self, features: &[f64; N], target: f64, clip: f64) {
        assert_eq!(N, self.weights.len(), "features and weights differ");
        let error = (target - self.predict(features)).clamp(-clip, clip);
        let mut spread = [0.0; N];
        for (s, row) in spread.iter_mut().zip(self.covariance.as_chunks::<N>().0) {
            *s = row.iter().zip(features).map(|(p, x)| p * x).sum();
        }
        let along: f64 = spread.iter().zip(features).map(|(s, x)| s * x).sum();
        if !(along >= 0.0 && along.is_finite() && error.is_finite()) {
            // Rounding has eaten the covariance: start its estimate again, keep the weights.
            *self = Self::new(
                std::mem::take(&mut self.weights),
                self.prior,
                self.forgetting,
            );
            return;
        }
        let scale = 1.0 / (self.forgetting + along);
        for (weight, s) in self.weights.iter_mut().zip(&spread) {
            *weight += scale * s * error;
        }
        self.shrink(&spread, scale);
    }

    /// The covariance after a sample, widened by what is forgotten.
    fn shrink<const N: usize>(&mut self, spread: &[f64; N], scale: f64) {
        let rows = self.covariance.as_chunks_mut::<N>().0;
        let widening = 1.0 / self.forgetting.sqrt();
        let mut widen = [1.0; N];
        for (i, widen) in widen.iter_mut().enumerate() {
            if rows[i][i] < self.prior {
                *widen = widening;
            }
        }
        for (i, row) in rows.iter_mut().enumerate() {
            let gain = scale * spread[i];
            for (j, p) in row.iter_mut().enumerate() {
                *p = (*p - gain * spread[j]) * widen[i] * widen[j];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_coefficients_of_a_linear_relation() {
        let mut fit = LeastSquares::new(vec![0.0; 3], 100.0, 0.999);
        for i in 0..500 {
            let x = [1.0, f64::from(i % 7), f64::from(i * i % 11)];
            fit.learn(&x, 3.0 - 2.0 * x[1] + 0.5 * x[2], f64::INFINITY);
        }
        assert!((fit.predict(&[1.0, 2.0, 4.0]) - 1.0).abs() < 1e-3);
    }

    #[test]
    fn features_that_stand_still_do_not_blow_up() {
        let mut fit = LeastSquares::new(vec![0.0; 2], 10.0, 0.9);
        for _ in 0..100_000 {
            fit.learn(&[1.0, 0.0], 5.0, f64::INFINITY);
        }
        assert!((fit.predict(&[1.0, 0.0]) - 5.0).abs() < 1e-6);
        assert_eq!(fit.predict(&[0.0, 1.0]), 0.0);
        assert!(fit.covariance.iter().all(|p| p.abs() <= 10.0 / 0.9));
    }
}
