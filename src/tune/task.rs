//! What is searched for and where, and who wins in the end.
use prestage_controller::{KnobCenters, Values, need_index};
use prestage_envs::{Episode, Seed, Tuning};
use prestage_world::Scenario;

use super::TuneSpec;
use super::field::Field;
use super::purse::Purse;
use super::search::search;
use crate::arms::{ArmEntry, Stand};
use crate::compare::{Contestant, run_all};
use crate::progress::Progress;
use crate::statistics::mean;

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
pub(super) struct Found {
    pub values: Values,
    pub usd_per_cell_hour: f64,
    pub simulated_days: u64,
}

/// Index of the first fresh tuning seed; those before are the search's.
const FRESH: u64 = 1 << 20;

impl Task<'_> {
    pub(super) fn search(&self, spec: &TuneSpec, seed: u64) -> Found {
        let (mut finalists, search_runs) = self.finalists(spec, seed);
        finalists.push(self.entry.defaults());
        let (by_run, final_runs) = self.run_finalists(&finalists, spec, seed);
        let mut values = Values::default();
        let mut usd_per_cell_hour = 0.0;
        for (need, values) in values.iter_mut().enumerate() {
            let of_need = |runs: &Vec<[f64; 4]>| runs.iter().map(|run| run[need]).collect();
            let by_run: Vec<Vec<f64>> = by_run.iter().map(of_need).collect();
            let chosen = match self.entry.stand() {
                Stand::Own => cheapest(&by_run),
                Stand::StaticTuned | Stand::BestStatic => surest(&by_run),
            };
            values.clone_from(&finalists[chosen][need]);
            usd_per_cell_hour += mean(&by_run[chosen]);
        }
        let each = self.scenarios.iter().map(|s| u64::from(s.spec().days));
        Found {
            values,
            usd_per_cell_hour: usd_per_cell_hour.max(1e-6),
            simulated_days: each.sum::<u64>() * (search_runs + final_runs) as u64,
        }
    }

    /// The best candidates of the search, and the runs that it took.
    fn finalists(&self, spec: &TuneSpec, seed: u64) -> (Vec<Values>, usize) {
        let seeds = Seed::<Tuning>::several(seed, 0, spec.seeds.max(1));
        let purse = Purse::for_search(spec);
        let label = format!("tune {}", self.entry.name);
        let progress = self.progress(&label, purse.left());
        let mut evaluate = |batch: &[Values], range: std::ops::Range<usize>| {
            self.costs_by_seed(batch, &seeds[range], &progress)
        };
        let parameters = self.entry.parameters();
        let mut field = Field::new(parameters, (purse, seeds.len()), &mut evaluate);
        search(self.entry, &mut field, (spec.search, seed));
        (field.finalists(spec.finalists.max(1)), field.spent())
    }

    /// Costs of the finalists on fresh seeds by run, and how many runs that took.
    fn run_finalists(
        &self,
        finalists: &[Values],
        spec: &TuneSpec,
        seed: u64,
    ) -> (Vec<Vec<[f64; 4]>>, usize) {
        let fresh = Seed::<Tuning>::several(seed, FRESH, spec.fresh_seeds.max(1));
        let mut purse = Purse::for_finalists(spec);
        purse.pay(finalists.len() * fresh.len());
        let label = format!("tune {} finalists", self.entry.name);
        let progress = self.progress(&label, purse.spent());
        (
            self.costs_by_run(finalists, &fresh, &progress),
            purse.spent(),
        )
    }

    fn progress(&self, label: &str, runs: usize) -> Progress {
        Progress::new(label, (runs * self.scenarios.len()) as u64)
    }

    /// Mean cost of each candidate over the worlds, by seed and need type.
    fn costs_by_seed(
        &self,
        candidates: &[Values],
        seeds: &[Seed<Tuning>],
        progress: &Progress,
    ) -> Vec<Vec<[f64; 4]>> {
        let worlds = self.scenarios.len() as f64;
        let of_seed = |runs: &Vec<[f64; 4]>, seed: usize| {
            let runs = runs.iter().skip(seed).step_by(seeds.len());
            let sums = runs.fold([0.0; 4], |sums: [f64; 4], run| {
                std::array::from_fn(|need| sums[need] + run[need])
            });
            sums.map(|sum| sum / worlds)
        };
        let by_run = self.costs_by_run(candidates, seeds, progress);
        let of_candidate = |runs| (0..seeds.len()).map(|seed| of_seed(runs, seed)).collect();
        by_run.iter().map(of_candidate).collect()
    }

    /// Cost of each candidate in each run per need type, US dollars an hour and cell of any
    /// type; world by world, seed by seed.
    pub(super) fn costs_by_run(
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
/// untuned arm, where that is the constants that an arm stands on. Elsewhere the untuned
/// numbers are no better than others, and the cheapest finalist wins.
pub const SURELY: f64 = 2.0;

/// The cheapest; of equals the untuned one.
fn cheapest(by_run: &[Vec<f64>]) -> usize {
    (0..by_run.len())
        .rev()
        .min_by(|&a, &b| mean(&by_run[a]).total_cmp(&mean(&by_run[b])))
        .expect("the untuned arm is a finalist")
}

/// The cheapest finalist if it surely costs less than the last one, which is untuned; else
/// that. Rows are finalists, columns runs that all of them met.
fn surest(by_run: &[Vec<f64>]) -> usize {
    let untuned = by_run.len() - 1;
    let cheapest = cheapest(by_run);
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

fn cost_by_need(episode: &Episode) -> [f64; 4] {
    let mut cost = [0.0; 4];
    for cell in &episode.cells {
        cost[need_index(cell.spec.need)] += cell.cost.total();
    }
    cost
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
