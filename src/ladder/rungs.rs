//! From rows to rungs: what each arm costs, and what share of the static policy's cost it
//! saves on the same scenarios.
use std::collections::BTreeMap;

use crate::arms::{Class, class_of};
use crate::run_folder::ResultRow;
use crate::statistics::{Bootstrap, Grid, Interval, holm, mean, sign_flip_p_value};

use super::Climbed;
use super::climb::{CLAIRVOYANT, PENALIZED};
use super::prices::{Repriced, repriced};
use super::verdict::{Headroom, SIGNIFICANT};

/// Sign flips of a p-value.
const FLIPS: u64 = 10_000;

/// The arms of one family, dearest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Ladder {
    /// The family.
    pub family: String,
    /// Held-out scenarios.
    pub scenarios: usize,
    /// The static policy that the others are compared with.
    pub fixed: String,
    /// One an arm.
    pub rungs: Vec<Rung>,
    /// What adapting could be worth.
    pub headroom: Option<Headroom>,
}

/// One arm on one family.
#[derive(Clone, Debug, PartialEq)]
pub struct Rung {
    /// The arm.
    pub arm: String,
    /// Its step; none for a learnt policy or a bound.
    pub class: Option<Class>,
    /// Mean cost of a scenario, US dollars.
    pub cost_usd: f64,
    /// Cost of each scenario, US dollars, in the order of their seeds; a mean over training seeds.
    pub costs_usd: Vec<f64>,
    /// Mean cost, US dollars a day.
    pub cost_usd_per_day: f64,
    /// Share of the static policy's cost that it saves; none for that policy itself.
    pub saved: Option<Interval>,
    /// Of no difference from the static policy, by sign flips over scenarios.
    pub p_value: Option<f64>,
    /// The same, corrected for all arms of the family and all families.
    pub p_holm: Option<f64>,
    /// Scenarios on which it cost less than the static policy, ties one half, as a share.
    pub wins: Option<f64>,
    /// What it costs beyond the clairvoyant bound, US dollars a day: no less than its regret
    /// against the best clairvoyant. None where there is no bound.
    pub regret_usd_per_day: Option<f64>,
    /// Its terms under each price book; empty for the bound.
    pub repriced: Vec<Repriced>,
    /// Sums a simulated day.
    pub totals: Totals,
}

/// Sums over needs and stages a simulated day.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    /// Needs that arose.
    pub needs: f64,
    /// Needs met in time.
    pub hits: f64,
    /// Stages never used.
    pub waste: f64,
    /// Minutes deployments were blocked.
    pub blocked_minutes: f64,
    /// Service-minutes in violation of the objective.
    pub slo_violation_minutes: f64,
    /// Runner minutes used for stages.
    pub runner_minutes: f64,
    /// Hours stages stood unused.
    pub idle_stage_hours: f64,
    /// Expected loss from open advisories, US dollars.
    pub exposure_usd: f64,
    /// Days in which needs with an open advisory waited.
    pub exposure_days: f64,
}

/// Cost of an arm by training seed and scenario.
type Costs = BTreeMap<Option<u64>, BTreeMap<u64, f64>>;

impl Ladder {
    /// Compares the arms of a family.
    pub fn of(climbed: &Climbed) -> Self {
        let mut arms: Vec<&str> = Vec::new();
        for row in &climbed.rows {
            if !arms.contains(&row.arm.as_str()) {
                arms.push(&row.arm);
            }
        }
        let reference = grid(&costs_of(&climbed.rows, &climbed.fixed));
        let mut rungs: Vec<Rung> = arms
            .iter()
            .map(|arm| rung(climbed, arm, reference.as_ref()))
            .collect();
        rungs.sort_by(|a, b| b.cost_usd.total_cmp(&a.cost_usd));
        Self {
            family: climbed.family.clone(),
            scenarios: reference.as_ref().map_or(0, Grid::scenarios),
            fixed: climbed.fixed.clone(),
            headroom: Headroom::of(climbed),
            rungs,
        }
    }
}

/// Fills in the p-values corrected for everything that was compared, and judges by them.
pub fn correct_for_many(ladders: &mut [Ladder]) {
    let rungs = || ladders.iter().flat_map(|ladder| &ladder.rungs);
    let p_values: Vec<f64> = rungs().filter_map(|rung| rung.p_value).collect();
    let mut corrected = holm(&p_values).into_iter();
    for rung in ladders.iter_mut().flat_map(|ladder| &mut ladder.rungs) {
        rung.p_holm = rung.p_value.and_then(|_| corrected.next());
    }
    for ladder in ladders {
        let differs = |arm: &str| {
            let rung = ladder.rungs.iter().find(|rung| rung.arm == arm);
            rung.and_then(|rung| rung.p_holm)
                .is_some_and(|p| p < SIGNIFICANT)
        };
        if let Some(headroom) = &mut ladder.headroom {
            headroom.correct(differs);
        }
    }
}

fn rung(climbed: &Climbed, arm: &str, reference: Option<&Grid>) -> Rung {
    let rows: Vec<&ResultRow> = climbed.rows.iter().filter(|row| row.arm == arm).collect();
    let found = grid(&costs_of(&climbed.rows, arm)).expect("an arm that is listed has rows");
    let cost_usd = mean(found.values());
    let bound = grid(&costs_of(&climbed.rows, CLAIRVOYANT)).map(|bound| mean(bound.values()));
    let compared = reference.filter(|_| arm != climbed.fixed);
    let comparable = compared.filter(|reference| reference.scenarios() == found.scenarios());
    let saved = comparable.and_then(|reference| {
        Bootstrap::new(climbed.seed).of([reference, &found], |[fixed, cost]| share(fixed, cost))
    });
    let costs_usd: Vec<f64> = (0..found.scenarios())
        .map(|s| {
            let costs = found.values().iter().skip(s).step_by(found.scenarios());
            costs.sum::<f64>() / found.training_seeds() as f64
        })
        .collect();
    let pairs: Option<Vec<f64>> = comparable.map(|reference| {
        let pairs = costs_usd.iter().zip(reference.values());
        pairs.map(|(cost, fixed)| cost - fixed).collect()
    });
    let won = |pair: &f64| match pair.total_cmp(&0.0) {
        std::cmp::Ordering::Less => 1.0,
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Greater => 0.0,
    };
    Rung {
        arm: arm.to_owned(),
        class: class_of(arm),
        cost_usd,
        cost_usd_per_day: cost_usd / climbed.days,
        costs_usd,
        saved,
        // Of a bound there is nothing to test, and it must not cost the arms in the correction.
        p_value: pairs
            .as_ref()
            .filter(|_| ![CLAIRVOYANT, PENALIZED].contains(&arm))
            .map(|pairs| sign_flip_p_value(pairs, FLIPS, climbed.seed)),
        p_holm: None,
        regret_usd_per_day: bound.map(|bound| (cost_usd - bound) / climbed.days),
        repriced: repriced(climbed, arm),
        wins: pairs.map(|pairs| pairs.iter().map(won).sum::<f64>() / pairs.len() as f64),
        totals: totals(&rows, found.values().len() as f64 * climbed.days),
    }
}

fn totals(rows: &[&ResultRow], days: f64) -> Totals {
    let sum =
        |value: &dyn Fn(&ResultRow) -> f64| rows.iter().map(|row| value(row)).sum::<f64>() / days;
    Totals {
        needs: sum(&|row| row.needs as f64),
        hits: sum(&|row| row.hits as f64),
        waste: sum(&|row| (row.expired + row.withdrawn + row.rolled_back) as f64),
        blocked_minutes: sum(&|row| row.blocked_minutes),
        slo_violation_minutes: sum(&|row| row.slo_violation_minutes),
        runner_minutes: sum(&|row| row.runner_minutes),
        idle_stage_hours: sum(&|row| row.idle_stage_hours),
        exposure_usd: sum(&|row| row.exposure_usd),
        exposure_days: sum(&|row| row.exposure_days),
    }
}

/// The share of `fixed` that `cost` saves.
pub(super) fn share(fixed: f64, cost: f64) -> f64 {
    (fixed - cost) / fixed
}

/// The costs of an arm, need types summed in file order.
pub(super) fn costs_of(rows: &[ResultRow], arm: &str) -> Costs {
    let mut costs = Costs::new();
    for row in rows.iter().filter(|row| row.arm == arm) {
        let of_seed = costs.entry(row.train_seed).or_default();
        *of_seed.entry(row.scenario_seed).or_default() += row.cost_usd;
    }
    costs
}

/// The same as a grid; none without costs, or when training seeds met other scenarios.
pub(super) fn grid(costs: &Costs) -> Option<Grid> {
    let first = costs.values().next()?;
    let is_same = |one: &BTreeMap<u64, f64>| one.keys().eq(first.keys());
    costs.values().all(is_same).then(|| {
        Grid::new(
            first.len(),
            costs.values().flat_map(BTreeMap::values).copied().collect(),
        )
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::compare::STATIC_TUNED;

    /// A row a scenario and arm, all of one need type.
    pub(in crate::ladder) fn climbed(costs: &[(&str, &[f64])], adaptive: &str) -> Climbed {
        let row = |arm: &str, seed: usize, cost: f64| ResultRow {
            arm: arm.to_owned(),
            scenario: "f".to_owned(),
            scenario_seed: seed as u64,
            need: "scaling".to_owned(),
            cost_usd: cost,
            needs: 10,
            hits: 4,
            ..ResultRow::default()
        };
        Climbed {
            family: "f".to_owned(),
            days: 2.0,
            seed: 1,
            rows: costs
                .iter()
                .flat_map(|(arm, costs)| {
                    costs
                        .iter()
                        .enumerate()
                        .map(move |(s, cost)| row(arm, s, *cost))
                })
                .collect(),
            costs: Vec::new(),
            fixed: STATIC_TUNED.to_owned(),
            adaptive: Some(adaptive.to_owned()),
            privileged_fell_back: false,
        }
    }

    #[test]
    fn rungs_are_paired_with_the_static_policy() {
        let climbed = climbed(
            &[
                (STATIC_TUNED, &[10.0, 100.0, 1000.0]),
                ("reactive", &[20.0, 200.0, 2000.0]),
                ("linear", &[9.0, 90.0, 1000.0]),
            ],
            "linear",
        );
        let ladder = Ladder::of(&climbed);
        let names: Vec<&str> = ladder.rungs.iter().map(|rung| rung.arm.as_str()).collect();
        assert_eq!(names, ["reactive", STATIC_TUNED, "linear"]);
        let reactive = &ladder.rungs[0];
        assert_eq!(reactive.cost_usd_per_day, 370.0);
        assert_eq!(reactive.saved.unwrap().estimate, -1.0);
        assert_eq!(
            reactive.saved.unwrap().lower,
            -1.0,
            "the same share everywhere"
        );
        // Two of the eight sign patterns are as far from zero as three losses.
        assert_eq!(reactive.p_value, Some(0.25));
        assert_eq!(reactive.wins, Some(0.0));
        let linear = &ladder.rungs[2];
        assert!((linear.saved.unwrap().estimate - 11.0 / 1110.0).abs() < 1e-12);
        assert!((linear.wins.unwrap() - 2.5 / 3.0).abs() < 1e-12);
        assert_eq!(linear.totals.hits, 2.0);
        assert_eq!(
            (ladder.rungs[1].saved, ladder.rungs[1].p_value),
            (None, None)
        );
    }

    #[test]
    fn p_values_are_corrected_over_all_families() {
        let one = climbed(
            &[
                (STATIC_TUNED, &[1.0; 6]),
                ("never", &[2.0; 6]),
                (CLAIRVOYANT, &[0.5; 6]),
            ],
            "",
        );
        let mut ladders = [Ladder::of(&one), Ladder::of(&one)];
        correct_for_many(&mut ladders);
        let exact = 2.0 / 64.0;
        for ladder in &ladders {
            let rung = ladder
                .rungs
                .iter()
                .find(|rung| rung.arm == "never")
                .unwrap();
            assert_eq!(
                (rung.p_value, rung.p_holm),
                (Some(exact), Some(2.0 * exact))
            );
        }
    }
}
