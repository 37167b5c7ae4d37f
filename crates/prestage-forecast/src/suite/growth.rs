//! The distribution of the time until a suite exceeds its budget.
//!
//! [`SuiteModel`] is about the lead time of a stage. Here the same level is followed for months: its trend
//! fades, it wanders as it has wandered, and it may step up, as suites do when a set of tests is added
//! (a Poisson process of exponential steps in log seconds, both learnt). Day by day the chain of the last two runs is
//! walked by the runs expected with that day's odds of a run over the budget; a step that takes the level
//! over it is a competing risk. Half of the answer is that of the gaps between needs of all suites: what
//! changes a suite for good is mostly not in its own runs. A quantile of the time is where the distribution
//! passes it.
use prestage_telemetry::{Metric, SeriesId, Span, Tail, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Passage, SuiteModel};
use crate::events::{Intensity, PooledGaps};
use crate::model::{Entry, NeedModel, NeedModelInput, restored, saved};
use crate::normal::normal_cdf;

/// Registry entry.
pub const ENTRY: Entry = Entry {
    name: "suite-growth",
    about: "time until a suite exceeds its budget: fading trend, wandering level, steps, pooled gaps",
    need: "test_suite",
    build: |input| Box::new(SuiteGrowth::new(input)),
    restore: restored::<SuiteGrowth>,
};

/// Days after which a trend has faded to a third.
const TREND_DAYS: f64 = 28.0;
/// Steepest trend, log seconds a day: what is steeper is a step.
const TREND_MAX: f64 = 0.02;
/// Prior of steps: one in half a year, with the weight of half a step, of a fifth.
const STEPS_PRIOR: f64 = 0.5;
const STEP_EVERY_DAYS: f64 = 60.0;
const STEP_SIZE: f64 = 0.5;
/// Prior variance of a level's wandering, log seconds squared a day, with the weight of days.
const WANDER_PRIOR: f64 = 1e-4;
const WANDER_PRIOR_DAYS: f64 = 14.0;
/// Weight of the walk, the rest being that of the gaps of the fleet.
const WALKED: f64 = 0.5;
/// Days that are walked one by one; beyond them the hazard is what it has become.
const DAYS_WALKED: usize = 182;

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SuiteGrowth {
    suite: SuiteModel,
    fleet: PooledGaps,
    steps: f64,
    step_sizes: f64,
    wandered: f64,
    days: f64,
    previous: Option<(Timestamp, f64)>,
}

/// What is walked day by day.
struct Walk {
    /// Log seconds below the budget.
    gap: f64,
    trend_per_day: f64,
    run_variance: f64,
    wander_per_day: f64,
    steps_per_day: f64,
    step_size: f64,
}

impl SuiteGrowth {
    /// A model that has seen nothing.
    pub fn new(input: NeedModelInput) -> Self {
        Self {
            suite: SuiteModel::new(input),
            fleet: PooledGaps::new(input, Metric::TestShards),
            steps: 0.0,
            step_sizes: 0.0,
            wandered: 0.0,
            days: 0.0,
            previous: None,
        }
    }

    /// The level at the end of a stretch of runs, against the level at its beginning.
    fn learn(&mut self, at: Timestamp) {
        let level = self.suite.level;
        let Some((since, before)) = self.previous else {
            self.previous = self.suite.last.map(|_| (at, level));
            return;
        };
        let days = (at - since).as_hours() / 24.0;
        if days < 1.0 {
            return;
        }
        let moved = level - before;
        // Twice what the runs themselves scatter is no wandering.
        if moved.abs() > 2.0 * self.suite.variance.sqrt() {
            if moved > 0.0 {
                self.steps += 1.0;
                self.step_sizes += moved;
            }
        } else {
            self.wandered += moved * moved;
        }
        self.days += days;
        self.previous = Some((at, level));
    }

    fn walk(&self, now: Timestamp) -> Walk {
        let trend = self.suite.trend_per_h * 24.0;
        let steps = self.steps + STEPS_PRIOR;
        Walk {
            gap: self.suite.budget_log() - self.suite.predicted(now, Span::ZERO),
            trend_per_day: trend.clamp(0.0, TREND_MAX),
            run_variance: self.suite.variance,
            wander_per_day: (self.wandered + WANDER_PRIOR * WANDER_PRIOR_DAYS)
                / (self.days + WANDER_PRIOR_DAYS),
            steps_per_day: steps / (self.days + STEPS_PRIOR * STEP_EVERY_DAYS),
            step_size: (self.step_sizes + STEPS_PRIOR * STEP_SIZE) / steps,
        }
    }
}

impl Walk {
    /// Probability that a run `day` days ahead is over the budget.
    fn exceedance(&self, day: f64) -> f64 {
        let grown = self.trend_per_day * TREND_DAYS * -(-day / TREND_DAYS).exp_m1();
        let variance = self.run_variance + self.wander_per_day * day;
        normal_cdf((grown - self.gap) / variance.sqrt())
    }

    /// Steps a day that take the level over the budget.
    fn fatal_steps(&self) -> f64 {
        self.steps_per_day * (-self.gap.max(0.0) / self.step_size).exp()
    }
}

impl NeedModel for SuiteGrowth {
    fn save(&self) -> Vec<u8> {
        saved(self)
    }

    fn observe(&mut self, tail: &Tail, now: Timestamp) {
        let runs = SeriesId::new(self.suite.input.service, Metric::TestSuiteSeconds);
        let is_news = tail.sequence(runs) != self.suite.runs_cursor;
        self.suite.observe(tail, now);
        self.fleet.observe(tail, now);
        if is_news {
            self.learn(now);
        }
    }

    fn retrain(&mut self, now: Timestamp) {
        self.suite.retrain(now);
        self.fleet.retrain(now);
    }

    fn set_half_life(&mut self, half_life: Span) {
        self.suite.set_half_life(half_life);
    }

    fn probability(&self, now: Timestamp, horizon: Span) -> f64 {
        -(-self.expected(now, horizon.as_hours())).exp_m1()
    }

    fn magnitude(&self, now: Timestamp, horizon: Span, quantile: f64) -> u32 {
        self.suite.magnitude(now, horizon, quantile)
    }

    fn spread(&self, horizon: Span) -> f64 {
        self.suite.spread(horizon)
    }

    fn demand_ratio(&self) -> f64 {
        self.suite.demand_ratio()
    }

    fn headroom(&self) -> f64 {
        self.suite.headroom()
    }

    fn skill(&self) -> f64 {
        self.suite.skill()
    }
}

impl Intensity for SuiteGrowth {
    fn expected(&self, now: Timestamp, hours: f64) -> f64 {
        let walked = self.walked(now, hours);
        let fleet = self.fleet.expected(now, hours);
        let least = walked.min(fleet);
        let none = WALKED * (least - walked).exp() + (1.0 - WALKED) * (least - fleet).exp();
        least - none.ln()
    }
}

impl SuiteGrowth {
    /// Needs that level, trend and steps make expect.
    fn walked(&self, now: Timestamp, hours: f64) -> f64 {
        if self.suite.last.is_none() {
            return 0.0;
        }
        let walk = self.walk(now);
        let budget = self.suite.budget_log();
        let over = self.suite.recent.map(|value| value > budget);
        let days = hours / 24.0;
        let mut chain = Chain::after(over);
        let mut sum = 0.0;
        let mut daily = 0.0;
        for day in 0..DAYS_WALKED {
            let from = day as f64;
            if from >= days {
                return sum + walk.fatal_steps() * days;
            }
            let share = (days - from).min(1.0);
            let to_h = (from + share) * 24.0;
            let runs =
                self.suite.runs.expected(now, to_h) - self.suite.runs.expected(now, from * 24.0);
            daily = chain.pass(runs, walk.exceedance(from + 0.5));
            sum += daily;
        }
        sum + daily * (days - DAYS_WALKED as f64) + walk.fatal_steps() * days
    }
}

/// Where the last two runs stand, given that the need has not come.
struct Chain {
    /// Probabilities of neither over the budget, the latest, the one before it, both.
    state: [f64; 4],
}

impl Chain {
    fn after(over: [bool; 2]) -> Self {
        let mut state = [0.0; 4];
        state[match over {
            [false, false] => 0,
            [false, true] => 1,
            [true, false] => 2,
            [true, true] => 3,
        }] = 1.0;
        Self { state }
    }

    /// Negated log of the probability of no need in a Poisson number of runs, each over the budget with
    /// the same probability.
    fn pass(&mut self, runs: f64, exceedance: f64) -> f64 {
        let starts = [[false, false], [false, true], [true, false], [true, true]];
        let none: f64 = starts
            .into_iter()
            .zip(self.state)
            .map(|(over, weight)| weight * (-Passage { over, exceedance }.expected(runs)).exp())
            .sum();
        // A day has runs enough to forget how it began; that no need came makes two in a row unlikely.
        let forgets = -(-runs / 2.0).exp_m1();
        let q = exceedance;
        let rest = (1.0 - q) * (1.0 - q) + 2.0 * q * (1.0 - q);
        let usual = if rest > 1e-9 {
            let single = q * (1.0 - q) / rest;
            [1.0 - 2.0 * single, single, single, 0.0]
        } else {
            [0.0, 0.5, 0.5, 0.0]
        };
        for (state, usual) in self.state.iter_mut().zip(usual) {
            *state += forgets * (usual - *state);
        }
        -none.max(1e-12).ln()
    }
}

#[cfg(test)]
mod tests {
    use prestage_telemetry::ServiceId;

    use super::*;
    use crate::model::time_to_need;

    /// Four runs a day for `days`.
    fn lived(days: i64, seconds: impl Fn(f64) -> f64) -> (SuiteGrowth, Timestamp) {
        let mut model = SuiteGrowth::new(NeedModelInput {
            service: ServiceId(0),
            rated_load_per_replica: 1.0,
            suite_budget_s: 600.0,
        });
        let mut tail = Tail::new(1, Span::MAX);
        let start = Timestamp::from_seconds(1_704_067_200);
        let series = SeriesId::new(ServiceId(0), Metric::TestSuiteSeconds);
        for run in 0..days * 4 {
            let at = start + Span::from_hours(run * 6);
            tail.push(series, at, seconds(run as f64 / 4.0));
            model.observe(&tail, at);
            if run % 4 == 0 {
                model.retrain(at);
            }
        }
        let now = start + Span::from_days(days);
        model.observe(&tail, now);
        model.retrain(now);
        (model, now)
    }

    fn days_until(model: &SuiteGrowth, now: Timestamp, probability: f64) -> f64 {
        let until = time_to_need(model, now, probability, Span::from_days(3_650));
        until.map_or(f64::INFINITY, |span| span.as_hours() / 24.0)
    }

    #[test]
    fn the_median_shrinks_as_the_budget_comes_near() {
        let grown = |day: f64| (400.0 + 4.0 * day) * (1.0 + 0.05 * (day * 9.0).sin());
        let medians = [10, 30, 44].map(|days| {
            let (model, now) = lived(days, grown);
            days_until(&model, now, 0.5)
        });
        assert!(medians.is_sorted_by(|a, b| a > b), "{medians:?}");
        // The growth alone takes six days; half of the answer is the gaps of a fleet without any.
        assert!((6.0..14.0).contains(&medians[2]), "{medians:?}");
    }

    #[test]
    fn quantiles_are_where_the_distribution_passes_them() {
        let (model, now) = lived(40, |day| 500.0 * (1.0 + 0.06 * (day * 9.0).sin()));
        let quantiles = [0.1, 0.25, 0.5, 0.75, 0.9].map(|p| days_until(&model, now, p));
        assert!(quantiles.is_sorted(), "{quantiles:?}");
        for (p, days) in [(0.1, quantiles[0]), (0.5, quantiles[2])] {
            let horizon = Span((days * 24.0 * 3.6e9) as i64);
            let back = model.probability(now, horizon);
            assert!((back - p).abs() < 0.01, "{p}: {days} days, {back}");
        }
    }

    #[test]
    fn a_suite_that_has_stepped_up_before_is_expected_to_do_so_again() {
        let flat = |day: f64| 330.0 * (1.0 + 0.02 * (day * 9.0).sin());
        let (calm, now) = lived(120, flat);
        let (stepping, _) = lived(120, |day| flat(day) * 1.25_f64.powf((day / 60.0).floor()));
        let within = |model: &SuiteGrowth| model.walked(now, 24.0 * 60.0);
        assert!(
            within(&stepping) > 2.0 * within(&calm),
            "{}, {}",
            within(&stepping),
            within(&calm)
        );
    }
}
