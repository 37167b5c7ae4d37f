//! One family, from tuning to results, in its run folder.
use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use prestage_controller::NeedType;
use prestage_envs::{Bound, Seed, Setting, Test, Validation, clairvoyant};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::World;
use super::openings::{Opening, open};
use crate::arms::{ARMS, ArmEntry, Class, arm, values_of};
use crate::compare::{Contestant, STATIC_TUNED, run_all, setting};
use crate::config::{CONFIG, RunConfig};
use crate::evaluation::{evaluate, revision, static_policy, tuned_arm};
use crate::moment::now;
use crate::progress::Progress;
use crate::run_folder::{self, COSTS, CostRow, MANIFEST, ResultRow};

/// Name of the validation costs in a run folder.
pub const VALIDATION: &str = "validation.json";
/// Name of the clairvoyant bound in a run folder, columns as in `results.csv`.
pub const BOUND: &str = "clairvoyant.csv";
/// The bound's name among arms.
pub const CLAIRVOYANT: &str = "clairvoyant";

/// A family with its results.
pub struct Climbed {
    /// The scenario's name, with its variant.
    pub family: String,
    /// Simulated days of a scenario.
    pub days: f64,
    /// Seed of its intervals.
    pub seed: u64,
    /// All rows, as in `results.csv`, with those of the clairvoyant bound.
    pub rows: Vec<ResultRow>,
    /// The same term by term and under each price book, as in `costs.csv`.
    pub costs: Vec<CostRow>,
    /// The static arm that cost least on the validation seeds: what others are compared with.
    pub fixed: String,
    /// The adaptive arm that cost least on them; none when none was tuned.
    pub adaptive: Option<String>,
}

/// Costs on the validation seeds, on which the arms of a class are chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Validated {
    config_blake3: String,
    /// Mean cost of a scenario by arm, US dollars.
    pub(super) usd: BTreeMap<String, f64>,
}

/// Tunes, validates and evaluates the arms of a family, or goes on where it was left.
///
/// # Errors
/// When the folder holds another configuration, or cannot be written.
pub fn climb(run: &Path, world: &World, arms: &[String], command: &str) -> Result<Climbed> {
    let config = &world.config;
    begin(run, config)?;
    let centers = static_policy(run, config)?.centers;
    let static_tuned = arm(STATIC_TUNED)?;
    let mut candidates = vec![(
        static_tuned,
        static_tuned.contestant(&centers, &values_of(&centers)),
    )];
    for name in arms {
        let entry = arm(name)?;
        let contestant = tuned_arm(run, config, entry)?.contestant(&centers)?;
        if [Class::Static, Class::Adaptive].contains(&entry.class) {
            candidates.push((entry, contestant));
        }
    }
    let validated = validated(run, config, &candidates)?;
    let cheapest = |class| cheapest(&validated, &candidates, class);
    let (fixed, adaptive) = (cheapest(Class::Static), cheapest(Class::Adaptive));
    let mut rows = match is_evaluated(run, config, arms)? {
        true => run_folder::read_results(run)?,
        false => {
            let opening = Opening {
                at: now().0 / 1_000_000,
                scenario: config.scenario.name.clone(),
                scenarios: config.eval.scenarios,
                seed: config.seed,
                config_blake3: config.hash(),
                revision: revision().to_owned(),
            };
            open(run, &opening)?;
            evaluate(run, config, config.eval.scenarios, command)?.rows
        }
    };
    rows.extend(bounds(run, config)?);
    let costs = run_folder::read_costs(run)?;
    Ok(Climbed {
        family: world.name.clone(),
        days: f64::from(config.scenario.days),
        seed: config.seed,
        rows,
        costs,
        fixed: fixed.context("the static policy is a candidate")?,
        adaptive,
    })
}

/// The clairvoyant bound of every held-out scenario, in a file of its own: it is no arm.
fn bounds(run: &Path, config: &RunConfig) -> Result<Vec<ResultRow>> {
    let path = run.join(BOUND);
    if path.exists() {
        return run_folder::read_rows(&path);
    }
    let scenario = config.scenario()?;
    let seeds: Vec<Seed<Test>> = Seed::several(config.seed, 0, config.eval.scenarios as usize);
    let progress = Progress::new("bound", seeds.len() as u64);
    let of_seed = |seed: &Seed<Test>| {
        let setting = setting(&scenario, seed.value());
        let bound = clairvoyant(&setting);
        progress.step();
        bound_rows(&setting, &bound, &scenario.spec().name, seed.value())
    };
    let rows: Vec<ResultRow> = seeds.par_iter().flat_map_iter(of_seed).collect();
    run_folder::write_file(&path, &run_folder::csv_bytes(&rows)?)?;
    Ok(rows)
}

fn bound_rows(setting: &Setting, bound: &Bound, scenario: &str, seed: u64) -> Vec<ResultRow> {
    let of_need = |need: &NeedType| {
        let cells = setting.record.cells.iter().zip(&bound.cells);
        let costs = cells.filter(|(spec, _)| spec.need == *need);
        ResultRow {
            arm: CLAIRVOYANT.to_owned(),
            scenario: scenario.to_owned(),
            scenario_seed: seed,
            need: need.to_string(),
            cost_usd: costs.map(|(_, cell)| cell.cost.total()).sum(),
            ..ResultRow::default()
        }
    };
    NeedType::ALL.iter().map(of_need).collect()
}

fn begin(run: &Path, config: &RunConfig) -> Result<()> {
    run_folder::create_folder(run)?;
    if run.join(CONFIG).exists() {
        ensure!(
            RunConfig::read(run)?.hash() == config.hash(),
            "`{}` was begun with another configuration\n\nhint: give another --out, or restore the experiment",
            run.display()
        );
        return Ok(());
    }
    config.write(run)
}

/// Whether these arms were all compared. The manifest is written last.
fn is_evaluated(run: &Path, config: &RunConfig, arms: &[String]) -> Result<bool> {
    // A folder of an older version lacks the cost terms: its arms are run again.
    if !run.join(MANIFEST).exists() || !run.join(COSTS).exists() {
        return Ok(false);
    }
    let manifest = run_folder::read_manifest(run)?;
    let has_all = arms.iter().all(|arm| manifest.arms.contains(arm));
    Ok(has_all && manifest.config_hash == config.hash())
}

/// An arm that a class is chosen from.
pub(super) type Candidate = (&'static ArmEntry, Contestant);

/// The costs on the validation seeds, computed now where the folder lacks one.
pub(super) fn validated(
    run: &Path,
    config: &RunConfig,
    candidates: &[Candidate],
) -> Result<Validated> {
    let path = run.join(VALIDATION);
    if path.exists() {
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read `{}`", path.display()))?;
        let known: Validated =
            serde_json::from_str(&text).with_context(|| format!("`{}`", path.display()))?;
        let is_complete = candidates
            .iter()
            .all(|(entry, _)| known.usd.contains_key(entry.name));
        if known.config_blake3 == config.hash() && is_complete {
            return Ok(known);
        }
    }
    let found = validate(config, candidates)?;
    let text = serde_json::to_string_pretty(&found)?;
    run_folder::write_file(&path, text.as_bytes())?;
    Ok(found)
}

/// The cheapest of a class; of equals the first in the order of the registry.
pub(super) fn cheapest(
    validated: &Validated,
    candidates: &[Candidate],
    class: Class,
) -> Option<String> {
    let is_candidate = |name: &str| candidates.iter().any(|(entry, _)| entry.name == name);
    let costs = ARMS
        .iter()
        .filter(|entry| entry.class == class && is_candidate(entry.name))
        .filter_map(|entry| Some((entry.name, *validated.usd.get(entry.name)?)));
    let best = costs.min_by(|a, b| a.1.total_cmp(&b.1));
    best.map(|(name, _)| name.to_owned())
}

fn validate(config: &RunConfig, candidates: &[Candidate]) -> Result<Validated> {
    let scenario = config.scenario()?;
    let seeds: Vec<Seed<Validation>> =
        Seed::several(config.seed, 0, config.eval.validation as usize);
    let contestants: Vec<Contestant> = candidates.iter().map(|(_, one)| one.clone()).collect();
    let progress = Progress::new("validate", (contestants.len() * seeds.len()) as u64);
    let episodes = run_all(&scenario, &contestants, &seeds, &progress);
    let usd = candidates
        .iter()
        .zip(&episodes)
        .map(|((entry, _), episodes)| {
            let sum: f64 = episodes.iter().map(|episode| episode.cost_usd()).sum();
            (entry.name.to_owned(), sum / episodes.len() as f64)
        })
        .collect();
    Ok(Validated {
        config_blake3: config.hash(),
        usd,
    })
}
