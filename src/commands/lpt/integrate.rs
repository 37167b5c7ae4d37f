//! `prestage lpt integrate`: proposals on their way into a pipeline that is running.
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use prestage_lpt::{
    NeedOrigin, NeedType, PipelineRepository, PredictedNeed, Provenance, RetireReason, StageKey,
    generate_stage_definition,
};
use prestage_telemetry::Timestamp;

use super::super::{OutputArgs, print_table};
use super::render::need_type;
use super::repository::{At, open};
use crate::output::{Cell, Table};

/// A stage asked for by hand is kept for a day unless told otherwise.
const DEADLINE_S: i64 = 86_400;
/// Needs of one five minutes are one stage, as in the control loop.
const WINDOW_S: i64 = 300;

/// Arguments of `lpt integrate`.
#[derive(Debug, Args)]
pub struct IntegrateArgs {
    /// The pipelines repository.
    repository: PathBuf,
    /// The service.
    service: String,
    /// Hand in a stage for this need type first.
    #[arg(long, value_name = "NEED", value_parser = need_type)]
    propose: Option<NeedType>,
    /// Replicas or shards of that stage.
    #[arg(long, default_value_t = 0, requires = "propose")]
    magnitude: i64,
    /// Unix second by which it must be active, else it expires; a day from now when not given.
    #[arg(long, requires = "propose")]
    deadline: Option<i64>,
    /// Say that the need of the stage with this key has come; may be repeated.
    #[arg(long, value_name = "KEY")]
    confirm: Vec<String>,
    /// Withdraw the stage with this key; may be repeated.
    #[arg(long, value_name = "KEY")]
    withdraw: Vec<String>,
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(args: &IntegrateArgs) -> Result<()> {
    let mut repository = open(&args.repository)?;
    let at = args.at.seconds();
    if let Some(need) = args.propose {
        propose(&mut repository, args, need, at)?;
    }
    for key in &args.confirm {
        let key = queued(&repository, &args.service, key)?;
        repository.confirm(&key, at)?;
    }
    for key in &args.withdraw {
        let key = queued(&repository, &args.service, key)?;
        repository.end(&key, RetireReason::Withdrawn, at)?;
    }
    repository.integrate(&args.service, at)?;
    print_table(&queue(&repository, &args.service)?, args.output)
}

fn propose(
    repository: &mut PipelineRepository,
    args: &IntegrateArgs,
    need: NeedType,
    at: i64,
) -> Result<()> {
    let predicted = PredictedNeed {
        service: args.service.clone(),
        need,
        regions: Vec::new(),
        window_start: at,
        window_s: WINDOW_S,
        magnitude: args.magnitude,
        params: Default::default(),
    };
    let stage = generate_stage_definition(repository.definition(&args.service)?, &predicted)?;
    let provenance = Provenance::of(&stage, NeedOrigin::Requested, at);
    let deadline = args.deadline.unwrap_or(at.saturating_add(DEADLINE_S));
    repository.submit(&stage, &provenance, deadline, at)?;
    Ok(())
}

/// The key of a proposal, given in full or as its first 32 digits.
fn queued(repository: &PipelineRepository, service: &str, text: &str) -> Result<StageKey> {
    let queue = &repository.state(service)?.queue;
    queue
        .keys()
        .find(|key| key.matches(text))
        .cloned()
        .with_context(|| {
            format!(
                "no proposal for `{service}` has key `{text}`\n\nhint: `prestage lpt integrate` lists them"
            )
        })
}

fn queue(repository: &PipelineRepository, service: &str) -> Result<Table> {
    let mut table = Table::new(&[
        "stage",
        "key",
        "state",
        "since",
        "deadline",
        "confirmed",
        "problem",
    ]);
    let time = |seconds: i64| Cell::text(Timestamp::from_seconds(seconds).to_string());
    for (key, queued) in &repository.state(service)?.queue {
        let since = queued.history.last().map_or(0, |entered| entered.at);
        table.push(vec![
            Cell::text(&queued.name),
            Cell::text(key.short()),
            Cell::text(queued.state().as_str()),
            time(since),
            time(queued.deadline),
            Cell::text(if queued.confirmed { "yes" } else { "no" }),
            Cell::text(&queued.problem),
        ]);
    }
    Ok(table)
}
