//! The search itself: points of unit cubes, one for each need type, in whole batches.
use prestage_controller::{Parameter, Values};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Search;
use crate::arms::ArmEntry;
use crate::optimise::CmaEs;

/// Standard deviation of the first generation, in units of the ranges.
const STEP: f64 = 0.25;

/// Costs of candidates, by need type.
type Evaluate<'a> = dyn FnMut(&[Values]) -> Vec<[f64; 4]> + 'a;

/// At most `budget` candidates and their costs, found in this way from this seed.
pub(super) fn search(
    entry: &ArmEntry,
    budget: usize,
    (way, seed): (Search, u64),
    evaluate: &mut Evaluate,
) -> (Vec<Values>, Vec<[f64; 4]>) {
    match way {
        Search::CmaEs => adapt(entry, budget, seed, evaluate),
        Search::Random => {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let drawn: Vec<Values> = (0..budget)
                .map(|_| draw(entry.parameters(), &mut rng))
                .collect();
            let costs = evaluate(&drawn);
            (drawn, costs)
        }
    }
}

/// Runs a search per need type for whole generations.
fn adapt(
    entry: &ArmEntry,
    budget: usize,
    seed: u64,
    evaluate: &mut Evaluate,
) -> (Vec<Values>, Vec<[f64; 4]>) {
    let parameters = entry.parameters();
    let defaults = entry.defaults();
    let mut searches: [CmaEs; 4] = std::array::from_fn(|need| {
        let address = (need as u64) << 32;
        CmaEs::new(units(parameters, &defaults[need]), STEP, seed ^ address)
    });
    let population = searches[0].population();
    let (mut candidates, mut costs) = (Vec::new(), Vec::new());
    for _ in 0..budget / population {
        let points = searches.each_ref().map(CmaEs::ask);
        let batch: Vec<Values> = (0..population)
            .map(|k| std::array::from_fn(|need| numbers(parameters, &points[need][k])))
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

fn draw(parameters: &[Parameter], rng: &mut ChaCha8Rng) -> Values {
    std::array::from_fn(|_| {
        let point: Vec<f64> = parameters
            .iter()
            .map(|_| rng.random_range(0.0..1.0))
            .collect();
        numbers(parameters, &point)
    })
}

/// Numbers at a point of the unit cube. Beyond its faces the cube is mirrored, so that a
/// search that steps out meets what it would have met inside.
fn numbers(parameters: &[Parameter], point: &[f64]) -> Vec<f64> {
    let both = parameters.iter().zip(point);
    both.map(|(parameter, &unit)| {
        // Rounding may leave a range by a last bit.
        parameter
            .at(mirrored(unit))
            .clamp(parameter.low, parameter.high)
    })
    .collect()
}

/// The point at which these numbers are.
fn units(parameters: &[Parameter], numbers: &[f64]) -> Vec<f64> {
    let both = parameters.iter().zip(numbers);
    both.map(|(parameter, &number)| parameter.unit_of(number))
        .collect()
}

/// Reflects a number at 0 and 1 until it lies between.
fn mirrored(x: f64) -> f64 {
    let x = x.rem_euclid(2.0);
    if x > 1.0 { 2.0 - x } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arms::ARMS;

    #[test]
    fn the_cube_holds_every_default_and_mirrors_what_lies_outside() {
        for entry in ARMS {
            let parameters = entry.parameters();
            for default in entry.defaults() {
                let again = numbers(parameters, &units(parameters, &default));
                for (found, expected) in again.iter().zip(&default) {
                    assert!((found - expected).abs() < 1e-9 * expected.abs().max(1.0));
                }
            }
        }
        assert_eq!(
            [-0.25, 1.25, 2.5, -1.75].map(mirrored),
            [0.25, 0.75, 0.5, 0.25]
        );
    }

    #[test]
    fn adaptation_beats_random_draws_on_a_bowl_with_the_same_budget() {
        let entry = crate::arms::arm("linear").unwrap();
        let target = [0.7, -0.4, 0.2, 1.0, -1.0, 0.3, 0.5, -0.6];
        let bowl = |numbers: &Vec<f64>| -> f64 {
            let offsets = numbers.iter().zip(target).map(|(x, y)| (x - y) * (x - y));
            offsets.sum()
        };
        let mut spent = Vec::new();
        let mut best = |way| {
            let mut calls = 0;
            let (_, costs) = search(entry, 300, (way, 5), &mut |batch| {
                calls += batch.len();
                batch
                    .iter()
                    .map(|values| values.each_ref().map(bowl))
                    .collect()
            });
            spent.push(calls);
            let total = |cost: &[f64; 4]| cost.iter().sum::<f64>();
            costs.iter().map(total).fold(f64::INFINITY, f64::min)
        };
        let (adapted, drawn) = (best(Search::CmaEs), best(Search::Random));
        assert!(adapted < 0.1 * drawn, "{adapted} and {drawn}");
        assert_eq!(spent, [300, 300]);
    }
}
