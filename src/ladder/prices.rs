//! What the same runs cost term by term, and under each price book.
use std::collections::BTreeMap;

use prestage_controller::{CostTerms, PRICE_BOOKS};

use super::Climbed;
use super::rungs::{grid, share};
use crate::run_folder::{CostRow, OWN_PRICES};
use crate::statistics::{Bootstrap, Grid, Interval, mean};

/// An arm of a family under one price book.
#[derive(Clone, Debug, PartialEq)]
pub struct Repriced {
    /// The price book; [`OWN_PRICES`] is the scenario's own.
    pub price_book: &'static str,
    /// Mean cost term by term, US dollars a day.
    pub terms: CostTerms,
    /// Share of the static policy's cost that it saves; none for that policy itself.
    pub saved: Option<Interval>,
}

/// An arm under its own prices and every shipped book; empty where the run kept no terms.
pub fn repriced(climbed: &Climbed, arm: &str) -> Vec<Repriced> {
    let books = std::iter::once(OWN_PRICES).chain(PRICE_BOOKS.iter().map(|entry| entry.name));
    let of_book = |price_book: &'static str| {
        let rows: Vec<&CostRow> = rows(climbed, arm, price_book).collect();
        let costs = costs(&rows)?;
        let fixed = costs_of(climbed, &climbed.fixed, price_book);
        let fixed = fixed.filter(|fixed| {
            arm != climbed.fixed
                && fixed.scenarios() == costs.scenarios()
                && mean(fixed.values()) > 0.0
        });
        let saved = fixed.and_then(|fixed| {
            let bootstrap = Bootstrap::new(climbed.seed);
            bootstrap.of([&fixed, &costs], |[fixed, cost]| share(fixed, cost))
        });
        Some(Repriced {
            price_book,
            terms: terms(&rows, costs.values().len() as f64 * climbed.days),
            saved,
        })
    };
    books.filter_map(of_book).collect()
}

fn rows<'a>(
    climbed: &'a Climbed,
    arm: &'a str,
    price_book: &'a str,
) -> impl Iterator<Item = &'a CostRow> {
    let costs = climbed.costs.iter();
    costs.filter(move |row| row.arm == arm && row.price_book == price_book)
}

fn costs_of(climbed: &Climbed, arm: &str, price_book: &str) -> Option<Grid> {
    costs(&rows(climbed, arm, price_book).collect::<Vec<_>>())
}

/// Dollars by training seed and scenario, need types summed in file order.
fn costs(rows: &[&CostRow]) -> Option<Grid> {
    let mut costs: BTreeMap<Option<u64>, BTreeMap<u64, f64>> = BTreeMap::new();
    for row in rows {
        let of_seed = costs.entry(row.train_seed).or_default();
        *of_seed.entry(row.scenario_seed).or_default() += row.terms().total();
    }
    grid(&costs)
}

fn terms(rows: &[&CostRow], days: f64) -> CostTerms {
    let mut sum = CostRow::default();
    for row in rows {
        sum.add(&row.terms());
    }
    let sum = sum.terms();
    CostTerms {
        slo_violation: sum.slo_violation / days,
        blocked: sum.blocked / days,
        runner: sum.runner / days,
        over_provision: sum.over_provision / days,
        exposure: sum.exposure / days,
        churn: sum.churn / days,
    }
}

#[cfg(test)]
mod tests {
    use super::super::rungs::tests::climbed;
    use super::*;
    use crate::compare::STATIC_TUNED;

    fn row(arm: &str, seed: u64, price_book: &str, blocked_usd: f64, runner_usd: f64) -> CostRow {
        CostRow {
            arm: arm.to_owned(),
            scenario: "f".to_owned(),
            scenario_seed: seed,
            need: "scaling".to_owned(),
            price_book: price_book.to_owned(),
            blocked_usd,
            runner_usd,
            ..CostRow::default()
        }
    }

    #[test]
    fn a_saving_can_turn_with_the_prices() {
        let mut climbed = climbed(
            &[(STATIC_TUNED, &[10.0, 20.0]), ("linear", &[9.0, 18.0])],
            "linear",
        );
        // Two days a scenario; `linear` waits less and runs more.
        for (seed, scale) in [(0, 1.0), (1, 2.0)] {
            climbed.costs.extend([
                row(STATIC_TUNED, seed, OWN_PRICES, 8.0 * scale, 2.0 * scale),
                row("linear", seed, OWN_PRICES, 4.0 * scale, 5.0 * scale),
                row(
                    STATIC_TUNED,
                    seed,
                    "capacity-dear",
                    8.0 * scale,
                    20.0 * scale,
                ),
                row("linear", seed, "capacity-dear", 4.0 * scale, 50.0 * scale),
            ]);
        }
        let found = repriced(&climbed, "linear");
        let books: Vec<&str> = found.iter().map(|one| one.price_book).collect();
        assert_eq!(books, [OWN_PRICES, "capacity-dear"]);
        assert_eq!((found[0].terms.blocked, found[0].terms.runner), (3.0, 3.75));
        let saved: Vec<f64> = found
            .iter()
            .map(|one| one.saved.unwrap().estimate)
            .collect();
        assert!((saved[0] - 0.1).abs() < 1e-12);
        assert!((saved[1] - (28.0 - 54.0) / 28.0).abs() < 1e-12);
        let fixed = repriced(&climbed, STATIC_TUNED);
        assert!(fixed.iter().all(|one| one.saved.is_none()));
        assert!(repriced(&climbed, "never").is_empty());
    }
}
