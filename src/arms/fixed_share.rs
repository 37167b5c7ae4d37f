//! `fixed-share`: seven experts, one a threshold level, weighted by what they would have
//! cost.
//!
//! Needs are seen whether a stage stood ready or not, so the cost of every level is known
//! afterwards, not only that of the one in force: a level that would not have staged an
//! hour before a need pays the miss, one that would have staged pays an hour of holding,
//! the waste over the time to live. Weights are shared by the cells of a need type; a
//! small share of them is handed round each hour, so that a level that was bad can come
//! back. The weighted mean of the levels is set.
//!
//! Reference: Herbster and Warmuth, Tracking the best expert (1998), fixed share with
//! the exponentially weighted mean.
use prestage_controller::{NeedType, Parameter, Scale};
use prestage_policy::Policy;

use super::Given;
use super::sensors::{Happened, Sensed};
use super::steered::{Steered, ThresholdRule};

/// Tuned for each need type.
pub(super) static PARAMETERS: &[Parameter] = &[
    Parameter {
        name: "learning_rate",
        about: "how fast weights follow costs, over the cost of a miss and a waste",
        default: 4.0,
        low: 0.0,
        high: 40.0,
        scale: Scale::Linear,
    },
    Parameter {
        name: "share_ratio",
        about: "share of the weights that is handed round each hour",
        default: 0.01,
        low: 0.0001,
        high: 0.3,
        scale: Scale::Logarithmic,
    },
];

/// Makes one.
pub(super) fn build(given: &Given) -> Box<dyn Policy> {
    let setting = |need: usize| {
        let [learning_rate, share_ratio] = given.numbers(need);
        Experts {
            learning_rate,
            share_ratio,
            ttl_h: given.centers.of(NeedType::ALL[need]).ttl_h,
            weights: [1.0 / EXPERTS as f64; EXPERTS],
        }
    };
    Box::new(Steered::new(FixedShare {
        experts: std::array::from_fn(setting),
        horizon_leads: given.horizon_leads(),
        happened: Happened::default(),
        margins: Vec::new(),
    }))
}

const EXPERTS: usize = 7;

/// Level of an expert, log-odds.
fn level(expert: usize) -> f64 {
    expert as f64 - 3.0
}

/// The experts of one need type.
struct Experts {
    learning_rate: f64,
    share_ratio: f64,
    /// Longest time a stage is held, hours.
    ttl_h: f64,
    weights: [f64; EXPERTS],
}

impl Experts {
    fn learn(&mut self, losses: &[f64; EXPERTS]) {
        for (weight, loss) in self.weights.iter_mut().zip(losses) {
            *weight *= (-self.learning_rate * loss).exp();
        }
        let sum: f64 = self.weights.iter().sum();
        let handed = self.share_ratio / (EXPERTS - 1) as f64;
        for weight in &mut self.weights {
            let own = *weight / sum;
            *weight = (1.0 - self.share_ratio) * own + handed * (1.0 - own);
        }
    }

    fn mean_level(&self) -> f64 {
        (0..EXPERTS).map(|k| self.weights[k] * level(k)).sum()
    }

    /// What each level would have cost in the last hour, US dollars.
    fn losses(&self, cell: &Sensed, margin: f64, needs: f64) -> [f64; EXPERTS] {
        std::array::from_fn(|k| match (margin >= level(k), needs > 0.0) {
            (true, true) => 0.0,
            (true, false) => cell.waste_usd / self.ttl_h,
            (false, _) => needs * cell.miss_usd,
        })
    }
}

struct FixedShare {
    /// By need type.
    experts: [Experts; 4],
    /// How far forecasts look, by need type.
    horizon_leads: [f64; 4],
    happened: Happened,
    /// Margins an hour ago, by cell; NaN where there was none.
    margins: Vec<f64>,
}

impl ThresholdRule for FixedShare {
    fn decide(&mut self, cells: &[Option<Sensed>], levels: &mut [f64]) {
        self.margins.resize(cells.len(), f64::NAN);
        let mut losses = [[0.0; EXPERTS]; 4];
        let mut scales = [0.0; 4];
        for (index, cell) in cells.iter().enumerate() {
            let margin = std::mem::replace(&mut self.margins[index], f64::NAN);
            let Some(cell) = cell else { continue };
            self.margins[index] = cell.margin_within(self.horizon_leads[cell.need]);
            let new = self.happened.since(index, cell.week);
            if margin.is_finite() {
                let found = self.experts[cell.need].losses(cell, margin, new.hits + new.misses);
                for (sum, loss) in losses[cell.need].iter_mut().zip(found) {
                    *sum += loss;
                }
                scales[cell.need] += cell.miss_usd + cell.waste_usd;
            }
        }
        for ((experts, losses), scale) in self.experts.iter_mut().zip(losses).zip(scales) {
            if scale > 0.0 {
                experts.learn(&losses.map(|loss| loss / scale));
            }
        }
        for (level, cell) in levels.iter_mut().zip(cells) {
            if let Some(cell) = cell {
                *level = self.experts[cell.need].mean_level();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arms::stand::cell;

    fn experts() -> Experts {
        Experts {
            learning_rate: 2.0,
            share_ratio: 0.1,
            ttl_h: 10.0,
            weights: [1.0 / 7.0; EXPERTS],
        }
    }

    #[test]
    fn one_update_by_hand() {
        let mut experts = experts();
        let mut losses = [0.0; EXPERTS];
        losses[6] = 0.5;
        experts.learn(&losses);
        // Six of weight 1 and one of 1/e, then a tenth of each is handed to the others.
        let sum = 6.0 + (-1.0f64).exp();
        let expected = 0.9 / sum + 0.1 / 6.0 * (1.0 - 1.0 / sum);
        assert!((experts.weights[0] - expected).abs() < 1e-15);
        assert!((experts.weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(experts.mean_level() < 0.0);
    }

    #[test]
    fn a_level_pays_the_miss_or_the_hour_of_holding() {
        let cell = Sensed {
            miss_usd: 30.0,
            waste_usd: 20.0,
            ..cell(0)
        };
        let losses = experts().losses(&cell, 0.5, 1.0);
        assert_eq!(losses, [0.0, 0.0, 0.0, 0.0, 30.0, 30.0, 30.0]);
        let losses = experts().losses(&cell, 0.5, 0.0);
        assert_eq!(losses, [2.0, 2.0, 2.0, 2.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn weights_follow_the_best_level_and_come_back() {
        let mut experts = experts();
        let pays = |from: usize, to: usize| {
            std::array::from_fn(|k| if (from..to).contains(&k) { 0.0 } else { 0.5 })
        };
        (0..100).for_each(|_| experts.learn(&pays(0, 1)));
        assert!(experts.mean_level() < -2.0, "{:?}", experts.weights);
        (0..10).for_each(|_| experts.learn(&pays(6, 7)));
        assert!(experts.mean_level() > 2.0, "{:?}", experts.weights);
    }
}
