//! Reading an artifact: everything is refused that is not what was written.
//!
//! Order matters: sizes before bytes are read, the format version before the
//! keys, hashes before content is parsed, shapes before memory is taken. No byte
//! sequence makes it panic. Must never know: how an artifact is written.
use std::fs::File;
use std::io::Read;
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::de::DeserializeOwned;

use crate::artifact::{
    Artifact, FORMAT, FORMAT_VERSION, FileEntry, GOLDEN_FILE, Golden, HASH_PLACEHOLDER,
    MANIFEST_FILE, Manifest, WEIGHTS_FILE, expected_files, tensor_name,
};
use crate::error::Error;
use crate::mlp::{Dense, Mlp};
use crate::mlp_policy::MlpPolicy;
use crate::normalizer::Normalizer;
use crate::publish::io;
use crate::space::{Layout, MultiDiscrete};

/// Fewer golden cases prove too little.
pub(crate) const GOLDEN_CASES_MIN: usize = 16;
const GOLDEN_TOLERANCE: f32 = 1e-5;

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

/// Everything in a manifest that can be judged without the other files.
pub(crate) fn check_manifest(path: &Path, manifest: &Manifest) -> Result<(), Error> {
    check_layout_is_usable(path, &manifest.layout)?;
    check_action_is_usable(path, &manifest.action)?;
    check_normalizer(path, &manifest.normalizer, &manifest.layout)?;
    if manifest.network.hidden.contains(&0) {
        return Err(Error::NetworkShape {
            path: path.to_path_buf(),
            found: manifest.network.hidden.clone(),
        });
    }
    Ok(())
}

fn check_layout_is_usable(path: &Path, layout: &Layout) -> Result<(), Error> {
    let mut names: Vec<&str> = layout
        .fields
        .iter()
        .map(|field| field.name.as_str())
        .collect();
    names.sort_unstable();
    let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
    let found = if layout.is_empty() {
        "no field".to_string()
    } else if let Some(pair) = twice {
        format!("field `{}` twice", pair[0])
    } else if !layout.clip.is_finite() || layout.clip <= 0.0 {
        format!("clip `{}`", layout.clip)
    } else {
        return Ok(());
    };
    Err(Error::LayoutInvalid {
        path: path.to_path_buf(),
        found,
    })
}

fn check_action_is_usable(path: &Path, action: &MultiDiscrete) -> Result<(), Error> {
    let outside = action
        .nvec
        .iter()
        .zip(&action.neutral)
        .position(|(n, l)| l >= n);
    let found = if action.is_empty() {
        "no knob".to_string()
    } else if action.nvec.len() != action.neutral.len() {
        format!(
            "{} knobs and {} neutral levels",
            action.nvec.len(),
            action.neutral.len()
        )
    } else if let Some(knob) = action.nvec.iter().position(|&levels| levels < 2) {
        format!("{} levels for knob {knob}", action.nvec[knob])
    } else if let Some(knob) = outside {
        format!("neutral level {} for knob {knob}", action.neutral[knob])
    } else {
        return Ok(());
    };
    Err(Error::ActionInvalid {
        path: path.to_path_buf(),
        found,
    })
}

fn check_normalizer(path: &Path, normalizer: &Normalizer, layout: &Layout) -> Result<(), Error> {
    if [normalizer.mean.len(), normalizer.std.len()] != [layout.len(); 2] {
        return Err(Error::NormalizerLength {
            path: path.to_path_buf(),
            n_mean: normalizer.mean.len(),
            n_std: normalizer.std.len(),
            expected: layout.len(),
        });
    }
    let refused = |key, field: &str, value, allowed| {
        Err(Error::NormalizerValue {
            path: path.to_path_buf(),
            key,
            field: field.to_string(),
            value,
            allowed,
        })
    };
    let positive = |value: f32| value.is_finite() && value > 0.0;
    if !positive(normalizer.clip) {
        return refused("clip", "(all)", normalizer.clip, "finite, above 0");
    }
    let scales = normalizer.mean.iter().zip(&normalizer.std);
    for (field, (&mean, &std)) in layout.fields.iter().zip(scales) {
        if !mean.is_finite() {
            return refused("mean", &field.name, mean, "finite");
        }
        if !positive(std) {
            return refused("std", &field.name, std, "finite, above 0");
        }
    }
    Ok(())
}

/// Shapes come from the manifest, bytes from the file, and both must agree, so
/// that memory is bounded by the size of the file.
fn parse_layers(path: &Path, bytes: &[u8], manifest: &Manifest) -> Result<Vec<Dense>, Error> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| Error::NotSafetensors {
        path: path.to_path_buf(),
        reason: error.to_string(),
    })?;
    let widths = layer_widths(manifest);
    check_tensor_names(path, &tensors, widths.len() - 1)?;
    let mut layers = Vec::new();
    for (index, pair) in widths.windows(2).enumerate() {
        let (n_in, n_out) = (pair[0], pair[1]);
        let weight = parse_tensor(path, &tensors, tensor_name(index, "weight"), &[n_in, n_out])?;
        let bias = parse_tensor(path, &tensors, tensor_name(index, "bias"), &[n_out])?;
        layers.push(Dense::new(n_in, bias, weight)?);
    }
    Ok(layers)
}

fn layer_widths(manifest: &Manifest) -> Vec<usize> {
    let mut widths = vec![manifest.layout.len()];
    widths.extend(&manifest.network.hidden);
    widths.push(manifest.action.n_logits());
    widths
}

fn check_tensor_names(path: &Path, tensors: &SafeTensors, n_layers: usize) -> Result<(), Error> {
    let mut allowed = Vec::new();
    // A manifest may name more layers than memory has room for names.
    for layer in 0..n_layers.min(tensors.len() + 1) {
        allowed.push(tensor_name(layer, "weight"));
        allowed.push(tensor_name(layer, "bias"));
    }
    let mut found = tensors.names();
    found.sort_unstable();
    let mut sorted: Vec<&str> = allowed.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    if found != sorted {
        return Err(Error::TensorNames {
            path: path.to_path_buf(),
            found: quoted(found),
            allowed: quoted(allowed),
        });
    }
    Ok(())
}

fn parse_tensor(
    path: &Path,
    tensors: &SafeTensors,
    tensor: String,
    expected: &[usize],
) -> Result<Vec<f32>, Error> {
    let view = tensors
        .tensor(&tensor)
        .map_err(|error| Error::NotSafetensors {
            path: path.to_path_buf(),
            reason: error.to_string(),
        })?;
    check_tensor_kind(path, &tensor, &view, expected)?;
    let (chunks, _) = view.data().as_chunks::<4>();
    let values: Vec<f32> = chunks
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect();
    if let Some(index) = values.iter().position(|value| !value.is_finite()) {
        return Err(Error::WeightNotFinite {
            path: path.to_path_buf(),
            tensor,
            index,
            value: values[index],
        });
    }
    Ok(values)
}

fn check_tensor_kind(
    path: &Path,
    tensor: &str,
    view: &TensorView,
    expected: &[usize],
) -> Result<(), Error> {
    if view.dtype() != Dtype::F32 {
        return Err(Error::TensorDtype {
            path: path.to_path_buf(),
            tensor: tensor.to_string(),
            found: format!("{:?}", view.dtype()),
        });
    }
    if view.shape() != expected {
        return Err(Error::TensorShape {
            path: path.to_path_buf(),
            tensor: tensor.to_string(),
            found: view.shape().to_vec(),
            expected: expected.to_vec(),
        });
    }
    Ok(())
}

/// Computes every golden case anew and compares.
pub(crate) fn check_golden(
    path: &Path,
    golden: &Golden,
    manifest: &Manifest,
    policy: &mut MlpPolicy,
) -> Result<(), Error> {
    check_golden_shape(path, golden, manifest)?;
    let mut logits = vec![0.0; manifest.action.n_logits()];
    let mut action = vec![0; manifest.action.len()];
    for (case, recorded) in golden.cases.iter().enumerate() {
        policy.logits(&recorded.observation, &mut logits);
        for (index, (&found, &expected)) in logits.iter().zip(&recorded.logits).enumerate() {
            let tolerance = GOLDEN_TOLERANCE * expected.abs().max(1.0);
            // Written so that NaN on either side is refused.
            let agrees = (found - expected).abs() <= tolerance;
            if !agrees {
                return Err(Error::GoldenLogit {
                    path: path.to_path_buf(),
                    case,
                    index,
                    found,
                    expected,
                    tolerance,
                });
            }
        }
        manifest.action.greedy(&logits, &mut action);
        if action != recorded.action {
            return Err(Error::GoldenAction {
                path: path.to_path_buf(),
                case,
                found: action,
                expected: recorded.action.clone(),
            });
        }
    }
    Ok(())
}

fn check_golden_shape(path: &Path, golden: &Golden, manifest: &Manifest) -> Result<(), Error> {
    let refused = |what: String, found, allowed: String| {
        Err(Error::GoldenShape {
            path: path.to_path_buf(),
            what,
            found,
            allowed,
        })
    };
    if golden.cases.len() < GOLDEN_CASES_MIN {
        let allowed = format!("at least {GOLDEN_CASES_MIN}");
        return refused("number of cases".to_string(), golden.cases.len(), allowed);
    }
    for (case, recorded) in golden.cases.iter().enumerate() {
        let lengths = [
            (
                "observation",
                recorded.observation.len(),
                manifest.layout.len(),
            ),
            ("logits", recorded.logits.len(), manifest.action.n_logits()),
            ("action", recorded.action.len(), manifest.action.len()),
        ];
        for (part, found, allowed) in lengths {
            if found != allowed {
                return refused(
                    format!("{part} length of case {case}"),
                    found,
                    allowed.to_string(),
                );
            }
        }
    }
    Ok(())
}

pub(crate) fn check_layout(path: &Path, found: &Layout, expected: &Layout) -> Result<(), Error> {
    let mut facts = vec![
        (
            "name".to_string(),
            found.name.clone(),
            expected.name.clone(),
        ),
        (
            "version".to_string(),
            found.version.to_string(),
            expected.version.to_string(),
        ),
        (
            "clip".to_string(),
            found.clip.to_string(),
            expected.clip.to_string(),
        ),
    ];
    for (index, (left, right)) in found.fields.iter().zip(&expected.fields).enumerate() {
        facts.push((
            format!("field {index}"),
            left.name.clone(),
            right.name.clone(),
        ));
        let about = format!("meaning of field {index} (`{}`)", right.name);
        facts.push((about, left.about.clone(), right.about.clone()));
    }
    let counts = [found.len().to_string(), expected.len().to_string()];
    facts.push((
        "number of fields".to_string(),
        counts[0].clone(),
        counts[1].clone(),
    ));
    match first_difference(facts) {
        None => Ok(()),
        Some((what, found, expected)) => Err(Error::LayoutMismatch {
            path: path.to_path_buf(),
            what,
            found,
            expected,
        }),
    }
}

pub(crate) fn check_action(
    path: &Path,
    found: &MultiDiscrete,
    expected: &MultiDiscrete,
) -> Result<(), Error> {
    let counts = [found.len().to_string(), expected.len().to_string()];
    let mut facts = vec![(
        "number of knobs".to_string(),
        counts[0].clone(),
        counts[1].clone(),
    )];
    for (knob, (left, right)) in found.nvec.iter().zip(&expected.nvec).enumerate() {
        facts.push((
            format!("levels of knob {knob}"),
            left.to_string(),
            right.to_string(),
        ));
    }
    for (knob, (left, right)) in found.neutral.iter().zip(&expected.neutral).enumerate() {
        facts.push((
            format!("neutral level of knob {knob}"),
            left.to_string(),
            right.to_string(),
        ));
    }
    match first_difference(facts) {
        None => Ok(()),
        Some((what, found, expected)) => Err(Error::ActionMismatch {
            path: path.to_path_buf(),
            what,
            found,
            expected,
        }),
    }
}

/// (what, found, expected)
type Fact = (String, String, String);

fn first_difference(facts: Vec<Fact>) -> Option<Fact> {
    facts
        .into_iter()
        .find(|(_, found, expected)| found != expected)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use safetensors::tensor::serialize;

    use super::*;
    use crate::artifact::tests::{actor, notes};
    use crate::artifact::{README_FILE, seal};

    const FILES: [&str; 4] = [MANIFEST_FILE, README_FILE, GOLDEN_FILE, WEIGHTS_FILE];

    /// What is changed, and what the refusal must say.
    type Change<T> = (fn(&mut T), &'static str);

    struct Fixture {
        _root: tempfile::TempDir,
        directory: PathBuf,
    }

    struct Tensor {
        name: String,
        dtype: Dtype,
        shape: Vec<usize>,
        data: Vec<u8>,
    }

    /// Written once: an artifact waits for the disk at every file.
    static CONTENT: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("policy");
        let artifact = Artifact::new(actor(), notes()).unwrap();
        artifact.write(&directory).unwrap();
        let read = |name: &str| fs::read(directory.join(name)).unwrap();
        FILES.iter().map(|name| read(name)).collect()
    });

    impl Fixture {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            let directory = root.path().join("policy");
            fs::create_dir(&directory).unwrap();
            for (name, bytes) in FILES.iter().zip(CONTENT.iter()) {
                fs::write(directory.join(name), bytes).unwrap();
            }
            Self {
                _root: root,
                directory,
            }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.directory.join(name)
        }

        fn read(&self, name: &str) -> Vec<u8> {
            fs::read(self.path(name)).unwrap()
        }

        fn write(&self, name: &str, bytes: &[u8]) {
            fs::write(self.path(name), bytes).unwrap();
        }

        fn manifest(&self) -> Manifest {
            serde_json::from_slice(&self.read(MANIFEST_FILE)).unwrap()
        }

        /// An attacker or a bug that keeps the books: hashes are right again.
        fn write_sealed(&self, mut manifest: Manifest) {
            for (name, entry) in &mut manifest.files {
                let bytes = self.read(name);
                entry.size_bytes = bytes.len() as u64;
                entry.blake3 = blake3::hash(&bytes).to_hex().to_string();
            }
            self.write(MANIFEST_FILE, &seal(manifest).unwrap().0);
        }

        fn tamper_manifest(&self, change: impl FnOnce(&mut Manifest)) {
            let mut manifest = self.manifest();
            change(&mut manifest);
            self.write_sealed(manifest);
        }

        fn tamper_file(&self, name: &str, bytes: &[u8]) {
            self.write(name, bytes);
            self.write_sealed(self.manifest());
        }

        fn tamper_golden(&self, change: impl FnOnce(&mut Golden)) {
            let mut golden: Golden = serde_json::from_slice(&self.read(GOLDEN_FILE)).unwrap();
            change(&mut golden);
            self.tamper_file(GOLDEN_FILE, &serde_json::to_vec(&golden).unwrap());
        }

        /// Writes the weights again after `change` of every tensor.
        fn tamper_weights(&self, change: impl Fn(&mut Tensor)) {
            let bytes = self.read(WEIGHTS_FILE);
            let tensors = SafeTensors::deserialize(&bytes).unwrap();
            let mut changed = Vec::new();
            for (name, view) in tensors.tensors() {
                let mut tensor = Tensor {
                    name,
                    dtype: view.dtype(),
                    shape: view.shape().to_vec(),
                    data: view.data().to_vec(),
                };
                change(&mut tensor);
                changed.push(tensor);
            }
            let views = changed.iter().map(|tensor| {
                let shape = tensor.shape.clone();
                let view = TensorView::new(tensor.dtype, shape, &tensor.data).unwrap();
                (tensor.name.as_str(), view)
            });
            self.tamper_file(WEIGHTS_FILE, &serialize(views, None).unwrap());
        }

        /// The error names the file and its message contains `expected`.
        #[track_caller]
        fn check(&self, file: &str, expected: &str) -> Error {
            let error = Artifact::load(&self.directory).unwrap_err();
            let message = error.to_string();
            assert!(
                message.contains(&format!("{}`: ", file)),
                "file not named: {message}"
            );
            assert!(message.contains(expected), "`{expected}` not in: {message}");
            assert!(message.contains("\n\nhint: "), "no hint: {message}");
            assert!(
                message.contains("allowed") || message.contains("expected"),
                "{message}"
            );
            error
        }
    }

    #[test]
    fn every_missing_file_is_named() {
        for name in FILES {
            let fixture = Fixture::new();
            fs::remove_file(fixture.path(name)).unwrap();
            let error = fixture.check(name, "no such file");
            assert!(matches!(error, Error::Missing { .. }));
        }
    }

    #[test]
    fn a_directory_in_place_of_a_file_is_refused() {
        let fixture = Fixture::new();
        fs::remove_file(fixture.path(GOLDEN_FILE)).unwrap();
        fs::create_dir(fixture.path(GOLDEN_FILE)).unwrap();
        assert!(matches!(
            fixture.check(GOLDEN_FILE, "not a regular file"),
            Error::NotAFile { .. }
        ));
    }

    #[test]
    fn a_file_above_its_cap_is_not_read() {
        let fixture = Fixture::new();
        let file = fs::File::create(fixture.path(MANIFEST_FILE)).unwrap();
        file.set_len(3 * MIB).unwrap();
        let error = fixture.check(MANIFEST_FILE, "3145728 bytes (allowed: at most 1048576)");
        assert!(matches!(error, Error::TooLarge { .. }));
    }

    #[test]
    fn not_json_and_other_json_are_told_apart() {
        let fixture = Fixture::new();
        fixture.write(MANIFEST_FILE, b"{\"format\": ");
        let message = Artifact::load(&fixture.directory).unwrap_err();
        assert!(matches!(message, Error::NotJson { .. }), "{message}");
        fixture.write(MANIFEST_FILE, b"[1, 2]");
        assert!(matches!(
            fixture.check(MANIFEST_FILE, "(allowed: `prestage-policy`)"),
            Error::Format { .. }
        ));
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let fixture = Fixture::new();
        let mut value: serde_json::Value =
            serde_json::from_slice(&fixture.read(MANIFEST_FILE)).unwrap();
        value["bonus"] = serde_json::json!(1);
        fixture.write(MANIFEST_FILE, value.to_string().as_bytes());
        let error = fixture.check(MANIFEST_FILE, "unknown field `bonus`, expected one of");
        assert!(matches!(error, Error::Content { .. }));
    }

    #[test]
    fn another_format_version_is_refused_before_its_keys_are_read() {
        let fixture = Fixture::new();
        fixture.write(
            MANIFEST_FILE,
            br#"{"format": "prestage-policy", "format_version": 2, "new": 1}"#,
        );
        let error = fixture.check(MANIFEST_FILE, "`format_version` is 2 (allowed: 1)");
        assert!(matches!(error, Error::FormatVersion { .. }));
    }

    #[test]
    fn size_and_hash_of_every_file_are_checked() {
        for name in [README_FILE, GOLDEN_FILE, WEIGHTS_FILE] {
            let fixture = Fixture::new();
            let mut bytes = fixture.read(name);
            bytes.push(b' ');
            fixture.write(name, &bytes);
            assert!(matches!(
                fixture.check(name, "bytes"),
                Error::WrongSize { .. }
            ));
            bytes.pop();
            bytes[20] ^= 1;
            fixture.write(name, &bytes);
            assert!(matches!(
                fixture.check(name, "BLAKE3"),
                Error::WrongHash { .. }
            ));
        }
    }

    #[test]
    fn an_edited_manifest_is_refused() {
        let fixture = Fixture::new();
        let text = String::from_utf8(fixture.read(MANIFEST_FILE)).unwrap();
        let edited = text.replace("\"seed\": 7", "\"seed\": 8");
        assert_ne!(text, edited);
        fixture.write(MANIFEST_FILE, edited.as_bytes());
        assert!(matches!(
            fixture.check(MANIFEST_FILE, "BLAKE3"),
            Error::WrongHash { .. }
        ));
    }

    #[test]
    fn another_list_of_files_is_refused() {
        let fixture = Fixture::new();
        let mut manifest = fixture.manifest();
        let entry = manifest.files.remove(README_FILE).unwrap();
        fixture.write(MANIFEST_FILE, &seal(manifest.clone()).unwrap().0);
        assert!(matches!(
            fixture.check(MANIFEST_FILE, "`files` lists"),
            Error::FileList { .. }
        ));
        manifest.files.insert("../../etc/passwd".into(), entry);
        fixture.write(MANIFEST_FILE, &seal(manifest).unwrap().0);
        fixture.check(MANIFEST_FILE, "`../../etc/passwd`");
    }

    #[test]
    fn tensor_names_shapes_dtypes_and_values_are_checked() {
        let fixture = Fixture::new();
        fixture.tamper_weights(|tensor| {
            if tensor.name == "actor.1.bias" {
                tensor.name = "critic.1.bias".into();
            }
        });
        let error = fixture.check(WEIGHTS_FILE, "`critic.1.bias`");
        assert!(matches!(error, Error::TensorNames { .. }));

        let fixture = Fixture::new();
        fixture.tamper_weights(|tensor| {
            if tensor.name == "actor.0.weight" {
                tensor.shape.reverse();
            }
        });
        let error = fixture.check(WEIGHTS_FILE, "[8, 3] (allowed: [3, 8])");
        assert!(matches!(error, Error::TensorShape { .. }));

        let fixture = Fixture::new();
        fixture.tamper_weights(|tensor| {
            if tensor.name == "actor.2.bias" {
                tensor.dtype = Dtype::I32;
            }
        });
        let error = fixture.check(WEIGHTS_FILE, "`I32`");
        assert!(matches!(error, Error::TensorDtype { .. }));

        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let fixture = Fixture::new();
            fixture.tamper_weights(|tensor| {
                if tensor.name == "actor.2.weight" {
                    tensor.data[8..12].copy_from_slice(&value.to_le_bytes());
                }
            });
            let error = fixture.check(WEIGHTS_FILE, "`actor.2.weight` holds");
            assert!(matches!(error, Error::WeightNotFinite { index: 2, .. }));
        }
    }

    #[test]
    fn weights_that_are_no_safetensors_are_refused() {
        for bytes in [&b""[..], b"12345678", &[0xff; 64], b"\x02\0\0\0\0\0\0\0{}"] {
            let fixture = Fixture::new();
            fixture.tamper_file(WEIGHTS_FILE, bytes);
            fixture.check(WEIGHTS_FILE, "allowed");
        }
    }

    #[test]
    fn a_network_of_another_shape_than_its_weights_is_refused() {
        for hidden in [
            vec![8, 7],
            vec![8],
            vec![8, 6, 6],
            vec![usize::MAX, 6],
            vec![8, 6, 1 << 40],
        ] {
            let fixture = Fixture::new();
            fixture.tamper_manifest(|manifest| manifest.network.hidden = hidden.clone());
            fixture.check(WEIGHTS_FILE, "allowed");
        }
        let fixture = Fixture::new();
        fixture.tamper_manifest(|manifest| manifest.network.hidden = vec![8, 0]);
        assert!(matches!(
            fixture.check(MANIFEST_FILE, "[8, 0]"),
            Error::NetworkShape { .. }
        ));
    }

    #[test]
    fn a_normalizer_that_cannot_divide_is_refused() {
        for std in [0.0, -1.0] {
            let fixture = Fixture::new();
            fixture.tamper_manifest(|manifest| manifest.normalizer.std[1] = std);
            let error = fixture.check(MANIFEST_FILE, "`normalizer.std` of field `queue_ratio`");
            assert!(matches!(error, Error::NormalizerValue { .. }));
        }
        let fixture = Fixture::new();
        fixture.tamper_manifest(|manifest| manifest.normalizer.clip = 0.0);
        fixture.check(MANIFEST_FILE, "`normalizer.clip`");
        let fixture = Fixture::new();
        fixture.tamper_manifest(|manifest| {
            manifest.normalizer.mean.pop();
        });
        let error = fixture.check(MANIFEST_FILE, "2 means and 3 deviations");
        assert!(matches!(error, Error::NormalizerLength { .. }));
    }

    #[test]
    fn unusable_layouts_and_actions_are_refused() {
        let fixture = Fixture::new();
        fixture.tamper_manifest(|manifest| {
            manifest.layout.fields[2] = manifest.layout.fields[0].clone()
        });
        let error = fixture.check(MANIFEST_FILE, "field `need_probability` twice");
        assert!(matches!(error, Error::LayoutInvalid { .. }));
        let changes: [fn(&mut MultiDiscrete); 4] = [
            |action| action.nvec[0] = 1,
            |action| action.neutral[1] = 3,
            |action| {
                action.neutral.pop();
            },
            |action| {
                *action = MultiDiscrete {
                    nvec: vec![],
                    neutral: vec![],
                }
            },
        ];
        for change in changes {
            let fixture = Fixture::new();
            fixture.tamper_manifest(|manifest| change(&mut manifest.action));
            let error = fixture.check(MANIFEST_FILE, "`action` has");
            assert!(matches!(error, Error::ActionInvalid { .. }));
        }
    }

    #[test]
    fn golden_cases_are_replayed() {
        let fixture = Fixture::new();
        fixture.tamper_golden(|golden| golden.cases[5].logits[2] += 1e-3);
        let error = fixture.check(GOLDEN_FILE, "logit 2 of case 5");
        assert!(matches!(error, Error::GoldenLogit { .. }));

        let fixture = Fixture::new();
        fixture.tamper_golden(|golden| golden.cases[6].action[0] ^= 1);
        assert!(matches!(
            fixture.check(GOLDEN_FILE, "case 6"),
            Error::GoldenAction { .. }
        ));

        let fixture = Fixture::new();
        fixture.tamper_golden(|golden| golden.cases.truncate(15));
        let error = fixture.check(GOLDEN_FILE, "number of cases is 15 (allowed: at least 16)");
        assert!(matches!(error, Error::GoldenShape { .. }));

        let fixture = Fixture::new();
        fixture.tamper_golden(|golden| {
            golden.cases[3].observation.pop();
        });
        fixture.check(
            GOLDEN_FILE,
            "observation length of case 3 is 2 (allowed: 3)",
        );
    }

    #[test]
    fn another_layout_is_refused_by_its_first_difference() {
        let changes: [Change<Layout>; 6] = [
            (
                |layout| layout.name = "other".into(),
                "name is `test-cell` (allowed: `other`)",
            ),
            (|layout| layout.version = 4, "version is `3` (allowed: `4`)"),
            (|layout| layout.clip = 4.0, "clip is `5` (allowed: `4`)"),
            (
                |layout| layout.fields.swap(1, 2),
                "field 1 is `queue_ratio` (allowed: `age_ratio`)",
            ),
            (
                |layout| layout.fields[0].about = "new".into(),
                "meaning of field 0",
            ),
            (
                |layout| layout.fields.truncate(2),
                "number of fields is `3` (allowed: `2`)",
            ),
        ];
        let fixture = Fixture::new();
        for (change, expected) in changes {
            let mut layout = actor().layout;
            change(&mut layout);
            let artifact = Artifact::load(&fixture.directory).unwrap();
            let error = artifact.expect_layout(&layout).unwrap_err();
            assert!(matches!(error, Error::LayoutMismatch { .. }));
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    #[test]
    fn another_action_space_is_refused_by_its_first_difference() {
        let changes: [Change<MultiDiscrete>; 3] = [
            (
                |action| action.nvec[1] = 5,
                "levels of knob 1 is `3` (allowed: `5`)",
            ),
            (
                |action| action.neutral[0] = 2,
                "neutral level of knob 0 is `3` (allowed: `2`)",
            ),
            (
                |action| action.nvec.push(7),
                "number of knobs is `2` (allowed: `3`)",
            ),
        ];
        let fixture = Fixture::new();
        for (change, expected) in changes {
            let mut action = actor().action;
            change(&mut action);
            let artifact = Artifact::load(&fixture.directory).unwrap();
            let error = artifact.expect_action(&action).unwrap_err();
            assert!(matches!(error, Error::ActionMismatch { .. }));
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    #[test]
    fn parts_that_do_not_fit_are_refused_at_export_too() {
        let mut short = actor();
        short.layers.pop();
        assert!(matches!(
            Artifact::new(short, notes()),
            Err(Error::PartsDoNotFit { .. })
        ));
        let mut flat = actor();
        flat.normalizer.std[0] = 0.0;
        assert!(matches!(
            Artifact::new(flat, notes()),
            Err(Error::NormalizerValue { .. })
        ));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_flipped_bit_goes_unseen(file in 0..FILES.len(), place in any::<prop::sample::Index>(), bit in 0..8u8) {
            let fixture = Fixture::new();
            let mut bytes = fixture.read(FILES[file]);
            let index = place.index(bytes.len());
            bytes[index] ^= 1 << bit;
            fixture.write(FILES[file], &bytes);
            prop_assert!(Artifact::load(&fixture.directory).is_err());
        }

        #[test]
        fn no_cut_goes_unseen(file in 0..FILES.len(), place in any::<prop::sample::Index>()) {
            let fixture = Fixture::new();
            let bytes = fixture.read(FILES[file]);
            fixture.write(FILES[file], &bytes[..place.index(bytes.len())]);
            prop_assert!(Artifact::load(&fixture.directory).is_err());
        }

        /// With the hashes made right again the damage reaches the parsers.
        #[test]
        fn no_byte_makes_a_parser_panic(
            file in 1..FILES.len(),
            places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        ) {
            let fixture = Fixture::new();
            let mut bytes = fixture.read(FILES[file]);
            for (place, value) in places {
                let index = place.index(bytes.len());
                bytes[index] = value;
            }
            fixture.tamper_file(FILES[file], &bytes);
            let _ = Artifact::load(&fixture.directory);
        }
    }
}
