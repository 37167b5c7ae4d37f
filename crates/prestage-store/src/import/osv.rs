//! Advisories in the OSV format (<https://ossf.github.io/osv-schema/>), joined with the dependencies of a
//! history: which were in use when an advisory came out, and when they were left.
//!
//! Only advisories of packages that the history ever used are rows.
mod cvss;
mod exposure;

use std::collections::BTreeMap;
use std::path::Path;

use prestage_telemetry::Timestamp;
use prestage_telemetry::history::{Advisory, AdvisoryKind, DependencyUpdate, Severity};
use serde::Deserialize;

use self::exposure::{Timelines, Vulnerable};
use super::{Error, Streams, actions};

/// More than this many of one day were imported at once, not found on that day.
const BULK_DAY_MIN: usize = 21;

/// An OSV record; further fields are ignored, as the schema asks.
#[derive(Debug, Deserialize)]
struct Record {
    id: String,
    #[serde(default)]
    aliases: Vec<String>,
    published: Option<String>,
    modified: Option<String>,
    withdrawn: Option<String>,
    #[serde(default)]
    severity: Vec<Score>,
    #[serde(default)]
    affected: Vec<Affected>,
    #[serde(default)]
    database_specific: serde_json::Value,
}

#[derive(Debug, Deserialize)]
struct Score {
    #[serde(rename = "type")]
    kind: String,
    score: String,
}

/// One package that a record is about.
#[derive(Debug, Deserialize)]
struct Affected {
    package: Option<Package>,
    #[serde(default)]
    ranges: Vec<Range>,
    #[serde(default)]
    versions: Vec<String>,
    #[serde(default)]
    database_specific: serde_json::Value,
}

#[derive(Debug, Deserialize)]
struct Package {
    ecosystem: String,
    name: String,
}

#[derive(Debug, Deserialize)]
struct Range {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    events: Vec<BTreeMap<String, String>>,
}

/// Reads one file, or every `.json` below a directory, for the dependencies `deps` of a history.
///
/// # Errors
/// When a file cannot be read or is no OSV record.
pub fn import(path: &Path, deps: &[DependencyUpdate]) -> Result<Streams, Error> {
    let timelines = Timelines::new(deps);
    let mut rows: Vec<Advisory> = Vec::new();
    let mut published: BTreeMap<i64, usize> = BTreeMap::new();
    let (mut records, mut withdrawn, mut undated) = (0, 0, 0);
    for file in actions::json_files(path)? {
        let record: Record = actions::parse(&file, "an OSV record")?;
        records += 1;
        if record.withdrawn.is_some() {
            withdrawn += 1;
            continue;
        }
        let Some(epoch) = published_at(&record) else {
            undated += 1;
            continue;
        };
        *published.entry(epoch.div_euclid(86_400)).or_default() += 1;
        rows.extend(
            record
                .affected
                .iter()
                .filter_map(|affected| row(&record, affected, epoch, &timelines)),
        );
    }
    for row in &mut rows {
        row.bulk_day = published[&row.publish_epoch.div_euclid(86_400)] >= BULK_DAY_MIN;
    }
    rows.sort_by(|a, b| {
        (a.publish_epoch, &a.id, &a.package).cmp(&(b.publish_epoch, &b.id, &b.package))
    });
    rows.dedup_by(|a, b| (&a.id, &a.package) == (&b.id, &b.package));
    let mut notes = vec![format!(
        "{} of {records} records are about packages in use",
        rows.len()
    )];
    if withdrawn + undated > 0 {
        notes.push(format!(
            "{withdrawn} withdrawn records and {undated} without a date are left out"
        ));
    }
    Ok(Streams {
        advisories: Some(rows),
        notes,
        ..Streams::default()
    })
}

fn published_at(record: &Record) -> Option<i64> {
    let text = record.published.as_deref().or(record.modified.as_deref())?;
    let seconds = Timestamp::parse_rfc3339(text)?.seconds();
    (seconds >= 0).then_some(seconds)
}

fn row(
    record: &Record,
    affected: &Affected,
    epoch: i64,
    timelines: &Timelines,
) -> Option<Advisory> {
    let package = affected.package.as_ref()?;
    let timeline = timelines.of(&package.name)?;
    let vulnerable = vulnerable(affected);
    let exposure = timeline.exposure(&vulnerable, epoch);
    let cvss = record
        .severity
        .iter()
        .filter(|score| score.kind.starts_with("CVSS_V3"));
    let cvss = cvss
        .filter_map(|score| cvss::base_score(&score.score))
        .reduce(f64::max);
    let joined = |values: Vec<String>, by: &str| (!values.is_empty()).then(|| values.join(by));
    Some(Advisory {
        id: record.id.clone(),
        aliases: joined(record.aliases.clone(), " "),
        ecosystem: ecosystem(&package.ecosystem),
        package: package.name.clone(),
        published: record.published.clone(),
        modified: record.modified.clone(),
        db_commit_epoch: None,
        cvss,
        severity: cvss
            .and_then(severity_of_score)
            .or_else(|| severity_in_words(record)),
        kind: kind(record, affected),
        affected: joined(vulnerable.shown(), " || "),
        patched: joined(vulnerable.fixed(), " "),
        publish_epoch: epoch,
        used_version_at_publish: exposure.used_version,
        direct: timeline.direct,
        exposed_at_publish: exposure.exposed_at_publish,
        ever_vulnerable: exposure.ever_vulnerable,
        fix_epoch: exposure.fix_epoch,
        fix_lag_s: exposure.fix_epoch.map(|fix| fix - epoch),
        censored: exposure.exposed_at_publish && exposure.fix_epoch.is_none(),
        bulk_day: false,
    })
}

fn vulnerable(affected: &Affected) -> Vulnerable {
    let mut vulnerable = Vulnerable::new(&affected.versions);
    // Ranges of git commits say nothing of versions.
    for range in affected.ranges.iter().filter(|range| range.kind != "GIT") {
        let events = range.events.iter().flat_map(|event| {
            event
                .iter()
                .map(|(kind, version)| (kind.as_str(), version.as_str()))
        });
        vulnerable.add_range(events);
    }
    vulnerable
}

fn ecosystem(name: &str) -> String {
    match name {
        "crates.io" => "rust".to_owned(),
        other => other.to_lowercase(),
    }
}

/// Qualitative rating of CVSS 3.1, section 5.
fn severity_of_score(score: f64) -> Option<Severity> {
    match score {
        score if score >= 9.0 => Some(Severity::Critical),
        score if score >= 7.0 => Some(Severity::High),
        score if score >= 4.0 => Some(Severity::Medium),
        score if score > 0.0 => Some(Severity::Low),
        _ => None,
    }
}

fn severity_in_words(record: &Record) -> Option<Severity> {
    match record.database_specific.get("severity")?.as_str()? {
        "LOW" => Some(Severity::Low),
        "MODERATE" | "MEDIUM" => Some(Severity::Medium),
        "HIGH" => Some(Severity::High),
        "CRITICAL" => Some(Severity::Critical),
        _ => None,
    }
}

fn kind(record: &Record, affected: &Affected) -> AdvisoryKind {
    let word = [&affected.database_specific, &record.database_specific]
        .into_iter()
        .find_map(|specific| specific.get("informational")?.as_str());
    match word {
        Some("unmaintained") => AdvisoryKind::Unmaintained,
        Some("unsound") => AdvisoryKind::Unsound,
        Some("notice") => AdvisoryKind::Notice,
        _ => AdvisoryKind::Vulnerability,
    }
}
