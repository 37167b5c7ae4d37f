//! Training runs: the static policy first, then one policy a training seed, each
//! with checkpoints from which a killed run goes on to the bit-identical result.
use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use prestage_controller::{Arm, KnobCenters};
use prestage_envs::{CellEnv, CellEnvOptions, ParallelVectorEnv};
use prestage_policy::{Artifact, Notes, VectorEnv};
use prestage_rl::{
    ComputeDevice, Learner, LearnerContext, Metrics, PpoSpec, Trainer, build_learner,
};
use serde_json::json;

use crate::compare::POLICY;
use crate::config::RunConfig;
use crate::evaluation::{CHOSEN, revision, seed_folder, static_policy};
use crate::progress::Progress;
use crate::run_folder::{self, Progress as ProgressRow};
use crate::tune::Tuned;

/// The algorithm a run trains with.
const ALGORITHM: &str = "ppo";
const CHECKPOINTS: &str = "checkpoints";

/// Tunes and trains into a new run folder, or goes on in one that was killed.
pub fn train(run: &Path, config: &RunConfig) -> Result<Tuned> {
    let tuned = static_policy(run, config)?;
    for seed in 0..config.train.seeds {
        train_seed(run, config, &tuned, seed)?;
    }
    gather_progress(run, config)?;
    Ok(tuned)
}

/// Refuses settings that cannot be trained with, at once and without a trace.
pub fn check(config: &RunConfig) -> Result<()> {
    let untuned = Tuned {
        centers: KnobCenters::default(),
        usd_per_cell_hour: 1.0,
        simulated_days: 0,
        config_blake3: config.hash(),
    };
    learner(config, &environment(config, &untuned)?, 0).map(drop)
}

/// Trains the policy of one seed, unless it is finished.
fn train_seed(run: &Path, config: &RunConfig, tuned: &Tuned, seed: u32) -> Result<()> {
    let folder = seed_folder(run, seed);
    if folder.join(CHOSEN).exists() {
        return Ok(());
    }
    run_folder::create_folder(&folder)?;
    let mut env = environment(config, tuned)?;
    let (mut trainer, mut log) = start_or_resume(&folder, config, &mut env, seed)?;
    let progress = Progress::new(&format!("train seed {seed}"), trainer.n_updates());
    for _ in 0..trainer.update_count() {
        progress.step();
    }
    while !trainer.finished() {
        let metrics = trainer.update(&mut env)?;
        log.push(row(seed, &metrics));
        // 1 is the cost of the static policy: rewards are savings in units of it.
        progress.step_with(&format!("cost {:.3} x static", 1.0 - metrics.mean_reward));
        if trainer.update_count() % config.train.checkpoint_every == 0 || trainer.finished() {
            // The log first: a checkpoint must never be ahead of it.
            run_folder::write_progress(&folder, &log)?;
            trainer.save(&env, &folder.join(CHECKPOINTS))?;
        }
    }
    let notes = notes(config, tuned, seed);
    Artifact::new(trainer.export(), notes)?.write(&folder.join(CHOSEN))?;
    Ok(())
}

/// What every artifact of a run carries beside the actor.
fn notes(config: &RunConfig, tuned: &Tuned, seed: u32) -> Notes {
    Notes {
        controller: json!({ "centers": tuned.centers }),
        provenance: json!({
            "program": format!("prestage {}", env!("CARGO_PKG_VERSION")),
            "git_revision": revision(),
            "scenario": config.scenario.name,
            "config_blake3": config.hash(),
            "seed": config.seed,
            "train_seed": seed,
        }),
        evaluation: serde_json::Value::Null,
    }
}

fn environment(config: &RunConfig, tuned: &Tuned) -> Result<ParallelVectorEnv<CellEnv>> {
    let options = CellEnvOptions {
        scenario: config.scenario()?,
        arm: Arm::at(POLICY, tuned.centers.clone()),
        reward_scale_usd: tuned.usd_per_cell_hour,
    };
    Ok(ParallelVectorEnv::new(
        (0..config.train.n_envs)
            .map(|_| CellEnv::new(options.clone()))
            .collect(),
    ))
}

fn start_or_resume(
    folder: &Path,
    config: &RunConfig,
    env: &mut ParallelVectorEnv<CellEnv>,
    seed: u32,
) -> Result<(Trainer, Vec<ProgressRow>)> {
    let learner = learner(config, env, seed)?;
    let checkpoints = folder.join(CHECKPOINTS);
    if !is_begun(&checkpoints) {
        return Ok((Trainer::new(learner, env)?, Vec::new()));
    }
    let resumed = Trainer::resume(learner, env, &checkpoints)?;
    for damaged in &resumed.damaged {
        eprintln!("warning: a checkpoint was passed over: {damaged}");
    }
    eprintln!("resumed from `{}`", resumed.path.display());
    let mut log = run_folder::read_progress(folder)?;
    log.retain(|row| row.update <= resumed.trainer.update_count());
    Ok((resumed.trainer, log))
}

/// A run killed while it wrote its first checkpoint leaves a hidden part of one,
/// which is none.
fn is_begun(checkpoints: &Path) -> bool {
    let is_hidden = |name: OsString| name.to_string_lossy().starts_with('.');
    std::fs::read_dir(checkpoints)
        .is_ok_and(|entries| entries.flatten().any(|entry| !is_hidden(entry.file_name())))
}

fn learner(
    config: &RunConfig,
    env: &ParallelVectorEnv<CellEnv>,
    seed: u32,
) -> Result<Box<dyn Learner>> {
    let mut table = config.train.ppo.clone();
    if table.contains_key("seed") {
        bail!("`train.ppo.seed` is set; seeds follow from --seed and `train.seeds`");
    }
    check_types(&table)?;
    let derived = prestage_envs::SeedSet::Training.seed(config.seed, u64::from(seed)) >> 1;
    table.insert("seed".to_owned(), toml::Value::Integer(derived as i64));
    let settings = serde_json::to_value(table).context("`train.ppo`")?;
    let context = LearnerContext {
        env: env.spec(),
        total_rows: env.total_rows(),
        device: ComputeDevice::default(),
    };
    build_learner(ALGORITHM, &settings, &context).context("`train.ppo`")
}

/// Tries every setting by itself: a type error then names its key.
fn check_types(table: &toml::Table) -> Result<()> {
    for (key, value) in table {
        // JSON, the form in which settings travel, has no NaN.
        ensure!(
            value.as_float().is_none_or(f64::is_finite),
            "`train.ppo.{key}` is {value} (allowed: a finite number)"
        );
        serde_json::from_value::<PpoSpec>(json!({ key: value }))
            .with_context(|| format!("`train.ppo.{key}`"))?;
    }
    Ok(())
}

fn row(seed: u32, metrics: &Metrics) -> ProgressRow {
    ProgressRow {
        seed: u64::from(seed),
        update: metrics.update,
        row_steps: metrics.row_steps,
        reward_mean: metrics.mean_reward,
        episode_return_mean: metrics.mean_episode_return,
        cost_ratio_to_static: Some(1.0 - metrics.mean_reward),
        policy_loss: metrics.policy_loss,
        value_loss: metrics.value_loss,
        entropy: metrics.entropy,
        approx_kl: metrics.approx_kl,
        clip_fraction: metrics.clip_fraction,
        explained_variance: metrics.explained_variance,
        learning_rate: metrics.learning_rate,
    }
}

/// Joins the logs of all seeds, in seed order.
fn gather_progress(run: &Path, config: &RunConfig) -> Result<()> {
    let mut rows = Vec::new();
    for seed in 0..config.train.seeds {
        rows.extend(run_folder::read_progress(&seed_folder(run, seed))?);
    }
    run_folder::write_progress(run, &rows)
}
