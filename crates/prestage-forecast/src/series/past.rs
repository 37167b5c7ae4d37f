//! The memory that all parts of a forecaster share: the last slots, with gaps filled.
//!
//! A missing slot holds the value one season before, or the newest one when there is none, so
//! that whoever reads lags finds numbers. Only [`Past::observed`] tells what was measured.
use serde::{Deserialize, Serialize};

use super::Setting;

/// Magnitudes beyond this no telemetry has, and their squares would overflow.
pub(super) const MAGNITUDE_MAX: f64 = 1e100;
/// Seasons that are kept.
const SEASONS_KEPT: usize = 4;
/// Slots that are kept at least.
const SLOTS_MIN: usize = 64;

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Past {
    seasons: Vec<usize>,
    /// A ring: slot `s` is at `s` modulo the length.
    values: Vec<f64>,
    slot: i64,
    /// Where in the ring the newest slot is.
    newest: usize,
    /// Slots held, at most all of the ring.
    len: usize,
    newest_is_observed: bool,
}

impl Past {
    pub(super) fn new(setting: &Setting) -> Self {
        let kept = SEASONS_KEPT * setting.longest_season() + setting.horizon() + 2;
        Self {
            seasons: setting.seasons().to_vec(),
            values: vec![0.0; kept.max(SLOTS_MIN)],
            slot: 0,
            newest: 0,
            len: 0,
            newest_is_observed: false,
        }
    }

    /// Appends the slot after the newest, or at `slot` when there is none yet.
    pub(super) fn push(&mut self, slot: i64, value: Option<f64>) {
        debug_assert!(self.len == 0 || slot == self.slot + 1);
        let filled = value.unwrap_or_else(|| self.expected_naively());
        self.slot = slot;
        self.newest_is_observed = value.is_some();
        self.newest = self.index(slot);
        self.values[self.newest] = filled;
        self.len = (self.len + 1).min(self.values.len());
    }

    /// Leaves out `slots` that nobody measured: what is known is taken to hold for them.
    pub(super) fn skip(&mut self, slots: i64) {
        let kept: Vec<f64> = (0..self.len).map(|back| self.back(back)).collect();
        self.slot += slots;
        self.newest = self.index(self.slot);
        for (back, value) in kept.into_iter().enumerate() {
            let index = self.index(self.slot - back as i64);
            self.values[index] = value;
        }
    }

    fn expected_naively(&self) -> f64 {
        match self.len {
            0 => 0.0,
            len if len >= self.season() => self.back(self.season() - 1),
            _ => self.back(0),
        }
    }

    fn index(&self, slot: i64) -> usize {
        slot.rem_euclid(self.values.len() as i64) as usize
    }

    /// Number of the newest slot: whole steps since the epoch.
    pub fn slot(&self) -> i64 {
        self.slot
    }

    /// Slots known, gaps included.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Slots that are kept at most.
    pub fn capacity(&self) -> usize {
        self.values.len()
    }

    /// The newest value if it was measured.
    pub fn observed(&self) -> Option<f64> {
        (self.newest_is_observed && self.len > 0).then(|| self.back(0))
    }

    /// The newest value, measured or filled; zero without any.
    pub fn newest(&self) -> f64 {
        self.back(0)
    }

    /// The value `slots` before the newest, or the oldest that is kept.
    pub fn back(&self, slots: usize) -> f64 {
        if self.len == 0 {
            return 0.0;
        }
        let back = slots.min(self.len - 1);
        let index = if self.newest >= back {
            self.newest - back
        } else {
            self.newest + self.values.len() - back
        };
        self.values[index]
    }

    /// The newest value at the place in the season of the slot `steps` ahead.
    pub fn season_ago(&self, steps: usize, season: usize) -> f64 {
        self.back(steps.div_ceil(season) * season - steps)
    }

    /// The mean of the values at the place in the season of the slot `steps` ahead, of the newest
    /// `cycles` or of those that are known.
    pub fn season_mean(&self, steps: usize, season: usize, cycles: usize) -> f64 {
        let newest = steps.div_ceil(season) * season - steps;
        let known = (self.len.saturating_sub(newest)).div_ceil(season);
        let cycles = known.clamp(1, cycles);
        let values = (0..cycles).map(|cycle| self.back(newest + cycle * season));
        values.sum::<f64>() / cycles as f64
    }

    /// All that is kept, oldest first.
    pub fn to_vec(&self) -> Vec<f64> {
        (0..self.len).rev().map(|back| self.back(back)).collect()
    }

    /// The seasons, ascending.
    pub fn seasons(&self) -> &[usize] {
        &self.seasons
    }

    /// The shortest season, 1 when there is none.
    pub fn season(&self) -> usize {
        self.seasons.first().copied().unwrap_or(1)
    }

    /// The longest season, 1 when there is none.
    pub fn longest_season(&self) -> usize {
        self.seasons.last().copied().unwrap_or(1)
    }

    /// Place of the slot `steps` ahead in a season.
    pub fn phase(&self, steps: usize, season: usize) -> usize {
        (self.slot + steps as i64).rem_euclid(season as i64) as usize
    }
}

#[cfg(test)]
mod tests {
    use prestage_telemetry::Span;

    use super::*;

    fn past(values: &[Option<f64>]) -> Past {
        let setting = Setting::new(Span::from_hours(1), 4).unwrap().with_season(3);
        let mut past = Past::new(&setting);
        for (slot, &value) in (100..).zip(values) {
            past.push(slot, value);
        }
        past
    }

    #[test]
    fn gaps_are_filled_with_the_season_before() {
        let past = past(&[Some(1.0), Some(2.0), Some(3.0), None, Some(5.0), None]);
        assert_eq!(past.to_vec(), [1.0, 2.0, 3.0, 1.0, 5.0, 3.0]);
        assert_eq!(past.observed(), None);
    }

    #[test]
    fn the_season_before_a_step_ahead_is_the_newest_of_its_phase() {
        let past = past(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0].map(Some));
        let ago = [1, 2, 3, 4].map(|steps| past.season_ago(steps, 3));
        assert_eq!(ago, [4.0, 5.0, 6.0, 4.0]);
        let means = [1, 3, 4].map(|steps| past.season_mean(steps, 3, 5));
        assert_eq!(means, [2.5, 4.5, 2.5]);
        assert_eq!(past.season_mean(2, 3, 1), 5.0);
        assert_eq!(past.back(99), 1.0);
        assert_eq!(past.phase(1, 3), 106 % 3);
    }

    #[test]
    fn a_skipped_stretch_keeps_what_was_known() {
        let mut past = past(&[1.0, 2.0, 3.0].map(Some));
        past.skip(3_000);
        assert_eq!(past.slot(), 3_102);
        assert_eq!(past.to_vec(), [1.0, 2.0, 3.0]);
    }
}
