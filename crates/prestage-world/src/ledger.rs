//! The books of one cell: how needs and stages ended, and what they used.
use prestage_controller::{StageEnd, Usage};
use serde::{Deserialize, Serialize};

/// Counts of one cell; every need is a hit or a miss, every predicted stage ends
/// in exactly one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CellTally {
    /// Needs that arose.
    pub needs: u64,
    /// Of these, found a ready stage.
    pub hits: u64,
    /// Of these, did not.
    pub misses: u64,
    /// Stages proposed ahead of a need.
    pub predicted: u64,
    /// Stages asked for by a need.
    pub requested: u64,
    /// Predicted stages that served a need.
    pub used: u64,
    /// Predicted stages whose time to live ran out.
    pub expired: u64,
    /// Predicted stages taken back.
    pub withdrawn: u64,
    /// Predicted stages that had gone stale.
    pub rolled_back: u64,
    /// Hours that used stages stood ready, summed.
    pub idle_at_hit_hours: f64,
    /// Hours that predicted stages stood ready, summed.
    pub staged_hours: f64,
    /// Physical quantities.
    pub usage: Usage,
}

impl CellTally {
    /// Predicted stages that were never used.
    pub fn waste(&self) -> u64 {
        self.expired + self.withdrawn + self.rolled_back
    }

    /// A predicted stage stood ready for so many minutes, each of which took
    /// `upkeep` runner minutes.
    pub(crate) fn stood_ready(&mut self, minutes: u64, upkeep: f64) {
        let minutes = minutes as f64;
        self.staged_hours += minutes / 60.0;
        self.usage.runner_minutes += minutes * upkeep;
    }

    pub(crate) fn end(&mut self, end: StageEnd) {
        *match end {
            StageEnd::Used => &mut self.used,
            StageEnd::Expired => &mut self.expired,
            StageEnd::Withdrawn => &mut self.withdrawn,
            StageEnd::RolledBack => &mut self.rolled_back,
        } += 1;
    }

    /// Panics unless every need and every stage is accounted for exactly once.
    pub(crate) fn check_conservation(&self, cell: u32) {
        assert_eq!(
            self.needs,
            self.hits + self.misses,
            "cell {cell}: needs are lost or doubled"
        );
        assert_eq!(
            self.predicted,
            self.used + self.waste(),
            "cell {cell}: predicted stages are lost or doubled"
        );
        assert!(
            self.hits <= self.used,
            "cell {cell}: a hit without a used stage"
        );
    }
}
