//! What a run is made of: a scenario and the budgets for tuning, training and
//! evaluation. Written whole into the run folder, so that a run can be resumed and
//! reproduced from it alone.
use std::path::Path;

use anyhow::{Context, Result, bail};
use prestage_world::{Scenario, ScenarioSpec};
use serde::{Deserialize, Serialize};

use crate::run_folder;
use crate::scenarios;
use crate::tune::{Search, TuneSpec};

/// Name of the resolved configuration in a run folder.
pub const CONFIG: &str = "config.toml";

/// A resolved run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Master seed; every other seed follows from it.
    pub seed: u64,
    /// Search for the static policy.
    pub tune: TuneSpec,
    /// Training.
    pub train: TrainSpec,
    /// Held-out evaluation.
    pub eval: EvalSpec,
    /// The world.
    pub scenario: ScenarioSpec,
}

/// Training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainSpec {
    /// Training seeds: as many independent policies.
    pub seeds: u32,
    /// Environments side by side.
    pub n_envs: u32,
    /// Updates between two checkpoints.
    pub checkpoint_every: u64,
    /// Settings of the algorithm; keys as in its documentation.
    pub ppo: toml::Table,
}

impl Default for TrainSpec {
    fn default() -> Self {
        Self {
            seeds: 3,
            n_envs: 8,
            checkpoint_every: 5,
            ppo: toml::Table::new(),
        }
    }
}

/// Held-out evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvalSpec {
    /// Test seeds.
    pub scenarios: u32,
    /// Validation seeds, on which the policy to export is chosen.
    pub validation: u32,
}

impl Default for EvalSpec {
    fn default() -> Self {
        Self {
            scenarios: 20,
            validation: 8,
        }
    }
}

impl RunConfig {
    /// Resolves a scenario and overrides. `tune.`, `train.` and `eval.` keys go to
    /// the budgets, all others to the scenario.
    pub fn resolve(source: &str, seed: u64, overrides: &[String], base: Budgets) -> Result<Self> {
        let is_budget = |text: &&String| {
            ["tune.", "train.", "eval."]
                .iter()
                .any(|prefix| text.trim_start().starts_with(prefix))
        };
        let (budgets, rest): (Vec<&String>, Vec<&String>) = overrides.iter().partition(is_budget);
        let rest: Vec<String> = rest.into_iter().cloned().collect();
        let scenario = scenarios::load(source, &rest)?;
        let budgets = base.overridden(&budgets)?;
        let config = Self {
            seed,
            tune: budgets.tune,
            train: budgets.train,
            eval: budgets.eval,
            scenario: scenario.resolved(),
        };
        config.validate()?;
        Ok(config)
    }

    /// Reads the configuration of a run folder.
    pub fn read(run: &Path) -> Result<Self> {
        let path = run.join(CONFIG);
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!(
                "`{}` is no run folder: cannot read `{}`",
                run.display(),
                path.display()
            )
        })?;
        let config: Self =
            toml::from_str(&text).with_context(|| format!("`{}`", path.display()))?;
        config.validate()?;
        Ok(config)
    }

    /// Writes it.
    pub fn write(&self, run: &Path) -> Result<()> {
        run_folder::write_file(&run.join(CONFIG), self.to_toml().as_bytes())
    }

    /// As TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a configuration is made of plain values")
    }

    /// BLAKE3 of the resolved configuration.
    pub fn hash(&self) -> String {
        blake3::hash(self.to_toml().as_bytes()).to_hex().to_string()
    }

    /// The checked scenario.
    pub fn scenario(&self) -> Result<Scenario> {
        Ok(Scenario::checked(CONFIG, self.scenario.clone())?)
    }

    fn validate(&self) -> Result<()> {
        self.scenario()?;
        let counts = [
            ("tune.candidates", self.tune.candidates as u64),
            ("tune.seeds", self.tune.seeds as u64),
            ("tune.finalists", self.tune.finalists as u64),
            ("tune.fresh_seeds", self.tune.fresh_seeds as u64),
            ("train.seeds", u64::from(self.train.seeds)),
            ("train.n_envs", u64::from(self.train.n_envs)),
            ("train.checkpoint_every", self.train.checkpoint_every),
            ("eval.scenarios", u64::from(self.eval.scenarios)),
            ("eval.validation", u64::from(self.eval.validation)),
        ];
        match counts
            .iter()
            .find(|(_, count)| !(1..=100_000).contains(count))
        {
            Some((key, count)) => bail!("`{key}` is {count} (allowed: 1 to 100000)"),
            None => Ok(()),
        }
    }
}

/// The part of a run that is not the world.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Budgets {
    /// Search for the static policy.
    pub tune: TuneSpec,
    /// Training.
    pub train: TrainSpec,
    /// Evaluation.
    pub eval: EvalSpec,
}

impl Budgets {
    /// Small enough for the tour: about a minute on two cores.
    pub fn demo() -> Self {
        let ppo: [(&str, toml::Value); 5] = [
            ("total_steps", 400_000.into()),
            ("n_steps", 84.into()),
            ("batch_size", 504.into()),
            ("learning_rate", 1e-3.into()),
            ("neutral_logit", 1.0.into()),
        ];
        Self {
            tune: TuneSpec {
                search: Search::Race,
                candidates: 40,
                seeds: 3,
                finalists: 5,
                fresh_seeds: 6,
            },
            train: TrainSpec {
                seeds: 2,
                n_envs: 8,
                checkpoint_every: 5,
                ppo: ppo
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect(),
            },
            eval: EvalSpec {
                scenarios: 16,
                validation: 6,
            },
        }
    }

    fn overridden(self, overrides: &[&String]) -> Result<Self> {
        let mut table = toml::Table::try_from(&self).expect("budgets are plain values");
        for text in overrides {
            set(&mut table, text)?;
            // Checked one by one, so that the message names the one that does not fit.
            let _: Self = table
                .clone()
                .try_into()
                .with_context(|| format!("--set `{text}`"))?;
        }
        table.try_into().context("--set")
    }
}

/// Replaces one value; only the algorithm's own section may get a key it lacks.
fn set(table: &mut toml::Table, text: &str) -> Result<()> {
    const HINT: &str = "hint: a budget is written --set train.seeds=3";
    let (key, value) = text
        .split_once('=')
        .with_context(|| format!("--set `{text}`: has no `=`\n\n{HINT}"))?;
    let value = format!("v = {}", value.trim())
        .parse::<toml::Table>()
        .ok()
        .and_then(|mut table| table.remove("v"))
        .unwrap_or_else(|| toml::Value::String(value.trim().to_owned()));
    let key = key.trim();
    let mut place = table;
    let parts: Vec<&str> = key.split('.').collect();
    for (depth, part) in parts.iter().enumerate() {
        let known: Vec<String> = place.keys().cloned().collect();
        let section = parts[..depth].join(".");
        if section == "train.ppo" && depth + 1 == parts.len() {
            place.insert((*part).to_owned(), value);
            return Ok(());
        }
        let Some(found) = place.get_mut(*part) else {
            let hint = match prestage_world::nearest(part, &known) {
                Some(near) => format!("did you mean `{section}.{near}`?"),
                None => format!("known in `{section}`: {}", known.join(", ")),
            };
            bail!("--set `{text}`: there is no key `{key}`\n\nhint: {hint}");
        };
        if depth + 1 == parts.len() {
            *found = value;
            return Ok(());
        }
        place = found.as_table_mut().with_context(|| {
            format!(
                "--set `{text}`: `{}` is a value, not a section\n\n{HINT}",
                parts[..=depth].join(".")
            )
        })?;
    }
    Ok(())
}
