//! Reading an artifact: everything is refused that is not what was written.
//!
//! Order matters: sizes before bytes are read, the format version before the
//! keys, hashes before content is parsed, shapes before memory is taken. No byte
//! sequence makes it panic. Must never know: how an artifact is written.
mod compatible;
mod golden;
mod manifest;
#[cfg(test)]
mod tests;
mod weights;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::de::DeserializeOwned;

pub(crate) use self::compatible::{check_action, check_layout};
pub(crate) use self::golden::check_golden;
pub(crate) use self::manifest::check_manifest;
use self::weights::parse_layers;

use crate::artifact::{
    Artifact, FORMAT, FORMAT_VERSION, FileEntry, GOLDEN_FILE, Golden, HASH_PLACEHOLDER,
    MANIFEST_FILE, Manifest, WEIGHTS_FILE, expected_files,
};
use crate::error::Error;
use crate::mlp::Mlp;
use crate::mlp_policy::MlpPolicy;
use crate::publish::io;

const MIB: u64 = 1 << 20;

/// Caps on what is read into memory; a 64x64 policy needs 50 KiB.
fn limit_bytes(name: &str) -> u64 {
    match name {
        WEIGHTS_FILE => 64 * MIB,
        GOLDEN_FILE => 16 * MIB,
        _ => MIB,
    }
}

pub(crate) fn load(directory: &Path) -> Result<Artifact, Error> {
    let origin = directory.join(MANIFEST_FILE);
    let manifest = load_manifest(&origin)?;
    let mut contents = Vec::new();
    for name in expected_files() {
        let path = directory.join(name);
        let entry = manifest
            .files
            .get(name)
            .ok_or_else(|| file_list(&origin, &manifest))?;
        contents.push(read_verified(&path, name, entry)?);
    }
    let [_, golden_bytes, weights] = contents.as_slice() else {
        return Err(file_list(&origin, &manifest));
    };
    let layers = parse_layers(&directory.join(WEIGHTS_FILE), weights, &manifest)?;
    let mut policy = MlpPolicy::new(
        manifest.layout.clone(),
        manifest.action.clone(),
        manifest.normalizer.clone(),
        Mlp::new(layers.clone())?,
    )?;
    let golden_path = directory.join(GOLDEN_FILE);
    let golden: Golden = parse_json(&golden_path, golden_bytes)?;
    check_golden(&golden_path, &golden, &manifest, &mut policy)?;
    Ok(Artifact {
        manifest,
        golden,
        policy,
        layers,
        origin,
    })
}

fn load_manifest(path: &Path) -> Result<Manifest, Error> {
    let bytes = read_capped(path, MANIFEST_FILE)?;
    check_format(path, &bytes)?;
    let manifest: Manifest = parse_json(path, &bytes)?;
    check_manifest_hash(path, &bytes, &manifest)?;
    check_manifest(path, &manifest)?;
    let listed: Vec<&str> = manifest.files.keys().map(String::as_str).collect();
    if listed != expected_files() {
        return Err(file_list(path, &manifest));
    }
    Ok(manifest)
}

/// Whether a file is the manifest of an artifact of any version.
pub(crate) fn manifest_format(path: &Path) -> Result<(), Error> {
    let bytes = read_capped(path, MANIFEST_FILE)?;
    match check_format(path, &bytes) {
        Err(Error::FormatVersion { .. }) => Ok(()),
        other => other,
    }
}

/// Looks at `format` and `format_version` only: a later version may have other keys.
fn check_format(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let value: serde_json::Value = parse_json(path, bytes)?;
    let format = value.get("format").unwrap_or(&serde_json::Value::Null);
    if format.as_str() != Some(FORMAT) {
        return Err(Error::Format {
            path: path.to_path_buf(),
            found: format.to_string(),
            allowed: FORMAT,
        });
    }
    let version = value
        .get("format_version")
        .unwrap_or(&serde_json::Value::Null);
    if version.as_u64() != Some(u64::from(FORMAT_VERSION)) {
        return Err(Error::FormatVersion {
            path: path.to_path_buf(),
            found: version.to_string(),
            allowed: FORMAT_VERSION,
        });
    }
    Ok(())
}

fn file_list(path: &Path, manifest: &Manifest) -> Error {
    Error::FileList {
        path: path.to_path_buf(),
        found: quoted(manifest.files.keys()),
        allowed: quoted(expected_files()),
    }
}

fn quoted<S: std::fmt::Display>(names: impl IntoIterator<Item = S>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

fn read_capped(path: &Path, name: &str) -> Result<Vec<u8>, Error> {
    let metadata = std::fs::metadata(path).map_err(|source| unreadable(path, source))?;
    if !metadata.is_file() {
        return Err(Error::NotAFile {
            path: path.to_path_buf(),
        });
    }
    let limit_bytes = limit_bytes(name);
    let file = File::open(path).map_err(|source| unreadable(path, source))?;
    let mut bytes = Vec::new();
    // One byte more than allowed, because the file may grow while it is read.
    let read = file.take(limit_bytes + 1).read_to_end(&mut bytes);
    read.map_err(|source| unreadable(path, source))?;
    if bytes.len() as u64 > limit_bytes {
        return Err(Error::TooLarge {
            path: path.to_path_buf(),
            size_bytes: metadata.len().max(bytes.len() as u64),
            limit_bytes,
        });
    }
    Ok(bytes)
}

fn unreadable(path: &Path, source: std::io::Error) -> Error {
    if source.kind() == std::io::ErrorKind::NotFound {
        let manifest = std::iter::once(MANIFEST_FILE);
        return Error::Missing {
            path: path.to_path_buf(),
            allowed: quoted(manifest.chain(expected_files())),
        };
    }
    io(path, "read", source)
}

fn read_verified(path: &Path, name: &str, entry: &FileEntry) -> Result<Vec<u8>, Error> {
    let bytes = read_capped(path, name)?;
    if bytes.len() as u64 != entry.size_bytes {
        return Err(Error::WrongSize {
            path: path.to_path_buf(),
            found: bytes.len() as u64,
            expected: entry.size_bytes,
        });
    }
    check_hash(path, &bytes, &entry.blake3)?;
    Ok(bytes)
}

fn check_hash(path: &Path, bytes: &[u8], expected: &str) -> Result<(), Error> {
    let found = blake3::hash(bytes).to_hex().to_string();
    if found != expected {
        return Err(Error::WrongHash {
            path: path.to_path_buf(),
            found,
            expected: expected.to_string(),
        });
    }
    Ok(())
}

/// The manifest's hash covers its raw bytes, so that no edit, not even of white
/// space, goes unseen.
fn check_manifest_hash(path: &Path, bytes: &[u8], manifest: &Manifest) -> Result<(), Error> {
    let hash = manifest.manifest_blake3.as_str();
    let text = String::from_utf8_lossy(bytes);
    let unsealed = match text.rfind(hash) {
        Some(start) if hash.len() == HASH_PLACEHOLDER.len() => {
            let end = start + hash.len();
            [&text[..start], HASH_PLACEHOLDER, &text[end..]].concat()
        }
        _ => text.into_owned(),
    };
    check_hash(path, unsealed.as_bytes(), hash)
}

fn parse_json<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|source| {
        let path = path.to_path_buf();
        if source.is_data() {
            Error::Content { path, source }
        } else {
            Error::NotJson { path, source }
        }
    })
}
