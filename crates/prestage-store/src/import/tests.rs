//! Files of other tools, good and bad, and how importers share one history.
use std::fs;
use std::path::PathBuf;

use prestage_telemetry::history::{AdvisoryKind, DependencyChange, DependencyUpdate, Severity};
use tempfile::TempDir;

use super::*;

fn file(name: &str, text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    (folder, path)
}

fn traffic(text: &str) -> Result<Streams, Error> {
    let (_folder, path) = file("t.csv", text);
    let options = csv_traffic::TrafficOptions {
        service: "web".to_owned(),
        metric: "requests".to_owned(),
        unit: "req/min".to_owned(),
    };
    csv_traffic::import(&path, &options)
}

#[test]
fn traffic_in_any_order_with_offsets_and_repeats() {
    let streams = traffic(
        "value,time,service\n2,1970-01-01T01:01:00+01:00,\n1,0,\n3,120,\n9,120,\n4,600,\n5,60,api\n",
    )
    .unwrap();
    let (meta, series) = &streams.traffic[1];
    assert_eq!(
        (series.service.as_str(), series.metric.as_str(), meta.step_s),
        ("web", "requests", 60)
    );
    assert_eq!(series.times, [0, 60, 120, 600]);
    assert_eq!(series.values, [1.0, 2.0, 9.0, 4.0]);
    assert_eq!(
        streams.notes,
        ["1 rows were replaced by a later row of the same time"]
    );
    let refused = |text: &str| {
        let message = traffic(text).unwrap_err().to_string();
        message.split_once("t.csv`").unwrap().1.to_owned()
    };
    assert_eq!(
        refused("time,value\n1,x\n"),
        ": line 2, column `value`: found `x` (allowed: a finite number)"
    );
    assert_eq!(
        refused("time,value\n2024-01-01T00:00:00,1\n"),
        ": line 2, column `time`: found `2024-01-01T00:00:00` (allowed: unix seconds, or RFC 3339 \
         with an offset such as `Z`)"
    );
    assert!(refused("when,value\n").starts_with(": line 1: found no column `time`"));
    assert!(refused("time,value,colour\n").contains("found a column `colour`"));
    assert!(refused("time,value\n1,NaN\n").contains("found `NaN`"));
    assert!(refused("time,value\n1\n").contains("found 1 fields (allowed: 2 fields)"));
}

#[test]
fn importers_share_one_history() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("world");
    traffic("time,value\n0,1\n60,2\n")
        .unwrap()
        .write_into(&out)
        .unwrap();
    let (_runs, path) = file(
        "runs.csv",
        "start,suite,duration_s,failed\n2000-01-01T00:00:00Z,unit,12.5,yes\n100,unit,3,\n",
    );
    let history = csv_runs::import(&path).unwrap().write_into(&out).unwrap();
    assert_eq!((history.traffic[0].len(), history.ci_runs.len()), (2, 2));
    assert_eq!(history.ci_runs[0].failed, None);
    assert_eq!(history.ci_runs[1].failed, Some(true));
    assert_eq!(history.world.replay_end, 946_684_801);
    // The same series again takes the place of the old one.
    let history = traffic("time,value\n0,5\n")
        .unwrap()
        .write_into(&out)
        .unwrap();
    assert_eq!(history.traffic.len(), 1);
    assert_eq!(history.traffic[0].values, [5.0]);
}

#[test]
fn actions_runs_as_the_api_returns_them() {
    let run = |id: u32, attempt: u32, conclusion: &str, minutes: u32| {
        format!(
            r#"{{"id": {id}, "name": "CI", "run_attempt": {attempt}, "status": "completed", "event": "push",
            "conclusion": {conclusion}, "created_at": "2024-01-01T00:00:00Z",
            "run_started_at": "2024-01-01T00:01:00Z", "updated_at": "2024-01-01T00:{minutes:02}:00Z"}}"#
        )
    };
    let (folder, _) = file(
        "page1.json",
        &format!(
            r#"{{"total_count": 4, "workflow_runs": [{}, {}, {}]}}"#,
            run(1, 1, "\"failure\"", 5),
            run(2, 1, "\"cancelled\"", 3),
            run(3, 1, "null", 3)
        ),
    );
    fs::write(folder.path().join("one.json"), run(1, 2, "\"success\"", 8)).unwrap();
    let streams = actions::import(folder.path()).unwrap();
    let runs = streams.ci_runs.unwrap();
    assert_eq!(runs.len(), 2);
    assert_eq!(
        (runs[0].duration_s, runs[0].failed, runs[0].suite.as_str()),
        (420.0, Some(false), "CI")
    );
    assert_eq!((runs[1].duration_s, runs[1].failed), (120.0, None));
    assert_eq!(streams.notes.len(), 2);
    fs::write(folder.path().join("z.json"), "{\"message\": \"Not Found\"}").unwrap();
    let message = actions::import(folder.path()).unwrap_err().to_string();
    assert!(
        message.contains("z.json`: found missing field `id`"),
        "{message}"
    );
    fs::write(folder.path().join("z.json"), "{").unwrap();
    assert!(
        actions::import(folder.path())
            .unwrap_err()
            .to_string()
            .contains("line 1")
    );
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(
        actions::import(empty.path()),
        Err(Error::NoFiles { .. })
    ));
}

#[test]
fn osv_records_are_joined_with_the_dependencies() {
    let record = r#"{"schema_version": "1.6.0", "id": "R-1", "aliases": ["CVE-1", "GHSA-1"],
      "published": "2024-01-02T00:00:00Z", "modified": "2024-02-01T00:00:00Z",
      "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
      "affected": [
        {"package": {"ecosystem": "crates.io", "name": "hyper"},
         "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "1.2.0"}]}]},
        {"package": {"ecosystem": "crates.io", "name": "unused"}}]}"#;
    let (folder, _) = file("r1.json", record);
    let withdrawn = record
        .replace("R-1", "R-2")
        .replace("\"modified\"", "\"withdrawn\": \"x\", \"modified\"");
    fs::write(folder.path().join("r2.json"), withdrawn).unwrap();
    let notice = r#"{"id": "R-3", "published": "2024-01-03T00:00:00Z", "affected": [{
      "package": {"ecosystem": "crates.io", "name": "hyper"}, "versions": ["1.1.0"],
      "database_specific": {"informational": "unmaintained"}}],
      "database_specific": {"severity": "MODERATE"}}"#;
    fs::write(folder.path().join("r3.json"), notice).unwrap();
    let change = |epoch, version: &str| DependencyUpdate {
        epoch,
        commit: "c".to_owned(),
        package: "hyper".to_owned(),
        old_version: None,
        new_version: Some(version.to_owned()),
        change: DependencyChange::Add,
        direct: Some(true),
    };
    let deps = [
        change(1_700_000_000, "1.1.0"),
        change(1_704_200_000, "1.2.0"),
    ];
    let rows = osv::import(folder.path(), &deps)
        .unwrap()
        .advisories
        .unwrap();
    assert_eq!(rows.len(), 2);
    let first = &rows[0];
    assert_eq!(
        (first.id.as_str(), first.ecosystem.as_str()),
        ("R-1", "rust")
    );
    assert_eq!(
        (first.cvss, first.severity),
        (Some(9.8), Some(Severity::Critical))
    );
    assert_eq!(first.aliases.as_deref(), Some("CVE-1 GHSA-1"));
    assert_eq!(
        (first.exposed_at_publish, first.fix_epoch),
        (true, Some(1_704_200_000))
    );
    assert_eq!(first.fix_lag_s, Some(1_704_200_000 - 1_704_153_600));
    assert_eq!(
        (first.affected.as_deref(), first.patched.as_deref()),
        (Some(">=0 <1.2.0"), Some("1.2.0"))
    );
    assert_eq!(
        (rows[1].kind, rows[1].severity),
        (AdvisoryKind::Unmaintained, Some(Severity::Medium))
    );
    // Published after the version was left: the fix came first.
    assert!(!rows[1].exposed_at_publish);
    assert_eq!(
        (rows[1].fix_lag_s.map(i64::signum), rows[1].censored),
        (Some(-1), false)
    );
}

#[test]
fn openmetrics_text_becomes_traffic() {
    let import = |text: &str| {
        let (_folder, path) = file("t.om", text);
        let options = openmetrics::OpenMetricsOptions {
            service: "web".to_owned(),
            unit: "1/s".to_owned(),
        };
        openmetrics::import(&path, &options)
    };
    let text = "# TYPE rps gauge\nrps{service=\"api\",zone=\"a\"} 2 60\nrps 1 0\nrps NaN 30\nrps 3 60.5\n\
                rps 4 60.9\n# EOF\n";
    let streams = import(text).unwrap();
    assert_eq!(streams.notes.len(), 2, "{:?}", streams.notes);
    let found: Vec<(&str, &[i64], &[f64])> = streams
        .traffic
        .iter()
        .map(|(_, series)| {
            (
                series.service.as_str(),
                &series.times[..],
                &series.values[..],
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("api", &[60][..], &[2.0][..]),
            ("web", &[0, 60], &[1.0, 4.0])
        ]
    );
    let cut = import("rps 1 0\n").unwrap_err();
    assert!(!cut.is_environment());
    assert!(
        cut.to_string()
            .contains("t.om`: the OpenMetrics text does not end")
    );
    let line = import("rps 1\n# EOF\n").unwrap_err().to_string();
    assert!(line.contains("line 1 of the OpenMetrics text"), "{line}");
}
