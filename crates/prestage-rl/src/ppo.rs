//! Proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347) with one
//! categorical head per knob.
//!
//! The whole update rule is in this file. Details follow SB3 2.x and "The 37
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
use std::collections::BTreeMap;

use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer, OptimizerRecord};
use burn::store::ModuleRecord;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Bytes, Device, Tensor, TensorData};
use prestage_policy::MultiDiscrete;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

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
            hidden: params.spec.hidden.clone(),
            action: context.env.action.clone(),
            neutral_logit: params.spec.neutral_logit as f32,
        };
        let mut init_rng = stream(params.spec.seed, INIT_STREAM);
        Self {
            model: ActorCritic::new(&network, &mut init_rng, &device),
            optimizer: adam(),
            gradient_steps: 0,
            shuffle_rng: stream(params.spec.seed, SHUFFLE_STREAM),
            heads: Heads::new(network.action, &device),
            params,
            device,
        }
    }

    fn spec(&self) -> &PpoSpec {
        &self.params.spec
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
        let spec = &self.params.spec;
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
            n_updates: self.params.n_updates,
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

fn vector(values: &[f32], device: &Device) -> Tensor<1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
}

fn matrix(values: &[f32], n_rows: usize, device: &Device) -> Tensor<2> {
    let shape = [n_rows, values.len() / n_rows];
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
}

struct Losses {
    policy: Tensor<1>,
    value: Tensor<1>,
    entropy: Tensor<1>,
    log_prob: Tensor<1>,
}

/// Logits as a `[batch, knobs, levels]` block. Knobs with fewer levels than the
/// largest are padded with levels of probability 0.
struct Heads {
    action: MultiDiscrete,
    n_levels: usize,
    padding: Option<Padding>,
    device: Device,
}

struct Padding {
    /// `[n_logits, knobs * levels]`, a 1 where a logit goes.
    place: Tensor<2>,
    /// `[1, knobs * levels]`, 0 for real levels and hugely negative for padding.
    offset: Tensor<2>,
}

impl Heads {
    fn new(action: MultiDiscrete, device: &Device) -> Self {
        let n_levels = action.nvec.iter().copied().max().map_or(0, usize::from);
        let equal = action.n_logits() == n_levels * action.len();
        Self {
            padding: (!equal).then(|| Padding::new(&action, n_levels, device)),
            action,
            n_levels,
            device: device.clone(),
        }
    }

    /// `[batch, n_logits]` to `[batch, knobs, levels]`.
    fn log_probs(&self, logits: Tensor<2>) -> Tensor<3> {
        let [n_rows, _] = logits.dims();
        let block = match &self.padding {
            Some(padding) => logits.matmul(padding.place.clone()) + padding.offset.clone(),
            None => logits,
        };
        log_softmax(block.reshape([n_rows, self.action.len(), self.n_levels]), 2)
    }

    /// Of the actions taken, summed over knobs; `chosen` is one-hot.
    fn log_prob_of(&self, log_probs: Tensor<3>, chosen: &[f32]) -> Tensor<1> {
        let data = TensorData::new(chosen.to_vec(), log_probs.dims());
        sum_per_row(log_probs * Tensor::from_data(data, &self.device))
    }

    /// Summed over knobs; padding adds `0 * finite`.
    fn entropy(log_probs: Tensor<3>) -> Tensor<1> {
        sum_per_row(log_probs.clone().exp() * log_probs).neg()
    }

    /// Writes the one-hot block of one action.
    fn one_hot(&self, levels: &[u8], block: &mut Vec<f32>) {
        let start = block.len();
        block.resize(start + self.action.len() * self.n_levels, 0.0);
        for (knob, &level) in levels.iter().enumerate() {
            block[start + knob * self.n_levels + usize::from(level)] = 1.0;
        }
    }
}

impl Padding {
    fn new(action: &MultiDiscrete, n_levels: usize, device: &Device) -> Self {
        let width = action.len() * n_levels;
        let mut place = vec![0.0; action.n_logits() * width];
        let mut offset = vec![-1e30; width];
        let mut logit = 0;
        for (knob, &levels) in action.nvec.iter().enumerate() {
            for level in 0..usize::from(levels) {
                let column = knob * n_levels + level;
                place[logit * width + column] = 1.0;
                offset[column] = 0.0;
                logit += 1;
            }
        }
        Self {
            place: matrix(&place, action.n_logits(), device),
            offset: matrix(&offset, 1, device),
        }
    }
}

fn sum_per_row(block: Tensor<3>) -> Tensor<1> {
    let [n_rows, knobs, levels] = block.dims();
    block
        .reshape([n_rows, knobs * levels])
        .sum_dim(1)
        .squeeze_dim(1)
}

/// The rows of one gradient step, gathered.
struct Minibatch {
    len: usize,
    observations: Vec<f32>,
    actions: Vec<f32>,
    old_log_probs: Vec<f32>,
    advantages: Vec<f32>,
    returns: Vec<f32>,
    /// Sum to 1; 0 for padding.
    weights: Vec<f32>,
}

impl Minibatch {
    /// `None` when all rows are padding.
    fn gather(rollout: &Rollout, indices: &[usize], heads: &Heads) -> Option<Self> {
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

/// Numbers of one minibatch.
struct Measured {
    policy_loss: f64,
    value_loss: f64,
    entropy: f64,
    approx_kl: f64,
    clip_fraction: f64,
}

impl Measured {
    fn new(losses: &Losses, batch: &Minibatch, clip_range: f64) -> Self {
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

    fn check(&self) -> Result<(), Error> {
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
struct Means {
    count: u64,
    policy_loss: f64,
    value_loss: f64,
    entropy: f64,
    approx_kl: f64,
    clip_fraction: f64,
}

impl Means {
    fn add(&mut self, measured: &Measured) {
        self.count += 1;
        self.policy_loss += measured.policy_loss;
        self.value_loss += measured.value_loss;
        self.entropy += measured.entropy;
        self.approx_kl += measured.approx_kl;
        self.clip_fraction += measured.clip_fraction;
    }

    fn metrics(&self, learning_rate: f64) -> LearnMetrics {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::ComputeDevice;
    use crate::rollout::RolloutShape;
    use prestage_policy::{EnvSpec, Field, Layout};

    fn env() -> EnvSpec {
        let field = |name: &str| Field {
            name: name.into(),
            about: "a test value".into(),
        };
        EnvSpec {
            name: "test".into(),
            layout: Layout {
                name: "test".into(),
                version: 1,
                clip: 5.0,
                fields: vec![field("a"), field("b")],
            },
            action: MultiDiscrete {
                nvec: vec![3, 5, 2],
                neutral: vec![1, 2, 0],
            },
            n_rows: 4,
            max_episode_steps: 10,
        }
    }

    fn spec() -> PpoSpec {
        PpoSpec {
            n_steps: 8,
            batch_size: 16,
            hidden: vec![8],
            total_steps: 1_000,
            ..PpoSpec::default()
        }
    }

    fn ppo(spec: PpoSpec) -> Ppo {
        let env = env();
        let context = LearnerContext {
            env: &env,
            total_rows: 4,
            device: ComputeDevice::Flex,
        };
        Ppo::new(spec.validate(4).unwrap(), &context)
    }

    #[track_caller]
    fn check_refused(change: impl FnOnce(&mut PpoSpec), expected: &str) {
        let mut changed = spec();
        change(&mut changed);
        let message = changed.validate(4).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }

    #[test]
    fn settings_outside_their_range_are_refused_by_name_and_value() {
        check_refused(
            |s| s.n_steps = 0,
            "`n_steps` is `0` (allowed: 1 to 16777216)",
        );
        check_refused(|s| s.batch_size = 0, "`batch_size` is `0`");
        check_refused(|s| s.n_epochs = 0, "`n_epochs` is `0`");
        check_refused(|s| s.n_steps = usize::MAX, "`n_steps` is");
        check_refused(|s| s.warmup_steps = Some(0), "`warmup_steps` is `0`");
        check_refused(|s| s.hidden = vec![8, 0], "`hidden` is `0`");
        for bad in [0.0, -0.5, f64::NAN, f64::INFINITY] {
            check_refused(|s| s.learning_rate = bad, "`learning_rate` is");
            check_refused(|s| s.clip_range = bad, "`clip_range` is");
            check_refused(|s| s.max_grad_norm = bad, "`max_grad_norm` is");
            check_refused(|s| s.target_kl = Some(bad), "`target_kl` is");
        }
        for bad in [-0.5, f64::NAN, f64::INFINITY] {
            check_refused(|s| s.ent_coef = bad, "`ent_coef` is");
            check_refused(|s| s.vf_coef = bad, "`vf_coef` is");
        }
        for bad in [0.0, 1.1, f64::NAN] {
            check_refused(|s| s.gamma = bad, "(allowed: above 0, at most 1)");
        }
        check_refused(
            |s| s.gae_lambda = 1.1,
            "`gae_lambda` is `1.1` (allowed: 0 to 1)",
        );
        check_refused(|s| s.gae_lambda = f64::NAN, "`gae_lambda` is `NaN`");
        check_refused(|s| s.neutral_logit = f64::NAN, "`neutral_logit` is `NaN`");
    }

    #[test]
    fn ragged_minibatches_and_empty_budgets_are_refused_with_both_names() {
        check_refused(
            |s| s.batch_size = 12,
            "`batch_size` is 12, which does not divide `n_steps` x rows = 8 x 4 = 32",
        );
        check_refused(|s| s.batch_size = 12, "not above yours is 8");
        check_refused(|s| s.batch_size = 33, "not above yours is 32");
        check_refused(
            |s| s.total_steps = 63,
            "`total_steps` is 63 (allowed: at least 64",
        );
    }

    #[test]
    fn unknown_keys_and_negative_counts_are_refused_by_name() {
        let env = env();
        let context = LearnerContext {
            env: &env,
            total_rows: 4,
            device: ComputeDevice::Flex,
        };
        for (settings, expected) in [
            (
                serde_json::json!({"learning_rat": 1.0}),
                "unknown field `learning_rat`",
            ),
            (
                serde_json::json!({"n_steps": -1}),
                "invalid value: integer `-1`",
            ),
        ] {
            let error = (ENTRY.build)(&settings, &context).err().unwrap();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    /// Knobs of 3, 5 and 2 levels go through the padded block.
    #[test]
    fn padded_heads_compute_the_plain_softmax() {
        let device = ComputeDevice::Flex.autodiff();
        let heads = Heads::new(env().action, &device);
        let logits: Vec<f32> = (0..20).map(|i| (i as f32 * 1.7).sin() * 4.0).collect();
        let levels = [[2u8, 4, 0], [0, 1, 1]];
        let mut chosen = Vec::new();
        levels
            .iter()
            .for_each(|levels| heads.one_hot(levels, &mut chosen));
        let log_probs = heads.log_probs(matrix(&logits, 2, &device));
        let found = heads.log_prob_of(log_probs.clone(), &chosen).into_data();
        let entropy = Heads::entropy(log_probs).into_data();
        let results = found.iter::<f64>().zip(entropy.iter::<f64>());
        for ((row, levels), (log_prob, entropy)) in logits.chunks(10).zip(levels).zip(results) {
            let (mut expected_log_prob, mut expected_entropy) = (0.0, 0.0);
            let mut start = 0;
            for (level, count) in levels.into_iter().zip([3, 5, 2]) {
                let head = row[start..start + count].iter().map(|&x| f64::from(x));
                let sum: f64 = head.clone().map(f64::exp).sum();
                let log_p: Vec<f64> = head.map(|x| x - sum.ln()).collect();
                expected_log_prob += log_p[usize::from(level)];
                expected_entropy -= log_p.iter().map(|x| x * x.exp()).sum::<f64>();
                start += count;
            }
            assert!((log_prob - expected_log_prob).abs() < 1e-5);
            assert!((entropy - expected_entropy).abs() < 1e-5);
        }
    }

    #[test]
    fn equal_heads_need_no_padding() {
        let action = MultiDiscrete {
            nvec: vec![7; 6],
            neutral: vec![3; 6],
        };
        let heads = Heads::new(action, &ComputeDevice::Flex.autodiff());
        assert!(heads.padding.is_none());
    }

    fn rollout() -> Rollout {
        let mut rollout = Rollout::new(RolloutShape {
            n_steps: 8,
            total_rows: 4,
            observation_len: 2,
            action_len: 3,
        });
        for at in 0..32 {
            let x = (at as f32 * 0.77).sin();
            rollout.observations[2 * at..2 * at + 2].copy_from_slice(&[x, 1.0 - x]);
            rollout.actions[3 * at..3 * at + 3].copy_from_slice(&[1, (at % 5) as u8, 0]);
            rollout.log_probs[at] = -3.0;
            rollout.advantages[at] = (at as f32 * 1.31).cos();
            rollout.returns[at] = 2.0 + x;
        }
        rollout
    }

    #[test]
    fn padding_rows_change_nothing() {
        let mut clean = rollout();
        for at in 24..32 {
            clean.alive[at] = false;
        }
        let mut dirty = clean.clone();
        for at in 24..32 {
            dirty.advantages[at] = 1e6;
            dirty.returns[at] = -1e6;
            dirty.observations[2 * at] = 5.0;
        }
        let learn = |rollout: &Rollout| {
            let mut ppo = ppo(spec());
            ppo.learn(rollout, 0.0).unwrap();
            let mut logits = [0.0; 10];
            ppo.networks()
                .unwrap()
                .actor
                .forward(&[0.3, 0.7], &mut logits);
            logits
        };
        assert_eq!(learn(&clean), learn(&dirty));
        assert_ne!(learn(&clean), learn(&rollout()));
    }

    #[test]
    fn the_first_minibatch_has_ratio_one_when_nothing_has_changed() {
        let mut ppo = ppo(PpoSpec {
            batch_size: 32,
            n_epochs: 1,
            ..spec()
        });
        let mut rollout = rollout();
        let indices: Vec<usize> = (0..32).collect();
        let batch = Minibatch::gather(&rollout, &indices, &ppo.heads).unwrap();
        let log_prob = ppo.losses(&batch).log_prob.into_data();
        rollout.log_probs = log_prob.iter::<f32>().collect();
        let metrics = ppo.learn(&rollout, 0.0).unwrap();
        assert!(metrics.approx_kl.abs() < 1e-9, "{metrics:?}");
        assert_eq!(metrics.clip_fraction, 0.0);
        assert!(
            metrics.policy_loss.abs() < 1e-6,
            "normalised advantages have mean 0"
        );
        assert!(metrics.value_loss > 0.0);
    }

    #[test]
    fn target_kl_stops_an_update_early() {
        let learn = |target_kl: Option<f64>| {
            let spec = PpoSpec {
                target_kl,
                n_epochs: 30,
                learning_rate: 0.01,
                ..spec()
            };
            let mut ppo = ppo(spec);
            ppo.learn(&rollout(), 0.0).unwrap();
            ppo.gradient_steps
        };
        assert_eq!(learn(None), 60);
        assert_eq!(learn(Some(1e-9)), 0);
    }

    #[test]
    fn the_learning_rate_falls_linearly_or_not_at_all() {
        let rate = |anneal_learning_rate, progress| {
            let mut ppo = ppo(PpoSpec {
                anneal_learning_rate,
                ..spec()
            });
            ppo.learn(&rollout(), progress).unwrap().learning_rate
        };
        assert_eq!(rate(true, 0.0), 3e-4);
        assert_eq!(rate(true, 0.75), 0.75e-4);
        assert_eq!(rate(false, 0.75), 3e-4);
    }

    #[test]
    fn a_reward_that_overflows_is_an_error_and_not_a_network_of_nan() {
        let mut rollout = rollout();
        rollout.returns[3] = f32::MAX;
        let error = ppo(spec()).learn(&rollout, 0.0).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Diverged {
                    what: "value loss",
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn state_restores_and_parts_that_are_missing_are_named() {
        let mut first = ppo(spec());
        first.learn(&rollout(), 0.0).unwrap();
        let mut state = first.state().unwrap();
        let mut second = ppo(PpoSpec { seed: 9, ..spec() });
        second.restore(&state).unwrap();
        assert_eq!(
            first.learn(&rollout(), 0.5).unwrap(),
            second.learn(&rollout(), 0.5).unwrap()
        );
        let mut logits = [[0.0; 10]; 2];
        first
            .networks()
            .unwrap()
            .actor
            .forward(&[0.1, 0.2], &mut logits[0]);
        second
            .networks()
            .unwrap()
            .actor
            .forward(&[0.1, 0.2], &mut logits[1]);
        assert_eq!(logits[0], logits[1]);
        state.remove("shuffle_rng");
        let message = second.restore(&state).unwrap_err().to_string();
        assert_eq!(message, "shuffle_rng cannot be read: it is missing");
    }
}
