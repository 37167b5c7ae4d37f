//! Series out of a Prometheus server, or whatever speaks its HTTP API: `query_range`, piece by piece.
//!
//! Each piece that arrived is kept in a work directory, so that an import that was interrupted goes on
//! where it stopped; it is removed with the last piece.
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::csv_traffic::{Samples, series};
use super::{Error, Streams};
use crate::http::{Client, Patience, Verdict, excerpt};

/// Points that one request asks for; Prometheus refuses more than 11,000.
const POINTS_MAX: i64 = 10_000;

const REQUEST: &str = "request.json";

/// What to ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrometheusOptions {
    /// Address of the server, such as `http://127.0.0.1:9090`.
    pub url: String,
    /// A query in the server's language.
    pub query: String,
    /// First moment, epoch seconds.
    pub start: i64,
    /// Last moment, epoch seconds.
    pub end: i64,
    /// Seconds between samples.
    pub step_s: i64,
    /// Unit of the values.
    pub unit: String,
    /// Label that names the service; `service`, `job` or `app` when empty, whichever a series has.
    pub service_label: String,
    /// Name of the metric where the answer has none, as after a function.
    pub metric: String,
}

#[derive(Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    error: String,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    result_type: String,
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    metric: BTreeMap<String, String>,
    values: Vec<(f64, String)>,
}

/// Fetches a range; `work` keeps the pieces until [`finish`].
///
/// # Errors
/// [`Error::Unreachable`] when the server does not answer usefully; what arrived is kept then.
pub fn import(
    options: &PrometheusOptions,
    patience: Patience,
    work: &Path,
) -> Result<Streams, Error> {
    if options.step_s < 1 || options.end < options.start {
        return Err(Error::Form {
            path: options.url.clone(),
            place: String::new(),
            found: format!(
                "a range from {} to {} in steps of {} s",
                options.start, options.end, options.step_s
            ),
            allowed: "an end that is not before the start, steps of at least 1 s".to_owned(),
        });
    }
    let client = Client::new(&options.url, patience)?;
    prepare(options, work)?;
    let mut samples = Samples::new();
    let mut unknown = 0;
    let mut start = options.start;
    let mut piece = 0;
    while start <= options.end {
        let end = options.end.min(start + (POINTS_MAX - 1) * options.step_s);
        let path = work.join(format!("{piece:06}.json"));
        let body = match fs::read(&path) {
            Ok(body) => body,
            Err(_) => {
                let body = fetch(&client, options, start, end)?;
                crate::disk::write_whole(&path, &body).map_err(|error| lost(&path, &error))?;
                body
            }
        };
        let answer: Answer = serde_json::from_slice(&body).map_err(|problem| Error::Form {
            path: path.display().to_string(),
            place: String::new(),
            found: problem.to_string(),
            allowed: "an answer of `query_range`; remove the file to fetch it again".to_owned(),
        })?;
        for found in answer.data.into_iter().flat_map(|data| data.result) {
            unknown += add(&mut samples, found, options);
        }
        start = end + options.step_s;
        piece += 1;
    }
    let mut streams = series(
        samples,
        &options.unit,
        &format!("{} {}", options.url, options.query),
    );
    if unknown > 0 {
        streams.notes.push(format!(
            "{unknown} samples that are no finite number are left out"
        ));
    }
    if streams.traffic.is_empty() {
        streams
            .notes
            .push("the server has no sample in this range".to_owned());
    }
    Ok(streams)
}

/// Removes the pieces, once what they hold is written.
///
/// # Errors
/// When the disk fails.
pub fn finish(work: &Path) -> Result<(), Error> {
    fs::remove_dir_all(work).map_err(|cause| Error::Io {
        path: work.display().to_string(),
        cause,
    })
}

/// Keeps pieces of the same request, and drops those of another.
fn prepare(options: &PrometheusOptions, work: &Path) -> Result<(), Error> {
    let failed = |cause| Error::Io {
        path: work.display().to_string(),
        cause,
    };
    let request = serde_json::to_vec(options).expect("options are text and whole numbers");
    if fs::read(work.join(REQUEST)).is_ok_and(|known| known == request) {
        return Ok(());
    }
    if work.exists() {
        fs::remove_dir_all(work).map_err(failed)?;
    }
    fs::create_dir_all(work).map_err(failed)?;
    let path = work.join(REQUEST);
    crate::disk::write_whole(&path, &request).map_err(|error| lost(&path, &error))
}

fn lost(path: &Path, error: &crate::Error) -> Error {
    Error::Io {
        path: path.display().to_string(),
        cause: std::io::Error::other(error.to_string()),
    }
}

fn fetch(
    client: &Client,
    options: &PrometheusOptions,
    start: i64,
    end: i64,
) -> Result<Vec<u8>, Error> {
    let url = format!("{}/api/v1/query_range", options.url.trim_end_matches('/'));
    let (start, end, step) = (
        start.to_string(),
        end.to_string(),
        options.step_s.to_string(),
    );
    let parameters = [
        ("query", options.query.as_str()),
        ("start", &start),
        ("end", &end),
        ("step", &step),
    ];
    client.get(&url, &parameters, judge)
}

fn judge(status: u16, body: &[u8]) -> Verdict<Vec<u8>> {
    match (status, serde_json::from_slice::<Answer>(body)) {
        (200, Ok(answer)) => match answer.data {
            Some(data) if answer.status == "success" && data.result_type == "matrix" => {
                Verdict::Done(body.to_vec())
            }
            _ => Verdict::Again(format!("status `{}` in the answer", answer.status)),
        },
        (400 | 404 | 422, Ok(answer)) => Verdict::Never(answer.error),
        (401 | 403 | 404, Err(_)) => Verdict::Never(format!("HTTP {status}")),
        (status, _) => Verdict::Again(format!("HTTP {status}: {}", excerpt(body))),
    }
}

/// Adds the samples of a series; returns how many are no finite number.
fn add(samples: &mut Samples, found: Series, options: &PrometheusOptions) -> u64 {
    let metric = found
        .metric
        .get("__name__")
        .cloned()
        .unwrap_or_else(|| options.metric.clone());
    let key = (service(&found.metric, &options.service_label), metric);
    let mut unknown = 0;
    let rows = samples.entry(key).or_default();
    for (time, text) in found.values {
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() => {
                rows.insert(time.floor() as i64, (value, None));
            }
            _ => unknown += 1,
        }
    }
    unknown
}

/// The service of a series: the label asked for, one of the usual ones, or all labels together.
fn service(labels: &BTreeMap<String, String>, wanted: &str) -> String {
    let usual: &[&str] = if wanted.is_empty() {
        &["service", "job", "app"]
    } else {
        &[wanted]
    };
    if let Some(name) = usual.iter().find_map(|label| labels.get(*label)) {
        return name.clone();
    }
    let others = labels.iter().filter(|(name, _)| *name != "__name__");
    let shown: Vec<String> = others
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    if shown.is_empty() {
        "all".to_owned()
    } else {
        shown.join(",")
    }
}

#[cfg(test)]
mod tests;
