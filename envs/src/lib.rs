//! World and controller as reinforcement-learning environments: episodes,
//! rewards, vectorisation, and whole runs of one arm for comparisons.
//!
//! Must never know: burn, the command line, files.
mod cell_env;
mod clairvoyant;
mod episode;
mod privileged;
mod registry;
mod seeds;
mod vector;

pub use cell_env::{CellEnv, CellEnvOptions};
pub use clairvoyant::{Bound, CellBound, Penalized, PenalizedCell, clairvoyant, penalized};
pub use episode::{CellResult, Episode, EpisodeHost, Moment, Setting, run_arm, run_episode};
pub use privileged::{Latent, Privileged, PrivilegedPolicy};
pub use registry::{ENVS, EnvEntry};
pub use seeds::{Purpose, Seed, SeedSet, Test, Training, Tuning, Validation};
pub use vector::ParallelVectorEnv;
