//! `[releases]`: feature releases, cut from commits.
use serde::{Deserialize, Serialize};

use super::ranges::Ranges;

/// Feature releases, cut from commits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReleasesSpec {
    /// Mean time between releases, days.
    pub mean_days: f64,
    /// Gamma shape of that time: 1 is memoryless, 20 nearly regular.
    pub regularity: f64,
    /// Fewest commits worth a release.
    pub min_commits: u32,
    /// Days between the trains that releases leave with; 0 for no trains. With
    /// trains the gaps above are not used.
    pub train_days: f64,
    /// Spread of the departure about the timetable, hours (standard deviation).
    pub train_jitter_hours: f64,
    /// Share of releases that a fix follows within two days.
    pub patch_share: f64,
}

impl Default for ReleasesSpec {
    fn default() -> Self {
        Self {
            mean_days: 3.5,
            regularity: 4.0,
            min_commits: 5,
            train_days: 0.0,
            train_jitter_hours: 6.0,
            patch_share: 0.0,
        }
    }
}

impl ReleasesSpec {
    pub(super) fn check(&self, ranges: &mut Ranges) {
        ranges.number("mean_days", self.mean_days, 0.05, 3660.0);
        ranges.number("regularity", self.regularity, 0.1, 1000.0);
        ranges.count("min_commits", self.min_commits, 0, 10_000);
        if self.train_days != 0.0 {
            ranges.number("train_days", self.train_days, 0.25, 3660.0);
        }
        ranges.number("train_jitter_hours", self.train_jitter_hours, 0.0, 240.0);
        ranges.share("patch_share", self.patch_share);
    }
}
