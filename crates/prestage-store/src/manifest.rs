//! Which partitions a store consists of: one file, replaced whole, that makes a change of many
//! files take effect at once.
//!
//! What the manifest does not name does not exist: a partition that a killed writer left behind is
//! removed when the store is opened, and the log before `wal_floor` is not read.
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Error, SeriesKey, disk};

/// The file.
pub const FILE: &str = "manifest.json";

/// Version of the store's formats, and the only one that is read.
pub const FORMAT_VERSION: u32 = 1;

/// How fine the rows of a partition are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Tier {
    /// Samples as they came.
    #[serde(rename = "raw")]
    Raw,
    /// One row for each service and five minutes.
    #[serde(rename = "5m")]
    FiveMinutes,
    /// One row for each service and hour.
    #[serde(rename = "1h")]
    Hour,
}

/// A sealed partition file, or a part of one that awaits compaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartMeta {
    /// Path below the store, with `/`.
    pub file: String,
    /// How fine the rows are.
    pub tier: Tier,
    /// Days since 1970-01-01, UTC.
    pub day: i64,
    /// The metric.
    pub metric: String,
    /// Rows.
    pub rows: u64,
    /// Earliest time, epoch microseconds.
    pub first: i64,
    /// Latest time, epoch microseconds.
    pub last: i64,
    /// Length of the file, bytes.
    pub bytes: u64,
    /// CRC-32 of the whole file.
    pub crc: u32,
    /// CRC-32 of the Parquet footer with its length and magic.
    pub footer_crc: u32,
    /// CRC-32 of each column chunk, row group by row group.
    pub chunk_crcs: Vec<u32>,
}

/// A damaged partition that was moved out of the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quarantined {
    /// Its description while it was in use.
    pub part: PartMeta,
    /// What did not fit.
    pub problem: String,
}

/// `manifest.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT_VERSION`].
    pub format_version: u32,
    /// Number of the next partition file.
    pub next_file: u64,
    /// First segment of the log that is still needed.
    pub wal_floor: u64,
    /// Day before which raw samples are gone and not accepted, for each tier below which it holds.
    pub floors: Floors,
    /// Every series that has samples in a partition, sorted.
    pub series: Vec<SeriesKey>,
    /// Partitions, sorted by tier, metric, day and time.
    pub parts: Vec<PartMeta>,
    /// Damaged partitions.
    pub quarantined: Vec<Quarantined>,
}

/// First day that each tier may hold, as retention left it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Floors {
    /// Of raw samples.
    pub raw: i64,
    /// Of five-minute rows.
    pub five_minutes: i64,
    /// Of hourly rows.
    pub hour: i64,
}

impl Tier {
    /// Name in paths, options and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::FiveMinutes => "5m",
            Self::Hour => "1h",
        }
    }

    /// Microseconds a row stands for; 1 for samples.
    pub fn step_micros(self) -> i64 {
        match self {
            Self::Raw => 1,
            Self::FiveMinutes => 300_000_000,
            Self::Hour => 3_600_000_000,
        }
    }
}

impl Manifest {
    /// Of a store without samples.
    pub fn empty() -> Self {
        Self {
            format_version: FORMAT_VERSION,
            next_file: 1,
            wal_floor: 1,
            floors: Floors::default(),
            series: Vec::new(),
            parts: Vec::new(),
            quarantined: Vec::new(),
        }
    }

    /// Reads the manifest of the store in `root`.
    ///
    /// # Errors
    /// [`Error::Manifest`] when it is missing or not what was written; also when it is of another version.
    pub fn read(root: &Path) -> Result<Self, Error> {
        let path = root.join(FILE);
        let lost = |problem: String| Error::Manifest {
            path: path.display().to_string(),
            problem,
        };
        let bytes = fs::read(&path).map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound => lost("it is missing".to_owned()),
            _ => disk::failed(&path, "read", cause),
        })?;
        let text = String::from_utf8(bytes).map_err(|_| lost("it is not text".to_owned()))?;
        let (crc, body) = text
            .split_once('\n')
            .ok_or_else(|| lost("it has no checksum line".to_owned()))?;
        let found = format!("{:08x}", crc32fast::hash(body.as_bytes()));
        if crc != found {
            return Err(lost(format!(
                "checksum {found}, the first line says `{crc}`"
            )));
        }
        let manifest: Self =
            serde_json::from_str(body).map_err(|problem| lost(problem.to_string()))?;
        if manifest.format_version != FORMAT_VERSION {
            return Err(Error::Version {
                path: path.display().to_string(),
                found: manifest.format_version,
                known: FORMAT_VERSION,
            });
        }
        Ok(manifest)
    }

    /// Replaces the manifest of the store in `root`.
    pub fn write(&mut self, root: &Path) -> Result<(), Error> {
        self.parts.sort_by(|a, b| {
            (a.tier, &a.metric, a.day, a.first).cmp(&(b.tier, &b.metric, b.day, b.first))
        });
        let body =
            serde_json::to_string(self).expect("a manifest has text keys and finite numbers");
        let text = format!("{:08x}\n{body}", crc32fast::hash(body.as_bytes()));
        disk::write_whole(&root.join(FILE), text.as_bytes())
    }

    /// The parts of one partition, in time order.
    pub fn partition(&self, tier: Tier, metric: &str, day: i64) -> Vec<PartMeta> {
        let is_of =
            |part: &&PartMeta| part.tier == tier && part.day == day && part.metric == metric;
        self.parts.iter().filter(is_of).cloned().collect()
    }

    /// Takes the next file number for a part of a partition and gives its path below the store:
    /// `raw/day=2024-01-31/metric=NAME/000042.parquet`, which DuckDB and Polars read as columns.
    pub fn next_path(&mut self, tier: Tier, metric: &str, day: i64) -> String {
        let number = self.next_file;
        self.next_file += 1;
        let date = prestage_telemetry::Timestamp::from_seconds(day * 86_400).to_string();
        let date = &date[..10];
        // A colon is legal in a metric but neither in a Hive path nor on every file system.
        let metric = metric.replace(':', "%3A");
        format!(
            "{}/day={date}/metric={metric}/{number:06}.parquet",
            tier.name()
        )
    }

    /// Takes `old` out and puts `new` in.
    pub fn swap(&mut self, old: &[PartMeta], new: impl IntoIterator<Item = PartMeta>) {
        self.parts
            .retain(|part| !old.iter().any(|gone| gone.file == part.file));
        self.parts.extend(new);
    }
}

impl PartMeta {
    /// The file below `root`.
    pub fn path(&self, root: &Path) -> PathBuf {
        root.join(&self.file)
    }
}
