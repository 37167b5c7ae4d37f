//! The exact integral of a count over time.
//!
//! Must not know what is counted.

use serde::{Deserialize, Serialize};

use crate::time::SimTime;

/// A count that changes by steps, and its integral in count x microseconds since a
/// start.
///
/// A step of d at time t adds d (T - t) to the integral up to T. Summing d t instead
/// makes a step an addition, without the multiplication of area += count x elapsed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct CountArea {
    count: i64,
    /// The sum of d t over the steps so far, t in microseconds since the start.
    moment: i64,
}

impl CountArea {
    /// `count` from the start on.
    pub fn new(count: usize) -> Self {
        Self {
            count: count as i64,
            moment: 0,
        }
    }

    #[inline]
    pub fn count(&self) -> usize {
        self.count as usize
    }

    /// One more, `since_start` after the start.
    #[inline]
    pub fn increment(&mut self, since_start: SimTime) {
        self.count += 1;
        self.moment = sum(self.moment, since_start.as_micros());
    }

    /// One less.
    #[inline]
    pub fn decrement(&mut self, since_start: SimTime) {
        assert!(self.count > 0, "a count falls below zero");
        self.count -= 1;
        self.moment = sum(self.moment, -since_start.as_micros());
    }

    /// A jump to `count`.
    pub fn set(&mut self, since_start: SimTime, count: usize) {
        let step = count as i64 - self.count;
        self.count = count as i64;
        self.moment = sum(self.moment, product(step, since_start.as_micros()));
    }

    /// Count x microseconds from the start to `since_start`.
    pub fn integral(&self, since_start: SimTime) -> i64 {
        sum(product(self.count, since_start.as_micros()), -self.moment)
    }
}

/// 64 bits hold 1,000 jobs for 292 years; a wrapped sum would be a silent lie.
const OVERFLOW: &str = "statistics cover less than 292,000 job-years: reset them";

#[inline]
fn sum(left: i64, right: i64) -> i64 {
    left.checked_add(right).expect(OVERFLOW)
}

fn product(left: i64, right: i64) -> i64 {
    left.checked_mul(right).expect(OVERFLOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_integral_is_that_of_the_step_function() {
        let at = SimTime::from_micros;
        let mut area = CountArea::new(2);
        area.increment(at(3));
        area.decrement(at(5));
        area.set(at(10), 7);
        area.set(at(12), 0);
        // 2 x 3 + 3 x 2 + 2 x 5 + 7 x 2, then nothing.
        assert_eq!(area.integral(at(12)), 36);
        assert_eq!(area.integral(at(1_000)), 36);
        assert_eq!(area.count(), 0);
    }

    #[test]
    #[should_panic(expected = "a count falls below zero")]
    fn a_count_is_never_negative() {
        CountArea::new(0).decrement(SimTime::ZERO);
    }
}
