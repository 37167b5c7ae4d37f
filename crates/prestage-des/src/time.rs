//! Simulated time as whole microseconds.
//!
//! One type serves instants and spans, as in most event kernels: an instant is the
//! span since the epoch of the run. Integers make event order, ties and the identity
//! behind Little's law exact on every machine; floats would make them approximate.
//!
//! Must not know the wall clock, calendars or time zones.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Rem, Sub, SubAssign};

use serde::{Deserialize, Serialize};

const MICROS_PER_MILLI: i64 = 1_000;
const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_MINUTE: i64 = 60 * MICROS_PER_SECOND;
const MICROS_PER_HOUR: i64 = 60 * MICROS_PER_MINUTE;
const MICROS_PER_DAY: i64 = 24 * MICROS_PER_HOUR;

/// 1.5 x 2^52: between 2^52 and 2^53 floats are the integers.
const ROUNDING_SHIFT: f64 = (1_u64 << 52) as f64 * 1.5;
/// What stays there when the shift is added.
const ROUNDING_MAX: f64 = (1_u64 << 51) as f64;

/// An instant or a span in microseconds; negative values lie before the epoch.
///
/// Arithmetic panics on overflow, in release builds too: a wrapped clock would
/// reorder a whole run silently. The range is about 292,000 years each way.
///
/// ```
/// use prestage_des::SimTime;
///
/// let deploy = SimTime::from_days(1) + SimTime::from_minutes(90);
/// assert_eq!(deploy.as_hours_f64(), 25.5);
/// assert_eq!(deploy.to_string(), "1d 01:30:00.000000");
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct SimTime(i64);

impl SimTime {
    /// The epoch, and the empty span.
    pub const ZERO: Self = Self(0);
    /// The earliest instant.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest instant; stands for "never".
    pub const MAX: Self = Self(i64::MAX);

    /// `micros` microseconds.
    #[inline]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// `millis` milliseconds. Panics on overflow.
    pub const fn from_millis(millis: i64) -> Self {
        Self::from_units(millis, MICROS_PER_MILLI)
    }

    /// `secs` seconds. Panics on overflow.
    pub const fn from_secs(secs: i64) -> Self {
        Self::from_units(secs, MICROS_PER_SECOND)
    }

    /// `minutes` minutes. Panics on overflow.
    pub const fn from_minutes(minutes: i64) -> Self {
        Self::from_units(minutes, MICROS_PER_MINUTE)
    }

    /// `hours` hours. Panics on overflow.
    pub const fn from_hours(hours: i64) -> Self {
        Self::from_units(hours, MICROS_PER_HOUR)
    }

    /// `days` days of 24 hours. Panics on overflow.
    pub const fn from_days(days: i64) -> Self {
        Self::from_units(days, MICROS_PER_DAY)
    }

    const fn from_units(count: i64, micros_per_unit: i64) -> Self {
        match count.checked_mul(micros_per_unit) {
            Some(micros) => Self(micros),
            None => panic!("simulated time overflows its 64-bit microseconds"),
        }
    }

    /// `secs` seconds rounded to the nearest microsecond, ties to even, for sampled
    /// durations.
    ///
    /// Panics when `secs` is not finite or lies outside the range.
    #[inline]
    pub fn from_secs_f64(secs: f64) -> Self {
        let micros = secs * MICROS_PER_SECOND as f64;
        if micros.abs() < ROUNDING_MAX {
            // The sum has no bits for a fraction, so the addition rounds; its lowest
            // bits are then the integer. `f64::round` is a library call on baseline
            // x86-64 and took 6 % of a pipeline's time.
            let shifted = (micros + ROUNDING_SHIFT).to_bits() as i64;
            return Self(shifted - ROUNDING_SHIFT.to_bits() as i64);
        }
        Self::round(micros)
    }

    /// The rare rest: beyond 71 years, and what is no time at all.
    #[cold]
    fn round(micros: f64) -> Self {
        assert!(
            // `i64::MAX as f64` rounds up to 2^63, so the upper bound is strict.
            micros >= i64::MIN as f64 && micros < i64::MAX as f64,
            "{micros} us is not a simulated time"
        );
        Self(micros.round_ties_even() as i64)
    }

    /// Whole microseconds.
    #[inline]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Seconds.
    #[inline]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / MICROS_PER_SECOND as f64
    }

    /// Minutes.
    pub fn as_minutes_f64(self) -> f64 {
        self.0 as f64 / MICROS_PER_MINUTE as f64
    }

    /// Hours.
    pub fn as_hours_f64(self) -> f64 {
        self.0 as f64 / MICROS_PER_HOUR as f64
    }

    /// Days of 24 hours.
    pub fn as_days_f64(self) -> f64 {
        self.0 as f64 / MICROS_PER_DAY as f64
    }

    /// The sum, or `None` on overflow.
    #[inline]
    pub const fn checked_add(self, span: Self) -> Option<Self> {
        match self.0.checked_add(span.0) {
            Some(micros) => Some(Self(micros)),
            None => None,
        }
    }

    /// The difference, or `None` on overflow.
    #[inline]
    pub const fn checked_sub(self, span: Self) -> Option<Self> {
        match self.0.checked_sub(span.0) {
            Some(micros) => Some(Self(micros)),
            None => None,
        }
    }

    /// The sum, held at [`SimTime::MIN`] and [`SimTime::MAX`].
    pub const fn saturating_add(self, span: Self) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// How many whole `span`s have passed at this instant, rounded towards the past.
    ///
    /// Panics unless `span` is positive.
    pub const fn div_floor(self, span: Self) -> i64 {
        assert!(
            span.0 > 0,
            "cannot divide time by a span that is not positive"
        );
        self.0.div_euclid(span.0)
    }

    /// The latest multiple of `span` that is not after this instant.
    ///
    /// Panics unless `span` is positive.
    pub const fn floor_to(self, span: Self) -> Self {
        assert!(
            span.0 > 0,
            "cannot align time to a span that is not positive"
        );
        // Through the remainder, because `MIN` aligned downwards has no representation.
        match self.0.checked_sub(self.0.rem_euclid(span.0)) {
            Some(micros) => Self(micros),
            None => panic!("simulated time overflows its 64-bit microseconds"),
        }
    }
}

impl Add for SimTime {
    type Output = Self;

    #[inline]
    fn add(self, span: Self) -> Self {
        match self.checked_add(span) {
            Some(sum) => sum,
            None => overflow(self, "+", span.0),
        }
    }
}

impl Sub for SimTime {
    type Output = Self;

    #[inline]
    fn sub(self, span: Self) -> Self {
        match self.checked_sub(span) {
            Some(difference) => difference,
            None => overflow(self, "-", span.0),
        }
    }
}

impl Mul<i64> for SimTime {
    type Output = Self;

    #[inline]
    fn mul(self, count: i64) -> Self {
        match self.0.checked_mul(count) {
            Some(micros) => Self(micros),
            None => overflow(self, "*", count),
        }
    }
}

/// Whole microseconds, rounded towards zero. Panics when `count` is zero.
impl Div<i64> for SimTime {
    type Output = Self;

    fn div(self, count: i64) -> Self {
        match self.0.checked_div(count) {
            Some(micros) => Self(micros),
            None => overflow(self, "/", count),
        }
    }
}

/// What is left of this instant after whole `span`s, never negative.
impl Rem for SimTime {
    type Output = Self;

    fn rem(self, span: Self) -> Self {
        assert!(
            span.0 > 0,
            "cannot align time to a span that is not positive"
        );
        Self(self.0.rem_euclid(span.0))
    }
}

impl Neg for SimTime {
    type Output = Self;

    fn neg(self) -> Self {
        Self::ZERO - self
    }
}

impl AddAssign for SimTime {
    #[inline]
    fn add_assign(&mut self, span: Self) {
        *self = *self + span;
    }
}

impl SubAssign for SimTime {
    #[inline]
    fn sub_assign(&mut self, span: Self) {
        *self = *self - span;
    }
}

impl Sum for SimTime {
    fn sum<I: Iterator<Item = Self>>(spans: I) -> Self {
        spans.fold(Self::ZERO, Add::add)
    }
}

#[cold]
#[inline(never)]
fn overflow(left: SimTime, operator: &str, right: i64) -> ! {
    panic!("simulated time overflows: {} us {operator} {right}", left.0)
}

impl fmt::Display for SimTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let micros = self.0.unsigned_abs();
        let unit = |micros_per_unit: i64| micros / micros_per_unit.unsigned_abs();
        write!(
            f,
            "{sign}{}d {:02}:{:02}:{:02}.{:06}",
            unit(MICROS_PER_DAY),
            unit(MICROS_PER_HOUR) % 24,
            unit(MICROS_PER_MINUTE) % 60,
            unit(MICROS_PER_SECOND) % 60,
            micros % MICROS_PER_SECOND.unsigned_abs(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_agree() {
        assert_eq!(SimTime::from_days(2), SimTime::from_hours(48));
        assert_eq!(SimTime::from_hours(1), SimTime::from_minutes(60));
        assert_eq!(SimTime::from_minutes(1), SimTime::from_secs(60));
        assert_eq!(SimTime::from_secs(1), SimTime::from_millis(1_000));
        assert_eq!(SimTime::from_millis(1), SimTime::from_micros(1_000));
        assert_eq!(SimTime::from_secs_f64(1.000_000_4), SimTime::from_secs(1));
        assert_eq!(SimTime::from_secs(90).as_minutes_f64(), 1.5);
    }

    #[test]
    fn seconds_round_as_floats_do_with_ties_to_even() {
        let mut micros: f64 = 0.499_999_999_999_999_94;
        // Past 2^53 no fraction is left.
        while micros < 1e17 {
            for value in [micros, -micros, micros.floor() + 0.5] {
                let secs = value / 1e6;
                let expected = (secs * 1e6).round_ties_even() as i64;
                assert_eq!(SimTime::from_secs_f64(secs).as_micros(), expected, "{secs}");
            }
            micros *= 1.021;
        }
    }

    #[test]
    fn alignment_rounds_towards_the_past_before_the_epoch_too() {
        let hour = SimTime::from_hours(1);
        let early = SimTime::from_minutes(-30);
        assert_eq!(early.div_floor(hour), -1);
        assert_eq!(early.floor_to(hour), SimTime::from_hours(-1));
        assert_eq!(early % hour, SimTime::from_minutes(30));
        assert_eq!(SimTime::from_minutes(61).floor_to(hour), hour);
    }

    #[test]
    #[should_panic(expected = "simulated time overflows: 9223372036854775807 us + 1")]
    fn addition_past_the_end_panics() {
        let _ = SimTime::MAX + SimTime::from_micros(1);
    }

    #[test]
    #[should_panic(expected = "simulated time overflows")]
    fn too_many_days_panic() {
        let _ = SimTime::from_days(i64::MAX / 2);
    }

    #[test]
    #[should_panic(expected = "NaN us is not a simulated time")]
    fn not_a_number_is_not_a_time() {
        let _ = SimTime::from_secs_f64(f64::NAN);
    }

    #[test]
    fn displays_days_and_clock() {
        let time = SimTime::from_days(3) + SimTime::from_micros(1);
        assert_eq!(time.to_string(), "3d 00:00:00.000001");
        assert_eq!((-time).to_string(), "-3d 00:00:00.000001");
        assert!(SimTime::MIN.to_string().starts_with("-106751991d"));
    }

    #[test]
    fn serializes_as_a_bare_integer() {
        let text = serde_json::to_string(&SimTime::from_micros(7)).unwrap();
        assert_eq!(text, "7");
    }
}
