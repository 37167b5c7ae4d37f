//! A calendar of events that are not near (Brown, "Calendar queues: a fast O(1) priority
//! queue implementation for the simulation event set problem", CACM 31(10), 1988).
//!
//! Time is cut into days of 2^shift microseconds; a year has a power of two of them.
//! Each day of the year has a chain of slots, unsorted, in which the events of the same
//! day of other years wait as well. Two things differ from Brown's calendar. Days are
//! emptied whole, into the heap that the queue keeps for what is near, so that many
//! events of one day cost a logarithm and no search. And a bit tells whether a day has
//! events, so that a day much too short costs next to nothing: 64 empty days are one
//! comparison.
//!
//! Invariant: every event in the calendar lies after [`Calendar::today`]. Must not know
//! the order of events within a day.

use serde::{Deserialize, Serialize};

use super::heap;
use super::key::{Key, bias};
use super::slab::{NONE, Slab};
use crate::time::SimTime;

/// Days in one word of [`Calendar::occupied`], and the shortest year.
const WORD_DAYS: usize = 64;

/// Mean events a day that the length of a day aims at; the power of two below it is
/// taken. 1 is 4 % faster in a pipeline and 20 % slower in the hold model, 4 slower.
const EVENTS_A_DAY: u64 = 2;

/// What looking at a slot in vain costs, in empty words.
const VISIT_COST: u64 = 16;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Calendar {
    /// Log2 of the microseconds of a day.
    shift: u32,
    /// The last day whose events are near. The end of time while the calendar is closed.
    today: u64,
    /// The first slot of each day of the year, or [`NONE`].
    days: Vec<u32>,
    /// One bit for each day of the year: its chain is not empty.
    occupied: Vec<u64>,
    /// Slots in all chains.
    len: usize,
    /// Work in vain since the calendar was laid out, in empty words.
    waste: u64,
}

impl Calendar {
    /// A calendar without days: everything is near.
    pub fn closed() -> Self {
        Self {
            shift: 0,
            today: u64::MAX,
            days: Vec::new(),
            occupied: Vec::new(),
            len: 0,
            waste: 0,
        }
    }

    /// Whether an event at `time` belongs into the heap.
    #[inline]
    pub fn is_near(&self, time: SimTime) -> bool {
        bias(time) >> self.shift <= self.today
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// More than two events for each day of the year.
    #[inline]
    pub fn is_crowded(&self) -> bool {
        self.len > 2 * self.days.len()
    }

    /// More work in vain than it costs to lay the calendar out anew for `slots` slots.
    #[inline]
    pub fn is_wasteful(&self, slots: usize) -> bool {
        self.waste > 4 * VISIT_COST * (slots + WORD_DAYS) as u64
    }

    /// Adds a slot whose event is not near.
    #[inline]
    pub fn insert<E>(&mut self, slab: &mut Slab<E>, slot: u32) {
        let place = slab.get_mut(slot);
        let day = (bias(place.time) >> self.shift) as usize & (self.days.len() - 1);
        place.next = std::mem::replace(&mut self.days[day], slot);
        self.occupied[day / WORD_DAYS] |= 1 << (day % WORD_DAYS);
        self.len += 1;
    }

    /// Moves on to the next day with events and adds their keys to the heap `near`.
    ///
    /// `false`, with `near` as it was, when no event lies within a year.
    #[inline]
    pub fn advance<E>(&mut self, slab: &mut Slab<E>, near: &mut Vec<Key>) -> bool {
        let year = self.days.len() as u64;
        let mut ahead = 0;
        while ahead < year {
            let (distance, empty) = self.occupied_after(ahead);
            self.waste += empty;
            let Some(distance) = distance else {
                return false;
            };
            ahead = distance;
            let day = self.today.saturating_add(ahead);
            if self.empty_day(slab, near, day) {
                self.today = day;
                return true;
            }
        }
        false
    }

    /// Days from today to the first occupied one more than `ahead` days away, at most a
    /// year and a word, and how many empty words were looked at.
    #[inline]
    fn occupied_after(&self, ahead: u64) -> (Option<u64>, u64) {
        let mask = self.days.len() - 1;
        let start = self.index(self.today.wrapping_add(ahead + 1));
        let mut word = start / WORD_DAYS;
        let mut bits = self.occupied[word] & (u64::MAX << (start % WORD_DAYS));
        for empty in 0..=self.occupied.len() as u64 {
            if bits != 0 {
                let day = word * WORD_DAYS + bits.trailing_zeros() as usize;
                let further = day.wrapping_sub(start) & mask;
                return (Some(ahead + 1 + further as u64), empty);
            }
            word = (word + 1) & (self.occupied.len() - 1);
            bits = self.occupied[word];
        }
        (None, self.occupied.len() as u64)
    }

    /// The place of `day` in the year.
    #[inline]
    fn index(&self, day: u64) -> usize {
        day as usize & (self.days.len() - 1)
    }

    /// Takes the events of `day` out of their chain; whether there were any.
    #[inline]
    fn empty_day<E>(&mut self, slab: &mut Slab<E>, near: &mut Vec<Key>, day: u64) -> bool {
        let index = self.index(day);
        let before = near.len();
        let mut slot = self.days[index];
        let mut others = NONE;
        while slot != NONE {
            let place = slab.get_mut(slot);
            let next = place.next;
            if bias(place.time) >> self.shift == day {
                heap::push(near, place.key(slot));
            } else {
                place.next = others;
                others = slot;
                self.waste += VISIT_COST;
            }
            slot = next;
        }
        self.days[index] = others;
        if others == NONE {
            self.occupied[index / WORD_DAYS] &= !(1 << (index % WORD_DAYS));
        }
        self.len -= near.len() - before;
        near.len() > before
    }

    /// Lays the calendar out for the events of `keys` and keeps those that are near in
    /// there, unsorted.
    pub fn lay_out<E>(&mut self, slab: &mut Slab<E>, keys: &mut Vec<Key>) {
        let first = keys.iter().map(|key| key.biased_time()).min();
        let first = first.expect("a calendar is laid out for many events");
        let year = keys.len().next_power_of_two().max(WORD_DAYS);
        self.shift = day_shift(keys, first);
        self.today = first >> self.shift;
        self.days.clear();
        self.days.resize(year, NONE);
        self.occupied.clear();
        self.occupied.resize(year / WORD_DAYS, 0);
        (self.len, self.waste) = (0, 0);
        keys.retain(|key| {
            let near = key.biased_time() >> self.shift <= self.today;
            if !near {
                self.insert(slab, key.slot());
            }
            near
        });
    }

    /// The least key in the calendar, found without moving on.
    ///
    /// Costs a day's chain as a rule, a search through everything when no event lies
    /// within a year.
    pub fn first<E>(&self, slab: &Slab<E>) -> Option<Key> {
        let year = self.days.len() as u64;
        let mut ahead = 0;
        while ahead < year
            && let (Some(distance), _) = self.occupied_after(ahead)
        {
            let day = self.today.saturating_add(distance);
            let in_day = |key: &Key| key.biased_time() >> self.shift == day;
            let least = self.chain(slab, self.index(day)).filter(in_day).min();
            if least.is_some() {
                return least;
            }
            ahead = distance;
        }
        let days = 0..self.days.len();
        days.filter_map(|index| self.chain(slab, index).min()).min()
    }

    /// The keys in the chain of a day of the year.
    fn chain<'a, E>(&self, slab: &'a Slab<E>, index: usize) -> impl Iterator<Item = Key> + 'a {
        let some = |slot: u32| (slot != NONE).then_some(slot);
        let slots = std::iter::successors(some(self.days[index]), move |&slot| {
            some(slab.get(slot).next)
        });
        slots.map(|slot| slab.get(slot).key(slot))
    }
}

/// Log2 of the length of a day, by the mean gap up to the median of the pending times:
/// the far half may be anywhere.
fn day_shift(keys: &[Key], first: u64) -> u32 {
    const SAMPLE: usize = 256;
    let step = (keys.len() / SAMPLE).max(1);
    let times = keys.iter().step_by(step).map(|key| key.biased_time());
    let mut sample: Vec<u64> = times.collect();
    let middle = sample.len() / 2;
    let (_, &mut median, _) = sample.select_nth_unstable(middle);
    let gap = (median - first) / (keys.len() as u64 / 2).max(1);
    gap.saturating_mul(EVENTS_A_DAY).max(1).ilog2()
}
