//! What an arm wastes when it must meet so many needs in time: its threshold is moved over
//! a range, and the least waste is read off at given hit rates.
//!
//! Arms with different thresholds cannot be compared by waste alone, nor by hits alone. At
//! one hit rate they can. Between two settings lies their mixture, one of them in some
//! weeks and the other in the rest, which meets and wastes in proportion: the frontier is
//! the lower convex hull, as of a ROC curve (Provost and Fawcett, Robust classification for
//! imprecise environments, 2001).
use prestage_controller::NeedType;
use prestage_envs::{Episode, Setting, run_arm};
use rayon::prelude::*;
use serde::Serialize;

use crate::compare::Contestant;
use crate::progress::Progress;

/// Hit rates at which the waste is read.
pub const HIT_RATES: [f64; 2] = [0.95, 0.99];

/// Log-odds by which thresholds are moved; 0 is the arm itself.
pub const SHIFTS: [f64; 11] = [-8.0, -6.0, -5.0, -4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0];

/// An arm with its threshold moved.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Operating {
    /// Log-odds added to every threshold.
    pub shift: f64,
    /// Share of needs that found a ready stage.
    pub hit_rate: f64,
    /// Stages never used.
    pub waste: u64,
    /// US dollars.
    pub cost_usd: f64,
}

/// The least waste at a hit rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct AtHitRate {
    /// Share of needs that find a ready stage.
    pub hit_rate: f64,
    /// Stages never used; none when no setting of the threshold meets so many.
    pub waste: Option<f64>,
    /// The same for each need that was met.
    pub waste_per_hit: Option<f64>,
}

/// Whether moving the threshold moves the arm: rules of other products have none, and those
/// that never or always stage have one that is infinite.
pub fn has_threshold(contestant: &Contestant) -> bool {
    let is_finite = |need: &NeedType| {
        let center = contestant.arm.centers.of(*need);
        center.threshold_log_odds.is_finite()
    };
    contestant.arm.rule.is_none() && NeedType::ALL.iter().all(is_finite)
}

/// Runs every arm that has a threshold at every shift; arms without one give no points.
pub fn sweep(
    setting: &Setting,
    contestants: &[Contestant],
    progress: &Progress,
) -> Vec<Vec<Operating>> {
    let jobs: Vec<(usize, f64)> = contestants
        .iter()
        .enumerate()
        .filter(|(_, contestant)| has_threshold(contestant))
        .flat_map(|(index, _)| SHIFTS.map(|shift| (index, shift)))
        .collect();
    let run = |&(index, shift): &(usize, f64)| {
        let moved = moved(&contestants[index], shift);
        let episode = run_arm(setting, &moved.arm, moved.knob_turner(setting).as_mut());
        progress.step();
        (index, operating(shift, &episode))
    };
    let found: Vec<(usize, Option<Operating>)> = jobs.par_iter().map(run).collect();
    let mut by_arm = vec![Vec::new(); contestants.len()];
    for (index, point) in found {
        by_arm[index].extend(point);
    }
    by_arm
}

/// How many runs [`sweep`] makes.
pub fn runs(contestants: &[Contestant]) -> u64 {
    let moved = contestants.iter().filter(|one| has_threshold(one)).count();
    (moved * SHIFTS.len()) as u64
}

fn moved(contestant: &Contestant, shift: f64) -> Contestant {
    let mut moved = contestant.clone();
    for need in NeedType::ALL {
        moved.arm.centers.of_mut(need).threshold_log_odds += shift;
    }
    moved
}

/// None without a need.
fn operating(shift: f64, episode: &Episode) -> Option<Operating> {
    let sum = |of: fn(&prestage_envs::CellResult) -> u64| episode.cells.iter().map(of).sum::<u64>();
    let needs = sum(|cell| cell.tally.needs);
    (needs > 0).then(|| Operating {
        shift,
        hit_rate: sum(|cell| cell.tally.hits) as f64 / needs as f64,
        waste: sum(|cell| cell.tally.waste()),
        cost_usd: episode.cost_usd(),
    })
}

/// The least waste at a hit rate, over single settings and mixtures of two; `needs` arose.
pub fn at_hit_rate(points: &[Operating], hit_rate: f64, needs: u64) -> AtHitRate {
    let alone = points
        .iter()
        .filter(|point| point.hit_rate >= hit_rate)
        .map(|point| point.waste as f64);
    let mixed = points.iter().flat_map(|low| {
        let higher = points
            .iter()
            .filter(move |high| low.hit_rate < hit_rate && hit_rate <= high.hit_rate);
        higher.map(move |high| {
            let share = (hit_rate - low.hit_rate) / (high.hit_rate - low.hit_rate);
            low.waste as f64 + share * (high.waste as f64 - low.waste as f64)
        })
    });
    let waste = alone.chain(mixed).min_by(f64::total_cmp);
    AtHitRate {
        hit_rate,
        waste,
        waste_per_hit: waste.map(|waste| waste / (hit_rate * needs as f64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(hit_rate: f64, waste: u64) -> Operating {
        Operating {
            shift: 0.0,
            hit_rate,
            waste,
            cost_usd: 0.0,
        }
    }

    #[test]
    fn waste_is_read_off_the_convex_hull() {
        // The middle point lies above the line from the first to the last.
        let points = [point(0.5, 0), point(0.9, 90), point(1.0, 100)];
        let found = at_hit_rate(&points, 0.9, 10);
        assert!((found.waste.unwrap() - 80.0).abs() < 1e-9, "{found:?}");
        assert!((found.waste_per_hit.unwrap() - 80.0 / 9.0).abs() < 1e-9);
        assert_eq!(at_hit_rate(&points, 0.5, 10).waste, Some(0.0));
        assert_eq!(at_hit_rate(&points, 1.0, 10).waste, Some(100.0));
    }

    #[test]
    fn a_rate_that_no_setting_meets_has_no_waste() {
        let points = [point(0.5, 0), point(0.9, 90)];
        let found = at_hit_rate(&points, 0.95, 10);
        assert_eq!((found.waste, found.waste_per_hit), (None, None));
        assert_eq!(at_hit_rate(&[], 0.1, 10).waste, None);
    }

    #[test]
    fn a_higher_rate_never_wastes_less() {
        let points = [
            point(0.2, 30),
            point(0.6, 10),
            point(0.7, 40),
            point(0.95, 80),
        ];
        let wastes: Vec<f64> = (0..=18)
            .map(|step| {
                at_hit_rate(&points, f64::from(step) * 0.05, 10)
                    .waste
                    .unwrap()
            })
            .collect();
        assert!(wastes.is_sorted(), "{wastes:?}");
    }
}
