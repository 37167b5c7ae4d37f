//! Times as detectors' files write them: epoch seconds, or `YYYY-MM-DD HH:MM:SS` in UTC.
use prestage_telemetry::Timestamp;

/// The last second of the year 9999.
const EPOCH_MAX: i64 = 253_402_300_799;

/// What [`parse`] takes, for messages.
pub const ALLOWED: &str = "epoch seconds from 0, or YYYY-MM-DD HH:MM:SS from 1970";

/// A time in either form; a fraction of zeros, `T` for the blank and a final `Z` are allowed.
pub fn parse(text: &str) -> Option<Timestamp> {
    if let Ok(seconds) = text.parse::<i64>() {
        return (0..=EPOCH_MAX)
            .contains(&seconds)
            .then(|| Timestamp::from_seconds(seconds));
    }
    let text = text.strip_suffix('Z').unwrap_or(text);
    let text = match text.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|digit| digit == b'0') => whole,
        Some(_) => return None,
        None => text,
    };
    let (date, clock) = text.split_once([' ', 'T'])?;
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(clock, ':')?;
    let valid = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    valid.then(|| {
        let days = days_from_civil(year, month, day);
        Timestamp::from_seconds(days * 86_400 + hour * 3_600 + minute * 60 + second)
    })
}

fn numbers(text: &str, separator: char) -> Option<[i64; 3]> {
    let mut parts = text.split(separator);
    let mut next = || -> Option<i64> {
        let part = parts.next()?;
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| part.parse().ok())?
    };
    let numbers = [next()?, next()?, next()?];
    parts.next().is_none().then_some(numbers)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the Gregorian calendar (Hinnant, `days_from_civil`).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year / 400;
    let year_of_era = year - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let shown = parse(text).map(|time| time.to_string());
        assert_eq!(shown.as_deref(), expected, "{text}");
    }

    #[test]
    fn both_forms_are_read() {
        check("0", Some("1970-01-01T00:00:00Z"));
        check("2014-04-10 07:15:00", Some("2014-04-10T07:15:00Z"));
        check("2014-04-10 07:15:00.000000", Some("2014-04-10T07:15:00Z"));
        check("2016-02-29T23:59:59Z", Some("2016-02-29T23:59:59Z"));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "-5",
            "2014-04-10",
            "2015-02-29 00:00:00",
            "1969-12-31 23:59:59",
        ] {
            check(text, None);
        }
        for text in [
            "2014-13-01 00:00:00",
            "2014-04-10 24:00:00",
            "2014-4-+1 00:00:00",
            "x",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn reading_inverts_writing() {
        for day in (0..2_900_000_i64).step_by(997) {
            let time = Timestamp::from_seconds(day * 86_400 + 3_661);
            assert_eq!(parse(&time.to_string()), Some(time));
        }
    }
}
