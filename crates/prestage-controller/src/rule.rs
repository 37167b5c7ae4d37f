//! A rule that decides about stages without our threshold.
//!
//! Other products stage by rules that no setting of knobs expresses: a window of
//! recommendations, a clock, a histogram. Such a rule takes the place of the one line of
//! [`crate::reconcile`] that compares a forecast with a threshold; everything before and
//! after it (telemetry, ports, refresh, expiry, accounts) stays the same, so an arm with
//! a rule and an arm with knobs are compared on one control loop.
use prestage_forecast::NeedModel;
use prestage_telemetry::{Span, Tail, Timestamp};

use crate::cell::CellSpec;
use crate::parameter::{Parameter, Values, defaults, problem};

/// What is to become of a cell's stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There should be one.
    Stage,
    /// Whatever there is may stay.
    Keep,
    /// There should be none.
    Withdraw,
}

/// A staged stage is taken back once the odds of its need have fallen to this share
/// of the threshold's, two log-odds below: hysteresis, or every wobble would cost a
/// review.
const WITHDRAW_RATIO: f64 = 0.135_335_283_236_612_7;

impl Verdict {
    /// The verdict of a forecast: these odds of a need against those of a threshold.
    pub(crate) fn of_odds(odds: f64, threshold: f64) -> Self {
        if odds >= threshold {
            Self::Stage
        } else if odds < WITHDRAW_RATIO * threshold {
            Self::Withdraw
        } else {
            Self::Keep
        }
    }
}

/// What a rule sees of a cell, beside what it remembers itself.
pub struct Sight<'a> {
    /// The present moment.
    pub now: Timestamp,
    /// Ninth decile of the measured lead time.
    pub lead: Span,
    /// How far the cell's forecast looks.
    pub horizon: Span,
    /// Probability of a need within the horizon.
    pub probability: f64,
    /// Quantile of the required size that a stage is to cover.
    pub quantile: f64,
    /// The cell's own forecaster.
    pub model: &'a dyn NeedModel,
}

impl Sight<'_> {
    /// Replicas or shards that the cell's forecaster wants within `horizon`.
    pub fn magnitude_over(&self, horizon: Span) -> u32 {
        self.model.magnitude(self.now, horizon, self.quantile)
    }
}

/// Decides for all cells of one controller; state is kept by cell id.
pub trait StagingRule: Send {
    /// Takes in what the tail has gained about a cell since the last call.
    fn observe(&mut self, _cell: &CellSpec, _tail: &Tail, _now: Timestamp) {}

    /// A need of a cell arose; told once the decisions have begun.
    fn need(&mut self, _cell: &CellSpec, _at: Timestamp) {}

    /// What is to become of the stage of a cell.
    fn verdict(&mut self, cell: &CellSpec, sight: &Sight) -> Verdict;

    /// Size of the stage it asks for: replicas or shards, 0 where a need has no size.
    fn magnitude(&self, _cell: &CellSpec, sight: &Sight) -> u32 {
        sight.magnitude_over(sight.horizon)
    }
}

/// How a rule is made.
#[derive(Debug)]
pub struct RuleEntry {
    /// Its name.
    pub name: &'static str,
    /// Its tunable numbers.
    pub parameters: &'static [Parameter],
    /// Makes one for the cells of a controller.
    pub build: fn(&[CellSpec], &Values) -> Box<dyn StagingRule>,
}

/// A rule with its numbers, ready to be made for any controller.
#[derive(Clone, Debug)]
pub struct Rule {
    entry: &'static RuleEntry,
    values: Values,
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.entry.name == other.entry.name && self.values == other.values
    }
}

impl Rule {
    /// With the numbers that its product ships.
    pub fn untuned(entry: &'static RuleEntry) -> Self {
        Self {
            entry,
            values: defaults(entry.parameters),
        }
    }

    /// Its tunable numbers.
    pub fn parameters(&self) -> &'static [Parameter] {
        self.entry.parameters
    }

    /// Their values.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// The same rule with other numbers.
    ///
    /// # Panics
    /// When there is not one inside its range for every parameter and need type.
    pub fn at(&self, values: &Values) -> Self {
        Self::with(self.entry, values)
    }

    /// With these numbers.
    ///
    /// # Panics
    /// When there is not one inside its range for every parameter and need type.
    pub fn with(entry: &'static RuleEntry, values: &Values) -> Self {
        if let Some(problem) = problem(entry.parameters, values) {
            panic!("rule `{}`: {problem}", entry.name);
        }
        Self {
            entry,
            values: values.clone(),
        }
    }

    /// The rule for the cells of a controller.
    pub fn build(&self, cells: &[CellSpec]) -> Box<dyn StagingRule> {
        (self.entry.build)(cells, &self.values)
    }
}
