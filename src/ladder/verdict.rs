//! The decision rule: is adapting worth anything in this family?
use crate::evaluation::Bounds;
use crate::statistics::{Bootstrap, mean};

use super::Climbed;
use super::climb::{CLAIRVOYANT, PENALIZED};
use super::rungs::{costs_of, grid, share};

/// A share of the static policy's cost below which adapting is not worth its upkeep.
pub const WORTHWHILE: f64 = 0.02;

/// Name of the arm that sees the hidden regime.
const PRIVILEGED: &str = "privileged";

/// Costs of the steps of a family in US dollars a scenario, and what lies between them as
/// shares of the static policy's cost.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Headroom {
    /// The family.
    pub family: String,
    /// The best constant knobs.
    #[serde(rename = "static")]
    pub fixed: f64,
    /// Their name: `static-tuned`, or the same searched on for longer.
    pub static_arm: String,
    /// The adaptive rule that was best on validation seeds.
    pub adaptive: Option<f64>,
    /// Its name.
    pub adaptive_arm: Option<String>,
    /// The rule that is told the regime.
    pub privileged: f64,
    /// Did the validation seeds not confirm it, so that it is the static arm it stands on?
    pub privileged_fell_back: bool,
    /// What nobody can do better than; none where it was not computed.
    pub clairvoyant: Option<f64>,
    /// What no rule that cannot see the future can do better than on average, where foresight
    /// can be charged: a tighter bound.
    pub penalized: Option<f64>,
    /// Share that the privileged rule saves.
    pub headroom: Bounds,
    /// Share that the adaptive rule saves.
    pub adaptive_saves: Option<Bounds>,
    /// The decision.
    pub verdict: String,
}

impl Headroom {
    /// None where the static or the privileged arm has no results.
    pub fn of(climbed: &Climbed) -> Option<Self> {
        let costs = |arm: &str| grid(&costs_of(&climbed.rows, arm));
        let (fixed, privileged) = (costs(&climbed.fixed)?, costs(PRIVILEGED)?);
        let saves = |other| {
            let bootstrap = Bootstrap::new(climbed.seed);
            bootstrap.of([&fixed, other], |[fixed, cost]| share(fixed, cost))
        };
        let headroom: Bounds = saves(&privileged)?.into();
        let adaptive = climbed.adaptive.as_deref().and_then(costs);
        let adaptive_saves = adaptive.as_ref().and_then(saves).map(Bounds::from);
        Some(Self {
            family: climbed.family.clone(),
            fixed: mean(fixed.values()),
            static_arm: climbed.fixed.clone(),
            adaptive: adaptive.as_ref().map(|grid| mean(grid.values())),
            adaptive_arm: climbed.adaptive.clone(),
            privileged: mean(privileged.values()),
            privileged_fell_back: climbed.privileged_fell_back,
            clairvoyant: costs(CLAIRVOYANT).map(|grid| mean(grid.values())),
            penalized: costs(PENALIZED).map(|grid| mean(grid.values())),
            headroom,
            adaptive_saves,
            verdict: verdict(headroom, adaptive_saves, [true; 2]).to_owned(),
        })
    }

    /// Judges again, now that it is known which arms differ from the static policy even when
    /// everything that was compared is counted.
    pub(super) fn correct(&mut self, differs: impl Fn(&str) -> bool) {
        let adaptive = self.adaptive_arm.as_deref().is_some_and(&differs);
        let sure = [differs(PRIVILEGED), adaptive];
        self.verdict = verdict(self.headroom, self.adaptive_saves, sure).to_owned();
    }

    /// Does something that adapts surely save what is worth its upkeep?
    pub fn pays(&self) -> bool {
        !self.verdict.starts_with(STATIC_SUFFICES)
    }
}

const STATIC_SUFFICES: &str = "static suffices here";
/// Of no difference, corrected for many: below this an arm differs.
pub const SIGNIFICANT: f64 = 0.05;

/// The rule of the design: unless something that adapts surely saves two per cent, static
/// suffices. That is the privileged rule, which shows what there is to gain; an adaptive
/// rule that saves more shows it as well. `sure`: does the privileged, does the adaptive
/// arm differ from the static one when everything that was compared is counted? Of seventeen
/// families one has an interval without 0 by luck.
fn verdict(headroom: Bounds, adaptive: Option<Bounds>, sure: [bool; 2]) -> &'static str {
    let low = |bounds: Option<Bounds>, sure: bool| match bounds {
        Some(bounds) if sure => bounds.low,
        _ => f64::NEG_INFINITY,
    };
    let adaptive = low(adaptive, sure[1]);
    let surely = low(Some(headroom), sure[0]).max(adaptive);
    match (surely >= WORTHWHILE, adaptive > 0.0) {
        (false, false) => STATIC_SUFFICES,
        (false, true) => "static suffices here; an adaptive rule surely saves, but too little",
        (true, true) => "adapting pays: a rule without learning surely saves",
        (true, false) => "there is headroom, but no adaptive rule surely takes any of it",
    }
}

#[cfg(test)]
mod tests {
    use super::super::rungs::tests::climbed;
    use super::*;
    use crate::compare::STATIC_TUNED;

    fn bounds(low: f64, high: f64) -> Bounds {
        Bounds {
            mean: (low + high) / 2.0,
            low,
            high,
        }
    }

    #[test]
    fn the_rule_wants_two_per_cent_surely() {
        for (headroom, adaptive, wanted) in [
            (bounds(0.019, 0.5), None, "static suffices"),
            (
                bounds(-0.1, 0.1),
                Some(bounds(-0.1, 0.1)),
                "static suffices here",
            ),
            (
                bounds(0.02, 0.1),
                Some(bounds(-0.01, 0.1)),
                "there is headroom",
            ),
            (bounds(0.02, 0.1), Some(bounds(0.001, 0.1)), "adapting pays"),
            (bounds(0.0, 0.1), Some(bounds(0.001, 0.1)), "too little"),
            (bounds(0.0, 0.1), Some(bounds(0.03, 0.1)), "adapting pays"),
        ] {
            let found = verdict(headroom, adaptive, [true; 2]);
            assert!(found.contains(wanted), "{headroom:?} {adaptive:?}: {found}");
            let by_luck = verdict(headroom, adaptive, [false; 2]);
            assert_eq!(by_luck, STATIC_SUFFICES);
        }
        let sure = bounds(0.03, 0.1);
        assert!(verdict(sure, Some(sure), [true, false]).starts_with("there is headroom"));
        assert!(verdict(sure, Some(sure), [false, true]).starts_with("adapting pays"));
    }

    #[test]
    fn headroom_is_a_share_of_the_static_cost() {
        let climbed = climbed(
            &[
                (STATIC_TUNED, &[10.0, 100.0]),
                ("linear", &[9.5, 95.0]),
                (PRIVILEGED, &[9.0, 90.0]),
                (CLAIRVOYANT, &[4.0, 40.0]),
            ],
            "linear",
        );
        let found = Headroom::of(&climbed).unwrap();
        assert_eq!(
            (found.fixed, found.privileged, found.clairvoyant),
            (55.0, 49.5, Some(22.0))
        );
        for (found, expected) in [(found.headroom, 0.1), (found.adaptive_saves.unwrap(), 0.05)] {
            for bound in [found.low, found.mean, found.high] {
                assert!((bound - expected).abs() < 1e-12);
            }
        }
        assert!(found.verdict.starts_with("adapting pays"));
    }
}
