//! Everything that evolves by itself, whatever anybody decides.
//!
//! Made by the workload processes or read from a history; never changed by a
//! world. All arms of a comparison share one.
use prestage_controller::CellSpec;
use prestage_des::SimTime;

/// A service, by position.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Its name.
    pub name: String,
}

/// Recorded or generated load of one service on a regular grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Demand {
    /// Index of the service.
    pub service: u32,
    /// Time of the first value.
    pub first: SimTime,
    /// Grid step.
    pub step: SimTime,
    /// Load, in the unit of the trace; NaN is unknown.
    pub values: Vec<f32>,
}

impl Demand {
    /// Index of the value in force at `at`, if the trace covers it.
    pub fn index(&self, at: SimTime) -> Option<usize> {
        let offset = at.as_micros() - self.first.as_micros();
        let index = offset.div_euclid(self.step.as_micros());
        usize::try_from(index)
            .ok()
            .filter(|&index| index < self.values.len())
    }

    /// The load in force at `at`; NaN where it is unknown.
    pub fn load(&self, at: SimTime) -> f64 {
        self.index(at)
            .map_or(f64::NAN, |index| f64::from(self.values[index]))
    }

    /// Is `at` a time at which a value was recorded?
    pub fn is_sampled(&self, at: SimTime) -> bool {
        let offset = at.as_micros() - self.first.as_micros();
        // Grids need not start on a whole minute: the sweep that follows counts.
        offset.rem_euclid(self.step.as_micros()) < 60_000_000
    }
}

/// A dependency that must be moved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DependencyNeed {
    /// When.
    pub at: SimTime,
    /// Whose.
    pub service: u32,
    /// Daily probability of exploitation while it stays open; 0 for plain updates.
    pub hazard_per_day: f64,
}

/// One run of a test suite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SuiteRun {
    /// When it was reported.
    pub at: SimTime,
    /// Whose.
    pub service: u32,
    /// Duration on one shard.
    pub seconds: f64,
}

/// The record. All event lists are sorted by time and may reach back before `start`:
/// that part is the forecasters' history.
#[derive(Clone, Debug, PartialEq)]
pub struct Exogenous {
    /// Of the scenario or history.
    pub name: String,
    /// Where forecasters' history begins.
    pub history_start: SimTime,
    /// Where decisions and accounts begin.
    pub start: SimTime,
    /// Where they end.
    pub end: SimTime,
    /// Services, by index.
    pub services: Vec<Service>,
    /// Cells; `cells[i].id` is `i`.
    pub cells: Vec<CellSpec>,
    /// Load traces.
    pub demands: Vec<Demand>,
    /// Commits: when, of which service.
    pub commits: Vec<(SimTime, u32)>,
    /// Release needs.
    pub releases: Vec<(SimTime, u32)>,
    /// Upstream releases, a signal.
    pub upstream: Vec<(SimTime, u32)>,
    /// Published advisories, a signal.
    pub advisories: Vec<(SimTime, u32)>,
    /// Dependency needs.
    pub dependency_needs: Vec<DependencyNeed>,
    /// Suite runs.
    pub suite_runs: Vec<SuiteRun>,
    /// Initial number of shards, by service.
    pub shards: Vec<u32>,
}

impl Exogenous {
    /// Days accounted for.
    pub fn days(&self) -> f64 {
        self.end.as_days_f64() - self.start.as_days_f64()
    }

    /// Panics on lists out of order or cells that do not match their index: such
    /// a record is a bug of its maker.
    pub fn check(&self) {
        assert!(
            self.history_start <= self.start && self.start < self.end,
            "times of `{}` are in disorder",
            self.name
        );
        assert!(
            self.commits.is_sorted(),
            "commits of `{}` are out of order",
            self.name
        );
        assert!(
            self.releases.is_sorted(),
            "releases of `{}` are out of order",
            self.name
        );
        assert!(
            self.upstream.is_sorted(),
            "upstream releases of `{}` are out of order",
            self.name
        );
        assert!(
            self.advisories.is_sorted(),
            "advisories of `{}` are out of order",
            self.name
        );
        assert!(
            self.dependency_needs.is_sorted_by_key(|need| need.at),
            "dependency needs of `{}` are out of order",
            self.name
        );
        assert!(
            self.suite_runs.is_sorted_by_key(|run| run.at),
            "suite runs of `{}` are out of order",
            self.name
        );
        assert_eq!(
            self.shards.len(),
            self.services.len(),
            "shards and services of `{}` differ",
            self.name
        );
        for (i, cell) in self.cells.iter().enumerate() {
            assert_eq!(
                cell.id.index(),
                i,
                "a cell of `{}` carries another id",
                self.name
            );
        }
    }
}
