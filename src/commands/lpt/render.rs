//! `prestage lpt render`: an instance to the files of its targets.
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use prestage_lpt::{
    Activation, ApplicationDefinition, Assembly, Instance, NeedType, OutputFile, PredictedNeed,
    StageDefinition, Staged, TemplateSet, driver, generate_stage_definition, resolve,
};

use super::super::print;
use super::checks::{CheckArgs, Checks};
use super::files::{read_bytes, write_named};
use super::templates::TemplateArgs;
use crate::fault::GateFailed;

/// Arguments of `lpt render`.
#[derive(Debug, Args)]
pub struct RenderArgs {
    /// Instance in YAML or JSON: service, template, params, regions.
    instance: PathBuf,
    #[command(flatten)]
    templates: TemplateArgs,
    #[command(flatten)]
    checks: CheckArgs,
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

/// Reads the name of a need type.
pub(super) fn need_type(text: &str) -> Result<NeedType, String> {
    NeedType::parse(text).ok_or_else(|| {
        let known: Vec<&str> = NeedType::ALL.iter().map(|need| need.as_str()).collect();
        format!(
            "there is no need type `{text}` (known: {})",
            known.join(", ")
        )
    })
}

pub(super) fn run(args: &RenderArgs) -> Result<()> {
    let templates = args.templates.over(TemplateSet::builtin())?;
    let file = args.instance.display().to_string();
    let instance = Instance::parse_bytes(&file, &read_bytes(&args.instance)?)?;
    let definition = resolve(&templates, &instance)?;
    let checks = args.checks.compile()?;
    checks.definition(&definition).map_err(GateFailed)?;
    if args.definition {
        return print(&definition.to_json());
    }
    let stage = args
        .need
        .map(|need| stage(args, need, &definition))
        .transpose()?;
    let files = files(&definition, stage.as_ref(), args.active, &checks)?;
    for file in &files {
        match &args.out {
            Some(root) => write_named(&root.join(&file.path), &file.bytes)?,
            None => print(&format!(
                "# {}\n{}\n",
                file.path,
                String::from_utf8_lossy(&file.bytes)
            ))?,
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
    checks: &Checks,
) -> Result<Vec<OutputFile>> {
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
    let mut all = Vec::new();
    for target in &definition.pipeline.targets {
        let files = driver(target)?.emit(&assembly)?;
        checks.files(target, &files).map_err(GateFailed)?;
        all.extend(files);
    }
    Ok(all)
}
