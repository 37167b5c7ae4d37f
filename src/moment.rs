//! Moments and lengths of time as people write them on a command line.
use std::time::SystemTime;

use prestage_telemetry::{Span, Timestamp};

/// Reads RFC 3339 in UTC, a date, or unix seconds.
///
/// # Errors
/// With what was found and what is allowed.
pub fn parse_timestamp(text: &str) -> Result<Timestamp, String> {
    if let Ok(seconds) = text.parse::<i64>()
        && seconds.unsigned_abs() <= 253_402_300_799
    {
        return Ok(Timestamp::from_seconds(seconds));
    }
    let refuse = || format!("`{text}` (allowed: 2024-01-31, 2024-01-31T12:00:00Z, unix seconds)");
    Timestamp::parse_rfc3339(text)
        .or_else(|| Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z")))
        .ok_or_else(refuse)
}

/// Reads a length such as `30s`, `5m`, `1h` or `7d`.
///
/// # Errors
/// With what was found and what is allowed.
pub fn parse_span(text: &str) -> Result<Span, String> {
    let refuse = || format!("`{text}` (allowed: a whole number with s, m, h or d, such as `5m`)");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let count: i64 = digits.parse().map_err(|_| refuse())?;
    let unit = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(refuse()),
    };
    let allowed = 1..=3_660 * 86_400;
    match count.checked_mul(unit) {
        Some(seconds) if allowed.contains(&seconds) => Ok(Span::from_seconds(seconds)),
        _ => Err(refuse()),
    }
}

/// The wall clock, which only the command line may read.
#[expect(
    clippy::disallowed_methods,
    reason = "the age of what is stored counts from today; no result depends on it"
)]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Timestamp(since.map_or(0, |span| span.as_micros() as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_lengths() {
        let new_year = Timestamp::from_seconds(1_704_067_200);
        for text in [
            "2024-01-01",
            "2024-01-01T00:00:00Z",
            "2024-01-01T01:00:00+01:00",
            "1704067200",
        ] {
            assert_eq!(parse_timestamp(text), Ok(new_year), "{text}");
        }
        assert!(
            parse_timestamp("yesterday")
                .unwrap_err()
                .contains("(allowed: 2024-01-31")
        );
        assert_eq!(parse_span("5m"), Ok(Span::from_minutes(5)));
        for text in ["", "5", "m", "0s", "-1h", "5 m", "99999999999999999d"] {
            assert!(parse_span(text).is_err(), "{text}");
        }
    }
}
