//! Evaluation of a run on held-out seeds: every arm on the same worlds, rows and a
//! timeline into the run folder, and the policy to export chosen on other seeds.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use prestage_controller::{KnobCenters, action_space, layout};
use prestage_envs::{Episode, Seed, Test, Validation, run_episode};
use prestage_policy::Artifact;
use serde::{Deserialize, Serialize};

use crate::arms::{ARMS, ArmEntry};
use crate::compare::{
    Contestant, POLICY, STATIC_TUNED, baselines, cost_rows, rows, run_all, setting,
};
use crate::config::{CONFIG, RunConfig};
use crate::output::{Cell, Table};
use crate::progress::Progress;
use crate::replaying::week;
use crate::run_folder::{self, MANIFEST, Manifest, ResultRow};
use crate::statistics::{Bootstrap, Grid, Interval};
use crate::timeline::Timeline;
use crate::tune::{Task, Tuned, TunedArm, tune, tune_arm};

/// Name of the static policy in a run folder.
pub const TUNED: &str = "tuned.json";
/// Folder of the other tuned arms in a run folder, a file each.
pub const TUNED_ARMS: &str = "arms";
/// Name of the validation costs in a run folder.
pub const VALIDATION: &str = "validation.json";
/// Name of the chosen policy in a run folder.
pub const CHOSEN: &str = "policy";

/// What an evaluation found, carried into the exported artifact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Scenario seeds it rests on.
    pub scenarios: usize,
    /// Training seeds it rests on.
    pub train_seeds: usize,
    /// Cost of the policy minus that of the static policy, US dollars a day, over all
    /// training seeds.
    pub policy_minus_static_usd_per_day: Bounds,
    /// One sentence.
    pub verdict: String,
}

/// An estimate and its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// The estimate.
    pub mean: f64,
    /// Lower bound.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
}

impl From<Interval> for Bounds {
    fn from(interval: Interval) -> Self {
        Self {
            mean: interval.estimate,
            low: interval.lower,
            high: interval.upper,
        }
    }
}

/// An evaluated run.
pub struct Evaluated {
    /// All rows, as in `results.csv`.
    pub rows: Vec<ResultRow>,
    /// The comparison of the learnt policy, where one was trained.
    pub verdict: Option<Verdict>,
}

/// Folder of one training seed.
pub fn seed_folder(run: &Path, seed: u32) -> std::path::PathBuf {
    run.join(format!("seed-{seed}"))
}

/// The static policy of a run, found now when it is not there yet.
pub fn static_policy(run: &Path, config: &RunConfig) -> Result<Tuned> {
    if run.join(TUNED).exists() {
        let tuned = read_tuned(run)?;
        // Going on with other settings would mix two runs without a trace.
        ensure!(
            tuned.config_blake3 == config.hash(),
            "`{}` is not the configuration that this run began with\n\nhint: restore it, or begin another run",
            run.join(CONFIG).display()
        );
        return Ok(tuned);
    }
    let tuned = Tuned {
        config_blake3: config.hash(),
        ..tune(&config.scenario()?, &config.tune, config.seed)
    };
    let text = serde_json::to_string_pretty(&tuned)?;
    run_folder::write_file(&run.join(TUNED), text.as_bytes())?;
    Ok(tuned)
}

/// The static policy of a run.
pub fn read_tuned(run: &Path) -> Result<Tuned> {
    let path = run.join(TUNED);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read `{}`", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("`{}`", path.display()))
}

fn tuned_arm_file(run: &Path, entry: &ArmEntry) -> PathBuf {
    run.join(TUNED_ARMS).join(format!("{}.json", entry.name))
}

/// An arm of a run around these centres: as it was tuned before, or tuned now when it was
/// not, or stood on others.
pub fn tuned_arm(
    run: &Path,
    config: &RunConfig,
    entry: &ArmEntry,
    centers: &KnobCenters,
) -> Result<TunedArm> {
    if let Some(tuned) = read_tuned_arm(run, config, entry)?
        && tuned.centers == *centers
    {
        return Ok(tuned);
    }
    let task = Task {
        entry,
        scenarios: &[config.scenario()?],
        centers,
    };
    let found = tune_arm(&task, &config.tune, config.seed)
        .with_context(|| format!("arm `{}` has nothing to tune", entry.name))?;
    let tuned = TunedArm {
        config_blake3: config.hash(),
        ..found
    };
    replace_tuned_arm(run, entry, &tuned)?;
    Ok(tuned)
}

/// Keeps the numbers of an arm in its run, where it does not have just these.
///
/// # Errors
/// When there are some of another run, or the folder cannot be written.
pub fn keep_tuned_arm(
    run: &Path,
    config: &RunConfig,
    entry: &ArmEntry,
    tuned: &TunedArm,
) -> Result<()> {
    match read_tuned_arm(run, config, entry)? {
        Some(known) if known == *tuned => Ok(()),
        _ => replace_tuned_arm(run, entry, tuned),
    }
}

/// Keeps the numbers of an arm in its run. What was computed with earlier ones is computed
/// again: costs on the validation seeds, and results.
pub fn replace_tuned_arm(run: &Path, entry: &ArmEntry, tuned: &TunedArm) -> Result<()> {
    let path = tuned_arm_file(run, entry);
    if path.exists() {
        for outdated in [VALIDATION, MANIFEST] {
            let outdated = run.join(outdated);
            if outdated.exists() {
                std::fs::remove_file(&outdated)
                    .with_context(|| format!("cannot remove `{}`", outdated.display()))?;
            }
        }
    }
    run_folder::create_folder(&run.join(TUNED_ARMS))?;
    let text = serde_json::to_string_pretty(tuned)?;
    run_folder::write_file(&path, text.as_bytes())
}

/// The numbers of an arm of a run, if it was tuned.
fn read_tuned_arm(run: &Path, config: &RunConfig, entry: &ArmEntry) -> Result<Option<TunedArm>> {
    let path = tuned_arm_file(run, entry);
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read `{}`", path.display()))?;
    let tuned: TunedArm =
        serde_json::from_str(&text).with_context(|| format!("`{}`", path.display()))?;
    ensure!(
        tuned.config_blake3 == config.hash() && tuned.arm == entry.name,
        "`{}` is of another run\n\nhint: remove it and tune the arm again",
        path.display()
    );
    Ok(Some(tuned))
}

/// The arms of a run, as [`evaluate`] compares them but for learnt policies: all
/// baselines, those of them that were tuned with their numbers, then the other tuned arms.
///
/// # Errors
/// When the run was not tuned, or a file is of another run.
pub fn tuned_arms(run: &Path) -> Result<Vec<Contestant>> {
    arms_of(run, &RunConfig::read(run)?, &read_tuned(run)?)
}

fn arms_of(run: &Path, config: &RunConfig, tuned: &Tuned) -> Result<Vec<Contestant>> {
    let mut contestants = baselines(&tuned.centers);
    for entry in ARMS.iter().filter(|entry| entry.name != STATIC_TUNED) {
        let Some(found) = read_tuned_arm(run, config, entry)? else {
            continue;
        };
        let contestant = found.contestant()?;
        match contestants
            .iter()
            .position(|one| one.arm.name == entry.name)
        {
            Some(place) => contestants[place] = contestant,
            None => contestants.push(contestant),
        }
    }
    Ok(contestants)
}

/// The trained policies of a run, with their seeds.
pub fn trained(run: &Path, config: &RunConfig) -> Result<Vec<(u64, Arc<Artifact>)>> {
    // A run without any trained seed compares baselines only.
    if !seed_folder(run, 0).exists() {
        return Ok(Vec::new());
    }
    (0..config.train.seeds)
        .map(|seed| {
            let directory = seed_folder(run, seed).join(CHOSEN);
            let artifact = Artifact::load(&directory)
                .and_then(|artifact| artifact.expect_layout(&layout()))
                .and_then(|artifact| artifact.expect_action(&action_space()))
                .with_context(|| format!("training seed {seed} has no usable policy"))?;
            Ok((u64::from(seed), Arc::new(artifact)))
        })
        .collect()
}

/// Runs all arms on the test seeds and writes the run folder's files.
pub fn evaluate(
    run: &Path,
    config: &RunConfig,
    scenarios: u32,
    command: &str,
) -> Result<Evaluated> {
    let scenario = config.scenario()?;
    let tuned = read_tuned(run)?;
    let policies = trained(run, config)?;
    let mut contestants = arms_of(run, config, &tuned)?;
    contestants.extend(policies.iter().map(|(seed, artifact)| {
        Contestant::policy(Arc::clone(artifact), &tuned.centers, Some(*seed))
    }));
    let seeds: Vec<Seed<Test>> = Seed::several(config.seed, 0, scenarios as usize);
    let progress = Progress::new("evaluate", (contestants.len() * seeds.len()) as u64);
    let episodes = run_all(&scenario, &contestants, &seeds, &progress);

    let name = &config.scenario.name;
    let (mut all, mut costs) = (Vec::new(), Vec::new());
    for (contestant, episodes) in contestants.iter().zip(&episodes) {
        for (episode, seed) in episodes.iter().zip(&seeds) {
            let world = (name.as_str(), seed.value());
            all.extend(rows(contestant, name, seed.value(), episode));
            costs.extend(cost_rows(contestant, scenario.prices(), world, episode));
        }
    }
    let days = f64::from(config.scenario.days);
    let verdict = verdict(&all, days, config.seed);
    run_folder::write_results(run, &all)?;
    run_folder::write_costs(run, &costs)?;
    run_folder::write_timeline(
        run,
        &timeline(
            &scenario,
            contestants.last().context("there are arms")?,
            seeds[0].value(),
        )?,
    )?;
    run_folder::write_manifest(run, &manifest(run, config, &contestants, command))?;
    Ok(Evaluated { rows: all, verdict })
}

/// The comparison of the learnt policy with the static one, from `results.csv`.
pub fn verdict_of(run: &Path, config: &RunConfig) -> Result<Verdict> {
    run_folder::read_manifest(run)?;
    let rows = run_folder::read_results(run).with_context(|| {
        format!(
            "`{}` is not evaluated yet: run `prestage eval` on it",
            run.display()
        )
    })?;
    verdict(&rows, f64::from(config.scenario.days), config.seed).with_context(|| {
        format!(
            "`{}` compares no learnt policy with `{STATIC_TUNED}`",
            run.display()
        )
    })
}

/// The training seed whose policy costs least on the validation seeds.
pub fn choose(run: &Path, config: &RunConfig) -> Result<u64> {
    let scenario = config.scenario()?;
    let tuned = read_tuned(run)?;
    let policies = trained(run, config)?;
    let contestants: Vec<Contestant> = policies
        .iter()
        .map(|(seed, artifact)| {
            Contestant::policy(Arc::clone(artifact), &tuned.centers, Some(*seed))
        })
        .collect();
    let seeds: Vec<Seed<Validation>> =
        Seed::several(config.seed, 0, config.eval.validation as usize);
    let progress = Progress::new("validate", (contestants.len() * seeds.len()) as u64);
    let episodes = run_all(&scenario, &contestants, &seeds, &progress);
    let cost = |episodes: &[Episode]| episodes.iter().map(Episode::cost_usd).sum::<f64>();
    let best = episodes
        .iter()
        .enumerate()
        .min_by(|a, b| cost(a.1).total_cmp(&cost(b.1)));
    let (index, _) = best.context("a run has at least one training seed")?;
    Ok(policies[index].0)
}

/// Paired by scenario seed; absent when one side is.
fn verdict(rows: &[ResultRow], days: f64, seed: u64) -> Option<Verdict> {
    // Cost a day by (training seed, scenario seed), summed over need types in file order.
    let mut costs: BTreeMap<(&str, Option<u64>), BTreeMap<u64, f64>> = BTreeMap::new();
    for row in rows {
        let arm = costs.entry((&row.arm, row.train_seed)).or_default();
        *arm.entry(row.scenario_seed).or_default() += row.cost_usd / days;
    }
    let reference = costs.get(&(STATIC_TUNED, None))?;
    let mut differences = Vec::new();
    let mut train_seeds = 0;
    for (_, policy) in costs.iter().filter(|((arm, _), _)| *arm == POLICY) {
        train_seeds += 1;
        for (scenario, fixed) in reference {
            differences.push(policy.get(scenario)? - fixed);
        }
    }
    if train_seeds == 0 {
        return None;
    }
    let interval = Bootstrap::new(seed).mean(&Grid::new(reference.len(), differences))?;
    let verdict = if interval.includes_zero() {
        "no difference from the static policy within noise"
    } else if interval.estimate < 0.0 {
        "cheaper than the static policy"
    } else {
        "dearer than the static policy: static suffices here"
    };
    Some(Verdict {
        scenarios: reference.len(),
        train_seeds,
        policy_minus_static_usd_per_day: interval.into(),
        verdict: verdict.to_owned(),
    })
}

fn timeline(
    scenario: &prestage_world::Scenario,
    contestant: &Contestant,
    seed: u64,
) -> Result<Vec<run_folder::TimelineRow>> {
    let setting = setting(scenario, seed);
    let mut world = setting.world(&contestant.arm);
    let mut timeline = Timeline::new(week(&setting));
    let mut policy = contestant.knob_turner(&setting);
    run_episode(
        &setting,
        &contestant.arm,
        policy.as_mut(),
        &mut world,
        &mut |moment| timeline.watch(&moment),
    )?;
    Ok(timeline.into_rows())
}

fn manifest(run: &Path, config: &RunConfig, contestants: &[Contestant], command: &str) -> Manifest {
    let mut arms: Vec<String> = contestants
        .iter()
        .map(|contestant| contestant.arm.name.clone())
        .collect();
    arms.dedup();
    let name = run.file_name().map_or_else(
        || "run".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    );
    Manifest {
        format_version: run_folder::FORMAT_VERSION,
        name,
        created_by: format!("prestage {}", env!("CARGO_PKG_VERSION")),
        git_revision: revision().to_owned(),
        seed: config.seed,
        config_hash: config.hash(),
        scenario: config.scenario.name.clone(),
        evaluated_days: f64::from(config.scenario.days),
        timeline_arm: arms.last().cloned(),
        reference_arm: STATIC_TUNED.to_owned(),
        arms,
        command: command.to_owned(),
    }
}

/// The git revision that was built; `unknown` outside a clone.
pub fn revision() -> &'static str {
    env!("PRESTAGE_GIT_REVISION")
}

/// One line an arm, over all seeds and need types; `days` are those of one row.
pub fn table(rows: &[ResultRow], days: f64) -> Table {
    let columns = [
        "arm",
        "usd_per_day",
        "vs_static_usd_per_day",
        "needs",
        "hits",
        "misses",
        "waste",
        "blocked_minutes_per_day",
        "runner_minutes_per_day",
    ];
    let mut table = Table::new(&columns);
    let mut arms: Vec<&str> = Vec::new();
    for row in rows {
        if !arms.contains(&row.arm.as_str()) {
            arms.push(&row.arm);
        }
    }
    let of = |arm: &str| {
        rows.iter()
            .filter(|row| row.arm == arm)
            .collect::<Vec<&ResultRow>>()
    };
    let runs = |rows: &[&ResultRow]| rows.len() as f64 / 4.0;
    let cost =
        |rows: &[&ResultRow]| rows.iter().map(|row| row.cost_usd).sum::<f64>() / runs(rows) / days;
    let reference = of(STATIC_TUNED);
    for arm in arms {
        let rows = of(arm);
        let mean = |value: &dyn Fn(&ResultRow) -> f64| {
            rows.iter().map(|row| value(row)).sum::<f64>() / runs(&rows)
        };
        let difference = if reference.is_empty() {
            Cell::Empty
        } else {
            Cell::Number(cost(&rows) - cost(&reference), 2)
        };
        table.push(vec![
            Cell::text(arm),
            Cell::Number(cost(&rows), 2),
            difference,
            Cell::Number(mean(&|row| row.needs as f64), 1),
            Cell::Number(mean(&|row| row.hits as f64), 1),
            Cell::Number(mean(&|row| row.misses as f64), 1),
            Cell::Number(
                mean(&|row| (row.expired + row.withdrawn + row.rolled_back) as f64),
                1,
            ),
            Cell::Number(mean(&|row| row.blocked_minutes / days), 1),
            Cell::Number(mean(&|row| row.runner_minutes / days), 1),
        ]);
    }
    table
}
