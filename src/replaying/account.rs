//! What a replay found: one account an arm, and how it compares with the first.
use std::collections::BTreeMap;

use prestage_controller::NeedType;
use prestage_envs::Episode;
use serde::Serialize;

use crate::evaluation::Bounds;
use crate::frontier::AtHitRate;
use crate::statistics::{Bootstrap, Grid, sign_flip_p_value};

/// Days in a block of the paired bootstrap: a week's days resemble each other.
const BLOCK_DAYS: usize = 7;

/// Sign flips of a p-value.
const FLIPS: u64 = 10_000;

/// What a replay found; serialises to the documented JSON object.
#[derive(Clone, Debug, Serialize)]
pub struct Replay {
    /// Name of the history.
    pub history: String,
    /// Days replayed.
    pub days: f64,
    /// Commits made for the stages of the first arm.
    pub commits: u64,
    /// Arms; the first is the one whose stages were committed.
    pub arms: Vec<ArmResult>,
}

/// One arm's account.
#[derive(Clone, Debug, Serialize)]
pub struct ArmResult {
    /// The arm.
    pub arm: String,
    /// Its account over all needs.
    #[serde(flatten)]
    pub total: Account,
    /// Its account by need type.
    pub by_need: BTreeMap<String, Account>,
    /// Its cost minus that of the first arm on the same days.
    pub difference: Option<Difference>,
    /// Its least waste at given hit rates, where something of it was moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_hit_rate: Option<Vec<AtHitRate>>,
}

/// Counts and quantities.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Account {
    /// US dollars.
    pub cost_usd: f64,
    /// Needs that arose.
    pub needs: u64,
    /// Needs that found a ready stage.
    pub hits: u64,
    /// Needs that did not.
    pub misses: u64,
    /// Stages never used.
    pub waste: u64,
    /// Minutes in which needs waited.
    pub blocked_minutes: f64,
    /// Runner minutes of stages and retraining.
    pub runner_minutes: f64,
    /// Minutes with fewer replicas than required.
    pub slo_violation_minutes: f64,
    /// Days in which needs with an open advisory waited.
    pub exposure_days: f64,
}

/// A paired difference in US dollars with a 95 % interval by weeks.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Difference {
    /// The whole difference.
    pub usd: f64,
    /// Lower bound; absent for less than two weeks.
    pub low: Option<f64>,
    /// Upper bound.
    pub high: Option<f64>,
    /// The share of the first arm's cost that is saved, with its interval by weeks; absent for
    /// less than two weeks, and where a week costs the first arm nothing.
    pub saved_share: Option<Bounds>,
    /// Of no difference, by flipping the signs of whole weeks.
    pub p_value: Option<f64>,
}

impl Replay {
    /// Adds what a sweep found, in arm order; nothing for an arm in which nothing can be moved.
    pub(super) fn add_hit_rates(&mut self, swept: Vec<Vec<AtHitRate>>) {
        assert_eq!(swept.len(), self.arms.len(), "a sweep of other arms");
        for (arm, at) in self.arms.iter_mut().zip(swept) {
            arm.at_hit_rate = (!at.is_empty()).then_some(at);
        }
    }
}

impl ArmResult {
    /// The account of an episode, compared with that of the first arm.
    pub(super) fn of(episode: &Episode, first: &Episode) -> Self {
        let mut total = Account::default();
        let mut by_need = BTreeMap::new();
        for need in NeedType::ALL {
            let mut account = Account::default();
            for cell in episode.cells.iter().filter(|cell| cell.spec.need == need) {
                for account in [&mut account, &mut total] {
                    account.cost_usd += cell.cost.total();
                    account.needs += cell.tally.needs;
                    account.hits += cell.tally.hits;
                    account.misses += cell.tally.misses;
                    account.waste += cell.tally.waste();
                    account.blocked_minutes += cell.tally.usage.blocked_minutes;
                    account.runner_minutes += cell.tally.usage.runner_minutes;
                    account.slo_violation_minutes += cell.tally.usage.slo_violation_minutes;
                    account.exposure_days += cell.tally.usage.exposure_days;
                }
            }
            by_need.insert(need.to_string(), account);
        }
        let difference =
            (episode.arm != first.arm).then(|| difference(&episode.daily_usd, &first.daily_usd));
        ArmResult {
            arm: episode.arm.clone(),
            total,
            by_need,
            difference,
            at_hit_rate: None,
        }
    }
}

/// Sum of daily differences, with intervals by resampling whole weeks.
fn difference(daily: &[f64], first: &[f64]) -> Difference {
    let (cost, fixed) = (weeks(daily), weeks(first));
    let pairs: Vec<f64> = cost.iter().zip(&fixed).map(|(a, b)| a - b).collect();
    let count = pairs.len();
    let mut found = Difference {
        usd: pairs.iter().sum(),
        low: None,
        high: None,
        saved_share: None,
        p_value: None,
    };
    if count < 2 {
        return found;
    }
    found.p_value = Some(sign_flip_p_value(&pairs, FLIPS, 0));
    let bootstrap = Bootstrap::new(0);
    if let Some(interval) = bootstrap.mean(&Grid::new(count, pairs)) {
        found.low = Some(interval.lower * count as f64);
        found.high = Some(interval.upper * count as f64);
    }
    if fixed.iter().all(|usd| *usd > 0.0) {
        let grids = [&Grid::new(count, fixed), &Grid::new(count, cost)];
        let saved = bootstrap.of(grids, |[fixed, cost]| (fixed - cost) / fixed);
        found.saved_share = saved.map(Bounds::from);
    }
    found
}

/// Sums of whole weeks; the last one may be shorter.
fn weeks(daily: &[f64]) -> Vec<f64> {
    let weeks = daily.chunks(BLOCK_DAYS);
    weeks.map(|week| week.iter().sum()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_compared_week_by_week() {
        let first = [10.0; 28];
        let daily: Vec<f64> = (0..28)
            .map(|day| if day < 14 { 8.0 } else { 6.0 })
            .collect();
        let found = difference(&daily, &first);
        assert_eq!(found.usd, -84.0);
        // Weeks save 14, 14, 28 and 28: a resample lies between all of one and all of the other.
        assert_eq!((found.low, found.high), (Some(-112.0), Some(-56.0)));
        let saved = found.saved_share.unwrap();
        assert!((saved.mean - 0.3).abs() < 1e-12, "{saved:?}");
        assert!((saved.low - 0.2).abs() < 1e-12 && (saved.high - 0.4).abs() < 1e-12);
        // Two of the sixteen sign patterns are as far from zero.
        assert_eq!(found.p_value, Some(0.125));
    }

    #[test]
    fn what_has_no_second_week_has_no_interval() {
        let found = difference(&[1.0; 7], &[2.0; 7]);
        assert_eq!(found.usd, -7.0);
        assert_eq!((found.low, found.high, found.p_value), (None, None, None));
        assert_eq!(found.saved_share, None);
    }

    #[test]
    fn a_week_that_costs_nothing_has_no_share() {
        let mut first = vec![0.0; 7];
        first.extend([2.0; 7]);
        let found = difference(&[1.0; 14], &first);
        assert_eq!((found.usd, found.saved_share), (0.0, None));
        assert!(found.low.is_some());
    }
}
