//! `prestage lpt lint`: pipelines against the rules, and what would make them pass.
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use clap::Args;
use prestage_lpt::{
    ApplicationDefinition, Finding, Instance, LivePipeline, Stage, TemplateSet, Verdict,
    check_rules, driver, repaired, resolve,
};

use super::super::{OutputArgs, print, print_table};
use super::files::{read_bytes, read_outputs, read_text};
use super::repository::{is_there, open};
use super::templates::TemplateArgs;
use crate::fault::GateFailed;
use crate::output::{Cell, Table};

/// Arguments of `lpt lint`.
#[derive(Debug, Args)]
pub struct LintArgs {
    /// A pipelines repository, an instance (YAML or JSON), or with `--driver` the files of a target.
    #[arg(required = true)]
    sources: Vec<PathBuf>,
    /// The sources are files of this target.
    #[arg(long)]
    driver: Option<String>,
    /// Of a repository: only this service.
    #[arg(long)]
    service: Option<String>,
    #[command(flatten)]
    templates: TemplateArgs,
    /// Only what fails.
    #[arg(long)]
    failed: bool,
    /// Print the pipeline as the rules would have it, instead of the findings: a definition for
    /// `lpt edit`, or of a target's files what `lpt analyze` prints.
    #[arg(long)]
    fix: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// What is judged.
enum Subject {
    Definition(Box<ApplicationDefinition>),
    Live(Box<LivePipeline>),
}

impl Subject {
    fn service(&self) -> &str {
        match self {
            Self::Definition(definition) => &definition.service,
            Self::Live(live) => &live.service,
        }
    }

    fn stages(&self) -> Vec<Stage> {
        match self {
            Self::Definition(definition) => definition.stages.clone(),
            Self::Live(live) => live.own_stages(),
        }
    }

    fn repaired(self) -> Result<String> {
        let stages = repaired(self.service(), &self.stages())?;
        match self {
            Self::Definition(mut definition) => {
                definition.stages = stages;
                Ok(definition.to_json())
            }
            Self::Live(live) => {
                let live = live.with_own_stages(stages);
                Ok(format!("{}\n", serde_json::to_string_pretty(&live)?))
            }
        }
    }
}

pub(super) fn run(args: &LintArgs) -> Result<()> {
    let mut subjects = subjects(args)?;
    if args.fix {
        ensure!(
            subjects.len() == 1,
            "`--fix` is for one pipeline, here are {}\n\nhint: `--service` chooses one",
            subjects.len()
        );
        return print(&subjects.remove(0).repaired()?);
    }
    let mut table = Table::new(&["service", "rule", "path", "verdict", "reason", "repair"]);
    let mut failed = 0;
    for subject in &subjects {
        for finding in check_rules(&subject.stages()) {
            let fails = matches!(finding.verdict, Verdict::Fail { .. });
            failed += usize::from(fails);
            if fails || !args.failed {
                table.push(row(subject.service(), &finding));
            }
        }
    }
    print_table(&table, args.output)?;
    ensure!(
        failed == 0,
        GateFailed(format!(
            "rules failed: {failed}\n\nhint: `--fix` prints the pipeline with their repairs"
        ))
    );
    Ok(())
}

fn subjects(args: &LintArgs) -> Result<Vec<Subject>> {
    if let Some(name) = &args.driver {
        let live = driver(name)?.analyze(&read_outputs(&args.sources)?)?;
        return Ok(vec![Subject::Live(Box::new(live))]);
    }
    let mut subjects = Vec::new();
    for source in &args.sources {
        match is_there(source) {
            true => subjects.extend(of_repository(source, args.service.as_deref())?),
            false => subjects.push(of_file(source, &args.templates)?),
        }
    }
    Ok(subjects)
}

fn of_repository(path: &Path, service: Option<&str>) -> Result<Vec<Subject>> {
    let repository = open(path)?;
    let services: Vec<&str> = match service {
        Some(service) => vec![service],
        None => repository.services().collect(),
    };
    let definition = |service: &str| -> Result<Subject> {
        let definition = repository.definition(service)?.clone();
        Ok(Subject::Definition(Box::new(definition)))
    };
    services.into_iter().map(definition).collect()
}

/// An instance is judged by what it resolves to; a definition is one already.
fn of_file(path: &Path, templates: &TemplateArgs) -> Result<Subject> {
    let file = path.display().to_string();
    let bytes = read_bytes(path)?;
    let is_definition = serde_json::from_slice::<serde_json::Value>(&bytes)
        .is_ok_and(|document| document.get("template_revision").is_some());
    let definition = match is_definition {
        true => ApplicationDefinition::parse(&file, &read_text(path)?)?,
        false => {
            let instance = Instance::parse_bytes(&file, &bytes)?;
            resolve(&templates.over(TemplateSet::builtin())?, &instance)?
        }
    };
    Ok(Subject::Definition(Box::new(definition)))
}

fn row(service: &str, finding: &Finding) -> Vec<Cell> {
    let (verdict, reason, repair) = match &finding.verdict {
        Verdict::Pass => ("pass", "", String::new()),
        Verdict::NotApplicable { reason } => ("not applicable", reason.as_str(), String::new()),
        Verdict::Fail { reason, repair } => {
            let repair = format!("{} = {}", repair.field, repair.value);
            ("fail", reason.as_str(), repair)
        }
    };
    vec![
        Cell::text(service),
        Cell::text(&finding.rule),
        Cell::text(&finding.path),
        Cell::text(verdict),
        Cell::text(reason),
        Cell::text(repair),
    ]
}
