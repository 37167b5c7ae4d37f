//! The field of a race: points of the unit cube of each need type, and what each has cost so far.
//!
//! Need types touch each other only through the runner pool, so a candidate is four points
//! that are run together, and each point keeps the cost of its own need type.
use prestage_controller::{Parameter, Values};

use super::purse::Purse;
use super::spread::mirrored;

/// Costs of candidates on the tuning seeds of a range: by candidate, seed and need type.
pub(super) type Evaluate<'a> =
    dyn FnMut(&[Values], std::ops::Range<usize>) -> Vec<Vec<[f64; 4]>> + 'a;

/// A point and its costs on the first seeds, in the order of the seeds.
struct Entrant {
    /// In the unit cube.
    point: Vec<f64>,
    /// One a seed that it has been run on.
    costs: Vec<f64>,
}

impl Entrant {
    fn mean(&self) -> f64 {
        self.costs.iter().sum::<f64>() / self.costs.len() as f64
    }
}

/// All points that a search has tried.
pub(super) struct Field<'a> {
    parameters: &'static [Parameter],
    evaluate: &'a mut Evaluate<'a>,
    purse: Purse,
    seeds: usize,
    entrants: [Vec<Entrant>; 4],
}

impl<'a> Field<'a> {
    /// An empty field.
    pub(super) fn new(
        parameters: &'static [Parameter],
        (purse, seeds): (Purse, usize),
        evaluate: &'a mut Evaluate<'a>,
    ) -> Self {
        Self {
            parameters,
            evaluate,
            purse,
            seeds,
            entrants: std::array::from_fn(|_| Vec::new()),
        }
    }

    /// Numbers a need type.
    pub(super) fn dimension(&self) -> usize {
        self.parameters.len()
    }

    /// Seeds on which a point is run in the end.
    pub(super) fn seeds(&self) -> usize {
        self.seeds
    }

    /// Runs that are left.
    pub(super) fn left(&self) -> usize {
        self.purse.left()
    }

    /// Runs that were made.
    pub(super) fn spent(&self) -> usize {
        self.purse.spent()
    }

    /// Points that may still be run on every seed.
    pub(super) fn left_whole(&self) -> usize {
        self.left() / self.seeds
    }

    /// Enters points without running them; returns their indices, the same in every need type.
    pub(super) fn enter(&mut self, points: [Vec<Vec<f64>>; 4]) -> Vec<usize> {
        let first = self.entrants[0].len();
        let entrants = self.entrants.iter_mut();
        for (entrants, points) in entrants.zip(points) {
            entrants.extend(points.into_iter().map(|point| Entrant {
                point,
                costs: Vec::new(),
            }));
        }
        (first..self.entrants[0].len()).collect()
    }

    /// Runs the entrants of each need type, as many of each, on the seeds from `seeds.start`.
    ///
    /// # Panics
    /// When an entrant has not been run on exactly the seeds before.
    pub(super) fn run(&mut self, running: &[Vec<usize>; 4], seeds: std::ops::Range<usize>) {
        let count = running[0].len();
        self.purse.pay(count * seeds.len());
        let batch: Vec<Values> = (0..count)
            .map(|k| {
                std::array::from_fn(|need| {
                    let entrant = &self.entrants[need][running[need][k]];
                    assert_eq!(entrant.costs.len(), seeds.start, "a seed was left out");
                    numbers(self.parameters, &entrant.point)
                })
            })
            .collect();
        let found = (self.evaluate)(&batch, seeds);
        for (k, by_seed) in found.iter().enumerate() {
            for (need, entrants) in self.entrants.iter_mut().enumerate() {
                let costs = by_seed.iter().map(|costs| costs[need]);
                entrants[running[need][k]].costs.extend(costs);
            }
        }
    }

    /// Enters points and runs each on every seed; returns their mean costs by need type.
    pub(super) fn run_whole(&mut self, points: [Vec<Vec<f64>>; 4]) -> [Vec<f64>; 4] {
        let entered = self.enter(points);
        let running: [Vec<usize>; 4] = std::array::from_fn(|_| entered.clone());
        self.run(&running, 0..self.seeds);
        std::array::from_fn(|need| {
            let means = entered.iter().map(|&i| self.entrants[need][i].mean());
            means.collect()
        })
    }

    /// Those of `running` that have cost least, `count` of them, the cheapest first.
    pub(super) fn cheapest(&self, need: usize, running: &[usize], count: usize) -> Vec<usize> {
        let entrants = &self.entrants[need];
        let mut order = running.to_vec();
        order.sort_by(|&a, &b| {
            let (left, right) = (entrants[a].mean(), entrants[b].mean());
            left.total_cmp(&right).then(a.cmp(&b))
        });
        order.truncate(count);
        order
    }

    /// The entrants that were run on every seed, the cheapest first.
    fn ranking(&self, need: usize) -> Vec<&Entrant> {
        let entrants = &self.entrants[need];
        let whole: Vec<usize> = (0..entrants.len())
            .filter(|&i| entrants[i].costs.len() == self.seeds)
            .collect();
        let order = self.cheapest(need, &whole, whole.len());
        order.into_iter().map(|i| &entrants[i]).collect()
    }

    /// The cheapest point of a need type on all seeds.
    ///
    /// # Panics
    /// Before one has been run on all.
    pub(super) fn best(&self, need: usize) -> &[f64] {
        let ranking = self.ranking(need);
        &ranking
            .first()
            .expect("a race ends with a whole entrant")
            .point
    }

    /// The `count` best combinations: the k-th joins the k-th best numbers of every need type.
    pub(super) fn finalists(&self, count: usize) -> Vec<Values> {
        let rankings: [Vec<&Entrant>; 4] = std::array::from_fn(|need| self.ranking(need));
        let most = rankings.iter().map(Vec::len).min().unwrap_or(0);
        (0..count.min(most))
            .map(|k| std::array::from_fn(|need| numbers(self.parameters, &rankings[need][k].point)))
            .collect()
    }
}

/// Numbers at a point of the unit cube. Beyond its faces the cube is mirrored, so that a
/// search that steps out meets what it would have met inside.
pub(super) fn numbers(parameters: &[Parameter], point: &[f64]) -> Vec<f64> {
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
pub(super) fn units(parameters: &[Parameter], numbers: &[f64]) -> Vec<f64> {
    let both = parameters.iter().zip(numbers);
    both.map(|(parameter, &number)| parameter.unit_of(number))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arms::ARMS;

    #[test]
    fn the_cube_holds_every_default() {
        for entry in ARMS {
            let parameters = entry.parameters();
            for default in entry.defaults() {
                let again = numbers(parameters, &units(parameters, &default));
                for (found, expected) in again.iter().zip(&default) {
                    assert!((found - expected).abs() < 1e-9 * expected.abs().max(1.0));
                }
            }
        }
    }
}
