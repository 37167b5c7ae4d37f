//! From scores to alarms: hysteresis, so that a score that wobbles about the level is one
//! alarm, and a rest, so that the aftermath of a change is not a second one.
use serde::{Deserialize, Serialize};

/// When an alarm is raised and when it is lowered.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlarmSpec {
    /// A score from here raises an alarm.
    pub raise: f64,
    /// A score below this lowers it; at most `raise`.
    pub lower: f64,
    /// Samples after a raise in which no other alarm is raised.
    pub rest: usize,
}

/// What an alarm does at one sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmState {
    /// Nothing to report.
    Silent,
    /// Begins at this sample.
    Raised,
    /// Was raised earlier and has not been lowered.
    Standing,
}

/// The alarm of one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    spec: AlarmSpec,
    standing: bool,
    /// Samples since the last raise.
    since: Option<usize>,
}

impl Alarm {
    /// A silent alarm.
    ///
    /// # Panics
    /// When `lower` is above `raise`: such an alarm would be lowered as it is raised.
    pub fn new(spec: AlarmSpec) -> Self {
        assert!(
            spec.lower <= spec.raise,
            "lower {} > raise {}",
            spec.lower,
            spec.raise
        );
        Self {
            spec,
            standing: false,
            since: None,
        }
    }

    /// Takes the score of the next sample.
    pub fn update(&mut self, score: f64) -> AlarmState {
        self.since = self.since.map(|since| since.saturating_add(1));
        let resting = self.since.is_some_and(|since| since <= self.spec.rest);
        if self.standing && score >= self.spec.lower {
            return AlarmState::Standing;
        }
        self.standing = false;
        if score >= self.spec.raise && !resting {
            self.standing = true;
            self.since = Some(0);
            return AlarmState::Raised;
        }
        AlarmState::Silent
    }

    /// The score with what does not raise an alarm taken out: a score from the level that
    /// falls into a rest or into a standing alarm becomes 0.
    ///
    /// What a benchmark should see that scores every sample by itself.
    pub fn filter(&mut self, score: f64) -> f64 {
        match self.update(score) {
            AlarmState::Raised => score,
            _ if score >= self.spec.raise => 0.0,
            _ => score,
        }
    }

    /// Whether it has been raised and not lowered.
    pub fn is_standing(&self) -> bool {
        self.standing
    }
}

#[cfg(test)]
mod tests {
    use super::AlarmState::{Raised, Silent, Standing};
    use super::*;

    fn states(spec: AlarmSpec, scores: &[f64]) -> Vec<AlarmState> {
        let mut alarm = Alarm::new(spec);
        scores.iter().map(|&score| alarm.update(score)).collect()
    }

    #[test]
    fn a_wobble_about_the_level_is_one_alarm() {
        let spec = AlarmSpec {
            raise: 0.5,
            lower: 0.25,
            rest: 0,
        };
        assert_eq!(
            states(spec, &[0.4, 0.6, 0.4, 0.6, 0.2, 0.4, 0.5]),
            [Silent, Raised, Standing, Standing, Silent, Silent, Raised]
        );
    }

    #[test]
    fn a_rest_counts_from_the_raise() {
        let spec = AlarmSpec {
            raise: 0.5,
            lower: 0.5,
            rest: 2,
        };
        assert_eq!(
            states(spec, &[0.9, 0.0, 0.9, 0.9, 0.0]),
            [Raised, Silent, Silent, Raised, Silent]
        );
    }

    #[test]
    fn the_filter_leaves_scores_below_the_level_alone() {
        let mut alarm = Alarm::new(AlarmSpec {
            raise: 0.5,
            lower: 0.25,
            rest: 3,
        });
        let filtered: Vec<f64> = [0.1, 0.7, 0.8, 0.3, 0.0, 0.9, 0.6]
            .iter()
            .map(|&score| alarm.filter(score))
            .collect();
        assert_eq!(filtered, [0.1, 0.7, 0.0, 0.3, 0.0, 0.9, 0.0]);
    }
}
