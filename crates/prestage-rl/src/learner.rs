//! What an algorithm owes the training loop, and the registry of algorithms.
//!
//! Must never know: how rollouts are collected.
use std::collections::BTreeMap;

use prestage_policy::{EnvSpec, Mlp};
use serde::{Deserialize, Serialize};

use crate::device::ComputeDevice;
use crate::error::Error;
use crate::ppo;
use crate::rollout::Rollout;

/// Every on-policy algorithm; the order is that of `--help` and of reports.
pub static ALGOS: &[AlgoEntry] = &[ppo::ENTRY];

/// One algorithm of the registry.
pub struct AlgoEntry {
    /// Name in experiment files.
    pub name: &'static str,
    /// One line for lists.
    pub about: &'static str,
    /// Parses and validates the settings, draws the initial weights.
    pub build: Build,
}

/// Makes a learner from its settings.
pub type Build = fn(&serde_json::Value, &LearnerContext<'_>) -> Result<Box<dyn Learner>, Error>;

/// What a learner is built for.
#[derive(Clone, Copy, Debug)]
pub struct LearnerContext<'a> {
    /// The environment's shapes.
    pub env: &'a EnvSpec,
    /// Rows over all environments.
    pub total_rows: usize,
    /// Where it computes.
    pub device: ComputeDevice,
}

/// Builds the learner of a name in [`ALGOS`] from its settings.
pub fn build_learner(
    name: &str,
    settings: &serde_json::Value,
    context: &LearnerContext<'_>,
) -> Result<Box<dyn Learner>, Error> {
    match ALGOS.iter().find(|entry| entry.name == name) {
        Some(entry) => (entry.build)(settings, context),
        None => Err(Error::UnknownAlgorithm {
            name: name.to_string(),
            known: ALGOS
                .iter()
                .map(|entry| entry.name)
                .collect::<Vec<_>>()
                .join(", "),
        }),
    }
}

/// How much to collect before each update, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// Fixes everything.
    pub seed: u64,
    /// Steps of every row before the first rollout, from which the observation
    /// normaliser is estimated; not learned from.
    pub warmup_steps: usize,
    /// Steps of every row per rollout.
    pub n_steps: usize,
    /// Updates until training is finished.
    pub n_updates: u64,
    /// Discount per step.
    pub gamma: f64,
    /// Decay of generalised advantage estimation.
    pub gae_lambda: f64,
}

/// Plain copies of the networks: what acts.
#[derive(Clone, Debug)]
pub struct Networks {
    /// Normalised observation to logits.
    pub actor: Mlp,
    /// Normalised observation to one value.
    pub critic: Mlp,
}

/// Numbers of one update that the algorithm knows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LearnMetrics {
    /// The surrogate that the actor descends, mean over minibatches.
    pub policy_loss: f64,
    /// Mean squared error of the critic against the returns, mean over minibatches.
    pub value_loss: f64,
    /// Entropy of the policy in nats, summed over knobs, mean over rows: uniform
    /// over seven levels gives 1.95 a knob, certainty gives 0.
    pub entropy: f64,
    /// Estimate of KL(old || new) in nats, mean over minibatches (Schulman's
    /// `E[(r - 1) - ln r]`): how far the update moved the policy.
    pub approx_kl: f64,
    /// Share of samples whose probability ratio left the clip range.
    pub clip_fraction: f64,
    /// Step size of Adam in this update.
    pub learning_rate: f64,
}

/// An on-policy algorithm: turns a rollout into better networks.
///
/// Deterministic: settings, seed and the rollouts fix every bit.
pub trait Learner: Send {
    /// Name in [`ALGOS`].
    fn name(&self) -> &'static str;

    /// All settings, defaults filled in; compared when a run is resumed.
    fn settings(&self) -> serde_json::Value;

    /// How much to collect.
    fn schedule(&self) -> Schedule;

    /// The networks as they are now. Fails when a weight is not finite.
    fn networks(&self) -> Result<Networks, Error>;

    /// One update. `progress` is the share of updates done before it, in `[0, 1)`.
    fn learn(&mut self, rollout: &Rollout, progress: f64) -> Result<LearnMetrics, Error>;

    /// Everything needed to go on bit-identically, as named byte strings.
    fn state(&self) -> Result<BTreeMap<String, Vec<u8>>, Error>;

    /// Restores what [`Learner::state`] of a learner with the same settings gave.
    fn restore(&mut self, state: &BTreeMap<String, Vec<u8>>) -> Result<(), Error>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_envs::IdentityEnv;
    use prestage_policy::VectorEnv;

    #[test]
    fn every_entry_builds_from_defaults_and_describes_itself() {
        let env = IdentityEnv::new(8);
        let context = LearnerContext {
            env: env.spec(),
            total_rows: env.total_rows(),
            device: ComputeDevice::Flex,
        };
        for entry in ALGOS {
            let learner = build_learner(entry.name, &serde_json::json!({}), &context).unwrap();
            assert_eq!(learner.name(), entry.name);
            assert!(!entry.about.is_empty());
            let settings = learner.settings();
            let again = build_learner(entry.name, &settings, &context).unwrap();
            assert_eq!(again.settings(), settings);
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let env = IdentityEnv::new(8);
        let context = LearnerContext {
            env: env.spec(),
            total_rows: 8,
            device: ComputeDevice::Flex,
        };
        let result = build_learner("ppp", &serde_json::json!({}), &context);
        let message = result.err().unwrap().to_string();
        assert!(
            message.contains("unknown algorithm `ppp` (known: ppo)"),
            "{message}"
        );
    }
}
