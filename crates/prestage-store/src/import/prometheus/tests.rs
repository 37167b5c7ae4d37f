//! Against a server that answers, fails half way, or answers rubbish.
use std::time::Duration;

use super::*;
use crate::http_server::serve;

fn patience() -> Patience {
    Patience {
        attempts: 2,
        timeout: Duration::from_secs(5),
        wait: Duration::from_millis(1),
    }
}

fn options(url: &str, points: i64) -> PrometheusOptions {
    PrometheusOptions {
        url: url.to_owned(),
        query: "cpu".to_owned(),
        start: 0,
        end: (points - 1) * 60,
        step_s: 60,
        unit: "ratio".to_owned(),
        service_label: String::new(),
        metric: "cpu".to_owned(),
    }
}

fn answer(values: &str) -> (u16, Vec<u8>) {
    let text = format!(
        r#"{{"status":"success","data":{{"resultType":"matrix","result":[
        {{"metric":{{"__name__":"cpu","job":"web"}},"values":[{values}]}}]}}}}"#
    );
    (200, text.into_bytes())
}

#[test]
fn pieces_are_joined_and_what_is_not_finite_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let second = POINTS_MAX * 60;
    let pieces = vec![
        answer(r#"[0,"1.5"],[60,"NaN"],[120.0,"+Inf"]"#),
        answer(&format!(r#"[{second},"2"]"#)),
    ];
    let (url, requests) = serve(pieces);
    let work = folder.path().join("work");
    let streams = import(&options(&url, POINTS_MAX + 1), patience(), &work).unwrap();
    let series = &streams.traffic[0].1;
    assert_eq!(
        (series.service.as_str(), series.metric.as_str()),
        ("web", "cpu")
    );
    assert_eq!(
        (series.times.clone(), series.values.clone()),
        (vec![0, second], vec![1.5, 2.0])
    );
    assert_eq!(
        streams.notes,
        ["2 samples that are no finite number are left out"]
    );
    let asked: Vec<String> = requests
        .try_iter()
        .map(|request| {
            String::from_utf8_lossy(&request)
                .lines()
                .next()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert!(
        asked[1].contains(&format!("start={second}&end={second}&step=60")),
        "{asked:?}"
    );
    finish(&work).unwrap();
    assert!(!work.exists());
}

#[test]
fn an_interrupted_import_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let work = folder.path().join("work");
    let rubbish = (200, b"<html>".to_vec());
    let down = (502, Vec::new());
    let (url, _requests) = serve(vec![answer(r#"[0,"1"]"#), rubbish, down]);
    let asked = options(&url, POINTS_MAX + 1);
    let error = import(&asked, patience(), &work).unwrap_err();
    assert!(error.is_environment());
    assert!(
        error
            .to_string()
            .contains("in 2 attempts, the last: HTTP 502"),
        "{error}"
    );
    // The first piece is not asked for again: the server that answers now has only the second.
    let (other, _requests) = serve(vec![answer(r#"[600000,"2"]"#)]);
    let request = fs::read(work.join(REQUEST)).unwrap();
    let moved = PrometheusOptions {
        url: other,
        ..asked
    };
    assert_ne!(serde_json::to_vec(&moved).unwrap(), request);
    fs::write(work.join(REQUEST), serde_json::to_vec(&moved).unwrap()).unwrap();
    let streams = import(&moved, patience(), &work).unwrap();
    assert_eq!(streams.traffic[0].1.values, [1.0, 2.0]);
}

#[test]
fn a_query_that_is_refused_is_the_users_to_mend() {
    let folder = tempfile::tempdir().unwrap();
    let body = br#"{"status":"error","errorType":"bad_data","error":"parse error at char 1"}"#;
    let (url, _requests) = serve(vec![(400, body.to_vec())]);
    let error = import(&options(&url, 1), patience(), &folder.path().join("w")).unwrap_err();
    assert!(!error.is_environment());
    assert!(
        error
            .to_string()
            .ends_with("refused the request: parse error at char 1"),
        "{error}"
    );
}

#[test]
fn services_come_from_labels() {
    let labels = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    };
    let both = labels(&[("job", "a"), ("service", "b"), ("pod", "c")]);
    assert_eq!(service(&both, ""), "b");
    assert_eq!(service(&both, "pod"), "c");
    assert_eq!(
        service(
            &labels(&[("__name__", "x"), ("le", "1"), ("zone", "z")]),
            ""
        ),
        "le=1,zone=z"
    );
    assert_eq!(service(&labels(&[]), ""), "all");
}
