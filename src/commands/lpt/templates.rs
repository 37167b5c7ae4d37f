//! The flag `--template`, and the templates that a command sees.
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use prestage_lpt::{Template, TemplateSet};

use super::files::read_bytes;

/// Templates beside those that ship or are registered.
#[derive(Debug, Args)]
pub struct TemplateArgs {
    /// A template in YAML or JSON, added to those known or in the place of the one of its name;
    /// may be repeated.
    #[arg(long, value_name = "FILE")]
    template: Vec<PathBuf>,
}

impl TemplateArgs {
    /// The templates given.
    pub(super) fn given(&self) -> Result<Vec<Template>> {
        let parse = |path: &PathBuf| -> Result<Template> {
            let file = path.display().to_string();
            Ok(Template::parse_bytes(&file, &read_bytes(path)?)?)
        };
        self.template.iter().map(parse).collect()
    }

    /// The templates given over those of a set.
    pub(super) fn over(&self, mut templates: TemplateSet) -> Result<TemplateSet> {
        for template in self.given()? {
            templates.replace(template);
        }
        Ok(templates)
    }
}
