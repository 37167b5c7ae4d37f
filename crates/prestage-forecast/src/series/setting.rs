//! What a forecaster is told before its first sample.
use prestage_telemetry::Span;

use super::Error;

/// Steps ahead that a forecaster may be asked for.
pub const HORIZON_MAX: usize = 4_096;
/// Slots a season may have; a longer one would only cost memory.
const SEASON_MAX: usize = 2_016;

const DAY: i64 = 86_400_000_000;

/// Step, horizon, seasons and floor of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    step: Span,
    horizon: usize,
    seasons: Vec<usize>,
    floor: Option<f64>,
}

impl Setting {
    /// Samples come every `step`, nominally, and forecasts reach `horizon` steps ahead.
    ///
    /// The seasons are the day and the week as far as they are whole numbers of steps, from 2
    /// to 2,016 of them; steps of a day have the week alone.
    ///
    /// # Errors
    /// When `step` is not positive or `horizon` is not from 1 to 4,096.
    pub fn new(step: Span, horizon: usize) -> Result<Self, Error> {
        if step <= Span::ZERO {
            return Err(Error::Step { step });
        }
        if !(1..=HORIZON_MAX).contains(&horizon) {
            return Err(Error::Horizon { found: horizon });
        }
        let seasons = [DAY, 7 * DAY]
            .into_iter()
            .filter(|period| period % step.micros() == 0)
            .filter_map(|period| usize::try_from(period / step.micros()).ok())
            .filter(|slots| (2..=SEASON_MAX).contains(slots))
            .collect();
        Ok(Self {
            step,
            horizon,
            seasons,
            floor: None,
        })
    }

    /// With one season of `slots` steps instead of the day and the week: 12 for months.
    #[must_use]
    pub fn with_season(mut self, slots: usize) -> Self {
        self.seasons = vec![slots.clamp(2, SEASON_MAX)];
        self
    }

    /// With a value below which the series cannot be, such as 0 for a rate.
    #[must_use]
    pub fn with_floor(mut self, floor: f64) -> Self {
        self.floor = floor.is_finite().then_some(floor);
        self
    }

    /// Nominal time between two samples.
    pub const fn step(&self) -> Span {
        self.step
    }

    /// Most steps ahead.
    pub const fn horizon(&self) -> usize {
        self.horizon
    }

    /// Lengths of the seasons in steps, ascending; none when nothing is known to repeat.
    pub fn seasons(&self) -> &[usize] {
        &self.seasons
    }

    /// The shortest season, 1 when there is none: seasonal naive is persistence then.
    pub fn season(&self) -> usize {
        self.seasons.first().copied().unwrap_or(1)
    }

    /// The value below which nothing is forecast.
    pub const fn floor(&self) -> Option<f64> {
        self.floor
    }

    /// The longest season, 1 when there is none.
    pub(super) fn longest_season(&self) -> usize {
        self.seasons.last().copied().unwrap_or(1)
    }

    /// Steps ahead at which errors are measured: 1, 2, 3, 4, 6, 8, 12, 16, 24 ... and the
    /// horizon. Errors grow smoothly with the horizon, so the steps between use the nearest.
    pub(super) fn anchors(&self) -> Vec<usize> {
        let powers = (0..).map(|power| 1_usize << power);
        let doubled = powers.flat_map(|power| [power, power + power / 2]);
        let mut anchors: Vec<usize> = doubled.take_while(|&steps| steps < self.horizon).collect();
        anchors.push(self.horizon);
        anchors.dedup();
        anchors
    }
}

/// The index of the anchor that speaks for `steps`, the nearest in proportion.
pub(super) fn nearest_anchor(anchors: impl ExactSizeIterator<Item = usize>, steps: usize) -> usize {
    let last = anchors.len() - 1;
    let mut below = 0;
    for (i, anchor) in anchors.enumerate() {
        if anchor == steps {
            return i;
        }
        if anchor > steps {
            // Geometric middle between the anchors: below^2 x ratio.
            let is_upper = steps * steps > below * anchor;
            return if is_upper || i == 0 { i } else { i - 1 };
        }
        below = anchor;
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seasons_follow_from_the_step() {
        let seasons = |minutes| {
            let setting = Setting::new(Span::from_minutes(minutes), 1).unwrap();
            setting.seasons().to_vec()
        };
        assert_eq!(seasons(60), [24, 168]);
        assert_eq!(seasons(5), [288, 2016]);
        assert_eq!(seasons(1440), [7]);
        assert_eq!(seasons(1), [1440]);
        assert_eq!(seasons(7), [1440], "a day is no multiple of seven minutes");
    }

    #[test]
    fn anchors_are_dense_near_and_end_at_the_horizon() {
        let anchors = |horizon| {
            let setting = Setting::new(Span::from_hours(1), horizon).unwrap();
            setting.anchors()
        };
        assert_eq!(anchors(1), [1]);
        assert_eq!(anchors(12), [1, 2, 3, 4, 6, 8, 12]);
        assert_eq!(anchors(30), [1, 2, 3, 4, 6, 8, 12, 16, 24, 30]);
        let of = |steps| nearest_anchor(anchors(24).into_iter(), steps);
        assert_eq!(
            [of(1), of(5), of(7), of(20), of(24), of(99)],
            [0, 4, 5, 8, 8, 8]
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let refused = Setting::new(Span::ZERO, 1).unwrap_err().to_string();
        assert_eq!(
            refused,
            "the step between samples is 0 s (allowed: more than 0 s)"
        );
        let refused = Setting::new(Span::from_hours(1), 0)
            .unwrap_err()
            .to_string();
        assert_eq!(refused, "the horizon has 0 steps (allowed: 1 to 4096)");
    }
}
