//! The world that a controller acts in: services, traffic, commits, runners,
//! releases, advisories, test suites.
//!
//! What evolves by itself is an [`Exogenous`] record, made by the workload
//! processes from a [`Scenario`] or read from a recorded history; [`World`]
//! regenerates everything that responds (queues, lead times, stages, capacity,
//! blocked pipelines) and implements the controller's three ports. All arms run on
//! the same record, so they meet the identical world whatever they do.
//!
//! Must never know: burn, policies, rewards.
mod circumstances;
mod delivery;
mod event_log;
mod exogenous;
mod history;
mod ledger;
mod lifecycle;
mod load;
mod pool;
mod ports;
mod replay;
mod replay_error;
mod requirement;
mod scenario;
mod scenario_error;
mod sliding_max;
mod snapshot;
mod stage;
mod stage_times;
mod suites;
mod workloads;
mod world;

pub use delivery::DeliveryMetrics;
pub use event_log::{EventLog, LogKind, LogRecord};
pub use exogenous::{
    BuildResult, Commit, Demand, DependencyNeed, Exogenous, Gap, Incident, Outage, RegimeChange,
    Service, SuiteRun, Window,
};
pub use ledger::CellTally;
pub use load::{ServiceLevel, scaled_in, scaled_out, service_level};
pub use replay::{ReplayOptions, from_history, to_history, write_history};
pub use replay_error::ReplayError;
pub use requirement::{Between, LoadCourse, Requirement, load_course};
pub use scenario::{
    CalendarSpec, CellCounts, CommitsSpec, ControlSpec, DependenciesSpec, DialsSpec, FreezeSpec,
    HolidaySpec, IncidentsSpec, OperationSpec, PROFILE_SLOTS, ReleasesSpec, RunnersSpec, Scenario,
    ScenarioSpec, ServicesSpec, StaffingName, StageSpec, StagesSpec, SuiteSpec, TelemetrySpec,
    TrafficClass, TrafficSpec,
};
pub use scenario_error::{ScenarioError, nearest};
pub use snapshot::{Snapshot, SnapshotError};
pub use stage::{StageEvent, StageEventKind, StageId, StageOrigin};
pub use stage_times::{StageCause, StageTimes};
pub use suites::first_suite_need;
pub use workloads::{
    WORKLOADS, Workload, fleet_upstream, noise_variogram, peak_hours, releases_due,
};
pub use world::{World, WorldOptions};
