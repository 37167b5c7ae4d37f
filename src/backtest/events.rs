//! Need models on the events of recorded histories, beside the histogram of gaps and the mean rate.
mod fixes;
mod streams;
mod upstream;

use std::collections::BTreeMap;

use prestage_forecast::backtest::{
    EventStream, Said, Signals, log_score, walk_in_fleet, walk_signals,
};
use prestage_forecast::{Entry, NEED_MODELS};
use prestage_telemetry::{Span, Timestamp};
use rayon::prelude::*;

pub use fixes::RecordedSignals;
pub(super) use fixes::{Dependencies, of_history as signals_of_history};
pub use streams::RecordedEvents;
pub(super) use streams::of_history;
pub(super) use upstream::{is_table, read as read_packages};

use super::Part;
use crate::statistics::{Bootstrap, Grid, Interval, mean};

/// Origins followed by a need that a stream must have to be called predictable.
const OUTCOMES_MIN: usize = 3;
/// Outcomes of neighbouring origins depend on each other: intervals are over blocks of this length.
const BLOCK: Span = Span::from_days(28);
/// Bins of equal size in which probabilities and outcomes are compared.
const BINS: usize = 10;
/// Seed of the bootstrap over blocks.
const SEED: u64 = 1;

/// A model on all streams of its need type.
#[derive(Clone, Debug, PartialEq)]
pub struct EventSummary {
    /// The need type.
    pub need: &'static str,
    /// Name of the model.
    pub model: &'static str,
    /// Streams that were scored.
    pub streams: usize,
    /// Origins at which the model was asked.
    pub origins: usize,
    /// Share of origins after which a need arose within the horizon.
    pub frequency: f64,
    /// Mean logarithmic score, nats; smaller is better.
    pub log_score: f64,
    /// By how much the score of the histogram is worse; paired, by blocks of four weeks.
    pub vs_histogram: Option<Interval>,
    /// By how much the score of the mean rate is worse.
    pub vs_poisson: Option<Interval>,
    /// Mean Brier score.
    pub brier: f64,
    /// Expected calibration error over bins of equal size.
    pub ece: f64,
    /// Mean probability and frequency in each bin.
    pub reliability: Vec<(f64, f64)>,
    /// Stream by stream, in the order of the histories.
    pub verdicts: Vec<StreamVerdict>,
}

impl EventSummary {
    /// Streams on which the gain over the rate is clear of zero; the others could not be
    /// predicted better than by their rate.
    pub fn predictable(&self) -> Vec<&str> {
        let found = self
            .verdicts
            .iter()
            .filter(|one| one.verdict.is_predictable());
        found.map(|one| one.stream.as_str()).collect()
    }
}

/// What a model was worth on one stream.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamVerdict {
    /// `world` or `world/suite`.
    pub stream: String,
    /// Origins at which the model was asked.
    pub origins: usize,
    /// Origins that were followed by a need within the horizon.
    pub followed: usize,
    /// Gain over the histogram, nats an origin, with its interval; `None` for a stream of one block.
    pub vs_histogram: Option<Interval>,
    /// Gain over the mean rate.
    pub vs_poisson: Option<Interval>,
    /// The two gains in words.
    pub verdict: Verdict,
}

/// Whether a stream could be predicted. An interval is of 95 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The gains over the histogram and over the rate are clear of zero.
    Better,
    /// Only the gain over the rate is.
    BetterThanRate,
    /// No better than the rate.
    Unpredictable,
    /// Fewer than three origins were followed by a need: no gain would mean anything.
    TooFewNeeds,
}

impl Verdict {
    fn of(said: &[Said], vs_histogram: Option<Interval>, vs_poisson: Option<Interval>) -> Self {
        let is_clear = |gain: Option<Interval>| gain.is_some_and(|gain| gain.lower > 0.0);
        let followed = said.iter().filter(|said| said.happened).count();
        match (is_clear(vs_poisson), is_clear(vs_histogram)) {
            _ if followed < OUTCOMES_MIN => Self::TooFewNeeds,
            (true, true) => Self::Better,
            (true, false) => Self::BetterThanRate,
            (false, _) => Self::Unpredictable,
        }
    }

    /// Whether the model is surely better than the rate.
    pub const fn is_predictable(self) -> bool {
        matches!(self, Self::Better | Self::BetterThanRate)
    }

    /// In tables and JSON.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Better => "better than histogram and rate",
            Self::BetterThanRate => "better than the rate",
            Self::Unpredictable => "unpredictable: no better than the rate",
            Self::TooFewNeeds => "too few needs to say",
        }
    }
}

/// Every need model on every stream of its need type.
pub fn compare_events(streams: &[RecordedEvents], part: Part, horizon: Span) -> Vec<EventSummary> {
    NEED_MODELS
        .par_iter()
        .filter_map(|entry| summarize_events(entry, streams, part, horizon))
        .collect()
}

fn summarize_events(
    entry: &'static Entry,
    streams: &[RecordedEvents],
    part: Part,
    horizon: Span,
) -> Option<EventSummary> {
    let fleet: Vec<&RecordedEvents> = streams
        .iter()
        .filter(|one| one.need == entry.need)
        .collect();
    let walk = |(own, events): (usize, &&'_ RecordedEvents)| {
        let others: Vec<&EventStream> = fleet
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != own)
            .map(|(_, other)| &other.stream)
            .collect();
        let stream = &events.stream;
        walk_in_fleet(entry, stream, &others, window(stream, part), horizon)
    };
    let walked = fleet
        .iter()
        .enumerate()
        .map(|one| (fleet[one.0].name.clone(), walk(one)));
    summarize(entry.need, entry.name, walked.collect())
}

/// The time from signals to their answers: at each signal, within a day, a week, four and thirteen weeks.
///
/// `None` without signals in this part.
pub fn compare_fixes(recorded: &[RecordedSignals], part: Part) -> Option<EventSummary> {
    let groups: Vec<Signals> = recorded.iter().map(|one| one.signals.clone()).collect();
    let walk = |own: usize| {
        let signals = &groups[own].signals;
        let (first, last) = (signals.first()?.at, signals.last()?.at);
        // The last signal is asked about, too.
        let between = quarters(first, last + Span::from_seconds(1), part);
        Some((
            recorded[own].name.clone(),
            walk_signals(&groups, own, between),
        ))
    };
    summarize(
        "time_to_fix",
        "pooled-hazard",
        (0..groups.len()).filter_map(walk).collect(),
    )
}

fn summarize(
    need: &'static str,
    model: &'static str,
    mut walked: Vec<(String, Vec<Said>)>,
) -> Option<EventSummary> {
    walked.retain(|(_, said)| !said.is_empty());
    let all: Vec<Said> = walked.iter().flat_map(|(_, said)| said.clone()).collect();
    if all.is_empty() {
        return None;
    }
    let share = |f: &dyn Fn(&Said) -> f64| mean(&all.iter().map(f).collect::<Vec<f64>>());
    let reliability = reliability(&all);
    let of_all = |rival: fn(&Said) -> f64| gain(walked.iter().map(|(_, said)| said), rival);
    Some(EventSummary {
        need,
        model,
        streams: walked.len(),
        origins: all.len(),
        frequency: share(&|said| happened(said)),
        log_score: share(&|said| log_score(said.model, said.happened)),
        vs_histogram: of_all(|said| said.histogram),
        vs_poisson: of_all(|said| said.poisson),
        brier: share(&|said| (said.model - happened(said)).powi(2)),
        ece: mean(
            &reliability
                .iter()
                .map(|(said, found)| (said - found).abs())
                .collect::<Vec<f64>>(),
        ),
        reliability,
        verdicts: walked
            .iter()
            .map(|(name, said)| verdict(name, said))
            .collect(),
    })
}

fn verdict(stream: &str, said: &Vec<Said>) -> StreamVerdict {
    let vs_histogram = gain(std::iter::once(said), |said| said.histogram);
    let vs_poisson = gain(std::iter::once(said), |said| said.poisson);
    StreamVerdict {
        stream: stream.to_owned(),
        origins: said.len(),
        followed: said.iter().filter(|said| said.happened).count(),
        vs_histogram,
        vs_poisson,
        verdict: Verdict::of(said, vs_histogram, vs_poisson),
    }
}

fn happened(said: &Said) -> f64 {
    f64::from(u8::from(said.happened))
}

/// The second half of a stream, or the second quarter.
fn window(stream: &EventStream, part: Part) -> (Timestamp, Timestamp) {
    let (Some(&(first, ..)), Some(&(last, ..))) = (stream.samples.first(), stream.samples.last())
    else {
        return (Timestamp::MAX, Timestamp::MAX);
    };
    quarters(first, last, part)
}

fn quarters(first: Timestamp, last: Timestamp, part: Part) -> (Timestamp, Timestamp) {
    let at = |quarters: i64| Timestamp(first.0 + (last.0 - first.0) / 4 * quarters);
    match part {
        Part::Tuning => (at(1), at(2)),
        Part::Evaluation => (at(2), last),
    }
}

/// Mean gain in log score over a rival, nats, with an interval over blocks.
fn gain<'a>(
    streams: impl Iterator<Item = &'a Vec<Said>>,
    rival: impl Fn(&Said) -> f64,
) -> Option<Interval> {
    let mut blocks: Vec<f64> = Vec::new();
    for said in streams {
        let mut sums: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
        for one in said {
            let gained = log_score(rival(one), one.happened) - log_score(one.model, one.happened);
            let sum = sums.entry(one.at.0.div_euclid(BLOCK.0)).or_default();
            sum.0 += gained;
            sum.1 += 1.0;
        }
        blocks.extend(sums.values().map(|(sum, count)| sum / count));
    }
    if blocks.is_empty() {
        return None;
    }
    Bootstrap::new(SEED).mean(&Grid::new(blocks.len(), blocks))
}

/// Mean probability and frequency in bins of equally many origins, by probability.
fn reliability(said: &[Said]) -> Vec<(f64, f64)> {
    let mut sorted = said.to_vec();
    sorted.sort_by(|a, b| a.model.total_cmp(&b.model));
    sorted
        .chunks(sorted.len().div_ceil(BINS))
        .map(|bin| {
            let of = |f: &dyn Fn(&Said) -> f64| mean(&bin.iter().map(f).collect::<Vec<f64>>());
            (of(&|said| said.model), of(&|said| happened(said)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(model: f64, happened: bool, day: i64) -> Said {
        Said {
            at: Timestamp(0) + Span::from_days(day),
            model,
            histogram: 0.5,
            poisson: 0.5,
            happened,
        }
    }

    #[test]
    fn gains_are_in_nats_and_clear_of_zero_when_they_are_constant() {
        let all: Vec<Said> = (0..200).map(|day| said(1.0 - 1e-4, true, day)).collect();
        let interval = gain(std::iter::once(&all), |said| said.poisson).unwrap();
        let expected = 2.0_f64.ln() + (1.0_f64 - 1e-4).ln();
        assert!((interval.estimate - expected).abs() < 1e-9);
        assert!(interval.lower > 0.0);
    }

    #[test]
    fn calibrated_probabilities_lie_on_the_diagonal() {
        let all: Vec<Said> = (0..1_000)
            .map(|i| {
                said(
                    if i < 500 { 0.2 } else { 0.8 },
                    i % 5 == 0 || (i >= 500 && i % 5 != 1),
                    i,
                )
            })
            .collect();
        for (probability, frequency) in reliability(&all) {
            assert!((probability - frequency).abs() < 1e-9);
        }
    }

    #[test]
    fn the_verdict_says_what_is_clear_of_zero() {
        let stream = |model: f64, happened: fn(i64) -> bool| -> Vec<Said> {
            (0..200)
                .map(|day| said(model, happened(day), day))
                .collect()
        };
        let check = |said: &Vec<Said>, expected: Verdict| {
            assert_eq!(verdict("a", said).verdict, expected);
        };
        check(&stream(0.9, |_| true), Verdict::Better);
        check(&stream(0.5, |_| true), Verdict::Unpredictable);
        // Surely worse than the rate, too.
        check(&stream(0.1, |_| true), Verdict::Unpredictable);
        check(&stream(0.01, |day| day < 2), Verdict::TooFewNeeds);
        let mut against_rate = stream(0.9, |_| true);
        against_rate.iter_mut().for_each(|one| one.histogram = 0.95);
        check(&against_rate, Verdict::BetterThanRate);
    }
}
