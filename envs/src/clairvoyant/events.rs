//! Needs that arise by themselves: the cheapest way to serve all of them.
//!
//! A cell holds one stage at a time. A stage is asked for ahead, or by a need that finds
//! none, and serves either the one need that finds it ready or all that wait when it
//! becomes ready; then the cell is free for the next. So a plan is a sequence of
//! (stage, run of needs), and every run of a world is one, with stages that are ready
//! no sooner than their offers say. For each such sequence the cost here is at most the
//! cost there: a stage later than its offer makes people wait longer and leaves the next
//! stage less room. The least over all sequences is therefore a lower bound, and it is
//! met where no runner and no reviewer makes anybody wait, stages do not go stale and
//! keeping one ready is free.
//!
//! The search is label-setting (Martins 1984): a label is (free from, cost so far) before
//! a need, and one that is free later and costs more than another leads to nothing better.
//! Labels dearer than serving the rest on demand are cut off.
use prestage_des::SimTime;

use super::offers::{Offer, cheapest_runner_usd};
use super::waiting::WaitingClock;

/// A need that arises by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct EventNeed {
    pub at: SimTime,
    /// Dollars a minute of expected exploits while it waits.
    pub exposure_rate: f64,
}

/// All that is known of a cell beforehand.
pub(super) struct EventCell<'a> {
    /// Oldest first.
    pub needs: &'a [EventNeed],
    /// What can be asked for ahead, oldest first.
    pub ahead: &'a [Offer],
    /// What each need asks for when it finds nothing.
    pub on_demand: &'a [Offer],
    pub people: &'a WaitingClock,
    pub review_usd: f64,
    pub end: SimTime,
}

/// The cheapest plan, and what it costs in US dollars.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    pub blocked: f64,
    pub exposure: f64,
    pub runner: f64,
    pub reviews: f64,
    /// In order of time.
    pub stages: Vec<PlannedStage>,
}

impl Plan {
    pub fn total(&self) -> f64 {
        self.blocked + self.exposure + self.runner + self.reviews
    }
}

/// A stage and the needs that it serves; those after the last stage are never served.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct PlannedStage {
    /// First need.
    pub first: usize,
    /// One past the last need.
    pub next: usize,
    /// From when on the cell is free again.
    pub until: SimTime,
    pub offer: Offer,
    /// Was it asked for ahead of the need?
    pub ahead: bool,
}

/// A way to serve all needs before a certain one.
#[derive(Clone, Copy)]
struct Label {
    free_at: SimTime,
    cost: f64,
    /// The label before its last stage.
    parent: usize,
    stage: Option<PlannedStage>,
}

struct Search<'a> {
    cell: &'a EventCell<'a>,
    labels: Vec<Label>,
    /// Labels before each need, and after the last.
    before: Vec<Vec<usize>>,
    /// Cost of serving nothing from a need on.
    unserved: Vec<f64>,
    /// Cost of asking for nothing ahead from a need on.
    reactive: Vec<f64>,
    best: (f64, usize),
}

impl EventCell<'_> {
    /// The cheapest plan.
    pub fn cheapest(&self) -> Plan {
        assert_eq!(self.needs.len(), self.on_demand.len(), "needs and offers");
        assert!(
            self.needs.is_sorted_by_key(|need| need.at),
            "needs are out of order"
        );
        let mut search = Search::new(self);
        for need in 0..=self.needs.len() {
            search.expand(need);
        }
        self.price(&search.stages())
    }

    /// The cheapest plan when stages can bring needs forward (induced demand): needs may
    /// then fall together in ways that the arm decides, and all that is left is that
    /// either some stage is made or nothing is ever served.
    pub fn cheapest_of_movable_needs(&self) -> Plan {
        let offers = self.ahead.iter().chain(self.on_demand).copied();
        let runner = cheapest_runner_usd(offers);
        let unserved = self.price(&[]);
        let stage = Plan {
            blocked: 0.0,
            exposure: 0.0,
            runner,
            reviews: self.review_usd,
            stages: Vec::new(),
        };
        if stage.total() < unserved.total() {
            stage
        } else {
            unserved
        }
    }

    /// Dollars that needs `first..next` cost when they wait until `until`.
    fn waiting(&self, first: usize, next: usize, until: SimTime) -> f64 {
        let needs = self.needs[first..next].iter();
        needs.map(|need| self.wait_of(need, until)).sum()
    }

    fn wait_of(&self, need: &EventNeed, until: SimTime) -> f64 {
        self.people.between(need.at, until) + exposure(need, until)
    }

    fn stage_usd(&self, offer: &Offer) -> f64 {
        self.review_usd + offer.runner_usd
    }

    fn price(&self, stages: &[PlannedStage]) -> Plan {
        let mut plan = Plan {
            blocked: 0.0,
            exposure: 0.0,
            runner: 0.0,
            reviews: 0.0,
            stages: stages.to_vec(),
        };
        for stage in stages {
            plan.runner += stage.offer.runner_usd;
            plan.reviews += self.review_usd;
            self.price_waiting(&mut plan, stage.first..stage.next, stage.until);
        }
        let served = stages.last().map_or(0, |stage| stage.next);
        self.price_waiting(&mut plan, served..self.needs.len(), self.end);
        plan
    }

    fn price_waiting(&self, plan: &mut Plan, needs: std::ops::Range<usize>, until: SimTime) {
        for need in &self.needs[needs] {
            plan.blocked += self.people.between(need.at, until);
            plan.exposure += exposure(need, until);
        }
    }
}

fn exposure(need: &EventNeed, until: SimTime) -> f64 {
    need.exposure_rate * (until - need.at).as_minutes_f64()
}

impl<'a> Search<'a> {
    fn new(cell: &'a EventCell<'a>) -> Self {
        let count = cell.needs.len();
        let mut unserved = vec![0.0; count + 1];
        for need in (0..count).rev() {
            unserved[need] = unserved[need + 1] + cell.wait_of(&cell.needs[need], cell.end);
        }
        let start = Label {
            free_at: SimTime::from_micros(i64::MIN),
            cost: 0.0,
            parent: 0,
            stage: None,
        };
        let mut before = vec![Vec::new(); count + 1];
        before[0].push(0);
        let mut search = Self {
            cell,
            labels: vec![start],
            before,
            unserved,
            reactive: vec![0.0; count + 1],
            best: (f64::INFINITY, 0),
        };
        for need in (0..count).rev() {
            search.reactive[need] = search.reactive_from(need);
        }
        search
    }

    fn reactive_from(&self, need: usize) -> f64 {
        let cell = self.cell;
        let offer = &cell.on_demand[need];
        let until = offer.ready_for(cell.needs[need].at);
        let waiting = cell.needs[need..].iter();
        let next = need + waiting.take_while(|each| each.at <= until).count();
        if until >= cell.end {
            return self.unserved[need];
        }
        let served = cell.stage_usd(offer) + cell.waiting(need, next, until) + self.reactive[next];
        served.min(self.unserved[need])
    }

    /// Follows every label before a need that no other beats.
    fn expand(&mut self, need: usize) {
        let labels = std::mem::take(&mut self.before[need]);
        for label in self.undominated(labels) {
            let total = self.labels[label].cost + self.unserved[need];
            if total < self.best.0 {
                self.best = (total, label);
            }
            if need < self.cell.needs.len() {
                self.serve_from(label, need);
            }
        }
    }

    fn undominated(&self, mut labels: Vec<usize>) -> Vec<usize> {
        let key = |&label: &usize| (self.labels[label].free_at, self.labels[label].cost);
        labels.sort_by(|a, b| {
            let (a, b) = (key(a), key(b));
            a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
        });
        let mut least = f64::INFINITY;
        labels.retain(|&label| {
            let cheaper = self.labels[label].cost < least;
            least = least.min(self.labels[label].cost);
            cheaper
        });
        labels
    }

    fn serve_from(&mut self, label: usize, need: usize) {
        for (offer, ahead) in self.choices(self.labels[label].free_at, need) {
            self.serve_with(label, need, (offer, ahead));
        }
    }

    /// The stages worth having for a need: none is ready later and dearer than another.
    /// To be ready before the need is worth no more than to be ready for it.
    fn choices(&self, free_at: SimTime, need: usize) -> Vec<(Offer, bool)> {
        let at = self.cell.needs[need].at;
        let ahead = self.cell.ahead;
        let from = ahead.partition_point(|offer| offer.asked_at < free_at);
        let to = ahead.partition_point(|offer| offer.asked_at <= at);
        let on_demand = (self.cell.on_demand[need], false);
        let in_time = ahead.get(from..to).unwrap_or_default();
        let all = in_time.iter().map(|&offer| (offer, true));
        let mut choices: Vec<(Offer, bool)> = all.chain([on_demand]).collect();
        let ready = |offer: &Offer| offer.ready_for(at).max(at);
        choices.sort_by(|(a, _), (b, _)| {
            let by_cost = a.runner_usd.total_cmp(&b.runner_usd);
            ready(a).cmp(&ready(b)).then(by_cost)
        });
        let mut least = f64::INFINITY;
        choices.retain(|(offer, _)| {
            let cheaper = offer.runner_usd < least;
            least = least.min(offer.runner_usd);
            cheaper
        });
        choices
    }

    /// Serves the run of needs from `first` on with one stage, for every length of it.
    fn serve_with(&mut self, label: usize, first: usize, (offer, ahead): (Offer, bool)) {
        let cell = self.cell;
        let stage_usd = cell.stage_usd(&offer);
        let ready = offer.ready_for(cell.needs[first].at);
        for next in first + 1..=cell.needs.len() {
            let until = ready.max(cell.needs[next - 1].at);
            if until >= cell.end {
                return;
            }
            let spent = stage_usd + cell.waiting(first, next, until);
            if spent > self.reactive[first] * (1.0 + 1e-9) + 1e-9 {
                return;
            }
            // A need that arises while others wait joins them.
            let joins = cell.needs.get(next).is_some_and(|need| need.at < until);
            if joins {
                continue;
            }
            self.before[next].push(self.labels.len());
            self.labels.push(Label {
                free_at: until,
                cost: self.labels[label].cost + spent,
                parent: label,
                stage: Some(PlannedStage {
                    first,
                    next,
                    until,
                    offer,
                    ahead,
                }),
            });
        }
    }

    fn stages(&self) -> Vec<PlannedStage> {
        let mut stages = Vec::new();
        let mut label = self.labels[self.best.1];
        while let Some(stage) = label.stage {
            stages.push(stage);
            label = self.labels[label.parent];
        }
        stages.reverse();
        stages
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clairvoyant::builds::FullTimes;
    use crate::clairvoyant::tests::random_setting;
    use crate::clairvoyant::with_event_cell;

    /// The least cost from a need on, by trying everything.
    fn brute_force(cell: &EventCell, need: usize, free_at: SimTime) -> f64 {
        let count = cell.needs.len();
        if need == count {
            return 0.0;
        }
        let at = cell.needs[need].at;
        let mut best = cell.waiting(need, count, cell.end);
        let asked = cell.ahead.iter().filter(|offer| {
            let asked_at = offer.asked_at;
            free_at <= asked_at && asked_at <= at
        });
        for offer in asked.chain([&cell.on_demand[need]]) {
            for next in need + 1..=count {
                let until = offer.ready_for(at).max(cell.needs[next - 1].at);
                let joins = cell.needs.get(next).is_some_and(|need| need.at < until);
                if until < cell.end && !joins {
                    let stage = cell.stage_usd(offer) + cell.waiting(need, next, until);
                    best = best.min(stage + brute_force(cell, next, until));
                }
            }
        }
        best
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

        #[test]
        fn the_search_agrees_with_trying_everything(seed in any::<u64>()) {
            let setting = random_setting(seed);
            let full = FullTimes::of(&setting.record, &setting.world);
            for spec in &setting.record.cells {
                with_event_cell(&setting, (spec, &full), |cell| {
                    let last = cell.needs.len().min(4);
                    let until = cell.needs[..last].last().map_or(cell.end, |need| need.at);
                    let there = cell.ahead.iter().filter(|offer| offer.asked_at <= until);
                    let ahead: Vec<Offer> = there.copied().collect();
                    let few: Vec<Offer> = ahead.iter().rev().step_by(3).take(12).rev().copied().collect();
                    let tiny = EventCell {
                        needs: &cell.needs[..last],
                        on_demand: &cell.on_demand[..last],
                        ahead: &few,
                        ..*cell
                    };
                    let (plan, least) = (tiny.cheapest(), brute_force(&tiny, 0, SimTime::from_micros(i64::MIN)));
                    assert!((plan.total() - least).abs() < 1e-6 * (1.0 + least), "{} instead of {least}", plan.total());
                    plan
                });
            }
        }
    }
}
