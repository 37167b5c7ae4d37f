//! A value that comes again and again, exactly: the zero of a series that is mostly zero.
//!
//! The errors of a continuous forecast say little about such a series, in which every quantile up to the
//! share of the atom is the atom itself. The value is found by majority vote (Boyer & Moore 1981) over what
//! came, so only one that more than half of the samples have; its probability at an anchor is a linear
//! regression, by recursive least squares, on whether the newest value is the atom and on its shares
//! recently, over a season and at the target's place in the season. Series without such a value pay for a
//! comparison.
use serde::{Deserialize, Serialize};

use super::least_squares::LeastSquares;
use super::profile::Profile;
use super::{Past, Setting};

/// Samples by which the value must be ahead of all others before it is an atom.
const LEAD_MIN: f64 = 12.0;
/// Largest lead, in seasons: how long an atom that no longer comes is remembered.
const LEAD_SEASONS: f64 = 7.0;
/// Samples in the memory of the recent share.
const RECENT: f64 = 6.0;
/// Regressors: one, the newest value, and the shares.
const REGRESSORS: usize = 5;
/// What their weights are before anything is learnt.
const WEIGHTS: [f64; REGRESSORS] = [0.0, 0.2, 0.1, 0.4, 0.3];
/// Prior variance of a weight a step ahead; errors further ahead depend on each other.
const PRIOR: f64 = 0.1;
/// What a sample keeps of its weight over one update.
const FORGETTING: f64 = 0.9995;

/// What the probability of the atom is regressed on.
pub(super) type Row = [f64; REGRESSORS];

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Atom {
    value: f64,
    lead: f64,
    lead_max: f64,
    is_established: bool,
    is_newest: bool,
    recent: f64,
    season: f64,
    by_phase: Profile,
}

impl Atom {
    pub(super) fn new(setting: &Setting) -> Self {
        Self {
            value: f64::NAN,
            lead: 0.0,
            lead_max: (LEAD_SEASONS * setting.season() as f64).max(2.0 * LEAD_MIN),
            is_established: false,
            is_newest: false,
            recent: 0.0,
            season: 0.0,
            by_phase: Profile::new(setting.season(), 14),
        }
    }

    /// The atom, when there is one.
    pub(super) fn value(&self) -> Option<f64> {
        self.is_established.then_some(self.value)
    }

    /// Takes the newest value of `past`, which was measured.
    pub(super) fn learn(&mut self, past: &Past, value: f64) {
        self.is_newest = value == self.value;
        self.vote(value);
        if !self.is_established {
            return;
        }
        let came = f64::from(u8::from(self.is_newest));
        let season = self.by_phase.season();
        self.recent += (came - self.recent) / RECENT;
        self.season += (came - self.season) / season.max(RECENT as usize) as f64;
        self.by_phase.learn(past.phase(0, season), came);
    }

    fn vote(&mut self, value: f64) {
        if self.is_newest {
            self.lead = (self.lead + 1.0).min(self.lead_max);
            if !self.is_established && self.lead >= LEAD_MIN {
                self.is_established = true;
                (self.recent, self.season) = (1.0, 1.0);
            }
            return;
        }
        self.lead -= 1.0;
        if self.lead < 0.0 {
            if self.is_established {
                self.is_established = false;
                self.by_phase = Profile::new(self.by_phase.season(), 14);
            }
            (self.value, self.lead) = (value, 1.0);
        }
    }

    /// The regressors of the slot `steps` ahead, when there is an atom.
    pub(super) fn row(&self, past: &Past, steps: usize) -> Option<Row> {
        self.is_established.then(|| {
            let phase = past.phase(steps, self.by_phase.season());
            let newest = f64::from(u8::from(self.is_newest));
            let by_phase = self.by_phase.seen(phase).unwrap_or(self.season);
            [1.0, newest, self.recent, self.season, by_phase]
        })
    }
}

/// How probable the atom is at one anchor.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct AtomShare(LeastSquares);

impl AtomShare {
    pub(super) fn new(steps: usize) -> Self {
        let prior = PRIOR / steps as f64;
        Self(LeastSquares::new(WEIGHTS.to_vec(), prior, FORGETTING))
    }

    pub(super) fn probability(&self, row: &Row) -> f64 {
        self.0.predict(row).clamp(0.0, 1.0)
    }

    pub(super) fn learn(&mut self, row: &Row, came: bool) {
        self.0.learn(row, f64::from(u8::from(came)), 1.0);
    }
}

#[cfg(test)]
mod tests {
    use prestage_telemetry::{Span, Timestamp};

    use super::*;
    use crate::series::FORECASTERS;

    fn learnt(values: impl Iterator<Item = f64>) -> Atom {
        let setting = Setting::new(Span::from_hours(1), 1).unwrap();
        let (mut past, mut atom) = (Past::new(&setting), Atom::new(&setting));
        for (slot, value) in (0..).zip(values) {
            past.push(slot, Some(value));
            atom.learn(&past, value);
        }
        atom
    }

    #[test]
    fn a_majority_is_an_atom_and_a_minority_is_not() {
        let every = |period: usize| (0..200).map(move |i| f64::from(u8::from(i % period == 0)));
        assert_eq!(learnt(every(3)).value(), Some(0.0));
        assert_eq!(learnt((0..200).map(f64::from)).value(), None);
        // Two values in turn: neither is ever ahead.
        assert_eq!(learnt(every(2)).value(), None);
    }

    #[test]
    fn an_atom_that_no_longer_comes_is_given_up() {
        // Zeros, then as many hours of a climb as are said.
        let values = |climb: usize| (0..300 + climb).map(|i| i.saturating_sub(300) as f64);
        assert_eq!(learnt(values(100)).value(), Some(0.0));
        assert_eq!(learnt(values(200)).value(), None, "after a week");
    }

    #[test]
    fn quantiles_up_to_the_share_of_zeros_are_zero_and_those_above_are_not() {
        // Three of four are zero, the others from 50 to 60, in an order without a rhythm.
        let value = |i: usize| match i * i * 7_919 % 1_009 {
            draw if draw < 757 => 0.0,
            draw => 50.0 + (draw % 10) as f64,
        };
        let setting = Setting::new(Span::from_hours(1), 3).unwrap();
        for entry in FORECASTERS
            .iter()
            .filter(|entry| entry.name == "mstl" || entry.name == "ensemble")
        {
            let mut forecaster = (entry.build)(&setting);
            for i in 0..1_500 {
                forecaster.update(Timestamp::from_seconds(i as i64 * 3_600), value(i));
            }
            let quantiles = forecaster.predict(2);
            assert_eq!(quantiles.at(0.6), 0.0, "{}: {quantiles:?}", entry.name);
            assert!(quantiles.at(0.9) > 40.0, "{}: {quantiles:?}", entry.name);
        }
    }
}
