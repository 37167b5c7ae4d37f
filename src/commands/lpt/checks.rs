//! The flags `--schema` and `--lint`: what definitions must pass beyond what targets demand.
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Result;
use clap::Args;
use prestage_lpt::{
    ApplicationDefinition, Assembly, Driver, FileSchema, OutputFile, Verdict, check_rules, driver,
};

use super::files::read_json;

/// Checks that a person adds.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Check the files of a driver against this JSON Schema as well, for example the official one
    /// of the target; may be repeated.
    #[arg(long, value_name = "DRIVER=FILE")]
    schema: Vec<ForeignSchema>,
    /// Refuse what a rule of `lpt lint` fails.
    #[arg(long)]
    lint: bool,
}

/// A schema file and whose files it is for.
#[derive(Clone, Debug)]
pub struct ForeignSchema {
    driver: String,
    path: PathBuf,
}

impl FromStr for ForeignSchema {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, path) = text
            .split_once('=')
            .ok_or_else(|| format!("`{text}` is not DRIVER=FILE"))?;
        let known = driver(name).map_err(|error| error.to_string())?;
        Ok(Self {
            driver: known.name().to_owned(),
            path: path.into(),
        })
    }
}

/// Checks ready to be made.
pub(super) struct Checks {
    schemas: Vec<(&'static dyn Driver, FileSchema)>,
    lint: bool,
}

impl CheckArgs {
    /// Reads and compiles the schemas.
    pub(super) fn compile(&self) -> Result<Checks> {
        let compile = |schema: &ForeignSchema| -> Result<(&'static dyn Driver, FileSchema)> {
            let file = schema.path.display().to_string();
            let compiled = FileSchema::compile(&file, &read_json(&schema.path)?)?;
            Ok((driver(&schema.driver)?, compiled))
        };
        Ok(Checks {
            schemas: self.schema.iter().map(compile).collect::<Result<_>>()?,
            lint: self.lint,
        })
    }
}

impl Checks {
    /// What is wrong with a definition, if anything.
    pub(super) fn definition(&self, definition: &ApplicationDefinition) -> Result<(), String> {
        if self.lint {
            rules(definition)?;
        }
        let revision = definition.revision();
        let assembly = Assembly {
            definition,
            revision: &revision,
            staged: Vec::new(),
        };
        let targets = &definition.pipeline.targets;
        for (driver, _) in &self.schemas {
            if targets.iter().any(|target| target == driver.name()) {
                let files = driver.emit(&assembly).map_err(|error| error.to_string())?;
                self.files(driver.name(), &files)?;
            }
        }
        Ok(())
    }

    /// What is wrong with the files of a driver.
    pub(super) fn files(&self, target: &str, files: &[OutputFile]) -> Result<(), String> {
        self.schemas
            .iter()
            .filter(|(driver, _)| driver.name() == target)
            .try_for_each(|(_, schema)| schema.check(files).map_err(|error| error.to_string()))
    }
}

fn rules(definition: &ApplicationDefinition) -> Result<(), String> {
    let failed: Vec<String> = check_rules(&definition.stages)
        .into_iter()
        .filter_map(|finding| match finding.verdict {
            Verdict::Fail { reason, .. } => {
                Some(format!("{} at `{}`: {reason}", finding.rule, finding.path))
            }
            _ => None,
        })
        .collect();
    match failed.is_empty() {
        true => Ok(()),
        false => Err(failed.join("; ")),
    }
}
