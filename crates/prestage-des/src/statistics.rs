//! Accumulators for what a run measures: over time and over observations.
//!
//! Both are a handful of numbers, cost a few nanoseconds an update and can be stored
//! in the middle of a run. Must not know what is measured.

use serde::{Deserialize, Serialize};

use crate::time::SimTime;

/// The time average of a quantity that jumps, such as a queue length.
///
/// ```
/// use prestage_des::{SimTime, TimeWeighted};
///
/// let mut queue_length = TimeWeighted::new(SimTime::ZERO, 0.0);
/// queue_length.set(SimTime::from_secs(6), 3.0);
/// assert_eq!(queue_length.mean(SimTime::from_secs(8)), 0.75);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimeWeighted {
    start: SimTime,
    last: SimTime,
    value: f64,
    integral: f64,
    min: f64,
    max: f64,
}

impl TimeWeighted {
    /// Starts to watch at `now`, when the quantity is `value`.
    pub fn new(now: SimTime, value: f64) -> Self {
        assert!(value.is_finite(), "cannot average the value {value}");
        Self {
            start: now,
            last: now,
            value,
            integral: 0.0,
            min: value,
            max: value,
        }
    }

    /// The quantity jumps to `value` at `now`.
    ///
    /// Panics when `now` lies before the last jump or `value` is not finite.
    pub fn set(&mut self, now: SimTime, value: f64) {
        assert!(value.is_finite(), "cannot average the value {value}");
        self.integral = self.integral(now);
        self.last = now;
        self.value = value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// The quantity jumps by `change` at `now`.
    pub fn add(&mut self, now: SimTime, change: f64) {
        self.set(now, self.value + change);
    }

    /// The present value.
    pub fn value(&self) -> f64 {
        self.value
    }

    /// Value times seconds since the start.
    pub fn integral(&self, now: SimTime) -> f64 {
        assert!(
            now >= self.last,
            "time ran backwards: {now} < {}",
            self.last
        );
        self.integral + self.value * (now - self.last).as_secs_f64()
    }

    /// The average since the start; the present value when no time has passed.
    pub fn mean(&self, now: SimTime) -> f64 {
        let elapsed = (now - self.start).as_secs_f64();
        if elapsed > 0.0 {
            self.integral(now) / elapsed
        } else {
            self.value
        }
    }

    /// The least value since the start.
    pub fn min(&self) -> f64 {
        self.min
    }

    /// The greatest value since the start.
    pub fn max(&self) -> f64 {
        self.max
    }

    /// Forgets the past, at the end of a warm-up for instance; the value stays.
    pub fn restart(&mut self, now: SimTime) {
        assert!(
            now >= self.last,
            "time ran backwards: {now} < {}",
            self.last
        );
        *self = Self::new(now, self.value);
    }
}

/// Count, mean, variance and range of observations (Welford 1962).
///
/// ```
/// use prestage_des::Tally;
///
/// let wait: Tally = [1.0, 2.0, 6.0].into_iter().collect();
/// assert_eq!((wait.count(), wait.mean(), wait.variance()), (3, 3.0, 7.0));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    count: u64,
    mean: f64,
    squares: f64,
    /// `None` before the first observation: formats such as JSON have no infinity.
    range: Option<(f64, f64)>,
}

impl Tally {
    /// No observations yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an observation. Panics when it is not finite.
    pub fn add(&mut self, value: f64) {
        assert!(value.is_finite(), "cannot tally the value {value}");
        self.count += 1;
        let delta = value - self.mean;
        self.mean += delta / self.count as f64;
        self.squares += delta * (value - self.mean);
        let (min, max) = self.range.unwrap_or((value, value));
        self.range = Some((min.min(value), max.max(value)));
    }

    /// Adds the observations of `other` (Chan, Golub, LeVeque 1979).
    pub fn merge(&mut self, other: &Self) {
        let (Some(ours), Some(theirs)) = (self.range, other.range) else {
            if self.count == 0 {
                *self = other.clone();
            }
            return;
        };
        let count = (self.count + other.count) as f64;
        let delta = other.mean - self.mean;
        let weight = other.count as f64 / count;
        self.squares += other.squares + delta * delta * self.count as f64 * weight;
        self.mean += delta * weight;
        self.count += other.count;
        self.range = Some((ours.0.min(theirs.0), ours.1.max(theirs.1)));
    }

    /// How many observations.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their mean; 0 when there are none.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Their sum.
    pub fn sum(&self) -> f64 {
        self.mean * self.count as f64
    }

    /// The sum of squared deviations from the mean.
    pub fn squares(&self) -> f64 {
        self.squares
    }

    /// Sample variance (divisor n - 1); 0 with fewer than two observations.
    pub fn variance(&self) -> f64 {
        if self.count < 2 {
            0.0
        } else {
            self.squares / (self.count - 1) as f64
        }
    }

    /// Sample standard deviation.
    pub fn standard_deviation(&self) -> f64 {
        self.variance().sqrt()
    }

    /// Standard error of the mean, valid for independent observations only: waits in
    /// one queue are not.
    pub fn standard_error(&self) -> f64 {
        if self.count == 0 {
            0.0
        } else {
            (self.variance() / self.count as f64).sqrt()
        }
    }

    /// The least observation.
    pub fn min(&self) -> Option<f64> {
        self.range.map(|(min, _)| min)
    }

    /// The greatest observation.
    pub fn max(&self) -> Option<f64> {
        self.range.map(|(_, max)| max)
    }
}

impl Extend<f64> for Tally {
    fn extend<I: IntoIterator<Item = f64>>(&mut self, values: I) {
        values.into_iter().for_each(|value| self.add(value));
    }
}

impl FromIterator<f64> for Tally {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut tally = Self::new();
        tally.extend(values);
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_average_weighs_each_value_by_how_long_it_held() {
        let mut level = TimeWeighted::new(SimTime::from_secs(10), 1.0);
        level.set(SimTime::from_secs(12), 5.0);
        level.add(SimTime::from_secs(13), -2.0);
        assert_eq!(level.integral(SimTime::from_secs(15)), 2.0 + 5.0 + 6.0);
        assert_eq!(level.mean(SimTime::from_secs(15)), 13.0 / 5.0);
        assert_eq!((level.min(), level.max()), (1.0, 5.0));
    }

    #[test]
    fn restart_keeps_the_value_and_drops_the_history() {
        let mut level = TimeWeighted::new(SimTime::ZERO, 9.0);
        level.set(SimTime::from_secs(1), 2.0);
        level.restart(SimTime::from_secs(5));
        assert_eq!(level.mean(SimTime::from_secs(5)), 2.0);
        assert_eq!(level.mean(SimTime::from_secs(6)), 2.0);
        assert_eq!(level.max(), 2.0);
    }

    #[test]
    #[should_panic(expected = "time ran backwards")]
    fn time_average_refuses_the_past() {
        TimeWeighted::new(SimTime::from_secs(1), 0.0).set(SimTime::ZERO, 1.0);
    }

    #[test]
    fn merged_tallies_equal_one_tally() {
        let values = [3.0, -1.0, 4.0, 1.0, -5.0, 9.0, 2.0, 6.0];
        let whole: Tally = values.into_iter().collect();
        for cut in 0..=values.len() {
            let mut left: Tally = values[..cut].iter().copied().collect();
            left.merge(&values[cut..].iter().copied().collect());
            assert_eq!(left.count(), whole.count());
            assert!((left.mean() - whole.mean()).abs() < 1e-12);
            assert!((left.variance() - whole.variance()).abs() < 1e-12);
            assert_eq!((left.min(), left.max()), (Some(-5.0), Some(9.0)));
        }
    }

    #[test]
    fn an_empty_tally_says_so() {
        let tally = Tally::new();
        assert_eq!(
            (tally.count(), tally.mean(), tally.variance()),
            (0, 0.0, 0.0)
        );
        assert_eq!((tally.min(), tally.max()), (None, None));
    }
}
