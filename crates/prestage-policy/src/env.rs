//! The contract between environments and algorithms.
//!
//! Gymnasium's semantics over flat buffers: `reset(seed)`, `step(actions)`,
//! `terminated` and `truncated` kept apart, same-step auto-reset with the last
//! observation of the finished episode kept in `final_observations`.
//!
//! One environment decides for several *rows* at once (prestage: one row per
//! cell). Algorithms treat each row as a trajectory of its own; all rows of one
//! environment share its clock, so they start and are truncated together, but a
//! single row may terminate earlier and is then reported as `terminated` at
//! every further step until the episode ends.
use crate::space::{Layout, MultiDiscrete};

/// What does not change while an environment lives.
#[derive(Clone, Debug, PartialEq)]
pub struct EnvSpec {
    /// Registry name, for example `prestage`.
    pub name: String,
    /// Observation of one row.
    pub layout: Layout,
    /// Action of one row.
    pub action: MultiDiscrete,
    /// Rows (decisions) per step.
    pub n_rows: usize,
    /// Steps until an episode is truncated.
    pub max_episode_steps: usize,
}

/// What one step returns. Buffers are allocated once and reused.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// `[n_rows * layout.len()]`, the next observation; after an episode end, the
    /// first observation of the next episode (same-step auto-reset, vectors only).
    pub observations: Vec<f32>,
    /// `[n_rows * layout.len()]`, valid for rows where `terminated` or `truncated`:
    /// the last observation of the episode that ended.
    pub final_observations: Vec<f32>,
    /// `[n_rows]`, dimensionless.
    pub rewards: Vec<f32>,
    /// `[n_rows]`: nothing follows, do not bootstrap.
    pub terminated: Vec<bool>,
    /// `[n_rows]`: we stopped watching, it goes on; bootstrap from `final_observations`.
    pub truncated: Vec<bool>,
}

impl Step {
    /// Zeroed buffers for `n_rows` rows of `observation_len` values.
    pub fn new(n_rows: usize, observation_len: usize) -> Self {
        Self {
            observations: vec![0.0; n_rows * observation_len],
            final_observations: vec![0.0; n_rows * observation_len],
            rewards: vec![0.0; n_rows],
            terminated: vec![false; n_rows],
            truncated: vec![false; n_rows],
        }
    }
}

/// One environment. Deterministic: `reset(seed)` and the actions fix everything.
pub trait Env: Send {
    /// Shapes, names and limits.
    fn spec(&self) -> &EnvSpec;

    /// Starts a new episode and writes `[n_rows * layout.len()]` observations.
    fn reset(&mut self, seed: u64, observations: &mut [f32]);

    /// Advances by one decision interval. `actions` is `[n_rows * action.len()]`,
    /// row-major, every level below its `nvec` entry. Does not reset by itself;
    /// stepping a finished episode is a bug in the caller and panics.
    fn step(&mut self, actions: &[u8], step: &mut Step);

    /// Everything needed to go on bit-identically, as bytes only this
    /// environment can read.
    fn snapshot(&self) -> Vec<u8>;

    /// Restores what [`Env::snapshot`] of an environment with the same spec wrote.
    fn restore(&mut self, snapshot: &[u8]) -> Result<(), SnapshotError>;
}

/// A snapshot that does not belong to this environment.
#[derive(Debug, thiserror::Error)]
#[error("environment snapshot is not readable: {reason}")]
pub struct SnapshotError {
    /// What was wrong with it.
    pub reason: String,
}

/// Several environments with one spec, stepped together; rows are concatenated
/// in environment order. Resets an environment in the step that ends its episode.
pub trait VectorEnv {
    /// The spec of one member; all members share it.
    fn spec(&self) -> &EnvSpec;

    /// Number of member environments.
    fn n_envs(&self) -> usize;

    /// Starts member `i` with a seed derived from (`seed`, `i`, episode 0).
    /// `observations` is `[n_envs * n_rows * layout.len()]`.
    fn reset(&mut self, seed: u64, observations: &mut [f32]);

    /// Steps every member, then resets those whose episode ended.
    fn step(&mut self, actions: &[u8], step: &mut Step);

    /// All members, with their episode counters.
    fn snapshot(&self) -> Vec<u8>;

    /// Restores what [`VectorEnv::snapshot`] wrote.
    fn restore(&mut self, snapshot: &[u8]) -> Result<(), SnapshotError>;

    /// Rows over all members.
    fn total_rows(&self) -> usize {
        self.n_envs() * self.spec().n_rows
    }
}
