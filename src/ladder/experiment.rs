//! The experiment file: a question, and all that is needed to answer it again.
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::arms::arm;
use crate::compare::STATIC_TUNED;
use crate::config::{Budgets, EvalSpec, RunConfig};
use crate::tune::TuneSpec;

/// Name of the file in an experiment's folder.
pub const EXPERIMENT: &str = "experiment.toml";

/// A question with its arms, families, seeds and budgets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// What is asked, in a sentence.
    pub question: String,
    /// What theory says before the run, so that surprise can be seen.
    #[serde(default)]
    pub expected: String,
    /// Shipped scenarios, or paths of TOML files.
    pub families: Vec<String>,
    /// Arms that are tuned beside the static policy; baselines always compete.
    pub arms: Vec<String>,
    /// Master seed.
    #[serde(default = "one")]
    pub seed: u64,
    /// Overrides of every scenario, `key.path=value`.
    #[serde(default)]
    pub set: Vec<String>,
    /// The same budget for every tuned arm.
    #[serde(default)]
    pub tune: TuneSpec,
    /// Held-out and validation scenarios a family.
    #[serde(default)]
    pub eval: EvalSpec,
}

fn one() -> u64 {
    1
}

/// Reads and checks the experiment of a folder.
pub fn read(folder: &Path) -> Result<Experiment> {
    let path = folder.join(EXPERIMENT);
    let text = std::fs::read_to_string(&path).with_context(|| {
        format!(
            "`{}` is no experiment: cannot read `{}`",
            folder.display(),
            path.display()
        )
    })?;
    let experiment: Experiment =
        toml::from_str(&text).with_context(|| format!("`{}`", path.display()))?;
    experiment
        .check()
        .with_context(|| format!("`{}`", path.display()))?;
    Ok(experiment)
}

impl Experiment {
    fn check(&self) -> Result<()> {
        ensure!(
            !self.families.is_empty(),
            "`families` is empty\n\nhint: `prestage list scenarios` shows those shipped"
        );
        for (index, family) in self.families.iter().enumerate() {
            if self.families[..index].contains(family) {
                bail!("`families` names `{family}` twice");
            }
            self.config(family)?;
        }
        for (index, name) in self.arms.iter().enumerate() {
            if self.arms[..index].contains(name) {
                bail!("`arms` names `{name}` twice");
            }
            let entry = arm(name)?;
            ensure!(
                entry.name != STATIC_TUNED && !entry.parameters().is_empty(),
                "`arms`: `{name}` has nothing to tune beside the static policy"
            );
        }
        Ok(())
    }

    /// The run of one family.
    pub fn config(&self, family: &str) -> Result<RunConfig> {
        let budgets = Budgets {
            tune: self.tune.clone(),
            eval: self.eval.clone(),
            ..Budgets::default()
        };
        RunConfig::resolve(family, self.seed, &self.set, budgets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(text: &str, wanted: &str) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(EXPERIMENT), text).unwrap();
        let error = format!("{:#}", read(folder.path()).unwrap_err());
        assert!(error.contains(wanted), "{error}");
        assert!(error.contains(EXPERIMENT), "{error}");
    }

    #[test]
    fn what_cannot_be_run_is_refused_with_its_place() {
        let start = "question = \"?\"\narms = []\n";
        check_refused(&format!("{start}families = []\n"), "`families` is empty");
        check_refused(
            &format!("{start}families = [\"demo\", \"demo\"]\n"),
            "twice",
        );
        check_refused(&format!("{start}families = [\"nowhere\"]\n"), "nowhere");
        let arms =
            |name: &str| format!("question = \"?\"\nfamilies = [\"demo\"]\narms = [\"{name}\"]\n");
        check_refused(&arms("linaer"), "there is no arm `linaer`");
        check_refused(&arms("never"), "nothing to tune");
        check_refused(
            &format!("{start}families = [\"demo\"]\nbudget = 3\n"),
            "budget",
        );
    }
}
