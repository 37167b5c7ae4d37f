//! `prestage export`: an artifact that production loads, of the learnt policy where it surely
//! beats the best simpler rule, else of the static policy.
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use prestage_controller::{KnobCenters, action_space, layout};
use prestage_policy::{Artifact, Notes, TrainedActor};
use serde_json::{Value, json};

use super::print;
use crate::compare::{POLICY, STATIC_TUNED};
use crate::config::RunConfig;
use crate::evaluation::{CHOSEN, choose, revision, trained, verdict_of};
use crate::ladder::{Decision, shipment};

/// Arguments of `export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Run folder of `train` and `eval`, or of `tune` alone.
    run: PathBuf,
    /// Directory of the artifact; `policy` in the run folder when not given.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Export the learnt policy although it does not surely beat the best simpler rule; recorded in the artifact.
    #[arg(long)]
    force: bool,
}

pub(super) fn run(args: &ExportArgs) -> Result<()> {
    let out = args.out.clone().unwrap_or_else(|| args.run.join(CHOSEN));
    let config = RunConfig::read(&args.run)?;
    let decision = export(&args.run, &config, &out, args.force)?;
    eprintln!("{}", decision.verdict);
    if decision.rivals.len() == 1 && decision.edge.is_some() {
        eprintln!(
            "note: no adaptive rule was tuned in this run, so the policy was compared with `{STATIC_TUNED}` alone\n\n\
             hint: begin a run with `prestage tune SCENARIO --arm recalibration --arm linear --out RUN`, then `prestage train --resume RUN`"
        );
    }
    print(&format!("{}\n", out.display()))
}

/// Decides what ships and writes it.
pub(super) fn export(run: &Path, config: &RunConfig, out: &Path, force: bool) -> Result<Decision> {
    let shipment = shipment(run, config)?;
    let decision = shipment.decision;
    let forced = force && decision.edge.is_some() && decision.ships != POLICY;
    let artifact = match decision.ships == POLICY || forced {
        true => learnt(run, config, &decision, forced)?,
        false => constant(config, &shipment.fixed.arm.centers, &decision)?,
    };
    artifact.write(out)?;
    Ok(decision)
}

/// The training seed that does best on validation seeds.
fn learnt(run: &Path, config: &RunConfig, decision: &Decision, forced: bool) -> Result<Artifact> {
    let chosen = choose(run, config)?;
    let policies = trained(run, config)?;
    let (_, source) = policies
        .into_iter()
        .find(|(seed, _)| *seed == chosen)
        .context("the chosen seed is one of those trained")?;
    let mut evaluation = serde_json::to_value(verdict_of(run, config)?)?;
    evaluation["chosen_train_seed"] = json!(chosen);
    evaluation["forced"] = json!(forced);
    evaluation["decision"] = serde_json::to_value(decision)?;
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
    Ok(Artifact::new(actor, notes)?)
}

/// The static policy as an artifact: whatever it sees, every knob stays at its centre.
fn constant(config: &RunConfig, centers: &KnobCenters, decision: &Decision) -> Result<Artifact> {
    let provenance = json!({
        "program": format!("prestage {}", env!("CARGO_PKG_VERSION")),
        "git_revision": revision(),
        "scenario": config.scenario.name,
        "config_blake3": config.hash(),
        "seed": config.seed,
        "train_seed": Value::Null,
    });
    let notes = Notes {
        controller: json!({ "centers": centers }),
        provenance,
        evaluation: json!({ "decision": decision, "forced": false }),
    };
    Ok(Artifact::new(
        TrainedActor::neutral(layout(), action_space())?,
        notes,
    )?)
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
