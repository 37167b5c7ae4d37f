//! What happened, in physical units, and what it costs in US dollars.
//!
//! The world counts [`Usage`]; a [`PriceBook`] turns it into [`CostTerms`]. The
//! two never mix, so results can be re-priced without simulating again.
use std::ops::{Add, AddAssign, Sub};

use serde::{Deserialize, Serialize};

use crate::cell::Tier;

/// Physical quantities attributed to one cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Minutes in which the service ran with fewer replicas than required.
    pub slo_violation_minutes: f64,
    /// Minutes in which a need waited for its stage.
    pub blocked_minutes: f64,
    /// The same, times the people waiting.
    pub blocked_person_minutes: f64,
    /// Runner minutes of syntheses, refreshes, upkeep and retraining.
    pub runner_minutes: f64,
    /// Replica-hours beyond what the load required.
    pub over_provision_hours: f64,
    /// Days in which a need with an open advisory waited, summed over needs.
    pub exposure_days: f64,
    /// Expected number of exploits while an advisory stayed open.
    pub exploits: f64,
    /// Proposals reviewed by a person.
    pub reviews: f64,
    /// Integrated stages that a person had to revert.
    pub reverts: f64,
}

/// Applies an expression to each pair of fields.
macro_rules! each_field {
    ($a:ident, $b:ident, $op:tt) => {
        Usage {
            slo_violation_minutes: $a.slo_violation_minutes $op $b.slo_violation_minutes,
            blocked_minutes: $a.blocked_minutes $op $b.blocked_minutes,
            blocked_person_minutes: $a.blocked_person_minutes $op $b.blocked_person_minutes,
            runner_minutes: $a.runner_minutes $op $b.runner_minutes,
            over_provision_hours: $a.over_provision_hours $op $b.over_provision_hours,
            exposure_days: $a.exposure_days $op $b.exposure_days,
            exploits: $a.exploits $op $b.exploits,
            reviews: $a.reviews $op $b.reviews,
            reverts: $a.reverts $op $b.reverts,
        }
    };
}

impl Add for Usage {
    type Output = Usage;
    fn add(self, other: Usage) -> Usage {
        each_field!(self, other, +)
    }
}

impl Sub for Usage {
    type Output = Usage;
    fn sub(self, other: Usage) -> Usage {
        each_field!(self, other, -)
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Usage) {
        *self = *self + other;
    }
}

/// Prices in US dollars; defaults are assumptions stated in the design and meant
/// to be edited.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PriceBook {
    /// One minute of SLO violation, by tier.
    pub slo_violation_minute: [f64; 3],
    /// One minute of a person (90 an hour, loaded).
    pub person_minute: f64,
    /// One runner minute (list price of a hosted two-core Linux runner before 2026).
    pub runner_minute: f64,
    /// One replica-hour beyond the need.
    pub instance_hour: f64,
    /// Loss of one exploited vulnerability, by tier.
    pub exploit: [f64; 3],
    /// Minutes a person spends on reviewing a proposal.
    pub review_minutes: f64,
    /// Minutes a person spends on reverting a stage.
    pub revert_minutes: f64,
}

impl Default for PriceBook {
    fn default() -> Self {
        Self {
            slo_violation_minute: [20.0, 4.0, 0.5],
            person_minute: 1.5,
            runner_minute: 0.008,
            instance_hour: 0.10,
            exploit: [50_000.0, 20_000.0, 5_000.0],
            review_minutes: 6.0,
            revert_minutes: 15.0,
        }
    }
}

/// A shipped price book.
pub struct PriceBookEntry {
    /// Its name in a scenario's `price_book`.
    pub name: &'static str,
    /// One sentence.
    pub about: &'static str,
    /// Makes it.
    pub build: fn() -> PriceBook,
}

/// The price books that ship.
pub static PRICE_BOOKS: &[PriceBookEntry] = &[
    PriceBookEntry {
        name: "default",
        about: "the prices of the design",
        build: PriceBook::default,
    },
    PriceBookEntry {
        name: "people-dear",
        about: "people cost three times as much: waiting and reviewing dominate",
        build: || PriceBook {
            person_minute: 4.5,
            ..PriceBook::default()
        },
    },
    PriceBookEntry {
        name: "capacity-dear",
        about: "runners and replicas cost ten times as much: speculation must be sure",
        build: || PriceBook {
            runner_minute: 0.08,
            instance_hour: 1.0,
            ..PriceBook::default()
        },
    },
];

/// A price that cannot be.
#[derive(Debug, thiserror::Error)]
#[error("`prices.{key}` is {found}, which is not a finite number of at least 0")]
pub struct PriceError {
    /// The key.
    pub key: &'static str,
    /// Its value.
    pub found: f64,
}

/// The cost of a [`Usage`], term by term, US dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CostTerms {
    /// SLO violations.
    pub slo_violation: f64,
    /// People who wait.
    pub blocked: f64,
    /// Runners.
    pub runner: f64,
    /// Idle replicas.
    pub over_provision: f64,
    /// Expected loss by open advisories.
    pub exposure: f64,
    /// Reviews and reverts.
    pub churn: f64,
}

impl CostTerms {
    /// The sum.
    pub fn total(&self) -> f64 {
        self.slo_violation
            + self.blocked
            + self.runner
            + self.over_provision
            + self.exposure
            + self.churn
    }
}

impl PriceBook {
    /// Refuses negative and non-finite prices.
    pub fn validate(&self) -> Result<(), PriceError> {
        let prices = [
            ("slo_violation_minute", self.slo_violation_minute[0]),
            ("slo_violation_minute", self.slo_violation_minute[1]),
            ("slo_violation_minute", self.slo_violation_minute[2]),
            ("person_minute", self.person_minute),
            ("runner_minute", self.runner_minute),
            ("instance_hour", self.instance_hour),
            ("exploit", self.exploit[0]),
            ("exploit", self.exploit[1]),
            ("exploit", self.exploit[2]),
            ("review_minutes", self.review_minutes),
            ("revert_minutes", self.revert_minutes),
        ];
        match prices
            .iter()
            .find(|(_, price)| !price.is_finite() || *price < 0.0)
        {
            Some(&(key, found)) => Err(PriceError { key, found }),
            None => Ok(()),
        }
    }

    /// Prices what happened in a cell of this tier.
    pub fn cost(&self, usage: &Usage, tier: Tier) -> CostTerms {
        CostTerms {
            slo_violation: usage.slo_violation_minutes * self.slo_violation_minute[tier.index()],
            blocked: usage.blocked_person_minutes * self.person_minute,
            runner: usage.runner_minutes * self.runner_minute,
            over_provision: usage.over_provision_hours * self.instance_hour,
            exposure: usage.exploits * self.exploit[tier.index()],
            churn: self.person_minute
                * (usage.reviews * self.review_minutes + usage.reverts * self.revert_minutes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_a_hand_computed_hour() {
        let usage = Usage {
            slo_violation_minutes: 10.0,
            blocked_minutes: 20.0,
            blocked_person_minutes: 60.0,
            runner_minutes: 100.0,
            over_provision_hours: 3.0,
            exposure_days: 0.5,
            exploits: 1e-4,
            reviews: 2.0,
            reverts: 1.0,
        };
        let cost = PriceBook::default().cost(&usage, Tier::Two);
        assert_eq!(cost.slo_violation, 40.0);
        assert_eq!(cost.blocked, 90.0);
        assert!((cost.runner - 0.8).abs() < 1e-12);
        assert!((cost.over_provision - 0.3).abs() < 1e-12);
        assert!((cost.exposure - 2.0).abs() < 1e-12);
        assert_eq!(cost.churn, 1.5 * (12.0 + 15.0));
        assert!((cost.total() - 173.6).abs() < 1e-9);
    }

    #[test]
    fn refuses_a_negative_price_by_name() {
        let book = PriceBook {
            runner_minute: -1.0,
            ..PriceBook::default()
        };
        assert!(
            book.validate()
                .expect_err("negative")
                .to_string()
                .contains("prices.runner_minute")
        );
        for entry in PRICE_BOOKS {
            (entry.build)().validate().expect(entry.name);
        }
    }
}
