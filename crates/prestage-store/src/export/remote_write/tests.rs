//! Against a server that takes, refuses, stumbles, or is not there.
use std::time::Duration;

use super::*;
use crate::http_server::serve;

fn patience() -> Patience {
    Patience {
        attempts: 3,
        timeout: Duration::from_secs(5),
        wait: Duration::from_millis(1),
    }
}

fn send(answers: Vec<(u16, Vec<u8>)>) -> (Result<Sent, Error>, Vec<Vec<u8>>) {
    let (url, requests) = serve(answers);
    let mut writer = RemoteWriter::new(&url, patience()).unwrap();
    let times = [1_500, 1_999, 2_000_000];
    let outcome = writer
        .push("cpu", "wéb", &times, &[1.0, 2.0, f64::MIN_POSITIVE])
        .and_then(|()| writer.push("up", "", &[5_000], &[0.0]))
        .and_then(|()| writer.finish());
    (outcome, requests.try_iter().collect())
}

#[test]
fn the_request_is_what_the_specification_says() {
    let (outcome, requests) = send(vec![(204, Vec::new())]);
    assert_eq!(outcome.unwrap().accepted, 3);
    let end = requests[0]
        .windows(4)
        .position(|bytes| bytes == b"\r\n\r\n")
        .unwrap();
    let head = String::from_utf8_lossy(&requests[0][..end]).to_lowercase();
    assert!(head.contains("content-encoding: snappy"), "{head}");
    assert!(
        head.contains("x-prometheus-remote-write-version: 0.1.0"),
        "{head}"
    );
    let body = snap::raw::Decoder::new()
        .decompress_vec(&requests[0][end + 4..])
        .unwrap();
    let request = WriteRequest::decode(body.as_slice()).unwrap();
    let first = &request.timeseries[0];
    let names: Vec<&str> = first
        .labels
        .iter()
        .map(|label| label.name.as_str())
        .collect();
    assert_eq!(names, ["__name__", "service"]);
    let samples: Vec<(i64, f64)> = first
        .samples
        .iter()
        .map(|s| (s.timestamp, s.value))
        .collect();
    assert_eq!(samples, [(1, 2.0), (2_000, f64::MIN_POSITIVE)]);
    assert_eq!(request.timeseries[1].labels.len(), 1);
}

#[test]
fn a_stumbling_server_is_asked_again_and_a_refusal_is_not_repeated() {
    let (outcome, requests) = send(vec![
        (503, Vec::new()),
        (429, Vec::new()),
        (200, Vec::new()),
    ]);
    assert_eq!((outcome.unwrap().accepted, requests.len()), (3, 3));
    let (outcome, requests) = send(vec![(500, b"sample too old".to_vec()), (200, Vec::new())]);
    let sent = outcome.unwrap();
    assert_eq!((sent.accepted, sent.refused, requests.len()), (0, 3, 1));
    assert_eq!(
        sent.first_refusal.as_deref(),
        Some("HTTP 500: sample too old")
    );
    let (outcome, requests) = send(vec![(400, b"no".to_vec()), (200, Vec::new())]);
    assert_eq!((outcome.unwrap().refused, requests.len()), (3, 1));
    let (outcome, _) = send(vec![(404, b"no".to_vec())]);
    assert!(!outcome.unwrap_err().is_environment());
}

#[test]
fn a_server_that_stays_down_is_the_outside_world() {
    let (outcome, requests) = send(vec![(500, b"x".to_vec()); 3]);
    let error = outcome.unwrap_err();
    assert!(error.is_environment());
    assert_eq!(requests.len(), 3);
    let (url, _requests) = serve(Vec::new());
    let mut writer = RemoteWriter::new(&url, patience()).unwrap();
    writer.push("up", "", &[0], &[0.0]).unwrap();
    assert!(writer.finish().unwrap_err().is_environment());
    assert!(RemoteWriter::new("https://x", patience()).is_err());
}
