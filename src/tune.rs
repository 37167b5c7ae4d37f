//! The static policy: constant knobs found by random search.
//!
//! Candidates are drawn from the knobs' ranges and run on tuning seeds. Cells of
//! different need types touch each other only through the runner pool, so the
//! best centre is chosen per need type from the same runs; the finalists are run
//! again together on fresh seeds, which undoes the luck of the first choice.
use prestage_controller::{
    Arm, KnobCenter, KnobCenters, NeedType, OnDemand, QUANTILES, need_index,
};
use prestage_envs::{Episode, SeedSet};
use prestage_world::Scenario;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::compare::{Contestant, STATIC_TUNED, run_all};
use crate::progress::Progress;

/// Budget of the search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TuneSpec {
    /// Candidates drawn.
    pub candidates: usize,
    /// Tuning seeds each is run on.
    pub seeds: usize,
    /// Of these, run again.
    pub finalists: usize,
    /// Fresh tuning seeds for them.
    pub fresh_seeds: usize,
}

impl Default for TuneSpec {
    fn default() -> Self {
        Self {
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

/// Searches. The same seed finds the same centres. The caller fills in the hash of
/// its configuration.
pub fn tune(scenario: &Scenario, spec: &TuneSpec, seed: u64) -> Tuned {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // The untuned default always competes: tuning may not make things worse.
    let mut candidates = vec![KnobCenters::default()];
    candidates.extend((1..spec.candidates.max(1)).map(|_| draw(&mut rng)));
    let first: Vec<u64> = (0..spec.seeds.max(1) as u64)
        .map(|i| SeedSet::Tuning.seed(seed, i))
        .collect();
    let costs = costs(scenario, &candidates, &first, "tune");
    let finalists = ranked(&candidates, &costs, spec.finalists.max(1));

    let offset = 1 << 20;
    let fresh: Vec<u64> = (0..spec.fresh_seeds.max(1) as u64)
        .map(|i| SeedSet::Tuning.seed(seed, offset + i))
        .collect();
    let final_costs = self::costs(scenario, &finalists, &fresh, "tune finalists");
    let centers = ranked(&finalists, &final_costs, 1).remove(0);
    let best: f64 = (0..4)
        .map(|need| {
            final_costs
                .iter()
                .map(|cost| cost[need])
                .fold(f64::INFINITY, f64::min)
        })
        .sum();
    let cells = f64::from(scenario.spec().services.count) * 4.0;
    let days = u64::from(scenario.spec().days);
    Tuned {
        config_blake3: String::new(),
        centers,
        usd_per_cell_hour: (best / cells / (days as f64 * 24.0)).max(1e-6),
        simulated_days: days
            * (candidates.len() * first.len() + finalists.len() * fresh.len()) as u64,
    }
}

/// Mean cost of each candidate per need type.
fn costs(
    scenario: &Scenario,
    candidates: &[KnobCenters],
    seeds: &[u64],
    what: &str,
) -> Vec<[f64; 4]> {
    let contestants: Vec<Contestant> = candidates
        .iter()
        .map(|centers| {
            Contestant::baseline(Arm {
                name: STATIC_TUNED.to_owned(),
                centers: centers.clone(),
                on_demand: OnDemand::Template,
            })
        })
        .collect();
    let progress = Progress::new(what, (contestants.len() * seeds.len()) as u64);
    run_all(scenario, &contestants, seeds, &progress)
        .iter()
        .map(|episodes| mean_by_need(episodes))
        .collect()
}

fn mean_by_need(episodes: &[Episode]) -> [f64; 4] {
    let mut mean = [0.0; 4];
    for episode in episodes {
        for cell in &episode.cells {
            mean[need_index(cell.spec.need)] += cell.cost.total() / episodes.len() as f64;
        }
    }
    mean
}

/// The `count` best combinations: the k-th joins the k-th best centre of every need type.
fn ranked(candidates: &[KnobCenters], costs: &[[f64; 4]], count: usize) -> Vec<KnobCenters> {
    let mut combined = vec![KnobCenters::default(); count.min(candidates.len())];
    for need in NeedType::ALL {
        let mut order: Vec<usize> = (0..candidates.len()).collect();
        order.sort_by(|&a, &b| {
            costs[a][need_index(need)]
                .total_cmp(&costs[b][need_index(need)])
                .then(a.cmp(&b))
        });
        for (centers, &index) in combined.iter_mut().zip(&order) {
            *centers.of_mut(need) = *candidates[index].of(need);
        }
    }
    combined
}

fn draw(rng: &mut ChaCha8Rng) -> KnobCenters {
    let mut centers = KnobCenters::default();
    for need in NeedType::ALL {
        let mut log_uniform = |low: f64, high: f64| rng.random_range(low.ln()..high.ln()).exp();
        let (horizon_leads, half_life_h) = (log_uniform(0.5, 4.0), log_uniform(0.25, 168.0));
        let (ttl_h, retrain_h) = (log_uniform(0.25, 72.0), log_uniform(1.0, 168.0));
        *centers.of_mut(need) = KnobCenter {
            threshold_log_odds: rng.random_range(-4.0..4.0),
            quantile_rung: rng.random_range(0..QUANTILES.len() as u8),
            horizon_leads,
            half_life_h,
            ttl_h,
            retrain_h,
        };
    }
    centers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenarios;

    #[test]
    fn tuning_is_reproducible_and_not_worse_than_the_default() {
        let overrides = ["days=3", "history_days=3", "services.count=1"].map(str::to_owned);
        let scenario = scenarios::load("demo", &overrides).unwrap();
        let spec = TuneSpec {
            candidates: 6,
            seeds: 2,
            finalists: 2,
            fresh_seeds: 2,
        };
        let tuned = tune(&scenario, &spec, 7);
        assert_eq!(tuned, tune(&scenario, &spec, 7));
        assert_eq!(tuned.simulated_days, 3 * (6 * 2 + 2 * 2));
        let seeds = [SeedSet::Tuning.seed(7, 0), SeedSet::Tuning.seed(7, 1)];
        let both = costs(
            &scenario,
            &[KnobCenters::default(), tuned.centers],
            &seeds,
            "test",
        );
        let total = |costs: &[f64; 4]| costs.iter().sum::<f64>();
        assert!(total(&both[1]) <= 1.05 * total(&both[0]), "tuned {both:?}");
    }
}
