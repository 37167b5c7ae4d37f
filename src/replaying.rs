//! Replay of a recorded history: every arm on the same stream, the stages of one
//! of them committed to a repository of pipelines.
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use prestage_controller::{
    Arm, CellId, Clock, HostError, NeedType, OnDemand, Outcome, PipelineHost, Ports, Retraining,
    StageRequest, StageStatus, TelemetrySource,
};
use prestage_des::SimTime;
use prestage_envs::{Episode, EpisodeHost, Setting, run_arm, run_episode};
use prestage_telemetry::{History, Tail, Timestamp};
use prestage_world::{ReplayOptions, Scenario, World, WorldOptions, from_history};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;

use crate::compare::Contestant;
use crate::frontier::AtHitRate;
use crate::pipelines::{Decider, Pipelines};
use crate::progress::Progress;
use crate::run_folder::TimelineRow;
use crate::statistics::{Bootstrap, Grid};
use crate::timeline::Timeline;

/// Days in a block of the paired bootstrap: a week's days resemble each other.
const BLOCK_DAYS: usize = 7;

/// A replayed world whose stages are also committed to a repository of pipelines.
pub struct ReplayHost {
    world: World,
    pipelines: Pipelines,
}

impl ReplayHost {
    /// `world` must keep its stage events.
    pub fn new(world: World, pipelines: Pipelines) -> Self {
        Self { world, pipelines }
    }

    /// The repository of pipelines.
    pub fn pipelines(&self) -> &Pipelines {
        &self.pipelines
    }

    fn follow(&mut self) -> Result<(), HostError> {
        for event in self.world.take_stage_events() {
            self.pipelines.follow(&event)?;
        }
        Ok(())
    }
}

impl Clock for ReplayHost {
    fn now(&self) -> Timestamp {
        Clock::now(&self.world)
    }
}

impl TelemetrySource for ReplayHost {
    fn tail(&self) -> &Tail {
        self.world.tail()
    }
}

impl PipelineHost for ReplayHost {
    fn stage(&self, cell: CellId) -> Option<StageStatus> {
        self.world.stage(cell)
    }

    fn propose(&mut self, request: &StageRequest) -> Result<(), HostError> {
        self.world.propose(request)?;
        self.follow()
    }

    fn refresh(&mut self, request: &StageRequest) -> Result<(), HostError> {
        self.world.refresh(request)?;
        self.follow()
    }

    fn withdraw(&mut self, cell: CellId, at: Timestamp) -> Result<(), HostError> {
        self.world.withdraw(cell, at)?;
        self.follow()
    }

    fn retrain(&mut self, cell: CellId, because: Retraining) {
        self.world.retrain(cell, because);
    }

    fn drain_outcomes(&mut self, outcomes: &mut Vec<Outcome>) {
        self.world.drain_outcomes(outcomes);
    }
}

impl EpisodeHost for ReplayHost {
    fn world(&mut self) -> &mut World {
        &mut self.world
    }

    fn ports(&mut self) -> &mut dyn Ports {
        self
    }

    fn advance(&mut self, to: SimTime) -> Result<(), HostError> {
        self.world.advance(to);
        self.follow()
    }

    fn close(&mut self) -> Result<(), HostError> {
        self.world.close();
        self.follow()?;
        self.pipelines.finish(Clock::now(&self.world))
    }
}

/// What a replay found; serialises to the documented JSON object.
#[derive(Clone, Debug, Serialize)]
pub struct Replay {
    /// Name of the history.
    pub history: String,
    /// Days replayed.
    pub days: f64,
    /// Commits made for the stages of the first arm.
    pub commits: u64,
    /// Arms; the first is the one whose stages were committed.
    pub arms: Vec<ArmResult>,
}

/// One arm's account.
#[derive(Clone, Debug, Serialize)]
pub struct ArmResult {
    /// The arm.
    pub arm: String,
    /// Its account over all needs.
    #[serde(flatten)]
    pub total: Account,
    /// Its account by need type.
    pub by_need: BTreeMap<String, Account>,
    /// Its cost minus that of the first arm on the same days.
    pub difference: Option<Difference>,
    /// Its least waste at given hit rates, where something of it was moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_hit_rate: Option<Vec<AtHitRate>>,
}

/// Counts and quantities.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Account {
    /// US dollars.
    pub cost_usd: f64,
    /// Needs that arose.
    pub needs: u64,
    /// Needs that found a ready stage.
    pub hits: u64,
    /// Needs that did not.
    pub misses: u64,
    /// Stages never used.
    pub waste: u64,
    /// Minutes in which needs waited.
    pub blocked_minutes: f64,
    /// Runner minutes of stages and retraining.
    pub runner_minutes: f64,
    /// Minutes with fewer replicas than required.
    pub slo_violation_minutes: f64,
    /// Days in which needs with an open advisory waited.
    pub exposure_days: f64,
}

/// A paired difference in US dollars with a 95 % interval by weeks.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Difference {
    /// The whole difference.
    pub usd: f64,
    /// Lower bound; absent for less than two weeks.
    pub low: Option<f64>,
    /// Upper bound.
    pub high: Option<f64>,
}

/// A history made ready for its arms.
pub struct Prepared {
    /// What all arms share.
    pub setting: Setting,
    /// What of the history could not be used.
    pub unused: Vec<String>,
}

/// Reads a history and makes it ready.
pub fn prepare(
    directory: &Path,
    scenario: &Scenario,
    options: ReplayOptions,
    seed: u64,
) -> Result<Prepared> {
    let history = History::read(directory)
        .with_context(|| format!("cannot replay `{}`", directory.display()))?;
    let (record, unused) = from_history(&history, scenario, options)?;
    let setting = Setting {
        record: Arc::new(record),
        world: WorldOptions::new(scenario, OnDemand::Template, seed),
        prices: scenario.prices().clone(),
    };
    Ok(Prepared { setting, unused })
}

/// Where the stages of the first arm go.
pub enum Target<'a> {
    /// A bare git repository.
    Git(&'a Path),
    /// Memory; gone when the replay ends.
    Memory,
}

/// A replay with what the report shows of it.
pub struct Replayed {
    /// The account.
    pub replay: Replay,
    /// The episodes, in arm order.
    pub episodes: Vec<Episode>,
    /// One week of the first arm.
    pub timeline: Vec<TimelineRow>,
}

/// Runs all contestants; the stages of the first go to `target`.
pub fn replay(
    setting: &Setting,
    contestants: &[Contestant],
    target: &Target,
    progress: &Progress,
) -> Result<Replayed> {
    let (first, rest) = contestants.split_first().context("a replay needs an arm")?;
    // Opened first: a place that cannot be used is refused before the arms have run.
    let pipelines = open(setting, first, target)?;
    let (committed, others) = rayon::join(
        || {
            let committed = replay_committed(setting, first, pipelines);
            progress.step();
            committed
        },
        || {
            let run = |contestant: &Contestant| {
                let episode = run_arm(
                    setting,
                    &contestant.arm,
                    contestant.knob_turner(setting).as_mut(),
                );
                progress.step();
                episode
            };
            rest.par_iter().map(run).collect::<Vec<Episode>>()
        },
    );
    let (episode, commits, timeline) = committed?;
    let mut episodes = vec![episode];
    episodes.extend(others);
    let replay = Replay {
        history: setting.record.name.clone(),
        days: setting.record.days(),
        commits,
        arms: episodes
            .iter()
            .map(|episode| arm_result(episode, &episodes[0]))
            .collect(),
    };
    Ok(Replayed {
        replay,
        episodes,
        timeline,
    })
}

fn open(setting: &Setting, contestant: &Contestant, target: &Target) -> Result<Pipelines> {
    let decider = Decider {
        arm: contestant.arm.name.clone(),
        policy: contestant
            .artifact()
            .map(|artifact| artifact.id().to_owned())
            .unwrap_or_default(),
    };
    let start = Timestamp(setting.record.start.as_micros());
    let cells = &setting.record.cells;
    Ok(match target {
        Target::Git(path) => Pipelines::open(path, cells, decider, start).with_context(|| {
            format!(
                "cannot use `{}` as a repository of pipelines",
                path.display()
            )
        })?,
        Target::Memory => Pipelines::in_memory(cells, decider, start)?,
    })
}

fn replay_committed(
    setting: &Setting,
    contestant: &Contestant,
    pipelines: Pipelines,
) -> Result<(Episode, u64, Vec<TimelineRow>)> {
    let keeping = Setting {
        world: WorldOptions {
            keep_stage_events: true,
            ..setting.world.clone()
        },
        ..setting.clone()
    };
    let mut host = ReplayHost::new(keeping.world(&contestant.arm), pipelines);
    let mut timeline = Timeline::new(week(setting));
    let mut policy = contestant.knob_turner(setting);
    let episode = run_episode(
        &keeping,
        &contestant.arm,
        policy.as_mut(),
        &mut host,
        &mut |moment| timeline.watch(&moment),
    )?;
    Ok((
        episode,
        host.pipelines().stage_commits(),
        timeline.into_rows(),
    ))
}

/// The second week, when there is one: the first still learns.
pub fn week(setting: &Setting) -> SimTime {
    let second = setting.record.start + SimTime::from_days(7);
    if second + SimTime::from_days(7) <= setting.record.end {
        second
    } else {
        setting.record.start
    }
}

fn arm_result(episode: &Episode, first: &Episode) -> ArmResult {
    let mut total = Account::default();
    let mut by_need = BTreeMap::new();
    for need in NeedType::ALL {
        let mut account = Account::default();
        for cell in episode.cells.iter().filter(|cell| cell.spec.need == need) {
            for account in [&mut account, &mut total] {
                account.cost_usd += cell.cost.total();
                account.needs += cell.tally.needs;
                account.hits += cell.tally.hits;
                account.misses += cell.tally.misses;
                account.waste += cell.tally.waste();
                account.blocked_minutes += cell.tally.usage.blocked_minutes;
                account.runner_minutes += cell.tally.usage.runner_minutes;
                account.slo_violation_minutes += cell.tally.usage.slo_violation_minutes;
                account.exposure_days += cell.tally.usage.exposure_days;
            }
        }
        by_need.insert(need.to_string(), account);
    }
    let difference =
        (episode.arm != first.arm).then(|| difference(&episode.daily_usd, &first.daily_usd));
    ArmResult {
        arm: episode.arm.clone(),
        total,
        by_need,
        difference,
        at_hit_rate: None,
    }
}

/// Sum of daily differences, with an interval by resampling whole weeks.
fn difference(daily: &[f64], first: &[f64]) -> Difference {
    let days: Vec<f64> = daily.iter().zip(first).map(|(a, b)| a - b).collect();
    let weeks: Vec<f64> = days
        .chunks(BLOCK_DAYS)
        .map(|week| week.iter().sum())
        .collect();
    let count = weeks.len();
    let interval = (count >= 2)
        .then(|| Bootstrap::new(0).mean(&Grid::new(count, weeks)))
        .flatten();
    Difference {
        usd: days.iter().sum(),
        low: interval.map(|interval| interval.lower * count as f64),
        high: interval.map(|interval| interval.upper * count as f64),
    }
}

/// The arm that stands in when no policy was given.
pub fn stand_in() -> Arm {
    let tuned = prestage_controller::KnobCenters::default();
    prestage_controller::baseline("newsvendor")
        .expect("newsvendor is a baseline")
        .arm(&tuned)
}
