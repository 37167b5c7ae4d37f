//! The write-ahead log: what was acknowledged and is not in a partition yet.
//!
//! A log is a row of segments `wal/000001.log`, each begun with a header and filled with frames: length,
//! CRC-32 and payload. A frame names a series (once in each segment) or carries a batch in columns. The
//! end of the last segment may be torn by a kill; a frame that is whole and wrong is damage, and the
//! frames behind it are still read.
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::{Batch, Error, SeriesKey, disk};

/// Folder of the segments.
pub const FOLDER: &str = "wal";

const MAGIC: &[u8; 8] = b"PSTGWAL1";
const SERIES: u8 = 1;
const SAMPLES: u8 = 2;
const FRAME_HEADER: usize = 8;
const BUFFER_BYTES: usize = 1 << 20;

/// A segment that is being written.
pub struct Segment {
    path: PathBuf,
    writer: BufWriter<File>,
    named: Vec<bool>,
    frame: Vec<u8>,
    /// Whether a write failed: what follows half a frame could not be read again.
    is_broken: bool,
}

/// What a segment holds.
#[derive(Debug, Default)]
pub struct Replayed {
    /// The series of the segment, by the number its batches use.
    pub series: Vec<(u32, SeriesKey)>,
    /// Batches in the order they were appended.
    pub batches: Vec<Batch>,
    /// Frames that are whole and wrong: their samples are lost.
    pub damaged_frames: u64,
    /// Bytes up to the last whole frame.
    pub valid_bytes: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

/// Path of a segment below the store.
pub fn path(root: &Path, number: u64) -> PathBuf {
    root.join(FOLDER).join(format!("{number:06}.log"))
}

/// Numbers of the segments that exist, ascending.
pub fn numbers(root: &Path) -> Result<Vec<u64>, Error> {
    let folder = root.join(FOLDER);
    let entries = fs::read_dir(&folder).map_err(|cause| disk::failed(&folder, "read", cause))?;
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry
            .map_err(|cause| disk::failed(&folder, "read", cause))?
            .file_name();
        let stem = name.to_str().and_then(|name| name.strip_suffix(".log"));
        numbers.extend(stem.and_then(|stem| stem.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

impl Segment {
    /// Begins a segment; one of this number that a killed writer left is replaced.
    pub fn create(root: &Path, number: u64) -> Result<Self, Error> {
        let path = path(root, number);
        disk::write_whole(&path, MAGIC)?;
        let file = OpenOptions::new()
            .append(true)
            .open(&path)
            .map_err(|cause| disk::failed(&path, "write", cause))?;
        Ok(Self {
            path,
            writer: BufWriter::with_capacity(BUFFER_BYTES, file),
            named: Vec::new(),
            frame: Vec::new(),
            is_broken: false,
        })
    }

    /// Appends a batch, and the names of its series where the segment lacks them.
    pub fn append(&mut self, batch: &Batch, keys: &[SeriesKey]) -> Result<(), Error> {
        self.check()?;
        self.named.resize(keys.len(), false);
        for &series in &batch.series {
            if !self.named[series as usize] {
                self.named[series as usize] = true;
                self.name(series, &keys[series as usize])?;
            }
        }
        self.begin(SAMPLES);
        self.frame.extend((batch.len() as u32).to_le_bytes());
        self.frame
            .extend(batch.series.iter().flat_map(|series| series.to_le_bytes()));
        self.frame
            .extend(batch.times.iter().flat_map(|time| time.to_le_bytes()));
        self.frame
            .extend(batch.values.iter().flat_map(|value| value.to_le_bytes()));
        self.end()
    }

    /// Makes everything appended durable.
    pub fn sync(&mut self) -> Result<(), Error> {
        self.check()?;
        let outcome = self
            .writer
            .flush()
            .and_then(|()| self.writer.get_ref().sync_data());
        self.keep(outcome)
    }

    fn check(&self) -> Result<(), Error> {
        if self.is_broken {
            return Err(disk::damaged(
                &self.path,
                "a write to it failed before; open the store again to go on from what was synced",
            ));
        }
        Ok(())
    }

    fn keep(&mut self, outcome: std::io::Result<()>) -> Result<(), Error> {
        self.is_broken |= outcome.is_err();
        outcome.map_err(|cause| disk::failed(&self.path, "write", cause))
    }

    fn name(&mut self, number: u32, key: &SeriesKey) -> Result<(), Error> {
        self.begin(SERIES);
        self.frame.extend(number.to_le_bytes());
        self.frame.extend((key.metric.len() as u32).to_le_bytes());
        self.frame.extend(key.metric.as_bytes());
        self.frame.extend(key.service.as_bytes());
        self.end()
    }

    fn begin(&mut self, kind: u8) {
        self.frame.clear();
        self.frame.extend([0; FRAME_HEADER]);
        self.frame.push(kind);
    }

    fn end(&mut self) -> Result<(), Error> {
        let payload = &self.frame[FRAME_HEADER..];
        let (length, crc) = (payload.len() as u32, crc32fast::hash(payload));
        self.frame[..4].copy_from_slice(&length.to_le_bytes());
        self.frame[4..8].copy_from_slice(&crc.to_le_bytes());
        let outcome = self.writer.write_all(&self.frame);
        self.keep(outcome)
    }
}

/// Reads a segment as far as it can be read.
pub fn replay(path: &Path) -> Result<Replayed, Error> {
    let bytes = fs::read(path).map_err(|cause| disk::failed(path, "read", cause))?;
    let mut replayed = Replayed {
        bytes: bytes.len() as u64,
        ..Replayed::default()
    };
    let Some(mut rest) = bytes.strip_prefix(MAGIC) else {
        return Err(disk::damaged(path, "it does not begin as a log segment"));
    };
    let mut pending_damage = 0;
    while let Some((crc, payload, after)) = split_frame(rest) {
        let is_whole = crc32fast::hash(payload) == crc && replayed.take(payload).is_some();
        if is_whole {
            replayed.damaged_frames += pending_damage;
            pending_damage = 0;
            replayed.valid_bytes = (bytes.len() - after.len()) as u64;
        } else {
            // Damage counts once a whole frame follows: at the end it is what a kill tore.
            pending_damage += 1;
        }
        rest = after;
    }
    Ok(replayed)
}

fn split_frame(bytes: &[u8]) -> Option<(u32, &[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length) as usize;
    let (payload, after) = rest.split_at_checked(length)?;
    Some((u32::from_le_bytes(*crc), payload, after))
}

impl Replayed {
    fn take(&mut self, payload: &[u8]) -> Option<()> {
        let (&kind, rest) = payload.split_first()?;
        let (number, rest) = rest.split_first_chunk::<4>()?;
        let number = u32::from_le_bytes(*number);
        match kind {
            SERIES => {
                let (length, rest) = rest.split_first_chunk::<4>()?;
                let (metric, service) =
                    rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
                let text = |bytes| std::str::from_utf8(bytes).ok();
                let key = SeriesKey::new(text(metric)?, text(service)?).ok()?;
                self.series.push((number, key));
            }
            SAMPLES => self.batches.push(batch(number as usize, rest)?),
            _ => return None,
        }
        Some(())
    }
}

fn batch(rows: usize, bytes: &[u8]) -> Option<Batch> {
    let (series, rest) = bytes.split_at_checked(rows.checked_mul(4)?)?;
    let (times, values) = rest.split_at_checked(rows.checked_mul(8)?)?;
    if values.len() != times.len() {
        return None;
    }
    let words = |bytes: &[u8]| -> Vec<[u8; 8]> { bytes.as_chunks().0.to_vec() };
    Some(Batch {
        series: series
            .as_chunks()
            .0
            .iter()
            .map(|word| u32::from_le_bytes(*word))
            .collect(),
        times: words(times).into_iter().map(i64::from_le_bytes).collect(),
        values: words(values).into_iter().map(f64::from_le_bytes).collect(),
    })
}

#[cfg(test)]
mod tests {
    use prestage_telemetry::Timestamp;

    use super::*;
    use crate::SeriesRef;

    fn written(batches: usize) -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        disk::make_directory(&root.path().join(FOLDER)).unwrap();
        let keys = [
            SeriesKey::new("cpu", "wéb").unwrap(),
            SeriesKey::new("cpu", "").unwrap(),
        ];
        let mut segment = Segment::create(root.path(), 1).unwrap();
        for index in 0..batches {
            let mut batch = Batch::new();
            batch.push(SeriesRef(1), Timestamp(index as i64), 0.5);
            batch.push(SeriesRef(0), Timestamp(-1), f64::MAX);
            segment.append(&batch, &keys).unwrap();
        }
        segment.sync().unwrap();
        let file = path(root.path(), 1);
        (root, file)
    }

    #[test]
    fn what_was_synced_is_read_again() {
        let (root, file) = written(3);
        let replayed = replay(&file).unwrap();
        assert_eq!(replayed.series.len(), 2);
        assert_eq!(replayed.series[1].1.service, "wéb");
        let times: Vec<i64> = replayed
            .batches
            .iter()
            .map(|batch| batch.times[0])
            .collect();
        assert_eq!(times, [0, 1, 2]);
        assert_eq!(replayed.batches[2].values, [0.5, f64::MAX]);
        assert_eq!(
            (replayed.damaged_frames, replayed.valid_bytes),
            (0, replayed.bytes)
        );
        assert_eq!(numbers(root.path()).unwrap(), [1]);
    }

    #[test]
    fn a_torn_end_loses_only_what_was_torn() {
        let (_root, file) = written(3);
        let whole = fs::read(&file).unwrap();
        let frame = (whole.len() - replay_length(&whole, 2)) as u64;
        for cut in 1..frame as usize {
            fs::write(&file, &whole[..whole.len() - cut]).unwrap();
            let replayed = replay(&file).unwrap();
            assert_eq!(replayed.batches.len(), 2, "cut {cut}");
            assert_eq!(replayed.damaged_frames, 0);
        }
    }

    /// Length of the file up to the end of batch `count`.
    fn replay_length(whole: &[u8], count: usize) -> usize {
        let mut rest = &whole[MAGIC.len()..];
        let mut batches = 0;
        while batches < count {
            let (_, payload, after) = split_frame(rest).unwrap();
            batches += usize::from(payload[0] == SAMPLES);
            rest = after;
        }
        whole.len() - rest.len()
    }

    #[test]
    fn a_flipped_bit_is_damage_and_the_rest_is_read() {
        let (_root, file) = written(3);
        let mut bytes = fs::read(&file).unwrap();
        let place = replay_length(&bytes, 1) - 1;
        bytes[place] ^= 4;
        fs::write(&file, &bytes).unwrap();
        let replayed = replay(&file).unwrap();
        assert_eq!((replayed.batches.len(), replayed.damaged_frames), (2, 1));
        fs::write(&file, b"rubbish").unwrap();
        assert!(replay(&file).unwrap_err().is_environment());
    }
}
