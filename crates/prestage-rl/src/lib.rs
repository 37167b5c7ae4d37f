//! Reinforcement learning on burn: algorithms, rollouts, the training loop,
//! checkpoints, export to a [`prestage_policy::Artifact`].
//!
//! ```text
//! VectorEnv --observations--> plain networks --actions--> VectorEnv      train.rs, heads.rs
//!     |                            ^
//!     v                            | snapshot of the weights
//! Rollout (advantages) ------> Learner (burn)                           rollout.rs, ppo.rs
//! ```
//!
//! burn sees whole minibatches only; every step of an environment is answered by
//! the plain network of `prestage-policy`, the code that runs in production.
//! A seed fixes every bit of the result: initial weights, sampling and shuffling
//! draw from generators of our own whose state is in the checkpoint.
//!
//! Must never know: pipelines, telemetry, our worlds.
mod checkpoint;
mod collect;
mod device;
mod error;
mod export;
mod gradients;
mod heads;
mod learner;
mod moments;
mod network;
mod ppo;
mod rollout;
mod train;

#[cfg(test)]
mod test_envs;

pub use device::ComputeDevice;
pub use error::Error;
pub use learner::{
    ALGOS, AlgoEntry, Build, LearnMetrics, Learner, LearnerContext, Networks, Schedule,
    build_learner,
};
pub use ppo::{Ppo, PpoParams, PpoSpec};
pub use rollout::{Rollout, RolloutShape};
pub use train::{Metrics, Resumed, Trainer};
