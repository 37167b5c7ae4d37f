//! `bandit`: learns from its own costs which threshold level suits the hour.
//!
//! Five levels, -2 to 2, chosen for all cells of a need type at once; the context is the
//! hour of the day, working time and the runner pool. What a choice earned is minus the
//! mean cost of misses and wasted stages a cell over the hours after it, in units of
//! their running mean. It begins knowing nothing in every run, as it would where it is
//! switched on: it has to explore on the job.
//!
//! Reference: Li et al., A contextual-bandit approach to personalized news article
//! recommendation (2010), LinUCB with disjoint linear models.
use std::collections::VecDeque;

use prestage_controller::{Parameter, Scale};
use prestage_policy::Policy;

use super::Given;
use super::sensors::{Happened, Sensed};
use super::steered::{Steered, ThresholdRule};

/// Tuned for each need type.
pub(super) static PARAMETERS: &[Parameter] = &[
    Parameter {
        name: "exploration",
        about: "weight of what is not known of a level against what it has earned",
        default: 0.3,
        low: 0.0,
        high: 3.0,
        scale: Scale::Linear,
    },
    Parameter {
        name: "credit_hours",
        about: "hours of cost that a choice answers for",
        default: 24.0,
        low: 6.0,
        high: 72.0,
        scale: Scale::Logarithmic,
    },
];

/// Makes one.
pub(super) fn build(given: &Given) -> Box<dyn Policy> {
    let learner = |need: usize| {
        let [exploration, credit_hours] = given.numbers(need);
        LinUcb::new(exploration, credit_hours.round() as usize)
    };
    Box::new(Steered::new(Bandit {
        learners: std::array::from_fn(learner),
        happened: Happened::default(),
    }))
}

const CHOICES: usize = 5;
const FEATURES: usize = 5;
/// Hours over which the usual cost is taken.
const SCALE_MEMORY_H: f64 = 168.0;

type Context = [f64; FEATURES];

/// Level of a choice, log-odds.
fn level(choice: usize) -> f64 {
    choice as f64 - 2.0
}

/// A linear model of what one choice earns: ridge regression with unit penalty, kept as
/// the inverse of its matrix (Sherman and Morrison 1950).
#[derive(Clone)]
struct Model {
    inverse: [[f64; FEATURES]; FEATURES],
    sum: Context,
}

impl Model {
    fn new() -> Self {
        let mut inverse = [[0.0; FEATURES]; FEATURES];
        (0..FEATURES).for_each(|i| inverse[i][i] = 1.0);
        Self {
            inverse,
            sum: [0.0; FEATURES],
        }
    }

    fn learn(&mut self, x: &Context, earned: f64) {
        let turned = times(&self.inverse, x);
        let scale = 1.0 + dot(x, &turned);
        for (row, a) in self.inverse.iter_mut().zip(turned) {
            for (entry, b) in row.iter_mut().zip(turned) {
                *entry -= a * b / scale;
            }
        }
        for (sum, x) in self.sum.iter_mut().zip(x) {
            *sum += earned * x;
        }
    }

    /// Upper confidence bound of what the choice earns.
    fn bound(&self, x: &Context, exploration: f64) -> f64 {
        let theta = times(&self.inverse, &self.sum);
        dot(&theta, x) + exploration * dot(x, &times(&self.inverse, x)).max(0.0).sqrt()
    }
}

fn times(matrix: &[[f64; FEATURES]; FEATURES], x: &Context) -> Context {
    matrix.map(|row| dot(&row, x))
}

fn dot(a: &Context, b: &Context) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The learner of one need type.
struct LinUcb {
    exploration: f64,
    credit_hours: usize,
    models: [Model; CHOICES],
    /// Choices that still gather costs, oldest first.
    open: VecDeque<(Context, usize, f64)>,
    /// Mean cost of a cell and hour, US dollars, and the hours behind it.
    usual_usd: f64,
    hours: f64,
}

impl LinUcb {
    fn new(exploration: f64, credit_hours: usize) -> Self {
        Self {
            exploration,
            credit_hours,
            models: std::array::from_fn(|_| Model::new()),
            open: VecDeque::new(),
            usual_usd: 0.0,
            hours: 0.0,
        }
    }

    /// Books the cost of the last hour, then chooses for the next.
    fn choose(&mut self, x: Context, cost_usd: f64) -> usize {
        self.hours = (self.hours + 1.0).min(SCALE_MEMORY_H);
        self.usual_usd += (cost_usd - self.usual_usd) / self.hours;
        self.open
            .iter_mut()
            .for_each(|(_, _, sum)| *sum += cost_usd);
        if self.open.len() >= self.credit_hours
            && let Some((context, choice, sum)) = self.open.pop_front()
        {
            let mean = sum / self.credit_hours as f64;
            let earned = -mean / self.usual_usd.max(1e-6);
            self.models[choice].learn(&context, earned.max(-10.0));
        }
        let choice = self.best(&x);
        self.open.push_back((x, choice, 0.0));
        choice
    }

    /// The highest bound; of equals the level nearest to 0.
    fn best(&self, x: &Context) -> usize {
        let mut order = [2, 1, 3, 0, 4].into_iter();
        let bound = |choice: usize| self.models[choice].bound(x, self.exploration);
        let first = order.next().expect("there are five choices");
        order.fold(first, |best, choice| {
            if bound(choice) > bound(best) {
                choice
            } else {
                best
            }
        })
    }
}

struct Bandit {
    /// By need type.
    learners: [LinUcb; 4],
    happened: Happened,
}

impl ThresholdRule for Bandit {
    fn decide(&mut self, cells: &[Option<Sensed>], levels: &mut [f64]) {
        let mut costs = [0.0; 4];
        let mut counts = [0.0; 4];
        let mut contexts: [Option<Context>; 4] = [None; 4];
        for (index, cell) in cells.iter().enumerate() {
            let Some(cell) = cell else { continue };
            let new = self.happened.since(index, cell.week);
            costs[cell.need] += new.misses * cell.miss_usd + new.waste * cell.waste_usd;
            counts[cell.need] += 1.0;
            let working = f64::from(u8::from(cell.is_working));
            let [sine, cosine] = cell.hour;
            contexts[cell.need] = Some([1.0, sine, cosine, working, cell.runner_utilization]);
        }
        let mut chosen = [0.0; 4];
        for need in 0..4 {
            if let Some(context) = contexts[need] {
                let choice = self.learners[need].choose(context, costs[need] / counts[need]);
                chosen[need] = level(choice);
            }
        }
        for (level, cell) in levels.iter_mut().zip(cells) {
            if let Some(cell) = cell {
                *level = chosen[cell.need];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inverse_is_kept_exactly() {
        let mut model = Model::new();
        model.learn(&[1.0, 0.0, 0.0, 0.0, 0.0], 3.0);
        model.learn(&[1.0, 1.0, 0.0, 0.0, 0.0], 5.0);
        // (I + sum x x') = [[3, 1], [1, 2]], its inverse [[2, -1], [-1, 3]] / 5.
        for (row, expected) in model.inverse.iter().zip([[0.4, -0.2], [-0.2, 0.6]]) {
            for (entry, expected) in row.iter().zip(expected) {
                assert!((entry - expected).abs() < 1e-12);
            }
        }
        // theta = inverse x (8, 5) = (2.2, 1.4).
        let bound = model.bound(&[1.0, 1.0, 0.0, 0.0, 0.0], 0.0);
        assert!((bound - 3.6).abs() < 1e-12, "{bound}");
    }

    #[test]
    fn the_cheapest_level_of_each_context_is_found() {
        let mut learner = LinUcb::new(0.5, 1);
        let context = |night: bool| [1.0, f64::from(u8::from(night)), 0.0, 0.0, 0.0];
        let cost = |night: bool, choice: usize| {
            let best = if night { 4.0 } else { 1.0 };
            1.0 + (choice as f64 - best).abs()
        };
        let mut last = 0.0;
        let mut late = Vec::new();
        for step in 0..2_000 {
            let night = step % 2 == 0;
            let choice = learner.choose(context(night), last);
            last = cost(night, choice);
            if step >= 1_900 {
                late.push((night, choice));
            }
        }
        let right = late
            .iter()
            .filter(|&&(night, choice)| choice == if night { 4 } else { 1 })
            .count();
        assert!(right > 85, "{right} of 100");
    }

    #[test]
    fn a_choice_answers_for_its_hours_and_no_others() {
        let mut learner = LinUcb::new(0.0, 3);
        for cost in [0.0, 1.0, 2.0, 3.0] {
            learner.choose([1.0, 0.0, 0.0, 0.0, 0.0], cost);
        }
        assert_eq!(learner.open.len(), 3);
        assert_eq!(
            learner.open[0].2, 5.0,
            "hours 2 and 3 for the second choice"
        );
        assert!(learner.models[2].sum[0] < 0.0, "the first earned its costs");
    }
}
