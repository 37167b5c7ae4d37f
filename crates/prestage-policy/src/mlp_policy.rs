//! The exported policy at work: normalise, clip, network, greedy level per knob.
//!
//! Must never know: where its numbers came from.
use crate::error::Error;
use crate::mlp::Mlp;
use crate::normalizer::Normalizer;
use crate::policy::Policy;
use crate::space::{Layout, MultiDiscrete};

/// A trained network behind [`Policy`].
///
/// A row whose observation holds NaN or infinity gets the neutral action, the
/// other rows are served as usual: one broken sensor must not decide for a fleet,
/// and must not be answered with a guess either.
#[derive(Clone, Debug)]
pub struct MlpPolicy {
    layout: Layout,
    action: MultiDiscrete,
    normalizer: Normalizer,
    mlp: Mlp,
    normalized: Vec<f32>,
    logits: Vec<f32>,
}

impl MlpPolicy {
    /// Fails when the parts do not fit each other.
    pub fn new(
        layout: Layout,
        action: MultiDiscrete,
        normalizer: Normalizer,
        mlp: Mlp,
    ) -> Result<Self, Error> {
        let widths = [normalizer.mean.len(), normalizer.std.len(), mlp.n_in()];
        if widths != [layout.len(); 3] || mlp.n_out() != action.n_logits() {
            return Err(Error::PartsDoNotFit {
                n_fields: layout.len(),
                n_mean: normalizer.mean.len(),
                n_std: normalizer.std.len(),
                n_in: mlp.n_in(),
                n_out: mlp.n_out(),
                n_logits: action.n_logits(),
            });
        }
        Ok(Self {
            layout,
            action,
            normalizer,
            mlp,
            normalized: Vec::new(),
            logits: Vec::new(),
        })
    }

    /// Writes the logits of every row, `[n_rows * action.n_logits()]`. Rows that
    /// are not finite give logits that are not finite.
    pub fn logits(&mut self, observations: &[f32], logits: &mut [f32]) {
        // Grows at the first call with more rows than ever before, never afterwards.
        self.normalized.resize(observations.len(), 0.0);
        self.normalizer.apply(observations, &mut self.normalized);
        self.mlp.forward(&self.normalized, logits);
    }
}

impl Policy for MlpPolicy {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn action(&self) -> &MultiDiscrete {
        &self.action
    }

    fn act(&mut self, observations: &[f32], actions: &mut [u8]) {
        let n_rows = observations.len() / self.layout.len();
        assert_eq!(actions.len(), n_rows * self.action.len(), "action length");
        let mut logits = std::mem::take(&mut self.logits);
        logits.resize(n_rows * self.action.n_logits(), 0.0);
        self.logits(observations, &mut logits);
        let rows = observations
            .chunks_exact(self.layout.len())
            .zip(logits.chunks_exact(self.action.n_logits()));
        for ((row, logits), levels) in rows.zip(actions.chunks_exact_mut(self.action.len())) {
            // Infinity would survive the clip as a legal value: look at the raw row.
            if row.iter().all(|value| value.is_finite()) {
                self.action.greedy(logits, levels);
            } else {
                levels.copy_from_slice(&self.action.neutral);
            }
        }
        self.logits = logits;
    }

    /// It remembers nothing between turns, so it can be asked at any time.
    fn interrupt(&mut self, observations: &[f32], actions: &mut [u8]) {
        self.act(observations, actions);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mlp::Dense;
    use crate::space::Field;

    /// One knob of three levels whose logits are the observation itself.
    fn echo() -> MlpPolicy {
        let field = |name: &str| Field {
            name: name.into(),
            about: "a logit".into(),
        };
        let layout = Layout {
            name: "echo".into(),
            version: 1,
            clip: 5.0,
            fields: vec![field("a"), field("b"), field("c")],
        };
        let action = MultiDiscrete {
            nvec: vec![3],
            neutral: vec![1],
        };
        let weight = vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
        let mlp = Mlp::new(vec![Dense::new(3, vec![0.0; 3], weight).unwrap()]).unwrap();
        MlpPolicy::new(layout, action, Normalizer::identity(3, 5.0), mlp).unwrap()
    }

    #[test]
    fn acts_greedily_per_row() {
        let mut actions = [9; 2];
        echo().act(&[3.0, 1.0, 2.0, 0.0, 0.0, 4.0], &mut actions);
        assert_eq!(actions, [0, 2]);
    }

    #[test]
    fn a_row_that_is_not_finite_gets_the_neutral_action_alone() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut actions = [9; 3];
            let rows = [3.0, 1.0, 2.0, 4.0, bad, 0.0, 0.0, 0.0, 4.0];
            echo().act(&rows, &mut actions);
            assert_eq!(actions, [0, 1, 2]);
        }
    }

    #[test]
    fn clips_before_the_network() {
        let mut actions = [9];
        echo().act(&[50.0, 5.0, -50.0], &mut actions);
        assert_eq!(actions, [1], "both are 5 after the clip: neutral wins");
    }
}
