//! Test suites: is one over its budget on the shards it has?
use std::collections::VecDeque;

use prestage_controller::CellSpec;
use prestage_des::SimTime;
use prestage_telemetry::Metric;

use crate::event_log::LogKind;
use crate::exogenous::{Exogenous, SuiteRun};
use crate::workloads::timestamp;
use crate::world::World;

/// Runs whose median decides whether a suite is over its budget.
pub(crate) const SUITE_WINDOW: usize = 3;

impl World {
    pub(crate) fn remember_run(&mut self, run: SuiteRun) {
        remember(&mut self.services[run.service as usize].recent_runs, run);
    }

    /// Median duration of the recent runs on one shard, seconds.
    pub(crate) fn suite_seconds(&self, service: u32) -> f64 {
        median(&self.services[service as usize].recent_runs)
    }

    /// Shards that hold the suite's budget with a tenth to spare.
    pub(crate) fn shards_wanted(&self, service: u32) -> u32 {
        let Some(cell) = self.services[service as usize].cells[3] else {
            return 1;
        };
        let budget = self.record.cells[cell.index()].suite_budget_s;
        shards_for(self.suite_seconds(service), budget)
    }

    pub(crate) fn fit_shards(&mut self, service: u32) {
        let wanted = self
            .shards_wanted(service)
            .max(self.services[service as usize].shards);
        let state = &mut self.services[service as usize];
        state.shards = wanted;
        state.first_shards = wanted;
        if state.cells[3].is_some() {
            self.series(service, Metric::TestShards, f64::from(wanted));
        }
    }

    /// A run was reported: is the suite over its budget, or far below it?
    pub(crate) fn check_suite(&mut self, service: u32) {
        let Some(cell) =
            self.services[service as usize].cells[3].filter(|&cell| self.is_open(cell))
        else {
            return;
        };
        let budget = self.record.cells[cell.index()].suite_budget_s;
        let seconds = self.suite_seconds(service);
        let state = &self.services[service as usize];
        if state.recent_runs.len() < SUITE_WINDOW {
            return;
        }
        let shards = state.shards;
        if seconds > budget * f64::from(shards) {
            if self.cells[cell.index()].waiting.is_empty() {
                self.need(cell, 0.0);
            }
        } else if shards > state.first_shards && seconds < 0.6 * budget * f64::from(shards - 1) {
            self.reshard(service, shards - 1);
        }
    }

    pub(crate) fn reshard(&mut self, service: u32, shards: u32) {
        self.services[service as usize].shards = shards;
        self.series(service, Metric::TestShards, f64::from(shards));
        self.note(LogKind::Resized, service, u64::from(shards));
    }
}

/// When a suite first passes its budget, whatever is staged: until then it runs on the
/// shards that it begins with. `None` if it never does.
pub fn first_suite_need(record: &Exogenous, cell: &CellSpec) -> Option<SimTime> {
    let budget = cell.suite_budget_s;
    let runs = record.suite_runs.iter();
    let runs = runs.filter(|run| run.service == cell.service.0 && run.at < record.end);
    let mut recent = VecDeque::with_capacity(SUITE_WINDOW);
    let mut shards = None;
    for run in runs {
        let accounted = run.at >= record.start;
        if accounted && shards.is_none() {
            let first = record.shards[cell.service.index()];
            shards = Some(shards_for(median(&recent), budget).max(first));
        }
        remember(&mut recent, *run);
        let is_over = |shards: u32| median(&recent) > budget * f64::from(shards);
        let watched = cell.is_open(timestamp(run.at)) && recent.len() == SUITE_WINDOW;
        if watched && shards.is_some_and(is_over) {
            return Some(run.at);
        }
    }
    None
}

fn remember(recent: &mut VecDeque<f64>, run: SuiteRun) {
    if recent.len() == SUITE_WINDOW {
        recent.pop_front();
    }
    recent.push_back(run.seconds);
}

fn median(recent: &VecDeque<f64>) -> f64 {
    let mut recent: Vec<f64> = recent.iter().copied().collect();
    recent.sort_by(f64::total_cmp);
    recent.get(recent.len() / 2).copied().unwrap_or(0.0)
}

/// Shards that hold a budget with a tenth to spare.
fn shards_for(seconds: f64, budget: f64) -> u32 {
    (seconds * 1.1 / budget).ceil().clamp(1.0, 1e4) as u32
}
