//! `world.json`: what a history is made of.
//!
//! Every key is typed and unknown keys are refused; keys that only say where the data
//! came from are optional and kept.
use serde::{Deserialize, Serialize};

use super::Error;
use super::table::EPOCHS;

/// Version of the format this crate writes, and the only one it reads so far.
pub const FORMAT_VERSION: u32 = 1;

/// `world.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorldMeta {
    /// Version of the history format; absent means 1.
    #[serde(default = "first_version")]
    pub format_version: u32,
    /// Name of the world.
    pub world: String,
    /// Short name of the repository the streams of commits and releases come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo: Option<String>,
    /// Where that repository is, and its license.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo_source: Option<String>,
    /// How the world was put together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// First epoch second a replay may cover.
    pub replay_start: i64,
    /// Epoch second after the last one a replay may cover.
    pub replay_end: i64,
    /// One entry for each traffic series.
    pub services: Vec<ServiceMeta>,
    /// Of `ci_runs.csv`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci: Option<CiMeta>,
    /// Of `commits.csv`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commits: Option<RowCount>,
    /// Of `releases.csv`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub releases: Option<RowCount>,
    /// Of `deps.csv`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deps: Option<RowCount>,
    /// Of `advisories.csv`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advisories: Option<AdvisoriesMeta>,
}

/// One traffic series.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceMeta {
    /// Name of the service.
    pub service: String,
    /// What was measured, in the words of the source.
    pub metric: String,
    /// Unit of the values, in the words of the source.
    pub unit: String,
    /// Nominal distance of two samples, seconds.
    pub step_s: i64,
    /// Rows in `traffic.csv`; checked when present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Rows of the source that were left out because their time occurred twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicates_dropped: Option<u64>,
    /// Gaps in the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gaps: Option<u64>,
    /// First original epoch second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orig_start: Option<i64>,
    /// Last original epoch second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orig_end: Option<i64>,
    /// Seconds by which the series was moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shift_s: Option<i64>,
    /// Whether anomalies are labelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labelled: Option<bool>,
    /// Samples labelled anomalous.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anomaly_points: Option<u64>,
    /// Where the series comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Its license. The key is spelled as in the published worlds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
}

/// Number of rows of a file, without the header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowCount {
    /// Rows.
    pub rows: u64,
}

/// What `world.json` says of `advisories.csv`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdvisoriesMeta {
    /// Rows.
    pub rows: u64,
    /// Advisories the repository was exposed to when they were published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposed: Option<u64>,
    /// Of those, how many were fixed within the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed: Option<u64>,
}

/// What `world.json` says of `ci_runs.csv`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CiMeta {
    /// Rows.
    pub rows: u64,
    /// Where the runs come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Their license.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// Seconds by which the runs were moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shift_s: Option<i64>,
    /// What one row stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granularity: Option<String>,
}

impl WorldMeta {
    /// A world without services or provenance.
    pub fn new(world: &str, replay_start: i64, replay_end: i64) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            world: world.to_owned(),
            repo: None,
            repo_source: None,
            note: None,
            replay_start,
            replay_end,
            services: Vec::new(),
            ci: None,
            commits: None,
            releases: None,
            deps: None,
            advisories: None,
        }
    }

    pub(super) fn validate(&self, path: &str) -> Result<(), Error> {
        let refuse = |key: &str, found: String, allowed: String| Error::WorldValue {
            path: path.to_owned(),
            key: key.to_owned(),
            found,
            allowed,
        };
        if self.format_version != FORMAT_VERSION {
            let found = self.format_version.to_string();
            return Err(refuse("format_version", found, FORMAT_VERSION.to_string()));
        }
        for (key, epoch) in [
            ("replay_start", self.replay_start),
            ("replay_end", self.replay_end),
        ] {
            if !EPOCHS.contains(&epoch) {
                let allowed = format!("{} to {}", EPOCHS.start(), EPOCHS.end());
                return Err(refuse(key, epoch.to_string(), allowed));
            }
        }
        if self.replay_end <= self.replay_start {
            let allowed = format!("greater than `replay_start` = {}", self.replay_start);
            return Err(refuse("replay_end", self.replay_end.to_string(), allowed));
        }
        for (index, service) in self.services.iter().enumerate() {
            if service.step_s <= 0 {
                let key = format!("services[{index}].step_s");
                return Err(refuse(
                    &key,
                    service.step_s.to_string(),
                    "at least 1".to_owned(),
                ));
            }
            let is_same = |other: &ServiceMeta| {
                (&other.service, &other.metric) == (&service.service, &service.metric)
            };
            if self.services[..index].iter().any(is_same) {
                let key = format!("services[{index}]");
                let found = format!(
                    "a second `{}` with metric `{}`",
                    service.service, service.metric
                );
                return Err(refuse(
                    &key,
                    found,
                    "one entry for each service and metric".to_owned(),
                ));
            }
        }
        Ok(())
    }
}

fn first_version() -> u32 {
    1
}
