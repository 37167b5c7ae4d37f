//! Needs and stages: from the request to use, expiry, withdrawal or rollback.
//!
//! ```text
//! need --ready stage, big enough, not stale--> hit, stage used
//!      --else--> miss, waits for: the predicted stage under way, or one on demand
//! stage: [written by hand] -> runner (validate) -> review -> provision -> ready
//! ```
//! Every draw is addressed by cell and need (or minute), so a stage asked for at
//! the same time takes the same time whoever asks.
use prestage_controller::{CellId, NeedType, Outcome, Retraining, StageEnd, StageRequest};
use prestage_des::SimTime;
use prestage_telemetry::{Metric, Span};

use crate::event_log::LogKind;
use crate::exogenous::BuildResult;
use crate::load::scaled_out;
use crate::pool::{Job, class};
use crate::stage::{Refresh, Stage, StageEvent, StageEventKind, StageId, StageOrigin};
use crate::stage_times::StageCause;
use crate::workloads::timestamp;
use crate::world::{Event, List, World};

impl World {
    /// A need without a load behind it arises in an open cell.
    pub(crate) fn need(&mut self, cell: CellId, hazard_per_day: f64) {
        let required = match self.record.cells[cell.index()].need {
            NeedType::TestSuite => self.shards_wanted(self.service(cell)),
            _ => 0,
        };
        if self.meet(cell, required, hazard_per_day)
            && let Some(stage) = self.cells[cell.index()].predicted
        {
            let magnitude = self.stages[stage.0 as usize].magnitude;
            self.end_predicted(cell, StageEnd::Used);
            self.bring(cell, magnitude);
        }
    }

    /// A load outgrows its capacity.
    pub(crate) fn scaling_need(&mut self, cell: CellId, load: usize) {
        if self.meet(cell, self.loads[load].required, 0.0)
            && let Some(stage) = self.cells[cell.index()].predicted
        {
            let magnitude = self.stages[stage.0 as usize].magnitude;
            self.end_predicted(cell, StageEnd::Used);
            self.resize(load, self.now, magnitude);
        }
    }

    /// Books a need as hit or miss; true when the ready stage serves it.
    fn meet(&mut self, cell: CellId, required: u32, hazard_per_day: f64) -> bool {
        let need = self.cells[cell.index()].tally.needs;
        self.cells[cell.index()].tally.needs += 1;
        let hit = self.ready_stage_serves(cell, need, required);
        self.outcomes.push(Outcome::Need {
            cell,
            at: timestamp(self.now),
            hit,
        });
        self.note(if hit { LogKind::Hit } else { LogKind::Miss }, cell.0, need);
        if hit {
            self.cells[cell.index()].tally.hits += 1;
            return true;
        }
        self.accrue(cell);
        let state = &mut self.cells[cell.index()];
        state.tally.misses += 1;
        state.waiting.push(hazard_per_day);
        self.waiting.insert(cell);
        self.await_stage(cell, need, required);
        false
    }

    fn ready_stage_serves(&mut self, cell: CellId, need: u64, required: u32) -> bool {
        let Some(id) = self.cells[cell.index()].predicted else {
            return false;
        };
        let stage = &self.stages[id.0 as usize];
        if stage.ready_at.is_none() {
            return false;
        }
        if stage.magnitude < required {
            // Too small to serve: one on demand, of the right size, takes its place.
            self.end_predicted(cell, StageEnd::Withdrawn);
            return false;
        }
        let drift = self.drift(id);
        let holds = (1.0 - self.options.operation.drift_per_commit).powf(f64::from(drift));
        if self.options.staleness(cell, need) < holds {
            return true;
        }
        self.cells[cell.index()].tally.usage.reverts += 1.0;
        self.end_predicted(cell, StageEnd::RolledBack);
        false
    }

    /// Makes sure that a stage is on its way for a waiting need.
    fn await_stage(&mut self, cell: CellId, need: u64, required: u32) {
        if let Some(id) = self.cells[cell.index()].predicted {
            self.hurry(Job::Validate(id), class::URGENT);
            return;
        }
        if self.cells[cell.index()].requested.is_some() {
            return;
        }
        let id = self.add_stage(cell, StageCause::Need(need), required, SimTime::MAX);
        self.cells[cell.index()].requested = Some(id);
        self.cells[cell.index()].tally.requested += 1;
        self.note(LogKind::Requested, cell.0, u64::from(required));
        self.stage_event(
            id,
            StageEventKind::Requested {
                magnitude: required,
            },
        );
        let spec = &self.record.cells[cell.index()];
        let writing = self
            .options
            .writing_time(spec, need, self.options.on_demand);
        self.queue.schedule(self.now + writing, Event::Written(id));
    }

    /// The controller asks for a stage.
    pub(crate) fn propose_stage(&mut self, request: &StageRequest) {
        let cell = request.cell;
        let cause = StageCause::Ahead {
            at: self.now,
            working: self.is_working(),
        };
        let ttl = SimTime::from_micros(request.ttl.0);
        let id = self.add_stage(cell, cause, request.magnitude, ttl);
        let state = &mut self.cells[cell.index()];
        state.predicted = Some(id);
        state.tally.predicted += 1;
        state.proposals += 1;
        self.note(LogKind::Proposed, cell.0, u64::from(request.magnitude));
        if self.options.keep_stage_events {
            self.stage_event(id, StageEventKind::Proposed(Box::new(request.clone())));
        }
        self.validate(id, class::SPECULATIVE);
    }

    /// The controller asks for a revalidation, and perhaps for a larger size.
    pub(crate) fn refresh_stage(&mut self, id: StageId, request: &StageRequest) {
        let at_commit = self.services[self.service(request.cell) as usize].commits;
        let stage = &mut self.stages[id.0 as usize];
        let magnitude = request.magnitude.max(stage.magnitude);
        let grows = magnitude > stage.magnitude;
        stage.refreshing = Some(Refresh {
            at_commit,
            magnitude,
        });
        if grows && self.options.keep_stage_events {
            self.stage_event(id, StageEventKind::Resized(Box::new(request.clone())));
        }
        self.request_runner(Job::Refresh(id), class::SPECULATIVE);
    }

    fn add_stage(
        &mut self,
        cell: CellId,
        cause: StageCause,
        magnitude: u32,
        ttl: SimTime,
    ) -> StageId {
        let spec = &self.record.cells[cell.index()];
        let times = self.options.stage_times(spec, cause);
        let origin = match cause {
            StageCause::Need(_) => StageOrigin::Requested,
            StageCause::Ahead { .. } => StageOrigin::Predicted,
        };
        let id = StageId(self.stages.len() as u32);
        let service = spec.service.index();
        self.stages.push(Stage {
            cell,
            origin,
            requested_at: self.now,
            ready_at: None,
            ready_at_sweep: 0,
            ttl,
            expires_at: None,
            magnitude,
            validate: times.validate,
            review: times.review,
            provision: times.provision,
            in_review: false,
            validated_at_commit: self.services[service].commits,
            refreshing: None,
            ended: false,
        });
        id
    }

    /// Asks for a runner to validate a stage.
    pub(crate) fn validate(&mut self, id: StageId, class: u8) {
        self.request_runner(Job::Validate(id), class);
    }

    pub(crate) fn job_done(&mut self, job: Job) {
        self.release_runner(job);
        match job {
            Job::Build(index) => self.built(index),
            Job::Rebuild(_) => {}
            Job::Retrain(cell, _, because) => {
                let is_early = u64::from(because == Retraining::Drift);
                self.note(LogKind::Retrained, cell.0, is_early);
            }
            Job::Validate(id) => self.validated(id),
            Job::Refresh(id) => self.refreshed(id),
        }
    }

    fn built(&mut self, index: u32) {
        let commit = self.record.commits[index as usize];
        let duration = self.options.build_duration(index, commit.service);
        let seconds = duration.as_secs_f64();
        self.series(commit.service, Metric::BuildSeconds, seconds);
        if commit.build != BuildResult::Passed {
            self.series(commit.service, Metric::BuildFailuresTotal, 1.0);
            self.note(LogKind::BuildFailed, commit.service, u64::from(index));
        }
        if commit.build == BuildResult::Flaky {
            self.request_runner(Job::Rebuild(index), class::BUILD);
        }
    }

    /// A person takes the stage up. Reviews that are open already take a part of
    /// their attention.
    fn validated(&mut self, id: StageId) {
        let stage = &self.stages[id.0 as usize];
        if stage.ended {
            return;
        }
        let cell = stage.cell;
        let open_per_service = f64::from(self.open_reviews) / self.services.len() as f64;
        let backlog = self.options.operation.review_backlog_factor * open_per_service;
        let review = stage.review.as_secs_f64() * (1.0 + backlog);
        let ready_at = self.now + SimTime::from_secs_f64(review) + stage.provision;
        self.cells[cell.index()].tally.usage.reviews += 1.0;
        self.open_reviews += 1;
        self.stages[id.0 as usize].in_review = true;
        self.queue.schedule(ready_at, Event::Ready(id));
    }

    fn refreshed(&mut self, id: StageId) {
        let stage = &mut self.stages[id.0 as usize];
        let Some(refresh) = stage.refreshing.take() else {
            return;
        };
        if stage.ended {
            return;
        }
        stage.validated_at_commit = refresh.at_commit;
        stage.magnitude = refresh.magnitude;
        let cell = stage.cell;
        self.keep_warm(cell, refresh.magnitude);
        self.note(LogKind::Refreshed, cell.0, u64::from(refresh.magnitude));
    }

    /// Review and provisioning are over.
    pub(crate) fn ready(&mut self, id: StageId) {
        let stage = &mut self.stages[id.0 as usize];
        assert!(
            stage.in_review,
            "stage {} became ready without a review",
            id.0
        );
        stage.in_review = false;
        self.open_reviews -= 1;
        if stage.ended {
            return;
        }
        stage.ready_at = Some(self.now);
        stage.ready_at_sweep = self.sweeps;
        let lead = Span(self.now.as_micros() - stage.requested_at.as_micros());
        let (cell, magnitude, origin, ttl) = (stage.cell, stage.magnitude, stage.origin, stage.ttl);
        let predicted = origin == StageOrigin::Predicted;
        self.outcomes.push(Outcome::Ready {
            cell,
            at: timestamp(self.now),
            lead,
            predicted,
        });
        self.note(LogKind::Ready, cell.0, u64::from(id.0));
        if !self.cells[cell.index()].waiting.is_empty() {
            self.serve_waiting(cell, id, magnitude);
        } else {
            assert!(
                predicted,
                "a stage on demand became ready for nobody in cell {}",
                cell.0
            );
            let expires_at = self.now.saturating_add(ttl);
            self.stages[id.0 as usize].expires_at = Some(expires_at);
            self.queue.schedule(expires_at, Event::Expire(id));
            self.keep_warm(cell, magnitude);
            self.induce(cell);
        }
    }

    /// Induced demand: what is ready gets used sooner. The next need of the cell
    /// comes forward by a share of the time that is left.
    fn induce(&mut self, cell: CellId) {
        let share = self.options.operation.induced_demand;
        if share == 0.0 {
            return;
        }
        let Some((list, index, at)) = self.next_need(cell) else {
            return;
        };
        if self.brought_forward.insert((list, index)) {
            let left = (at.as_micros() - self.now.as_micros()) as f64;
            let early = self.now + SimTime::from_micros((left * (1.0 - share)) as i64);
            self.queue.schedule(early, Event::Induced(list, index));
        }
    }

    /// The stage that a cell's needs have waited for is here.
    fn serve_waiting(&mut self, cell: CellId, id: StageId, magnitude: u32) {
        self.accrue(cell);
        self.cells[cell.index()].waiting.clear();
        self.waiting.remove(&cell);
        match self.stages[id.0 as usize].origin {
            StageOrigin::Predicted => self.end_predicted(cell, StageEnd::Used),
            StageOrigin::Requested => {
                self.stages[id.0 as usize].ended = true;
                self.cells[cell.index()].requested = None;
                self.stage_event(id, StageEventKind::Activated);
                self.note(LogKind::Used, cell.0, u64::from(id.0));
            }
        }
        self.bring(cell, magnitude);
    }

    /// What the stage brings, once it is active. Its size is bound at activation:
    /// a stage that is late covers what is needed by then.
    fn bring(&mut self, cell: CellId, magnitude: u32) {
        let service = self.service(cell);
        match self.record.cells[cell.index()].need {
            NeedType::Scaling => {
                let Some(index) = self.load_index(cell) else {
                    return;
                };
                let load = &self.loads[index];
                let step = scaled_out(load.capacity, self.options.operation.scale_out_share);
                let wanted = magnitude.max(load.required).max(step);
                self.resize(index, self.now, wanted);
            }
            NeedType::TestSuite => {
                let shards = self.services[service as usize].shards;
                let wanted = magnitude.max(self.shards_wanted(service)).max(shards + 1);
                self.reshard(service, wanted);
            }
            NeedType::FeatureRelease | NeedType::DependencyUpdate => self.deploy(cell),
        }
    }

    pub(crate) fn expire(&mut self, id: StageId) {
        let stage = &self.stages[id.0 as usize];
        if !stage.ended {
            self.end_predicted(stage.cell, StageEnd::Expired);
        }
    }

    /// The next need of a cell that the record holds, if it has one of its own.
    fn next_need(&self, cell: CellId) -> Option<(List, usize, SimTime)> {
        let spec = &self.record.cells[cell.index()];
        let service = spec.service.0;
        let free = |list: List, index: usize| !self.brought_forward.contains(&(list, index));
        match spec.need {
            NeedType::FeatureRelease => {
                let list = List::Releases;
                let from = self.cursor(list);
                let releases = self.record.releases.iter().enumerate().skip(from);
                releases
                    .filter(|&(index, &(_, of))| of == service && free(list, index))
                    .map(|(index, &(at, _))| (list, index, at))
                    .next()
            }
            NeedType::DependencyUpdate => {
                let list = List::DependencyNeeds;
                let from = self.cursor(list);
                let needs = self.record.dependency_needs.iter().enumerate().skip(from);
                needs
                    .filter(|(index, need)| need.service == service && free(list, *index))
                    .map(|(index, need)| (list, index, need.at))
                    .next()
            }
            // Needs of loads and suites arise from their level, not from a list.
            NeedType::Scaling | NeedType::TestSuite => None,
        }
    }

    /// Ends the predicted stage of a cell and books how.
    pub(crate) fn end_predicted(&mut self, cell: CellId, end: StageEnd) {
        let id = self.cells[cell.index()]
            .predicted
            .take()
            .expect("the caller saw a predicted stage");
        self.withdraw_job(Job::Validate(id));
        self.withdraw_job(Job::Refresh(id));
        let (minutes, upkeep) = (self.minutes_ready(id), self.upkeep(cell));
        self.keep_warm(cell, 0);
        let stage = &mut self.stages[id.0 as usize];
        stage.ended = true;
        let idle = stage
            .ready_at
            .map_or(0, |ready| self.now.as_micros() - ready.as_micros());
        let tally = &mut self.cells[cell.index()].tally;
        tally.stood_ready(minutes, upkeep);
        tally.end(end);
        if end == StageEnd::Used {
            tally.idle_at_hit_hours += idle as f64 / 3.6e9;
        }
        self.outcomes.push(Outcome::Ended {
            cell,
            at: timestamp(self.now),
            end,
            idle: Span(idle),
        });
        let (kind, event) = match end {
            StageEnd::Used => (LogKind::Used, StageEventKind::Activated),
            StageEnd::RolledBack => (LogKind::RolledBack, StageEventKind::RolledBack),
            StageEnd::Expired => (LogKind::Expired, StageEventKind::Retired(end)),
            StageEnd::Withdrawn => (LogKind::Withdrawn, StageEventKind::Retired(end)),
        };
        self.note(kind, cell.0, u64::from(id.0));
        self.stage_event(id, event);
    }

    /// Whole minutes that a stage has stood ready.
    pub(crate) fn minutes_ready(&self, id: StageId) -> u64 {
        let stage = &self.stages[id.0 as usize];
        match stage.ready_at {
            Some(_) => self.sweeps - stage.ready_at_sweep,
            None => 0,
        }
    }

    /// Runner minutes a minute that a ready stage costs: it is validated again and
    /// again while it waits. Warm replicas need no runner.
    pub(crate) fn upkeep(&self, cell: CellId) -> f64 {
        match self.record.cells[cell.index()].need {
            NeedType::Scaling => 0.0,
            _ => self.options.operation.upkeep_minutes_per_hour / 60.0,
        }
    }

    /// A ready stage of a scaling cell keeps so many replicas warm, 0 when it is gone.
    fn keep_warm(&mut self, cell: CellId, replicas: u32) {
        if let Some(load) = self.load_of(cell) {
            load.staged = replicas;
        }
    }

    /// Books the waiting of all needs up to now.
    pub(crate) fn accrue_waiting(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        for &cell in &waiting {
            self.accrue(cell);
        }
        self.waiting = waiting;
    }

    /// Books the waiting of a cell's needs up to now.
    pub(crate) fn accrue(&mut self, cell: CellId) {
        let state = &self.cells[cell.index()];
        let minutes = (self.now.as_micros() - state.accrued_at.as_micros()) as f64 / 6e7;
        if !state.waiting.is_empty() {
            let people = self.people_waiting(cell, self.cells[cell.index()].accrued_at);
            let state = &mut self.cells[cell.index()];
            let blocked = minutes * state.waiting.len() as f64;
            let hazard: f64 = state.waiting.iter().sum();
            state.tally.usage.blocked_minutes += blocked;
            state.tally.usage.blocked_person_minutes += blocked * people;
            let exposed = state.waiting.iter().filter(|hazard| **hazard > 0.0).count();
            state.tally.usage.exposure_days += exposed as f64 * minutes / 1440.0;
            state.tally.usage.exploits += hazard * minutes / 1440.0;
        }
        self.cells[cell.index()].accrued_at = self.now;
    }

    /// Commits on the main line since a stage was validated.
    pub(crate) fn drift(&self, id: StageId) -> u32 {
        let stage = &self.stages[id.0 as usize];
        self.services[self.service(stage.cell) as usize].commits - stage.validated_at_commit
    }

    fn service(&self, cell: CellId) -> u32 {
        self.record.cells[cell.index()].service.0
    }

    fn stage_event(&mut self, stage: StageId, kind: StageEventKind) {
        if self.options.keep_stage_events {
            let cell = self.stages[stage.0 as usize].cell;
            self.stage_events.push(StageEvent {
                at: self.now,
                stage,
                cell,
                kind,
            });
        }
    }
}
