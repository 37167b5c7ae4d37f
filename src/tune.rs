//! Chooses the numbers of an arm: constant knobs, weights, learning rates.
//!
//! Candidates are run on tuning seeds, whose type no other seed has. Cells of different
//! need types touch each other only through the runner pool, so every need type has a
//! search of its own over its numbers, and all are evaluated in the same runs. The
//! finalists, the best candidates of each need type joined, are run again together on
//! fresh seeds, which undoes the luck of the first choice, beside the untuned arm. Numbers
//! take the place of the untuned ones of a need type only when they surely cost less there
//! (see [`SURELY`]): where nothing can be gained a search would else pick the luckiest
//! noise. Arms are given equal numbers of candidates, worlds and seeds, so equal simulated
//! days up to a generation; what was spent is told with the result.
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
use crate::statistics::mean;

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
    /// Of these, run again, beside the untuned arm.
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
        let mut finalists = ranked(&candidates, &costs, spec.finalists.max(1));
        finalists.push(candidates.swap_remove(0));

        let fresh = Seed::<Tuning>::several(seed, FRESH, spec.fresh_seeds.max(1));
        let final_runs = fresh.len() * self.scenarios.len();
        let label = format!("{label} finalists");
        let progress = Progress::new(&label, (finalists.len() * final_runs) as u64);
        let final_costs = self.costs_by_run(&finalists, &fresh, &progress);
        let mut values = Values::default();
        let mut usd_per_cell_hour = 0.0;
        for (need, values) in values.iter_mut().enumerate() {
            let of_need = |runs: &Vec<[f64; 4]>| runs.iter().map(|run| run[need]).collect();
            let by_run: Vec<Vec<f64>> = final_costs.iter().map(of_need).collect();
            let chosen = surest(&by_run);
            values.clone_from(&finalists[chosen][need]);
            usd_per_cell_hour += mean(&by_run[chosen]);
        }
        let each = self.scenarios.iter().map(|s| u64::from(s.spec().days));
        let episodes = costs.len() * first.len() + finalists.len() * fresh.len();
        Found {
            values,
            usd_per_cell_hour: usd_per_cell_hour.max(1e-6),
            simulated_days: each.sum::<u64>() * episodes as u64,
        }
    }

    /// Mean cost of each candidate per need type; see [`Self::costs_by_run`].
    fn costs(
        &self,
        candidates: &[Values],
        seeds: &[Seed<Tuning>],
        progress: &Progress,
    ) -> Vec<[f64; 4]> {
        let mean_of = |runs: Vec<[f64; 4]>| {
            let count = runs.len() as f64;
            let sum = |need: usize| runs.iter().map(|run| run[need]).sum::<f64>();
            std::array::from_fn(|need| sum(need) / count)
        };
        let by_run = self.costs_by_run(candidates, seeds, progress);
        by_run.into_iter().map(mean_of).collect()
    }

    /// Cost of each candidate in each run per need type, US dollars an hour and cell of any
    /// type; world by world, seed by seed.
    fn costs_by_run(
        &self,
        candidates: &[Values],
        seeds: &[Seed<Tuning>],
        progress: &Progress,
    ) -> Vec<Vec<[f64; 4]>> {
        let contestants: Vec<Contestant> = candidates
            .iter()
            .map(|values| self.entry.contestant(self.centers, values))
            .collect();
        let mut by_run = vec![Vec::new(); candidates.len()];
        for scenario in self.scenarios {
            let spec = scenario.spec();
            let cell_hours = f64::from(spec.services.count) * 4.0 * f64::from(spec.days) * 24.0;
            let runs = run_all(scenario, &contestants, seeds, progress);
            for (costs, episodes) in by_run.iter_mut().zip(&runs) {
                let of_episode = |episode| cost_by_need(episode).map(|usd| usd / cell_hours);
                costs.extend(episodes.iter().map(of_episode));
            }
        }
        by_run
    }
}

/// How many standard errors of its paired saving a finalist must save to replace the
/// untuned arm.
pub const SURELY: f64 = 2.0;

/// The cheapest finalist if it surely costs less than the last one, which is untuned; else
/// that. Rows are finalists, columns runs that all of them met.
fn surest(by_run: &[Vec<f64>]) -> usize {
    let untuned = by_run.len() - 1;
    let cheapest = (0..by_run.len())
        .min_by(|&a, &b| mean(&by_run[a]).total_cmp(&mean(&by_run[b])))
        .unwrap_or(untuned);
    let saved: Vec<f64> = by_run[untuned]
        .iter()
        .zip(&by_run[cheapest])
        .map(|(untuned, tuned)| untuned - tuned)
        .collect();
    match is_sure(&saved) {
        true => cheapest,
        false => untuned,
    }
}

/// One run tells nothing of its error: then any saving will do.
fn is_sure(saved: &[f64]) -> bool {
    let (count, mean) = (saved.len() as f64, mean(saved));
    let squares: f64 = saved.iter().map(|x| (x - mean).powi(2)).sum();
    let error = match saved.len() {
        0 | 1 => 0.0,
        _ => (squares / (count - 1.0) / count).sqrt(),
    };
    mean > SURELY * error
}

/// Index of the first fresh tuning seed; those before are the search's.
const FRESH: u64 = 1 << 20;

fn cost_by_need(episode: &Episode) -> [f64; 4] {
    let mut cost = [0.0; 4];
    for cell in &episode.cells {
        cost[need_index(cell.spec.need)] += cell.cost.total();
    }
    cost
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
            assert_eq!(tuned.simulated_days, 3 * (candidates as u64 * 2 + 3 * 2));
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
            assert!(tuned.simulated_days <= 2 * 3 * (12 * 2 + 3 * 2), "{name}");
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
    fn a_finalist_must_surely_save() {
        let untuned = vec![10.0, 20.0, 30.0, 40.0];
        let lucky = vec![2.0, 26.0, 31.0, 39.0];
        let cheaper: Vec<f64> = untuned.iter().map(|cost| cost - 0.5).collect();
        assert_eq!(
            surest(&[lucky.clone(), untuned.clone()]),
            1,
            "a mean of 0.5 with an error of 2.9"
        );
        assert_eq!(
            surest(&[cheaper, untuned.clone()]),
            0,
            "the same on every run"
        );
        assert_eq!(
            surest(&[untuned.clone(), untuned.clone()]),
            1,
            "nothing saved"
        );
        assert_eq!(surest(&[vec![9.0], vec![10.0]]), 0, "one run");
        assert!(is_sure(&[1.0, 1.0]) && !is_sure(&[1.0, -0.5]) && !is_sure(&[0.0, 0.0]));
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
