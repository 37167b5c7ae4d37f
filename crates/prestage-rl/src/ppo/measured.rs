//! The numbers of an update: losses, entropy, KL estimate, share of clipped ratios.
use burn::tensor::Tensor;

use super::minibatch::Minibatch;
use crate::error::Error;
use crate::learner::LearnMetrics;

pub(super) struct Losses {
    pub(super) policy: Tensor<1>,
    pub(super) value: Tensor<1>,
    pub(super) entropy: Tensor<1>,
    pub(super) log_prob: Tensor<1>,
}

/// Numbers of one minibatch.
pub(super) struct Measured {
    policy_loss: f64,
    value_loss: f64,
    pub(super) entropy: f64,
    pub(super) approx_kl: f64,
    clip_fraction: f64,
}

impl Measured {
    pub(super) fn new(losses: &Losses, batch: &Minibatch, clip_range: f64) -> Self {
        let log_prob = losses.log_prob.clone().into_data();
        let (mut approx_kl, mut clip_fraction) = (0.0, 0.0);
        let old = batch.old_log_probs.iter().zip(&batch.weights);
        for (log_prob, (&old, &weight)) in log_prob.iter::<f64>().zip(old) {
            let log_ratio = log_prob - f64::from(old);
            let gain = log_ratio.exp_m1();
            if weight > 0.0 {
                approx_kl += f64::from(weight) * (gain - log_ratio);
                clip_fraction += f64::from(weight) * f64::from(u8::from(gain.abs() > clip_range));
            }
        }
        let scalar = |tensor: &Tensor<1>| f64::from(tensor.clone().into_scalar::<f32>());
        Self {
            policy_loss: scalar(&losses.policy),
            value_loss: scalar(&losses.value),
            entropy: scalar(&losses.entropy),
            approx_kl,
            clip_fraction,
        }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let numbers = [
            ("policy loss", self.policy_loss),
            ("value loss", self.value_loss),
            ("entropy", self.entropy),
        ];
        for (what, value) in numbers {
            if !value.is_finite() {
                return Err(Error::Diverged { what, value });
            }
        }
        Ok(())
    }
}

/// Means over the minibatches of an update.
#[derive(Default)]
pub(super) struct Means {
    count: u64,
    policy_loss: f64,
    value_loss: f64,
    pub(super) entropy: f64,
    pub(super) approx_kl: f64,
    clip_fraction: f64,
}

impl Means {
    pub(super) fn add(&mut self, measured: &Measured) {
        self.count += 1;
        self.policy_loss += measured.policy_loss;
        self.value_loss += measured.value_loss;
        self.entropy += measured.entropy;
        self.approx_kl += measured.approx_kl;
        self.clip_fraction += measured.clip_fraction;
    }

    pub(super) fn metrics(&self, learning_rate: f64) -> LearnMetrics {
        let count = self.count.max(1) as f64;
        LearnMetrics {
            policy_loss: self.policy_loss / count,
            value_loss: self.value_loss / count,
            entropy: self.entropy / count,
            approx_kl: self.approx_kl / count,
            clip_fraction: self.clip_fraction / count,
            learning_rate,
        }
    }
}
