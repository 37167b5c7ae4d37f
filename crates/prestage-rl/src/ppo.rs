//! Proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347) with one
//! categorical head per knob.
//!
//! The whole update rule is in this file; its parts are in the folder. Details follow SB3 2.x and "The 37
//! implementation details of PPO" (Huang et al. 2022): orthogonal initialisation,
//! Adam with epsilon 1e-5, linear learning rate, advantages normalised per
//! minibatch, clipped surrogate, unclipped value loss, global gradient norm.
//!
//! ```text
//! target       advantage A by GAE(gae_lambda), return R = A + V_old      (rollout.rs)
//! ratio        r = exp(sum over knobs of log pi(a|s) - log pi_old(a|s))
//! policy loss  -mean(min(r A, clip(r, 1 - clip_range, 1 + clip_range) A))
//! value loss   mean((V - R)^2)
//! loss         policy loss + vf_coef * value loss - ent_coef * entropy
//! step         Adam on the gradient, scaled to a joint norm of at most max_grad_norm
//! stop         when the KL estimate of a minibatch exceeds 1.5 target_kl     (SB3)
//! ```
//!
//! Deliberate deviations: the policy starts at the neutral action (`neutral_logit`),
//! because that is the tuned static policy; the observation normaliser is frozen
//! after the warm-up; rewards are not normalised (environments divide by a constant
//! fixed beforehand); rows that terminated early are padding with weight 0.
//! It fails when rewards are of the order of thousands (the value loss then
//! dominates the clipped gradient) and when `ent_coef` is 0 and the reward is sparse.
mod heads;
mod measured;
mod minibatch;
mod settings;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer, OptimizerRecord};
use burn::store::ModuleRecord;
use burn::tensor::{Bytes, Device, Tensor};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use self::heads::{Heads, matrix, vector};
use self::measured::{Losses, Means, Measured};
use self::minibatch::Minibatch;
pub use self::settings::{PpoParams, PpoSpec};
use crate::error::Error;
use crate::gradients::clip_global_norm;
use crate::learner::{AlgoEntry, LearnMetrics, Learner, LearnerContext, Networks, Schedule};
use crate::network::{ActorCritic, NetworkParams};
use crate::rollout::Rollout;

/// Registry entry.
pub(crate) const ENTRY: AlgoEntry = AlgoEntry {
    name: NAME,
    about: "proximal policy optimisation: clipped surrogate, one categorical head per knob",
    build: |settings, context| {
        let spec: PpoSpec =
            serde_json::from_value(settings.clone()).map_err(|source| Error::Settings {
                algorithm: NAME,
                source,
            })?;
        Ok(Box::new(Ppo::new(
            spec.validate(context.total_rows)?,
            context,
        )))
    },
};

const NAME: &str = "ppo";

/// Streams of one seed, so that no consumer shifts another's draws. The trainer
/// uses [`crate::train::SAMPLE_STREAM`].
const INIT_STREAM: u64 = 0;
const SHUFFLE_STREAM: u64 = 1;

/// The learner.
pub struct Ppo {
    params: PpoParams,
    model: ActorCritic,
    optimizer: ModuleOptimizer,
    /// Steps of the optimizer so far: none means that it has no state yet.
    gradient_steps: u64,
    shuffle_rng: ChaCha8Rng,
    heads: Heads,
    device: Device,
}

impl Ppo {
    /// Draws the initial weights from the seed.
    pub fn new(params: PpoParams, context: &LearnerContext<'_>) -> Self {
        let device = context.device.autodiff();
        let network = NetworkParams {
            n_in: context.env.layout.len(),
            hidden: params.spec().hidden.clone(),
            action: context.env.action.clone(),
            neutral_logit: params.spec().neutral_logit as f32,
        };
        let mut init_rng = stream(params.spec().seed, INIT_STREAM);
        Self {
            model: ActorCritic::new(&network, &mut init_rng, &device),
            optimizer: adam(),
            gradient_steps: 0,
            shuffle_rng: stream(params.spec().seed, SHUFFLE_STREAM),
            heads: Heads::new(network.action, &device),
            params,
            device,
        }
    }

    fn spec(&self) -> &PpoSpec {
        self.params.spec()
    }

    /// One minibatch, forward: nothing is changed.
    fn losses(&self, batch: &Minibatch) -> Losses {
        let observations = matrix(&batch.observations, batch.len, &self.device);
        let weights = vector(&batch.weights, &self.device);
        let advantages = vector(&batch.advantages, &self.device);
        let old_log_probs = vector(&batch.old_log_probs, &self.device);
        let returns = vector(&batch.returns, &self.device);

        let log_probs = self
            .heads
            .log_probs(self.model.logits(observations.clone()));
        let log_prob = self.heads.log_prob_of(log_probs.clone(), &batch.actions);
        let entropy = Heads::entropy(log_probs);
        let values: Tensor<1> = self.model.values(observations).squeeze_dim(1);

        let clip = self.spec().clip_range;
        let ratio = (log_prob.clone() - old_log_probs).exp();
        let clipped = ratio.clone().clamp(1.0 - clip, 1.0 + clip);
        let surrogate = (ratio * advantages.clone()).min_pair(clipped * advantages);
        let error = values - returns;
        Losses {
            policy: (surrogate * weights.clone()).sum().neg(),
            value: (error.clone() * error * weights.clone()).sum(),
            entropy: (entropy * weights).sum(),
            log_prob,
        }
    }

    /// Backward and one step of Adam.
    fn descend(&mut self, losses: Losses, learning_rate: f64) {
        let spec = self.params.spec();
        let mut loss = losses.policy + losses.value.mul_scalar(spec.vf_coef);
        if spec.ent_coef > 0.0 {
            loss = loss - losses.entropy.mul_scalar(spec.ent_coef);
        }
        let mut gradients = GradientsParams::from_grads(loss.backward(), &self.model);
        clip_global_norm(&self.model, &mut gradients, spec.max_grad_norm);
        self.model = self
            .optimizer
            .step(learning_rate, self.model.clone(), gradients);
        self.gradient_steps += 1;
    }

    /// burn re-initialises, without a word, the state of every parameter that it
    /// does not find in a record: count what is there.
    fn check_moments(&self, record: &OptimizerRecord, gradient_steps: u64) -> Result<(), String> {
        let moments = 2 * self.model.n_tensors();
        let expected = if gradient_steps == 0 { 0 } else { moments };
        if record.len() != expected {
            let found = record.len();
            return Err(format!("{found} moments of Adam (allowed: {expected})"));
        }
        Ok(())
    }
}

impl Learner for Ppo {
    fn name(&self) -> &'static str {
        NAME
    }

    fn settings(&self) -> serde_json::Value {
        serde_json::to_value(self.spec()).expect("settings are plain finite numbers: validated")
    }

    fn schedule(&self) -> Schedule {
        let spec = self.spec();
        Schedule {
            seed: spec.seed,
            warmup_steps: spec.warmup_steps.unwrap_or(spec.n_steps),
            n_steps: spec.n_steps,
            n_updates: self.params.n_updates(),
            gamma: spec.gamma,
            gae_lambda: spec.gae_lambda,
        }
    }

    fn networks(&self) -> Result<Networks, Error> {
        self.model.networks()
    }

    fn learn(&mut self, rollout: &Rollout, progress: f64) -> Result<LearnMetrics, Error> {
        assert!(
            (0.0..1.0).contains(&progress),
            "progress {progress} outside [0, 1)"
        );
        let spec = self.spec().clone();
        let learning_rate = if spec.anneal_learning_rate {
            spec.learning_rate * (1.0 - progress)
        } else {
            spec.learning_rate
        };
        let mut means = Means::default();
        let mut order: Vec<usize> = (0..rollout.shape.len()).collect();
        'update: for _ in 0..spec.n_epochs {
            shuffle(&mut order, &mut self.shuffle_rng);
            for indices in order.chunks_exact(spec.batch_size) {
                let Some(batch) = Minibatch::gather(rollout, indices, &self.heads) else {
                    continue; // Nothing but padding.
                };
                let losses = self.losses(&batch);
                let measured = Measured::new(&losses, &batch, spec.clip_range);
                measured.check()?;
                means.add(&measured);
                if spec
                    .target_kl
                    .is_some_and(|target| measured.approx_kl > 1.5 * target)
                {
                    break 'update;
                }
                self.descend(losses, learning_rate);
            }
        }
        Ok(means.metrics(learning_rate))
    }

    fn state(&self) -> Result<BTreeMap<String, Vec<u8>>, Error> {
        let unwritable = |what| {
            move |error: burn::store::RecordError| Error::Record {
                what,
                attempt: "written",
                reason: error.to_string(),
            }
        };
        let record = self.model.clone().into_record();
        let model = record.into_bytes().map_err(unwritable("model"))?;
        let optimizer = self
            .optimizer
            .into_bytes()
            .map_err(unwritable("optimizer"))?;
        let rng = serde_json::to_vec(&self.shuffle_rng).expect("a generator is plain integers");
        Ok(BTreeMap::from([
            (
                "gradient_steps".to_string(),
                self.gradient_steps.to_le_bytes().to_vec(),
            ),
            ("model".to_string(), model.to_vec()),
            ("optimizer".to_string(), optimizer.to_vec()),
            ("shuffle_rng".to_string(), rng),
        ]))
    }

    fn restore(&mut self, state: &BTreeMap<String, Vec<u8>>) -> Result<(), Error> {
        let unreadable = |what| {
            move |reason: String| Error::Record {
                what,
                attempt: "read",
                reason,
            }
        };
        let part = |what: &'static str| {
            let bytes = state.get(what).cloned();
            bytes.ok_or_else(|| unreadable(what)("it is missing".to_string()))
        };
        let record = ModuleRecord::from_bytes(Bytes::from_bytes_vec(part("model")?))
            .map_err(|error| unreadable("model")(error.to_string()))?;
        let model = self.model.clone().try_load_record(record);
        self.model = model.map_err(|error| unreadable("model")(error.to_string()))?;
        let record = OptimizerRecord::from_bytes(Bytes::from_bytes_vec(part("optimizer")?))
            .map_err(|error| unreadable("optimizer")(error.to_string()))?;
        let steps = <[u8; 8]>::try_from(part("gradient_steps")?)
            .map_err(|_| unreadable("gradient_steps")("it is not 8 bytes".to_string()))?;
        self.gradient_steps = u64::from_le_bytes(steps);
        self.check_moments(&record, self.gradient_steps)
            .map_err(unreadable("optimizer"))?;
        self.optimizer = adam().load_record(record);
        self.shuffle_rng = serde_json::from_slice(&part("shuffle_rng")?)
            .map_err(|error| unreadable("shuffle_rng")(error.to_string()))?;
        Ok(())
    }
}

/// Epsilon 1e-5: "37 details", no. 3.
fn adam() -> ModuleOptimizer {
    AdamConfig::new().with_epsilon(1e-5).init()
}

fn stream(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng
}

/// Fisher and Yates.
fn shuffle(order: &mut [usize], rng: &mut ChaCha8Rng) {
    for last in (1..order.len()).rev() {
        order.swap(last, rng.random_range(0..=last));
    }
}
