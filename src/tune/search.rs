//! The search itself: points of unit cubes, one for each need type, in whole batches.
//!
//! A race begins with points all over the cube and cheap runs: everybody on one seed, the
//! better third on the next, and so on (successive halving, Jamieson and Talwalkar 2016,
//! with thirds). What is left of the purse goes into the neighbourhood of the winner. Every
//! way ends with less in the purse than one candidate costs.
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Search;
use super::field::{Field, units};
use super::spread::{halton, mirrored};
use crate::arms::ArmEntry;
use crate::optimise::CmaEs;

/// A point of the unit cube for every need type.
type Points = [Vec<f64>; 4];

/// Standard deviation of the first generation, in units of the ranges.
const STEP: f64 = 0.25;
/// The same when the search begins at the winner of a race.
const STEP_NEAR: f64 = 0.12;
/// One run in so many of the purse is spent on the first lap of a race.
const FIRST_LAP: usize = 4;
/// One entrant in so many runs the next lap.
const KEPT: usize = 3;
/// But no fewer than this.
const KEPT_LEAST: usize = 3;

/// Searches in this way from this seed until the purse is empty.
pub(super) fn search(entry: &ArmEntry, field: &mut Field, (way, seed): (Search, u64)) {
    match way {
        Search::Race => {
            race(entry, field, seed);
            let best = std::array::from_fn(|need| field.best(need).to_vec());
            adapt(field, best, STEP_NEAR, seed);
        }
        Search::CmaEs => {
            let default = default_point(entry);
            field.run_whole(default.clone().map(|point| vec![point]));
            adapt(field, default, STEP, seed);
        }
        Search::Random => {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let (count, n) = (field.left_whole(), field.dimension());
            let mut draw = || (0..n).map(|_| rng.random_range(0.0..1.0)).collect();
            let drawn = std::array::from_fn(|_| (0..count).map(|_| draw()).collect());
            field.run_whole(drawn);
        }
    }
}

fn default_point(entry: &ArmEntry) -> Points {
    entry
        .defaults()
        .map(|numbers| units(entry.parameters(), &numbers))
}

/// Everybody runs the first seed, the better third the next, until the last seed.
fn race(entry: &ArmEntry, field: &mut Field, seed: u64) {
    let laps = laps(field.left(), field.seeds());
    let entered = field.enter(starts(entry, laps[0], seed));
    let mut running: [Vec<usize>; 4] = std::array::from_fn(|_| entered.clone());
    for (lap, &count) in laps.iter().enumerate() {
        for (need, running) in running.iter_mut().enumerate() {
            if lap > 0 {
                *running = field.cheapest(need, running, count);
            }
        }
        field.run(&running, lap..lap + 1);
    }
}

/// Entrants of each lap; one when the purse is too small for a race.
fn laps(purse: usize, seeds: usize) -> Vec<usize> {
    let first = (purse / FIRST_LAP).max(KEPT_LEAST);
    let mut laps = vec![first];
    while laps.len() < seeds {
        laps.push((laps[laps.len() - 1] / KEPT).max(KEPT_LEAST));
    }
    let Some(rest) = purse.checked_sub(laps.iter().sum()) else {
        return vec![1; seeds];
    };
    // What no whole candidate could spend later is spent now.
    laps[0] += rest % seeds;
    laps
}

/// Where a race begins: the untuned numbers, those that the arm knows to be good, each number
/// alone a quarter of its range up and down, then points that fill the cube.
fn starts(entry: &ArmEntry, count: usize, seed: u64) -> [Vec<Vec<f64>>; 4] {
    let default = default_point(entry);
    let known = entry.known_good();
    std::array::from_fn(|need| {
        let of_need = &default[need];
        let known = known
            .iter()
            .map(|values| units(entry.parameters(), &values[need]));
        let mut points: Vec<Vec<f64>> = std::iter::once(of_need.clone()).chain(known).collect();
        for index in 0..of_need.len() {
            for step in [-STEP, STEP] {
                points.push(moved(of_need, index, step));
            }
        }
        let address = seed ^ ((need as u64) << 32);
        points.extend(halton(of_need.len(), address).take(count));
        points.truncate(count);
        points
    })
}

fn moved(point: &[f64], index: usize, step: f64) -> Vec<f64> {
    let mut point = point.to_vec();
    point[index] = mirrored(point[index] + step);
    point
}

/// Covariance matrix adaptation from a point of each need type. The last generation may be a
/// part of one: it is run and teaches nothing.
fn adapt(field: &mut Field, from: Points, step: f64, seed: u64) {
    let mut searches: [CmaEs; 4] = std::array::from_fn(|need| {
        let address = (need as u64) << 32;
        CmaEs::new(from[need].clone(), step, seed ^ address)
    });
    let population = searches[0].population();
    while field.left_whole() > 0 {
        let count = population.min(field.left_whole());
        let points = searches.each_ref().map(|search| {
            let mut points = search.ask();
            points.truncate(count);
            points
        });
        let costs = field.run_whole(points.clone());
        if count == population {
            for ((search, points), costs) in searches.iter_mut().zip(&points).zip(&costs) {
                search.tell(points, costs);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use prestage_controller::Values;

    use super::super::purse::Purse;
    use super::*;

    /// Squared distance to a target from which the untuned numbers are far.
    fn bowl(point: &[f64]) -> f64 {
        let target = |index: usize| 0.15 + 0.7 * ((index * 7 + 3) % 10) as f64 / 10.0;
        let both = point.iter().zip((0..).map(target));
        both.map(|(x, y)| (x - y) * (x - y)).sum()
    }

    /// The cost of the best finalist, and the runs made.
    fn found(name: &str, way: Search, runs: usize) -> (f64, usize) {
        let entry = crate::arms::arm(name).unwrap();
        let cost = |numbers: &Vec<f64>| bowl(&units(entry.parameters(), numbers));
        // Seeds are dearer or cheaper for everybody.
        let level = |seed: usize| ((seed * 5 + 2) % 7) as f64;
        let mut evaluate = |batch: &[Values], seeds: std::ops::Range<usize>| {
            let on = |values: &Values, seed| values.each_ref().map(|x| cost(x) + level(seed));
            let of = |values: &Values| seeds.clone().map(|seed| on(values, seed)).collect();
            batch.iter().map(of).collect()
        };
        let purse = Purse::of(runs);
        let mut field = Field::new(entry.parameters(), (purse, 3), &mut evaluate);
        search(entry, &mut field, (way, 5));
        let best: f64 = field.finalists(1)[0].iter().map(cost).sum();
        (best, field.spent())
    }

    #[test]
    fn a_race_and_adaptation_beat_random_draws_with_the_same_budget() {
        for name in ["static-tuned", "linear"] {
            let ways = [Search::Race, Search::CmaEs, Search::Random];
            let [race, adapted, drawn] = ways.map(|way| found(name, way, 900));
            assert!(race.0 < 0.3 * drawn.0, "{name}: {race:?} {drawn:?}");
            assert!(adapted.0 < 0.3 * drawn.0, "{name}: {adapted:?} {drawn:?}");
            assert_eq!([race.1, adapted.1, drawn.1], [900; 3], "{name}");
        }
    }

    #[test]
    fn a_small_purse_is_emptied_and_never_overdrawn() {
        for runs in [3, 4, 9, 10, 11, 30, 121] {
            for way in [Search::Race, Search::CmaEs, Search::Random] {
                let (_, spent) = found("linear", way, runs);
                let is_raced = way == Search::Race && runs >= 9;
                let unspent = if is_raced { 0 } else { runs % 3 };
                assert_eq!(spent, runs - unspent, "{way:?} {runs}");
            }
        }
        assert_eq!(laps(120, 3), [32, 10, 3]);
        assert_eq!(laps(4, 3), [1, 1, 1], "too small for a race");
    }
}
