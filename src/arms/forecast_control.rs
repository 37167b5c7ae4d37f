//! `forecast-control`: plans a few lead times ahead with the forecast, then moves the
//! threshold to where the plan wants it.
//!
//! Time is cut into slots of one lead time. The rates of the first two are the
//! forecast's; the later ones keep the second. In a slot a need that finds a stage costs
//! nothing, one that finds none costs a miss; a stage costs its holding in each slot and
//! its waste if it is given up or left over at the end. A dynamic programme over the slots
//! says whether to order now or later, and whether to keep what stands ready. Where that is
//! what the threshold would do anyway the knob stays; else it is turned just far enough.
//!
//! Reference: model predictive control; the programme is a finite-horizon optimal stopping
//! problem (Bertsekas, Dynamic Programming and Optimal Control, volume 1).
use prestage_controller::{Parameter, Scale};
use prestage_policy::Policy;

use super::Given;
use super::sensors::{Sensed, StageSeen};
use super::steered::{Steered, ThresholdRule};

/// Tuned for each need type.
pub(super) static PARAMETERS: &[Parameter] = &[
    Parameter {
        name: "miss_factor",
        about: "what the price of a miss is multiplied by",
        default: 1.0,
        low: 0.1,
        high: 10.0,
        scale: Scale::Logarithmic,
    },
    Parameter {
        name: "hold_ratio",
        about: "cost of holding a stage for a lead time, over that of wasting it",
        default: 0.05,
        low: 0.001,
        high: 1.0,
        scale: Scale::Logarithmic,
    },
];

/// Makes one.
pub(super) fn build(given: &Given) -> Box<dyn Policy> {
    Box::new(Steered::new(ForecastControl {
        settings: std::array::from_fn(|need| {
            let [miss_factor, hold_ratio] = given.numbers(need);
            Setting {
                miss_factor,
                hold_ratio,
            }
        }),
        horizon_leads: given.horizon_leads(),
    }))
}

/// Slots of the plan.
const SLOTS: usize = 12;
/// A ready stage is withdrawn this far below the threshold.
const WITHDRAW_LOG_ODDS: f64 = 2.0;

#[derive(Clone, Copy)]
struct Setting {
    miss_factor: f64,
    hold_ratio: f64,
}

/// What the plan costs from now on, US dollars, by what is done now.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Plan {
    /// Nothing stands ready: order now, or not now.
    order: f64,
    wait: f64,
    /// A stage stands ready: keep it, or give it up.
    keep: f64,
    give_up: f64,
}

/// Prices of a cell, US dollars.
#[derive(Clone, Copy)]
struct Prices {
    miss: f64,
    waste: f64,
    hold: f64,
}

/// Plans with the probability of a need in each slot; a need ends the plan.
fn plan(needs: &[f64; SLOTS], prices: Prices) -> Plan {
    let Prices { miss, waste, hold } = prices;
    // Cost from a slot on: with a stage that is ready in it, with one that will be in the
    // next, and without any. Beyond the last slot what is left over is waste.
    let mut after = Plan {
        order: waste,
        wait: 0.0,
        keep: waste,
        give_up: waste,
    };
    for &need in needs.iter().rev() {
        let ready = after.keep.min(after.give_up);
        let none = after.order.min(after.wait);
        let stays = 1.0 - need;
        let without = need * miss + stays * none;
        after = Plan {
            // A stage that is ordered is there in the next slot.
            order: need * miss + stays * ready,
            wait: without,
            keep: hold + stays * ready,
            give_up: waste + without,
        };
    }
    after
}

/// Probability of at least one need of so many expected ones.
fn any(expected: f64) -> f64 {
    -(-expected).exp_m1()
}

struct ForecastControl {
    settings: [Setting; 4],
    /// How far the forecast looks that the threshold is compared with, by need type.
    horizon_leads: [f64; 4],
}

impl ForecastControl {
    fn plan(&self, cell: &Sensed) -> Plan {
        let setting = self.settings[cell.need];
        let first = cell.expected_within(1.0);
        let later = cell.expected_within(2.0) - first;
        let needs: [f64; SLOTS] =
            std::array::from_fn(|slot| any(if slot == 0 { first } else { later }));
        let prices = Prices {
            miss: cell.miss_usd * setting.miss_factor,
            waste: cell.waste_usd,
            hold: cell.waste_usd * setting.hold_ratio,
        };
        plan(&needs, prices)
    }

    /// The level nearest to 0 at which the threshold does what the plan wants.
    fn level(&self, cell: &Sensed) -> f64 {
        let plan = self.plan(cell);
        let margin = cell.margin_within(self.horizon_leads[cell.need]);
        match cell.stage {
            StageSeen::None if plan.order < plan.wait => margin.floor().min(0.0),
            StageSeen::None => (margin.floor() + 1.0).max(0.0),
            StageSeen::Preparing => 0.0,
            StageSeen::Ready if plan.keep <= plan.give_up => {
                (margin + WITHDRAW_LOG_ODDS).floor().min(0.0)
            }
            StageSeen::Ready => ((margin + WITHDRAW_LOG_ODDS).floor() + 1.0).max(0.0),
        }
    }
}

impl ThresholdRule for ForecastControl {
    fn decide(&mut self, cells: &[Option<Sensed>], levels: &mut [f64]) {
        for (level, cell) in levels.iter_mut().zip(cells) {
            if let Some(cell) = cell {
                *level = self.level(cell);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arms::stand::cell;

    const PRICES: Prices = Prices {
        miss: 100.0,
        waste: 10.0,
        hold: 1.0,
    };

    #[test]
    fn a_certain_need_in_the_next_slot_is_ordered_for_now_and_not_earlier() {
        let mut needs = [0.0; SLOTS];
        needs[1] = 1.0;
        // Ordered now: held for the slot of the need.
        assert_eq!(plan(&needs, PRICES).order, 1.0);
        assert_eq!(plan(&needs, PRICES).wait, 100.0);
        needs = [0.0; SLOTS];
        needs[3] = 1.0;
        let later = plan(&needs, PRICES);
        assert_eq!((later.order, later.wait), (3.0, 1.0), "just in time");
        // What stands ready is kept for three slots rather than wasted.
        assert_eq!((later.keep, later.give_up), (4.0, 11.0));
    }

    #[test]
    fn without_needs_nothing_is_ordered_and_what_stands_is_waste_anyway() {
        let none = plan(&[0.0; SLOTS], PRICES);
        assert_eq!((none.order, none.wait), (10.0, 0.0));
        assert_eq!((none.keep, none.give_up), (11.0, 10.0));
    }

    #[test]
    fn the_knob_is_turned_just_far_enough() {
        let rule = ForecastControl {
            settings: [Setting {
                miss_factor: 1.0,
                hold_ratio: 0.01,
            }; 4],
            horizon_leads: [1.0; 4],
        };
        let likely = Sensed {
            log_odds_1x: -1.0,
            log_odds_2x: 1.0,
            miss_usd: 1000.0,
            waste_usd: 1.0,
            ..cell(0)
        };
        for (margin, expected) in [(0.5, 0.0), (-0.5, -1.0), (-0.9, -1.0), (-2.5, -3.0)] {
            assert_eq!(rule.level(&Sensed { margin, ..likely }), expected);
        }
        let unlikely = Sensed {
            log_odds_1x: -9.0,
            log_odds_2x: -8.3,
            miss_usd: 1.0,
            ..likely
        };
        for (margin, expected) in [(-0.5, 0.0), (0.1, 1.0), (1.5, 2.0)] {
            assert_eq!(rule.level(&Sensed { margin, ..unlikely }), expected);
        }
    }
}
