//! Properties of the event queue against a sorted vector that is obviously right.
//!
//! Times are drawn from a few values, so that ties and cancellations of tied events
//! are the rule. Must not know the layout of the heap.

use prestage_des::{EventId, EventQueue, SimTime};
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Operation {
    Schedule {
        delay_micros: i64,
    },
    Pop,
    /// Cancels one of all ids ever handed out, spent ones included.
    Cancel {
        choice: usize,
    },
    /// Goes through serde and back.
    Restore,
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let operation = prop_oneof![
        5 => (0_i64..6).prop_map(|delay_micros| Operation::Schedule { delay_micros }),
        1 => (0_i64..1_000_000).prop_map(|delay_micros| Operation::Schedule { delay_micros }),
        3 => Just(Operation::Pop),
        3 => any::<usize>().prop_map(|choice| Operation::Cancel { choice }),
        1 => Just(Operation::Restore),
    ];
    proptest::collection::vec(operation, 0..400)
}

/// Pending (time, label) pairs in order; the label is the order of scheduling.
#[derive(Default)]
struct Model {
    now: SimTime,
    pending: Vec<(SimTime, usize)>,
}

impl Model {
    fn schedule(&mut self, at: SimTime, label: usize) {
        let place = self.pending.partition_point(|&(time, _)| time <= at);
        self.pending.insert(place, (at, label));
    }

    fn pop(&mut self) -> Option<(SimTime, usize)> {
        if self.pending.is_empty() {
            return None;
        }
        let (at, label) = self.pending.remove(0);
        self.now = at;
        Some((at, label))
    }

    fn cancel(&mut self, label: usize) -> bool {
        let place = self.pending.iter().position(|&(_, other)| other == label);
        place.map(|place| self.pending.remove(place)).is_some()
    }
}

proptest! {
    #[test]
    fn queue_equals_sorted_vector(start in -3_i64..3, operations in operations()) {
        let start = SimTime::from_micros(start);
        let mut model = Model { now: start, ..Model::default() };
        let mut queue = EventQueue::starting_at(start);
        let mut ids: Vec<EventId> = Vec::new();

        for operation in operations {
            match operation {
                Operation::Schedule { delay_micros } => {
                    let at = model.now + SimTime::from_micros(delay_micros);
                    model.schedule(at, ids.len());
                    ids.push(queue.schedule(at, ids.len()));
                }
                Operation::Pop => prop_assert_eq!(queue.pop(), model.pop()),
                Operation::Cancel { choice } if !ids.is_empty() => {
                    let label = choice % ids.len();
                    prop_assert_eq!(queue.cancel(ids[label]), model.cancel(label));
                }
                Operation::Cancel { .. } => {}
                Operation::Restore => {
                    let text = serde_json::to_string(&queue).unwrap();
                    queue = serde_json::from_str(&text).unwrap();
                }
            }
            prop_assert_eq!(queue.now(), model.now);
            prop_assert_eq!(queue.len(), model.pending.len());
            prop_assert_eq!(queue.is_empty(), model.pending.is_empty());
            let next = model.pending.first().copied();
            prop_assert_eq!(queue.peek_time(), next.map(|(at, _)| at));
            prop_assert_eq!(queue.peek().map(|(at, &label)| (at, label)), next);
        }
        while let Some(expected) = model.pop() {
            prop_assert_eq!(queue.pop(), Some(expected));
        }
        prop_assert_eq!(queue.pop(), None);
    }

    /// Enough cancellations to pass the threshold at which the heap is rebuilt.
    #[test]
    fn mass_cancellation_keeps_the_order(
        times in proptest::collection::vec(0_i64..50, 200..600),
        keep_every in 2_usize..40,
    ) {
        let mut queue = EventQueue::new();
        let ids: Vec<EventId> = times
            .iter()
            .enumerate()
            .map(|(label, &at)| queue.schedule(SimTime::from_micros(at), label))
            .collect();
        let mut kept: Vec<(i64, usize)> = Vec::new();
        for (label, &at) in times.iter().enumerate() {
            if label % keep_every == 0 {
                kept.push((at, label));
            } else {
                prop_assert!(queue.cancel(ids[label]));
            }
        }
        kept.sort_unstable();
        let popped: Vec<(i64, usize)> = std::iter::from_fn(|| queue.pop())
            .map(|(at, label)| (at.as_micros(), label))
            .collect();
        prop_assert_eq!(popped, kept);
    }
}

#[test]
fn equal_times_leave_in_order_of_scheduling() {
    let mut queue = EventQueue::new();
    for label in 0..1_000 {
        queue.schedule(SimTime::from_secs(1), label);
    }
    let labels: Vec<i32> = std::iter::from_fn(|| queue.pop())
        .map(|(_, label)| label)
        .collect();
    assert!(labels.is_sorted() && labels.len() == 1_000);
}

#[test]
fn an_id_is_spent_once_its_slot_is_reused() {
    let mut queue = EventQueue::new();
    let first = queue.schedule(SimTime::from_secs(1), 'a');
    assert!(queue.pop().is_some());
    let second = queue.schedule(SimTime::from_secs(2), 'b');
    assert!(
        !queue.cancel(first),
        "the id of a popped event cancelled its successor"
    );
    assert_eq!(queue.cancel_take(second), Some('b'));
    assert!(!queue.cancel(second));
}

#[test]
fn pop_until_stops_at_the_limit_and_keeps_the_clock() {
    let mut queue = EventQueue::new();
    queue.schedule(SimTime::from_secs(5), ());
    assert_eq!(queue.pop_until(SimTime::from_secs(4)), None);
    assert_eq!(queue.now(), SimTime::ZERO);
    queue.advance_to(SimTime::from_secs(4));
    assert_eq!(
        queue.pop_until(SimTime::from_secs(5)),
        Some((SimTime::from_secs(5), ()))
    );
}

#[test]
#[should_panic(
    expected = "cannot schedule at 0d 00:00:01.000000 in the past: it is already 0d 00:00:02.000000"
)]
fn the_past_is_refused_with_both_times() {
    let mut queue = EventQueue::starting_at(SimTime::from_secs(2));
    queue.schedule(SimTime::from_secs(1), ());
}

#[test]
#[should_panic(expected = "skips the event at")]
fn advancing_over_an_event_is_refused() {
    let mut queue = EventQueue::new();
    queue.schedule(SimTime::from_secs(1), ());
    queue.advance_to(SimTime::from_secs(2));
}
