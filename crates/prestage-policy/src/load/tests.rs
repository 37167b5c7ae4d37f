//! Every way an artifact can be broken is refused with its own words.
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use proptest::prelude::*;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize};

use super::*;
use crate::artifact::tests::{actor, notes};
use crate::artifact::{README_FILE, seal};
use crate::space::{Layout, MultiDiscrete};

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
    fixture
        .tamper_manifest(|manifest| manifest.layout.fields[2] = manifest.layout.fields[0].clone());
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
