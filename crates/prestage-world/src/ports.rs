//! The controller's three ports, as a simulated world implements them.
use prestage_controller::{
    CellId, Clock, HostError, Outcome, PipelineHost, Retraining, StageEnd, StageRequest,
    StageState, StageStatus, TelemetrySource,
};
use prestage_telemetry::{Tail, Timestamp};

use crate::pool::{Job, class};
use crate::stage::StageId;
use crate::workloads::timestamp;
use crate::world::World;

impl Clock for World {
    fn now(&self) -> Timestamp {
        timestamp(self.now)
    }
}

impl TelemetrySource for World {
    fn tail(&self) -> &Tail {
        &self.tail
    }
}

impl PipelineHost for World {
    fn stage(&self, cell: CellId) -> Option<StageStatus> {
        let state = &self.cells[cell.index()];
        let id = state.predicted.or(state.requested)?;
        let stage = &self.stages[id.0 as usize];
        Some(StageStatus {
            state: if stage.ready_at.is_some() {
                StageState::Ready
            } else {
                StageState::Preparing
            },
            requested_at: timestamp(stage.requested_at),
            expires_at: stage.expires_at.map(timestamp),
            magnitude: stage.magnitude,
            drift_commits: self.drift(id),
            refreshing: stage.refreshing.is_some(),
        })
    }

    fn propose(&mut self, request: &StageRequest) -> Result<(), HostError> {
        if self.stage(request.cell).is_some() {
            return Err(contract(request.cell, "already has a stage under way"));
        }
        if !self.is_open(request.cell) {
            return Err(contract(request.cell, "does not exist now"));
        }
        self.propose_stage(request);
        Ok(())
    }

    fn refresh(&mut self, request: &StageRequest) -> Result<(), HostError> {
        let id = self.ready_stage(request.cell)?;
        if self.stages[id.0 as usize].refreshing.is_some() {
            return Err(contract(request.cell, "is being refreshed already"));
        }
        self.refresh_stage(id, request);
        Ok(())
    }

    fn withdraw(&mut self, cell: CellId, at: Timestamp) -> Result<(), HostError> {
        assert_eq!(
            at,
            timestamp(self.now),
            "a withdrawal at another time than the world's"
        );
        self.ready_stage(cell)?;
        self.end_predicted(cell, StageEnd::Withdrawn);
        Ok(())
    }

    fn retrain(&mut self, cell: CellId, because: Retraining) {
        self.retrainings += 1;
        let job = Job::Retrain(cell, self.retrainings, because);
        self.request_runner(job, class::SPECULATIVE);
    }

    fn drain_outcomes(&mut self, outcomes: &mut Vec<Outcome>) {
        outcomes.append(&mut self.outcomes);
    }
}

impl World {
    fn ready_stage(&self, cell: CellId) -> Result<StageId, HostError> {
        let id = self.cells[cell.index()]
            .predicted
            .ok_or(contract(cell, "has no predicted stage"))?;
        match self.stages[id.0 as usize].ready_at {
            Some(_) => Ok(id),
            None => Err(contract(cell, "has a stage that is not ready")),
        }
    }
}

fn contract(cell: CellId, problem: &'static str) -> HostError {
    HostError::Contract {
        cell: cell.0,
        problem,
    }
}
