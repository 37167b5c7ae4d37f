//! `static-pool`: a pool of fixed size for the cells that asked most often.
//!
//! Clouds keep so many warm instances, whatever the hour. A stage belongs to its cell, so
//! the pool of a need type is a fixed share of its cells, those with the most needs so
//! far, whose stages are held at all times.
//!
//! Reference: the static pool that Intelligent Pooling is measured against (arXiv
//! 2411.11326).
use super::Baseline;
use crate::arm::OnDemand;
use crate::cell::{CellSpec, need_index};
use crate::knobs::KnobCenters;
use crate::parameter::{Parameter, Scale};
use crate::rule::{RuleEntry, Sight, StagingRule, Verdict};

use prestage_telemetry::Timestamp;

pub(super) const ENTRY: Baseline = Baseline {
    name: "static-pool",
    about: "a fixed share of the cells of each need type, the busiest, is always staged",
    centers: |_| KnobCenters::default(),
    on_demand: OnDemand::Template,
    rule: Some(&RULE),
};

static RULE: RuleEntry = RuleEntry {
    name: "static-pool",
    parameters: &[Parameter {
        name: "pool_ratio",
        about: "cells of a need type that hold a stage, over all",
        default: 0.25,
        low: 0.0,
        high: 1.0,
        scale: Scale::Linear,
    }],
    build: |cells, values| {
        Box::new(StaticPool::new(
            cells,
            std::array::from_fn(|need| values[need][0]),
        ))
    },
};

struct StaticPool {
    /// By need type.
    pool_ratio: [f64; 4],
    /// Needs so far, by cell.
    needs: Vec<u32>,
    /// Is a cell in the pool?
    pooled: Vec<bool>,
    /// Cells by need type.
    members: [Vec<usize>; 4],
}

impl StaticPool {
    fn new(cells: &[CellSpec], pool_ratio: [f64; 4]) -> Self {
        let mut members: [Vec<usize>; 4] = Default::default();
        for (index, cell) in cells.iter().enumerate() {
            members[need_index(cell.need)].push(index);
        }
        let mut pool = Self {
            pool_ratio,
            needs: vec![0; cells.len()],
            pooled: vec![false; cells.len()],
            members,
        };
        (0..4).for_each(|kind| pool.fill(kind));
        pool
    }

    /// The busiest cells of a need type enter the pool, of equals the first.
    fn fill(&mut self, kind: usize) {
        let members = &mut self.members[kind];
        let needs = &self.needs;
        members.sort_by_key(|&cell| (std::cmp::Reverse(needs[cell]), cell));
        let size = (self.pool_ratio[kind] * members.len() as f64).ceil() as usize;
        for (rank, &cell) in members.iter().enumerate() {
            self.pooled[cell] = rank < size;
        }
    }
}

impl StagingRule for StaticPool {
    fn need(&mut self, cell: &CellSpec, _at: Timestamp) {
        self.needs[cell.id.index()] += 1;
        self.fill(need_index(cell.need));
    }

    fn verdict(&mut self, cell: &CellSpec, _sight: &Sight) -> Verdict {
        if self.pooled[cell.id.index()] {
            Verdict::Stage
        } else {
            Verdict::Withdraw
        }
    }
}

#[cfg(test)]
mod tests {
    use prestage_lpt::NeedType;

    use super::*;
    use crate::baselines::stand::cell;

    #[test]
    fn the_busiest_quarter_is_pooled() {
        let cells: Vec<CellSpec> = (0..8).map(|id| cell(id, NeedType::TestSuite)).collect();
        let mut pool = StaticPool::new(&cells, [0.25; 4]);
        assert_eq!(pool.pooled[..3], [true, true, false]);
        for id in [5, 5, 7] {
            pool.need(&cells[id], Timestamp(0));
        }
        let pooled: Vec<usize> = (0..8).filter(|&id| pool.pooled[id]).collect();
        assert_eq!(pooled, [5, 7]);
        pool.need(&cells[0], Timestamp(0));
        pool.need(&cells[0], Timestamp(0));
        let pooled: Vec<usize> = (0..8).filter(|&id| pool.pooled[id]).collect();
        assert_eq!(pooled, [0, 5]);
    }
}
