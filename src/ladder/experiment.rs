//! The experiment file: a question, and all that is needed to answer it again.
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::ReplaySpec;
use crate::arms::arm;
use crate::compare::STATIC_TUNED;
use crate::config::{Budgets, EvalSpec, RunConfig};
use crate::scenarios;
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
    /// Recorded histories on which the arms of a family are replayed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<ReplaySpec>,
    /// Every family is run in each of these; as it is when there is none.
    #[serde(default, rename = "variant", skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<Variant>,
}

/// A family with something changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Follows the family's name in tables and folders: lower case, digits, `-` and `.`.
    pub name: String,
    /// Overrides, `key.path=value`, after those of the experiment.
    pub set: Vec<String>,
}

/// What one ladder is made for.
#[derive(Clone, Debug, PartialEq)]
pub struct World {
    /// In tables, and name of the run folder.
    pub name: String,
    /// Its run.
    pub config: RunConfig,
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
        for variant in &self.variants {
            let is_plain =
                |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
            ensure!(
                variant
                    .name
                    .starts_with(|c: char| c.is_ascii_alphanumeric())
                    && variant.name.chars().all(is_plain),
                "`variant` is named `{}` (allowed: lower case, digits, `-` and `.`)",
                variant.name
            );
        }
        let worlds = self.worlds()?;
        for (index, world) in worlds.iter().enumerate() {
            if worlds[..index].iter().any(|known| known.name == world.name) {
                bail!("`families` and `variant` give `{}` twice", world.name);
            }
        }
        if let Some(replay) = &self.replay {
            check_replay(replay, &worlds)?;
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

    /// Every family in every variant.
    ///
    /// # Errors
    /// When a scenario does not exist or an override does not fit it.
    pub fn worlds(&self) -> Result<Vec<World>> {
        let mut worlds = Vec::new();
        for family in &self.families {
            if self.variants.is_empty() {
                let config = self.config(family, &[])?;
                let name = config.scenario.name.clone();
                worlds.push(World { name, config });
            }
            for variant in &self.variants {
                let config = self
                    .config(family, &variant.set)
                    .with_context(|| format!("`variant` `{}`", variant.name))?;
                let name = format!("{}.{}", config.scenario.name, variant.name);
                worlds.push(World { name, config });
            }
        }
        Ok(worlds)
    }

    fn config(&self, family: &str, more: &[String]) -> Result<RunConfig> {
        let budgets = Budgets {
            tune: self.tune.clone(),
            eval: self.eval.clone(),
            ..Budgets::default()
        };
        RunConfig::resolve(family, self.seed, &[&self.set, more].concat(), budgets)
    }
}

/// Histories are named by plain folders, and each has a run folder of its own.
fn check_replay(replay: &ReplaySpec, worlds: &[World]) -> Result<()> {
    let families: Vec<&str> = worlds.iter().map(|world| world.name.as_str()).collect();
    ensure!(
        families.contains(&replay.arms_of.as_str()),
        "`replay.arms_of` is `{}`, which is none of the families ({})",
        replay.arms_of,
        families.join(", ")
    );
    ensure!(!replay.histories.is_empty(), "`replay.histories` is empty");
    for (index, name) in replay.histories.iter().enumerate() {
        let is_plain = Path::new(name)
            .file_name()
            .is_some_and(|last| last == name.as_str());
        ensure!(
            is_plain,
            "`replay.histories` names `{name}` (allowed: the name of a folder)\n\n\
             hint: --histories DIR says where the folders lie"
        );
        ensure!(
            !replay.histories[..index].contains(name),
            "`replay.histories` names `{name}` twice"
        );
        ensure!(
            !families.contains(&name.as_str()),
            "`replay.histories` names `{name}`, which is a family too: both would have one run folder"
        );
    }
    scenarios::load(&replay.scenario, &[]).context("`replay.scenario`")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_is_run_in_every_variant() {
        let experiment: Experiment = toml::from_str(
            "question = \"?\"\nfamilies = [\"demo\", \"poisson\"]\narms = []\nset = [\"days=4\"]\n\
             [[variant]]\nname = \"d3-0\"\nset = [\"dials.shared_runners=0\"]\n\
             [[variant]]\nname = \"short\"\nset = [\"days=3\"]\n",
        )
        .unwrap();
        let worlds = experiment.worlds().unwrap();
        let names: Vec<&str> = worlds.iter().map(|world| world.name.as_str()).collect();
        assert_eq!(
            names,
            ["demo.d3-0", "demo.short", "poisson.d3-0", "poisson.short"]
        );
        assert_eq!(worlds[0].config.scenario.days, 4);
        assert_eq!(worlds[1].config.scenario.days, 3);
    }

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
        let variant = |name: &str, set: &str| {
            format!(
                "{start}families = [\"demo\"]\n[[variant]]\nname = \"{name}\"\nset = [\"{set}\"]\n"
            )
        };
        check_refused(&variant("../up", "days=3"), "`../up`");
        check_refused(&variant("d9", "dials.nothing=1"), "`variant` `d9`");
        let arms =
            |name: &str| format!("question = \"?\"\nfamilies = [\"demo\"]\narms = [\"{name}\"]\n");
        check_refused(&arms("linaer"), "there is no arm `linaer`");
        check_refused(&arms("never"), "nothing to tune");
        check_refused(
            &format!("{start}families = [\"demo\"]\nbudget = 3\n"),
            "budget",
        );
    }

    #[test]
    fn histories_that_cannot_be_replayed_are_refused() {
        let replay = |what: &str| {
            format!("question = \"?\"\nfamilies = [\"demo\"]\narms = []\n[replay]\n{what}\n")
        };
        let histories = |names: &str| replay(&format!("histories = [{names}]\narms_of = \"demo\""));
        check_refused(&histories(""), "`replay.histories` is empty");
        check_refused(&histories("\"a\", \"a\""), "twice");
        check_refused(
            &histories("\"../a\""),
            "`../a` (allowed: the name of a folder)",
        );
        check_refused(&histories("\"..\""), "`..` (allowed");
        check_refused(&histories("\"demo\""), "a family too");
        check_refused(
            &replay("histories = [\"a\"]\narms_of = \"poisson\""),
            "none of the families (demo)",
        );
        check_refused(
            &replay("histories = [\"a\"]\narms_of = \"demo\"\nscenario = \"nowhere\""),
            "nowhere",
        );
    }
}
