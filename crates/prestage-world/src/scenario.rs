//! A synthetic world as a file: read into a spec, checked into a [`Scenario`].
//!
//! Every key has a unit in its name and a default where one makes sense; unknown
//! keys and impossible values are refused with the key, what was found and what
//! is allowed.
mod calendar;
mod commits;
mod control;
mod dependencies;
mod dials;
mod incidents;
mod operation;
mod overrides;
mod prices;
mod ranges;
mod releases;
mod runners;
mod services;
mod stages;
mod suite;
mod telemetry;
#[cfg(test)]
mod tests;
mod traffic;
mod traffic_class;

pub use calendar::{CalendarSpec, FreezeSpec, HolidaySpec};
pub use commits::CommitsSpec;
pub use control::{ControlSpec, StaffingName};
pub use dependencies::DependenciesSpec;
pub use dials::DialsSpec;
pub use incidents::IncidentsSpec;
pub use operation::OperationSpec;
pub use releases::ReleasesSpec;
pub use runners::RunnersSpec;
pub use services::{CellCounts, ServicesSpec};
pub use stages::{StageSpec, StagesSpec};
pub use suite::SuiteSpec;
pub use telemetry::TelemetrySpec;
pub use traffic::TrafficSpec;
pub use traffic_class::{PROFILE_SLOTS, TrafficClass};

use prestage_controller::PriceBook;
use serde::{Deserialize, Serialize};

use self::overrides::overridden;
use self::prices::{prices_of, table_of};
use self::ranges::Ranges;
use crate::scenario_error::ScenarioError;

/// The version this code reads.
const FORMAT_VERSION: u32 = 1;

/// A scenario as written in TOML.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioSpec {
    /// 1.
    pub format_version: u32,
    /// Unique name; the file's stem.
    pub name: String,
    /// Scenarios of one kind share a family.
    pub family: String,
    /// What the scenario stands for and where its numbers come from.
    pub about: String,
    /// Length of an episode.
    #[serde(default = "default_days")]
    pub days: u32,
    /// History that forecasters see before it.
    #[serde(default = "default_history_days")]
    pub history_days: u32,
    /// Which of the shipped price books applies.
    #[serde(default = "default_price_book")]
    pub price_book: String,
    /// Prices that replace those of the book, any subset of its keys.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub prices: toml::Table,
    /// How many services, of which tiers.
    #[serde(default)]
    pub services: ServicesSpec,
    /// Request load.
    #[serde(default)]
    pub traffic: TrafficSpec,
    /// Commits and their builds.
    #[serde(default)]
    pub commits: CommitsSpec,
    /// Feature releases.
    #[serde(default)]
    pub releases: ReleasesSpec,
    /// Upstream releases and advisories.
    #[serde(default)]
    pub dependencies: DependenciesSpec,
    /// Test suites.
    #[serde(default)]
    pub suite: SuiteSpec,
    /// Failures that nobody deployed.
    #[serde(default)]
    pub incidents: IncidentsSpec,
    /// Days off and freezes.
    #[serde(default)]
    pub calendar: CalendarSpec,
    /// Gaps in what the controller sees.
    #[serde(default)]
    pub telemetry: TelemetrySpec,
    /// The shared runner pool.
    #[serde(default)]
    pub runners: RunnersSpec,
    /// How long stages of each kind take.
    #[serde(default)]
    pub stages: StagesSpec,
    /// How the organisation works.
    #[serde(default)]
    pub operation: OperationSpec,
    /// Settings of the control loop that are no knobs; left out where all are as usual.
    #[serde(default, skip_serializing_if = "ControlSpec::is_usual")]
    pub control: ControlSpec,
    /// The channels through which adapting can pay.
    #[serde(default)]
    pub dials: DialsSpec,
}

fn default_days() -> u32 {
    28
}

fn default_history_days() -> u32 {
    14
}

fn default_price_book() -> String {
    "default".to_owned()
}

/// A checked scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    spec: ScenarioSpec,
    prices: PriceBook,
}

impl Scenario {
    /// Parses and checks a scenario; `path` is for messages. `overrides` are
    /// `key.path=value` in TOML syntax, each of which must name an existing key.
    pub fn parse(path: &str, text: &str, overrides: &[String]) -> Result<Self, ScenarioError> {
        let spec: ScenarioSpec = toml::from_str(text).map_err(|source| ScenarioError::Syntax {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        let spec = overridden(path, spec, overrides)?;
        Self::checked(path, spec).map_err(|mut error| {
            if let ScenarioError::Value { line, key, .. } = &mut error
                && !overrides
                    .iter()
                    .any(|text| text.trim().starts_with(key.as_str()))
            {
                *line = line_of(text, key);
            }
            error
        })
    }

    /// Checks a spec.
    pub fn checked(path: &str, spec: ScenarioSpec) -> Result<Self, ScenarioError> {
        let prices = prices_of(path, &spec)?;
        match spec.problems().into_iter().next() {
            Some(problem) => Err(ScenarioError::Value {
                path: path.to_owned(),
                line: None,
                key: problem.key,
                found: problem.found,
                allowed: problem.allowed,
            }),
            None => Ok(Self { spec, prices }),
        }
    }

    /// What was written.
    pub fn spec(&self) -> &ScenarioSpec {
        &self.spec
    }

    /// The prices in force.
    pub fn prices(&self) -> &PriceBook {
        &self.prices
    }

    /// The spec with every price spelled out.
    pub fn resolved(&self) -> ScenarioSpec {
        ScenarioSpec {
            prices: table_of(&self.prices),
            ..self.spec.clone()
        }
    }

    /// The whole resolved scenario as TOML, written beside results.
    pub fn to_toml(&self) -> String {
        toml::to_string(&self.resolved()).expect("a spec is made of plain values")
    }
}

/// The line on which the value of a dotted key stands, if it does.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let document = toml::de::DeTable::parse(text).ok()?.into_inner();
    // Some checks are of a property of the value: `services.tiers (length)`.
    let key = key.split(' ').next()?;
    let mut parts = key.split('.');
    let mut value = document.get(parts.next()?)?;
    for part in parts {
        value = value.get_ref().as_table()?.get(part)?;
    }
    Some(text[..value.span().start].matches('\n').count() + 1)
}

/// Growth and its steps may multiply a level by so much, or its inverse, in the
/// whole of a scenario: beyond it loads and durations leave the range of a float.
const GROWTH_MAX: f64 = 1e4;
/// Minutes of load that a record may hold; four bytes each.
const LOAD_MINUTES_MAX: f64 = 4e8;
/// Events that a record may hold.
const EVENTS_MAX: f64 = 5e7;

impl ScenarioSpec {
    /// Every value outside its range, in the order of the sections.
    fn problems(&self) -> Vec<ranges::Problem> {
        let mut ranges = Ranges::new();
        ranges.count(
            "format_version",
            self.format_version,
            FORMAT_VERSION,
            FORMAT_VERSION,
        );
        ranges.count("days", self.days, 1, 3660);
        ranges.count("history_days", self.history_days, 1, 366);
        self.services.check(ranges.section("services"));
        self.traffic.check(ranges.section("traffic"));
        self.commits.check(ranges.section("commits"));
        self.releases.check(ranges.section("releases"));
        self.dependencies.check(ranges.section("dependencies"));
        self.suite.check(ranges.section("suite"));
        self.incidents.check(ranges.section("incidents"));
        self.calendar.check(ranges.section("calendar"));
        self.telemetry.check(ranges.section("telemetry"));
        self.runners.check(ranges.section("runners"));
        self.stages.check(ranges.section("stages"));
        self.operation.check(ranges.section("operation"));
        self.control.check(ranges.section("control"));
        self.dials.check(ranges.section("dials"));
        if ranges.problems.is_empty() {
            self.check_size(ranges.section(""));
        }
        ranges.problems
    }

    /// Values that are possible alone and impossible together.
    fn check_size(&self, ranges: &mut Ranges) {
        let days = f64::from(self.days) + f64::from(self.history_days);
        let services = f64::from(self.services.count);
        let weeks = days / 7.0;
        let mut growths = vec![
            (
                "traffic.growth_per_week".to_owned(),
                self.traffic.growth_per_week,
            ),
            (
                "suite.growth_per_week".to_owned(),
                self.suite.growth_per_week,
            ),
        ];
        for (index, class) in self.traffic.classes.iter().enumerate() {
            let key = format!("traffic.classes[{index}].growth_per_week");
            growths.extend(class.growth_per_week.map(|growth| (key, growth)));
        }
        for (key, growth) in growths {
            let most = (GROWTH_MAX.ln() / weeks).exp_m1();
            let least = (-GROWTH_MAX.ln() / weeks).exp_m1();
            if !(growth >= least && growth <= most) {
                ranges.refuse(
                    &key,
                    growth.to_string(),
                    format!("{least:.4} to {most:.4} over {days} days"),
                );
            }
        }
        let minutes = services * days * 1440.0;
        if minutes > LOAD_MINUTES_MAX {
            ranges.refuse(
                "services.count x days",
                format!("{minutes:.0} minutes of load"),
                format!("up to {LOAD_MINUTES_MAX:.0}"),
            );
        }
        for (key, a_day) in [
            ("commits.per_week", self.commits.per_week / 7.0),
            ("suite.runs_per_day", self.suite.runs_per_day),
            (
                "dependencies.upstream_per_week",
                self.dependencies.upstream_per_week / 7.0,
            ),
            (
                "dependencies.advisories_per_month",
                self.dependencies.advisories_per_month / 30.0,
            ),
            (
                "dependencies.bulk_days_per_year x bulk_size",
                self.dependencies.bulk_days_per_year * self.dependencies.bulk_size / 365.0,
            ),
            (
                "traffic.bursts_per_week",
                self.traffic.most_bursts_per_week() / 7.0,
            ),
            ("incidents.per_month", self.incidents.per_month / 30.0),
        ] {
            let events = services * days * a_day;
            if events > EVENTS_MAX {
                ranges.refuse(
                    &format!("{key} x services.count x days"),
                    format!("{events:.0} events"),
                    format!("up to {EVENTS_MAX:.0}"),
                );
            }
        }
    }
}
