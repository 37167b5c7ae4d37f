//! All families together, by the measures of rliable: a score of a run is what the static
//! policy costs on its scenario over what the arm costs, so that 1 is as cheap and more is
//! cheaper; a task is a family.
use super::climb::PENALIZED;
use super::{CLAIRVOYANT, Ladder};
use crate::statistics::{
    interquartile_mean, optimality_gap, performance_profile, probability_of_improvement,
};

/// Scores at which the profile is read: a fifth dearer, as cheap, a fiftieth cheaper.
pub const PROFILE_AT: [f64; 3] = [1.0 / 1.2, 1.0, 1.0 / 0.98];

/// An arm over all families.
#[derive(Clone, Debug, PartialEq)]
pub struct Overall {
    /// The arm.
    pub arm: String,
    /// Interquartile mean of its scores.
    pub score_iqm: f64,
    /// How far its scores stay below 1 on average.
    pub optimality_gap: f64,
    /// Share of its scores above each of [`PROFILE_AT`].
    pub profile: [f64; 3],
    /// Probability that a run of it beats one of the static policy in a family drawn at
    /// random, runs not paired.
    pub improvement: f64,
}

/// Those arms that every family has, best first. The bound is none.
pub fn overall(ladders: &[Ladder]) -> Vec<Overall> {
    let Some(first) = ladders.first() else {
        return Vec::new();
    };
    let names = first.rungs.iter().map(|rung| rung.arm.as_str());
    let mut found: Vec<Overall> = names
        .filter(|name| ![CLAIRVOYANT, PENALIZED].contains(name))
        .filter_map(|name| of_arm(ladders, name))
        .collect();
    found.sort_by(|a, b| b.score_iqm.total_cmp(&a.score_iqm));
    found
}

fn of_arm(ladders: &[Ladder], name: &str) -> Option<Overall> {
    let costs = |ladder: &Ladder, name: &str| -> Option<Vec<f64>> {
        let rung = ladder.rungs.iter().find(|rung| rung.arm == name)?;
        Some(rung.costs_usd.clone())
    };
    let mut scores = Vec::new();
    let (mut own, mut fixed) = (Vec::new(), Vec::new());
    for ladder in ladders {
        let (cost, reference) = (costs(ladder, name)?, costs(ladder, &ladder.fixed)?);
        if cost.len() != reference.len() {
            return None;
        }
        scores.extend(
            cost.iter()
                .zip(&reference)
                .map(|(cost, fixed)| fixed / cost),
        );
        own.push(cost.iter().map(|cost| -cost).collect());
        fixed.push(reference.iter().map(|cost| -cost).collect());
    }
    let profile = performance_profile(&scores, &PROFILE_AT);
    Some(Overall {
        arm: name.to_owned(),
        score_iqm: interquartile_mean(&scores),
        optimality_gap: optimality_gap(&scores, 1.0),
        profile: [profile[0], profile[1], profile[2]],
        improvement: probability_of_improvement(&own, &fixed),
    })
}

#[cfg(test)]
mod tests {
    use super::super::rungs::tests::climbed;
    use super::*;
    use crate::compare::STATIC_TUNED;

    #[test]
    fn arms_are_scored_over_families_against_the_static_policy() {
        let one = climbed(
            &[
                (STATIC_TUNED, &[10.0, 20.0]),
                ("never", &[20.0, 16.0]),
                (CLAIRVOYANT, &[1.0, 1.0]),
            ],
            "",
        );
        let two = climbed(
            &[(STATIC_TUNED, &[10.0, 20.0]), ("never", &[20.0, 40.0])],
            "",
        );
        let found = overall(&[Ladder::of(&one), Ladder::of(&two)]);
        let names: Vec<&str> = found.iter().map(|one| one.arm.as_str()).collect();
        assert_eq!(names, [STATIC_TUNED, "never"]);
        let (fixed, never) = (&found[0], &found[1]);
        assert_eq!(
            (fixed.score_iqm, fixed.optimality_gap, fixed.improvement),
            (1.0, 0.0, 0.5)
        );
        // Scores 0.5, 1.25, 0.5 and 0.5: the middle half is two of 0.5.
        assert_eq!(never.score_iqm, 0.5);
        assert!((never.optimality_gap - 0.375).abs() < 1e-12);
        assert_eq!(never.profile, [0.25, 0.25, 0.25]);
        // First family: 20 ties 20 and loses to 10; 16 beats 20: 1.5 of 4. Second: 20 ties 20: 0.5 of 4.
        assert!((never.improvement - (1.5 + 0.5) / 8.0).abs() < 1e-12);
    }
}
