//! A mean for each place in a season, tracked with every sample.
use serde::{Deserialize, Serialize};

/// See the module. A place that was never seen answers zero.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Profile {
    means: Vec<f64>,
    visits: Vec<u32>,
    /// Visits after which a mean forgets at a constant rate.
    memory: u32,
}

impl Profile {
    /// Of `season` places, each the mean of about its last `memory` visits.
    pub(super) fn new(season: usize, memory: u32) -> Self {
        Self {
            means: vec![0.0; season],
            visits: vec![0; season],
            memory: memory.max(1),
        }
    }

    pub(super) fn season(&self) -> usize {
        self.means.len()
    }

    pub(super) fn learn(&mut self, phase: usize, value: f64) {
        let visits = &mut self.visits[phase];
        *visits = (*visits + 1).min(self.memory);
        self.means[phase] += (value - self.means[phase]) / f64::from(*visits);
    }

    /// The mean of a place that was seen.
    pub(super) fn seen(&self, phase: usize) -> Option<f64> {
        (self.visits[phase] > 0).then(|| self.means[phase])
    }

    pub(super) fn get(&self, phase: usize) -> f64 {
        self.means[phase]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_at_first_and_then_the_recent_past() {
        let mut profile = Profile::new(2, 4);
        for value in [1.0, 3.0] {
            profile.learn(0, value);
        }
        assert_eq!(profile.get(0), 2.0);
        for _ in 0..60 {
            profile.learn(0, 10.0);
        }
        assert!((profile.get(0) - 10.0).abs() < 1e-3);
        assert_eq!(profile.get(1), 0.0);
        assert_eq!(profile.season(), 2);
    }
}
