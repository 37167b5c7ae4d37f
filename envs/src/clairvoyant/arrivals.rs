//! The law of the releases of a service, given all that happened before.
//!
//! Due dates are a renewal process with gamma gaps of whole shape k (Erlang), so with
//! x = k age / mean the cumulative hazard of a gap is
//!
//! ```text
//! H(age) = x - ln(1 + x + ... + x^(k-1) / (k-1)!)
//! ```
//! A due release goes out at once if enough commits are in since the last, else on a
//! later day, which is no surprise when it comes. Whether it would go out at once is known
//! from commits and due dates before. So Lambda(t), the sum of H over the times at which one
//! would, is the compensator of the releases that surprise: their number less Lambda is a
//! martingale for anybody who does not know due dates to come, whatever else is known.
use prestage_des::SimTime;
use prestage_world::{Exogenous, Scenario, releases_due};

/// The releases of a service that surprise, and their compensator.
pub(super) struct Arrivals {
    /// Ascending.
    surprises: Vec<SimTime>,
    /// From one due date to the next.
    pieces: Vec<Piece>,
    law: Erlang,
}

#[derive(Clone, Copy)]
struct Piece {
    from: SimTime,
    /// From when on a due release would go out at once.
    open_from: SimTime,
    /// Lambda at `from`.
    before: f64,
}

#[derive(Clone, Copy)]
struct Erlang {
    shape: u32,
    mean_days: f64,
}

impl Arrivals {
    /// Of a service in the record that `seed` makes of the scenario; `None` where the law
    /// has no closed form: regimes, common causes, trains, patches, working hours, freezes
    /// or a shape that is not whole.
    pub fn of_releases(
        scenario: &Scenario,
        record: &Exogenous,
        seed: u64,
        service: u32,
    ) -> Option<Self> {
        let (spec, releases) = (scenario.spec(), &scenario.spec().releases);
        let dials = &spec.dials;
        let is_renewal = dials.calibration_drift == 0.0
            && dials.correlated_needs == 0.0
            && releases.train_days == 0.0
            && releases.patch_share == 0.0;
        let is_at_once = dials.moving_hazard == 0.0 && record.freezes.is_empty();
        let is_whole = releases.regularity.fract() == 0.0;
        if !(is_renewal && is_at_once && is_whole) {
            return None;
        }
        let law = Erlang {
            shape: releases.regularity as u32,
            mean_days: releases.mean_days,
        };
        let due = releases_due(scenario, record, seed, service);
        let commits = commits_of(record, service);
        let yard = Yard {
            commits: &commits,
            least: releases.min_commits as usize,
        };
        Some(Self::after_each(&due, yard, (law, record)))
    }

    fn after_each(due: &[SimTime], yard: Yard, (law, record): (Erlang, &Exogenous)) -> Self {
        let mut last = record.history_start;
        let first = Piece {
            from: last,
            open_from: yard.open_from(last, last),
            before: 0.0,
        };
        let mut arrivals = Self {
            surprises: Vec::new(),
            pieces: vec![first],
            law,
        };
        for &at in due {
            let before = arrivals.upto(at);
            if let Some(out) = yard.out(at, last, record.end) {
                if out == at {
                    arrivals.surprises.push(at);
                }
                last = out;
            }
            arrivals.pieces.push(Piece {
                from: at,
                open_from: yard.open_from(at, last),
                before,
            });
        }
        arrivals
    }

    /// Does a release at this time surprise?
    pub fn is_surprise(&self, at: SimTime) -> bool {
        self.surprises.binary_search(&at).is_ok()
    }

    /// Lambda(t).
    pub fn upto(&self, at: SimTime) -> f64 {
        let index = self.pieces.partition_point(|piece| piece.from < at);
        let piece = self.pieces[index.saturating_sub(1)];
        let since = |to: SimTime| self.law.cumulative_hazard((to - piece.from).as_days_f64());
        if at <= piece.open_from {
            return piece.before;
        }
        piece.before + since(at) - since(piece.open_from)
    }
}

/// Commits of a service, oldest first.
pub(super) fn commits_of(record: &Exogenous, service: u32) -> Vec<SimTime> {
    let own = record.commits.iter();
    let own = own.filter(|commit| commit.service == service);
    own.map(|commit| commit.at).collect()
}

/// What decides whether a due release goes out.
#[derive(Clone, Copy)]
struct Yard<'a> {
    commits: &'a [SimTime],
    least: usize,
}

impl Yard<'_> {
    fn upto(&self, at: SimTime) -> usize {
        self.commits.partition_point(|&commit| commit <= at)
    }

    /// When a release due at `due` goes out, a day later and a day later again until
    /// enough commits are in; never after another or after `end`.
    fn out(&self, due: SimTime, last: SimTime, end: SimTime) -> Option<SimTime> {
        let mut at = due;
        while at < end && self.upto(at).saturating_sub(self.upto(last)) < self.least {
            at += SimTime::from_days(1);
        }
        let is_late = at <= last && self.least > 0;
        (at < end && !is_late).then_some(at)
    }

    fn open_from(&self, from: SimTime, last: SimTime) -> SimTime {
        if self.least == 0 {
            return from;
        }
        let enough = self.commits.get(self.upto(last) + self.least - 1);
        enough.map_or(SimTime::MAX, |&at| at.max(from))
    }
}

impl Erlang {
    fn cumulative_hazard(self, age_days: f64) -> f64 {
        let x = f64::from(self.shape) * age_days / self.mean_days;
        let (mut term, mut sum) = (1.0, 1.0);
        for i in 1..self.shape {
            term *= x / f64::from(i);
            sum += term;
        }
        x - sum.ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAMILIES: [(&str, &str); 2] = [
        ("poisson", include_str!("../../../scenarios/poisson.toml")),
        (
            "stationary",
            include_str!("../../../scenarios/stationary.toml"),
        ),
    ];

    fn scenario(text: &str) -> Scenario {
        Scenario::parse("t", text, &["services.count=8".to_owned()]).unwrap()
    }

    #[test]
    fn every_surprise_is_a_release_of_the_record() {
        for (name, text) in FAMILIES {
            let scenario = scenario(text);
            let record = Exogenous::generate(&scenario, 3);
            let (mut surprises, mut releases) = (0, 0);
            for service in 0..8 {
                let arrivals = Arrivals::of_releases(&scenario, &record, 3, service).unwrap();
                let own = record.releases.iter().filter(|(_, of)| *of == service);
                let times: Vec<SimTime> = own.map(|&(at, _)| at).collect();
                assert!(
                    arrivals
                        .surprises
                        .iter()
                        .all(|at| times.binary_search(at).is_ok())
                );
                surprises += arrivals.surprises.len();
                releases += times.len();
            }
            if name == "poisson" {
                assert_eq!(surprises, releases);
            }
            assert!(
                surprises * 10 > releases * 9,
                "`{name}`: {surprises} of {releases}"
            );
        }
    }

    #[test]
    fn surprises_less_their_compensator_have_mean_zero_and_its_variance() {
        for (name, text) in FAMILIES {
            let scenario = scenario(text);
            let (mut sum, mut squares, mut lambda, mut count) = (0.0, 0.0, 0.0, 0.0);
            for seed in 0..40 {
                let record = Exogenous::generate(&scenario, seed);
                for service in 0..8 {
                    let arrivals =
                        Arrivals::of_releases(&scenario, &record, seed, service).unwrap();
                    let upto = arrivals.upto(record.end);
                    let left = arrivals.surprises.len() as f64 - upto;
                    sum += left;
                    squares += left * left;
                    lambda += upto;
                    count += 1.0;
                }
            }
            // The variance of the martingale is the mean of its compensator.
            let error = (lambda / count / count).sqrt();
            assert!(
                (sum / count).abs() < 3.0 * error,
                "`{name}`: mean {}",
                sum / count
            );
            let variance = squares / lambda;
            assert!(
                (variance - 1.0).abs() < 0.25,
                "`{name}`: variance {variance} of 1"
            );
        }
    }

    #[test]
    fn the_hazard_of_one_stage_is_constant_and_of_more_is_known() {
        let of = |shape| Erlang {
            shape,
            mean_days: 2.0,
        };
        assert!((of(1).cumulative_hazard(3.0) - 1.5).abs() < 1e-12);
        let x: f64 = 4.0 * 3.0 / 2.0;
        let left = (-x).exp() * (1.0 + x + x * x / 2.0 + x * x * x / 6.0);
        assert!((of(4).cumulative_hazard(3.0) + left.ln()).abs() < 1e-12);
    }
}
