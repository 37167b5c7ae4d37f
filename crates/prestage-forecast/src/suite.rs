//! Test suites: when will a shard take longer than its budget?
//!
//! Log duration follows a robust level with a trend (Holt 1957, innovations clipped at three standard
//! deviations so that one hung run does not move it); runs come at their own hours. The need is the median
//! of the last three runs passing budget x shards, so its time is a first passage: of the state of the last
//! two runs, by the runs expected, each over the budget with the same probability. Fails at step growth,
//! which it meets only after the step.
mod growth;

use prestage_telemetry::{Metric, SeriesId, Span, Tail, Timestamp};
use serde::{Deserialize, Serialize};

use crate::events::Intensity;
use crate::hazard::Hazard;
use crate::model::{Entry, NeedModel, NeedModelInput, restored, saved};
use crate::normal::{normal_cdf, normal_quantile};

pub(crate) use growth::ENTRY as GROWTH;
pub use growth::SuiteGrowth;

/// Registry entry.
pub const ENTRY: Entry = Entry {
    name: "robust-holt",
    about: "damped, outlier-clipped trend of log suite duration against budget times shards",
    need: "test_suite",
    build: |input| Box::new(SuiteModel::new(input)),
    restore: restored::<SuiteModel>,
};

/// The knob's centre of 6 h means that a level is remembered for 7 days.
const MEMORY_PER_HALF_LIFE: f64 = 28.0;
/// The need rule looks at the median of three runs, whose standard deviation is
/// 0.67 of one run's (normal errors).
const MEDIAN_OF_THREE: f64 = 0.67;

/// Hours ahead over which a trend is followed.
const LOOK_H: f64 = 336.0;
/// Runs ahead that are walked through one by one; beyond them the hazard is what it has become.
const RUNS_WALKED: f64 = 40.0;
const RUNS_MAX: u32 = 100;

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SuiteModel {
    input: NeedModelInput,
    runs_cursor: u64,
    shards_cursor: u64,
    shards: f64,
    half_life_h: f64,
    level: f64,
    trend_per_h: f64,
    learning_trend_per_h: f64,
    variance: f64,
    persistence: f64,
    last: Option<(Timestamp, f64)>,
    /// Runs in a row beyond the bound, negative when below.
    outliers: i32,
    /// Log seconds of the last two runs, the latest last.
    recent: [f64; 2],
    /// When runs come.
    runs: Hazard,
}

impl SuiteModel {
    /// A model that has seen nothing.
    pub fn new(input: NeedModelInput) -> Self {
        Self {
            input,
            runs_cursor: 0,
            shards_cursor: 0,
            shards: 1.0,
            half_life_h: 168.0,
            level: 0.0,
            trend_per_h: 0.0,
            learning_trend_per_h: 0.0,
            variance: 0.02,
            persistence: 0.02,
            last: None,
            outliers: 0,
            recent: [f64::NEG_INFINITY; 2],
            runs: Hazard::new(1.0 / 24.0, &[]),
        }
    }

    fn run(&mut self, at: Timestamp, value: f64) {
        self.runs.advance(at);
        self.runs.record();
        self.learn(at, value);
        self.recent = [self.recent[1], value];
    }

    /// Probability that a run in the middle of the horizon is over the budget.
    fn exceedance(&self, now: Timestamp, horizon: Span) -> f64 {
        let middle = Span(horizon.0 / 2);
        let over = self.predicted(now, middle) - self.budget_log();
        normal_cdf(over / self.variance.sqrt())
    }

    fn learn(&mut self, at: Timestamp, value: f64) {
        let Some((previous_at, previous)) = self.last else {
            self.level = value;
            self.last = Some((at, value));
            return;
        };
        let hours = (at.0 - previous_at.0) as f64 / 3.6e9;
        let predicted = self.level + self.trend_per_h * hours;
        let bound = 3.0 * self.variance.sqrt();
        let innovation = (value - predicted).clamp(-bound, bound);
        if self.is_step(value - predicted, bound) {
            self.level = value;
            self.outliers = 0;
            self.last = Some((at, value));
            return;
        }
        // A run counts for at least a twentieth, however close the runs are.
        let gain = (1.0 - (-std::f64::consts::LN_2 * hours / self.half_life_h).exp()).max(0.05);
        self.level = predicted + gain * innovation;
        if hours > 0.01 {
            let slope = innovation * gain / hours.max(1.0);
            self.learning_trend_per_h +=
                0.1 * gain * (self.trend_per_h + slope - self.learning_trend_per_h);
        }
        self.variance += 0.03 * (innovation * innovation * 1.05 - self.variance);
        self.variance = self.variance.max(1e-4);
        let step = (value - previous).clamp(-bound, bound);
        self.persistence += 0.03 * (step * step - self.persistence);
        self.last = Some((at, value));
    }

    /// One run far off is an outlier; three in a row on the same side are a step, to
    /// which the level goes at once.
    fn is_step(&mut self, error: f64, bound: f64) -> bool {
        let side = if error > bound {
            1
        } else if error < -bound {
            -1
        } else {
            0
        };
        self.outliers = if side != 0 && self.outliers.signum() != -side {
            self.outliers + side
        } else {
            side
        };
        self.outliers.abs() >= 3
    }

    fn budget_log(&self) -> f64 {
        (self.input.suite_budget_s * self.shards).max(1e-3).ln()
    }

    fn predicted(&self, now: Timestamp, horizon: Span) -> f64 {
        let Some((at, _)) = self.last else {
            return self.level;
        };
        let hours = (now.0 + horizon.0 - at.0).max(0) as f64 / 3.6e9;
        // Growth of more than 2 % a day is a step, not a trend; no trend goes on for ever; and one
        // that falls makes the beginning of the horizon the time to look at.
        self.level + self.trend_per_h.clamp(0.0, 8e-4) * hours.min(168.0)
    }

    fn sigma(&self) -> f64 {
        MEDIAN_OF_THREE * self.variance.sqrt()
    }
}

impl NeedModel for SuiteModel {
    fn save(&self) -> Vec<u8> {
        saved(self)
    }

    fn observe(&mut self, tail: &Tail, now: Timestamp) {
        let shards = SeriesId::new(self.input.service, Metric::TestShards);
        let told = tail.read(shards, &mut self.shards_cursor).1;
        if let Some(&latest) = told.iter().rfind(|shards| (1.0..1e6).contains(*shards)) {
            self.shards = latest;
        }
        let runs = SeriesId::new(self.input.service, Metric::TestSuiteSeconds);
        let (times, values) = tail.read(runs, &mut self.runs_cursor);
        for (&at, &seconds) in times.iter().zip(values) {
            // A suite that ran for no time, or for ever, was not timed.
            if (1e-3..1e9).contains(&seconds) {
                self.run(at, seconds.ln());
            }
        }
        self.runs.advance(now);
    }

    fn retrain(&mut self, _now: Timestamp) {
        self.trend_per_h = self.learning_trend_per_h;
        self.runs.retrain();
    }

    fn set_half_life(&mut self, half_life: Span) {
        self.half_life_h = half_life.0 as f64 / 3.6e9 * MEMORY_PER_HALF_LIFE;
    }

    fn probability(&self, now: Timestamp, horizon: Span) -> f64 {
        -(-self.expected(now, horizon.as_hours())).exp_m1()
    }

    fn magnitude(&self, now: Timestamp, horizon: Span, quantile: f64) -> u32 {
        let log_seconds = self.predicted(now, horizon) + normal_quantile(quantile) * self.sigma();
        let shards = (log_seconds.min(30.0).exp() / self.input.suite_budget_s).ceil();
        (shards.clamp(1.0, 1e4) as u32).max(self.shards as u32 + 1)
    }

    fn spread(&self, _horizon: Span) -> f64 {
        self.sigma()
    }

    fn demand_ratio(&self) -> f64 {
        self.last.map_or(0.0, |(_, value)| value - self.level)
    }

    fn headroom(&self) -> f64 {
        if self.last.is_some() {
            self.budget_log() - self.level
        } else {
            0.0
        }
    }

    fn skill(&self) -> f64 {
        (self.variance.max(1e-9) / self.persistence.max(1e-9)).ln()
    }
}

impl Intensity for SuiteModel {
    fn expected(&self, now: Timestamp, hours: f64) -> f64 {
        if self.last.is_none() {
            return 0.0;
        }
        let horizon = Span((hours.min(LOOK_H) * 3.6e9) as i64);
        let budget = self.budget_log();
        let passage = Passage {
            over: self.recent.map(|value| value > budget),
            exceedance: self.exceedance(now, horizon),
        };
        passage.expected(self.runs.expected(now, hours))
    }
}

/// The chain of the last two runs, until two of three are over the budget.
struct Passage {
    /// Were the last two over it? The latest last.
    over: [bool; 2],
    /// Probability that a run is.
    exceedance: f64,
}

impl Passage {
    /// Negated log of the probability that the passage has not come after a Poisson number of runs.
    fn expected(&self, runs: f64) -> f64 {
        let walked = runs.min(RUNS_WALKED);
        let q = self.exceedance;
        // Probabilities of neither of the last two over the budget, of the latest, of the one before it.
        let mut state = match self.over {
            [false, false] => [1.0, 0.0, 0.0],
            [false, true] => [0.0, 1.0, 0.0],
            [true, false] => [0.0, 0.0, 1.0],
            // The median is over already: the next run says so.
            [true, true] => return runs,
        };
        let mut weight = (-walked).exp();
        let (mut passes, mut passed, mut passed_after) = (0.0_f64, 0.0_f64, 0.0_f64);
        for n in 1..=RUNS_MAX {
            passed += passes;
            passes = q * (state[1] + state[2]);
            state = [
                (1.0 - q) * (state[0] + state[2]),
                q * state[0],
                (1.0 - q) * state[1],
            ];
            weight *= walked / f64::from(n);
            passed_after += weight * (passed + passes);
            if weight < 1e-12 && f64::from(n) > walked {
                break;
            }
        }
        let hazard = passes / (1.0 - passed).max(1e-9);
        let beyond = hazard.min(1.0) * (runs - walked);
        -(-passed_after.min(1.0 - 1e-12)).ln_1p() + beyond
    }
}

#[cfg(test)]
mod tests {
    use prestage_telemetry::ServiceId;

    use super::*;

    fn grown(days: i64, seconds: impl Fn(f64) -> f64) -> (SuiteModel, Timestamp) {
        let input = NeedModelInput {
            service: ServiceId(0),
            rated_load_per_replica: 1.0,
            suite_budget_s: 600.0,
        };
        let mut model = SuiteModel::new(input);
        let mut tail = Tail::new(1, Span::MAX);
        let start = Timestamp::from_seconds(1_704_067_200);
        tail.push(SeriesId::new(ServiceId(0), Metric::TestShards), start, 1.0);
        for run in 0..days * 4 {
            let at = start + Span::from_hours(run * 6);
            tail.push(
                SeriesId::new(ServiceId(0), Metric::TestSuiteSeconds),
                at,
                seconds(run as f64 / 4.0),
            );
        }
        let now = start + Span::from_days(days);
        model.observe(&tail, now);
        model.retrain(now);
        (model, now)
    }

    #[test]
    fn a_suite_well_inside_its_budget_needs_nothing() {
        let (model, now) = grown(30, |day| 300.0 + 10.0 * (day * 9.0).sin());
        assert!(model.probability(now, Span::from_hours(12)) < 0.01);
    }

    #[test]
    fn growth_towards_the_budget_raises_the_probability() {
        let wave = |day: f64| 1.0 + 0.08 * (day * 9.0).sin();
        let (early, now) = grown(20, |day| (400.0 + 4.0 * day) * wave(day));
        let (late, later) = grown(48, |day| (400.0 + 4.0 * day) * wave(day));
        let p_early = early.probability(now, Span::from_hours(12));
        let p_late = late.probability(later, Span::from_hours(12));
        assert!(p_late > p_early + 0.1, "early {p_early}, late {p_late}");
        assert_eq!(late.magnitude(later, Span::from_hours(12), 0.9), 2);
    }

    #[test]
    fn a_suite_cut_in_half_is_believed_after_three_runs() {
        let cut = |day: f64| {
            if day < 29.25 {
                660.0 + 10.0 * (day * 9.0).sin()
            } else {
                330.0
            }
        };
        let (model, now) = grown(30, cut);
        assert!(model.probability(now, Span::from_hours(12)) < 0.01);
    }

    #[test]
    fn the_first_passage_has_the_answers_that_a_hand_can_compute() {
        let passes = |over: [bool; 2], exceedance: f64, runs: f64| {
            let passage = Passage { over, exceedance };
            1.0 - (-passage.expected(runs)).exp()
        };
        let at_least = |least: u32, runs: f64| {
            let fewer = (0..least).scan(1.0, |term, n| {
                let this = *term;
                *term *= runs / f64::from(n + 1);
                Some(this)
            });
            1.0 - (-runs).exp() * fewer.sum::<f64>()
        };
        for runs in [0.0, 0.3, 2.0, 9.0] {
            // Every run is over: two of them from nothing, one after one.
            assert!((passes([false, false], 1.0, runs) - at_least(2, runs)).abs() < 1e-9);
            assert!((passes([false, true], 1.0, runs) - at_least(1, runs)).abs() < 1e-9);
            assert_eq!(passes([true, false], 0.0, runs), 0.0);
            // One run more decides it in one of two cases; later ones are over with the same odds.
            let one = passes([true, false], 0.5, 1e-4);
            assert!((one - 0.5e-4).abs() < 1e-8, "{one}");
        }
    }

    #[test]
    fn one_hung_run_moves_little() {
        let calm = |day: f64| 300.0 + 10.0 * (day * 9.0).sin();
        let (model, now) = grown(30, |day| if day == 29.5 { 6000.0 } else { calm(day) });
        assert!(model.probability(now, Span::from_hours(12)) < 0.05);
    }
}
