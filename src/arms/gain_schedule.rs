//! `gain-schedule`: a level for each pattern class and time of day.
//!
//! Cells are classed by how often they are asked, in and out of working hours: six
//! numbers a need type, all of them tuned; all zeros is the static policy.
//!
//! Reference: pattern classes as in SPES (arXiv 2403.17574), much reduced, because most of
//! our cells are asked a few times a week.
use prestage_controller::{Parameter, Scale};
use prestage_policy::Policy;

use super::Given;
use super::sensors::Sensed;
use super::steered::{Steered, ThresholdRule};

const fn level(name: &'static str, about: &'static str) -> Parameter {
    Parameter {
        name,
        about,
        default: 0.0,
        low: -3.0,
        high: 3.0,
        scale: Scale::Linear,
    }
}

/// Tuned for each need type, in the order of [`class`].
pub(super) static PARAMETERS: &[Parameter] = &[
    level(
        "rare_off",
        "level outside working hours, under one need a week",
    ),
    level(
        "rare_working",
        "level in working hours, under one need a week",
    ),
    level(
        "regular_off",
        "level outside working hours, one to five needs a week",
    ),
    level(
        "regular_working",
        "level in working hours, one to five needs a week",
    ),
    level(
        "dense_off",
        "level outside working hours, over five needs a week",
    ),
    level(
        "dense_working",
        "level in working hours, over five needs a week",
    ),
];

/// Needs a week at which a cell is no longer rare, and at which it is dense.
const EDGES_PER_WEEK: [f64; 2] = [1.0, 5.0];

/// Makes one.
pub(super) fn build(given: &Given) -> Box<dyn Policy> {
    Box::new(Steered::new(GainSchedule {
        levels: std::array::from_fn(|need| given.numbers(need)),
    }))
}

struct GainSchedule {
    /// By need type and class.
    levels: [[f64; 6]; 4],
}

fn class(cell: &Sensed) -> usize {
    let needs = cell.week.hits + cell.week.misses;
    let frequency = EDGES_PER_WEEK.iter().filter(|&&edge| needs >= edge).count();
    2 * frequency + usize::from(cell.is_working)
}

impl ThresholdRule for GainSchedule {
    fn decide(&mut self, cells: &[Option<Sensed>], levels: &mut [f64]) {
        for (level, cell) in levels.iter_mut().zip(cells) {
            if let Some(cell) = cell {
                *level = self.levels[cell.need][class(cell)];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arms::sensors::Counts;
    use crate::arms::stand::{cell, run};

    #[test]
    fn each_class_has_its_level() {
        let mut rule = GainSchedule {
            levels: [[0.0, 1.0, 2.0, 3.0, -1.0, -2.0]; 4],
        };
        let of = |needs: f64, is_working: bool| {
            Some(Sensed {
                week: Counts {
                    hits: needs / 2.0,
                    misses: needs / 2.0,
                    waste: 9.0,
                },
                is_working,
                ..cell(3)
            })
        };
        let cells = [
            of(0.9, false),
            of(0.9, true),
            of(1.0, false),
            of(4.0, true),
            of(5.0, false),
            of(9.0, true),
        ];
        assert_eq!(run(&mut rule, &cells), [0.0, 1.0, 2.0, 3.0, -1.0, -2.0]);
    }
}
