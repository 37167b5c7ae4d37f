//! Rolling origin over signals: at each one, how likely is its answer within a day, a week, four, thirteen?
use prestage_telemetry::{Span, Timestamp};

use super::Said;
use crate::events::{Case, Stretches};

/// What is asked at a signal.
const WITHIN_DAYS: [i64; 4] = [1, 7, 28, 91];
/// Prior of the plain rate, one answer in four weeks, weighing half of one.
const PRIOR_PER_HOUR: f64 = 1.0 / 672.0;
const PRIOR_ANSWERS: f64 = 0.5;
/// Weight of the plain rate in the histogram, in answers.
const HISTOGRAM_PRIOR: f64 = 2.0;

/// An advisory that hit or a release of a dependency, and the update that answered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal {
    /// When it came.
    pub at: Timestamp,
    /// When it was answered; `None` while it was open to the end of the recording.
    pub answered: Option<Timestamp>,
}

/// Signals of one kind in one service, in order of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signals {
    /// The signals.
    pub signals: Vec<Signal>,
    /// The end of the recording.
    pub end: Timestamp,
}

/// What was said at the signals of `groups[own]` in `[from, to)` by the hazard that is pooled in part
/// (model), by the histogram of the group's own answers, and by its mean rate.
///
/// Everything is learnt from what was known at the signal, of all groups; signals open by then count for
/// the time they were. Where the recording ends before it is known, nothing is said.
pub fn walk_signals(
    groups: &[Signals],
    own: usize,
    (from, to): (Timestamp, Timestamp),
) -> Vec<Said> {
    let signals = &groups[own].signals;
    let asked = signals.iter().filter(|one| one.at >= from && one.at < to);
    asked.flat_map(|signal| ask(groups, own, *signal)).collect()
}

fn ask(groups: &[Signals], own: usize, signal: Signal) -> Vec<Said> {
    let known = known_at(groups, signal.at);
    let model = Stretches::of_group(&known, own);
    let mine: Vec<Case> = known.into_iter().filter(|case| case.group == own).collect();
    let fixed: Vec<f64> = mine
        .iter()
        .filter(|case| case.is_fixed)
        .map(|case| case.hours)
        .collect();
    let open_h: f64 = mine.iter().map(|case| case.hours).sum();
    let per_hour = (fixed.len() as f64 + PRIOR_ANSWERS) / (open_h + PRIOR_ANSWERS / PRIOR_PER_HOUR);
    WITHIN_DAYS
        .into_iter()
        .filter_map(|days| {
            let until = signal.at + Span::from_days(days);
            let happened = match signal.answered {
                Some(answered) => answered <= until,
                None if groups[own].end < until => return None,
                None => false,
            };
            let hours = 24.0 * days as f64;
            let poisson = -(-per_hour * hours).exp_m1();
            let within = fixed.iter().filter(|&&lag| lag <= hours).count() as f64;
            Some(Said {
                at: signal.at,
                model: model.probability(0.0, hours),
                histogram: (within + HISTOGRAM_PRIOR * poisson)
                    / (fixed.len() as f64 + HISTOGRAM_PRIOR),
                poisson,
                happened,
            })
        })
        .collect()
}

/// All signals before `now`, as they stood then.
fn known_at(groups: &[Signals], now: Timestamp) -> Vec<Case> {
    let mut known = Vec::new();
    for (group, signals) in groups.iter().enumerate() {
        let before = signals.signals.iter().filter(|signal| signal.at < now);
        // A group whose recording has ended is not observed any more.
        let seen_until = now.min(signals.end);
        known.extend(before.map(|signal| {
            let answered = signal.answered.filter(|&at| at <= now);
            let until = answered.unwrap_or(seen_until);
            Case {
                group,
                hours: (until - signal.at).as_hours().max(0.0),
                is_fixed: answered.is_some(),
            }
        }));
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(hour: i64) -> Timestamp {
        Timestamp::from_seconds(1_704_067_200) + Span::from_hours(hour)
    }

    /// A signal a week, answered after `lag_h` hours, up to a tenth more or less.
    fn weekly(lag_h: i64, weeks: i64) -> Signals {
        let signal = |week: i64| {
            let jitter = week * week * 7_919 % 1_009 % 21 - 10;
            Signal {
                at: hour(week * 168),
                answered: Some(hour(week * 168 + lag_h * (100 + jitter) / 100)),
            }
        };
        Signals {
            signals: (0..weeks).map(signal).collect(),
            end: hour(weeks * 168 + 4_000),
        }
    }

    #[test]
    fn answers_after_the_signal_change_nothing() {
        let groups = [weekly(60, 40), weekly(500, 40)];
        let window = (hour(20 * 168), hour(20 * 168 + 1));
        let said = walk_signals(&groups, 0, window);
        assert_eq!(said.len(), WITHIN_DAYS.len());
        let mut altered = groups.clone();
        for signals in &mut altered {
            signals.signals.truncate(21);
            for signal in &mut signals.signals {
                if signal.answered > Some(window.0) {
                    signal.answered = signal.answered.map(|at| at + Span::from_days(9));
                }
            }
        }
        let probabilities = |said: &[Said]| said.iter().map(|one| one.model).collect::<Vec<_>>();
        let other = walk_signals(&altered, 0, window);
        assert_eq!(probabilities(&said), probabilities(&other));
    }

    #[test]
    fn a_lag_that_repeats_is_known_and_what_the_recording_cannot_tell_is_not_asked() {
        let mut groups = [weekly(60, 60), weekly(70, 60)];
        let said = walk_signals(&groups, 0, (hour(50 * 168), hour(51 * 168)));
        // After sixty hours: not within a day, surely within a week.
        assert!(said[0].model < 0.05 && said[1].model > 0.9, "{said:?}");
        groups[0].signals[50].answered = None;
        groups[0].end = hour(50 * 168 + 24 * 10);
        let cut = walk_signals(&groups, 0, (hour(50 * 168), hour(51 * 168)));
        assert_eq!(cut.len(), 2, "{cut:?}");
        assert!(cut.iter().all(|one| !one.happened));
    }
}
