//! One set of constants for all families of an experiment.
//!
//! What is lost by not tuning for each family is what the other static arms save over it. It is
//! searched for with the budget of every other arm in every family, on the same tuning seeds;
//! what is weighed is dollars, so dear families count for more, as they do for who pays.
use std::path::Path;

use anyhow::{Context, Result, ensure};
use prestage_controller::KnobCenters;

use super::{Experiment, World};
use crate::arms::{ALL_FAMILIES, arm};
use crate::run_folder;
use crate::tune::{Task, TunedArm, tune_arm};

/// Its file in the folder of an experiment.
const FILE: &str = "static-all-families.json";

/// The arm for all worlds of an experiment, found now when its folder lacks it; none where the
/// experiment does not name it.
///
/// # Errors
/// When the folder holds that of other worlds, or cannot be written.
pub fn for_all_families(folder: &Path, experiment: &Experiment) -> Result<Option<TunedArm>> {
    if !experiment.arms.iter().any(|name| name == ALL_FAMILIES) {
        return Ok(None);
    }
    let worlds = experiment.worlds()?;
    let hash = hash(&worlds);
    let path = folder.join(FILE);
    if path.exists() {
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read `{}`", path.display()))?;
        let found: TunedArm =
            serde_json::from_str(&text).with_context(|| format!("`{}`", path.display()))?;
        ensure!(
            found.config_blake3 == hash && found.arm == ALL_FAMILIES,
            "`{}` is of another experiment\n\nhint: give another --out, or restore the experiment",
            path.display()
        );
        return Ok(Some(found));
    }
    let scenarios: Vec<_> = worlds
        .iter()
        .map(|world| world.config.scenario())
        .collect::<Result<_>>()?;
    let task = Task {
        entry: arm(ALL_FAMILIES)?,
        scenarios: &scenarios,
        centers: &KnobCenters::default(),
    };
    let found = tune_arm(&task, &experiment.tune, experiment.seed)
        .with_context(|| format!("`{ALL_FAMILIES}` has nothing to tune"))?;
    let found = TunedArm {
        config_blake3: hash,
        ..found
    };
    let text = serde_json::to_string_pretty(&found)?;
    run_folder::write_file(&path, text.as_bytes())?;
    Ok(Some(found))
}

/// BLAKE3 of the configurations of all worlds, in their order.
fn hash(worlds: &[World]) -> String {
    let mut hasher = blake3::Hasher::new();
    for world in worlds {
        hasher.update(world.config.hash().as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}
