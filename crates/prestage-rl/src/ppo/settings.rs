//! Settings of PPO and what is allowed of them.
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Settings, as an experiment file gives them. Names are SB3's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PpoSpec {
    /// Steps of every row per rollout. 128: PPO paper, Atari.
    pub n_steps: usize,
    /// Row-steps per minibatch; divides `n_steps` x rows. 512: ours, between SB3's 64
    /// and the paper's 1,024 for Atari. 1,024 costs a third less CPU per row-step, but
    /// halves the gradient steps (examples/throughput.rs).
    pub batch_size: usize,
    /// Passes over a rollout. 4: "37 details", Atari (paper: 3; SB3: 10).
    pub n_epochs: usize,
    /// Discount per step. 0.997: 14 days at one decision an hour (design).
    pub gamma: f64,
    /// Decay of advantage estimation. 0.95: paper, SB3.
    pub gae_lambda: f64,
    /// How far a probability ratio may gain. 0.2: paper, SB3.
    pub clip_range: f64,
    /// Weight of the entropy bonus. 0: SB3.
    pub ent_coef: f64,
    /// Weight of the value loss. 0.5: SB3.
    pub vf_coef: f64,
    /// Bound on the joint norm of the gradient. 0.5: SB3.
    pub max_grad_norm: f64,
    /// KL in nats at which an update stops early, times 1.5. None: SB3.
    pub target_kl: Option<f64>,
    /// Step size of Adam. 3e-4: SB3.
    pub learning_rate: f64,
    /// Whether the step size falls linearly to 0 over the run. True: "37 details".
    pub anneal_learning_rate: bool,
    /// Widths of the hidden layers of actor and critic alike. 64, 64: paper, SB3.
    pub hidden: Vec<usize>,
    /// Initial logit of every neutral level, the others being 0. 2: a knob of seven
    /// levels then starts neutral with probability 0.55.
    pub neutral_logit: f64,
    /// Steps of every row from which the normaliser is estimated, before the first
    /// rollout; they count in `total_steps`. None: as many as `n_steps`.
    pub warmup_steps: Option<usize>,
    /// Budget in row-steps (steps of the vector environment x its rows), warm-up
    /// included, never exceeded.
    pub total_steps: u64,
    /// Fixes initial weights, sampling, shuffling and the environment's episodes.
    pub seed: u64,
}

impl Default for PpoSpec {
    fn default() -> Self {
        Self {
            n_steps: 128,
            batch_size: 512,
            n_epochs: 4,
            gamma: 0.997,
            gae_lambda: 0.95,
            clip_range: 0.2,
            ent_coef: 0.0,
            vf_coef: 0.5,
            max_grad_norm: 0.5,
            target_kl: None,
            learning_rate: 3e-4,
            anneal_learning_rate: true,
            hidden: vec![64, 64],
            neutral_logit: 2.0,
            warmup_steps: None,
            total_steps: 1_000_000,
            seed: 0,
        }
    }
}

impl PpoSpec {
    /// Refuses settings that give NaN, an empty or ragged minibatch, or no update.
    pub fn validate(self, total_rows: usize) -> Result<PpoParams, Error> {
        self.check_counts(total_rows)?;
        self.check_numbers()?;
        let rollout = self.n_steps * total_rows;
        if !rollout.is_multiple_of(self.batch_size) {
            return Err(Error::BatchDoesNotDivide {
                batch_size: self.batch_size,
                n_steps: self.n_steps,
                total_rows,
                rollout,
                nearest: largest_divisor(rollout, self.batch_size),
            });
        }
        let warmup = self.warmup_steps.unwrap_or(self.n_steps) * total_rows;
        let [rollout, warmup] = [rollout as u64, warmup as u64];
        if self.total_steps < warmup + rollout {
            return Err(Error::BudgetTooSmall {
                total_steps: self.total_steps,
                needed: warmup + rollout,
                warmup,
                rollout,
            });
        }
        Ok(PpoParams {
            n_updates: (self.total_steps - warmup) / rollout,
            spec: self,
        })
    }

    fn check_counts(&self, total_rows: usize) -> Result<(), Error> {
        let warmup_steps = self.warmup_steps.unwrap_or(self.n_steps);
        let widest = self.hidden.iter().copied().max().unwrap_or(1);
        let narrowest = self.hidden.iter().copied().min().unwrap_or(1);
        let counts = [
            ("n_steps", self.n_steps),
            ("batch_size", self.batch_size),
            ("n_epochs", self.n_epochs),
            ("warmup_steps", warmup_steps),
            ("hidden", narrowest),
            ("hidden", widest),
            ("rows of the environment", total_rows),
        ];
        for (key, count) in counts {
            // The bound keeps every product of two counts within 64 bits.
            if !(1..=1 << 24).contains(&count) {
                return Err(out_of_range(key, count, "1 to 16777216"));
            }
        }
        Ok(())
    }

    fn check_numbers(&self) -> Result<(), Error> {
        let target_kl = self.target_kl.unwrap_or(1.0);
        let positive = [
            ("clip_range", self.clip_range),
            ("max_grad_norm", self.max_grad_norm),
            ("learning_rate", self.learning_rate),
            ("target_kl", target_kl),
        ];
        for (key, value) in positive {
            if !(value.is_finite() && value > 0.0) {
                return Err(out_of_range(key, value, "finite, above 0"));
            }
        }
        for (key, value) in [("ent_coef", self.ent_coef), ("vf_coef", self.vf_coef)] {
            if !(value.is_finite() && value >= 0.0) {
                return Err(out_of_range(key, value, "finite, at least 0"));
            }
        }
        if !(self.gamma > 0.0 && self.gamma <= 1.0) {
            return Err(out_of_range("gamma", self.gamma, "above 0, at most 1"));
        }
        if !(0.0..=1.0).contains(&self.gae_lambda) {
            return Err(out_of_range("gae_lambda", self.gae_lambda, "0 to 1"));
        }
        if !(self.neutral_logit.is_finite() && self.neutral_logit.abs() <= 20.0) {
            return Err(out_of_range(
                "neutral_logit",
                self.neutral_logit,
                "-20 to 20",
            ));
        }
        Ok(())
    }
}

fn out_of_range(key: &'static str, found: impl ToString, allowed: &'static str) -> Error {
    Error::OutOfRange {
        key,
        found: found.to_string(),
        allowed,
    }
}

fn largest_divisor(number: usize, at_most: usize) -> usize {
    let candidates = (1..=at_most.min(number)).rev();
    candidates
        .into_iter()
        .find(|&divisor| number.is_multiple_of(divisor))
        .unwrap_or(1)
}

/// Settings that passed [`PpoSpec::validate`].
#[derive(Clone, Debug, PartialEq)]
pub struct PpoParams {
    spec: PpoSpec,
    n_updates: u64,
}

impl PpoParams {
    /// The settings.
    pub fn spec(&self) -> &PpoSpec {
        &self.spec
    }

    /// Updates that the budget pays for, at least 1.
    pub fn n_updates(&self) -> u64 {
        self.n_updates
    }
}
