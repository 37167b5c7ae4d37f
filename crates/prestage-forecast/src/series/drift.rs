//! Have the errors grown since the last retraining?
//!
//! Page-Hinkley test (Page 1954; as in Gama et al. 2004, drift detection) on the size of the
//! errors one step ahead, in units of the usual one and cut at four of them, so that a single
//! spike is no drift.
use serde::{Deserialize, Serialize};

/// Growth that is tolerated, in usual errors.
const TOLERANCE: f64 = 0.5;
/// Largest error that counts, in usual errors.
const CUT: f64 = 4.0;
/// Excess that raises the signal, in usual errors; a season of errors half as large again as
/// tolerated, but no less than this.
const EXCESS_MIN: f64 = 20.0;

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Drift {
    excess: f64,
    limit: f64,
    raised: bool,
}

impl Drift {
    /// For a series of `season` slots.
    pub(crate) fn new(season: usize) -> Self {
        Self {
            excess: 0.0,
            limit: EXCESS_MIN.max(0.25 * season as f64),
            raised: false,
        }
    }

    /// One error's size, and the usual one.
    pub(crate) fn learn(&mut self, size: f64, usual: f64) {
        if usual <= 0.0 {
            return;
        }
        let relative = (size / usual).min(CUT);
        self.excess = (self.excess + relative - 1.0 - TOLERANCE).max(0.0);
        self.raised |= self.excess > self.limit;
    }

    /// The model has been retrained.
    pub(crate) fn reset(&mut self) {
        self.excess = 0.0;
        self.raised = false;
    }

    pub(crate) fn is_raised(&self) -> bool {
        self.raised
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grown_errors_are_drift_until_the_retraining_and_a_spike_is_not() {
        let mut drift = Drift::new(24);
        for i in 0..1_000 {
            drift.learn(if i == 500 { 1e6 } else { f64::from(i % 3) }, 1.0);
        }
        assert!(!drift.is_raised());
        for _ in 0..30 {
            drift.learn(3.0, 1.0);
        }
        assert!(drift.is_raised());
        drift.reset();
        assert!(!drift.is_raised());
    }
}
