//! `prestage export`: the policy that does best on validation seeds, with what its
//! evaluation found, as an artifact that production loads.
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use prestage_controller::{KnobCenters, action_space, layout};
use prestage_policy::{Artifact, Notes, TrainedActor};
use serde_json::json;

use super::print;
use crate::config::RunConfig;
use crate::evaluation::{CHOSEN, choose, trained, verdict_of};
use crate::fault::GateFailed;

/// Arguments of `export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Run folder of `prestage train` and `prestage eval`.
    run: PathBuf,
    /// Directory of the artifact; `policy` in the run folder when not given.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Export although the static policy is cheaper beyond noise; recorded in the artifact.
    #[arg(long)]
    force: bool,
}

pub(super) fn run(args: &ExportArgs) -> Result<()> {
    let out = args.out.clone().unwrap_or_else(|| args.run.join(CHOSEN));
    let config = RunConfig::read(&args.run)?;
    export(&args.run, &config, &out, args.force)?;
    print(&format!("{}\n", out.display()))
}

/// Chooses, judges and writes.
pub(super) fn export(run: &Path, config: &RunConfig, out: &Path, force: bool) -> Result<()> {
    let verdict = verdict_of(run, config)?;
    let dearer = verdict.policy_minus_static_usd_per_day.low > 0.0;
    if dearer && !force {
        return Err(GateFailed(format!(
            "the policy is not exported: it costs more than the static policy, by {:.2} usd a day at least\n\n\
             hint: ship the static policy, train longer, or record the override with --force",
            verdict.policy_minus_static_usd_per_day.low
        ))
        .into());
    }
    let chosen = choose(run, config)?;
    let policies = trained(run, config)?;
    let (_, source) = policies
        .into_iter()
        .find(|(seed, _)| *seed == chosen)
        .context("the chosen seed is one of those trained")?;
    let mut evaluation = serde_json::to_value(&verdict)?;
    evaluation["chosen_train_seed"] = json!(chosen);
    evaluation["forced"] = json!(dearer && force);
    let manifest = source.manifest();
    let actor = TrainedActor {
        layout: manifest.layout.clone(),
        action: manifest.action.clone(),
        normalizer: manifest.normalizer.clone(),
        layers: source.layers().to_vec(),
    };
    let notes = Notes {
        controller: manifest.controller.clone(),
        provenance: manifest.provenance.clone(),
        evaluation,
    };
    Artifact::new(actor, notes)?.write(out)?;
    Ok(())
}

/// Loads an artifact for this controller, with the knob centres it was trained on.
pub(super) fn load(path: &Path) -> Result<(Artifact, KnobCenters)> {
    let artifact = Artifact::load(path)?
        .expect_layout(&layout())?
        .expect_action(&action_space())?;
    let Some(centers) = artifact.manifest().controller.get("centers") else {
        bail!(
            "`{}`: the manifest holds no knob centres (`controller.centers`)\n\nhint: export the policy with `prestage export`",
            path.display()
        );
    };
    let centers = serde_json::from_value(centers.clone())
        .with_context(|| format!("`{}`: `controller.centers`", path.display()))?;
    Ok((artifact, centers))
}

/// As [`load`], ready to be shared by arms.
pub(super) fn load_shared(path: &Path) -> Result<(Arc<Artifact>, KnobCenters)> {
    let (artifact, centers) = load(path)?;
    Ok((Arc::new(artifact), centers))
}
