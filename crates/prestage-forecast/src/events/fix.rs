//! The time from a signal to its answer: from an advisory or an upstream release to the update.
//!
//! A hazard for each stretch of a signal's age, from hours to years (piecewise exponential; Friedman 1982),
//! so that signals still open say as much as they have lived (censoring, as in Kaplan & Meier 1958). Groups
//! (services, kinds of signals) are pooled in part, twice: a group's level is a gamma posterior around the
//! fleet's (shared frailty: Clayton 1978), its weight found by the marginal likelihood of what all groups
//! showed (empirical Bayes); each stretch of a group's hazard is a gamma posterior around level x fleet. So
//! a group without answers is forecast as the fleet, one with many as itself. Fails where answers come in
//! campaigns: it takes signals for independent.
use serde::{Deserialize, Serialize};

/// Upper ends of the stretches of age, hours: six hours to two years.
const EDGES_H: [f64; 13] = [
    6.0, 12.0, 24.0, 48.0, 96.0, 168.0, 336.0, 672.0, 1_344.0, 2_688.0, 5_376.0, 8_766.0, 17_532.0,
];
pub(super) const STRETCHES: usize = EDGES_H.len() + 1;
/// Answers that the level of the fleet weighs in each stretch of it.
const FLEET_PRIOR: f64 = 0.5;
/// Answers that the fleet weighs in each stretch of a group.
const GROUP_PRIOR: f64 = 20.0;
/// Prior of the fleet before any answer: one in four weeks, with the weight of one.
const PRIOR_PER_HOUR: f64 = 1.0 / 672.0;
/// Weights of the fleet's level that are tried, in answers.
const WEIGHTS: [f64; 8] = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 64.0];
/// Nobody asks farther ahead, hours: twenty years.
const FAR_H: f64 = 175_320.0;

/// A signal and how long it was open.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Case {
    /// Whose, or of what kind: any number below that of the groups.
    pub group: usize,
    /// Hours from the signal to its answer, or to the present.
    pub hours: f64,
    /// Whether it was answered then.
    pub is_fixed: bool,
}

/// Answers and hours under observation in each stretch of age.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Life {
    pub(super) events: [f64; STRETCHES],
    pub(super) hours: [f64; STRETCHES],
}

impl Life {
    pub(super) const NONE: Self = Self {
        events: [0.0; STRETCHES],
        hours: [0.0; STRETCHES],
    };

    /// Time from age `from_h` to `to_h` passes.
    pub(super) fn pass(&mut self, from_h: f64, to_h: f64) {
        for (stretch, hours) in self.hours.iter_mut().enumerate() {
            *hours += overlap(stretch, from_h, to_h);
        }
    }

    /// Something happened at an age.
    pub(super) fn happen(&mut self, age_h: f64) {
        self.events[stretch_of(age_h)] += 1.0;
    }

    pub(super) fn add(&mut self, other: &Self) {
        for stretch in 0..STRETCHES {
            self.events[stretch] += other.events[stretch];
            self.hours[stretch] += other.hours[stretch];
        }
    }

    fn count(&self) -> f64 {
        self.events.iter().sum()
    }

    fn expected(&self, hazard: &Stretches) -> f64 {
        let terms = self.hours.iter().zip(&hazard.per_hour);
        terms.map(|(hours, rate)| hours * rate).sum()
    }
}

/// A hazard that is constant in each stretch of age.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stretches {
    per_hour: [f64; STRETCHES],
}

impl Stretches {
    /// The hazard of `group`, from what is known of all.
    pub fn of_group(cases: &[Case], group: usize) -> Self {
        let groups = cases.iter().map(|case| case.group).max();
        let mut lives = vec![Life::NONE; groups.unwrap_or(0).max(group) + 1];
        for case in cases {
            let hours = case.hours.clamp(0.0, FAR_H);
            lives[case.group].pass(0.0, hours);
            if case.is_fixed {
                lives[case.group].happen(hours);
            }
        }
        Self::pooled(&lives, group)
    }

    /// See the module.
    pub(super) fn pooled(lives: &[Life], group: usize) -> Self {
        let mut all = Life::NONE;
        lives.iter().for_each(|life| all.add(life));
        let fleet = Self::of_fleet(&all);
        let weight = level_weight(lives, &fleet);
        let own = &lives[group];
        let level = (weight + own.count()) / (weight + own.expected(&fleet));
        Self {
            per_hour: std::array::from_fn(|i| {
                let usual = level * fleet.per_hour[i];
                (own.events[i] + GROUP_PRIOR) / (own.hours[i] + GROUP_PRIOR / usual)
            }),
        }
    }

    /// All groups as one.
    pub(super) fn of_fleet(all: &Life) -> Self {
        let hours: f64 = all.hours.iter().sum();
        let level = (all.count() + 1.0) / (hours + 1.0 / PRIOR_PER_HOUR);
        Self {
            per_hour: std::array::from_fn(|i| {
                (all.events[i] + FLEET_PRIOR) / (all.hours[i] + FLEET_PRIOR / level)
            }),
        }
    }

    /// Answers expected in `(age_h, age_h + hours]`: the log of the probability of none, negated.
    pub fn expected(&self, age_h: f64, hours: f64) -> f64 {
        let from = age_h.clamp(0.0, FAR_H);
        let to = from + hours.clamp(0.0, FAR_H);
        let terms = self.per_hour.iter().enumerate();
        terms.map(|(i, rate)| rate * overlap(i, from, to)).sum()
    }

    /// Probability that a signal open for `age_h` hours is answered within `hours` more.
    pub fn probability(&self, age_h: f64, hours: f64) -> f64 {
        -(-self.expected(age_h, hours)).exp_m1()
    }

    /// Hours until a signal open for `age_h` hours is answered with this probability.
    ///
    /// # Panics
    /// When `probability` is not inside (0, 1).
    pub fn quantile(&self, age_h: f64, probability: f64) -> f64 {
        assert!(
            probability > 0.0 && probability < 1.0,
            "a quantile of {probability}"
        );
        let mut left = -(-probability).ln_1p();
        let mut at = age_h.clamp(0.0, FAR_H);
        let start = at;
        for stretch in stretch_of(at)..STRETCHES {
            let end = EDGES_H.get(stretch).copied().unwrap_or(f64::INFINITY);
            let passes = self.per_hour[stretch] * (end - at).max(0.0);
            if passes >= left {
                return at + left / self.per_hour[stretch] - start;
            }
            left -= passes;
            at = end;
        }
        unreachable!("the last stretch has no end and a positive hazard")
    }
}

/// Weight of the fleet's level, in answers, under which the counts of all groups are likeliest: negative
/// binomial, given what the fleet's hazard expects of each.
fn level_weight(lives: &[Life], fleet: &Stretches) -> f64 {
    let counts: Vec<(f64, f64)> = lives
        .iter()
        .map(|life| (life.count(), life.expected(fleet)))
        .collect();
    let likelihood = |weight: f64| -> f64 {
        let terms = counts.iter().map(|&(count, expected)| {
            libm::lgamma(weight + count) - libm::lgamma(weight)
                + weight * (weight / (weight + expected)).ln()
                - count * (weight + expected).ln()
        });
        terms.sum()
    };
    let tried = WEIGHTS.map(|weight| (likelihood(weight), weight));
    let best = tried.iter().max_by(|a, b| a.0.total_cmp(&b.0));
    best.expect("some weights are tried").1
}

fn stretch_of(age_h: f64) -> usize {
    EDGES_H.iter().filter(|&&edge| age_h >= edge).count()
}

/// Hours of `(from, to)` in a stretch.
fn overlap(stretch: usize, from: f64, to: f64) -> f64 {
    let begin = if stretch == 0 {
        0.0
    } else {
        EDGES_H[stretch - 1]
    };
    let end = EDGES_H.get(stretch).copied().unwrap_or(f64::INFINITY);
    (to.min(end) - from.max(begin)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cases(group: usize, hours: f64, count: usize) -> Vec<Case> {
        // Exponential times around `hours`, by their quantiles.
        let of = |i: usize| -(1.0 - (i as f64 + 0.5) / count as f64).ln() * hours;
        let case = |i| Case {
            group,
            hours: of(i),
            is_fixed: true,
        };
        (0..count).map(case).collect()
    }

    #[test]
    fn many_exponential_times_have_the_quantiles_of_their_rate() {
        let fitted = Stretches::of_group(&cases(0, 100.0, 4_000), 0);
        for (probability, expected) in [(0.5, 69.3), (0.9, 230.3)] {
            let found = fitted.quantile(0.0, probability);
            assert!(
                (found / expected - 1.0).abs() < 0.05,
                "{probability}: {found}"
            );
            let back = fitted.probability(0.0, found);
            assert!((back - probability).abs() < 1e-12, "{back}");
        }
    }

    #[test]
    fn a_signal_still_open_counts_for_the_time_it_was() {
        // Half of the signals are cut off at 50 hours: the mean of those answered alone would be wrong.
        let mut known = cases(0, 100.0, 4_000);
        for case in known.iter_mut().step_by(2) {
            case.is_fixed = case.hours <= 50.0;
            case.hours = case.hours.min(50.0);
        }
        let median = Stretches::of_group(&known, 0).quantile(0.0, 0.5);
        assert!((median / 69.3 - 1.0).abs() < 0.05, "{median}");
    }

    #[test]
    fn a_group_without_answers_is_the_fleet_and_one_with_many_is_itself() {
        let mut known = cases(0, 50.0, 4_000);
        known.extend(cases(1, 500.0, 4_000));
        known.extend(cases(2, 5_000.0, 4_000));
        let median = |group| Stretches::of_group(&known, group).quantile(0.0, 0.5);
        assert!((median(0) / 34.7 - 1.0).abs() < 0.1, "{}", median(0));
        assert!((median(2) / 3_466.0 - 1.0).abs() < 0.1, "{}", median(2));
        let stranger = median(3);
        assert!(median(0) < stranger && stranger < median(2), "{stranger}");
        // Two answers move a group part of the way.
        known.extend(cases(3, 20.0, 2));
        let begun = Stretches::of_group(&known, 3).quantile(0.0, 0.5);
        assert!(begun < 0.7 * stranger && begun > 20.0, "{begun}");
    }

    #[test]
    fn groups_alike_are_pooled_more_than_groups_apart() {
        let weight = |hours: [f64; 6]| {
            let lives: Vec<Life> = hours
                .iter()
                .map(|&hours| {
                    let mut life = Life::NONE;
                    for case in cases(0, hours, 40) {
                        life.pass(0.0, case.hours);
                        life.happen(case.hours);
                    }
                    life
                })
                .collect();
            let mut all = Life::NONE;
            lives.iter().for_each(|life| all.add(life));
            level_weight(&lives, &Stretches::of_fleet(&all))
        };
        let alike = weight([90.0, 95.0, 100.0, 100.0, 105.0, 110.0]);
        let apart = weight([10.0, 30.0, 100.0, 300.0, 1_000.0, 3_000.0]);
        assert!(alike > 8.0 * apart, "alike {alike}, apart {apart}");
    }
}
