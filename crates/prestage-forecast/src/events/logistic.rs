//! Online logistic regression: how to trust several probabilities together.
//!
//! One Newton step for each outcome on the running curvature (online Newton step: Hazan, Agarwal & Kale
//! 2007). With the logit of one forecast among the features it is Platt's recalibration on the way.

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Logistic<const N: usize> {
    weights: [f64; N],
    covariance: [[f64; N]; N],
}

impl<const N: usize> Logistic<N> {
    /// Starts at `weights`, each of which may move by about the root of `prior`.
    pub(super) fn new(weights: [f64; N], prior: f64) -> Self {
        let mut covariance = [[0.0; N]; N];
        for (i, row) in covariance.iter_mut().enumerate() {
            row[i] = prior;
        }
        Self {
            weights,
            covariance,
        }
    }

    pub(super) fn probability(&self, features: &[f64; N]) -> f64 {
        let sum: f64 = self.weights.iter().zip(features).map(|(w, x)| w * x).sum();
        1.0 / (1.0 + (-sum).exp())
    }

    pub(super) fn learn(&mut self, features: &[f64; N], happened: bool) {
        let p = self.probability(features);
        let curvature = (p * (1.0 - p)).max(1e-6);
        let along: [f64; N] = self
            .covariance
            .map(|row| row.iter().zip(features).map(|(c, x)| c * x).sum());
        let spread: f64 = along.iter().zip(features).map(|(a, x)| a * x).sum();
        let gain = 1.0 / (1.0 + curvature * spread);
        let surprise = f64::from(u8::from(happened)) - p;
        for i in 0..N {
            self.weights[i] += gain * along[i] * surprise;
            for j in 0..N {
                self.covariance[i][j] -= gain * curvature * along[i] * along[j];
            }
        }
    }
}

/// Log-odds of a probability, inside +-12.
pub(super) fn logit(p: f64) -> f64 {
    let p = p.clamp(6e-6, 1.0 - 6e-6);
    (p / (1.0 - p)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overconfidence_is_unlearnt() {
        // Says 0.9 or 0.1; is right in seven of ten.
        let mut stack = Logistic::new([0.0, 1.0], 1.0);
        for i in 0..2_000 {
            let says = i % 2 == 0;
            let happened = if i / 2 * 7_919 % 10 < 7 { says } else { !says };
            let logit = logit(if says { 0.9 } else { 0.1 });
            stack.learn(&[1.0, logit], happened);
        }
        let p = stack.probability(&[1.0, logit(0.9)]);
        assert!((0.65..0.75).contains(&p), "{p}");
    }
}
