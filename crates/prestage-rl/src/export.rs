//! From a trainer to plain tensors that `prestage-policy` writes and runs.
//!
//! Must never know: files.
use prestage_policy::TrainedActor;

use crate::train::Trainer;

impl Trainer {
    /// The actor as it is now, with the normaliser in front of it. The critic stays
    /// behind: production never asks for values.
    pub fn export(&self) -> TrainedActor {
        let spec = self.env_spec();
        TrainedActor {
            layout: spec.layout.clone(),
            action: spec.action.clone(),
            normalizer: self.normalizer().clone(),
            layers: self.networks().actor.layers().to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use prestage_policy::{Artifact, Notes, Policy, VectorEnv};

    use crate::test_envs::{IdentityEnv, small_trainer};

    #[test]
    fn the_artifact_decides_as_the_networks_in_training_do() {
        let mut env = IdentityEnv::new(8);
        let mut trainer = small_trainer(&mut env, 1);
        trainer.update(&mut env).unwrap();
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("policy");
        let artifact = Artifact::new(trainer.export(), Notes::default()).unwrap();
        artifact.write(&directory).unwrap();
        let mut policy = Artifact::load(&directory)
            .unwrap()
            .expect_layout(&env.spec().layout)
            .unwrap()
            .policy();

        let observations: Vec<f32> = (0..63).map(|i| (i as f32 * 0.9).sin()).collect();
        let mut normalized = vec![0.0; 63];
        trainer.normalizer().apply(&observations, &mut normalized);
        let n_rows = 63 / env.spec().layout.len();
        let n_logits = env.spec().action.n_logits();
        let mut logits = vec![0.0; n_rows * n_logits];
        let mut networks = trainer.networks().clone();
        networks.actor.forward(&normalized, &mut logits);
        let mut loaded = vec![0.0; n_rows * n_logits];
        policy.logits(&observations, &mut loaded);
        assert_eq!(logits, loaded);

        let n_knobs = env.spec().action.len();
        let (mut expected, mut actions) = (vec![0; n_rows * n_knobs], vec![0; n_rows * n_knobs]);
        let rows = logits.chunks(n_logits).zip(expected.chunks_mut(n_knobs));
        rows.for_each(|(logits, levels)| env.spec().action.greedy(logits, levels));
        policy.act(&observations, &mut actions);
        assert_eq!(actions, expected);
    }
}
