//! A whole world in the middle of a run, saved and restored.
//!
//! The exogenous record is not saved with it: it is shared by all arms, large and
//! made again from its scenario and seed. A restored world goes on bit for bit as
//! the one that was saved would have.
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::exogenous::Exogenous;
use crate::world::World;

/// The version this code writes and reads.
const FORMAT_VERSION: u32 = 3;

/// A saved world; any serde format that keeps floats exactly will do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    format_version: u32,
    record: RecordId,
    world: World,
}

/// Tells one record from another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct RecordId {
    name: String,
    digest: u64,
}

/// Why a world cannot be restored.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Written by another version.
    #[error(
        "the snapshot has format version {found} (allowed: {FORMAT_VERSION})\n\nhint: run the world again from its seed"
    )]
    Version {
        /// Its version.
        found: u32,
    },
    /// The record is not the one that the world ran on.
    #[error(
        "the snapshot was taken on record `{taken_on}`, and `{given}` is another one\n\nhint: generate the record from the same scenario and seed"
    )]
    OtherRecord {
        /// Name of the record it was taken on.
        taken_on: String,
        /// Name of the record given.
        given: String,
    },
}

impl World {
    /// Saves the world as it stands.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            format_version: FORMAT_VERSION,
            record: RecordId::of(&self.record),
            world: self.clone(),
        }
    }
}

impl Snapshot {
    /// The world as it stood, on the record that it ran on.
    ///
    /// # Errors
    /// When the snapshot has another version or was taken on another record.
    pub fn restore(self, record: Arc<Exogenous>) -> Result<World, SnapshotError> {
        if self.format_version != FORMAT_VERSION {
            return Err(SnapshotError::Version {
                found: self.format_version,
            });
        }
        if self.record != RecordId::of(&record) {
            return Err(SnapshotError::OtherRecord {
                taken_on: self.record.name,
                given: record.name.clone(),
            });
        }
        let mut world = self.world;
        world.attach(record);
        Ok(world)
    }
}

impl RecordId {
    fn of(record: &Exogenous) -> Self {
        Self {
            name: record.name.clone(),
            digest: record.digest(),
        }
    }
}
