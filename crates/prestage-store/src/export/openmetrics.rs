//! OpenMetrics text (<https://github.com/prometheus/OpenMetrics>, 1.0): written with times, so that a past can be
//! handed on (`promtool tsdb create-blocks-from openmetrics`), and read back.
//!
//! Metrics that end in `_total` have the type `unknown`: prestage's are numbers of events at a moment,
//! not the running totals that the type `counter` promises.
use std::fmt::Write;

use crate::{Error, SeriesKey};

/// A sample that was read: its series, epoch microseconds and value.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    /// The series.
    pub series: SeriesKey,
    /// Epoch microseconds.
    pub time: i64,
    /// The value, which may be anything that the text can say.
    pub value: f64,
}

/// Begins the text of a metric.
pub fn write_head(text: &mut String, metric: &str) {
    let kind = if metric.ends_with("_total") {
        "unknown"
    } else {
        "gauge"
    };
    writeln!(text, "# TYPE {metric} {kind}").expect("text does not fail");
}

/// Writes samples of one series.
pub fn write_samples(text: &mut String, key: &SeriesKey, times_micros: &[i64], values: &[f64]) {
    let labels = match key.service.as_str() {
        "" => String::new(),
        service => format!("{{service=\"{}\"}}", escape(service)),
    };
    for (time, value) in times_micros.iter().zip(values) {
        let (seconds, micros) = (time.div_euclid(1_000_000), time.rem_euclid(1_000_000));
        write!(text, "{}{labels} {value} {seconds}", key.metric).expect("text does not fail");
        if micros != 0 {
            let fraction = format!("{micros:06}");
            write!(text, ".{}", fraction.trim_end_matches('0')).expect("text does not fail");
        }
        text.push('\n');
    }
}

/// Ends the text.
pub fn write_end(text: &mut String) {
    text.push_str("# EOF\n");
}

/// Reads a text whose samples have times; the label `service` is the service, other labels are not kept.
///
/// # Errors
/// With the line, when it is no sample with a time, or the text does not end with `# EOF`.
pub fn read(text: &str) -> Result<Vec<Read>, Error> {
    let mut samples = Vec::new();
    let mut is_whole = false;
    for (number, line) in text.lines().enumerate() {
        if line == "# EOF" {
            is_whole = true;
            break;
        }
        if line.starts_with('#') || line.is_empty() {
            continue;
        }
        let sample = sample(line).ok_or_else(|| Error::Query {
            problem: format!(
                "line {} of the OpenMetrics text: found `{line}` (allowed: NAME{{LABELS}} VALUE SECONDS)",
                number + 1
            ),
        })?;
        samples.push(sample?);
    }
    if is_whole {
        return Ok(samples);
    }
    Err(Error::Query {
        problem:
            "the OpenMetrics text does not end with `# EOF`\n\nhint: it was cut; fetch it again"
                .to_owned(),
    })
}

fn sample(line: &str) -> Option<Result<Read, Error>> {
    let end = line.find(['{', ' '])?;
    let (metric, rest) = line.split_at(end);
    let (service, rest) = match rest.strip_prefix('{') {
        Some(labels) => labels_and_rest(labels)?,
        None => (String::new(), rest),
    };
    let mut fields = rest.split_whitespace();
    let value: f64 = fields.next()?.parse().ok()?;
    let time = micros(fields.next()?)?;
    // What may follow is an exemplar.
    if fields.next().is_some_and(|field| field != "#") {
        return None;
    }
    let series = SeriesKey::new(metric, &service);
    Some(series.map(|series| Read {
        series,
        time,
        value,
    }))
}

/// The label `service` and what follows the labels.
fn labels_and_rest(mut text: &str) -> Option<(String, &str)> {
    let mut service = String::new();
    loop {
        text = text.trim_start_matches([',', ' ']);
        if let Some(rest) = text.strip_prefix('}') {
            return Some((service, rest));
        }
        let (name, rest) = text.split_once("=\"")?;
        let (value, rest) = quoted(rest)?;
        if name == "service" {
            service = value;
        }
        text = rest;
    }
}

/// A quoted text up to its end, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((place, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[place + 1..])),
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

/// Seconds with a fraction, exactly.
fn micros(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let seconds: i64 = whole.parse().ok()?;
    let digits = fraction.bytes().all(|byte| byte.is_ascii_digit());
    let micros: i64 = format!("{fraction:0<6.6}")
        .parse()
        .ok()
        .filter(|_| digits)?;
    seconds
        .checked_mul(1_000_000)?
        .checked_add(if whole.starts_with('-') {
            -micros
        } else {
            micros
        })
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            service in "[^\\p{Cc}]{0,12}",
            samples in prop::collection::vec((0_i64..4_000_000_000_000_000, any::<f64>()), 0..20),
        ) {
            let key = SeriesKey::new("cpu_ratio", &service).unwrap();
            let (times, values): (Vec<i64>, Vec<f64>) =
                samples.into_iter().filter(|(_, value)| value.is_finite()).unzip();
            let mut text = String::new();
            write_head(&mut text, "cpu_ratio");
            write_samples(&mut text, &key, &times, &values);
            write_end(&mut text);
            let read = read(&text).unwrap();
            prop_assert!(read.iter().all(|sample| sample.series == key));
            prop_assert_eq!(read.iter().map(|sample| sample.time).collect::<Vec<_>>(), times);
            prop_assert_eq!(read.iter().map(|sample| sample.value).collect::<Vec<_>>(), values);
        }
    }

    #[test]
    fn foreign_text_is_read_and_rubbish_is_named() {
        let text = "# HELP up x\nup{job=\"a \\\" b\",service=\"w\\\\eb\",} 1 12.5 # {id=\"x\"} 1\n# EOF\nrest";
        let samples = read(text).unwrap();
        assert_eq!(
            (samples[0].series.service.as_str(), samples[0].time),
            ("w\\eb", 12_500_000)
        );
        for line in [
            "up",
            "up 1",
            "up x 1",
            "up{a=\"b} 1 1",
            "up 1 1 1",
            "up 1 1.x",
        ] {
            let message = read(&format!("{line}\n# EOF\n")).unwrap_err().to_string();
            assert!(
                message.starts_with("line 1 of the OpenMetrics text"),
                "{message}"
            );
        }
        assert!(
            read("up 1 1\n")
                .unwrap_err()
                .to_string()
                .contains("does not end with `# EOF`")
        );
    }
}
