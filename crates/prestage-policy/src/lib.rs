//! The contract between environments, algorithms and production: [`Env`],
//! [`Step`], [`Layout`], [`Policy`], and the exported [`Artifact`].
//!
//! Must never know: burn, simulation, pipelines.
mod artifact;
mod card;
mod env;
mod error;
mod load;
mod mlp;
mod mlp_policy;
mod normalizer;
mod policy;
mod publish;
mod space;

pub use artifact::{
    Artifact, FORMAT, FORMAT_VERSION, FileEntry, GOLDEN_FILE, Golden, GoldenCase, MANIFEST_FILE,
    Manifest, Network, Notes, README_FILE, TrainedActor, WEIGHTS_FILE,
};
pub use env::{Env, EnvSpec, SnapshotError, Step, VectorEnv};
pub use error::Error;
pub use mlp::{Activation, Dense, Mlp};
pub use mlp_policy::MlpPolicy;
pub use normalizer::Normalizer;
pub use policy::{NeutralPolicy, Policy};
pub use publish::replace_file;
pub use space::{Field, Layout, MultiDiscrete};
