//! A repository of pipelines as the controller's [`PipelineHost`]: every stage is
//! synthesised from its template and committed with its provenance.
//!
//! A stage is committed inactive; it is ready once it is committed. Behind a
//! replayed world the same host follows what the world says happened to each
//! stage: activated, rolled back, retired.
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use prestage_controller::{
    CellId, CellSpec, HostError, KNOBS, Knob, Knobs, NeedType, Outcome, PipelineHost, Retraining,
    StageEnd, StageRequest, StageState, StageStatus,
};
use prestage_lpt::{
    Commit, Error, GitStore, Instance, MemoryStore, NeedOrigin, Outcome as Change,
    PipelineRepository, PredictedNeed, Provenance, Quantile, Resolver, RetireReason, RollbackTo,
    StageDefinition, StageKey, Store, generate_stage_definition,
};
use prestage_telemetry::{Span, Timestamp};
use prestage_world::{StageEvent, StageEventKind};

/// The template that services are instantiated from.
const TEMPLATE: &str = "service";
const REGIONS: [&str; 2] = ["eu-central", "us-east"];
/// Predicted needs of one turn of the control loop are one stage.
const WINDOW_S: i64 = 300;
/// Limits of the shipped stage templates.
const REPLICAS_MAX: u32 = 1000;
const SHARDS_MAX: u32 = 64;

/// Who decides, for the provenance of each stage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decider {
    /// Name of the arm.
    pub arm: String,
    /// Identity of the policy artifact, empty when there is none.
    pub policy: String,
}

/// See the module.
pub struct Pipelines {
    repository: PipelineRepository,
    decider: Decider,
    cells: Vec<CellSpec>,
    labels: Vec<String>,
    live: Vec<Option<LiveStage>>,
    outcomes: Vec<Outcome>,
    stage_commits: u64,
}

struct LiveStage {
    key: StageKey,
    magnitude: u32,
    times: LiveTimes,
    active: bool,
}

struct NewStage {
    stage: StageDefinition,
    provenance: Provenance,
    magnitude: u32,
    times: LiveTimes,
}

impl Pipelines {
    /// Opens the bare repository at `path`, which is made if it is not there, writes
    /// the definition of every service and takes back what an interrupted run left.
    pub fn open(
        path: &Path,
        cells: &[CellSpec],
        decider: Decider,
        now: Timestamp,
    ) -> Result<Self, Error> {
        Self::over(Box::new(GitStore::open(path)?), cells, decider, now)
    }

    /// The same in memory.
    pub fn in_memory(cells: &[CellSpec], decider: Decider, now: Timestamp) -> Result<Self, Error> {
        Self::over(Box::new(MemoryStore::new()), cells, decider, now)
    }

    fn over(
        store: Box<dyn Store>,
        cells: &[CellSpec],
        decider: Decider,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let mut repository = PipelineRepository::open(store)?;
        let labels = labels(cells);
        let mut written = BTreeSet::new();
        for label in &labels {
            if written.insert(label.clone()) {
                let instance = Instance {
                    service: label.clone(),
                    template: TEMPLATE.to_owned(),
                    params: Default::default(),
                    regions: REGIONS.map(str::to_owned).to_vec(),
                    overrides: Default::default(),
                };
                write(&mut repository, &instance, now)?;
            }
        }
        take_back(&mut repository, &written, now)?;
        Ok(Self {
            repository,
            decider,
            labels,
            live: cells.iter().map(|_| None).collect(),
            cells: cells.to_vec(),
            outcomes: Vec::new(),
            stage_commits: 0,
        })
    }

    /// Commits made for stages since this host was opened.
    pub fn stage_commits(&self) -> u64 {
        self.stage_commits
    }

    fn count(&mut self, commit: &Commit) {
        self.stage_commits += u64::from(commit.outcome == Change::Committed);
    }

    /// The repository, for inspection.
    pub fn repository(&self) -> &PipelineRepository {
        &self.repository
    }

    /// Follows what happened to a stage elsewhere.
    pub fn follow(&mut self, event: &StageEvent) -> Result<(), HostError> {
        let at = Timestamp(event.at.as_micros());
        match &event.kind {
            StageEventKind::Proposed(request) | StageEventKind::Resized(request) => {
                self.predicted(request)
            }
            StageEventKind::Requested { magnitude } => self.request(event.cell, *magnitude, at),
            StageEventKind::Activated => self.activate(event.cell, at),
            StageEventKind::RolledBack => self.roll_back(event.cell, at),
            StageEventKind::Retired(end) => self.retire(event.cell, reason(*end), at),
        }
        .map_err(|source| self.failed(event.cell, source))
    }

    /// Retires whatever is still staged: used stages have run, others were not needed.
    pub fn finish(&mut self, at: Timestamp) -> Result<(), HostError> {
        for index in 0..self.cells.len() {
            let cell = CellId(index as u32);
            self.clear(cell, at)
                .map_err(|source| self.failed(cell, source))?;
        }
        Ok(())
    }

    fn stage_of(&self, need: &PredictedNeed) -> Result<StageDefinition, Error> {
        generate_stage_definition(self.repository.definition(&need.service)?, need)
    }

    fn put(&mut self, cell: CellId, new: NewStage) -> Result<(), Error> {
        self.clear(cell, new.times.at)?;
        let label = &self.labels[cell.index()];
        let at = new.times.at.seconds();
        let commit = self
            .repository
            .propose(label, &new.stage, &new.provenance, at)?;
        self.count(&commit);
        self.live[cell.index()] = Some(LiveStage {
            key: new.stage.key,
            magnitude: new.magnitude,
            times: new.times,
            active: false,
        });
        Ok(())
    }

    /// A need asked for a stage of its own.
    fn request(&mut self, cell: CellId, magnitude: u32, at: Timestamp) -> Result<(), Error> {
        let need = PredictedNeed {
            // A window of its own: this stage is for one need, known to the second.
            window_s: 1,
            ..self.need(cell, magnitude, at)
        };
        let stage = self.stage_of(&need)?;
        let provenance = Provenance {
            need_id: need_id(&stage, at),
            arm: self.decider.arm.clone(),
            ..Provenance::of(&stage, NeedOrigin::Requested, at.seconds())
        };
        let times = LiveTimes {
            at,
            expires_at: Timestamp::MAX,
        };
        self.put(
            cell,
            NewStage {
                stage,
                provenance,
                magnitude,
                times,
            },
        )
    }

    fn need(&self, cell: CellId, magnitude: u32, at: Timestamp) -> PredictedNeed {
        let need = self.cells[cell.index()].need;
        let magnitude = match need {
            NeedType::Scaling => magnitude.clamp(1, REPLICAS_MAX),
            NeedType::TestSuite => magnitude.clamp(1, SHARDS_MAX),
            NeedType::FeatureRelease | NeedType::DependencyUpdate => 0,
        };
        PredictedNeed {
            service: self.labels[cell.index()].clone(),
            need,
            regions: Vec::new(),
            window_start: at.seconds(),
            window_s: WINDOW_S,
            magnitude: i64::from(magnitude),
            params: Default::default(),
        }
    }

    fn predicted(&mut self, request: &StageRequest) -> Result<(), Error> {
        let stage =
            self.stage_of(&self.need(request.cell, request.magnitude, request.requested_at))?;
        let provenance = self.provenance(&stage, request);
        let times = LiveTimes {
            at: request.requested_at,
            expires_at: request.requested_at + request.ttl,
        };
        self.put(
            request.cell,
            NewStage {
                stage,
                provenance,
                magnitude: request.magnitude,
                times,
            },
        )
    }

    fn provenance(&self, stage: &StageDefinition, request: &StageRequest) -> Provenance {
        let at = request.requested_at.seconds();
        let model =
            prestage_forecast::entry(request.need.as_str()).map(|entry| entry.name.to_owned());
        let size = f64::from(request.magnitude);
        Provenance {
            need_id: need_id(stage, request.requested_at),
            probability: Some(request.probability),
            threshold: Some(request.threshold),
            quantiles: match request.magnitude {
                0 => Vec::new(),
                _ => vec![Quantile {
                    level: request.knobs.quantile,
                    value: size,
                }],
            },
            knobs: KNOBS
                .iter()
                .map(|&knob| (knob.name().to_owned(), knob_value(knob, &request.knobs)))
                .collect(),
            arm: self.decider.arm.clone(),
            policy_hash: self.decider.policy.clone(),
            models: model.into_iter().collect(),
            telemetry_window: Some((
                self.cells[request.cell.index()].opens_at.seconds().min(at),
                at,
            )),
            ..Provenance::of(stage, NeedOrigin::Predicted, at)
        }
    }

    fn activate(&mut self, cell: CellId, at: Timestamp) -> Result<(), Error> {
        if let Some(live) = &mut self.live[cell.index()] {
            let commit = self.repository.activate(&live.key, at.seconds())?;
            live.active = true;
            self.count(&commit);
        }
        Ok(())
    }

    /// The stage broke when it was activated: the pipeline is restored byte for
    /// byte, then the stage leaves it.
    fn roll_back(&mut self, cell: CellId, at: Timestamp) -> Result<(), Error> {
        self.activate(cell, at)?;
        let label = self.labels[cell.index()].clone();
        let commit = self
            .repository
            .rollback(&label, &RollbackTo::OneStepBack, at.seconds())?;
        self.count(&commit);
        self.retire(cell, RetireReason::Rejected, at)
    }

    fn retire(&mut self, cell: CellId, reason: RetireReason, at: Timestamp) -> Result<(), Error> {
        if let Some(live) = self.live[cell.index()].take() {
            let commit = self.repository.retire(&live.key, reason, at.seconds())?;
            self.count(&commit);
        }
        Ok(())
    }

    /// Makes room for another stage: one that served has run by now.
    fn clear(&mut self, cell: CellId, at: Timestamp) -> Result<(), Error> {
        let served = self.live[cell.index()]
            .as_ref()
            .is_some_and(|live| live.active);
        self.retire(
            cell,
            if served {
                RetireReason::UsedUp
            } else {
                RetireReason::Withdrawn
            },
            at,
        )
    }

    fn failed(&self, cell: CellId, source: Error) -> HostError {
        HostError::Pipeline {
            service: self.cells[cell.index()].service_name.clone(),
            source: Box::new(source),
        }
    }

    /// The stage of a cell that is staged and has not been used.
    fn waiting(&self, cell: CellId) -> Option<&LiveStage> {
        self.live[cell.index()].as_ref().filter(|live| !live.active)
    }
}

/// Writes a service, or merges its template into what the service has: its own edits stay.
fn write(
    repository: &mut PipelineRepository,
    instance: &Instance,
    now: Timestamp,
) -> Result<(), Error> {
    let templates = repository.templates()?;
    let candidate = Resolver::new(&templates).candidate_for(instance)?;
    let is_known = repository
        .services()
        .any(|service| service == instance.service);
    match is_known {
        true => repository.apply(&candidate, now.seconds())?,
        false => repository.put_service(&candidate.theirs, now.seconds())?,
    };
    Ok(())
}

/// Retires what an interrupted run left staged: nobody knows its need any more.
fn take_back(
    repository: &mut PipelineRepository,
    services: &BTreeSet<String>,
    now: Timestamp,
) -> Result<(), Error> {
    for service in services {
        let left = repository.stages(service)?;
        let keys: Vec<StageKey> = left.map(|staged| staged.stage.key.clone()).collect();
        for key in keys {
            repository.retire(&key, RetireReason::Withdrawn, now.seconds())?;
        }
    }
    Ok(())
}

/// One DNS label a service, unique: what templates and folders are named by.
fn labels(cells: &[CellSpec]) -> Vec<String> {
    let mut by_name: BTreeMap<&str, String> = BTreeMap::new();
    let mut taken = BTreeSet::new();
    for cell in cells {
        by_name.entry(&cell.service_name).or_insert_with(|| {
            let label = label(&cell.service_name);
            let numbered = (2..).map(|i| format!("{label}-{i}"));
            let free = std::iter::once(label.clone())
                .chain(numbered)
                .find(|label| taken.insert(label.clone()));
            free.expect("there are more numbers than services")
        });
    }
    cells
        .iter()
        .map(|cell| by_name[cell.service_name.as_str()].clone())
        .collect()
}

/// Lower-case letters, digits and single hyphens, at most 40.
fn label(name: &str) -> String {
    let mut label = String::new();
    for c in name.chars().map(|c| c.to_ascii_lowercase()) {
        if c.is_ascii_alphanumeric() {
            label.push(c);
        } else if !label.ends_with('-') && !label.is_empty() {
            label.push('-');
        }
    }
    let label: String = label.chars().take(40).collect();
    let label = label.trim_end_matches('-');
    // A label starts with a letter; a name without any usable character is a service still.
    match label.chars().next() {
        Some(first) if first.is_ascii_alphabetic() => label.to_owned(),
        _ => format!("s-{label}").trim_end_matches('-').to_owned(),
    }
}

/// A cell has one open need at a time, so its moment names it.
fn need_id(stage: &StageDefinition, at: Timestamp) -> String {
    format!("{}/{}/{}", stage.service, stage.need, at.seconds())
}

fn reason(end: StageEnd) -> RetireReason {
    match end {
        StageEnd::Used => RetireReason::UsedUp,
        StageEnd::Expired => RetireReason::Expired,
        StageEnd::Withdrawn => RetireReason::Withdrawn,
        StageEnd::RolledBack => RetireReason::Rejected,
    }
}

fn knob_value(knob: Knob, knobs: &Knobs) -> f64 {
    match knob {
        // The rules without a threshold have an infinite one, which no file can hold.
        Knob::Threshold => knobs.threshold_log_odds.clamp(-1e3, 1e3),
        Knob::Quantile => knobs.quantile,
        Knob::Horizon => knobs.horizon_leads,
        Knob::HalfLife => knobs.half_life.as_hours(),
        Knob::Ttl => knobs.ttl.as_hours(),
        Knob::Retrain => knobs.retrain.as_hours(),
    }
}

#[derive(Clone, Copy)]
struct LiveTimes {
    at: Timestamp,
    expires_at: Timestamp,
}

impl PipelineHost for Pipelines {
    fn stage(&self, cell: CellId) -> Option<StageStatus> {
        let live = self.waiting(cell)?;
        Some(StageStatus {
            state: StageState::Ready,
            requested_at: live.times.at,
            expires_at: Some(live.times.expires_at),
            magnitude: live.magnitude,
            drift_commits: 0,
            refreshing: false,
        })
    }

    fn propose(&mut self, request: &StageRequest) -> Result<(), HostError> {
        if self.stage(request.cell).is_some() {
            return Err(HostError::Contract {
                cell: request.cell.0,
                problem: "already has a stage under way",
            });
        }
        self.predicted(request)
            .map_err(|source| self.failed(request.cell, source))?;
        let at = request.requested_at;
        self.outcomes.push(Outcome::Ready {
            cell: request.cell,
            at,
            lead: Span(0),
            predicted: true,
        });
        Ok(())
    }

    fn refresh(&mut self, request: &StageRequest) -> Result<(), HostError> {
        if self.stage(request.cell).is_none() {
            return Err(HostError::Contract {
                cell: request.cell.0,
                problem: "has no stage to refresh",
            });
        }
        self.predicted(request)
            .map_err(|source| self.failed(request.cell, source))
    }

    fn withdraw(&mut self, cell: CellId, at: Timestamp) -> Result<(), HostError> {
        let Some(live) = self.waiting(cell) else {
            return Err(HostError::Contract {
                cell: cell.0,
                problem: "has no stage to withdraw",
            });
        };
        let idle = at - live.times.at;
        self.retire(cell, RetireReason::Withdrawn, at)
            .map_err(|source| self.failed(cell, source))?;
        self.outcomes.push(Outcome::Ended {
            cell,
            at,
            end: StageEnd::Withdrawn,
            idle,
        });
        Ok(())
    }

    fn retrain(&mut self, _cell: CellId, _because: Retraining) {}

    fn drain_outcomes(&mut self, outcomes: &mut Vec<Outcome>) {
        outcomes.append(&mut self.outcomes);
    }
}
