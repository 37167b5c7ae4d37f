//! `prestage lpt`: templates to pipeline files, and the repository of pipelines.
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};
use prestage_lpt::{
    Activation, ApplicationDefinition, Assembly, CommitId, GitStore, Instance, LogEntry,
    NeedOrigin, NeedType, PipelineRepository, PredictedNeed, RollbackTo, StageDefinition, Staged,
    Template, TemplateSet, driver, generate_stage_definition, resolve,
};
use prestage_telemetry::Timestamp;

use super::{OutputArgs, print, print_table};
use crate::output::{Cell, Table};

/// Subcommands of `lpt`.
#[derive(Debug, Subcommand)]
pub enum LptCommand {
    /// Render an instance, with a stage staged if asked, to the files of its targets.
    Render(RenderArgs),
    /// Show why each stage of a pipelines repository exists.
    Log(LogArgs),
    /// Restore an earlier state of a service's pipeline, byte for byte, by a new commit.
    Rollback(RollbackArgs),
}

/// Arguments of `lpt render`.
#[derive(Debug, Args)]
pub struct RenderArgs {
    /// Instance in YAML or JSON: service, template, params, regions.
    instance: PathBuf,
    /// A template in YAML or JSON beside those that ship; may be repeated.
    #[arg(long, value_name = "FILE")]
    template: Vec<PathBuf>,
    /// Also stage a stage for this need type.
    #[arg(long, value_parser = need_type)]
    need: Option<NeedType>,
    /// Replicas or shards of that stage.
    #[arg(long, default_value_t = 0, requires = "need")]
    magnitude: i64,
    /// When it is wanted, unix seconds.
    #[arg(long, default_value_t = 0, requires = "need")]
    at: i64,
    /// Stage it active.
    #[arg(long, requires = "need")]
    active: bool,
    /// Print the application definition instead of the targets' files.
    #[arg(long)]
    definition: bool,
    /// Write the files under this directory instead of printing them.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Arguments of `lpt log`.
#[derive(Debug, Args)]
pub struct LogArgs {
    /// The pipelines repository.
    repository: PathBuf,
    /// Only this service.
    #[arg(long)]
    service: Option<String>,
    /// At most so many entries, newest first.
    #[arg(long)]
    limit: Option<usize>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Arguments of `lpt rollback`.
#[derive(Debug, Args)]
pub struct RollbackArgs {
    /// The pipelines repository.
    repository: PathBuf,
    /// The service.
    service: String,
    /// The commit whose state is restored; one step back when not given.
    #[arg(long, value_name = "COMMIT")]
    to: Option<String>,
    /// Commit time, unix seconds; now when not given.
    #[arg(long)]
    at: Option<i64>,
}

fn need_type(text: &str) -> Result<NeedType, String> {
    NeedType::parse(text).ok_or_else(|| {
        let known: Vec<&str> = NeedType::ALL.iter().map(|need| need.as_str()).collect();
        format!(
            "there is no need type `{text}` (known: {})",
            known.join(", ")
        )
    })
}

pub(super) fn run(command: &LptCommand) -> Result<()> {
    match command {
        LptCommand::Render(args) => render(args),
        LptCommand::Log(args) => log(args),
        LptCommand::Rollback(args) => rollback(args),
    }
}

fn render(args: &RenderArgs) -> Result<()> {
    let mut templates = TemplateSet::builtin();
    for path in &args.template {
        templates.insert(Template::parse(&path.display().to_string(), &read(path)?)?)?;
    }
    let instance = Instance::parse(&args.instance.display().to_string(), &read(&args.instance)?)?;
    let definition = resolve(&templates, &instance)?;
    if args.definition {
        return print(&definition.to_json());
    }
    let stage = args
        .need
        .map(|need| stage(args, need, &definition))
        .transpose()?;
    let files = files(&definition, stage.as_ref(), args.active)?;
    for (path, bytes) in &files {
        match &args.out {
            Some(root) => write(&root.join(path), bytes)?,
            None => print(&format!("# {path}\n{}\n", String::from_utf8_lossy(bytes)))?,
        }
    }
    Ok(())
}

fn stage(
    args: &RenderArgs,
    need: NeedType,
    definition: &ApplicationDefinition,
) -> Result<StageDefinition> {
    let predicted = PredictedNeed {
        service: definition.service.clone(),
        need,
        regions: Vec::new(),
        window_start: args.at,
        window_s: 300,
        magnitude: args.magnitude,
        params: Default::default(),
    };
    Ok(generate_stage_definition(definition, &predicted)?)
}

fn files(
    definition: &ApplicationDefinition,
    stage: Option<&StageDefinition>,
    active: bool,
) -> Result<Vec<(String, Vec<u8>)>> {
    let activation = if active {
        Activation::Active
    } else {
        Activation::Inactive
    };
    let staged: Vec<Staged> = stage
        .into_iter()
        .map(|stage| Staged { stage, activation })
        .collect();
    let revision = definition.revision();
    let assembly = Assembly {
        definition,
        revision: &revision,
        staged,
    };
    let mut files = Vec::new();
    for target in &definition.pipeline.targets {
        files.extend(
            driver(target)?
                .emit(&assembly)?
                .into_iter()
                .map(|file| (file.path, file.bytes)),
        );
    }
    Ok(files)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        crate::run_folder::create_folder(folder)?;
    }
    crate::run_folder::write_file(path, bytes)?;
    print(&format!("{}\n", path.display()))
}

fn log(args: &LogArgs) -> Result<()> {
    let repository = open(&args.repository)?;
    let entries = match &args.service {
        Some(service) => {
            repository.definition(service)?;
            repository.log_of(service)?
        }
        None => repository.log()?,
    };
    let mut table = Table::new(&[
        "at",
        "commit",
        "service",
        "action",
        "stage",
        "need",
        "origin",
        "arm",
        "probability",
        "threshold",
        "policy",
    ]);
    for entry in entries.iter().take(args.limit.unwrap_or(usize::MAX)) {
        table.push(row(entry));
    }
    print_table(&table, args.output)
}

fn row(entry: &LogEntry) -> Vec<Cell> {
    let number = |value: Option<f64>| value.map_or(Cell::Empty, |value| Cell::Number(value, 4));
    let text = |value: Option<String>| Cell::text(value.unwrap_or_default());
    let why = &entry.provenance;
    let reason = entry
        .reason
        .map(|reason| format!(" ({})", reason.as_str()))
        .unwrap_or_default();
    vec![
        Cell::text(Timestamp::from_seconds(entry.at).to_string()),
        Cell::text(entry.commit.short()),
        Cell::text(&entry.service),
        Cell::text(format!("{}{reason}", entry.action.as_str())),
        text(entry.stage.clone()),
        text(entry.need.map(|need| need.to_string())),
        text(why.origin.map(|origin| match origin {
            NeedOrigin::Predicted => "predicted".to_owned(),
            NeedOrigin::Requested => "requested".to_owned(),
        })),
        text(why.arm.clone()),
        number(why.probability),
        number(why.threshold),
        text(
            why.policy_hash
                .as_ref()
                .map(|hash| hash.chars().take(12).collect()),
        ),
    ]
}

fn rollback(args: &RollbackArgs) -> Result<()> {
    let mut repository = open(&args.repository)?;
    let to = match &args.to {
        Some(commit) => RollbackTo::Commit(CommitId::from_hex(commit)),
        None => RollbackTo::OneStepBack,
    };
    let commit = repository.rollback(&args.service, &to, args.at.unwrap_or_else(now))?;
    print(&format!("{}\n", commit.id))
}

/// Opens a repository that must be there: a mistyped path must not make one, nor must
/// an empty folder become one.
fn open(path: &Path) -> Result<PipelineRepository> {
    ensure!(
        path.join("HEAD").is_file() || path.join(".git").exists(),
        "there is no repository `{}`\n\nhint: `prestage replay --pipelines DIR.git` makes one",
        path.display()
    );
    let store =
        GitStore::open(path).with_context(|| format!("cannot open `{}`", path.display()))?;
    Ok(PipelineRepository::open(Box::new(store))?)
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a commit by a person carries the time of day"
)]
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs() as i64)
}
