//! How good a detector is, by three measures that answer three questions.
//!
//! [`nab`]: does it call early and seldom wrongly (the Numenta benchmark's score)?
//! [`events`]: how many of its alarms are true, how many incidents does it see, how late?
//! [`volume`]: do its scores order the samples well, whatever the threshold (VUS-PR)?
//!
//! All three are pure functions of scores and labels. Must never know: where they come from.
pub mod events;
pub mod nab;
pub mod volume;

use serde::{Deserialize, Serialize};

/// A stretch of anomalous samples: indices of its first and its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Window {
    /// The first sample.
    pub first: usize,
    /// The last sample, not before `first`.
    pub last: usize,
}

impl Window {
    /// Samples in it.
    pub fn width(self) -> usize {
        self.last - self.first + 1
    }

    /// Whether a sample lies in it.
    pub fn contains(self, index: usize) -> bool {
        (self.first..=self.last).contains(&index)
    }

    /// The runs of `true` in labels of samples.
    pub fn of_labels(labels: &[bool]) -> Vec<Self> {
        let mut windows: Vec<Self> = Vec::new();
        for (index, _) in labels.iter().enumerate().filter(|(_, label)| **label) {
            match windows.last_mut() {
                Some(window) if window.last + 1 == index => window.last = index,
                _ => windows.push(Self {
                    first: index,
                    last: index,
                }),
            }
        }
        windows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_the_runs_of_labels() {
        let labels = [true, false, true, true, false, true];
        let windows: Vec<(usize, usize)> = Window::of_labels(&labels)
            .iter()
            .map(|window| (window.first, window.last))
            .collect();
        assert_eq!(windows, [(0, 0), (2, 3), (5, 5)]);
        assert!(Window::of_labels(&[]).is_empty());
    }
}
