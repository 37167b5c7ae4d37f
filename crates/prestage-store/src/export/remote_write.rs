//! Prometheus remote write 1.0 (<https://prometheus.io/docs/specs/prw/remote_write_spec/>): protobuf,
//! compressed with Snappy, posted.
//!
//! As the specification asks: labels are sorted, samples of a series are in order of time, answers of 5xx and 429
//! are tried again with growing waits, other 4xx are not. A server that calls samples too old, out of order
//! or out of bounds with a 500, as some do, would do so for ever: such samples are counted as refused.
//! Times are milliseconds there; finer ones are cut off.
use prost::Message;

use crate::http::{Client, Patience, Verdict, excerpt};
use crate::import::Error;

/// Samples of one request; the specification suggests a few thousand.
const REQUEST_SAMPLES: usize = 5_000;

/// Words of servers that will refuse a sample however often it comes.
const HOPELESS: [&str; 5] = [
    "out of order",
    "too old",
    "out of bounds",
    "duplicate sample",
    "too far in the future",
];

#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

/// What became of the samples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Samples that the server took.
    pub accepted: u64,
    /// Samples in requests that it refused for good.
    pub refused: u64,
    /// What it said of the first of those.
    pub first_refusal: Option<String>,
}

/// Sends samples to one server.
pub struct RemoteWriter {
    client: Client,
    url: String,
    pending: Vec<TimeSeries>,
    pending_samples: usize,
    sent: Sent,
}

impl RemoteWriter {
    /// A writer to an address such as `http://127.0.0.1:9090/api/v1/write`.
    ///
    /// # Errors
    /// When the address is not plain `http`.
    pub fn new(url: &str, patience: Patience) -> Result<Self, Error> {
        Ok(Self {
            client: Client::new(url, patience)?,
            url: url.to_owned(),
            pending: Vec::new(),
            pending_samples: 0,
            sent: Sent::default(),
        })
    }

    /// Adds samples of one series, in order of time, and sends what fills a request. Of several
    /// samples in one millisecond the last counts.
    ///
    /// # Errors
    /// When the server does not answer usefully, however often it is asked.
    pub fn push(
        &mut self,
        metric: &str,
        service: &str,
        times_micros: &[i64],
        values: &[f64],
    ) -> Result<(), Error> {
        assert_eq!(times_micros.len(), values.len());
        let mut samples: Vec<Sample> = Vec::with_capacity(values.len());
        for (time, &value) in times_micros.iter().zip(values) {
            let timestamp = time.div_euclid(1_000);
            match samples.last_mut() {
                Some(last) if last.timestamp == timestamp => last.value = value,
                _ => samples.push(Sample { value, timestamp }),
            }
        }
        for piece in samples.chunks(REQUEST_SAMPLES) {
            self.pending_samples += piece.len();
            self.pending.push(TimeSeries {
                labels: labels(metric, service),
                samples: piece.to_vec(),
            });
            if self.pending_samples >= REQUEST_SAMPLES {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Sends the rest and says what became of everything.
    ///
    /// # Errors
    /// As [`RemoteWriter::push`].
    pub fn finish(mut self) -> Result<Sent, Error> {
        self.flush()?;
        Ok(self.sent)
    }

    fn flush(&mut self) -> Result<(), Error> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let request = WriteRequest {
            timeseries: std::mem::take(&mut self.pending),
        };
        let samples = std::mem::take(&mut self.pending_samples) as u64;
        let body = snap::raw::Encoder::new()
            .compress_vec(&request.encode_to_vec())
            .expect("a request is far below Snappy's 4 GiB");
        let headers = [
            ("Content-Encoding", "snappy"),
            ("Content-Type", "application/x-protobuf"),
            ("X-Prometheus-Remote-Write-Version", "0.1.0"),
        ];
        match self.client.post(&self.url, &headers, &body, judge)? {
            None => self.sent.accepted += samples,
            Some(refusal) => {
                self.sent.refused += samples;
                self.sent.first_refusal.get_or_insert(refusal);
            }
        }
        Ok(())
    }
}

/// Sorted, as the specification asks; `__name__` sorts before any lower-case letter.
fn labels(metric: &str, service: &str) -> Vec<Label> {
    let label = |name: &str, value: &str| Label {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    let mut labels = vec![label("__name__", metric)];
    if !service.is_empty() {
        labels.push(label("service", service));
    }
    labels
}

/// `None` when the samples were taken, the server's words when they never will be.
fn judge(status: u16, body: &[u8]) -> Verdict<Option<String>> {
    let said = excerpt(body);
    let is_hopeless = HOPELESS.iter().any(|word| said.contains(word));
    match status {
        200..=299 => Verdict::Done(None),
        401 | 403 | 404 | 405 => Verdict::Never(format!("HTTP {status}: {said}")),
        400 | 422 => Verdict::Done(Some(format!("HTTP {status}: {said}"))),
        _ if is_hopeless => Verdict::Done(Some(format!("HTTP {status}: {said}"))),
        _ => Verdict::Again(format!("HTTP {status}: {said}")),
    }
}

#[cfg(test)]
mod tests;
