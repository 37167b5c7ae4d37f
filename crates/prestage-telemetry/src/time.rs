//! Instants and spans as integer microseconds, UTC.
//!
//! Never reads a clock: an instant comes from a simulation, a file or a port.
use std::fmt;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};

use serde::{Deserialize, Serialize};

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
const MICROS_PER_HOUR: i64 = 3_600 * MICROS_PER_SECOND;
const MICROS_PER_DAY: i64 = SECONDS_PER_DAY * MICROS_PER_SECOND;

/// An instant: microseconds since 1970-01-01T00:00:00Z.
///
/// ```
/// use prestage_telemetry::{Span, Timestamp};
/// let noon = Timestamp::from_seconds(1_704_067_200) + Span::from_hours(12);
/// assert_eq!(noon.to_string(), "2024-01-01T12:00:00Z");
/// assert_eq!(noon.day_of_week(), 0);
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// A length of time in microseconds; negative when it points backwards.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Span(pub i64);

impl Timestamp {
    /// The Unix epoch, a Thursday.
    pub const EPOCH: Self = Self(0);
    /// Earlier than any instant.
    pub const MIN: Self = Self(i64::MIN);
    /// Later than any instant.
    pub const MAX: Self = Self(i64::MAX);

    /// The instant `seconds` after the Unix epoch.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds * MICROS_PER_SECOND)
    }

    /// Reads RFC 3339 with any offset, such as `2024-01-31T12:00:00.5+01:00`; a fraction finer than a
    /// microsecond is cut off. `None` when the text is anything else, or no day of the calendar.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let (date, rest) = text.split_at_checked(10)?;
        let time = rest.strip_prefix(['T', 't', ' '])?;
        let (clock, rest) = time.split_at_checked(8)?;
        let [year, month, day] = fields(date, '-', [4, 2, 2])?;
        let [hour, minute, second] = fields(clock, ':', [2, 2, 2])?;
        let days = days_from_civil(year, month, day);
        let is_day = (1..=12).contains(&month) && civil_from_days(days) == (year, month, day);
        // A leap second is written as the 60th and counted as the first of the next minute.
        if !is_day || hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let (fraction, zone) = match rest.strip_prefix('.') {
            Some(rest) => {
                let digits = rest
                    .find(|c: char| !c.is_ascii_digit())
                    .filter(|&count| count > 0)?;
                (&rest[..digits], &rest[digits..])
            }
            None => ("0", rest),
        };
        let micros: i64 = format!("{fraction:0<6.6}").parse().ok()?;
        let offset = match zone {
            "Z" | "z" => 0,
            _ => {
                let (sign, digits) = zone.split_at_checked(1)?;
                let [hours, minutes] = fields(digits, ':', [2, 2])?;
                let minutes = hours * 60 + minutes;
                match sign {
                    "+" => minutes,
                    "-" => -minutes,
                    _ => return None,
                }
            }
        };
        let minutes = (days * 24 + hour) * 60 + minute - offset;
        Some(Self((minutes * 60 + second) * MICROS_PER_SECOND + micros))
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(MICROS_PER_SECOND)
    }

    /// Microseconds since the Unix epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Hour of the UTC day, 0 to 23.
    pub const fn hour_of_day(self) -> u32 {
        (self.0.rem_euclid(MICROS_PER_DAY) / MICROS_PER_HOUR) as u32
    }

    /// Day of the UTC week, 0 = Monday to 6 = Sunday.
    pub const fn day_of_week(self) -> u32 {
        // The epoch was a Thursday, day 3 of a week that begins on Monday.
        (self.0.div_euclid(MICROS_PER_DAY) + 3).rem_euclid(7) as u32
    }

    /// Hour of the UTC week, 0 = Monday 00:00 to 167 = Sunday 23:00.
    pub const fn hour_of_week(self) -> u32 {
        self.day_of_week() * 24 + self.hour_of_day()
    }

    /// Start of the UTC day this instant lies in.
    pub const fn day_start(self) -> Self {
        Self(self.0 - self.0.rem_euclid(MICROS_PER_DAY))
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// Longer than any span of interest.
    pub const MAX: Self = Self(i64::MAX);

    /// `micros` microseconds.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// `seconds` seconds.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds * MICROS_PER_SECOND)
    }

    /// `seconds` seconds, rounded to the nearest microsecond; saturates, and NaN is zero.
    pub const fn from_seconds_f64(seconds: f64) -> Self {
        Self((seconds * MICROS_PER_SECOND as f64).round() as i64)
    }

    /// `minutes` minutes.
    pub const fn from_minutes(minutes: i64) -> Self {
        Self::from_seconds(minutes * 60)
    }

    /// `hours` hours.
    pub const fn from_hours(hours: i64) -> Self {
        Self(hours * MICROS_PER_HOUR)
    }

    /// `days` days of 24 hours.
    pub const fn from_days(days: i64) -> Self {
        Self(days * MICROS_PER_DAY)
    }

    /// Microseconds.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Seconds, with their fraction.
    pub const fn as_seconds(self) -> f64 {
        self.0 as f64 / MICROS_PER_SECOND as f64
    }

    /// Minutes, with their fraction.
    pub const fn as_minutes(self) -> f64 {
        self.as_seconds() / 60.0
    }

    /// Hours, with their fraction.
    pub const fn as_hours(self) -> f64 {
        self.0 as f64 / MICROS_PER_HOUR as f64
    }

    /// Days of 24 hours, with their fraction.
    pub const fn as_days(self) -> f64 {
        self.0 as f64 / MICROS_PER_DAY as f64
    }
}

impl Add<Span> for Timestamp {
    type Output = Self;
    fn add(self, span: Span) -> Self {
        Self(self.0 + span.0)
    }
}

impl AddAssign<Span> for Timestamp {
    fn add_assign(&mut self, span: Span) {
        self.0 += span.0;
    }
}

impl Sub<Span> for Timestamp {
    type Output = Self;
    fn sub(self, span: Span) -> Self {
        Self(self.0 - span.0)
    }
}

impl SubAssign<Span> for Timestamp {
    fn sub_assign(&mut self, span: Span) {
        self.0 -= span.0;
    }
}

impl Sub for Timestamp {
    type Output = Span;
    fn sub(self, earlier: Self) -> Span {
        Span(self.0 - earlier.0)
    }
}

impl Add for Span {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl AddAssign for Span {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Sub for Span {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Neg for Span {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl Mul<i64> for Span {
    type Output = Self;
    fn mul(self, factor: i64) -> Self {
        Self(self.0 * factor)
    }
}

impl Div<i64> for Span {
    type Output = Self;
    fn div(self, divisor: i64) -> Self {
        Self(self.0 / divisor)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC; the fraction is written only when there is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let second_of_day = self.seconds().rem_euclid(SECONDS_PER_DAY);
        let (year, month, day) = civil_from_days(self.seconds().div_euclid(SECONDS_PER_DAY));
        let (hour, minute, second) = (
            second_of_day / 3_600,
            second_of_day / 60 % 60,
            second_of_day % 60,
        );
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
        )?;
        match self.0.rem_euclid(MICROS_PER_SECOND) {
            0 => f.write_str("Z"),
            micros => write!(f, ".{micros:06}Z"),
        }
    }
}

impl fmt::Display for Span {
    /// Seconds with their unit, such as `90 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.as_seconds())
    }
}

/// Year, month and day of the proleptic Gregorian calendar, from days since 1970-01-01.
///
/// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`: years
/// begin in March, so that the leap day is the last day of a year.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Days since 1970-01-01 of a year, month and day: the inverse of [`civil_from_days`], from the same
/// source.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Whole numbers of fixed widths, separated.
fn fields<const N: usize>(text: &str, separator: char, widths: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; N];
    for (number, width) in numbers.iter_mut().zip(widths) {
        let digits = parts.next()?;
        let is_number = digits.len() == width && digits.bytes().all(|byte| byte.is_ascii_digit());
        *number = digits.parse().ok().filter(|_| is_number)?;
    }
    parts.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(seconds: i64, expected: &str) {
        assert_eq!(Timestamp::from_seconds(seconds).to_string(), expected);
    }

    #[test]
    fn displays_rfc_3339() {
        check(0, "1970-01-01T00:00:00Z");
        check(951_782_400, "2000-02-29T00:00:00Z");
        check(1_704_067_200, "2024-01-01T00:00:00Z");
        check(4_107_542_399, "2100-02-28T23:59:59Z");
        check(-1, "1969-12-31T23:59:59Z");
        check(253_402_300_799, "9999-12-31T23:59:59Z");
        assert_eq!(
            Timestamp(1_500_000).to_string(),
            "1970-01-01T00:00:01.500000Z"
        );
    }

    #[test]
    fn reads_rfc_3339_as_it_is_written() {
        for seconds in [
            0,
            951_782_400,
            4_107_542_399,
            -1,
            253_402_300_799,
            1_709_210_096,
        ] {
            let time = Timestamp::from_seconds(seconds) + Span(120_000);
            assert_eq!(Timestamp::parse_rfc3339(&time.to_string()), Some(time));
        }
        let noon = Timestamp::from_seconds(1_704_110_400);
        for text in [
            "2024-01-01T12:00:00Z",
            "2024-01-01 14:30:00.0000009+02:30",
            "2024-01-01t07:00:00-05:00",
        ] {
            assert_eq!(Timestamp::parse_rfc3339(text), Some(noon), "{text}");
        }
        for text in [
            "",
            "2024-01-01",
            "2024-01-01T12:00:00",
            "2023-02-29T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T12:00:00.Z",
            "2024-01-01T12:00:00+2",
            "2024-01-01T12:00:00é",
            "+024-01-01T12:00:00Z",
            "2024-00-01T12:00:00Z",
        ] {
            assert_eq!(Timestamp::parse_rfc3339(text), None, "{text}");
        }
    }

    #[test]
    fn every_day_of_four_centuries_is_one_after_the_day_before() {
        let mut before = civil_from_days(-1);
        for days in 0..146_097 {
            let (year, month, day) = civil_from_days(days);
            let next_day = (year, month) == (before.0, before.1) && day == before.2 + 1;
            let next_month = day == 1 && before.2 >= 28 && (month == before.1 % 12 + 1);
            assert!(
                next_day || next_month,
                "{before:?} then {:?}",
                (year, month, day)
            );
            before = (year, month, day);
        }
        assert_eq!(before, (2369, 12, 31));
    }

    #[test]
    fn week_begins_on_monday() {
        let monday = Timestamp::from_seconds(1_704_067_200);
        assert_eq!(monday.hour_of_week(), 0);
        assert_eq!((monday - Span(1)).hour_of_week(), 167);
        assert_eq!(Timestamp::EPOCH.day_of_week(), 3);
        assert_eq!((monday + Span::from_hours(30)).hour_of_day(), 6);
        assert_eq!(Timestamp(-1).hour_of_day(), 23);
    }

    #[test]
    fn arithmetic_and_serde() {
        assert_eq!(Span::from_days(1), Span::from_hours(24));
        assert_eq!(Span::from_hours(1), Span::from_minutes(60));
        assert_eq!(Span::from_seconds_f64(0.5), Span(500_000));
        assert_eq!(Timestamp(7) - Timestamp(3), Span(4));
        assert_eq!(Timestamp(1_999_999).seconds(), 1);
        assert_eq!(serde_json::to_string(&Timestamp(5)).unwrap(), "5");
        assert_eq!(serde_json::from_str::<Span>("-3").unwrap(), Span(-3));
    }
}
