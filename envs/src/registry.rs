//! The environments there are.
use prestage_policy::Env;

use crate::cell_env::{CellEnv, CellEnvOptions};

/// An entry in the registry.
pub struct EnvEntry {
    /// Name on the command line.
    pub name: &'static str,
    /// One sentence.
    pub about: &'static str,
    /// Makes one.
    pub build: fn(CellEnvOptions) -> Box<dyn Env>,
}

/// All environments.
pub static ENVS: &[EnvEntry] = &[EnvEntry {
    name: "prestage",
    about: "one row a cell, one step an hour; seven levels on each of six knobs; reward is dollars saved against the static policy on the same trace",
    build: |options| Box::new(CellEnv::new(options)),
}];
