//! A replay as a run folder, so that it is reported as any other run.
use std::path::{Path, PathBuf};

use anyhow::Result;
use prestage_envs::Setting;

use super::Replayed;
use crate::arms::{Class, class_of};
use crate::compare::{Contestant, STATIC_TUNED, cost_rows, rows};
use crate::evaluation::revision;
use crate::report;
use crate::run_folder::{self, Manifest};

/// Writes a replay as a run folder, with its report, and returns the path of the page.
///
/// # Errors
/// When the folder cannot be written.
pub fn write_run(
    folder: &Path,
    setting: &Setting,
    contestants: &[Contestant],
    replayed: &Replayed,
    command: &str,
) -> Result<PathBuf> {
    run_folder::create_folder(folder)?;
    let seed = setting.world.seed;
    let name = &replayed.replay.history;
    let (mut all, mut costs) = (Vec::new(), Vec::new());
    for (contestant, episode) in contestants.iter().zip(&replayed.episodes) {
        all.extend(rows(contestant, name, seed, episode));
        let world = (name.as_str(), seed);
        costs.extend(cost_rows(contestant, &setting.prices, world, episode));
    }
    run_folder::write_results(folder, &all)?;
    run_folder::write_costs(folder, &costs)?;
    run_folder::write_timeline(folder, &replayed.timeline)?;
    let arms: Vec<String> = contestants
        .iter()
        .map(|contestant| contestant.arm.name.clone())
        .collect();
    let first_is_static = class_of(&arms[0]) == Some(Class::Static);
    let is_reference = |name: &&String| !first_is_static && *name == STATIC_TUNED;
    let reference = arms.iter().find(is_reference).unwrap_or(&arms[0]).clone();
    let manifest = Manifest {
        format_version: run_folder::FORMAT_VERSION,
        name: format!("replay of {name}"),
        created_by: format!("prestage {}", env!("CARGO_PKG_VERSION")),
        git_revision: revision().to_owned(),
        seed,
        config_hash: blake3::hash(format!("{:?}", setting.world).as_bytes())
            .to_hex()
            .to_string(),
        scenario: name.clone(),
        evaluated_days: setting.record.days(),
        timeline_arm: Some(arms[0].clone()),
        reference_arm: reference,
        arms,
        command: command.to_owned(),
    };
    run_folder::write_manifest(folder, &manifest)?;
    report::write(folder)
}
