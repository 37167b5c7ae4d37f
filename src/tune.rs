//! Chooses the numbers of an arm: constant knobs, weights, learning rates.
//!
//! Candidates are run on tuning seeds, whose type no other seed has. Cells of different
//! need types touch each other only through the runner pool, so every need type has a
//! search of its own over its numbers, and all are evaluated in the same runs. The
//! finalists, the best candidates of each need type joined, are run again together on
//! fresh seeds, which undoes the luck of the first choice. The untuned arm always
//! competes: tuning may not make things worse. Arms are given equal numbers of
//! candidates, worlds and seeds, so equal simulated days up to a generation; what was
//! spent is told with the result.
mod search;

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use prestage_controller::{KnobCenters, NeedType, Values, need_index, problem};
use prestage_envs::{Episode, Seed, Tuning};
use prestage_world::Scenario;
use serde::{Deserialize, Serialize};

use crate::arms::{self, ArmEntry, centers_at};
use crate::compare::{Contestant, STATIC_TUNED, run_all};
use crate::progress::Progress;

use self::search::search;

/// Budget of the search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TuneSpec {
    /// How candidates are found.
    pub search: Search,
    /// Candidates at most; CMA-ES uses whole generations (nine for six numbers).
    pub candidates: usize,
    /// Tuning seeds each is run on.
    pub seeds: usize,
    /// Of these, run again.
    pub finalists: usize,
    /// Fresh tuning seeds for them.
    pub fresh_seeds: usize,
}

/// How candidates are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Search {
    /// Covariance matrix adaptation, begun at the default.
    #[default]
    CmaEs,
    /// Uniform draws from the ranges.
    Random,
}

impl Default for TuneSpec {
    fn default() -> Self {
        Self {
            search: Search::CmaEs,
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
    /// By need type, by name.
    pub parameters: BTreeMap<String, BTreeMap<String, f64>>,
    /// Its mean cost on the fresh seeds, US dollars an hour and cell.
    pub usd_per_cell_hour: f64,
    /// Simulated days spent on the search, without those for the static policy it may
    /// stand on.
    pub simulated_days: u64,
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
        parameters: named(task.entry, &found.values),
        usd_per_cell_hour: found.usd_per_cell_hour,
        simulated_days: found.simulated_days,
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
    /// The arm itself, around the centres it was tuned on. Fails when its numbers are not
    /// those of the arm, inside their ranges.
    pub fn contestant(&self, centers: &KnobCenters) -> Result<Contestant> {
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
        Ok(entry.contestant(centers, &values))
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

/// What is searched for, and where.
#[derive(Clone, Copy)]
pub struct Task<'a> {
    /// The arm.
    pub entry: &'a ArmEntry,
    /// Worlds, all of which every candidate meets: one for the arm of its family, several
    /// for one arm for all.
    pub scenarios: &'a [Scenario],
    /// Centres that an adaptive arm stands on.
    pub centers: &'a KnobCenters,
}

/// What a search found.
struct Found {
    values: Values,
    usd_per_cell_hour: f64,
    simulated_days: u64,
}

impl Task<'_> {
    fn search(&self, spec: &TuneSpec, seed: u64) -> Found {
        let first = Seed::<Tuning>::several(seed, 0, spec.seeds.max(1));
        let runs = first.len() * self.scenarios.len();
        let label = format!("tune {}", self.entry.name);
        let progress = Progress::new(&label, (spec.candidates.max(1) * runs) as u64);
        let mut candidates = vec![self.entry.defaults()];
        let mut costs = self.costs(&candidates, &first, &progress);
        let budget = spec.candidates.max(1) - 1;
        let found = search(self.entry, budget, (spec.search, seed), &mut |batch| {
            self.costs(batch, &first, &progress)
        });
        candidates.extend(found.0);
        costs.extend(found.1);
        let finalists = ranked(&candidates, &costs, spec.finalists.max(1));

        let fresh = Seed::<Tuning>::several(seed, FRESH, spec.fresh_seeds.max(1));
        let final_runs = fresh.len() * self.scenarios.len();
        let label = format!("{label} finalists");
        let progress = Progress::new(&label, (finalists.len() * final_runs) as u64);
        let final_costs = self.costs(&finalists, &fresh, &progress);
        let values = ranked(&finalists, &final_costs, 1).remove(0);
        let best: f64 = (0..4)
            .map(|need| {
                let of_need = final_costs.iter().map(|cost| cost[need]);
                of_need.fold(f64::INFINITY, f64::min)
            })
            .sum();
        let each = self.scenarios.iter().map(|s| u64::from(s.spec().days));
        let episodes = candidates.len() * first.len() + finalists.len() * fresh.len();
        Found {
            values,
            usd_per_cell_hour: best.max(1e-6),
            simulated_days: each.sum::<u64>() * episodes as u64,
        }
    }

    /// Mean cost of each candidate per need type, US dollars an hour and cell of any
    /// type, averaged over the worlds.
    fn costs(
        &self,
        candidates: &[Values],
        seeds: &[Seed<Tuning>],
        progress: &Progress,
    ) -> Vec<[f64; 4]> {
        let contestants: Vec<Contestant> = candidates
            .iter()
            .map(|values| self.entry.contestant(self.centers, values))
            .collect();
        let mut sums = vec![[0.0; 4]; candidates.len()];
        for scenario in self.scenarios {
            let spec = scenario.spec();
            let cell_hours = f64::from(spec.services.count) * 4.0 * f64::from(spec.days) * 24.0;
            let share = 1.0 / (cell_hours * self.scenarios.len() as f64);
            let runs = run_all(scenario, &contestants, seeds, progress);
            for (sum, episodes) in sums.iter_mut().zip(&runs) {
                for (sum, cost) in sum.iter_mut().zip(mean_by_need(episodes)) {
                    *sum += share * cost;
                }
            }
        }
        sums
    }
}

/// Index of the first fresh tuning seed; those before are the search's.
const FRESH: u64 = 1 << 20;

fn mean_by_need(episodes: &[Episode]) -> [f64; 4] {
    let mut mean = [0.0; 4];
    for episode in episodes {
        for cell in &episode.cells {
            mean[need_index(cell.spec.need)] += cell.cost.total() / episodes.len() as f64;
        }
    }
    mean
}

/// The `count` best combinations: the k-th joins the k-th best numbers of every need type.
fn ranked(candidates: &[Values], costs: &[[f64; 4]], count: usize) -> Vec<Values> {
    let mut combined = vec![Values::default(); count.min(candidates.len())];
    for need in 0..4 {
        let mut order: Vec<usize> = (0..candidates.len()).collect();
        order.sort_by(|&a, &b| costs[a][need].total_cmp(&costs[b][need]).then(a.cmp(&b)));
        for (values, &index) in combined.iter_mut().zip(&order) {
            values[need].clone_from(&candidates[index][need]);
        }
    }
    combined
}

#[cfg(test)]
mod tests {
    use super::*;
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
    fn tuning_is_reproducible_and_not_worse_than_the_default() {
        let scenario = scenario();
        for (search, candidates) in [(Search::Random, 6), (Search::CmaEs, 19)] {
            let spec = spec(search, candidates);
            let tuned = tune(&scenario, &spec, 7);
            assert_eq!(tuned, tune(&scenario, &spec, 7));
            assert_eq!(tuned.simulated_days, 3 * (candidates as u64 * 2 + 2 * 2));
            let task = Task {
                entry: arms::arm(STATIC_TUNED).unwrap(),
                scenarios: std::slice::from_ref(&scenario),
                centers: &KnobCenters::default(),
            };
            let both = task.costs(
                &[task.entry.defaults(), arms::values_of(&tuned.centers)],
                &Seed::several(7, 0, 2),
                &Progress::new("test", 4),
            );
            let total = |costs: &[f64; 4]| costs.iter().sum::<f64>();
            assert!(total(&both[1]) <= 1.05 * total(&both[0]), "tuned {both:?}");
        }
    }

    #[test]
    fn any_arm_with_numbers_is_tuned_within_its_budget_and_survives_json() {
        let scenarios = [scenario(), scenario()];
        for name in ["linear", "recalibration", "speculation-threshold"] {
            let task = Task {
                entry: arms::arm(name).unwrap(),
                scenarios: &scenarios,
                centers: &KnobCenters::default(),
            };
            let spec = spec(Search::CmaEs, 12);
            let tuned = tune_arm(&task, &spec, 3).unwrap();
            assert!(tuned.simulated_days <= 2 * 3 * (12 * 2 + 2 * 2), "{name}");
            let text = serde_json::to_string(&tuned).unwrap();
            let again: TunedArm = serde_json::from_str(&text).unwrap();
            assert_eq!(again, tuned);
            let contestant = again.contestant(task.centers).unwrap();
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
            parameters: named(entry, &entry.defaults()),
            usd_per_cell_hour: 1.0,
            simulated_days: 1,
        };
        let centers = KnobCenters::default();
        let refusal = |tuned: &TunedArm| format!("{:#}", tuned.contestant(&centers).err().unwrap());
        assert!(tuned.contestant(&centers).is_ok());
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
