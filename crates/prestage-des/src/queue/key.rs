//! What orders two events: time, then sequence, packed with the place of the payload.
//!
//! Must not know where a key is kept.

use serde::{Deserialize, Serialize};

use crate::time::SimTime;

const SLOT_BITS: u32 = 24;
const SEQUENCE_BITS: u32 = 40;

/// The last sequence number that a key can hold.
pub(super) const SEQUENCE_MAX: u64 = (1 << SEQUENCE_BITS) - 1;
/// How many slots a key can tell apart.
pub(super) const SLOTS_MAX: usize = 1 << SLOT_BITS;

/// Time in the high 64 bits, then 40 bits of sequence, then 24 bits of slot.
///
/// One integer comparison orders two events, and no two keys are equal. The time is
/// biased ([`bias`]), so that unsigned order is time order before the epoch too. Stored
/// as two halves because not every serde format has 128 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "[u64; 2]", into = "[u64; 2]")]
pub(super) struct Key(u128);

impl Key {
    #[inline]
    pub fn new(time: SimTime, sequence: u64, slot: u32) -> Self {
        let low = sequence << SLOT_BITS | u64::from(slot);
        Self(u128::from(bias(time)) << 64 | u128::from(low))
    }

    #[inline]
    pub fn time(self) -> SimTime {
        SimTime::from_micros((self.biased_time() ^ SIGN) as i64)
    }

    #[inline]
    pub fn biased_time(self) -> u64 {
        (self.0 >> 64) as u64
    }

    #[inline]
    pub fn slot(self) -> u32 {
        self.0 as u32 & (SLOTS_MAX as u32 - 1)
    }
}

const SIGN: u64 = 1 << 63;

/// Microseconds since [`SimTime::MIN`]: the sign bit flipped.
#[inline]
pub(super) fn bias(time: SimTime) -> u64 {
    time.as_micros() as u64 ^ SIGN
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
