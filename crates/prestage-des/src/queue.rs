//! The pending events of a simulation, totally ordered by (time, sequence).
//!
//! An implicit 4-ary heap over 16-byte keys; the payloads wait in a slab and never
//! move while the heap is sifted. A key packs time, sequence and slab slot, so one
//! integer comparison orders two events, and no two keys are equal: events of the
//! same instant leave in the order in which they were scheduled. The measurements
//! behind the choice are quoted in `benches/queue.rs`.
//!
//! A popped event leaves its key at the root until the next call: most events
//! schedule a successor, which takes the vacant place in one descent instead of a
//! removal and an insertion.
//!
//! Invariants: time never runs backwards; the root is vacant or pending, never
//! cancelled, and vacant only while nothing is cancelled, so that `peek_time` needs no
//! `&mut`; at most half of a large heap is cancelled. Must not know what an event means.

use serde::{Deserialize, Serialize};

use crate::time::SimTime;

const SLOT_BITS: u32 = 24;
const SEQUENCE_BITS: u32 = 40;
const SEQUENCE_MAX: u64 = (1 << SEQUENCE_BITS) - 1;
const PENDING_MAX: usize = 1 << SLOT_BITS;

/// Children of a heap node. Four 16-byte keys fill one cache line.
const ARITY: usize = 4;

/// Below this many cancelled events the heap is left alone: rebuilding a heap that
/// sits in L1 costs more than it saves.
const CANCELLED_TOLERATED: usize = 64;

/// Names one scheduled event for [`EventQueue::cancel`]; never reused in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EventId {
    sequence: u64,
    slot: u32,
}

/// A future event list: schedule, cancel, pop in order.
///
/// ```
/// use prestage_des::{EventQueue, SimTime};
///
/// let mut queue = EventQueue::new();
/// queue.schedule(SimTime::from_secs(2), "deploy");
/// let review = queue.schedule(SimTime::from_secs(1), "review");
/// queue.schedule(SimTime::from_secs(2), "notify");
///
/// assert!(queue.cancel(review));
/// assert_eq!(queue.pop(), Some((SimTime::from_secs(2), "deploy")));
/// assert_eq!(queue.pop(), Some((SimTime::from_secs(2), "notify")));
/// assert_eq!(queue.pop(), None);
/// assert_eq!(queue.now(), SimTime::from_secs(2));
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventQueue<E> {
    now: SimTime,
    sequence_next: u64,
    cancelled: usize,
    /// The root of the heap is the key of the event popped last.
    vacant: bool,
    heap: Vec<Key>,
    slots: Vec<Slot<E>>,
    free: Vec<u32>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Slot<E> {
    sequence: u64,
    /// `None` when the slot is free or its event was cancelled.
    event: Option<E>,
}

impl<E> Default for EventQueue<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> EventQueue<E> {
    /// An empty queue whose clock stands at [`SimTime::ZERO`].
    pub fn new() -> Self {
        Self::starting_at(SimTime::ZERO)
    }

    /// An empty queue whose clock stands at `now`.
    pub fn starting_at(now: SimTime) -> Self {
        Self {
            now,
            sequence_next: 0,
            cancelled: 0,
            vacant: false,
            heap: Vec::new(),
            slots: Vec::new(),
            free: Vec::new(),
        }
    }

    /// The time of the event popped last, or the start.
    pub fn now(&self) -> SimTime {
        self.now
    }

    /// Pending events, cancelled ones not counted.
    pub fn len(&self) -> usize {
        self.heap.len() - self.cancelled - usize::from(self.vacant)
    }

    /// Whether nothing is pending.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The time of the next event.
    pub fn peek_time(&self) -> Option<SimTime> {
        self.first().map(Key::time)
    }

    /// The next event and its time, left in place.
    pub fn peek(&self) -> Option<(SimTime, &E)> {
        let key = self.first()?;
        let event = self.slots[key.slot()].event.as_ref();
        Some((
            key.time(),
            event.expect("the root is pending: see `drop_cancelled`"),
        ))
    }

    /// Adds `event` at `at`, after everything already scheduled for that instant.
    ///
    /// Panics when `at` lies before [`EventQueue::now`], and past 2^24 pending or
    /// 2^40 scheduled events.
    pub fn schedule(&mut self, at: SimTime, event: E) -> EventId {
        assert!(
            at >= self.now,
            "cannot schedule at {at} in the past: it is already {}",
            self.now
        );
        let sequence = self.sequence_next;
        assert!(
            sequence <= SEQUENCE_MAX,
            "more than 2^40 events were scheduled"
        );
        self.sequence_next += 1;
        let slot = self.store(sequence, event);
        let key = Key::new(at, sequence, slot);
        if self.vacant {
            self.vacant = false;
            sift_down(&mut self.heap, key);
        } else {
            self.heap.push(key);
            sift_up(&mut self.heap);
        }
        EventId { sequence, slot }
    }

    /// Adds `event` one `delay` after [`EventQueue::now`].
    ///
    /// Panics as [`EventQueue::schedule`] does.
    pub fn schedule_in(&mut self, delay: SimTime, event: E) -> EventId {
        self.schedule(self.now + delay, event)
    }

    /// Takes the next event and moves the clock to it.
    pub fn pop(&mut self) -> Option<(SimTime, E)> {
        self.fill_vacancy();
        let key = *self.heap.first()?;
        debug_assert!(key.time() >= self.now, "hot loop: implied by `schedule`");
        self.now = key.time();
        let event = self.slots[key.slot()].event.take();
        self.free.push(key.slot() as u32);
        self.vacant = true;
        if self.cancelled > 0 {
            self.fill_vacancy();
            self.drop_cancelled();
        }
        Some((
            key.time(),
            event.expect("the root is pending: see `drop_cancelled`"),
        ))
    }

    /// Takes the next event unless it lies after `limit`.
    pub fn pop_until(&mut self, limit: SimTime) -> Option<(SimTime, E)> {
        self.fill_vacancy();
        if self.heap.first()?.time() > limit {
            return None;
        }
        self.pop()
    }

    /// Moves the clock to `at` without an event, for a run that ends between two.
    ///
    /// Panics when `at` lies in the past or an earlier event is pending.
    pub fn advance_to(&mut self, at: SimTime) {
        assert!(at >= self.now, "time runs backwards: {at} < {}", self.now);
        if let Some(next) = self.peek_time() {
            assert!(at <= next, "advancing to {at} skips the event at {next}");
        }
        self.now = at;
    }

    /// Withdraws a pending event; `false` when it was popped or cancelled before.
    ///
    /// Amortized constant time, or logarithmic when the event was next in line.
    pub fn cancel(&mut self, id: EventId) -> bool {
        self.cancel_take(id).is_some()
    }

    /// Withdraws a pending event and hands its payload back.
    pub fn cancel_take(&mut self, id: EventId) -> Option<E> {
        let slot = self.slots.get_mut(id.slot as usize)?;
        if slot.sequence != id.sequence {
            return None;
        }
        let event = slot.event.take()?;
        self.fill_vacancy();
        self.cancelled += 1;
        self.drop_cancelled();
        self.compact_if_worthwhile();
        Some(event)
    }

    fn store(&mut self, sequence: u64, event: E) -> u32 {
        let event = Some(event);
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = Slot { sequence, event };
            return slot;
        }
        assert!(
            self.slots.len() < PENDING_MAX,
            "more than 2^24 events are pending"
        );
        self.slots.push(Slot { sequence, event });
        (self.slots.len() - 1) as u32
    }

    /// The key of the next event.
    fn first(&self) -> Option<Key> {
        if self.vacant {
            // Nothing is cancelled now, so the least child of the root is pending.
            let children = self.heap.iter().skip(1).take(ARITY);
            return children.min().copied();
        }
        self.heap.first().copied()
    }

    fn fill_vacancy(&mut self) {
        if self.vacant {
            self.vacant = false;
            remove_first(&mut self.heap);
        }
    }

    /// Restores the invariant that the root of the heap is pending.
    fn drop_cancelled(&mut self) {
        while let Some(&root) = self.heap.first() {
            if self.slots[root.slot()].event.is_some() {
                return;
            }
            remove_first(&mut self.heap);
            self.free.push(root.slot() as u32);
            self.cancelled -= 1;
        }
    }

    /// Rebuilds a heap that is mostly cancelled events. Keys keep their values, so
    /// the order of the others is untouched.
    fn compact_if_worthwhile(&mut self) {
        if self.cancelled <= CANCELLED_TOLERATED || self.cancelled * 2 <= self.heap.len() {
            return;
        }
        let (slots, free) = (&self.slots, &mut self.free);
        self.heap.retain(|key| {
            let pending = slots[key.slot()].event.is_some();
            if !pending {
                free.push(key.slot() as u32);
            }
            pending
        });
        self.cancelled = 0;
        // A sorted array is a valid heap; simpler than heapify and rare.
        self.heap.sort_unstable();
    }
}

/// Time in the high 64 bits, then 40 bits of sequence, then 24 bits of slot.
///
/// The sign bit of the time is flipped, so that unsigned order is time order before
/// the epoch too. Stored as two halves because not every serde format has 128 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "[u64; 2]", into = "[u64; 2]")]
struct Key(u128);

const SIGN: u64 = 1 << 63;

impl Key {
    #[inline]
    fn new(time: SimTime, sequence: u64, slot: u32) -> Self {
        let high = time.as_micros() as u64 ^ SIGN;
        let low = sequence << SLOT_BITS | u64::from(slot);
        Self(u128::from(high) << 64 | u128::from(low))
    }

    #[inline]
    fn time(self) -> SimTime {
        SimTime::from_micros(((self.0 >> 64) as u64 ^ SIGN) as i64)
    }

    #[inline]
    fn slot(self) -> usize {
        self.0 as usize & (PENDING_MAX - 1)
    }
}

impl From<[u64; 2]> for Key {
    fn from([high, low]: [u64; 2]) -> Self {
        Self(u128::from(high) << 64 | u128::from(low))
    }
}

impl From<Key> for [u64; 2] {
    fn from(key: Key) -> Self {
        [(key.0 >> 64) as u64, key.0 as u64]
    }
}

/// Moves the last key up to its place.
#[inline]
fn sift_up(heap: &mut [Key]) {
    let mut hole = heap.len() - 1;
    let key = heap[hole];
    while hole > 0 {
        let parent = (hole - 1) / ARITY;
        if heap[parent] <= key {
            break;
        }
        heap[hole] = heap[parent];
        hole = parent;
    }
    heap[hole] = key;
}

/// Removes the root.
#[inline]
fn remove_first(heap: &mut Vec<Key>) {
    if let Some(last) = heap.pop()
        && !heap.is_empty()
    {
        sift_down(heap, last);
    }
}

/// Puts `key` where the root was and moves it down to its place.
#[inline]
fn sift_down(heap: &mut [Key], key: Key) {
    let mut hole = 0;
    loop {
        let first = hole * ARITY + 1;
        let Some(children) = heap.get(first..) else {
            break;
        };
        let (least, child) = match children.first_chunk::<ARITY>() {
            Some(children) => least_of_four(children),
            None if children.is_empty() => break,
            None => least(children),
        };
        if least >= key {
            break;
        }
        heap[hole] = least;
        hole = first + child;
    }
    heap[hole] = key;
}

/// Written as selects, which the compiler turns into conditional moves: which child
/// is least is a coin toss that no branch predictor can learn. (A tournament of three
/// comparisons took 69 ns instead of 54 in the hold model with 1,000 pending events,
/// and the same time in M/M/16 and in a pipeline.)
#[inline]
fn least_of_four(children: &[Key; ARITY]) -> (Key, usize) {
    let (mut key, mut index) = (children[0], 0);
    for (other, &child) in children.iter().enumerate().skip(1) {
        let less = child < key;
        index = if less { other } else { index };
        key = if less { child } else { key };
    }
    (key, index)
}

#[inline]
fn least(children: &[Key]) -> (Key, usize) {
    let mut best = (children[0], 0);
    for (index, &child) in children.iter().enumerate().skip(1) {
        if child < best.0 {
            best = (child, index);
        }
    }
    best
}
