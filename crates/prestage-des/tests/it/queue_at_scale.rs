//! The event queue against a `BTreeMap` at sizes where the calendar is open.
//!
//! Delays span eleven orders of magnitude and change their scale in the middle of a
//! run, so that days become too long, too short, crowded with ties or a year away.
//! Must not know how long a day is.

use std::collections::BTreeMap;

use prestage_des::{EventId, EventQueue, SimTime, Stream, Streams};
use proptest::prelude::*;

/// What the delays of one phase look like.
#[derive(Clone, Copy, Debug)]
enum Delays {
    Exponential {
        mean_micros: i64,
    },
    /// All at one distance: bursts of ties.
    Equal {
        micros: i64,
    },
    /// Near ones, and one in ten a thousand times as far.
    Mixed {
        micros: i64,
    },
}

impl Delays {
    fn draw(self, stream: &mut Stream) -> SimTime {
        let micros = match self {
            Self::Exponential { mean_micros } => stream.exponential(mean_micros as f64) as i64,
            Self::Equal { micros } => micros,
            Self::Mixed { micros } => {
                let far = if stream.bernoulli(0.1) { 1_000 } else { 1 };
                stream.index(micros as usize + 1) as i64 * far
            }
        };
        SimTime::from_micros(micros)
    }
}

fn delays() -> impl Strategy<Value = Delays> {
    let scale = (0_u32..11).prop_map(|power| 10_i64.pow(power));
    (scale, 0..3).prop_map(|(micros, kind)| match kind {
        0 => Delays::Exponential {
            mean_micros: micros,
        },
        1 => Delays::Equal { micros },
        _ => Delays::Mixed { micros },
    })
}

/// A stretch of a run: grow or shrink to `pending` events, then hold, cancelling now
/// and then.
#[derive(Clone, Copy, Debug)]
struct Phase {
    delays: Delays,
    pending: usize,
    holds: usize,
    cancel_probability: f64,
}

fn phases() -> impl Strategy<Value = Vec<Phase>> {
    let phase = (delays(), 0_usize..1_500, 0_usize..1_500, 0.0..0.9);
    let phase = phase.prop_map(|(delays, pending, holds, cancel_probability)| Phase {
        delays,
        pending,
        holds,
        cancel_probability,
    });
    proptest::collection::vec(phase, 1..5)
}

/// The queue beside the map that says what it must do.
struct Pair {
    queue: EventQueue<u64>,
    model: BTreeMap<(SimTime, u64), EventId>,
    /// Everything ever scheduled, by label.
    scheduled: Vec<(SimTime, EventId)>,
    stream: Stream,
}

impl Pair {
    fn schedule(&mut self, delays: Delays) {
        let at = self.queue.now() + delays.draw(&mut self.stream);
        let label = self.scheduled.len() as u64;
        let id = self.queue.schedule(at, label);
        self.model.insert((at, label), id);
        self.scheduled.push((at, id));
    }

    fn pop(&mut self) -> Result<(), TestCaseError> {
        let expected = self.model.pop_first().map(|(key, _)| key);
        prop_assert_eq!(self.queue.peek().map(|(at, &label)| (at, label)), expected);
        prop_assert_eq!(self.queue.pop(), expected);
        Ok(())
    }

    /// Cancels a random event of those scheduled lately, popped ones included.
    fn cancel(&mut self) -> Result<(), TestCaseError> {
        let recent = self.scheduled.len().min(2_000);
        let label = self.scheduled.len() - 1 - self.stream.index(recent);
        let (at, id) = self.scheduled[label];
        let label = label as u64;
        let pending = self.model.remove(&(at, label)).is_some();
        let cancelled = self.queue.cancel_take(id);
        prop_assert_eq!(cancelled, pending.then_some(label));
        Ok(())
    }

    fn run(&mut self, phase: Phase) -> Result<(), TestCaseError> {
        while self.model.len() < phase.pending {
            self.schedule(phase.delays);
        }
        while self.model.len() > phase.pending {
            self.pop()?;
        }
        for _ in 0..phase.holds {
            self.pop()?;
            self.schedule(phase.delays);
            if self.stream.bernoulli(phase.cancel_probability) {
                self.cancel()?;
            }
            prop_assert_eq!(self.queue.len(), self.model.len());
        }
        // Between two phases the queue is stored and restored; ids stay valid.
        let text = serde_json::to_string(&self.queue).expect("a queue has a JSON form");
        self.queue = serde_json::from_str(&text).expect("the text is a stored queue");
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn queue_equals_map_through_changes_of_scale(seed in any::<u64>(), phases in phases()) {
        let mut pair = Pair {
            queue: EventQueue::starting_at(SimTime::from_micros(-1_000)),
            model: BTreeMap::new(),
            scheduled: Vec::new(),
            stream: Streams::new(seed).open("operations", 0),
        };
        for phase in phases {
            pair.run(phase)?;
        }
        while !pair.model.is_empty() {
            pair.pop()?;
        }
        prop_assert_eq!(pair.queue.pop(), None);
    }
}

/// The ends of time have no room for a day after today.
#[test]
fn the_ends_of_time_are_times_like_others() {
    let mut queue = EventQueue::starting_at(SimTime::MIN);
    let mut expected = Vec::new();
    for label in 0..300_i64 {
        let at = match label % 3 {
            0 => SimTime::from_micros(i64::MIN + label / 7),
            1 => SimTime::from_micros(label),
            _ => SimTime::from_micros(i64::MAX - label / 7),
        };
        queue.schedule(at, label);
        expected.push((at, label));
    }
    expected.sort_unstable();
    let popped: Vec<(SimTime, i64)> = std::iter::from_fn(|| queue.pop()).collect();
    assert_eq!(popped, expected);
}
