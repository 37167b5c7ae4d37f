//! The writing side of a store: take samples, make them durable, seal them, tidy up.
//!
//! ```text
//! append --> log + tail --sync--> acknowledged --seal--> partition (raw) --retain--> 5m --> 1h
//! ```
//!
//! Outcomes, whatever the order samples come in: of two samples of one series and time the later
//! write wins, in queries and in the files; a sample older than its predecessors is sorted in; one of a
//! day that was downsampled already is refused; parts of one partition never overlap in time, so that
//! other programs can read all files as one table. A change of files takes effect with the
//! manifest: a kill at any moment leaves the old state or the new one, and what was synced is in either.
mod check;
mod options;
mod rebuild;
mod recover;
mod retain;
mod seal;

use std::fs::File;
use std::path::{Path, PathBuf};

pub use check::CheckReport;
pub use options::exists as store_exists;
pub use options::{Retention, StoreOptions};
pub use rebuild::Rebuilt;
pub use recover::{Recovered, replay_into};

use crate::manifest::Manifest;
use crate::series::SeriesTable;
use crate::tail::Tail;
use crate::wal::Segment;
use crate::{Batch, Error, Outcome, Reason, Rejection, SeriesKey, SeriesRef, Snapshot, disk, wal};

/// Folder of damaged partitions.
pub const QUARANTINE: &str = "quarantine";

const LOCK: &str = "lock";
const MICROS_PER_DAY: i64 = 86_400_000_000;
/// First microsecond of the year 10000.
const TIME_END: i64 = 253_402_300_800_000_000;

/// What an operation on sealed files did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows written.
    pub rows: u64,
    /// Samples that a later write of the same series and time replaced.
    pub duplicates: u64,
    /// Files written.
    pub written: u64,
    /// Files removed.
    pub removed: u64,
}

/// An open store; the only one that writes to its directory.
pub struct Store {
    root: PathBuf,
    options: StoreOptions,
    manifest: Manifest,
    series: SeriesTable,
    counters: Vec<bool>,
    tail: Tail,
    segment: Segment,
    segment_number: u64,
    recovered: Recovered,
    /// Held until the store is dropped, or the process dies.
    _lock: File,
}

impl Store {
    /// Opens the store in `root`, or makes one with `options` where nothing is.
    ///
    /// # Errors
    /// When the directory holds something else, another process writes to it, or the disk fails.
    pub fn open_or_create(root: &Path, options: &StoreOptions) -> Result<Self, Error> {
        if !options::exists(root) {
            options::create(root, options)?;
        }
        Self::open(root)
    }

    /// Opens the store in `root` and reads back what its log holds.
    ///
    /// # Errors
    /// As [`Store::open_or_create`]; also when there is none.
    pub fn open(root: &Path) -> Result<Self, Error> {
        let options = options::read(root)?;
        let lock = lock(root)?;
        let manifest = Manifest::read(root)?;
        recover::remove_strays(root, &manifest)?;
        let mut series = SeriesTable::default();
        for key in &manifest.series {
            series.number(key, usize::MAX)?;
        }
        let mut tail = Tail::default();
        let (segment_number, recovered) = recover::replay(root, &manifest, &mut series, &mut tail)?;
        Ok(Self {
            root: root.to_owned(),
            counters: series.keys().iter().map(SeriesKey::is_counter).collect(),
            segment: Segment::create(root, segment_number)?,
            segment_number,
            options,
            manifest,
            series,
            tail,
            recovered,
            _lock: lock,
        })
    }

    /// What opening the store found in its log.
    pub fn recovered(&self) -> &Recovered {
        &self.recovered
    }

    /// The store's settings.
    pub fn options(&self) -> &StoreOptions {
        &self.options
    }

    /// Files of the store, as the manifest has them.
    pub fn parts(&self) -> &[crate::PartMeta] {
        &self.manifest.parts
    }

    /// Samples that are logged and not sealed.
    pub fn tail_rows(&self) -> usize {
        self.tail.rows()
    }

    /// The handle of a series, which may be new.
    ///
    /// # Errors
    /// When a name cannot be stored, or the store has as many series as it may.
    pub fn series(&mut self, metric: &str, service: &str) -> Result<SeriesRef, Error> {
        let key = SeriesKey::new(metric, service)?;
        let number = self.series.number(&key, self.options.max_series)?;
        if number as usize == self.counters.len() {
            self.counters.push(key.is_counter());
        }
        Ok(SeriesRef(number))
    }

    /// Takes samples: they are in queries of this process now, and durable after [`Store::sync`].
    ///
    /// Samples that cannot be stored are left out and counted with their reason. Seals by itself
    /// when the tail is full.
    ///
    /// # Errors
    /// When the disk fails.
    ///
    /// # Panics
    /// When the batch has series of another store.
    pub fn append(&mut self, batch: &Batch) -> Result<Outcome, Error> {
        if batch.is_empty() {
            return Ok(Outcome::default());
        }
        let mut outcome = Outcome::default();
        let floor = self.manifest.floors.raw * MICROS_PER_DAY;
        let is_clean = (0..batch.len()).all(|row| self.refusal(batch, row, floor).is_none());
        if is_clean {
            self.take(batch, &mut outcome)?;
        } else {
            let clean = self.clean(batch, floor, &mut outcome);
            if !clean.is_empty() {
                self.take(&clean, &mut outcome)?;
            }
        }
        if self.tail.rows() >= self.options.tail_rows_max {
            self.seal()?;
        }
        Ok(outcome)
    }

    /// Makes everything appended durable: from here on no kill loses it.
    ///
    /// # Errors
    /// When the disk fails; nothing is known then of what was appended since the last sync.
    pub fn sync(&mut self) -> Result<(), Error> {
        self.segment.sync()
    }

    /// The store as it is now, with what is not sealed.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::of(
            &self.root,
            self.manifest.clone(),
            self.series.keys(),
            self.tail.clone(),
        )
    }

    fn take(&mut self, batch: &Batch, outcome: &mut Outcome) -> Result<(), Error> {
        self.segment.append(batch, self.series.keys())?;
        outcome.out_of_order += self.tail.append(&batch.series, &batch.times, &batch.values);
        outcome.accepted += batch.len() as u64;
        Ok(())
    }

    #[inline]
    fn refusal(&self, batch: &Batch, row: usize, floor: i64) -> Option<Reason> {
        let (time, value) = (batch.times[row], batch.values[row]);
        if !value.is_finite() {
            Some(Reason::NotFinite)
        } else if value < 0.0 && self.counters[batch.series[row] as usize] {
            Some(Reason::NegativeCounter)
        } else if !(0..TIME_END).contains(&time) {
            Some(Reason::TimeOutOfRange)
        } else if time < floor {
            Some(Reason::TooLate)
        } else {
            None
        }
    }

    /// The samples that can be stored; the others go into the outcome.
    fn clean(&self, batch: &Batch, floor: i64, outcome: &mut Outcome) -> Batch {
        let mut clean = Batch::new();
        for row in 0..batch.len() {
            let (series, time, value) = (batch.series[row], batch.times[row], batch.values[row]);
            match self.refusal(batch, row, floor) {
                None => clean.push(
                    SeriesRef(series),
                    prestage_telemetry::Timestamp(time),
                    value,
                ),
                Some(reason) => {
                    let first = || Rejection {
                        count: 0,
                        first: format!(
                            "{} = {value} at {}",
                            self.series.keys()[series as usize].shown(),
                            prestage_telemetry::Timestamp(time)
                        ),
                    };
                    outcome.rejected.entry(reason).or_insert_with(first).count += 1;
                }
            }
        }
        clean
    }
}

/// Takes the lock of the only writer; the system gives it back when the process dies.
fn lock(root: &Path) -> Result<File, Error> {
    let path = root.join(LOCK);
    let file = File::create(&path).map_err(|cause| disk::failed(&path, "write", cause))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(Error::Locked {
            path: root.display().to_string(),
        }),
        Err(std::fs::TryLockError::Error(cause)) => Err(disk::failed(&path, "lock", cause)),
    }
}

/// Removes the segments of the log that no manifest needs any more.
fn remove_segments_before(root: &Path, floor: u64) -> Result<(), Error> {
    for number in wal::numbers(root)? {
        if number < floor {
            disk::remove(&wal::path(root, number))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
