//! The training loop: collect, learn, count, save, resume.
//!
//! The caller owns the environment and the pace (`while !trainer.finished()`), so
//! that it can report, save and stop between updates. Must never know: the update
//! rule, wall-clock time.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use prestage_policy::{EnvSpec, Normalizer, VectorEnv};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::checkpoint::{self, Checkpoint, f32_bytes, f32_values, f64_bytes, f64_values};
use crate::collect::{Collector, CollectorState};
use crate::error::Error;
use crate::learner::{LearnMetrics, Learner, Networks};
use crate::rollout::{Discount, Rollout, RolloutShape};

/// Stream of the generator that draws actions; learners use the ones below.
pub(crate) const SAMPLE_STREAM: u64 = 1 << 32;

/// One update in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Which update, from 1.
    pub update: u64,
    /// Steps of all rows so far, warm-up included.
    pub row_steps: u64,
    /// Reward of a row-step, mean over the rollout.
    pub mean_reward: f64,
    /// Undiscounted return, mean over the episodes that rows finished in this
    /// rollout; absent when none was finished.
    pub mean_episode_return: Option<f64>,
    /// See [`LearnMetrics::policy_loss`].
    pub policy_loss: f64,
    /// See [`LearnMetrics::value_loss`].
    pub value_loss: f64,
    /// See [`LearnMetrics::entropy`].
    pub entropy: f64,
    /// See [`LearnMetrics::approx_kl`].
    pub approx_kl: f64,
    /// See [`LearnMetrics::clip_fraction`].
    pub clip_fraction: f64,
    /// How much of the variance of the returns the critic had foreseen before the
    /// update: 1 all, 0 no more than their mean, below 0 worse than that; absent
    /// when the returns do not vary.
    pub explained_variance: Option<f64>,
    /// See [`LearnMetrics::learning_rate`].
    pub learning_rate: f64,
}

/// Trains one learner in one vector environment.
pub struct Trainer {
    learner: Box<dyn Learner>,
    collector: Collector,
    networks: Networks,
    normalizer: Normalizer,
    rollout: Rollout,
    counters: Counters,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Counters {
    update: u64,
    row_steps: u64,
}

/// A trainer that goes on where a checkpoint was taken.
pub struct Resumed {
    /// Ready for its next update; the environment has been restored.
    pub trainer: Trainer,
    /// The checkpoint it came from.
    pub path: PathBuf,
    /// Newer checkpoints that were refused, newest first, and why.
    pub damaged: Vec<Error>,
}

impl Trainer {
    /// Resets the environment and estimates the normaliser from a warm-up with the
    /// initial policy.
    pub fn new(learner: Box<dyn Learner>, env: &mut dyn VectorEnv) -> Result<Self, Error> {
        let schedule = learner.schedule();
        let mut rng = ChaCha8Rng::seed_from_u64(schedule.seed);
        rng.set_stream(SAMPLE_STREAM);
        let mut networks = learner.networks()?;
        let mut collector = Collector::start(env, schedule.seed, rng)?;
        let normalizer = collector.warm_up(env, &mut networks, schedule.warmup_steps)?;
        let warmup = schedule.warmup_steps as u64 * env.total_rows() as u64;
        Ok(Self {
            rollout: Rollout::new(rollout_shape(schedule.n_steps, env)),
            learner,
            collector,
            networks,
            normalizer,
            counters: Counters {
                update: 0,
                row_steps: warmup,
            },
        })
    }

    /// Goes on from the newest valid checkpoint in `directory`, bit-identically to a
    /// run that was never interrupted. `learner` is built as at the start; other
    /// settings or another environment are refused.
    pub fn resume(
        learner: Box<dyn Learner>,
        env: &mut dyn VectorEnv,
        directory: &Path,
    ) -> Result<Resumed, Error> {
        let mut damaged = Vec::new();
        for path in checkpoint::list(directory)?.into_iter().rev() {
            match Checkpoint::load(&path) {
                Ok(checkpoint) => {
                    return Ok(Resumed {
                        trainer: Self::restore(learner, env, &path, &checkpoint)?,
                        path,
                        damaged,
                    });
                }
                Err(error) => damaged.push(error),
            }
        }
        Err(Error::NoCheckpoint {
            directory: directory.to_path_buf(),
            damaged,
        })
    }

    fn restore(
        mut learner: Box<dyn Learner>,
        env: &mut dyn VectorEnv,
        path: &Path,
        checkpoint: &Checkpoint,
    ) -> Result<Self, Error> {
        checkpoint.expect_identity(path, &identity(learner.as_ref(), env))?;
        let damaged = |reason: String| Error::CheckpointDamaged {
            path: path.to_path_buf(),
            reason,
        };
        let saved = Saved::parse(&checkpoint.parts, env).map_err(damaged)?;
        learner.restore(&checkpoint.parts)?;
        env.restore(&saved.env)
            .map_err(|error| damaged(error.to_string()))?;
        Ok(Self {
            rollout: Rollout::new(rollout_shape(learner.schedule().n_steps, env)),
            networks: learner.networks()?,
            collector: Collector::resume(env, saved.collector),
            normalizer: saved.normalizer,
            counters: saved.counters,
            learner,
        })
    }

    /// Whether the budget is spent.
    pub fn finished(&self) -> bool {
        self.counters.update >= self.learner.schedule().n_updates
    }

    /// Collects one rollout and learns from it. Panics when training is finished.
    pub fn update(&mut self, env: &mut dyn VectorEnv) -> Result<Metrics, Error> {
        assert!(
            !self.finished(),
            "update {} is beyond the budget",
            self.counters.update
        );
        self.collector.check_env(env)?;
        let schedule = self.learner.schedule();
        let episodes =
            self.collector
                .collect(env, &mut self.networks, &self.normalizer, &mut self.rollout)?;
        self.rollout.compute_advantages(Discount {
            gamma: schedule.gamma,
            gae_lambda: schedule.gae_lambda,
        });
        let progress = self.counters.update as f64 / schedule.n_updates as f64;
        let learned = self.learner.learn(&self.rollout, progress)?;
        self.networks = self.learner.networks()?;
        self.counters.update += 1;
        self.counters.row_steps += self.rollout.shape.len() as u64;
        Ok(self.metrics(learned, episodes.mean_return()))
    }

    fn metrics(&self, learned: LearnMetrics, mean_episode_return: Option<f64>) -> Metrics {
        Metrics {
            update: self.counters.update,
            row_steps: self.counters.row_steps,
            mean_reward: self.rollout.mean_reward(),
            mean_episode_return,
            policy_loss: learned.policy_loss,
            value_loss: learned.value_loss,
            entropy: learned.entropy,
            approx_kl: learned.approx_kl,
            clip_fraction: learned.clip_fraction,
            explained_variance: self.rollout.explained_variance(),
            learning_rate: learned.learning_rate,
        }
    }

    /// Updates until the budget is spent, calling `on_update` after each.
    pub fn run(
        &mut self,
        env: &mut dyn VectorEnv,
        mut on_update: impl FnMut(&Self, &dyn VectorEnv, &Metrics) -> Result<(), Error>,
    ) -> Result<(), Error> {
        while !self.finished() {
            let metrics = self.update(env)?;
            on_update(self, env, &metrics)?;
        }
        Ok(())
    }

    /// Writes `directory/update-NNNNNNNN.ckpt`, crash-safe, and deletes all but the
    /// newest three. `env` is the environment of the last update.
    pub fn save(&self, env: &dyn VectorEnv, directory: &Path) -> Result<PathBuf, Error> {
        self.collector.check_env(env)?;
        let state = &self.collector.state;
        let json = |value: serde_json::Result<Vec<u8>>| value.expect("plain integers");
        let mut parts = self.learner.state()?;
        let alive = state.alive.iter().map(|&alive| u8::from(alive));
        parts.extend([
            (
                "trainer.counters".to_string(),
                json(serde_json::to_vec(&self.counters)),
            ),
            (
                "trainer.normalizer".to_string(),
                normalizer_bytes(&self.normalizer),
            ),
            (
                "trainer.observations".to_string(),
                f32_bytes(&state.observations),
            ),
            ("trainer.alive".to_string(), alive.collect()),
            ("trainer.returns".to_string(), f64_bytes(&state.returns)),
            (
                "trainer.sample_rng".to_string(),
                json(serde_json::to_vec(&state.rng)),
            ),
            ("trainer.env".to_string(), env.snapshot()),
        ]);
        let checkpoint = Checkpoint {
            identity: identity(self.learner.as_ref(), env),
            parts,
        };
        checkpoint.save(directory, self.counters.update)
    }

    /// Updates done.
    pub fn update_count(&self) -> u64 {
        self.counters.update
    }

    /// Updates that the budget pays for.
    pub fn n_updates(&self) -> u64 {
        self.learner.schedule().n_updates
    }

    /// The environment's spec.
    pub fn env_spec(&self) -> &EnvSpec {
        self.collector.spec()
    }

    /// The frozen normaliser.
    pub fn normalizer(&self) -> &Normalizer {
        &self.normalizer
    }

    /// Plain copies of the networks as they are now.
    pub fn networks(&self) -> &Networks {
        &self.networks
    }

    /// BLAKE3 of every bit of the weights of both networks: equal exactly when two
    /// runs are.
    pub fn weights_blake3(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for mlp in [&self.networks.actor, &self.networks.critic] {
            for layer in mlp.layers() {
                hasher.update(&f32_bytes(layer.weight()));
                hasher.update(&f32_bytes(layer.bias()));
            }
        }
        hasher.finalize().to_hex().to_string()
    }
}

fn rollout_shape(n_steps: usize, env: &dyn VectorEnv) -> RolloutShape {
    RolloutShape {
        n_steps,
        total_rows: env.total_rows(),
        observation_len: env.spec().layout.len(),
        action_len: env.spec().action.len(),
    }
}

/// What must be equal for a checkpoint to belong to a run.
fn identity(learner: &dyn Learner, env: &dyn VectorEnv) -> serde_json::Value {
    let spec = env.spec();
    serde_json::json!({
        "algorithm": learner.name(),
        "settings": learner.settings(),
        "env": {
            "name": spec.name,
            "layout": spec.layout,
            "action": spec.action,
            "n_rows": spec.n_rows,
            "n_envs": env.n_envs(),
            "max_episode_steps": spec.max_episode_steps,
        },
    })
}

fn normalizer_bytes(normalizer: &Normalizer) -> Vec<u8> {
    let mut values = vec![normalizer.clip];
    values.extend(&normalizer.mean);
    values.extend(&normalizer.std);
    f32_bytes(&values)
}

/// The trainer's parts of a checkpoint.
struct Saved {
    counters: Counters,
    normalizer: Normalizer,
    collector: CollectorState,
    env: Vec<u8>,
}

impl Saved {
    fn parse(parts: &BTreeMap<String, Vec<u8>>, env: &dyn VectorEnv) -> Result<Self, String> {
        let part = |name: &str| {
            let name = format!("trainer.{name}");
            parts
                .get(&name)
                .ok_or_else(|| format!("part `{name}` is missing"))
        };
        let wrong_length =
            |name: &'static str| move || format!("part `trainer.{name}` is too short or too long");
        let observation_len = env.spec().layout.len();
        let total_rows = env.total_rows();
        let scales = f32_values(part("normalizer")?, 1 + 2 * observation_len)
            .ok_or_else(wrong_length("normalizer"))?;
        let alive: Vec<bool> = part("alive")?.iter().map(|&byte| byte != 0).collect();
        if alive.len() != total_rows {
            return Err(wrong_length("alive")());
        }
        let parsed = |error: serde_json::Error| error.to_string();
        Ok(Self {
            counters: serde_json::from_slice(part("counters")?).map_err(parsed)?,
            normalizer: Normalizer {
                clip: scales[0],
                mean: scales[1..=observation_len].to_vec(),
                std: scales[1 + observation_len..].to_vec(),
            },
            collector: CollectorState {
                observations: f32_values(part("observations")?, total_rows * observation_len)
                    .ok_or_else(wrong_length("observations"))?,
                alive,
                returns: f64_values(part("returns")?, total_rows)
                    .ok_or_else(wrong_length("returns"))?,
                rng: serde_json::from_slice(part("sample_rng")?).map_err(parsed)?,
            },
            env: part("env")?.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ppo::PpoSpec;
    use crate::test_envs::{
        FiveStepsEnv, IdentityEnv, PaddingEnv, learner, small_spec, small_trainer,
    };

    fn weights_after_run(seed: u64) -> String {
        let mut env = IdentityEnv::new(8);
        let mut trainer = small_trainer(&mut env, seed);
        trainer.run(&mut env, |_, _, _| Ok(())).unwrap();
        trainer.weights_blake3()
    }

    #[test]
    fn a_seed_fixes_every_bit_whatever_the_threads() {
        let expected = weights_after_run(1);
        assert_eq!(weights_after_run(1), expected);
        assert_ne!(weights_after_run(2), expected);
        for n_threads in [1, 2] {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(n_threads)
                .build()
                .unwrap();
            // Two runs at a time, as an experiment does it.
            let both =
                pool.install(|| rayon::join(|| weights_after_run(1), || weights_after_run(1)));
            assert_eq!(
                both,
                (expected.clone(), expected.clone()),
                "{n_threads} threads"
            );
        }
    }

    /// Runs all updates, saving after `save_after`; returns the hash at the end.
    fn run_saving(directory: &Path, save_after: &[u64]) -> (Vec<Metrics>, String) {
        let mut env = IdentityEnv::new(8);
        let mut trainer = small_trainer(&mut env, 1);
        let mut all = Vec::new();
        let result = trainer.run(&mut env, |trainer, env, metrics| {
            all.push(*metrics);
            if save_after.contains(&metrics.update) {
                trainer.save(env, directory)?;
            }
            Ok(())
        });
        result.unwrap();
        (all, trainer.weights_blake3())
    }

    fn resume(directory: &Path, seed: u64) -> Result<(IdentityEnv, Resumed), Error> {
        let mut env = IdentityEnv::new(8);
        let learner = learner(&env, small_spec(&env, seed));
        let resumed = Trainer::resume(learner, &mut env, directory)?;
        Ok((env, resumed))
    }

    #[test]
    fn a_resumed_run_is_bit_identical_to_an_uninterrupted_one() {
        let root = tempfile::tempdir().unwrap();
        let (all, expected) = run_saving(root.path(), &[3, 5]);
        let (mut env, resumed) = resume(root.path(), 1).unwrap();
        let mut trainer = resumed.trainer;
        assert!(resumed.damaged.is_empty());
        assert_eq!(trainer.update_count(), 5);
        let mut rest = Vec::new();
        let result = trainer.run(&mut env, |_, _, metrics| {
            rest.push(*metrics);
            Ok(())
        });
        result.unwrap();
        assert_eq!(rest, all[5..]);
        assert_eq!(trainer.weights_blake3(), expected);
    }

    /// Saves after update 5 and replaces parts of that checkpoint by those of a
    /// learner that has not learned yet; returns the hash of an uninterrupted run.
    fn forget(directory: &Path, parts: &[&str]) -> String {
        let (_, expected) = run_saving(directory, &[5]);
        let path = checkpoint::list(directory).unwrap().remove(0);
        let mut checkpoint = Checkpoint::load(&path).unwrap();
        let env = IdentityEnv::new(8);
        let mut fresh = learner(&env, small_spec(&env, 1)).state().unwrap();
        for &part in parts {
            let bytes = fresh.remove(part).unwrap();
            checkpoint.parts.insert(part.to_string(), bytes);
        }
        checkpoint.save(directory, 5).unwrap();
        expected
    }

    #[test]
    fn a_checkpoint_without_the_moments_of_adam_is_refused() {
        let root = tempfile::tempdir().unwrap();
        forget(root.path(), &["optimizer"]);
        let message = resume(root.path(), 1).err().unwrap().to_string();
        assert!(
            message.contains("0 moments of Adam (allowed: 24)"),
            "{message}"
        );
    }

    /// What that refusal protects from, and the trap of burn's safetensors: without
    /// the moments the run would silently become another one.
    #[test]
    fn without_the_moments_of_adam_the_run_becomes_another_one() {
        let root = tempfile::tempdir().unwrap();
        let expected = forget(root.path(), &["optimizer", "gradient_steps"]);
        let (mut env, resumed) = resume(root.path(), 1).unwrap();
        let mut trainer = resumed.trainer;
        trainer.run(&mut env, |_, _, _| Ok(())).unwrap();
        assert_ne!(trainer.weights_blake3(), expected);
    }

    #[test]
    fn a_damaged_checkpoint_is_named_and_the_one_before_is_used() {
        let root = tempfile::tempdir().unwrap();
        let (_, expected) = run_saving(root.path(), &[3, 5]);
        let newest = root.path().join("update-00000005.ckpt");
        let bytes = std::fs::read(&newest).unwrap();
        std::fs::write(&newest, &bytes[..bytes.len() / 2]).unwrap();
        let (mut env, resumed) = resume(root.path(), 1).unwrap();
        assert_eq!(resumed.trainer.update_count(), 3);
        assert!(resumed.path.ends_with("update-00000003.ckpt"));
        let message = resumed.damaged[0].to_string();
        assert!(
            message.contains("update-00000005.ckpt`: damaged checkpoint"),
            "{message}"
        );
        let mut trainer = resumed.trainer;
        trainer.run(&mut env, |_, _, _| Ok(())).unwrap();
        assert_eq!(trainer.weights_blake3(), expected);
    }

    #[test]
    fn nothing_valid_and_another_run_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let error = resume(root.path(), 1).err().unwrap();
        assert!(matches!(error, Error::NoCheckpoint { .. }));
        run_saving(root.path(), &[1]);
        let error = resume(root.path(), 2).err().unwrap();
        let message = error.to_string();
        assert!(
            message.contains("`settings.seed` is `1` (allowed: `2`"),
            "{message}"
        );
        let only = root.path().join("update-00000001.ckpt");
        std::fs::write(&only, "rubbish").unwrap();
        let message = resume(root.path(), 1).err().unwrap().to_string();
        assert!(
            message.contains("update-00000001.ckpt`: damaged"),
            "{message}"
        );
    }

    #[test]
    fn another_environment_is_refused() {
        let mut env = IdentityEnv::new(8);
        let mut trainer = small_trainer(&mut env, 1);
        let error = trainer.update(&mut IdentityEnv::new(4)).unwrap_err();
        assert!(matches!(error, Error::EnvDiffers { .. }), "{error}");
        let error = trainer.update(&mut PaddingEnv::new()).unwrap_err();
        assert!(matches!(error, Error::EnvDiffers { .. }), "{error}");
    }

    #[test]
    fn the_budget_is_never_exceeded() {
        let mut env = IdentityEnv::new(8);
        let spec = PpoSpec {
            total_steps: 16 * 8 * 4 + 100,
            warmup_steps: Some(8),
            ..small_spec(&env, 1)
        };
        let budget = spec.total_steps;
        let mut trainer = Trainer::new(learner(&env, spec), &mut env).unwrap();
        let mut last = 0;
        let result = trainer.run(&mut env, |_, _, metrics| {
            last = metrics.row_steps;
            Ok(())
        });
        result.unwrap();
        assert_eq!((trainer.update_count(), last), (4, 8 * 8 + 4 * 16 * 8));
        assert!(last <= budget);
    }

    #[test]
    fn rows_that_terminate_early_do_not_poison_the_update() {
        let mut env = PaddingEnv::new();
        let mut trainer = small_trainer(&mut env, 1);
        trainer
            .run(&mut env, |_, _, metrics| {
                assert!(metrics.value_loss.is_finite());
                assert_eq!(metrics.mean_reward, 1.0);
                Ok(())
            })
            .unwrap();
    }

    #[test]
    fn solves_the_identity_environment() {
        let mut env = IdentityEnv::new(16);
        let spec = PpoSpec {
            n_steps: 32,
            batch_size: 128,
            gamma: 0.5,
            learning_rate: 3e-3,
            hidden: vec![32, 32],
            total_steps: 512 * 41,
            seed: 3,
            ..PpoSpec::default()
        };
        let mut trainer = Trainer::new(learner(&env, spec), &mut env).unwrap();
        let mut rewards = Vec::new();
        let result = trainer.run(&mut env, |_, _, metrics| {
            rewards.push(metrics.mean_reward);
            Ok(())
        });
        result.unwrap();
        assert!(
            rewards[0] < 0.5,
            "solved before it was learned: {rewards:?}"
        );
        assert!(rewards[rewards.len() - 1] > 0.9, "{rewards:?}");
    }

    /// The critic's value of every step of [`FiveStepsEnv`] after training.
    fn values_of_five_steps(mut env: FiveStepsEnv) -> Vec<f32> {
        let spec = PpoSpec {
            n_steps: 20,
            batch_size: 80,
            n_epochs: 10,
            gamma: 0.9,
            learning_rate: 3e-3,
            max_grad_norm: 5.0,
            hidden: vec![32],
            total_steps: 160 * 61,
            ..PpoSpec::default()
        };
        let mut trainer = Trainer::new(learner(&env, spec), &mut env).unwrap();
        trainer.run(&mut env, |_, _, _| Ok(())).unwrap();
        let value = |step: u8| {
            let mut normalized = [0.0; 5];
            let observation = FiveStepsEnv::observation(step);
            trainer.normalizer().apply(&observation, &mut normalized);
            let mut value = [0.0];
            trainer
                .networks()
                .clone()
                .critic
                .forward(&normalized, &mut value);
            value[0]
        };
        (0..5).map(value).collect()
    }

    #[test]
    fn truncation_bootstraps_to_the_value_of_an_endless_episode() {
        for value in values_of_five_steps(FiveStepsEnv::truncated()) {
            assert!((value - 10.0).abs() < 0.5, "{value} is not 1 / (1 - 0.9)");
        }
    }

    #[test]
    fn termination_ends_the_sum() {
        let values = values_of_five_steps(FiveStepsEnv::terminated());
        for (value, left) in values.into_iter().zip((1..=5).rev()) {
            let expected: f32 = (0..left).map(|k| 0.9f32.powi(k)).sum();
            assert!((value - expected).abs() < 0.2, "{value} is not {expected}");
        }
    }
}
