//! Replay of a recorded history: every arm on the same stream, the stages of one
//! of them committed to a repository of pipelines.
mod account;
mod folder;

pub use account::{Account, ArmResult, Difference, Replay};
pub use folder::write_run;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use prestage_controller::{
    Arm, CellId, Clock, HostError, OnDemand, Outcome, PipelineHost, Ports, Retraining,
    StageRequest, StageStatus, TelemetrySource,
};
use prestage_des::SimTime;
use prestage_envs::{Episode, EpisodeHost, Setting, run_arm, run_episode};
use prestage_telemetry::{History, Tail, Timestamp};
use prestage_world::{ReplayOptions, Scenario, World, WorldOptions, from_history};
use rayon::prelude::*;

use crate::compare::Contestant;
use crate::frontier;
use crate::pipelines::{Decider, Pipelines};
use crate::progress::Progress;
use crate::run_folder::TimelineRow;
use crate::timeline::Timeline;

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
            .map(|episode| ArmResult::of(episode, &episodes[0]))
            .collect(),
    };
    Ok(Replayed {
        replay,
        episodes,
        timeline,
    })
}

/// Adds the least waste at each hit rate, for the arms in which something can be moved.
pub fn sweep(setting: &Setting, contestants: &[Contestant], replay: &mut Replay) {
    let progress = Progress::new("sweep", frontier::runs(contestants));
    replay.add_hit_rates(frontier::sweep(setting, contestants, &progress));
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

/// The arm that stands in when no policy was given.
pub fn stand_in() -> Arm {
    let tuned = prestage_controller::KnobCenters::default();
    prestage_controller::baseline("newsvendor")
        .expect("newsvendor is a baseline")
        .arm(&tuned)
}
