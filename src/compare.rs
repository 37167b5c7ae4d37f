//! Arms on the same worlds: every baseline and every policy on every seed.
//!
//! Jobs run side by side; results come back in job order, so the number of
//! threads changes nothing.
use std::sync::Arc;

use prestage_controller::{
    Arm, BASELINES, KnobCenters, NeedType, PRICE_BOOKS, PriceBook, action_space, layout,
};
use prestage_envs::{Episode, Privileged, PrivilegedPolicy, Purpose, Seed, Setting, run_arm};
use prestage_policy::{Artifact, NeutralPolicy, Policy};
use prestage_world::{Exogenous, Scenario, WorldOptions};
use rayon::prelude::*;

use crate::progress::Progress;
use crate::run_folder::{CostRow, OWN_PRICES, ResultRow};

/// Name of the arm that a learnt policy steers.
pub const POLICY: &str = "policy";
/// The arm that others are compared with.
pub const STATIC_TUNED: &str = "static-tuned";

/// Who turns the knobs of an arm.
#[derive(Clone)]
pub enum KnobTurner {
    /// Nobody: they stay at their centres.
    Nobody,
    /// A learnt policy.
    Learnt(Arc<Artifact>),
    /// A rule that adapts, made anew for every run.
    Adaptive(Arc<dyn Fn() -> Box<dyn Policy> + Send + Sync>),
    /// A rule that is told what hides in the record of its run.
    Privileged(Arc<dyn Fn() -> Box<dyn PrivilegedPolicy> + Send + Sync>),
}

/// An arm and who turns its knobs.
#[derive(Clone)]
pub struct Contestant {
    /// The arm.
    pub arm: Arm,
    /// Who turns its knobs.
    pub turner: KnobTurner,
    /// Its training seed, if it was trained.
    pub train_seed: Option<u64>,
}

impl Contestant {
    /// A baseline.
    pub fn baseline(arm: Arm) -> Self {
        Self {
            arm,
            turner: KnobTurner::Nobody,
            train_seed: None,
        }
    }

    /// A policy over the centres it was trained on.
    pub fn policy(artifact: Arc<Artifact>, centers: &KnobCenters, train_seed: Option<u64>) -> Self {
        Self {
            arm: Arm::at(POLICY, centers.clone()),
            turner: KnobTurner::Learnt(artifact),
            train_seed,
        }
    }

    /// Makes whoever turns the knobs in a run of this setting.
    pub fn knob_turner(&self, setting: &Setting) -> Box<dyn Policy> {
        match &self.turner {
            KnobTurner::Nobody => Box::new(NeutralPolicy::new(layout(), action_space())),
            KnobTurner::Learnt(artifact) => Box::new(artifact.policy()),
            KnobTurner::Adaptive(make) => make(),
            KnobTurner::Privileged(make) => Box::new(Privileged::new(&setting.record, make())),
        }
    }

    /// The learnt policy, if one turns the knobs.
    pub fn artifact(&self) -> Option<&Artifact> {
        match &self.turner {
            KnobTurner::Learnt(artifact) => Some(artifact),
            _ => None,
        }
    }
}

/// All baselines, given the tuned centres.
pub fn baselines(tuned: &KnobCenters) -> Vec<Contestant> {
    BASELINES
        .iter()
        .map(|baseline| Contestant::baseline(baseline.arm(tuned)))
        .collect()
}

/// What all arms meet on one seed of a scenario.
pub fn setting(scenario: &Scenario, seed: u64) -> Setting {
    Setting {
        record: Arc::new(Exogenous::generate(scenario, seed)),
        world: WorldOptions::new(scenario, prestage_controller::OnDemand::Template, seed),
        prices: scenario.prices().clone(),
    }
}

/// Runs every contestant on every seed; `episodes[c][s]`.
pub fn run_all<P: Purpose>(
    scenario: &Scenario,
    contestants: &[Contestant],
    seeds: &[Seed<P>],
    progress: &Progress,
) -> Vec<Vec<Episode>> {
    let jobs: Vec<(usize, usize)> = (0..seeds.len())
        .flat_map(|s| (0..contestants.len()).map(move |c| (c, s)))
        .collect();
    let settings: Vec<Setting> = seeds
        .par_iter()
        .map(|seed| setting(scenario, seed.value()))
        .collect();
    let mut episodes: Vec<(usize, Episode)> = jobs
        .par_iter()
        .map(|&(c, s)| {
            let contestant = &contestants[c];
            let mut policy = contestant.knob_turner(&settings[s]);
            let episode = run_arm(&settings[s], &contestant.arm, policy.as_mut());
            progress.step();
            (c, episode)
        })
        .collect();
    let mut by_contestant: Vec<Vec<Episode>> = vec![Vec::new(); contestants.len()];
    for (c, episode) in episodes.drain(..) {
        by_contestant[c].push(episode);
    }
    by_contestant
}

/// The rows of an episode, one a need type.
pub fn rows(
    contestant: &Contestant,
    scenario: &str,
    seed: u64,
    episode: &Episode,
) -> Vec<ResultRow> {
    NeedType::ALL
        .iter()
        .map(|&need| {
            let mut row = ResultRow {
                arm: contestant.arm.name.clone(),
                train_seed: contestant.train_seed,
                scenario: scenario.to_owned(),
                scenario_seed: seed,
                need: need.to_string(),
                ..ResultRow::default()
            };
            for cell in episode.cells.iter().filter(|cell| cell.spec.need == need) {
                let (tally, usage) = (&cell.tally, &cell.tally.usage);
                row.cost_usd += cell.cost.total();
                row.needs += tally.needs;
                row.hits += tally.hits;
                row.misses += tally.misses;
                row.stages += tally.predicted;
                row.used += tally.used;
                row.expired += tally.expired;
                row.withdrawn += tally.withdrawn;
                row.rolled_back += tally.rolled_back;
                row.blocked_minutes += usage.blocked_minutes;
                row.slo_violation_minutes += usage.slo_violation_minutes;
                row.runner_minutes += usage.runner_minutes;
                row.idle_stage_hours += tally.staged_hours;
                row.exposure_usd += cell.cost.exposure;
                row.exposure_days += usage.exposure_days;
            }
            row
        })
        .collect()
}

/// The same episode term by term: a row a need type and price book, the scenario's own first.
pub fn cost_rows(
    contestant: &Contestant,
    prices: &PriceBook,
    (scenario, seed): (&str, u64),
    episode: &Episode,
) -> Vec<CostRow> {
    let shipped = PRICE_BOOKS
        .iter()
        .map(|entry| (entry.name, (entry.build)()));
    let books = std::iter::once((OWN_PRICES, prices.clone())).chain(shipped);
    let of_book = |(name, book): (&str, PriceBook)| {
        NeedType::ALL.map(|need| {
            let mut row = CostRow {
                arm: contestant.arm.name.clone(),
                train_seed: contestant.train_seed,
                scenario: scenario.to_owned(),
                scenario_seed: seed,
                need: need.to_string(),
                price_book: name.to_owned(),
                ..CostRow::default()
            };
            for cell in episode.cells.iter().filter(|cell| cell.spec.need == need) {
                row.add(&book.cost(&cell.tally.usage, cell.spec.tier));
            }
            row
        })
    };
    books.flat_map(of_book).collect()
}
