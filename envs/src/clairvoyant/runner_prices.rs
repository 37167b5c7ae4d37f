//! How far prices on runners could raise the bound: a proof that they cannot, in dollars.
//!
//! The relaxation of the cells forgets that their stages share runners. Dualising the pool
//! puts a price mu(t) >= 0 on every runner minute; the cells stay apart, and
//!
//! ```text
//! D(mu) = sum over cells of min over plans x of (cost(x) + sum_t mu(t) n_x(t)) - sum_t mu(t) c(t)
//! ```
//! is a lower bound for every mu if the plans x include those whose stages are taken up later
//! than they could be, as those of a run are: a run occupies n(t) <= c(t) runners with
//! stages, builds only leave fewer, and nobody pays for a build that waits. D(0) is the
//! bound as it is. Conversely, let x* be any choice of one plan a cell with n_x*(t) <= c(t)
//! throughout. Then
//!
//! ```text
//! D(mu) <= cost(x*) + sum_t mu(t) (n_x*(t) - c(t)) <= cost(x*)        for every mu >= 0,
//! ```
//! so no prices, however they are searched for, raise the bound by more than
//! cost(x*) - D(0). Here x* is packed greedily: a cell keeps its cheapest plan if that
//! fits beside those before it, and else plans anew with every stage taken up at the first
//! moment at which it fits.
//!
//! Loads need no place in x*: their relaxation does not say when a stage of theirs is
//! validated, so it can be at any time at which a runner is free.
use prestage_des::SimTime;

use super::events::{EventCell, Plan};
use super::offers::Offer;

type Span = (SimTime, SimTime);

/// Packs the plans of the cells into one pool.
pub(super) struct Packing {
    /// Runners that are there at all times.
    runners: usize,
    /// When a stage of the plans so far occupies one.
    taken: Vec<Span>,
    extra_usd: f64,
}

impl Packing {
    pub fn new(runners: usize) -> Self {
        Self {
            runners,
            taken: Vec::new(),
            extra_usd: 0.0,
        }
    }

    /// Finds a place for a cell, whose cheapest plan is `plan`.
    pub fn add(&mut self, cell: &EventCell, plan: &Plan) {
        let full = times_at_least(&self.taken, self.runners);
        if spans_of(cell, plan).all(|span| is_free(&full, span)) {
            self.taken.extend(spans_of(cell, plan));
            return;
        }
        let placed = |offers: &[Offer]| -> Vec<Offer> {
            let offers = offers.iter();
            offers.map(|offer| first_fit(&full, *offer)).collect()
        };
        let (ahead, on_demand) = (placed(cell.ahead), placed(cell.on_demand));
        let packed = EventCell {
            ahead: &ahead,
            on_demand: &on_demand,
            ..*cell
        }
        .cheapest();
        self.extra_usd += (packed.total() - plan.total()).max(0.0);
        self.taken.extend(spans_of(cell, &packed));
    }

    /// Dollars by which prices on runners can raise the bound at most.
    pub fn room_usd(&self) -> f64 {
        let most = most_at_once(&self.taken);
        assert!(
            most <= self.runners,
            "{most} stages on {} runners",
            self.runners
        );
        self.extra_usd
    }
}

/// The stage taken up at the first moment from which a runner is free throughout.
fn first_fit(full: &[Span], offer: Offer) -> Offer {
    let (mut begin, end) = offer.on_runner_for(SimTime::MAX);
    let lasts = end - begin;
    while let Some(until) = full_within(full, (begin, begin + lasts)) {
        begin = until;
    }
    offer.taken_up_at(begin)
}

/// When the stages of a plan occupy a runner.
pub(super) fn spans_of<'a>(cell: &'a EventCell, plan: &'a Plan) -> impl Iterator<Item = Span> + 'a {
    let needs = cell.needs;
    let stages = plan.stages.iter();
    stages.map(|stage| stage.offer.on_runner_for(needs[stage.first].at))
}

/// The largest number of these half-open spans that have a moment in common.
pub(super) fn most_at_once(spans: &[Span]) -> usize {
    let mut most = 0;
    for_each_change(spans, |_, count| most = most.max(count));
    most
}

/// Disjoint and ascending: when at least `level` of these half-open spans last.
fn times_at_least(spans: &[Span], level: usize) -> Vec<Span> {
    let mut times: Vec<Span> = Vec::new();
    let mut since = None;
    for_each_change(spans, |at, count| match since {
        None if count >= level => since = Some(at),
        Some(begin) if count < level => {
            if begin < at {
                times.push((begin, at));
            }
            since = None;
        }
        _ => {}
    });
    times
}

/// Calls with the number of spans that last after each of their ends.
fn for_each_change(spans: &[Span], mut call: impl FnMut(SimTime, usize)) {
    let begins = spans.iter().map(|&(begin, _)| (begin, 1));
    let ends = spans.iter().map(|&(_, end)| (end, -1));
    let mut changes: Vec<(SimTime, isize)> = begins.chain(ends).collect();
    changes.sort_unstable();
    let mut count = 0;
    for (at, change) in changes {
        count += change;
        call(at, count as usize);
    }
}

fn is_free(full: &[Span], span: Span) -> bool {
    full_within(full, span).is_none()
}

/// The end of the first of these that has a moment in common with the span.
fn full_within(full: &[Span], (begin, end): Span) -> Option<SimTime> {
    let after = full.partition_point(|&(_, until)| until <= begin);
    let &(from, until) = full.get(after)?;
    (from < end).then_some(until)
}

#[cfg(test)]
mod tests {
    use prestage_des::Streams;
    use proptest::prelude::*;

    use super::*;

    fn span(begin: i64, end: i64) -> Span {
        (SimTime::from_minutes(begin), SimTime::from_minutes(end))
    }

    #[test]
    fn spans_that_only_touch_are_not_at_once() {
        assert_eq!(most_at_once(&[span(0, 5), span(5, 9), span(9, 10)]), 1);
        assert_eq!(most_at_once(&[span(0, 5), span(4, 9), span(1, 2)]), 2);
        assert_eq!(most_at_once(&[]), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

        #[test]
        fn a_span_is_free_where_no_minute_of_it_is_full(seed in any::<u64>()) {
            let mut draw = Streams::new(seed).open("spans", 0);
            let mut drawn = || {
                let begin = draw.uniform(0.0, 40.0) as i64;
                (begin, begin + 1 + draw.uniform(0.0, 9.0) as i64)
            };
            let spans: Vec<(i64, i64)> = (0..12).map(|_| drawn()).collect();
            let (begin, end) = drawn();
            let taken: Vec<Span> = spans.iter().map(|&(begin, end)| span(begin, end)).collect();
            for level in 1..4 {
                let full = times_at_least(&taken, level);
                let at = |minute: i64| spans.iter().filter(|(from, to)| (from..to).contains(&&minute)).count();
                let free = (begin..end).all(|minute| at(minute) < level);
                prop_assert_eq!(is_free(&full, span(begin, end)), free);
                prop_assert_eq!(full.is_empty(), most_at_once(&taken) < level);
            }
        }
    }
}
