//! The static policy: constant knobs found by CMA-ES or by random search.
//!
//! Candidates are run on tuning seeds. Cells of different need types touch each other
//! only through the runner pool, so every need type has a search of its own over its six
//! knobs, and all are evaluated in the same runs. The finalists, the best candidates of
//! each need type joined, are run again together on fresh seeds, which undoes the luck of
//! the first choice. The untuned default always competes: tuning may not make things worse.
use prestage_controller::{Arm, KnobCenter, KnobCenters, NeedType, QUANTILES, need_index};
use prestage_envs::{Episode, SeedSet};
use prestage_world::Scenario;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::compare::{Contestant, STATIC_TUNED, run_all};
use crate::optimise::CmaEs;
use crate::progress::Progress;

/// Budget of the search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TuneSpec {
    /// How candidates are found.
    pub search: Search,
    /// Candidates at most; CMA-ES uses whole generations of nine.
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
    /// Uniform draws from the knobs' ranges.
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

/// Searches. The same seed finds the same centres. The caller fills in the hash of
/// its configuration.
pub fn tune(scenario: &Scenario, spec: &TuneSpec, seed: u64) -> Tuned {
    let first: Vec<u64> = (0..spec.seeds.max(1) as u64)
        .map(|i| SeedSet::Tuning.seed(seed, i))
        .collect();
    let progress = Progress::new("tune", (spec.candidates.max(1) * first.len()) as u64);
    let mut evaluate = |batch: &[KnobCenters]| costs(scenario, batch, &first, &progress);
    let budget = spec.candidates.max(1) - 1;
    let mut candidates = vec![KnobCenters::default()];
    let mut costs = evaluate(&candidates);
    let found = match spec.search {
        Search::CmaEs => adapt(budget, seed, &mut evaluate),
        Search::Random => {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let drawn: Vec<KnobCenters> = (0..budget).map(|_| draw(&mut rng)).collect();
            let costs = evaluate(&drawn);
            (drawn, costs)
        }
    };
    candidates.extend(found.0);
    costs.extend(found.1);
    let finalists = ranked(&candidates, &costs, spec.finalists.max(1));

    let offset = 1 << 20;
    let fresh: Vec<u64> = (0..spec.fresh_seeds.max(1) as u64)
        .map(|i| SeedSet::Tuning.seed(seed, offset + i))
        .collect();
    let progress = Progress::new("tune finalists", (finalists.len() * fresh.len()) as u64);
    let final_costs = self::costs(scenario, &finalists, &fresh, &progress);
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
    progress: &Progress,
) -> Vec<[f64; 4]> {
    let contestants: Vec<Contestant> = candidates
        .iter()
        .map(|centers| {
            Contestant::baseline(Arm::at(STATIC_TUNED, centers.clone()))
        })
        .collect();
    run_all(scenario, &contestants, seeds, progress)
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

/// Runs a search per need type for whole generations, at most `budget` candidates.
fn adapt(
    budget: usize,
    seed: u64,
    evaluate: &mut dyn FnMut(&[KnobCenters]) -> Vec<[f64; 4]>,
) -> (Vec<KnobCenters>, Vec<[f64; 4]>) {
    let default = KnobCenters::default();
    let start = |need: NeedType| {
        let address = (need_index(need) as u64) << 32;
        CmaEs::new(coordinates(default.of(need)).to_vec(), STEP, seed ^ address)
    };
    let mut searches = NeedType::ALL.map(start);
    let population = searches[0].population();
    let (mut candidates, mut costs) = (Vec::new(), Vec::new());
    for _ in 0..budget / population {
        let points = searches.each_ref().map(CmaEs::ask);
        let batch: Vec<KnobCenters> = (0..population)
            .map(|k| {
                let mut centers = KnobCenters::default();
                for need in NeedType::ALL {
                    *centers.of_mut(need) = center(&points[need_index(need)][k]);
                }
                centers
            })
            .collect();
        let found = evaluate(&batch);
        for (need, (search, points)) in searches.iter_mut().zip(&points).enumerate() {
            let values: Vec<f64> = found.iter().map(|cost| cost[need]).collect();
            search.tell(points, &values);
        }
        candidates.extend(batch);
        costs.extend(found);
    }
    (candidates, costs)
}

fn draw(rng: &mut ChaCha8Rng) -> KnobCenters {
    let mut centers = KnobCenters::default();
    for need in NeedType::ALL {
        let point: [f64; 6] = std::array::from_fn(|_| rng.random_range(0.0..1.0));
        *centers.of_mut(need) = center(&point);
    }
    centers
}

/// Standard deviation of the first generation, in units of the knobs' ranges.
const STEP: f64 = 0.25;

/// Ranges of the knobs, logarithmic but for the first; the quantile has its rungs.
const THRESHOLD: (f64, f64) = (-4.0, 4.0);
const HORIZON_LEADS: (f64, f64) = (0.5, 4.0);
const HALF_LIFE_H: (f64, f64) = (0.25, 168.0);
const TTL_H: (f64, f64) = (0.25, 72.0);
const RETRAIN_H: (f64, f64) = (1.0, 168.0);

/// Knobs at a point of the unit cube. Beyond its faces the cube is mirrored, so that
/// a search that steps out meets what it would have met inside.
fn center(point: &[f64]) -> KnobCenter {
    let inside: Vec<f64> = point.iter().map(|&x| mirrored(x)).collect();
    let log = |x: f64, (low, high): (f64, f64)| (low.ln() + x * (high / low).ln()).exp();
    let rungs = QUANTILES.len() as f64;
    KnobCenter {
        threshold_log_odds: THRESHOLD.0 + inside[0] * (THRESHOLD.1 - THRESHOLD.0),
        quantile_rung: (inside[1] * rungs).floor().min(rungs - 1.0) as u8,
        horizon_leads: log(inside[2], HORIZON_LEADS),
        half_life_h: log(inside[3], HALF_LIFE_H),
        ttl_h: log(inside[4], TTL_H),
        retrain_h: log(inside[5], RETRAIN_H),
    }
}

/// The point at which these knobs are; the middle of a rung.
fn coordinates(center: &KnobCenter) -> [f64; 6] {
    let log = |value: f64, (low, high): (f64, f64)| (value / low).ln() / (high / low).ln();
    [
        (center.threshold_log_odds - THRESHOLD.0) / (THRESHOLD.1 - THRESHOLD.0),
        (f64::from(center.quantile_rung) + 0.5) / QUANTILES.len() as f64,
        log(center.horizon_leads, HORIZON_LEADS),
        log(center.half_life_h, HALF_LIFE_H),
        log(center.ttl_h, TTL_H),
        log(center.retrain_h, RETRAIN_H),
    ]
}

/// Reflects a number at 0 and 1 until it lies between.
fn mirrored(x: f64) -> f64 {
    let x = x.rem_euclid(2.0);
    if x > 1.0 { 2.0 - x } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenarios;

    #[test]
    fn tuning_is_reproducible_and_not_worse_than_the_default() {
        let overrides = ["days=3", "history_days=3", "services.count=1"].map(str::to_owned);
        let scenario = scenarios::load("demo", &overrides).unwrap();
        for (search, candidates) in [(Search::Random, 6), (Search::CmaEs, 19)] {
            let spec = TuneSpec {
                search,
                candidates,
                seeds: 2,
                finalists: 2,
                fresh_seeds: 2,
            };
            let tuned = tune(&scenario, &spec, 7);
            assert_eq!(tuned, tune(&scenario, &spec, 7));
            assert_eq!(tuned.simulated_days, 3 * (candidates as u64 * 2 + 2 * 2));
            let seeds = [SeedSet::Tuning.seed(7, 0), SeedSet::Tuning.seed(7, 1)];
            let both = costs(
                &scenario,
                &[KnobCenters::default(), tuned.centers],
                &seeds,
                &Progress::new("test", 4),
            );
            let total = |costs: &[f64; 4]| costs.iter().sum::<f64>();
            assert!(total(&both[1]) <= 1.05 * total(&both[0]), "tuned {both:?}");
        }
    }

    #[test]
    fn the_cube_holds_the_default_and_mirrors_what_lies_outside() {
        for need in NeedType::ALL {
            let default = *KnobCenters::default().of(need);
            let point = coordinates(&default);
            let again = center(&point);
            assert_eq!(again.quantile_rung, default.quantile_rung);
            for (found, expected) in [
                (again.threshold_log_odds, default.threshold_log_odds),
                (again.horizon_leads, default.horizon_leads),
                (again.half_life_h, default.half_life_h),
                (again.ttl_h, default.ttl_h),
                (again.retrain_h, default.retrain_h),
            ] {
                assert!((found - expected).abs() < 1e-9 * expected.abs().max(1.0));
            }
        }
        assert_eq!(
            [-0.25, 1.25, 2.5, -1.75].map(mirrored),
            [0.25, 0.75, 0.5, 0.25]
        );
    }
}
