//! The default: what has not been seen before, in shape or in size.
//!
//! The larger of the scores of [`Discord`] and [`Record`]. Both are calibrated so that the
//! alarm level means the same, hence no weights. Discord averages over blocks and sees
//! shapes, levels, silence and noise; a record is a single sample and cannot wait for a block.
use serde::{Deserialize, Serialize};

use super::registry::Entry;
use super::{Detector, Discord, Record, Setting, encode};
use crate::Timestamp;

pub(super) const ENTRY: Entry = Entry {
    name: "ensemble",
    about: "the larger score of discord and record: shapes and sizes not seen before (the default)",
    build: |setting| Box::new(Ensemble::new(setting)),
    restore: |bytes| Ok(Box::new(postcard::from_bytes::<Ensemble>(bytes)?)),
};

/// See the [module](self).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ensemble {
    discord: Discord,
    record: Record,
}

impl Ensemble {
    /// Has seen nothing.
    pub fn new(setting: Setting) -> Self {
        Self {
            discord: Discord::new(setting),
            record: Record::new(setting),
        }
    }
}

impl Detector for Ensemble {
    fn score(&mut self, at: Timestamp, value: f64) -> f64 {
        let discord = self.discord.score(at, value);
        discord.max(self.record.score(at, value))
    }

    fn save(&self) -> Vec<u8> {
        encode(self)
    }
}
