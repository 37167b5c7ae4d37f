//! Where the events wait: slots that are reused, the last freed first.
//!
//! A slot also carries the time of its event and a link, so that the calendar can chain
//! slots without memory of its own. Must not know the order of events.

use serde::{Deserialize, Serialize};

use super::key::{Key, SLOTS_MAX};
use crate::time::SimTime;

/// The end of a chain of slots.
pub(super) const NONE: u32 = u32::MAX;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Slab<E> {
    slots: Vec<Slot<E>>,
    /// The first free slot; the others follow by their links.
    free: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Slot<E> {
    pub time: SimTime,
    pub sequence: u64,
    /// The next slot of the chain that this slot is in.
    pub next: u32,
    /// `None` when the slot is free or its event was cancelled.
    pub event: Option<E>,
}

impl<E> Slot<E> {
    #[inline]
    pub fn key(&self, slot: u32) -> Key {
        Key::new(self.time, self.sequence, slot)
    }
}

impl<E> Slab<E> {
    pub fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: NONE,
        }
    }

    /// Slots that were ever in use.
    pub fn capacity(&self) -> usize {
        self.slots.len()
    }

    #[inline]
    pub fn get(&self, slot: u32) -> &Slot<E> {
        &self.slots[slot as usize]
    }

    #[inline]
    pub fn get_mut(&mut self, slot: u32) -> &mut Slot<E> {
        &mut self.slots[slot as usize]
    }

    #[inline]
    pub fn is_pending(&self, slot: u32) -> bool {
        self.get(slot).event.is_some()
    }

    /// Stores an event. Panics past 2^24 slots.
    #[inline]
    pub fn insert(&mut self, time: SimTime, sequence: u64, event: E) -> u32 {
        let stored = Slot {
            time,
            sequence,
            next: NONE,
            event: Some(event),
        };
        let slot = self.free;
        if let Some(place) = self.slots.get_mut(slot as usize) {
            self.free = place.next;
            *place = stored;
            return slot;
        }
        self.grow(stored)
    }

    #[inline(never)]
    fn grow(&mut self, stored: Slot<E>) -> u32 {
        let slot = self.slots.len();
        assert!(slot < SLOTS_MAX, "more than 2^24 events are pending");
        self.slots.push(stored);
        slot as u32
    }

    /// Gives a slot back and returns its event, `None` when it was cancelled.
    #[inline]
    pub fn free(&mut self, slot: u32) -> Option<E> {
        let free = self.free;
        self.free = slot;
        let place = self.get_mut(slot);
        place.next = free;
        place.event.take()
    }

    /// Withdraws the event `sequence`; the slot stays in its chain.
    pub fn cancel(&mut self, slot: u32, sequence: u64) -> Option<E> {
        let place = self.slots.get_mut(slot as usize)?;
        if place.sequence != sequence {
            return None;
        }
        place.event.take()
    }

    /// Frees every slot without an event, whatever chain it was in, and appends the
    /// keys of the others.
    pub fn sweep(&mut self, pending: &mut Vec<Key>) {
        let mut free = NONE;
        for (index, slot) in self.slots.iter_mut().enumerate().rev() {
            if slot.event.is_some() {
                pending.push(slot.key(index as u32));
            } else {
                slot.next = free;
                free = index as u32;
            }
        }
        self.free = free;
    }
}
