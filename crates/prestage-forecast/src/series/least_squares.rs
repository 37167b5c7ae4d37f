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
    pub(super) fn predict<const N: usize>(&self, features: &[f64; N]) -> f64 {
        dot(
            self.weights
                .as_chunks::<N>()
                .0
                .first()
                .expect("as many weights as features"),
            features,
        )
    }

    /// Moves towards `target`; an error beyond `clip` counts as `clip`.
    pub(super) fn learn<const N: usize>(&mut self, features: &[f64; N], target: f64, clip: f64) {
        self.learn_from(features, target - self.predict(features), clip);
    }

    /// The same for whoever knows the `error` of the prediction for `features` already.
    pub(super) fn learn_from<const N: usize>(
        &mut self,
        features: &[f64; N],
        error: f64,
        clip: f64,
    ) {
        assert_eq!(N, self.weights.len(), "features and weights differ");
        let error = error.clamp(-clip, clip);
        let spread = self.spread(features);
        let along = dot(&spread, features);
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

    /// Covariance times features. The covariance is symmetric, so its rows stand for its columns: sums of
    /// rows go side by side in the processor's lanes, sums along a row would wait for each other.
    fn spread<const N: usize>(&self, features: &[f64; N]) -> [f64; N] {
        let mut spread = [0.0; N];
        for (row, x) in self.covariance.as_chunks::<N>().0.iter().zip(features) {
            for (s, p) in spread.iter_mut().zip(row) {
                *s += x * p;
            }
        }
        spread
    }

    /// The covariance after a sample, widened by what is forgotten.
    fn shrink<const N: usize>(&mut self, spread: &[f64; N], scale: f64) {
        let rows = self.covariance.as_chunks_mut::<N>().0;
        let widening = 1.0 / self.forgetting.sqrt();
        let forgets: [bool; N] = std::array::from_fn(|i| rows[i][i] < self.prior);
        if forgets.iter().all(|&forgets| forgets) {
            // What nearly every sample meets has a loop of its own, with one factor for all.
            let factor = widening * widening;
            for (row, s) in rows.iter_mut().zip(spread) {
                let gain = scale * s;
                for (p, s) in row.iter_mut().zip(spread) {
                    *p = (*p - gain * s) * factor;
                }
            }
            return;
        }
        let widen = forgets.map(|forgets| if forgets { widening } else { 1.0 });
        for (i, row) in rows.iter_mut().enumerate() {
            let gain = scale * spread[i];
            for (j, p) in row.iter_mut().enumerate() {
                *p = (*p - gain * spread[j]) * widen[i] * widen[j];
            }
        }
    }
}

/// Sum of products, in four sums that do not wait for each other.
fn dot<const N: usize>(a: &[f64; N], b: &[f64; N]) -> f64 {
    let mut sums = [0.0; 4];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    for (a, b) in a.iter().zip(b) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    (sums[0] + sums[2]) + (sums[1] + sums[3]) + rest
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
