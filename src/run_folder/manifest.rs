//! `manifest.json`: where the numbers of a run come from.
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::files::{read_text, write_file};

/// Name of the manifest in a run folder.
pub const MANIFEST: &str = "manifest.json";

/// Version of the run folder's files that is written.
///
/// Version 2 adds `exposure_days` to `results.csv`, and `costs.csv`. Folders of version 1 are
/// read; what they lack is 0 or absent.
pub const FORMAT_VERSION: u32 = 2;

/// `manifest.json`: where the numbers come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the run folder's files; absent means 1.
    #[serde(default = "first_version")]
    pub format_version: u32,
    /// Name of the run.
    pub name: String,
    /// Program and version, such as `prestage 0.1.0`.
    pub created_by: String,
    /// Git revision of the program, or `unknown`.
    pub git_revision: String,
    /// Master seed.
    pub seed: u64,
    /// Hash of the resolved configuration.
    pub config_hash: String,
    /// Scenario or experiment.
    pub scenario: String,
    /// Simulated days behind one row of the results; costs are divided by it.
    pub evaluated_days: f64,
    /// Every arm, in the order of the ladder.
    pub arms: Vec<String>,
    /// The arm all others are compared with.
    #[serde(default = "default_reference")]
    pub reference_arm: String,
    /// The arm `timeline.csv` shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline_arm: Option<String>,
    /// Command line that made the run.
    pub command: String,
}

/// Reads `manifest.json`.
pub fn read_manifest(run: &Path) -> Result<Manifest> {
    let path = run.join(MANIFEST);
    let text = read_text(&path)?;
    let manifest: Manifest =
        serde_json::from_str(&text).with_context(|| format!("`{}`", path.display()))?;
    let path = path.display();
    let version = manifest.format_version;
    ensure!(
        (1..=FORMAT_VERSION).contains(&version),
        "`{path}`: `format_version` is {version} (allowed: 1 to {FORMAT_VERSION})"
    );
    let days = manifest.evaluated_days;
    ensure!(
        days.is_finite() && days > 0.0,
        "`{path}`: `evaluated_days` is {days} (allowed: a number above 0)"
    );
    Ok(manifest)
}

/// Writes `manifest.json`.
pub fn write_manifest(run: &Path, manifest: &Manifest) -> Result<()> {
    let mut json = serde_json::to_vec_pretty(manifest).context("cannot encode the manifest")?;
    json.push(b'\n');
    write_file(&run.join(MANIFEST), &json)
}

fn first_version() -> u32 {
    1
}

fn default_reference() -> String {
    "static-tuned".to_owned()
}
