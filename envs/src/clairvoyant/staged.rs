//! The penalised problem of one cell of releases, where no queue delays a stage.
//!
//! A dynamic programme, backwards, over nodes (turns of the control loop, commits, needs)
//! and what the cell has: nothing, or a ready stage with so many commits since it was
//! validated. Stages under way and needs that wait lie between nodes, since how long they
//! take is drawn. All moves of [`reconcile`](prestage_controller::reconcile) are there:
//! propose, hold, refresh after so many commits, withdraw; those that time decides (the
//! time to live) are moves too, which only adds to what can be done.
//!
//! `penalty.rs` says what is charged between nodes and at needs, and why.
use prestage_des::SimTime;

use super::arrivals::Arrivals;
use super::offers::Offer;
use super::waiting::WaitingClock;

/// What happens at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NodeKind {
    Commit,
    /// With this number, from 0.
    Need(usize),
    /// With the number of its offer.
    Turn(usize),
    End,
}

/// A time at which something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Node {
    pub at: SimTime,
    pub kind: NodeKind,
}

/// What a need that finds nothing asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct OnDemand {
    /// From the need until it is ready.
    pub lead: SimTime,
    /// From the need until it is validated, and reviewed by somebody.
    pub validated: SimTime,
    /// Dollars of its runner minutes.
    pub runner_usd: f64,
}

/// Prices of the cell, US dollars.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct StagePrices {
    pub review: f64,
    pub revert: f64,
    /// A refresh.
    pub refresh: f64,
    /// A minute of a ready stage.
    pub upkeep: f64,
}

/// What may be done at a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moves {
    pub propose: bool,
    /// With nothing: stay so.
    pub wait: bool,
    pub hold: bool,
    pub refresh: bool,
    pub withdraw: bool,
}

impl Moves {
    pub const ALL: Self = Self {
        propose: true,
        wait: true,
        hold: true,
        refresh: true,
        withdraw: true,
    };
}

/// All that is known of the cell beforehand.
pub(super) struct StagedCell<'a> {
    /// Ascending; the last is the end.
    pub nodes: &'a [Node],
    /// Turn by turn.
    pub ahead: &'a [Offer],
    /// Need by need, and of one more.
    pub on_demand: &'a [OnDemand],
    /// What decides whether the stage of a need has gone stale.
    pub staleness: &'a [f64],
    /// Ascending.
    pub commits: &'a [SimTime],
    pub people: &'a WaitingClock,
    pub arrivals: &'a Arrivals,
    pub prices: StagePrices,
    pub drift_per_commit: f64,
    /// Commits after which a stage may be refreshed.
    pub refresh_after: usize,
    /// More commits make a stage no worse here.
    pub drift_most: usize,
    /// Of the penalty; 0 leaves it out.
    pub weight: f64,
}

/// The least cost from each node on, after what happens there.
struct Values {
    nothing: Vec<f64>,
    /// By node, then by commits since the validation.
    ready: Vec<Vec<f64>>,
    /// Needs up to and at each node.
    needs: Vec<usize>,
}

/// A moment after a node and before the next.
#[derive(Clone, Copy)]
struct Place {
    node: usize,
    at: SimTime,
}

/// What holding a ready stage to the next node comes to, whatever its drift.
struct Hold {
    next: usize,
    lambda: f64,
    upkeep: f64,
    /// What a stage that has gone stale costs a need at the begin, and at the next node.
    stale: f64,
    stale_at_next: f64,
}

impl StagedCell<'_> {
    /// The least cost less penalty in US dollars, with all moves.
    pub fn least(&self) -> f64 {
        self.least_with(&|_| Moves::ALL)
    }

    /// The same where `moves` says what may be done at a turn.
    pub fn least_with(&self, moves: &dyn Fn(SimTime) -> Moves) -> f64 {
        let count = self.nodes.len();
        let mut values = Values {
            nothing: vec![0.0; count],
            ready: vec![vec![0.0; self.drift_most + 1]; count],
            needs: self.needs_upto(),
        };
        for node in (0..count - 1).rev() {
            let place = Place {
                node,
                at: self.nodes[node].at,
            };
            let nothing = self.with_nothing(&values, place);
            let hold = self.hold(&values, place);
            let drifts = 0..=self.drift_most;
            let ready = drifts.map(|drift| self.while_held(&values, &hold, drift));
            (values.nothing[node], values.ready[node]) = (nothing, ready.collect());
            if let NodeKind::Turn(turn) = self.nodes[node].kind {
                self.turn(&mut values, place, (turn, moves(place.at)));
            }
        }
        values.nothing[0]
    }

    fn needs_upto(&self) -> Vec<usize> {
        let mut needs = 0;
        let upto = self.nodes.iter().map(|node| {
            needs += usize::from(matches!(node.kind, NodeKind::Need(_)));
            needs
        });
        upto.collect()
    }

    fn turn(&self, values: &mut Values, place: Place, (turn, moves): (usize, Moves)) {
        let allowed = |is: bool, usd: f64| if is { usd } else { f64::INFINITY };
        let waited = allowed(moves.wait, values.nothing[place.node]);
        let proposed = match moves.propose {
            true => self.propose(values, place, &self.ahead[turn]),
            false => f64::INFINITY,
        };
        let nothing = waited.min(proposed);
        values.nothing[place.node] = nothing;
        let fresh = values.ready[place.node][0] + self.prices.refresh;
        for (drift, ready) in values.ready[place.node].iter_mut().enumerate() {
            let may_refresh = moves.refresh && drift >= self.refresh_after;
            let held = allowed(moves.hold, *ready).min(allowed(may_refresh, fresh));
            *ready = held.min(allowed(moves.withdraw, nothing));
        }
    }

    fn end(&self) -> SimTime {
        self.nodes[self.nodes.len() - 1].at
    }

    /// Dollars of one need that waits from `from` to `until`, or to the end.
    fn wait(&self, from: SimTime, until: SimTime) -> f64 {
        let end = self.end();
        self.people.between(from, until.min(end).max(from))
    }

    fn lambda(&self, from: SimTime, to: SimTime) -> f64 {
        self.arrivals.upto(to) - self.arrivals.upto(from)
    }

    fn commits_upto(&self, at: SimTime) -> usize {
        self.commits.partition_point(|&commit| commit <= at)
    }

    /// What a need that arises at `at` pays if it finds nothing, but its stage.
    fn miss(&self, need: usize, at: SimTime) -> f64 {
        self.wait(at, at + self.on_demand[need].lead)
    }

    fn stage_on_demand(&self, need: usize, at: SimTime) -> f64 {
        let asked = self.on_demand[need];
        let is_reviewed = at + asked.validated < self.end();
        asked.runner_usd + if is_reviewed { self.prices.review } else { 0.0 }
    }

    /// What it pays if what it finds has gone stale.
    fn stale(&self, need: usize, at: SimTime) -> f64 {
        self.prices.revert + self.stage_on_demand(need, at) + self.miss(need, at)
    }

    fn holds(&self, drift: usize) -> f64 {
        (1.0 - self.drift_per_commit).powi(drift as i32)
    }

    fn with_nothing(&self, values: &Values, Place { node, at }: Place) -> f64 {
        let jump = self.miss(values.needs[node], at);
        let next = self.nodes[node + 1];
        let premium = self.weight * jump * self.lambda(at, next.at);
        premium
            + match next.kind {
                NodeKind::Need(need) => {
                    let until = next.at + self.on_demand[need].lead;
                    self.miss(need, next.at) - self.reward(jump, next.at)
                        + self.stage_on_demand(need, next.at)
                        + self.waiting(values, node + 1, until)
                }
                _ => values.nothing[node + 1],
            }
    }

    fn while_ready(&self, values: &Values, place: Place, drift: usize) -> f64 {
        self.while_held(values, &self.hold(values, place), drift)
    }

    fn hold(&self, values: &Values, Place { node, at }: Place) -> Hold {
        let next = self.nodes[node + 1];
        let minutes = whole_minutes(next.at) - whole_minutes(at);
        let stale_at_next = match next.kind {
            NodeKind::Need(need) => self.stale(need, next.at),
            _ => 0.0,
        };
        Hold {
            next: node + 1,
            lambda: self.lambda(at, next.at),
            upkeep: self.prices.upkeep * minutes as f64,
            stale: self.stale(values.needs[node], at),
            stale_at_next,
        }
    }

    fn while_held(&self, values: &Values, hold: &Hold, drift: usize) -> f64 {
        let breaks = 1.0 - self.holds(drift);
        let jump = breaks * hold.stale;
        let next = hold.next;
        let held = self.weight * jump * hold.lambda + hold.upkeep;
        held + match self.nodes[next].kind {
            NodeKind::Need(need) => {
                let reward = self.reward(jump, self.nodes[next].at);
                self.find_ready(values, (next, need), (breaks, hold.stale_at_next)) - reward
            }
            NodeKind::Commit => values.ready[next][(drift + 1).min(self.drift_most)],
            NodeKind::Turn(_) => values.ready[next][drift],
            NodeKind::End => 0.0,
        }
    }

    /// A need arises while a stage is ready, which breaks with this chance at this cost.
    fn find_ready(
        &self,
        values: &Values,
        (node, need): (usize, usize),
        (breaks, stale): (f64, f64),
    ) -> f64 {
        let at = self.nodes[node].at;
        let is_stale = self.staleness[need] >= 1.0 - breaks;
        if is_stale {
            let until = at + self.on_demand[need].lead;
            let chance = self.weight * (breaks - 1.0) * stale;
            return stale + chance + self.waiting(values, node, until);
        }
        self.weight * breaks * stale + values.nothing[node]
    }

    /// What a need that surprises is given back of the premium paid for it.
    fn reward(&self, jump: f64, at: SimTime) -> f64 {
        if self.arrivals.is_surprise(at) {
            self.weight * jump
        } else {
            0.0
        }
    }

    /// From a need at `node` on while a stage is on its way that is ready at `until`: those
    /// that arise meanwhile wait too, and are served with it.
    fn waiting(&self, values: &Values, node: usize, until: SimTime) -> f64 {
        let mut usd = 0.0;
        let mut last = node;
        for (index, later) in self.nodes.iter().enumerate().skip(node + 1) {
            if later.at > until || later.kind == NodeKind::End {
                break;
            }
            if let NodeKind::Need(_) = later.kind {
                usd += self.wait(later.at, until);
            }
            last = index;
        }
        if until >= self.end() {
            return usd;
        }
        let place = Place {
            node: last,
            at: until,
        };
        usd + self.with_nothing(values, place)
    }

    /// Its runner up to the end, where the world takes it back, and its review.
    fn proposal(&self, offer: &Offer) -> f64 {
        let validated_at = offer.validated_at();
        if validated_at < self.end() {
            return offer.runner_usd + self.prices.review;
        }
        let minutes = |until: SimTime| (until - offer.asked_at).as_minutes_f64();
        offer.runner_usd * minutes(self.end()) / minutes(validated_at)
    }

    /// A stage is asked for, which is under way until it is ready.
    fn propose(&self, values: &Values, place: Place, offer: &Offer) -> f64 {
        let ready_at = offer.ready_for(SimTime::MAX);
        let mut usd = self.proposal(offer);
        let Place { mut node, mut at } = place;
        loop {
            let jump = self.wait(at, ready_at);
            let next = self.nodes[node + 1];
            let to = ready_at.min(next.at);
            usd += self.weight * jump * self.lambda(at, to);
            if ready_at <= next.at {
                let drift = self.commits_upto(ready_at) - self.commits_upto(place.at);
                let place = Place { node, at: ready_at };
                return usd + self.while_ready(values, place, drift.min(self.drift_most));
            }
            match next.kind {
                NodeKind::End => return usd,
                NodeKind::Need(_) => {
                    let wait = self.wait(next.at, ready_at) - self.reward(jump, next.at);
                    return usd + wait + self.waiting(values, node + 1, ready_at);
                }
                NodeKind::Commit | NodeKind::Turn(_) => (node, at) = (node + 1, next.at),
            }
        }
    }
}

fn whole_minutes(at: SimTime) -> i64 {
    at.div_floor(SimTime::from_minutes(1))
}
