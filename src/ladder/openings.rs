//! Who looked at the test seeds, and when: a line an opening, in the run folder for good.
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Name of the log in a run folder.
pub const OPENINGS: &str = "openings.jsonl";

/// One look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opening {
    /// Unix seconds.
    pub at: i64,
    /// The scenario.
    pub scenario: String,
    /// Test seeds, from the first of the master seed.
    pub scenarios: u32,
    /// Master seed.
    pub seed: u64,
    /// BLAKE3 of the run's configuration.
    pub config_blake3: String,
    /// Git revision of the program.
    pub revision: String,
}

/// Writes down a look before it happens: appended and synced, so that no kill forgets it.
pub fn open(run: &Path, opening: &Opening) -> Result<()> {
    let path = run.join(OPENINGS);
    let append = || -> std::io::Result<()> {
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)?;
        let mut line = serde_json::to_string(opening)?;
        line.push('\n');
        file.write_all(line.as_bytes())?;
        file.sync_all()
    };
    append().with_context(|| format!("cannot write `{}`", path.display()))
}
