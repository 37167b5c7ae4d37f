//! Chooses the numbers of an arm: constant knobs, weights, learning rates.
//!
//! Candidates are run on tuning seeds, whose type no other seed has. Cells of different
//! need types touch each other only through the runner pool, so every need type has a
//! search of its own over its numbers, and all are evaluated in the same runs. The
//! finalists, the best candidates of each need type joined, are run again together on
//! fresh seeds, which undoes the luck of the first choice, beside the untuned arm. Numbers
//! of an arm that stands on constants take the place of these only when they surely cost
//! less (see [`SURELY`]): where nothing can be gained a search would else pick the luckiest
//! noise. Every arm is given the same number of runs, hence of simulated days, however its
//! search spends them; what was spent is told with the result.
mod field;
mod purse;
mod search;
mod spread;
mod task;

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use prestage_controller::{KnobCenters, NeedType, Values, problem};
use prestage_world::Scenario;
use serde::{Deserialize, Serialize};

use crate::arms::{self, ArmEntry, centers_at};
use crate::compare::{Contestant, STATIC_TUNED};

pub use self::task::{SURELY, Task};

/// Budget of the search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TuneSpec {
    /// How candidates are found.
    pub search: Search,
    /// Candidates that could be run on every seed; a race runs more of them on fewer seeds.
    pub candidates: usize,
    /// Tuning seeds on which a candidate is run in the end.
    pub seeds: usize,
    /// Candidates run again, beside the untuned arm.
    pub finalists: usize,
    /// Fresh tuning seeds for them.
    pub fresh_seeds: usize,
}

/// How candidates are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Search {
    /// A race from points all over the ranges, then covariance matrix adaptation from the winner.
    #[default]
    Race,
    /// Covariance matrix adaptation, begun at the default.
    CmaEs,
    /// Uniform draws from the ranges.
    Random,
}

impl Default for TuneSpec {
    fn default() -> Self {
        Self {
            search: Search::Race,
            candidates: 96,
            seeds: 4,
            finalists: 8,
            fresh_seeds: 12,
        }
    }
}

/// The static policy, and what it costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tuned {
    /// BLAKE3 of the run's configuration.
    pub config_blake3: String,
    /// Its centres.
    pub centers: KnobCenters,
    /// Its mean cost on the fresh seeds, US dollars an hour and cell: the unit of reward.
    pub usd_per_cell_hour: f64,
    /// Simulated days spent on the search.
    pub simulated_days: u64,
}

/// The numbers of an arm, and what it costs with them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TunedArm {
    /// BLAKE3 of the run's configuration.
    pub config_blake3: String,
    /// Its name in [`arms::ARMS`].
    pub arm: String,
    /// Centres that it stands on: with its adaptation off it is these constants.
    pub centers: KnobCenters,
    /// By need type, by name.
    pub parameters: BTreeMap<String, BTreeMap<String, f64>>,
    /// Its mean cost on the fresh seeds, US dollars an hour and cell.
    pub usd_per_cell_hour: f64,
    /// Simulated days spent on the search, without those for the static policy it may
    /// stand on.
    pub simulated_days: u64,
    /// Did the validation seeds not confirm what was found, so that it is the constants that
    /// it stands on?
    #[serde(default)]
    pub fell_back: bool,
}

/// Searches for the static policy of a scenario. The same seed finds the same centres.
/// The caller fills in the hash of its configuration.
pub fn tune(scenario: &Scenario, spec: &TuneSpec, seed: u64) -> Tuned {
    let entry = arms::arm(STATIC_TUNED).expect("the static policy is an arm");
    let task = Task {
        entry,
        scenarios: std::slice::from_ref(scenario),
        centers: &KnobCenters::default(),
    };
    let found = task.search(spec, seed);
    Tuned {
        config_blake3: String::new(),
        centers: centers_at(&found.values),
        usd_per_cell_hour: found.usd_per_cell_hour,
        simulated_days: found.simulated_days,
    }
}

/// Searches for the numbers of an arm. `None` for an arm without numbers. The caller fills
/// in the hash of its configuration.
pub fn tune_arm(task: &Task, spec: &TuneSpec, seed: u64) -> Option<TunedArm> {
    if task.entry.parameters().is_empty() {
        return None;
    }
    let found = task.search(spec, seed);
    Some(TunedArm {
        config_blake3: String::new(),
        arm: task.entry.name.to_owned(),
        centers: task.centers.clone(),
        parameters: named(task.entry, &found.values),
        usd_per_cell_hour: found.usd_per_cell_hour,
        simulated_days: found.simulated_days,
        fell_back: false,
    })
}

fn named(entry: &ArmEntry, values: &Values) -> BTreeMap<String, BTreeMap<String, f64>> {
    let names = || entry.parameters().iter().map(|parameter| parameter.name);
    NeedType::ALL
        .iter()
        .zip(values)
        .map(|(need, numbers)| {
            let numbers = names().map(str::to_owned).zip(numbers.iter().copied());
            (need.to_string(), numbers.collect())
        })
        .collect()
}

impl TunedArm {
    /// The same arm with its adaptation off.
    ///
    /// # Errors
    /// When there is no such arm.
    pub fn fallen_back(self) -> Result<Self> {
        let entry = arms::arm(&self.arm)?;
        Ok(Self {
            parameters: named(entry, &entry.defaults()),
            fell_back: true,
            ..self
        })
    }

    /// The arm itself, around the centres that it stands on.
    ///
    /// # Errors
    /// When its numbers are not those of the arm, inside their ranges.
    pub fn contestant(&self) -> Result<Contestant> {
        let entry = arms::arm(&self.arm)?;
        let mut values = Values::default();
        for (need, numbers) in NeedType::ALL.iter().zip(&mut values) {
            *numbers = self
                .numbers(entry, need.as_str())
                .with_context(|| format!("arm `{}`, need `{need}`", self.arm))?;
        }
        if let Some(problem) = problem(entry.parameters(), &values) {
            anyhow::bail!("arm `{}`: {problem}", self.arm);
        }
        Ok(entry.contestant(&self.centers, &values))
    }

    fn numbers(&self, entry: &ArmEntry, need: &str) -> Result<Vec<f64>> {
        let found = self.parameters.get(need).context("has no numbers")?;
        let parameters = entry.parameters();
        ensure!(
            found.len() == parameters.len(),
            "has {} numbers, not {}",
            found.len(),
            parameters.len()
        );
        parameters
            .iter()
            .map(|parameter| {
                let number = found.get(parameter.name).copied();
                number.with_context(|| format!("`{}` is missing", parameter.name))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use prestage_envs::Seed;

    use super::*;
    use crate::progress::Progress;
    use crate::scenarios;

    fn scenario() -> Scenario {
        let overrides = ["days=3", "history_days=3", "services.count=1"].map(str::to_owned);
        scenarios::load("demo", &overrides).unwrap()
    }

    fn spec(search: Search, candidates: usize) -> TuneSpec {
        TuneSpec {
            search,
            candidates,
            seeds: 2,
            finalists: 2,
            fresh_seeds: 2,
        }
    }

    #[test]
    fn every_way_spends_its_budget_twice_alike_and_is_not_worse_than_the_default() {
        let scenario = scenario();
        let task = Task {
            entry: arms::arm(STATIC_TUNED).unwrap(),
            scenarios: std::slice::from_ref(&scenario),
            centers: &KnobCenters::default(),
        };
        for search in [Search::Race, Search::Random, Search::CmaEs] {
            let spec = spec(search, 19);
            let tuned = tune(&scenario, &spec, 7);
            assert_eq!(tuned, tune(&scenario, &spec, 7));
            assert_eq!(tuned.simulated_days, 3 * (19 * 2 + 3 * 2), "{search:?}");
            let both = task.costs_by_run(
                &[task.entry.defaults(), arms::values_of(&tuned.centers)],
                &Seed::several(7, 0, 2),
                &Progress::new("test", 4),
            );
            let total = |runs: &Vec<[f64; 4]>| runs.iter().flatten().sum::<f64>();
            assert!(total(&both[1]) <= 1.05 * total(&both[0]), "tuned {both:?}");
        }
    }

    /// Equal simulated days, whatever the arm has to tune and however it is searched.
    #[test]
    fn every_arm_with_numbers_is_given_the_same_budget_and_survives_json() {
        let scenarios = [scenario(), scenario()];
        let names = ["linear", "recalibration", "static-retuned", "privileged"];
        for (name, search) in
            names
                .into_iter()
                .zip([Search::Race, Search::CmaEs, Search::Race, Search::Race])
        {
            let task = Task {
                entry: arms::arm(name).unwrap(),
                scenarios: &scenarios,
                centers: &KnobCenters::default(),
            };
            let tuned = tune_arm(&task, &spec(search, 12), 3).unwrap();
            assert_eq!(tuned.simulated_days, 2 * 3 * (12 * 2 + 3 * 2), "{name}");
            let text = serde_json::to_string(&tuned).unwrap();
            let again: TunedArm = serde_json::from_str(&text).unwrap();
            assert_eq!(again, tuned);
            let contestant = again.contestant().unwrap();
            assert_eq!(contestant.arm.name, name);
        }
        let task = Task {
            entry: arms::arm("reactive").unwrap(),
            scenarios: &scenarios,
            centers: &KnobCenters::default(),
        };
        assert_eq!(tune_arm(&task, &spec(Search::Random, 2), 3), None);
    }

    #[test]
    fn numbers_that_do_not_fit_are_refused_with_their_name() {
        let entry = arms::arm("fixed-share").unwrap();
        let mut tuned = TunedArm {
            config_blake3: String::new(),
            arm: entry.name.to_owned(),
            centers: KnobCenters::default(),
            parameters: named(entry, &entry.defaults()),
            usd_per_cell_hour: 1.0,
            simulated_days: 1,
            fell_back: false,
        };
        let refusal = |tuned: &TunedArm| format!("{:#}", tuned.contestant().err().unwrap());
        assert!(tuned.contestant().is_ok());
        let scaling = tuned.parameters.get_mut("scaling").unwrap();
        scaling.insert("share_ratio".to_owned(), 2.0);
        assert!(refusal(&tuned).contains("`share_ratio` is 2"));
        let scaling = tuned.parameters.get_mut("scaling").unwrap();
        scaling.remove("share_ratio");
        assert!(refusal(&tuned).contains("need `scaling`: has 1 numbers, not 2"));
        tuned.parameters.remove("scaling");
        assert!(refusal(&tuned).contains("need `scaling`: has no numbers"));
    }
}
