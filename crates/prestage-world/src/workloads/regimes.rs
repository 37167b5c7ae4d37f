//! Hidden regimes: a Markov chain of quiet, usual and busy times (dial D1).
//!
//! Sojourns are exponential with a mean of two days; from the usual regime the
//! chain goes to either side with equal chance, from a side always back, so a
//! quarter of the time is quiet and a quarter busy. Nobody observes the regime; it
//! shows only in forecasts that are too low or too high for a day.
//!
//! Reference: Markov-modulated Poisson processes, Fischer and Meier-Hellstern
//! (1993). The strength (a factor of four) and the sojourn are those of the
//! prototype described in the design; both are assumptions.
use prestage_des::{SimTime, Streams};

use super::{Workload, after};
use crate::exogenous::{Exogenous, RegimeChange};
use crate::scenario::ScenarioSpec;

pub(super) const ENTRY: Workload = Workload {
    name: "regimes",
    about: "hidden quiet, usual and busy times that multiply the rates of events (D1)",
    generate,
};

const MEAN_SOJOURN_S: f64 = 2.0 * 86_400.0;
/// Rate of a busy regime over a usual one, at dial 1.
const FACTOR: f64 = 4.0;

fn generate(spec: &ScenarioSpec, streams: &Streams, record: &mut Exogenous) {
    if spec.dials.calibration_drift == 0.0 {
        return;
    }
    let mut stream = streams.open("regimes", 0);
    let mut at = record.history_start;
    // The stationary law: half of the time is usual.
    let mut regime = match stream.index(4) {
        0 => -1,
        1 => 1,
        _ => 0,
    };
    while at < record.end {
        record.regimes.push(RegimeChange { at, regime });
        at = after(at, stream.exponential(MEAN_SOJOURN_S));
        regime = match (regime, stream.bernoulli(0.5)) {
            (0, true) => 1,
            (0, false) => -1,
            _ => 0,
        };
    }
}

/// The rate of events over time, relative to its long-run mean of one.
pub(super) struct Tempo {
    /// Where each regime begins, and the relative rate in it.
    pieces: Vec<(SimTime, f64)>,
}

impl Tempo {
    pub fn new(spec: &ScenarioSpec, record: &Exogenous) -> Self {
        let drift = spec.dials.calibration_drift;
        let busy = FACTOR.powf(drift);
        let mean = 0.5 + 0.25 * (busy + 1.0 / busy);
        let piece = |change: &RegimeChange| (change.at, busy.powi(i32::from(change.regime)) / mean);
        let mut pieces: Vec<(SimTime, f64)> = record.regimes.iter().map(piece).collect();
        if pieces.is_empty() {
            pieces.push((record.history_start, 1.0));
        }
        Self { pieces }
    }

    /// The relative rate at `at`.
    pub fn rate(&self, at: SimTime) -> f64 {
        let begun = self.pieces.partition_point(|&(from, _)| from <= at);
        self.pieces[begun.saturating_sub(1)].1
    }

    /// The moment at which `seconds` of the process' own time have passed since
    /// `from`: its clock runs at the relative rate (time change of a renewal
    /// process).
    pub fn after(&self, from: SimTime, seconds: f64) -> SimTime {
        let mut at = from;
        let mut left = seconds;
        let begun = self.pieces.partition_point(|&(start, _)| start <= from);
        for index in begun.saturating_sub(1)..self.pieces.len() {
            let rate = self.pieces[index].1;
            if let Some(&(next, _)) = self.pieces.get(index + 1) {
                let own = (next.as_micros() - at.as_micros()) as f64 / 1e6 * rate;
                if own <= left {
                    left -= own;
                    at = next;
                    continue;
                }
            }
            return after(at, left / rate);
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tempo() -> Tempo {
        Tempo {
            pieces: vec![
                (SimTime::ZERO, 0.5),
                (SimTime::from_secs(100), 2.0),
                (SimTime::from_secs(200), 1.0),
            ],
        }
    }

    #[test]
    fn the_clock_runs_at_the_rate_of_each_regime() {
        let at = |from: i64, seconds: f64| {
            tempo()
                .after(SimTime::from_secs(from), seconds)
                .as_secs_f64()
        };
        assert_eq!(at(0, 25.0), 50.0);
        assert_eq!(
            at(0, 50.0 + 100.0),
            150.0,
            "50 in the first regime, 100 in half of the second"
        );
        assert_eq!(at(150, 100.0 + 7.0), 207.0);
        assert_eq!(tempo().rate(SimTime::from_secs(150)), 2.0);
    }
}
