//! The metrics prestage observes, with Prometheus names and units.
//!
//! A new metric is one variant and one line in [`METRICS`]; both orders must agree.
use std::fmt;

use serde::{Deserialize, Serialize};

/// What is measured. The discriminant indexes [`METRICS`] and the tail's columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Metric {
    /// Incoming requests.
    RequestsPerSecond,
    /// Ready replicas of a service.
    Replicas,
    /// One sample for each commit; the value is how many it stands for.
    CommitsTotal,
    /// One sample for each release.
    ReleasesTotal,
    /// One sample for each dependency that changed version.
    DependencyUpdatesTotal,
    /// One sample for each published advisory.
    AdvisoriesTotal,
    /// One sample for each release of a dependency by its authors.
    UpstreamReleasesTotal,
    /// How long a test suite ran.
    TestSuiteSeconds,
    /// Parallel shards the test suite is split into.
    TestShards,
    /// Busy share of the runner pool, 0 to 1.
    RunnerUtilizationRatio,
    /// Jobs waiting for a runner.
    RunnerQueueLength,
    /// Failed requests.
    ErrorsPerSecond,
    /// Request latency.
    LatencySeconds,
    /// 1 while releases are frozen, else 0.
    ReleaseFreeze,
    /// 1 while an incident is open, else 0.
    IncidentOpen,
    /// Share of the processing capacity in use, 0 to 1.
    CpuUtilizationRatio,
    /// Share of the memory in use, 0 to 1.
    MemoryUtilizationRatio,
    /// Payload received and sent.
    NetworkBytesPerSecond,
    /// One sample for each deployment to production.
    DeploymentsTotal,
    /// How long a build ran.
    BuildSeconds,
    /// One sample for each failed build.
    BuildFailuresTotal,
}

/// How the samples of a metric are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricKind {
    /// The value holds from its time until the next sample.
    Gauge,
    /// Each sample is something that happened at its time; the value counts it.
    Event,
    /// Each sample is one measurement of a distribution.
    Sample,
}

/// A metric's entry in the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricInfo {
    /// The metric.
    pub metric: Metric,
    /// Prometheus name.
    pub name: &'static str,
    /// Unit of the values, singular form of the quantity (`1/s`, `s`, `ratio`, `count`).
    pub unit: &'static str,
    /// How samples are to be read.
    pub kind: MetricKind,
    /// One line for `prestage list metrics`.
    pub about: &'static str,
}

/// Every metric, in the order of its discriminant.
pub const METRICS: [MetricInfo; 21] = {
    use Metric::*;
    use MetricKind::*;
    [
        entry(
            RequestsPerSecond,
            "requests_per_second",
            "1/s",
            Gauge,
            "incoming requests",
        ),
        entry(Replicas, "replicas", "count", Gauge, "ready replicas"),
        entry(
            CommitsTotal,
            "commits_total",
            "count",
            Event,
            "commits on the main line",
        ),
        entry(
            ReleasesTotal,
            "releases_total",
            "count",
            Event,
            "releases of the service",
        ),
        entry(
            DependencyUpdatesTotal,
            "dependency_updates_total",
            "count",
            Event,
            "dependencies that changed version",
        ),
        entry(
            AdvisoriesTotal,
            "advisories_total",
            "count",
            Event,
            "published advisories",
        ),
        entry(
            UpstreamReleasesTotal,
            "upstream_releases_total",
            "count",
            Event,
            "releases of a dependency by its authors",
        ),
        entry(
            TestSuiteSeconds,
            "test_suite_seconds",
            "s",
            Sample,
            "duration of a test suite run",
        ),
        entry(
            TestShards,
            "test_shards",
            "count",
            Gauge,
            "parallel shards of the test suite",
        ),
        entry(
            RunnerUtilizationRatio,
            "runner_utilization_ratio",
            "ratio",
            Gauge,
            "busy share of the runner pool",
        ),
        entry(
            RunnerQueueLength,
            "runner_queue_length",
            "count",
            Gauge,
            "jobs waiting for a runner",
        ),
        entry(
            ErrorsPerSecond,
            "errors_per_second",
            "1/s",
            Gauge,
            "failed requests",
        ),
        entry(
            LatencySeconds,
            "latency_seconds",
            "s",
            Sample,
            "request latency",
        ),
        entry(
            ReleaseFreeze,
            "release_freeze",
            "flag",
            Gauge,
            "1 while releases are frozen",
        ),
        entry(
            IncidentOpen,
            "incident_open",
            "flag",
            Gauge,
            "1 while an incident is open",
        ),
        entry(
            CpuUtilizationRatio,
            "cpu_utilization_ratio",
            "ratio",
            Gauge,
            "share of the processing capacity in use",
        ),
        entry(
            MemoryUtilizationRatio,
            "memory_utilization_ratio",
            "ratio",
            Gauge,
            "share of the memory in use",
        ),
        entry(
            NetworkBytesPerSecond,
            "network_bytes_per_second",
            "By/s",
            Gauge,
            "payload received and sent",
        ),
        entry(
            DeploymentsTotal,
            "deployments_total",
            "count",
            Event,
            "deployments to production",
        ),
        entry(
            BuildSeconds,
            "build_seconds",
            "s",
            Sample,
            "duration of a build",
        ),
        entry(
            BuildFailuresTotal,
            "build_failures_total",
            "count",
            Event,
            "builds that failed",
        ),
    ]
};

impl Metric {
    /// How many metrics there are.
    pub const COUNT: usize = METRICS.len();

    /// Position in [`METRICS`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The entry in the registry.
    pub const fn info(self) -> &'static MetricInfo {
        &METRICS[self.index()]
    }

    /// Prometheus name, such as `requests_per_second`.
    pub const fn name(self) -> &'static str {
        self.info().name
    }

    /// Unit of the values.
    pub const fn unit(self) -> &'static str {
        self.info().unit
    }

    /// How samples are to be read.
    pub const fn kind(self) -> MetricKind {
        self.info().kind
    }

    /// The metric with this Prometheus name.
    pub fn from_name(name: &str) -> Option<Self> {
        METRICS
            .iter()
            .find(|entry| entry.name == name)
            .map(|entry| entry.metric)
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

const fn entry(
    metric: Metric,
    name: &'static str,
    unit: &'static str,
    kind: MetricKind,
    about: &'static str,
) -> MetricInfo {
    MetricInfo {
        metric,
        name,
        unit,
        kind,
        about,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registry_is_in_discriminant_order_and_names_agree_with_serde() {
        for (index, entry) in METRICS.iter().enumerate() {
            assert_eq!(entry.metric.index(), index);
            assert_eq!(Metric::from_name(entry.name), Some(entry.metric));
            let json = serde_json::to_string(&entry.metric).unwrap();
            assert_eq!(json, format!("\"{}\"", entry.name));
        }
        assert_eq!(Metric::from_name("requests"), None);
    }

    #[test]
    fn names_end_as_prometheus_asks() {
        for entry in METRICS {
            let is_total = entry.name.ends_with("_total");
            assert_eq!(is_total, entry.kind == MetricKind::Event, "{}", entry.name);
            assert_eq!(
                entry.name.ends_with("_seconds"),
                entry.unit == "s",
                "{}",
                entry.name
            );
        }
    }
}
