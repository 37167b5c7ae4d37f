//! The pending events of a simulation, totally ordered by (time, sequence).
//!
//! Three parts, each in its file. A key packs time, sequence and slot, so one integer
//! comparison orders two events and no two are equal: events of one instant leave in the
//! order in which they were scheduled. What is near waits in a 4-ary heap of keys; what
//! is not, in a calendar, whose next day is emptied into the heap when that runs dry. Up
//! to `NEAR_MAX` events there is only the heap. The events themselves lie in a slab and
//! never move.
//!
//! ```text
//! schedule --- near? --+--> heap of keys ------------------> pop
//!                      |        ^ a day at a time
//!                      +--> calendar: chains of slots
//!                                |
//!                     slab: time, sequence, link, event
//! ```
//!
//! A popped event leaves its key at the root until the next call: most events
//! schedule a successor, which often takes the vacant place in one descent instead of a
//! removal and an insertion.
//!
//! Invariants: time never runs backwards; the root is vacant or pending, never
//! cancelled, and vacant only while nothing is cancelled, so that `peek_time` needs no
//! `&mut`; at most half of many slots are cancelled. The layout of heap and calendar
//! decides how fast an event comes out, never which. Must not know what an event means.

mod key;

mod heap;

mod slab;

mod calendar;

use serde::{Deserialize, Serialize};

use self::calendar::Calendar;
use self::key::{Key, SEQUENCE_MAX};
use self::slab::Slab;
use crate::time::SimTime;

/// A heap of this many keys sits in L1 and costs what a calendar costs.
const NEAR_MAX: usize = 64;

/// Below this many cancelled events they are left where they are.
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
    /// Pending events, cancelled ones not counted.
    len: usize,
    /// Slots whose event was cancelled and that are still in heap or calendar.
    cancelled: usize,
    /// The root of the heap is the key of the event popped last.
    vacant: bool,
    near: Vec<Key>,
    /// With more keys than this the heap is spread over the calendar.
    near_max: usize,
    calendar: Calendar,
    slab: Slab<E>,
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
            len: 0,
            cancelled: 0,
            vacant: false,
            near: Vec::new(),
            near_max: NEAR_MAX,
            calendar: Calendar::closed(),
            slab: Slab::new(),
        }
    }

    /// The time of the event popped last, or the start.
    pub fn now(&self) -> SimTime {
        self.now
    }

    /// Pending events, cancelled ones not counted.
    pub fn len(&self) -> usize {
        self.len
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
        let event = self.slab.get(key.slot()).event.as_ref();
        Some((
            key.time(),
            event.expect("the root is pending: see `drop_cancelled`"),
        ))
    }

    /// Adds `event` at `at`, after everything already scheduled for that instant.
    ///
    /// Panics when `at` lies before [`EventQueue::now`], and past 2^24 pending or
    /// 2^40 scheduled events.
    #[inline]
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
        let slot = self.slab.insert(at, sequence, event);
        self.len += 1;
        if self.calendar.is_near(at) {
            self.insert_near(Key::new(at, sequence, slot));
        } else {
            self.calendar.insert(&mut self.slab, slot);
            if self.calendar.is_crowded() {
                self.rebuild();
            }
        }
        EventId { sequence, slot }
    }

    /// Adds `event` one `delay` after [`EventQueue::now`].
    ///
    /// Panics as [`EventQueue::schedule`] does.
    #[inline]
    pub fn schedule_in(&mut self, delay: SimTime, event: E) -> EventId {
        self.schedule(self.now + delay, event)
    }

    /// Takes the next event and moves the clock to it.
    #[inline]
    pub fn pop(&mut self) -> Option<(SimTime, E)> {
        self.pop_until(SimTime::MAX)
    }

    /// Takes the next event unless it lies after `limit`.
    #[inline]
    pub fn pop_until(&mut self, limit: SimTime) -> Option<(SimTime, E)> {
        self.fill_root();
        let key = *self.near.first()?;
        if key.time() > limit {
            return None;
        }
        debug_assert!(key.time() >= self.now, "hot loop: implied by `schedule`");
        self.now = key.time();
        let event = self.slab.free(key.slot());
        self.len -= 1;
        self.vacant = true;
        if self.cancelled > 0 {
            self.drop_cancelled();
        }
        Some((
            key.time(),
            event.expect("the root is pending: see `drop_cancelled`"),
        ))
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
        let event = self.slab.cancel(id.slot, id.sequence)?;
        self.len -= 1;
        self.cancelled += 1;
        self.drop_cancelled();
        if self.cancelled > CANCELLED_TOLERATED && self.cancelled > self.len {
            self.rebuild();
        }
        Some(event)
    }

    #[inline]
    fn insert_near(&mut self, key: Key) {
        if self.vacant {
            self.vacant = false;
            heap::replace_first(&mut self.near, key);
            return;
        }
        heap::push(&mut self.near, key);
        if self.near.len() > self.near_max {
            self.rebuild();
        }
    }

    /// The key of the next event.
    fn first(&self) -> Option<Key> {
        if !self.vacant && !self.near.is_empty() {
            return self.near.first().copied();
        }
        // Nothing is cancelled now, so the least child of the root is pending.
        let children = self.near.iter().skip(1).take(heap::ARITY);
        let first = children.min().copied();
        first.or_else(|| self.calendar.first(&self.slab))
    }

    /// Closes a vacancy at the root, from the calendar if need be.
    #[inline]
    fn fill_root(&mut self) {
        if self.vacant {
            self.vacant = false;
            heap::remove_first(&mut self.near);
        }
        if self.near.is_empty() && !self.calendar.is_empty() {
            self.next_day();
        }
    }

    #[inline]
    fn next_day(&mut self) {
        let found = self.calendar.advance(&mut self.slab, &mut self.near);
        if !found || self.calendar.is_wasteful(self.slab.capacity()) {
            self.rebuild();
        }
    }

    /// Restores the invariant that the root of the heap is pending.
    fn drop_cancelled(&mut self) {
        loop {
            self.fill_root();
            match self.near.first() {
                Some(root) if !self.slab.is_pending(root.slot()) => {
                    self.slab.free(root.slot());
                    self.cancelled -= 1;
                    heap::remove_first(&mut self.near);
                }
                _ => return,
            }
        }
    }

    /// Drops what was cancelled and lays heap and calendar out for what is pending.
    #[inline(never)]
    fn rebuild(&mut self) {
        self.vacant = false;
        self.cancelled = 0;
        self.near.clear();
        self.slab.sweep(&mut self.near);
        if self.near.len() > NEAR_MAX / 2 {
            self.calendar.lay_out(&mut self.slab, &mut self.near);
        } else {
            self.calendar = Calendar::closed();
        }
        // A sorted array is a heap.
        self.near.sort_unstable();
        // Events of one instant cannot be spread: do not try again before they double.
        self.near_max = NEAR_MAX.max(2 * self.near.len());
    }
}
