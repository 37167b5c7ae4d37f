//! One family, from tuning to results, in its run folder.
use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use prestage_controller::{KnobCenters, NeedType};
use prestage_envs::{Episode, Seed, Setting, Test, Validation, clairvoyant, penalized};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::World;
use super::openings::{Opening, open};
use crate::arms::{ARMS, ArmEntry, Class, Stand, arm, values_of};
use crate::compare::{Contestant, STATIC_TUNED, run_all, setting};
use crate::config::{CONFIG, RunConfig};
use crate::evaluation::{
    VALIDATION, evaluate, keep_tuned_arm, replace_tuned_arm, revision, static_policy, tuned_arm,
};
use crate::moment::now;
use crate::progress::Progress;
use crate::run_folder::{self, COSTS, CostRow, MANIFEST, ResultRow};
use crate::tune::TunedArm;

/// Name of the clairvoyant bound in a run folder, columns as in `results.csv`.
pub const BOUND: &str = "clairvoyant.csv";
/// The bound's name among arms.
pub const CLAIRVOYANT: &str = "clairvoyant";
/// Name of the penalised bound, where some cell pays for foresight. Only its mean is a bound.
pub const PENALIZED: &str = "clairvoyant-penalized";

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
    /// Did they not confirm what the privileged arm found, so that it is static?
    pub privileged_fell_back: bool,
}

/// Costs on the validation seeds, on which the arms of a class are chosen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Validated {
    config_blake3: String,
    /// Mean cost of a scenario by arm, US dollars.
    pub(super) usd: BTreeMap<String, f64>,
}

/// Tunes, validates and evaluates the arms of a family, or goes on where it was left.
///
/// Static policies come first: the cheapest on the validation seeds is what rules that adapt
/// stand on, so that none begins at a worse place than the one it is compared with.
///
/// `found` are arms that were found for more families than this one.
///
/// # Errors
/// When the folder holds another configuration, or cannot be written.
pub fn climb(
    run: &Path,
    world: &World,
    (arms, found): (&[String], &[TunedArm]),
    command: &str,
) -> Result<Climbed> {
    let config = &world.config;
    begin(run, config)?;
    let entries: Vec<&'static ArmEntry> =
        arms.iter().map(|name| arm(name)).collect::<Result<_>>()?;
    let mut candidates = Candidates::begin(run, config)?;
    let first = candidates.all[0].1.arm.centers.clone();
    let stands_on_best = |entry: &ArmEntry| entry.stand() == Stand::BestStatic;
    for entry in entries.iter().filter(|entry| !stands_on_best(entry)) {
        match found.iter().find(|found| found.arm == entry.name) {
            Some(found) => candidates.add_found(entry, found)?,
            None => candidates.add(entry, &first)?,
        }
    }
    let best = candidates.best_static()?.arm.centers.clone();
    for entry in entries.iter().filter(|entry| stands_on_best(entry)) {
        candidates.add(entry, &best)?;
    }
    let privileged_fell_back = candidates.confirm_privileged(&best)?;
    let validated = candidates.validated()?;
    let cheapest = |class| cheapest(&validated, &candidates.all, class);
    let (fixed, adaptive) = (cheapest(Class::Static), cheapest(Class::Adaptive));
    let mut rows = evaluated(run, config, arms, command)?;
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
        privileged_fell_back,
    })
}

/// The results of these arms, computed now where they lack one.
fn evaluated(
    run: &Path,
    config: &RunConfig,
    arms: &[String],
    command: &str,
) -> Result<Vec<ResultRow>> {
    if is_evaluated(run, config, arms)? {
        return run_folder::read_results(run);
    }
    let opening = Opening {
        at: now().0 / 1_000_000,
        scenario: config.scenario.name.clone(),
        scenarios: config.eval.scenarios,
        seed: config.seed,
        config_blake3: config.hash(),
        revision: revision().to_owned(),
    };
    open(run, &opening)?;
    Ok(evaluate(run, config, config.eval.scenarios, command)?.rows)
}

/// The clairvoyant bounds of every held-out scenario, in a file of their own: they are no arms.
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
        let costs: Vec<f64> = bound.cells.iter().map(|cell| cell.cost.total()).collect();
        let mut rows = bound_rows(CLAIRVOYANT, &setting, &costs, seed.value());
        let penalized = penalized(&setting, &scenario);
        if penalized.cells.iter().any(|cell| cell.pays) {
            let costs: Vec<f64> = penalized.cells.iter().map(|cell| cell.usd).collect();
            rows.extend(bound_rows(PENALIZED, &setting, &costs, seed.value()));
        }
        progress.step();
        rows
    };
    let rows: Vec<ResultRow> = seeds.par_iter().flat_map_iter(of_seed).collect();
    run_folder::write_file(&path, &run_folder::csv_bytes(&rows)?)?;
    Ok(rows)
}

/// A row a need type; `costs` are those of the cells, US dollars.
fn bound_rows(bound: &str, setting: &Setting, costs: &[f64], seed: u64) -> Vec<ResultRow> {
    let of_need = |need: &NeedType| {
        let cells = setting.record.cells.iter().zip(costs);
        let costs = cells.filter(|(spec, _)| spec.need == *need);
        ResultRow {
            arm: bound.to_owned(),
            scenario: setting.record.name.clone(),
            scenario_seed: seed,
            need: need.to_string(),
            cost_usd: costs.map(|(_, cost)| cost).sum(),
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

/// The arms among which the best of a class is chosen, and what adaptive ones stand on.
pub(super) struct Candidates<'a> {
    pub(super) run: &'a Path,
    pub(super) config: &'a RunConfig,
    pub(super) all: Vec<Candidate>,
}

impl<'a> Candidates<'a> {
    /// The first static policy.
    fn begin(run: &'a Path, config: &'a RunConfig) -> Result<Self> {
        let centers = static_policy(run, config)?.centers;
        let entry = arm(STATIC_TUNED)?;
        let contestant = entry.contestant(&centers, &values_of(&centers));
        Ok(Self {
            run,
            config,
            all: vec![(entry, contestant)],
        })
    }

    /// Tunes one more arm around these centres; vendors are never the best of a class.
    fn add(&mut self, entry: &'static ArmEntry, centers: &KnobCenters) -> Result<()> {
        let contestant = tuned_arm(self.run, self.config, entry, centers)?.contestant()?;
        if [Class::Static, Class::Adaptive, Class::Privileged].contains(&entry.class) {
            self.all.push((entry, contestant));
        }
        Ok(())
    }

    /// One more arm with numbers that were found elsewhere.
    fn add_found(&mut self, entry: &'static ArmEntry, found: &TunedArm) -> Result<()> {
        let found = TunedArm {
            config_blake3: self.config.hash(),
            ..found.clone()
        };
        keep_tuned_arm(self.run, self.config, entry, &found)?;
        self.all.push((entry, found.contestant()?));
        Ok(())
    }

    fn best_static(&self) -> Result<&Contestant> {
        let name = cheapest(&self.validated()?, &self.all, Class::Static);
        let is_best = |(entry, _): &&Candidate| Some(entry.name) == name.as_deref();
        let best = self.all.iter().find(is_best);
        Ok(&best.context("the static policy is a candidate")?.1)
    }

    /// Makes the privileged arm static where that is cheaper on the validation seeds: what it
    /// found on tuning seeds was luck. Says whether it is.
    fn confirm_privileged(&mut self, best: &KnobCenters) -> Result<bool> {
        let Some(index) = self
            .all
            .iter()
            .position(|(entry, _)| entry.class == Class::Privileged)
        else {
            return Ok(false);
        };
        let validated = self.validated()?;
        let (entry, _) = self.all[index];
        let fixed = cheapest(&validated, &self.all, Class::Static);
        let usd = |name: &str| validated.usd.get(name).copied().unwrap_or(f64::INFINITY);
        let tuned = tuned_arm(self.run, self.config, entry, best)?;
        if tuned.fell_back {
            return Ok(true);
        }
        if fixed.is_none_or(|fixed| usd(entry.name) <= usd(&fixed)) {
            return Ok(false);
        }
        let static_now = tuned.fallen_back()?;
        replace_tuned_arm(self.run, entry, &static_now)?;
        self.all[index].1 = static_now.contestant()?;
        let mut others = validated;
        others.usd.remove(entry.name);
        self.keep(&others)?;
        Ok(true)
    }

    /// The costs on the validation seeds, computed now for the arms that the folder lacks.
    pub(super) fn validated(&self) -> Result<Validated> {
        let mut known = self.known()?;
        let missing: Vec<&Candidate> = self
            .all
            .iter()
            .filter(|(entry, _)| !known.usd.contains_key(entry.name))
            .collect();
        if !missing.is_empty() {
            known.usd.extend(validate(self.config, &missing)?);
            self.keep(&known)?;
        }
        Ok(known)
    }

    fn keep(&self, validated: &Validated) -> Result<()> {
        let text = serde_json::to_string_pretty(validated)?;
        run_folder::write_file(&self.run.join(VALIDATION), text.as_bytes())
    }

    /// The costs on the validation seeds that the folder has.
    pub(super) fn known(&self) -> Result<Validated> {
        let path = self.run.join(VALIDATION);
        let none = Validated {
            config_blake3: self.config.hash(),
            usd: BTreeMap::new(),
        };
        if !path.exists() {
            return Ok(none);
        }
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read `{}`", path.display()))?;
        let known: Validated =
            serde_json::from_str(&text).with_context(|| format!("`{}`", path.display()))?;
        Ok(match known.config_blake3 == none.config_blake3 {
            true => known,
            false => none,
        })
    }
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

fn validate(config: &RunConfig, candidates: &[&Candidate]) -> Result<BTreeMap<String, f64>> {
    let scenario = config.scenario()?;
    let seeds: Vec<Seed<Validation>> =
        Seed::several(config.seed, 0, config.eval.validation as usize);
    let contestants: Vec<Contestant> = candidates.iter().map(|(_, one)| one.clone()).collect();
    let progress = Progress::new("validate", (contestants.len() * seeds.len()) as u64);
    let episodes = run_all(&scenario, &contestants, &seeds, &progress);
    let mean = |episodes: &[Episode]| {
        let sum: f64 = episodes.iter().map(Episode::cost_usd).sum();
        sum / episodes.len() as f64
    };
    let both = candidates.iter().zip(&episodes);
    Ok(both
        .map(|((entry, _), episodes)| (entry.name.to_owned(), mean(episodes)))
        .collect())
}
