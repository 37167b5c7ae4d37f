//! Everything that evolves by itself, whatever anybody decides.
//!
//! Made by the workload processes or read from a history; never changed by a
//! world. All arms of a comparison share one.
use prestage_controller::{Calendar, CellSpec};
use prestage_des::SimTime;

use crate::workloads::timestamp;

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
    /// Did a test fail? `None` where that was not recorded.
    pub failed: Option<bool>,
}

/// A commit on the main line, which starts a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Commit {
    /// When.
    pub at: SimTime,
    /// Of which service.
    pub service: u32,
    /// How its build will end, however long it waits.
    pub build: BuildResult,
}

/// How a build ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BuildResult {
    /// It passes.
    Passed,
    /// The commit breaks it.
    Failed,
    /// It fails for no reason and passes when it is repeated.
    Flaky,
}

/// A failure of a service that nobody deployed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Incident {
    /// Begins.
    pub at: SimTime,
    /// Is over.
    pub until: SimTime,
    /// Whose.
    pub service: u32,
}

/// A part of the runner pool is away.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outage {
    /// Begins.
    pub at: SimTime,
    /// Is over.
    pub until: SimTime,
    /// Share of the pool, in (0, 1).
    pub share: f64,
}

/// A stretch of time, `[from, until)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window {
    /// Begins.
    pub from: SimTime,
    /// Is over.
    pub until: SimTime,
}

impl Window {
    /// Does it cover `at`?
    pub fn covers(&self, at: SimTime) -> bool {
        self.from <= at && at < self.until
    }
}

/// Samples of a service that never reach the telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gap {
    /// Begins.
    pub at: SimTime,
    /// Is over.
    pub until: SimTime,
    /// Whose.
    pub service: u32,
}

/// A hidden regime begins. No arm observes it but the privileged one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RegimeChange {
    /// When.
    pub at: SimTime,
    /// -1 quiet, 0 usual, 1 busy.
    pub regime: i8,
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
    /// Commits, with how their builds end.
    pub commits: Vec<Commit>,
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
    /// Incidents that come by themselves.
    pub incidents: Vec<Incident>,
    /// Outages of the runner pool; they do not overlap.
    pub outages: Vec<Outage>,
    /// Days on which nobody works.
    pub holidays: Vec<Window>,
    /// Times without releases.
    pub freezes: Vec<Window>,
    /// Gaps in the telemetry; those of one service do not overlap.
    pub gaps: Vec<Gap>,
    /// Hidden regimes.
    pub regimes: Vec<RegimeChange>,
}

impl Exogenous {
    /// A record in which nothing happens to nobody.
    pub(crate) fn empty(
        name: String,
        history_start: SimTime,
        start: SimTime,
        end: SimTime,
    ) -> Self {
        Self {
            name,
            history_start,
            start,
            end,
            services: Vec::new(),
            cells: Vec::new(),
            demands: Vec::new(),
            commits: Vec::new(),
            releases: Vec::new(),
            upstream: Vec::new(),
            advisories: Vec::new(),
            dependency_needs: Vec::new(),
            suite_runs: Vec::new(),
            shards: Vec::new(),
            incidents: Vec::new(),
            outages: Vec::new(),
            holidays: Vec::new(),
            freezes: Vec::new(),
            gaps: Vec::new(),
            regimes: Vec::new(),
        }
    }

    /// When people work and when nothing is released, as the controller is told.
    pub fn calendar(&self) -> Calendar {
        let windows = |windows: &[Window]| {
            let pair = |window: &Window| (timestamp(window.from), timestamp(window.until));
            windows.iter().map(pair).collect()
        };
        Calendar::new(windows(&self.holidays), windows(&self.freezes))
    }

    /// Depends on every time and every load: equal for the same scenario and seed,
    /// different for others but by chance of 2^-64 (FNV-1a over the lists).
    pub fn digest(&self) -> u64 {
        let mut digest = Fnv::default();
        for time in [self.history_start, self.start, self.end] {
            digest.push(time.as_micros() as u64);
        }
        let mut events = |list: &[(SimTime, u32)]| {
            for &(at, service) in list {
                digest.push(at.as_micros() as u64);
                digest.push(u64::from(service));
            }
        };
        events(&self.releases);
        events(&self.upstream);
        events(&self.advisories);
        for commit in &self.commits {
            digest.push(commit.at.as_micros() as u64);
            digest.push(u64::from(commit.service) << 2 | commit.build as u64);
        }
        for need in &self.dependency_needs {
            digest.push(need.at.as_micros() as u64);
            digest.push(need.hazard_per_day.to_bits());
        }
        for run in &self.suite_runs {
            digest.push(run.at.as_micros() as u64);
            digest.push(run.seconds.to_bits());
        }
        for incident in &self.incidents {
            digest.push(incident.at.as_micros() as u64);
            digest.push(incident.until.as_micros() as u64);
        }
        for outage in &self.outages {
            digest.push(outage.at.as_micros() as u64);
            digest.push(outage.until.as_micros() as u64);
        }
        for demand in &self.demands {
            for value in &demand.values {
                digest.push(u64::from(value.to_bits()));
            }
        }
        digest.0
    }

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
        self.check_order();
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

    fn check_order(&self) {
        let lists = [
            ("commits", self.commits.is_sorted()),
            ("releases", self.releases.is_sorted()),
            ("upstream releases", self.upstream.is_sorted()),
            ("advisories", self.advisories.is_sorted()),
            (
                "dependency needs",
                self.dependency_needs.is_sorted_by_key(|need| need.at),
            ),
            ("suite runs", self.suite_runs.is_sorted_by_key(|run| run.at)),
            ("incidents", self.incidents.is_sorted()),
            ("outages", self.outages.is_sorted_by_key(|outage| outage.at)),
            ("holidays", self.holidays.is_sorted()),
            ("freezes", self.freezes.is_sorted()),
            ("gaps", self.gaps.is_sorted()),
            ("regimes", self.regimes.is_sorted()),
        ];
        for (list, sorted) in lists {
            assert!(sorted, "{list} of `{}` are out of order", self.name);
        }
        let apart = self
            .outages
            .windows(2)
            .all(|pair| pair[0].until <= pair[1].at);
        assert!(apart, "outages of `{}` overlap", self.name);
    }
}

/// FNV-1a, a word at a time.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn push(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x0100_0000_01b3);
    }
}
