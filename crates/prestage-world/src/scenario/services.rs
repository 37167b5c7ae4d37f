//! `[services]`: how many, of which tiers, with which cells.
use prestage_controller::NeedType;
use serde::{Deserialize, Serialize};

use super::ranges::Ranges;

/// Services.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServicesSpec {
    /// How many.
    pub count: u32,
    /// Tiers (1, 2 or 3), taken in turn.
    pub tiers: Vec<u8>,
    /// How many of them, from the first on, have a cell of each need type. A need
    /// type without a number has a cell in every service.
    pub cells: CellCounts,
}

/// Services with a cell, by need type; all when `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CellCounts {
    /// With a scaling cell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scaling: Option<u32>,
    /// With a release cell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feature_release: Option<u32>,
    /// With a dependency cell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dependency_update: Option<u32>,
    /// With a test-suite cell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_suite: Option<u32>,
}

impl Default for ServicesSpec {
    fn default() -> Self {
        Self {
            count: 4,
            tiers: vec![1, 2, 2, 3],
            cells: CellCounts::default(),
        }
    }
}

impl ServicesSpec {
    /// How many services have a cell of this need type.
    pub fn with_cell(&self, need: NeedType) -> u32 {
        let count = match need {
            NeedType::Scaling => self.cells.scaling,
            NeedType::FeatureRelease => self.cells.feature_release,
            NeedType::DependencyUpdate => self.cells.dependency_update,
            NeedType::TestSuite => self.cells.test_suite,
        };
        count.unwrap_or(self.count)
    }

    /// How many services have a repository of their own, whose commits are built.
    pub fn with_repository(&self) -> u32 {
        let releases = self.with_cell(NeedType::FeatureRelease);
        releases
            .max(self.with_cell(NeedType::DependencyUpdate))
            .max(1)
    }

    pub(super) fn check(&self, ranges: &mut Ranges) {
        ranges.count("count", self.count, 1, 10_000);
        ranges.number("tiers (length)", self.tiers.len() as f64, 1.0, 10_000.0);
        for &tier in &self.tiers {
            ranges.number("tiers", f64::from(tier), 1.0, 3.0);
        }
        for need in NeedType::ALL {
            let key = format!("cells.{need}");
            ranges.count(&key, self.with_cell(need), 0, self.count);
        }
        if NeedType::ALL.iter().all(|&need| self.with_cell(need) == 0) {
            ranges.refuse(
                "cells",
                "0 for every need type".to_owned(),
                "at least one cell".to_owned(),
            );
        }
    }
}
