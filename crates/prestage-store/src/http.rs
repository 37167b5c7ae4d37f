//! Asking a server that may be down, slow, or out of its mind: bounded attempts, each bounded in time, with
//! waits that grow and are drawn at random (full jitter: Brooker, "Exponential Backoff And Jitter", AWS
//! Architecture Blog, 2015), so that many clients do not come back together.
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use crate::import::Error;

/// Longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 256 << 20;

/// How often and how long a server is asked.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Attempts, at least 1.
    pub attempts: u32,
    /// Longest time of one attempt.
    pub timeout: Duration,
    /// Longest wait after the first attempt; doubles with each.
    pub wait: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempts: 5,
            timeout: Duration::from_secs(30),
            wait: Duration::from_millis(500),
        }
    }
}

/// What one answer means.
pub enum Verdict<T> {
    /// It is what was asked for.
    Done(T),
    /// Another attempt may get it; the reason.
    Again(String),
    /// No attempt will; the reason.
    Never(String),
}

/// A client of one server.
pub struct Client {
    agent: ureq::Agent,
    patience: Patience,
}

impl Client {
    /// A client. Only plain `http`: put a proxy that speaks TLS in between where that is needed.
    ///
    /// # Errors
    /// When the address is of another kind.
    pub fn new(url: &str, patience: Patience) -> Result<Self, Error> {
        if !url.starts_with("http://") {
            return Err(Error::Refused {
                url: url.to_owned(),
                problem:
                    "the address does not begin with `http://`\n\nhint: for `https` let a local \
                          proxy add TLS"
                        .to_owned(),
            });
        }
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(patience.timeout))
            .http_status_as_error(false)
            .user_agent(concat!("prestage/", env!("CARGO_PKG_VERSION")))
            .build()
            .into();
        Ok(Self { agent, patience })
    }

    /// Gets a resource; `judge` sees status and body.
    ///
    /// # Errors
    /// [`Error::Unreachable`] after the last attempt, [`Error::Refused`] where none would help.
    pub fn get<T>(
        &self,
        url: &str,
        parameters: &[(&str, &str)],
        judge: impl Fn(u16, &[u8]) -> Verdict<T>,
    ) -> Result<T, Error> {
        self.repeat(url, judge, || {
            let pairs = parameters.iter().copied();
            self.agent.get(url).query_pairs(pairs).call()
        })
    }

    /// Posts a body; `judge` sees status and body of the answer.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn post<T>(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        judge: impl Fn(u16, &[u8]) -> Verdict<T>,
    ) -> Result<T, Error> {
        self.repeat(url, judge, || {
            let request = self.agent.post(url);
            let add = |request: ureq::RequestBuilder<_>, (name, value): &(&str, &str)| {
                request.header(*name, *value)
            };
            headers.iter().fold(request, add).send(body)
        })
    }

    fn repeat<T>(
        &self,
        url: &str,
        judge: impl Fn(u16, &[u8]) -> Verdict<T>,
        send: impl Fn() -> Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<T, Error> {
        let mut problem = String::new();
        for attempt in 0..self.patience.attempts {
            if attempt > 0 {
                std::thread::sleep(self.wait(attempt));
            }
            let answer = send().and_then(|mut answer| {
                let status = answer.status().as_u16();
                let body = answer
                    .body_mut()
                    .with_config()
                    .limit(ANSWER_BYTES_MAX)
                    .read_to_vec()?;
                Ok((status, body))
            });
            let verdict = match answer {
                Ok((status, body)) => judge(status, &body),
                Err(error) => Verdict::Again(error.to_string()),
            };
            match verdict {
                Verdict::Done(value) => return Ok(value),
                Verdict::Again(reason) => problem = reason,
                Verdict::Never(problem) => {
                    return Err(Error::Refused {
                        url: url.to_owned(),
                        problem,
                    });
                }
            }
        }
        Err(Error::Unreachable {
            url: url.to_owned(),
            attempts: self.patience.attempts,
            problem,
        })
    }

    fn wait(&self, attempt: u32) -> Duration {
        let longest = self.patience.wait.saturating_mul(1 << (attempt - 1).min(6));
        // The standard library's only source of randomness; nothing but a pause depends on it.
        let random = RandomState::new().hash_one(attempt);
        longest.mul_f64(random as f64 / u64::MAX as f64)
    }
}

/// The beginning of an answer, for messages.
pub fn excerpt(body: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(body).chars().take(200).collect();
    text.trim().to_owned()
}
