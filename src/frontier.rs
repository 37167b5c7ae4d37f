//! What an arm wastes when it must meet so many needs in time: its threshold, or the first
//! number of a rule without one, is moved over a range, and the least waste is read off at
//! given hit rates, over all needs and by need type.
//!
//! Arms with different thresholds cannot be compared by waste alone, nor by hits alone. At
//! one hit rate they can. Between two settings lies their mixture, one of them in some
//! weeks and the other in the rest, which meets and wastes in proportion: the frontier is
//! the lower convex hull, as of a ROC curve (Provost and Fawcett, Robust classification for
//! imprecise environments, 2001).
use prestage_controller::NeedType;
use prestage_envs::{CellResult, Episode, Setting, run_arm};
use rayon::prelude::*;
use serde::Serialize;

use crate::compare::Contestant;
use crate::progress::Progress;

/// Hit rates at which the waste is read.
pub const HIT_RATES: [f64; 2] = [0.95, 0.99];

/// Log-odds by which thresholds are moved; 0 is the arm itself.
pub const SHIFTS: [f64; 11] = [-8.0, -6.0, -5.0, -4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0];

/// Settings of the first number of a rule, evenly over its range, beside the arm itself.
const SETTINGS: usize = 11;

/// Needs of all types together, in [`AtHitRate::need`].
pub const ALL_NEEDS: &str = "all";

/// What one setting of an arm met and wasted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Operating {
    /// Share of needs that found a ready stage.
    pub hit_rate: f64,
    /// Stages never used.
    pub waste: u64,
}

/// The least waste at a hit rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct AtHitRate {
    /// A need type, or [`ALL_NEEDS`].
    pub need: &'static str,
    /// Share of needs that find a ready stage.
    pub hit_rate: f64,
    /// Stages never used; none when no setting meets so many.
    pub waste: Option<f64>,
}

/// Whether moving the threshold moves the arm: rules of other products have none, and those
/// that never or always stage have one that is infinite.
fn has_threshold(contestant: &Contestant) -> bool {
    let is_finite = |need: &NeedType| {
        let center = contestant.arm.centers.of(*need);
        center.threshold_log_odds.is_finite()
    };
    contestant.arm.rule.is_none() && NeedType::ALL.iter().all(is_finite)
}

/// The arm in all its settings, itself among them; none when nothing can be moved.
fn settings(contestant: &Contestant) -> Vec<Contestant> {
    if has_threshold(contestant) {
        return SHIFTS.map(|shift| moved(contestant, shift)).to_vec();
    }
    let Some(rule) = &contestant.arm.rule else {
        return Vec::new();
    };
    let Some(first) = rule.parameters().first() else {
        return Vec::new();
    };
    let set = |step: usize| {
        let mut values = rule.values().clone();
        for numbers in &mut values {
            numbers[0] = first.at(step as f64 / (SETTINGS - 1) as f64);
        }
        let mut moved = contestant.clone();
        moved.arm.rule = Some(rule.at(&values));
        moved
    };
    let mut all: Vec<Contestant> = (0..SETTINGS).map(set).collect();
    all.push(contestant.clone());
    all
}

/// How many runs [`sweep`] makes.
pub fn runs(contestants: &[Contestant]) -> u64 {
    let runs = contestants.iter().map(|one| settings(one).len() as u64);
    runs.sum()
}

/// Runs every arm in all its settings and reads off the least waste at [`HIT_RATES`], over all
/// needs first; empty for an arm in which nothing can be moved.
pub fn sweep(
    setting: &Setting,
    contestants: &[Contestant],
    progress: &Progress,
) -> Vec<Vec<AtHitRate>> {
    let jobs: Vec<(usize, Contestant)> = contestants
        .iter()
        .enumerate()
        .flat_map(|(index, one)| settings(one).into_iter().map(move |moved| (index, moved)))
        .collect();
    let run = |(index, moved): &(usize, Contestant)| {
        let episode = run_arm(setting, &moved.arm, moved.knob_turner(setting).as_mut());
        progress.step();
        (*index, episode)
    };
    let found: Vec<(usize, Episode)> = jobs.par_iter().map(run).collect();
    let of_arm = |index: usize| {
        let episodes = found.iter().filter(|(arm, _)| *arm == index);
        frontier(&episodes.map(|(_, episode)| episode).collect::<Vec<_>>())
    };
    (0..contestants.len()).map(of_arm).collect()
}

/// The least waste of one arm from its runs, over all needs and by need type.
fn frontier(episodes: &[&Episode]) -> Vec<AtHitRate> {
    let mut scopes: Vec<(&'static str, Option<NeedType>)> = vec![(ALL_NEEDS, None)];
    scopes.extend(NeedType::ALL.map(|need| (need.as_str(), Some(need))));
    let mut found = Vec::new();
    for (name, need) in scopes {
        let points = episodes.iter().map(|episode| operating(episode, need));
        let points: Vec<Operating> = points.flatten().collect();
        if !points.is_empty() {
            found.extend(HIT_RATES.map(|rate| at_hit_rate(name, &points, rate)));
        }
    }
    found
}

fn moved(contestant: &Contestant, shift: f64) -> Contestant {
    let mut moved = contestant.clone();
    for need in NeedType::ALL {
        moved.arm.centers.of_mut(need).threshold_log_odds += shift;
    }
    moved
}

/// Of the cells of a need type, or of all. None without a need.
fn operating(episode: &Episode, need: Option<NeedType>) -> Option<Operating> {
    let cells = || {
        let cells = episode.cells.iter();
        cells.filter(|cell| need.is_none_or(|need| cell.spec.need == need))
    };
    let sum = |of: fn(&CellResult) -> u64| cells().map(of).sum::<u64>();
    let needs = sum(|cell| cell.tally.needs);
    (needs > 0).then(|| Operating {
        hit_rate: sum(|cell| cell.tally.hits) as f64 / needs as f64,
        waste: sum(|cell| cell.tally.waste()),
    })
}

/// The least waste at a hit rate, over single settings and mixtures of two.
fn at_hit_rate(need: &'static str, points: &[Operating], hit_rate: f64) -> AtHitRate {
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
        need,
        hit_rate,
        waste,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(hit_rate: f64, waste: u64) -> Operating {
        Operating { hit_rate, waste }
    }

    #[test]
    fn waste_is_read_off_the_convex_hull() {
        // The middle point lies above the line from the first to the last.
        let points = [point(0.5, 0), point(0.9, 90), point(1.0, 100)];
        let found = at_hit_rate(ALL_NEEDS, &points, 0.9);
        assert!((found.waste.unwrap() - 80.0).abs() < 1e-9, "{found:?}");
        assert_eq!(at_hit_rate(ALL_NEEDS, &points, 0.5).waste, Some(0.0));
        assert_eq!(at_hit_rate(ALL_NEEDS, &points, 1.0).waste, Some(100.0));
    }

    #[test]
    fn a_rate_that_no_setting_meets_has_no_waste() {
        let points = [point(0.5, 0), point(0.9, 90)];
        let found = at_hit_rate(ALL_NEEDS, &points, 0.95);
        assert_eq!(found.waste, None);
        assert_eq!(at_hit_rate(ALL_NEEDS, &[], 0.1).waste, None);
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
                at_hit_rate(ALL_NEEDS, &points, f64::from(step) * 0.05)
                    .waste
                    .unwrap()
            })
            .collect();
        assert!(wastes.is_sorted(), "{wastes:?}");
    }
}
