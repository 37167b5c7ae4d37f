//! One file per checkpoint, written crash-safe, read with suspicion.
//!
//! ```text
//! "prestage-rl-ckpt"   16 bytes
//! header length        u64, little endian
//! header               JSON: version, identity of the run, names and sizes of the parts
//! parts                one after the other
//! BLAKE3               32 bytes, of everything before
//! ```
//!
//! Floating-point state is stored as bits, never as decimal text: resuming must be
//! bit-identical. Must never know: what is in a part.
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use prestage_policy::replace_file;
use serde::{Deserialize, Serialize};

use crate::error::Error;

const MAGIC: &[u8; 16] = b"prestage-rl-ckpt";
const FORMAT_VERSION: u32 = 1;
const HASH_BYTES: usize = 32;
const PREFIX: &str = "update-";
const SUFFIX: &str = ".ckpt";

/// Older ones are deleted after a newer one is safely written. Three, so that the
/// newest may be damaged and the run still loses little.
const KEPT: usize = 3;

/// A checkpoint in memory.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Checkpoint {
    /// What must be the same now and then: algorithm, settings, environment.
    pub(crate) identity: serde_json::Value,
    pub(crate) parts: BTreeMap<String, Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format_version: u32,
    identity: serde_json::Value,
    parts: Vec<Part>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    name: String,
    size_bytes: u64,
}

impl Checkpoint {
    /// Writes `directory/update-NNNNNNNN.ckpt` and deletes all but the newest three.
    pub(crate) fn save(&self, directory: &Path, update: u64) -> Result<PathBuf, Error> {
        let path = directory.join(format!("{PREFIX}{update:08}{SUFFIX}"));
        replace_file(&path, &self.to_bytes())?;
        let found = list(directory)?;
        for old in found.iter().rev().skip(KEPT) {
            fs::remove_file(old).map_err(|source| io(old, "delete", source))?;
        }
        Ok(path)
    }

    pub(crate) fn load(path: &Path) -> Result<Self, Error> {
        let bytes = fs::read(path).map_err(|source| io(path, "read", source))?;
        Self::parse(&bytes).map_err(|reason| Error::CheckpointDamaged {
            path: path.to_path_buf(),
            reason,
        })
    }

    fn to_bytes(&self) -> Vec<u8> {
        let part = |(name, bytes): (&String, &Vec<u8>)| Part {
            name: name.clone(),
            size_bytes: bytes.len() as u64,
        };
        let header = Header {
            format_version: FORMAT_VERSION,
            identity: self.identity.clone(),
            parts: self.parts.iter().map(part).collect(),
        };
        let header = serde_json::to_vec(&header).expect("a header is plain JSON");
        let mut bytes = MAGIC.to_vec();
        bytes.extend((header.len() as u64).to_le_bytes());
        bytes.extend(header);
        for part in self.parts.values() {
            bytes.extend(part);
        }
        let hash = blake3::hash(&bytes);
        bytes.extend(hash.as_bytes());
        bytes
    }

    /// The hash comes first: behind it, only a bug can make the rest unreadable.
    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let body_len = bytes.len().checked_sub(HASH_BYTES);
        let (body, hash) = bytes.split_at(body_len.ok_or("it is truncated")?);
        let body = body
            .strip_prefix(MAGIC)
            .ok_or("it is no prestage checkpoint")?;
        if blake3::hash(&bytes[..bytes.len() - HASH_BYTES]).as_bytes() != hash {
            return Err("its BLAKE3 does not match; it is truncated or altered".to_string());
        }
        let (length, rest) = body.split_first_chunk::<8>().ok_or("it is truncated")?;
        let (header, mut rest) = take(rest, u64::from_le_bytes(*length))?;
        let header: Header = serde_json::from_slice(header).map_err(|error| error.to_string())?;
        if header.format_version != FORMAT_VERSION {
            let found = header.format_version;
            return Err(format!(
                "`format_version` is {found} (allowed: {FORMAT_VERSION})"
            ));
        }
        let mut parts = BTreeMap::new();
        for part in header.parts {
            let (content, after) = take(rest, part.size_bytes)?;
            parts.insert(part.name, content.to_vec());
            rest = after;
        }
        Ok(Self {
            identity: header.identity,
            parts,
        })
    }

    /// Refuses a checkpoint of another run, naming the first difference.
    pub(crate) fn expect_identity(
        &self,
        path: &Path,
        expected: &serde_json::Value,
    ) -> Result<(), Error> {
        match first_difference("", &self.identity, expected) {
            None => Ok(()),
            Some((key, found, expected)) => Err(Error::CheckpointOther {
                path: path.to_path_buf(),
                key,
                found,
                expected,
            }),
        }
    }
}

fn take(bytes: &[u8], length: u64) -> Result<(&[u8], &[u8]), String> {
    let length = usize::try_from(length).map_err(|error| error.to_string())?;
    bytes
        .split_at_checked(length)
        .ok_or_else(|| "it is truncated".to_string())
}

/// Key, what is found, what is expected.
type Difference = (String, String, String);

fn first_difference(
    key: &str,
    found: &serde_json::Value,
    expected: &serde_json::Value,
) -> Option<Difference> {
    if found == expected {
        return None;
    }
    let (Some(left), Some(right)) = (found.as_object(), expected.as_object()) else {
        return Some((key.to_string(), found.to_string(), expected.to_string()));
    };
    let null = serde_json::Value::Null;
    for name in left.keys().chain(right.keys()) {
        let path = if key.is_empty() {
            name.clone()
        } else {
            format!("{key}.{name}")
        };
        let (left, right) = (
            left.get(name).unwrap_or(&null),
            right.get(name).unwrap_or(&null),
        );
        if let Some(difference) = first_difference(&path, left, right) {
            return Some(difference);
        }
    }
    None
}

/// Checkpoints in a directory, oldest first; a missing directory holds none.
pub(crate) fn list(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(io(directory, "list", source)),
    };
    let mut found: Vec<(u64, PathBuf)> = Vec::new();
    for entry in entries {
        let path = entry
            .map_err(|source| io(directory, "list", source))?
            .path();
        if let Some(update) = update_of(&path) {
            found.push((update, path));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

fn update_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    name.strip_prefix(PREFIX)?
        .strip_suffix(SUFFIX)?
        .parse()
        .ok()
}

fn io(path: &Path, attempt: &'static str, source: std::io::Error) -> Error {
    Error::Io {
        path: path.to_path_buf(),
        attempt,
        source,
    }
}

/// Bits of `values`, little endian.
pub(crate) fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// The inverse of [`f32_bytes`]; `None` when the length is not `len` values.
pub(crate) fn f32_values(bytes: &[u8], len: usize) -> Option<Vec<f32>> {
    let (chunks, rest) = bytes.as_chunks::<4>();
    let fits = rest.is_empty() && chunks.len() == len;
    fits.then(|| {
        chunks
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect()
    })
}

/// Bits of `values`, little endian.
pub(crate) fn f64_bytes(values: &[f64]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// The inverse of [`f64_bytes`]; `None` when the length is not `len` values.
pub(crate) fn f64_values(bytes: &[u8], len: usize) -> Option<Vec<f64>> {
    let (chunks, rest) = bytes.as_chunks::<8>();
    let fits = rest.is_empty() && chunks.len() == len;
    fits.then(|| {
        chunks
            .iter()
            .map(|bytes| f64::from_le_bytes(*bytes))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            identity: serde_json::json!({"algorithm": "ppo", "settings": {"gamma": 0.9, "seed": 1}}),
            parts: BTreeMap::from([
                ("model".to_string(), vec![1, 2, 3]),
                ("nothing".to_string(), vec![]),
                ("optimizer".to_string(), vec![4; 100]),
            ]),
        }
    }

    #[test]
    fn bytes_read_back() {
        let bytes = checkpoint().to_bytes();
        assert_eq!(Checkpoint::parse(&bytes).unwrap(), checkpoint());
    }

    #[test]
    fn every_cut_and_every_flipped_byte_is_refused() {
        let bytes = checkpoint().to_bytes();
        for end in 0..bytes.len() {
            assert!(Checkpoint::parse(&bytes[..end]).is_err(), "cut at {end}");
        }
        for index in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[index] ^= 0x10;
            assert!(Checkpoint::parse(&damaged).is_err(), "flipped at {index}");
        }
    }

    #[test]
    fn the_newest_three_are_kept_and_listed_in_order() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("checkpoints");
        assert_eq!(list(&directory).unwrap(), Vec::<PathBuf>::new());
        for update in [2, 10, 9, 100_000_000] {
            checkpoint().save(&directory, update).unwrap();
        }
        fs::write(directory.join("update-x.ckpt"), "not ours").unwrap();
        let names: Vec<String> = list(&directory)
            .unwrap()
            .iter()
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_string())
            .collect();
        let expected = [
            "update-00000009.ckpt",
            "update-00000010.ckpt",
            "update-100000000.ckpt",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn another_run_is_refused_by_its_first_different_setting() {
        let mut expected = checkpoint().identity;
        expected["settings"]["gamma"] = serde_json::json!(0.99);
        let error = checkpoint()
            .expect_identity(Path::new("x.ckpt"), &expected)
            .unwrap_err();
        let message = error.to_string();
        let wanted = "`x.ckpt`: `settings.gamma` is `0.9` (allowed: `0.99`";
        assert!(message.starts_with(wanted), "{message}");
    }
}
