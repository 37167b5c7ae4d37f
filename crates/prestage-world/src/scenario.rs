//! A synthetic world as a file: read into a spec, checked into a [`Scenario`].
//!
//! Every key has a unit in its name and a default where one makes sense; unknown
//! keys and impossible values are refused with the key, what was found and what
//! is allowed.
use prestage_controller::{NeedType, PRICE_BOOKS, PriceBook};
use serde::{Deserialize, Serialize};

use crate::scenario_error::{ScenarioError, nearest};

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
    /// The shared runner pool.
    #[serde(default)]
    pub runners: RunnersSpec,
    /// How long stages of each kind take.
    #[serde(default)]
    pub stages: StagesSpec,
    /// How the organisation works.
    #[serde(default)]
    pub operation: OperationSpec,
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

/// Services.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServicesSpec {
    /// How many; each has all four cells.
    pub count: u32,
    /// Tiers (1, 2 or 3), taken in turn.
    pub tiers: Vec<u8>,
}

impl Default for ServicesSpec {
    fn default() -> Self {
        Self {
            count: 4,
            tiers: vec![1, 2, 2, 3],
        }
    }
}

/// Requests: base x trend x day x week x burst x lognormal noise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrafficSpec {
    /// Mean load of a service, requests a second.
    pub base_rps: f64,
    /// Spread of the base between services (standard deviation of its log).
    pub base_sigma: f64,
    /// What one replica is rated for, requests a second.
    pub rated_rps: f64,
    /// Log amplitude of the daily wave.
    pub daily_amplitude: f64,
    /// Load at weekends over load on weekdays.
    pub weekend_factor: f64,
    /// Growth a week; 0.02 is 2 %.
    pub growth_per_week: f64,
    /// Standard deviation of the log noise.
    pub noise_sigma: f64,
    /// Half-life of its correlation, minutes.
    pub noise_half_life_minutes: f64,
    /// Bursts a week and service.
    pub bursts_per_week: f64,
    /// Median height of a burst over the load.
    pub burst_factor: f64,
    /// Half-life of a burst, minutes.
    pub burst_minutes: f64,
}

impl Default for TrafficSpec {
    fn default() -> Self {
        Self {
            base_rps: 400.0,
            base_sigma: 0.5,
            rated_rps: 50.0,
            daily_amplitude: 0.45,
            weekend_factor: 0.65,
            growth_per_week: 0.0,
            noise_sigma: 0.08,
            noise_half_life_minutes: 30.0,
            bursts_per_week: 2.0,
            burst_factor: 1.6,
            burst_minutes: 40.0,
        }
    }
}

/// Commits and the builds they start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CommitsSpec {
    /// Commits a week and service.
    pub per_week: f64,
    /// Share that falls into working hours.
    pub working_share: f64,
    /// Gamma shape of the day-to-day multiplier; small is over-dispersed.
    pub dispersion: f64,
    /// Median build, minutes on one runner.
    pub build_minutes: f64,
    /// Standard deviation of its log.
    pub build_sigma: f64,
}

impl Default for CommitsSpec {
    fn default() -> Self {
        Self {
            per_week: 60.0,
            working_share: 0.8,
            dispersion: 2.0,
            build_minutes: 14.0,
            build_sigma: 0.7,
        }
    }
}

/// Feature releases, cut from commits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReleasesSpec {
    /// Mean time between releases, days.
    pub mean_days: f64,
    /// Gamma shape of that time: 1 is memoryless, 20 a train.
    pub regularity: f64,
    /// Fewest commits worth a release.
    pub min_commits: u32,
}

impl Default for ReleasesSpec {
    fn default() -> Self {
        Self {
            mean_days: 3.5,
            regularity: 4.0,
            min_commits: 5,
        }
    }
}

/// Dependencies: what upstream does and how soon it must be followed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DependenciesSpec {
    /// Upstream releases that will be adopted, a week and service.
    pub upstream_per_week: f64,
    /// Median time to their adoption, hours.
    pub adoption_hours: f64,
    /// Standard deviation of its log.
    pub adoption_sigma: f64,
    /// Advisories that hit a service, a month.
    pub advisories_per_month: f64,
    /// Median time from publication until the fix is wanted, hours.
    pub triage_hours: f64,
    /// Probability that an open advisory is exploited within 30 days.
    pub exploit_probability_30d: f64,
}

impl Default for DependenciesSpec {
    fn default() -> Self {
        Self {
            upstream_per_week: 1.0,
            adoption_hours: 20.0,
            adoption_sigma: 0.8,
            advisories_per_month: 1.0,
            triage_hours: 3.0,
            exploit_probability_30d: 0.02,
        }
    }
}

/// Test suites.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SuiteSpec {
    /// Runs a day and service.
    pub runs_per_day: f64,
    /// Duration on one shard at the start, minutes.
    pub minutes: f64,
    /// Standard deviation of its log from run to run.
    pub sigma: f64,
    /// Growth a week.
    pub growth_per_week: f64,
    /// Steps (a new group of tests) a month.
    pub steps_per_month: f64,
    /// Median size of a step.
    pub step_factor: f64,
    /// Longest time one shard may take, minutes.
    pub budget_minutes: f64,
}

impl Default for SuiteSpec {
    fn default() -> Self {
        Self {
            runs_per_day: 8.0,
            minutes: 40.0,
            sigma: 0.12,
            growth_per_week: 0.03,
            steps_per_month: 2.0,
            step_factor: 1.12,
            budget_minutes: 15.0,
        }
    }
}

/// The shared runner pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunnersSpec {
    /// Jobs that run at once.
    pub count: u32,
}

impl Default for RunnersSpec {
    fn default() -> Self {
        Self { count: 4 }
    }
}

/// One kind of stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageSpec {
    /// Median validation, minutes on one runner.
    pub validate_minutes: f64,
    /// Median wait for a reviewer in working hours, minutes.
    pub review_minutes: f64,
    /// Median time until what it brings is usable, minutes.
    pub provision_minutes: f64,
}

/// All kinds of stages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StagesSpec {
    /// Scale-out with verification.
    pub scaling: StageSpec,
    /// Release canary.
    pub feature_release: StageSpec,
    /// Dependency update with audit and regression.
    pub dependency_update: StageSpec,
    /// Test re-sharding.
    pub test_suite: StageSpec,
}

impl Default for StagesSpec {
    fn default() -> Self {
        let stage = |validate_minutes, review_minutes, provision_minutes| StageSpec {
            validate_minutes,
            review_minutes,
            provision_minutes,
        };
        Self {
            scaling: stage(3.0, 2.0, 2.0),
            feature_release: stage(12.0, 25.0, 0.5),
            dependency_update: stage(18.0, 20.0, 0.5),
            test_suite: stage(25.0, 20.0, 0.5),
        }
    }
}

impl StagesSpec {
    /// The kind that serves a need type.
    pub fn of(&self, need: NeedType) -> &StageSpec {
        match need {
            NeedType::Scaling => &self.scaling,
            NeedType::FeatureRelease => &self.feature_release,
            NeedType::DependencyUpdate => &self.dependency_update,
            NeedType::TestSuite => &self.test_suite,
        }
    }
}

/// How the organisation works.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OperationSpec {
    /// Chance that one commit breaks a stage staged before it.
    pub drift_per_commit: f64,
    /// Time a lower load must last before replicas are taken away, minutes.
    pub stabilization_minutes: u32,
    /// Fewest replicas ever run.
    pub min_replicas: u32,
    /// Replicas a scale-out on demand adds, as a share of those that run.
    pub scale_out_share: f64,
    /// Reviews outside working hours take this many times as long.
    pub off_hours_review_factor: f64,
    /// Reviews that a blocked pipeline waits for take this share of the time.
    pub urgent_review_factor: f64,
    /// Median time a person needs to write a stage by hand, minutes.
    pub hand_written_minutes: f64,
    /// Runner minutes an hour that keep a ready stage validated.
    pub upkeep_minutes_per_hour: f64,
    /// Runner minutes of retraining one model.
    pub retrain_minutes: f64,
    /// People a blocked release, update and test suite keep waiting in working hours.
    pub people_waiting: [f64; 3],
    /// People waiting outside working hours over those inside.
    pub off_hours_people_factor: f64,
}

impl Default for OperationSpec {
    fn default() -> Self {
        Self {
            drift_per_commit: 0.02,
            stabilization_minutes: 180,
            min_replicas: 2,
            scale_out_share: 0.25,
            off_hours_review_factor: 3.0,
            urgent_review_factor: 0.6,
            hand_written_minutes: 45.0,
            upkeep_minutes_per_hour: 0.5,
            retrain_minutes: 2.0,
            people_waiting: [4.0, 2.0, 3.0],
            off_hours_people_factor: 0.3,
        }
    }
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
        let problems = problems(&spec);
        match problems.into_iter().next() {
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

fn prices_of(path: &str, spec: &ScenarioSpec) -> Result<PriceBook, ScenarioError> {
    let book = PRICE_BOOKS
        .iter()
        .find(|book| book.name == spec.price_book)
        .ok_or_else(|| {
            let known: Vec<&str> = PRICE_BOOKS.iter().map(|book| book.name).collect();
            ScenarioError::Value {
                path: path.to_owned(),
                line: None,
                key: "price_book".to_owned(),
                found: format!("\"{}\"", spec.price_book),
                allowed: format!("one of {}", known.join(", ")),
            }
        })?;
    let mut table = table_of(&(book.build)());
    table.extend(spec.prices.clone());
    let prices: PriceBook = table.try_into().map_err(|source| ScenarioError::Prices {
        path: path.to_owned(),
        source: Box::new(source),
    })?;
    prices.validate().map_err(|error| ScenarioError::Value {
        path: path.to_owned(),
        line: None,
        key: format!("prices.{}", error.key),
        found: error.found.to_string(),
        allowed: "a finite number of at least 0".to_owned(),
    })?;
    Ok(prices)
}

/// Applies `--set` overrides: the key must exist and the type must fit.
fn overridden(
    path: &str,
    mut spec: ScenarioSpec,
    overrides: &[String],
) -> Result<ScenarioSpec, ScenarioError> {
    if overrides.is_empty() {
        return Ok(spec);
    }
    // The price book first: single prices replace those of the book that is chosen.
    let (prices, others): (Vec<&String>, Vec<&String>) = overrides
        .iter()
        .partition(|text| text.trim_start().starts_with("prices."));
    let mut table = toml::Table::try_from(&spec).expect("a spec is made of plain values");
    for text in others {
        set(&mut table, text)?;
    }
    if !prices.is_empty() {
        spec = typed(table, overrides)?;
        spec.prices = table_of(&prices_of(path, &spec)?);
        table = toml::Table::try_from(&spec).expect("a spec is made of plain values");
        for text in prices {
            set(&mut table, text)?;
        }
    }
    typed(table, overrides)
}

fn table_of(prices: &PriceBook) -> toml::Table {
    toml::Table::try_from(prices).expect("prices are plain values")
}

fn typed(table: toml::Table, overrides: &[String]) -> Result<ScenarioSpec, ScenarioError> {
    table
        .try_into()
        .map_err(|source: toml::de::Error| ScenarioError::Override {
            text: overrides.join(" "),
            problem: source.message().to_owned(),
            hint: "the value must have the type that the scenario has there".to_owned(),
        })
}

fn set(table: &mut toml::Table, text: &str) -> Result<(), ScenarioError> {
    let refuse = |problem: String, hint: String| ScenarioError::Override {
        text: text.to_owned(),
        problem,
        hint,
    };
    let (key, value) = text.split_once('=').ok_or_else(|| {
        refuse(
            "has no `=`".to_owned(),
            "write --set key.path=value, for example --set days=7".to_owned(),
        )
    })?;
    let value = value.trim();
    // A bare word is a string: --set price_book=people-dear needs no quotes.
    let value = format!("v = {value}")
        .parse::<toml::Table>()
        .ok()
        .and_then(|mut table| table.remove("v"))
        .unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let mut place = table;
    let parts: Vec<&str> = key.trim().split('.').collect();
    for (depth, part) in parts.iter().enumerate() {
        let known: Vec<String> = place.keys().cloned().collect();
        let Some(found) = place.get_mut(*part) else {
            let hint = match nearest(part, &known) {
                Some(near) => format!("did you mean `{}`?", join(&parts[..depth], near)),
                None => format!("known here: {}", known.join(", ")),
            };
            return Err(refuse(
                format!("there is no key `{}`", join(&parts[..depth], part)),
                hint,
            ));
        };
        if depth + 1 == parts.len() {
            *found = coerced(found, value);
            return Ok(());
        }
        place = found.as_table_mut().ok_or_else(|| {
            refuse(
                format!("`{}` is a value, not a section", parts[..=depth].join(".")),
                format!("write --set {}=VALUE", parts[..=depth].join(".")),
            )
        })?;
    }
    Ok(())
}

/// An integer where a float stands is a float: `--set traffic.base_rps=300`.
fn coerced(old: &toml::Value, new: toml::Value) -> toml::Value {
    match (old, new) {
        (toml::Value::Float(_), toml::Value::Integer(whole)) => toml::Value::Float(whole as f64),
        (_, new) => new,
    }
}

fn join(parts: &[&str], last: &str) -> String {
    let mut path: Vec<&str> = parts.to_vec();
    path.push(last);
    path.join(".")
}

struct Problem {
    key: String,
    found: String,
    allowed: String,
}

/// Every value outside its range.
fn problems(spec: &ScenarioSpec) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut number = |key: &str, value: f64, low: f64, high: f64| {
        // NaN fails the comparison and is refused with the rest.
        if !(value >= low && value <= high) {
            problems.push(Problem {
                key: key.to_owned(),
                found: value.to_string(),
                allowed: format!("{low} to {high}"),
            });
        }
    };
    number(
        "format_version",
        f64::from(spec.format_version),
        f64::from(FORMAT_VERSION),
        f64::from(FORMAT_VERSION),
    );
    number("days", f64::from(spec.days), 1.0, 3660.0);
    number("history_days", f64::from(spec.history_days), 1.0, 366.0);
    number(
        "services.count",
        f64::from(spec.services.count),
        1.0,
        10_000.0,
    );
    number(
        "services.tiers (length)",
        spec.services.tiers.len() as f64,
        1.0,
        10_000.0,
    );
    for &tier in &spec.services.tiers {
        number("services.tiers", f64::from(tier), 1.0, 3.0);
    }
    let traffic = &spec.traffic;
    number("traffic.base_rps", traffic.base_rps, 0.001, 1e9);
    number("traffic.base_sigma", traffic.base_sigma, 0.0, 3.0);
    number("traffic.rated_rps", traffic.rated_rps, 0.001, 1e9);
    number(
        "traffic.base_rps / traffic.rated_rps",
        traffic.base_rps / traffic.rated_rps,
        0.0,
        10_000.0,
    );
    number("traffic.daily_amplitude", traffic.daily_amplitude, 0.0, 3.0);
    number("traffic.weekend_factor", traffic.weekend_factor, 0.01, 10.0);
    number(
        "traffic.growth_per_week",
        traffic.growth_per_week,
        -0.5,
        0.5,
    );
    number("traffic.noise_sigma", traffic.noise_sigma, 0.0, 2.0);
    number(
        "traffic.noise_half_life_minutes",
        traffic.noise_half_life_minutes,
        1.0,
        10_080.0,
    );
    number(
        "traffic.bursts_per_week",
        traffic.bursts_per_week,
        0.0,
        500.0,
    );
    number("traffic.burst_factor", traffic.burst_factor, 1.0, 20.0);
    number(
        "traffic.burst_minutes",
        traffic.burst_minutes,
        1.0,
        10_080.0,
    );
    let commits = &spec.commits;
    number("commits.per_week", commits.per_week, 0.0, 10_000.0);
    number("commits.working_share", commits.working_share, 0.0, 1.0);
    number("commits.dispersion", commits.dispersion, 0.05, 1000.0);
    number("commits.build_minutes", commits.build_minutes, 0.1, 1440.0);
    number("commits.build_sigma", commits.build_sigma, 0.0, 2.0);
    number("releases.mean_days", spec.releases.mean_days, 0.05, 3660.0);
    number("releases.regularity", spec.releases.regularity, 0.1, 1000.0);
    number(
        "releases.min_commits",
        f64::from(spec.releases.min_commits),
        0.0,
        10_000.0,
    );
    let dependencies = &spec.dependencies;
    number(
        "dependencies.upstream_per_week",
        dependencies.upstream_per_week,
        0.0,
        1000.0,
    );
    number(
        "dependencies.adoption_hours",
        dependencies.adoption_hours,
        0.01,
        10_000.0,
    );
    number(
        "dependencies.adoption_sigma",
        dependencies.adoption_sigma,
        0.0,
        3.0,
    );
    number(
        "dependencies.advisories_per_month",
        dependencies.advisories_per_month,
        0.0,
        1000.0,
    );
    number(
        "dependencies.triage_hours",
        dependencies.triage_hours,
        0.01,
        10_000.0,
    );
    number(
        "dependencies.exploit_probability_30d",
        dependencies.exploit_probability_30d,
        0.0,
        0.999,
    );
    let suite = &spec.suite;
    number("suite.runs_per_day", suite.runs_per_day, 0.0, 1000.0);
    number("suite.minutes", suite.minutes, 0.01, 10_000.0);
    number("suite.sigma", suite.sigma, 0.0, 2.0);
    number("suite.growth_per_week", suite.growth_per_week, -0.5, 0.5);
    number("suite.steps_per_month", suite.steps_per_month, 0.0, 100.0);
    number("suite.step_factor", suite.step_factor, 1.0, 10.0);
    number("suite.budget_minutes", suite.budget_minutes, 0.01, 10_000.0);
    number(
        "runners.count",
        f64::from(spec.runners.count),
        1.0,
        100_000.0,
    );
    for need in NeedType::ALL {
        let stage = spec.stages.of(need);
        number(
            &format!("stages.{need}.validate_minutes"),
            stage.validate_minutes,
            0.01,
            1440.0,
        );
        number(
            &format!("stages.{need}.review_minutes"),
            stage.review_minutes,
            0.0,
            10_080.0,
        );
        number(
            &format!("stages.{need}.provision_minutes"),
            stage.provision_minutes,
            0.0,
            1440.0,
        );
    }
    let operation = &spec.operation;
    number(
        "operation.drift_per_commit",
        operation.drift_per_commit,
        0.0,
        1.0,
    );
    number(
        "operation.stabilization_minutes",
        f64::from(operation.stabilization_minutes),
        1.0,
        10_080.0,
    );
    number(
        "operation.min_replicas",
        f64::from(operation.min_replicas),
        1.0,
        10_000.0,
    );
    number(
        "operation.scale_out_share",
        operation.scale_out_share,
        0.0,
        10.0,
    );
    number(
        "operation.off_hours_review_factor",
        operation.off_hours_review_factor,
        0.1,
        100.0,
    );
    number(
        "operation.urgent_review_factor",
        operation.urgent_review_factor,
        0.0,
        10.0,
    );
    number(
        "operation.hand_written_minutes",
        operation.hand_written_minutes,
        0.0,
        10_080.0,
    );
    number(
        "operation.upkeep_minutes_per_hour",
        operation.upkeep_minutes_per_hour,
        0.0,
        60.0,
    );
    number(
        "operation.retrain_minutes",
        operation.retrain_minutes,
        0.0,
        1440.0,
    );
    for people in operation.people_waiting {
        number("operation.people_waiting", people, 0.0, 10_000.0);
    }
    number(
        "operation.off_hours_people_factor",
        operation.off_hours_people_factor,
        0.0,
        10.0,
    );
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str =
        "format_version = 1\nname = \"small\"\nfamily = \"test\"\nabout = \"a test\"\n";

    fn refused(text: &str, overrides: &[&str], parts: &[&str]) {
        let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
        let error = Scenario::parse("s.toml", text, &overrides)
            .expect_err("must be refused")
            .to_string();
        for part in parts {
            assert!(error.contains(part), "`{part}` is missing in: {error}");
        }
    }

    #[test]
    fn defaults_make_a_whole_scenario() {
        let scenario = Scenario::parse("s.toml", SMALL, &[]).unwrap();
        assert_eq!(scenario.spec().days, 28);
        let again = Scenario::parse("s.toml", &scenario.to_toml(), &[]).unwrap();
        assert_eq!(again.to_toml(), scenario.to_toml());
    }

    #[test]
    fn bad_files_name_path_line_and_key() {
        refused(
            &format!("{SMALL}dayz = 3\n"),
            &[],
            &["s.toml", "line 5", "dayz", "days"],
        );
        refused(
            &format!("{SMALL}days = \"x\"\n"),
            &[],
            &["s.toml", "line 5", "days"],
        );
        refused(
            &format!("{SMALL}days = 0\n"),
            &[],
            &["s.toml", "`days` is 0", "1 to 3660"],
        );
        refused(
            &format!("{SMALL}[traffic]\nbase_rps = nan\n"),
            &[],
            &["traffic.base_rps", "NaN"],
        );
        refused(
            &format!("{SMALL}price_book = \"cheap\"\n"),
            &[],
            &["price_book", "people-dear"],
        );
        refused(
            &format!("{SMALL}[prices]\nrunner_minute = -2\n"),
            &[],
            &["prices.runner_minute"],
        );
    }

    #[test]
    fn overrides_must_name_existing_keys() {
        let set = |text: &str| Scenario::parse("s.toml", SMALL, &[text.to_owned()]);
        assert_eq!(set("services.count=9").unwrap().spec().services.count, 9);
        assert_eq!(
            set("traffic.base_rps=300").unwrap().spec().traffic.base_rps,
            300.0
        );
        assert_eq!(
            set("prices.person_minute=3")
                .unwrap()
                .prices()
                .person_minute,
            3.0
        );
        let both = ["prices.runner_minute=0.01", "price_book=people-dear"].map(str::to_owned);
        let both = Scenario::parse("s.toml", SMALL, &both).unwrap();
        assert_eq!(
            (both.prices().person_minute, both.prices().runner_minute),
            (4.5, 0.01)
        );
        let file = format!("{SMALL}price_book = \"people-dear\"\n[prices]\nrunner_minute = 0.01\n");
        let file = Scenario::parse("s.toml", &file, &[]).unwrap();
        assert_eq!(
            (file.prices().person_minute, file.prices().runner_minute),
            (4.5, 0.01)
        );
        refused(
            &format!("{SMALL}[prices]\nrunner_minit = 1.0\n"),
            &[],
            &["prices", "runner_minit"],
        );
        assert_eq!(
            set("price_book=people-dear")
                .unwrap()
                .prices()
                .person_minute,
            4.5
        );
        refused(
            SMALL,
            &["servces.count=9"],
            &["servces", "did you mean `services`"],
        );
        refused(
            SMALL,
            &["services.cuont=9"],
            &["services.cuont", "services.count"],
        );
        refused(SMALL, &["days"], &["has no `=`"]);
        refused(SMALL, &["days=many"], &["days"]);
        refused(SMALL, &["days.more=1"], &["`days` is a value"]);
    }
}
