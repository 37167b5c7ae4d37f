//! A schedule found in the times of what recurs: its period, its phase, and how closely it is kept.
//!
//! Every candidate period competes with the plain rate by the likelihood of a point process, told event
//! by event before it is learnt from. A candidate knows when its next turn is due; how far off it usually
//! comes is learnt (a logistic distribution around the turn), and how often a turn is left out. An event
//! between two turns is nobody's turn (a patch after the release of a train) and moves nothing. After a
//! turn the next one is due a period after the *schedule*, moved by a share of the deviation: a share of
//! nothing is a train that keeps its timetable however late one of them left, a share of one is a renewal
//! process, whose delays add up. The answer is the mixture of all candidates and the rate, by their
//! posterior weights; those forget, because projects change their cycle.
//!
//! The likelihood is that of Daley & Vere-Jones, An Introduction to the Theory of Point Processes,
//! section 7.2; correcting a phase by a share of the error is the phase-locked loop of first order.
//! Fails where there is no period: then the rate has all the weight.
use prestage_telemetry::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// Days in a month, two, a quarter, four months, half a year: cycles of the calendar.
const CALENDAR_DAYS: [f64; 5] = [30.44, 60.88, 91.31, 121.75, 182.62];
/// Whole days that are candidates, then whole weeks.
const DAYS: std::ops::Range<i32> = 5..64;
const WEEKS: std::ops::Range<i32> = 10..29;
/// Shares of a deviation that move the next turn.
const SHARES: [f64; 3] = [0.1, 0.4, 1.0];
/// What a schedule is thought to keep to before it is seen: the scale of its deviations over its period.
const SCALE_PRIOR: f64 = 0.12;
/// Weight of that, in turns.
const SCALE_PRIOR_TURNS: f64 = 2.0;
/// Turns are kept at most this closely, days.
const SCALE_MIN_DAYS: f64 = 0.25;
/// Prior of the share of turns that are taken, as turns taken and turns left out.
const TAKEN_PRIOR: (f64, f64) = (4.0, 0.5);
/// Weight of the rate among the candidates before any event.
const RATE_PRIOR: f64 = 0.8;
/// Events closer than this are one: a repository tags all of its parts at once.
const SAME_DAYS: f64 = 0.5;
/// Turns in a row without an event after which a candidate starts again at the next one.
const LOST_TURNS: f64 = 3.0;
/// Least log of a weight relative to the greatest.
const HOPELESS: f64 = -12.0;
/// Candidates that are asked: the others have less weight than any of these.
const ASKED: usize = 8;
/// Weight below which a candidate is not asked.
const WEIGHT_MIN: f64 = 1e-3;
/// Turns near the ends of a stretch of time that are looked at one by one.
const NEAR_TURNS: f64 = 5.0;
/// Days for which one event of the prior counts in rates.
const RATE_PRIOR_DAYS: f64 = 30.0;
const DAY: f64 = 86.4e9;

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Schedule {
    candidates: Vec<Candidate>,
    /// Log weight of the rate.
    rate_log_weight: f64,
    /// Events after which what an event said counts half.
    memory: f64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    events: f64,
    days: f64,
}

/// A period with a way to keep it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Candidate {
    period: f64,
    share: f64,
    log_weight: f64,
    /// Days from the first event to the turn that is due.
    due: f64,
    /// Sum of absolute deviations over turns taken, days, with the prior.
    deviation: f64,
    deviations: f64,
    taken: f64,
    left_out: f64,
    /// Events between turns.
    between: f64,
    days: f64,
}

/// What a schedule is, for people and tests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// Posterior weight of all periods together, the rest being the rate's.
    pub weight: f64,
    /// The likeliest period.
    pub period: Span,
    /// When its next turn is due.
    pub due: Timestamp,
}

impl Schedule {
    /// Nothing is known; what an event said counts half after `memory` further ones.
    pub fn new(memory: f64) -> Self {
        let whole = DAYS
            .map(f64::from)
            .chain(WEEKS.map(|weeks| f64::from(weeks * 7)));
        let periods: Vec<f64> = whole.chain(CALENDAR_DAYS).collect();
        let count = (periods.len() * SHARES.len()) as f64;
        let log_weight = ((1.0 - RATE_PRIOR) / count).ln();
        let candidates = periods
            .iter()
            .flat_map(|&period| SHARES.map(|share| Candidate::new(period, share, log_weight)));
        Self {
            candidates: candidates.collect(),
            rate_log_weight: RATE_PRIOR.ln(),
            memory,
            first: None,
            last: None,
            events: 0.0,
            days: 0.0,
        }
    }

    /// See [`Schedule::new`].
    pub fn set_memory(&mut self, events: f64) {
        assert!(events > 0.0, "memory of {events} events");
        self.memory = events;
    }

    /// Something happened at `at`, not before what happened last.
    pub fn record(&mut self, at: Timestamp) {
        let (Some(first), Some(last)) = (self.first, self.last) else {
            self.first = Some(at);
            self.last = Some(at);
            return;
        };
        let (from, to) = (days_between(first, last), days_between(first, at));
        if to - from < SAME_DAYS {
            return;
        }
        let kept = (-std::f64::consts::LN_2 / self.memory).exp();
        let rate = self.per_day();
        self.rate_log_weight = kept * self.rate_log_weight + rate.ln() - rate * (to - from);
        for candidate in &mut self.candidates {
            let said = candidate.log_likelihood(from, to);
            candidate.log_weight = kept * candidate.log_weight + said;
            candidate.learn(from, to, kept);
        }
        self.events = kept * self.events + 1.0;
        self.days = kept * self.days + to - from;
        self.last = Some(at);
        self.normalize();
    }

    /// Logs of weights relative to the greatest, so that forgetting never meets huge numbers.
    fn normalize(&mut self) {
        let logs = self.candidates.iter().map(|one| one.log_weight);
        let most = logs.fold(self.rate_log_weight, f64::max);
        self.rate_log_weight -= most;
        for candidate in &mut self.candidates {
            // What is hopeless now may be the next cycle: a floor lets it come back.
            candidate.log_weight = (candidate.log_weight - most).max(HOPELESS);
        }
        self.rate_log_weight = self.rate_log_weight.max(HOPELESS);
    }

    fn per_day(&self) -> f64 {
        (self.events + 1.0) / (self.days + RATE_PRIOR_DAYS)
    }

    /// The candidates worth asking at `now` and later, until something happens.
    pub fn outlook(&self, now: Timestamp) -> Outlook {
        let (Some(first), Some(last)) = (self.first, self.last) else {
            return Outlook::of_rate(self.per_day());
        };
        let (from, to) = (days_between(first, last), days_between(first, now));
        let to = to.max(from);
        let waited = |log: f64, expected: f64| log - expected;
        let mut weighted: Vec<(f64, &Candidate)> = self
            .candidates
            .iter()
            .map(|one| (waited(one.log_weight, one.expected(from, to)), one))
            .collect();
        weighted.sort_by(|a, b| b.0.total_cmp(&a.0));
        let rate = self.per_day();
        let rate_log = waited(self.rate_log_weight, rate * (to - from));
        let most = weighted[0].0.max(rate_log);
        let all: f64 = weighted.iter().map(|(log, _)| (log - most).exp()).sum();
        let sum = all + (rate_log - most).exp();
        let asked = weighted
            .into_iter()
            .take(ASKED)
            .map(|(log, one)| ((log - most).exp() / sum, one.clone()))
            .filter(|(weight, _)| *weight >= WEIGHT_MIN)
            .collect();
        Outlook {
            asked,
            rate,
            periodic: all / sum,
            first,
            from: to,
        }
    }
}

impl Candidate {
    fn new(period: f64, share: f64, log_weight: f64) -> Self {
        Self {
            period,
            share,
            log_weight,
            due: period,
            deviation: 0.0,
            deviations: 0.0,
            taken: 0.0,
            left_out: 0.0,
            between: 0.0,
            days: 0.0,
        }
    }

    /// Scale of the logistic distribution, whose mean absolute deviation is 2 ln 2 times that.
    fn scale(&self) -> f64 {
        let sum = self.deviation / (2.0 * std::f64::consts::LN_2)
            + SCALE_PRIOR_TURNS * SCALE_PRIOR * self.period;
        let scale = sum / (self.deviations + SCALE_PRIOR_TURNS);
        scale.max(SCALE_MIN_DAYS)
    }

    /// Probability that a turn is taken.
    fn kept(&self) -> f64 {
        let taken = self.taken + TAKEN_PRIOR.0;
        taken / (taken + self.left_out + TAKEN_PRIOR.1)
    }

    /// Events a day that are nobody's turn.
    fn stray(&self) -> f64 {
        (self.between + 0.1) / (self.days + 0.1 * 10.0 * self.period)
    }

    /// The first turn that may still come at `day`, by its number after the one due.
    fn turn_at(&self, day: f64) -> f64 {
        ((day - self.due) / self.period + 0.5).floor().max(0.0)
    }

    /// Events expected in `(from, to]`, both in days since the first event; no turn has been taken since
    /// the one before the turn that is due.
    fn expected(&self, from: f64, to: f64) -> f64 {
        if to <= from {
            return 0.0;
        }
        let (scale, kept) = (self.scale(), self.kept());
        let whole = -(-kept).ln_1p();
        let none_by = |turn: f64, day: f64| {
            let due = self.due + turn * self.period;
            match (day - due) / scale {
                // Most turns are far off, and this is most of what a forecast costs.
                far if far < -30.0 => 0.0,
                past if past > 30.0 => whole,
                place => -(-kept * logistic(place)).ln_1p(),
            }
        };
        let (first, last) = (self.turn_at(from), self.turn_at(to) + 1.0);
        let own = |turn: f64| (none_by(turn, to) - none_by(turn, from)).max(0.0);
        let turns = last - first + 1.0;
        let sum = if turns <= NEAR_TURNS {
            (0..turns as u32).map(|i| own(first + f64::from(i))).sum()
        } else {
            // Turns far from both ends are passed altogether.
            let near = [first, first + 1.0, last - 2.0, last - 1.0, last];
            near.map(own).iter().sum::<f64>() + (turns - NEAR_TURNS) * whole
        };
        sum + self.stray() * (to - from)
    }

    /// Hazard of a turn at `day`.
    fn turn_hazard(&self, day: f64) -> f64 {
        let (scale, kept) = (self.scale(), self.kept());
        let turn = self.turn_at(day);
        let place = logistic((day - self.due - turn * self.period) / scale);
        kept * place * (1.0 - place) / scale / (1.0 - kept * place)
    }

    fn log_likelihood(&self, from: f64, to: f64) -> f64 {
        (self.turn_hazard(to) + self.stray()).ln() - self.expected(from, to)
    }

    /// An event at `to`, the last one having been at `from`.
    fn learn(&mut self, from: f64, to: f64, kept: f64) {
        let hazard = self.turn_hazard(to);
        let is_turn = hazard > self.stray();
        let turn = self.turn_at(to);
        for sum in [
            &mut self.deviation,
            &mut self.deviations,
            &mut self.taken,
            &mut self.left_out,
            &mut self.between,
            &mut self.days,
        ] {
            *sum *= kept;
        }
        self.days += to - from;
        if is_turn {
            let late = to - self.due - turn * self.period;
            self.deviation += late.abs();
            self.deviations += 1.0;
            self.taken += 1.0;
            self.left_out += turn;
            self.due += (turn + 1.0) * self.period + self.share * late;
        } else {
            self.between += 1.0;
            if turn >= LOST_TURNS {
                self.left_out += turn;
                self.due = to + self.period;
            }
        }
    }
}

/// What a schedule expects from a moment on, until something happens.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outlook {
    asked: Vec<(f64, Candidate)>,
    rate: f64,
    periodic: f64,
    first: Timestamp,
    /// Days from the first event to the moment.
    from: f64,
}

impl Outlook {
    fn of_rate(rate: f64) -> Self {
        Self {
            asked: Vec::new(),
            rate,
            periodic: 0.0,
            first: Timestamp(0),
            from: 0.0,
        }
    }

    /// Events expected in `(now, now + hours]`: the log of the probability of none, negated.
    pub fn expected(&self, now: Timestamp, hours: f64) -> f64 {
        let from = days_between(self.first, now);
        (self.none_until(from + hours / 24.0) - self.none_until(from)).max(0.0)
    }

    /// Negated log of the probability of no event from the moment until `day`.
    fn none_until(&self, day: f64) -> f64 {
        let by_rate = self.rate * (day - self.from).max(0.0);
        let each: Vec<(f64, f64)> = self
            .asked
            .iter()
            .map(|(weight, one)| (*weight, one.expected(self.from, day)))
            .collect();
        // Relative to the least, so that years are not the log of zero.
        let least = each.iter().fold(by_rate, |least, &(_, x)| least.min(x));
        let rest = 1.0 - each.iter().map(|(weight, _)| weight).sum::<f64>();
        let none = each
            .iter()
            .map(|(weight, expected)| weight * (least - expected).exp())
            .sum::<f64>();
        least - (none + rest.max(1e-9) * (least - by_rate).exp()).ln()
    }

    /// The likeliest schedule; `None` before a second event.
    pub fn found(&self, now: Timestamp) -> Option<Found> {
        let (_, best) = self.asked.first()?;
        let due = best.due + best.turn_at(days_between(self.first, now)) * best.period;
        Some(Found {
            weight: self.periodic,
            period: Span((best.period * DAY) as i64),
            due: self.first + Span((due * DAY) as i64),
        })
    }
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn days_between(from: Timestamp, to: Timestamp) -> f64 {
    to.micros().saturating_sub(from.micros()) as f64 / DAY
}

#[cfg(test)]
mod tests {
    use super::*;

    const TUESDAY: i64 = 1_704_207_600;

    fn on(day: f64) -> Timestamp {
        Timestamp::from_seconds(TUESDAY) + Span((day * DAY) as i64)
    }

    /// Numbers in [-1, 1] without a generator.
    fn jitter(i: u64) -> f64 {
        (i * i * 7_919 % 1_009) as f64 / 504.5 - 1.0
    }

    /// What is found after each event.
    fn walked(days: impl Iterator<Item = f64>) -> Vec<Found> {
        remembered(40.0, days)
    }

    fn remembered(memory: f64, days: impl Iterator<Item = f64>) -> Vec<Found> {
        let mut schedule = Schedule::new(memory);
        let mut found = Vec::new();
        for day in days {
            schedule.record(on(day));
            found.extend(schedule.outlook(on(day)).found(on(day)));
        }
        found
    }

    #[test]
    fn a_six_week_train_with_jitter_is_found_within_eight_cycles() {
        let days = (0..30).map(|i| 42.0 * i as f64 + 2.0 * jitter(i));
        let found = walked(days);
        for (i, one) in found.iter().enumerate().skip(7) {
            assert!(one.weight > 0.9, "after {i}: {one:?}");
            let period = one.period.as_hours() / 24.0;
            assert!((40.0..=44.0).contains(&period), "after {i}: {one:?}");
            let expected = on(42.0 * (i + 2) as f64);
            let off = (one.due - expected).as_hours().abs() / 24.0;
            assert!(off < 4.0, "after {i}: {off} days off");
        }
    }

    #[test]
    fn a_nine_week_train_is_no_train_of_another_length() {
        let found = walked((0..16).map(|i| 63.0 * i as f64 + 1.5 * jitter(i + 3)));
        let last = found.last().unwrap();
        assert!(
            (60.0..=66.0).contains(&(last.period.as_hours() / 24.0)),
            "{last:?}"
        );
    }

    #[test]
    fn patches_between_trains_do_not_hide_the_train() {
        let trains = (0..30_u64).map(|i| 42.0 * i as f64 + 1.5 * jitter(i));
        let patches = (0..30_u64)
            .filter(|i| i % 3 == 1)
            .map(|i| 42.0 * i as f64 + 21.0 + 14.0 * jitter(i + 50));
        let mut days: Vec<f64> = trains.chain(patches).collect();
        days.sort_by(f64::total_cmp);
        let found = walked(days.into_iter());
        let last = found.last().unwrap();
        assert!(last.weight > 0.9, "{last:?}");
        assert!(
            (40.0..=44.0).contains(&(last.period.as_hours() / 24.0)),
            "{last:?}"
        );
    }

    #[test]
    fn events_without_a_period_are_left_to_the_rate() {
        // Exponential gaps of 42 days by the quantile transform of a low-discrepancy sequence.
        let mut day = 0.0;
        let days: Vec<f64> = (1..80_u32)
            .map(|i| {
                let u = (f64::from(i) * 0.618_033_988_75).fract();
                day += -42.0 * u.max(1e-6).ln();
                day
            })
            .collect();
        let found = walked(days.into_iter());
        let convinced = found.iter().skip(10).filter(|one| one.weight > 0.5).count();
        assert!(
            convinced < found.len() / 20,
            "{convinced} of {}",
            found.len()
        );
    }

    #[test]
    fn a_changed_cycle_is_found_again() {
        let six = (0..20_u64).map(|i| 42.0 * i as f64 + jitter(i));
        let eight = (1..16_u64).map(|i| 42.0 * 19.0 + 56.0 * i as f64 + jitter(i));
        let found = remembered(12.0, six.chain(eight));
        let last = found.last().unwrap();
        assert!(
            (54.0..=58.0).contains(&(last.period.as_hours() / 24.0)),
            "{last:?}"
        );
    }

    #[test]
    fn a_due_train_is_expected_and_one_that_just_left_is_not() {
        let mut schedule = Schedule::new(40.0);
        (0..20).for_each(|i| schedule.record(on(42.0 * f64::from(i))));
        let last = on(42.0 * 19.0);
        let outlook = schedule.outlook(last);
        let within = |from: f64, days: f64| {
            1.0 - (-outlook.expected(on(42.0 * 19.0 + from), 24.0 * days)).exp()
        };
        assert!(within(1.0, 7.0) < 0.02, "just left: {}", within(1.0, 7.0));
        assert!(within(39.0, 6.0) > 0.8, "due: {}", within(39.0, 6.0));
        assert!(within(0.0, 365.0) > 0.999);
    }
}
