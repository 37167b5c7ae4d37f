//! The rows of one gradient step, with normalised advantages.
use super::heads::Heads;
use crate::rollout::Rollout;

/// The rows of one gradient step, gathered.
pub(super) struct Minibatch {
    pub(super) len: usize,
    pub(super) observations: Vec<f32>,
    pub(super) actions: Vec<f32>,
    pub(super) old_log_probs: Vec<f32>,
    pub(super) advantages: Vec<f32>,
    pub(super) returns: Vec<f32>,
    /// Sum to 1; 0 for padding.
    pub(super) weights: Vec<f32>,
}

impl Minibatch {
    /// `None` when all rows are padding.
    pub(super) fn gather(rollout: &Rollout, indices: &[usize], heads: &Heads) -> Option<Self> {
        let n_alive = indices.iter().filter(|&&at| rollout.alive[at]).count();
        if n_alive == 0 {
            return None;
        }
        let shape = rollout.shape;
        let pick = |values: &[f32]| indices.iter().map(|&at| values[at]).collect::<Vec<f32>>();
        let weight = 1.0 / n_alive as f32;
        let weigh = |&at: &usize| if rollout.alive[at] { weight } else { 0.0 };
        let mut batch = Self {
            len: indices.len(),
            observations: Vec::with_capacity(indices.len() * shape.observation_len),
            actions: Vec::with_capacity(indices.len() * shape.action_len * heads.n_levels),
            old_log_probs: pick(&rollout.log_probs),
            advantages: pick(&rollout.advantages),
            returns: pick(&rollout.returns),
            weights: indices.iter().map(weigh).collect(),
        };
        for &at in indices {
            let start = at * shape.observation_len;
            let row = &rollout.observations[start..start + shape.observation_len];
            batch.observations.extend_from_slice(row);
            let start = at * shape.action_len;
            heads.one_hot(
                &rollout.actions[start..start + shape.action_len],
                &mut batch.actions,
            );
        }
        normalize_advantages(&mut batch.advantages, &batch.weights);
        Some(batch)
    }
}

/// Mean 0 and deviation 1 over the rows that count; a single row is left alone.
fn normalize_advantages(advantages: &mut [f32], weights: &[f32]) {
    if weights.iter().filter(|&&weight| weight > 0.0).count() < 2 {
        return;
    }
    let weighted = |f: &dyn Fn(f64) -> f64, advantages: &[f32]| -> f64 {
        let pairs = advantages.iter().zip(weights);
        pairs.map(|(&a, &w)| f(f64::from(a)) * f64::from(w)).sum()
    };
    let mean = weighted(&|a| a, advantages);
    let std = weighted(&|a| (a - mean) * (a - mean), advantages).sqrt();
    for (advantage, &weight) in advantages.iter_mut().zip(weights) {
        let normalized = (f64::from(*advantage) - mean) / (std + 1e-8);
        *advantage = if weight > 0.0 { normalized as f32 } else { 0.0 };
    }
}
