//! The exported policy: a directory that production can trust.
//!
//! ```text
//! manifest.json       format, layout, action, network, normaliser, notes, hash of every file
//! policy.safetensors  actor.0.weight [in, out], actor.0.bias [out], actor.1.weight ...
//! golden.json         observations with the logits and actions they must give
//! README.md           the model card
//! ```
//!
//! Writing replaces a whole artifact or nothing; loading (`load.rs`) refuses
//! whatever is not exactly what was written. Must never know: who trained the
//! policy, and what its knobs turn.
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};

use crate::card;
use crate::error::Error;
use crate::load;
use crate::mlp::{Activation, Dense, Mlp};
use crate::mlp_policy::MlpPolicy;
use crate::normalizer::Normalizer;
use crate::publish::{Staged, io, write_durably};
use crate::space::{Layout, MultiDiscrete};

/// Value of `format` in every manifest.
pub const FORMAT: &str = "prestage-policy";
/// The version written and read.
pub const FORMAT_VERSION: u32 = 1;
/// Name of the manifest in the directory.
pub const MANIFEST_FILE: &str = "manifest.json";
/// Name of the weights in the directory.
pub const WEIGHTS_FILE: &str = "policy.safetensors";
/// Name of the golden cases in the directory.
pub const GOLDEN_FILE: &str = "golden.json";
/// Name of the model card in the directory.
pub const README_FILE: &str = "README.md";

/// Golden cases written at export; the loader asks for at least 16.
const GOLDEN_CASES: usize = 32;

/// Stands in the manifest for its own hash while that hash is computed.
pub(crate) const HASH_PLACEHOLDER: &str =
    "0000000000000000000000000000000000000000000000000000000000000000";

/// What training produces: everything that decides.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedActor {
    /// The observation it was trained on.
    pub layout: Layout,
    /// The action it takes.
    pub action: MultiDiscrete,
    /// Applied to every observation first.
    pub normalizer: Normalizer,
    /// Hidden layers and the logits.
    pub layers: Vec<Dense>,
}

impl TrainedActor {
    /// The actor that takes the neutral action whatever it sees: a static policy in the form
    /// of a learnt one.
    ///
    /// # Errors
    /// When the layout has no field.
    pub fn neutral(layout: Layout, action: MultiDiscrete) -> Result<Self, Error> {
        let heads = action.nvec.iter().zip(&action.neutral);
        let bias: Vec<f32> = heads
            .flat_map(|(&levels, &neutral)| {
                (0..levels).map(move |level| f32::from(u8::from(level == neutral)))
            })
            .collect();
        let n_in = layout.len();
        let weight = vec![0.0; n_in * bias.len()];
        let layers = vec![Dense::new(n_in, bias, weight)?];
        Ok(Self {
            normalizer: Normalizer::identity(n_in, 5.0),
            layout,
            action,
            layers,
        })
    }
}

/// What the exporter tells about an actor; carried, never interpreted here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Notes {
    /// Knob defaults and whatever else the controller needs beside the actor.
    pub controller: serde_json::Value,
    /// Git revision, seed, configuration hash.
    pub provenance: serde_json::Value,
    /// Results with intervals, and the verdict.
    pub evaluation: serde_json::Value,
}

/// `manifest.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Always [`FORMAT`].
    pub format: String,
    /// Always [`FORMAT_VERSION`].
    pub format_version: u32,
    /// The observation of one row.
    pub layout: Layout,
    /// The action of one row.
    pub action: MultiDiscrete,
    /// Shape of the network between them.
    pub network: Network,
    /// Applied to every observation first.
    pub normalizer: Normalizer,
    /// [`Notes::controller`].
    pub controller: serde_json::Value,
    /// [`Notes::provenance`].
    pub provenance: serde_json::Value,
    /// [`Notes::evaluation`].
    pub evaluation: serde_json::Value,
    /// Every other file.
    pub files: BTreeMap<String, FileEntry>,
    /// BLAKE3 of this file with these 64 digits replaced by `0`.
    pub manifest_blake3: String,
}

/// Shape of the network; its inputs and outputs follow from layout and action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Widths of the hidden layers.
    pub hidden: Vec<usize>,
    /// After every hidden layer.
    pub activation: Activation,
}

/// How a file of the artifact is recognised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Size in bytes.
    pub size_bytes: u64,
    /// Hash of the content, 64 lower-case hex digits.
    pub blake3: String,
}

/// `golden.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// What must come out for what goes in.
    pub cases: Vec<GoldenCase>,
}

/// One observation, as the controller gives it, and the answer at export.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoldenCase {
    /// Before normalisation.
    pub observation: Vec<f32>,
    /// Reproduced within 1e-5 (relative above 1).
    pub logits: Vec<f32>,
    /// Reproduced exactly.
    pub action: Vec<u8>,
}

/// A verified policy with its notes.
#[derive(Clone, Debug)]
pub struct Artifact {
    pub(crate) manifest: Manifest,
    pub(crate) golden: Golden,
    pub(crate) policy: MlpPolicy,
    pub(crate) layers: Vec<Dense>,
    /// Where it was read from, for messages.
    pub(crate) origin: std::path::PathBuf,
}

impl Artifact {
    /// Checks the parts against each other and records the golden cases.
    pub fn new(actor: TrainedActor, notes: Notes) -> Result<Self, Error> {
        let origin = Path::new(MANIFEST_FILE);
        let mlp = Mlp::new(actor.layers.clone())?;
        let widths = actor.layers.iter().map(Dense::n_out);
        let mut manifest = Manifest {
            format: FORMAT.to_string(),
            format_version: FORMAT_VERSION,
            network: Network {
                hidden: widths.take(actor.layers.len() - 1).collect(),
                activation: Activation::Relu,
            },
            layout: actor.layout,
            action: actor.action,
            normalizer: actor.normalizer,
            controller: notes.controller,
            provenance: notes.provenance,
            evaluation: notes.evaluation,
            files: BTreeMap::new(),
            manifest_blake3: HASH_PLACEHOLDER.to_string(),
        };
        load::check_manifest(origin, &manifest)?;
        let mut policy = MlpPolicy::new(
            manifest.layout.clone(),
            manifest.action.clone(),
            manifest.normalizer.clone(),
            mlp,
        )?;
        let golden = record_golden(&manifest, &mut policy);
        load::check_golden(Path::new(GOLDEN_FILE), &golden, &manifest, &mut policy)?;
        for (name, bytes) in content(&manifest, &actor.layers, &golden)? {
            manifest.files.insert(name.to_string(), entry(&bytes));
        }
        let (_, manifest) = seal(manifest)?;
        Ok(Self {
            manifest,
            golden,
            policy,
            layers: actor.layers,
            origin: origin.to_path_buf(),
        })
    }

    /// Reads and verifies a directory; see [`Error`] for everything it refuses.
    pub fn load(directory: &Path) -> Result<Self, Error> {
        load::load(directory)
    }

    /// Refuses an artifact of another layout, naming the first difference.
    pub fn expect_layout(self, layout: &Layout) -> Result<Self, Error> {
        load::check_layout(&self.origin, &self.manifest.layout, layout)?;
        Ok(self)
    }

    /// Refuses an artifact of another action space, naming the first difference.
    pub fn expect_action(self, action: &MultiDiscrete) -> Result<Self, Error> {
        load::check_action(&self.origin, &self.manifest.action, action)?;
        Ok(self)
    }

    /// Everything but weights and golden cases.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Recorded inputs and outputs.
    pub fn golden(&self) -> &Golden {
        &self.golden
    }

    /// The layers, input-major, for writers of other formats.
    pub fn layers(&self) -> &[Dense] {
        &self.layers
    }

    /// The policy, ready to act.
    pub fn policy(&self) -> MlpPolicy {
        self.policy.clone()
    }

    /// BLAKE3 of the manifest and, through it, of everything: the identity of
    /// this policy in logs.
    pub fn id(&self) -> &str {
        &self.manifest.manifest_blake3
    }

    /// Writes the directory. It appears whole or not at all, an existing artifact
    /// is replaced whole or kept; anything else in the way is refused.
    pub fn write(&self, directory: &Path) -> Result<(), Error> {
        check_target(directory)?;
        let staged = Staged::beside(directory)?;
        fs::create_dir(&staged.path).map_err(|source| io(&staged.path, "create", source))?;
        for (name, bytes) in content(&self.manifest, &self.layers, &self.golden)? {
            write_durably(&staged.path.join(name), &bytes)?;
        }
        let (bytes, _) = seal(self.manifest.clone())?;
        write_durably(&staged.path.join(MANIFEST_FILE), &bytes)?;
        let written = Self::load(&staged.path)?;
        if !self.same_content(&written) {
            return Err(Error::ReadBack {
                path: staged.path.clone(),
            });
        }
        staged.publish_directory(directory)
    }

    fn same_content(&self, other: &Self) -> bool {
        self.manifest == other.manifest
            && self.golden == other.golden
            && self.layers == other.layers
    }
}

/// The files beside the manifest, in the order of [`expected_files`].
fn content(
    manifest: &Manifest,
    layers: &[Dense],
    golden: &Golden,
) -> Result<[(&'static str, Vec<u8>); 3], Error> {
    Ok([
        (README_FILE, card::render(manifest).into_bytes()),
        (GOLDEN_FILE, to_json(GOLDEN_FILE, golden)?),
        (WEIGHTS_FILE, weights_bytes(layers)?),
    ])
}

/// Names of the files beside the manifest, sorted as in the manifest.
pub(crate) fn expected_files() -> [&'static str; 3] {
    [README_FILE, GOLDEN_FILE, WEIGHTS_FILE]
}

fn entry(bytes: &[u8]) -> FileEntry {
    FileEntry {
        size_bytes: bytes.len() as u64,
        blake3: blake3::hash(bytes).to_hex().to_string(),
    }
}

fn to_json<T: Serialize>(file: &str, value: &T) -> Result<Vec<u8>, Error> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|source| Error::Content {
        path: file.into(),
        source,
    })?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The bytes of a manifest that holds its own hash, and that manifest.
pub(crate) fn seal(mut manifest: Manifest) -> Result<(Vec<u8>, Manifest), Error> {
    manifest.manifest_blake3 = HASH_PLACEHOLDER.to_string();
    let unsealed = to_json(MANIFEST_FILE, &manifest)?;
    manifest.manifest_blake3 = blake3::hash(&unsealed).to_hex().to_string();
    Ok((to_json(MANIFEST_FILE, &manifest)?, manifest))
}

pub(crate) fn tensor_name(layer: usize, part: &str) -> String {
    format!("actor.{layer}.{part}")
}

fn weights_bytes(layers: &[Dense]) -> Result<Vec<u8>, Error> {
    let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    for (index, layer) in layers.iter().enumerate() {
        let shape = vec![layer.n_in(), layer.n_out()];
        tensors.push((
            tensor_name(index, "weight"),
            shape,
            little_endian(layer.weight()),
        ));
        let shape = vec![layer.n_out()];
        tensors.push((
            tensor_name(index, "bias"),
            shape,
            little_endian(layer.bias()),
        ));
    }
    let mut views = Vec::new();
    for (name, shape, bytes) in &tensors {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(not_safetensors)?;
        views.push((name, view));
    }
    safetensors::serialize(views, None).map_err(not_safetensors)
}

fn not_safetensors(error: safetensors::SafeTensorError) -> Error {
    Error::NotSafetensors {
        path: WEIGHTS_FILE.into(),
        reason: error.to_string(),
    }
}

fn little_endian(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// Zeros, both bounds, the mean, then values spread over the allowed range.
fn golden_observations(manifest: &Manifest) -> Vec<Vec<f32>> {
    let n_fields = manifest.layout.len();
    let clip = manifest.layout.clip;
    let mut observations = vec![
        vec![0.0; n_fields],
        vec![clip; n_fields],
        vec![-clip; n_fields],
        manifest.normalizer.mean.clone(),
    ];
    let mut counter = 0u64;
    while observations.len() < GOLDEN_CASES {
        let mut row = Vec::with_capacity(n_fields);
        for _ in 0..n_fields {
            counter += 1;
            row.push((spread(counter) * 2.0 - 1.0) * clip);
        }
        observations.push(row);
    }
    observations
}

/// splitmix64 (Steele, Lea, Flood 2014) to `[0, 1)`: no generator to depend on,
/// and the same cases for the same artifact forever.
fn spread(counter: u64) -> f32 {
    let mut z = counter.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 40) as f32 / (1u32 << 24) as f32
}

fn record_golden(manifest: &Manifest, policy: &mut MlpPolicy) -> Golden {
    let mut cases = Vec::new();
    for observation in golden_observations(manifest) {
        let mut logits = vec![0.0; manifest.action.n_logits()];
        let mut action = vec![0; manifest.action.len()];
        policy.logits(&observation, &mut logits);
        manifest.action.greedy(&logits, &mut action);
        cases.push(GoldenCase {
            observation,
            logits,
            action,
        });
    }
    Golden { cases }
}

/// Allowed targets: nothing, an empty directory, an artifact without foreign files.
fn check_target(directory: &Path) -> Result<(), Error> {
    if !directory.exists() {
        return Ok(());
    }
    let refused = |found: &str| Error::TargetNotArtifact {
        path: directory.to_path_buf(),
        found: found.to_string(),
    };
    if !directory.is_dir() {
        return Err(refused("a file"));
    }
    let entries = fs::read_dir(directory).map_err(|source| io(directory, "list", source))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|source| io(directory, "list", source))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    for name in &names {
        if name != MANIFEST_FILE && !expected_files().contains(&name.as_str()) {
            return Err(refused(&format!("`{name}`")));
        }
    }
    if !names.is_empty() && load::manifest_format(&directory.join(MANIFEST_FILE)).is_err() {
        return Err(refused("no readable artifact manifest"));
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::policy::Policy;
    use crate::space::Field;

    pub(crate) fn actor() -> TrainedActor {
        let fields = ["need_probability", "queue_ratio", "age_ratio"];
        let dense = |n_in: usize, n_out: usize, seed: u64| {
            let mut counter = seed * 100_000;
            let mut next = || {
                counter += 1;
                spread(counter) - 0.5
            };
            let weight = (0..n_in * n_out).map(|_| next()).collect();
            Dense::new(n_in, (0..n_out).map(|_| next()).collect(), weight).unwrap()
        };
        TrainedActor {
            layout: Layout {
                name: "test-cell".into(),
                version: 3,
                clip: 5.0,
                fields: fields
                    .iter()
                    .map(|name| Field {
                        name: (*name).into(),
                        about: "a | test\nfield".into(),
                    })
                    .collect(),
            },
            action: MultiDiscrete {
                nvec: vec![7, 3],
                neutral: vec![3, 1],
            },
            normalizer: Normalizer {
                mean: vec![0.1, -0.2, 0.3],
                std: vec![0.7, 1.1, 1.0 / 3.0],
                clip: 10.0,
            },
            layers: vec![dense(3, 8, 1), dense(8, 6, 2), dense(6, 10, 3)],
        }
    }

    pub(crate) fn notes() -> Notes {
        Notes {
            controller: serde_json::json!({"threshold": 0.1}),
            provenance: serde_json::json!({"revision": "abc", "seed": 7}),
            evaluation: serde_json::json!({"edge": [0.01, 0.02], "verdict": "ship"}),
        }
    }

    fn observations() -> Vec<f32> {
        (0..3 * 40).map(|i| (i as f32 * 0.61).sin() * 5.0).collect()
    }

    #[test]
    fn what_is_written_reads_back_and_acts_alike() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("policy");
        let artifact = Artifact::new(actor(), notes()).unwrap();
        artifact.write(&directory).unwrap();
        let loaded = Artifact::load(&directory)
            .unwrap()
            .expect_layout(&actor().layout)
            .unwrap()
            .expect_action(&actor().action)
            .unwrap();
        assert!(artifact.same_content(&loaded));
        assert_eq!(artifact.id(), loaded.id());
        assert_eq!(loaded.manifest().network.hidden, [8, 6]);
        assert!(loaded.golden().cases.len() >= 16);
        let (mut before, mut after) = (vec![0; 80], vec![0; 80]);
        artifact.policy().act(&observations(), &mut before);
        loaded.policy().act(&observations(), &mut after);
        assert_eq!(before, after);
    }

    #[test]
    fn golden_cases_reach_different_actions() {
        let artifact = Artifact::new(actor(), notes()).unwrap();
        let mut actions: Vec<_> = artifact.golden().cases.iter().map(|c| &c.action).collect();
        actions.sort();
        actions.dedup();
        assert!(actions.len() > 2, "golden cases are too alike: {actions:?}");
    }

    #[test]
    fn an_artifact_is_replaced_whole_and_an_empty_directory_is_filled() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("policy");
        fs::create_dir(&directory).unwrap();
        Artifact::new(actor(), notes())
            .unwrap()
            .write(&directory)
            .unwrap();
        let other = Artifact::new(actor(), Notes::default()).unwrap();
        other.write(&directory).unwrap();
        assert_eq!(Artifact::load(&directory).unwrap().id(), other.id());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_artifact_may_be_replaced() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("policy");
        let artifact = Artifact::new(actor(), notes()).unwrap();
        artifact.write(&directory).unwrap();
        fs::write(directory.join(WEIGHTS_FILE), "broken").unwrap();
        artifact.write(&directory).unwrap();
        Artifact::load(&directory).unwrap();
    }

    #[test]
    fn what_is_not_an_artifact_is_never_overwritten() {
        let artifact = Artifact::new(actor(), notes()).unwrap();
        for name in ["thesis.tex", "manifest.json", "README.md"] {
            let root = tempfile::tempdir().unwrap();
            let directory = root.path().join("policy");
            fs::create_dir(&directory).unwrap();
            fs::write(directory.join(name), "{}").unwrap();
            let error = artifact.write(&directory).unwrap_err();
            assert!(matches!(error, Error::TargetNotArtifact { .. }), "{error}");
            assert_eq!(fs::read(directory.join(name)).unwrap(), b"{}");
        }
    }

    #[test]
    fn a_foreign_file_inside_an_artifact_is_never_deleted() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("policy");
        let artifact = Artifact::new(actor(), notes()).unwrap();
        artifact.write(&directory).unwrap();
        fs::write(directory.join("notes.txt"), "mine").unwrap();
        let error = artifact.write(&directory).unwrap_err();
        assert!(error.to_string().contains("`notes.txt`"), "{error}");
        assert_eq!(fs::read(directory.join("notes.txt")).unwrap(), b"mine");
    }

    #[test]
    fn the_card_names_every_field_in_one_table_row() {
        let artifact = Artifact::new(actor(), notes()).unwrap();
        let card = card::render(artifact.manifest());
        for field in &actor().layout.fields {
            let row = format!("`{}`", field.name);
            let line = card.lines().find(|line| line.contains(&row)).unwrap();
            assert!(line.ends_with("a \\| test field |"), "{line}");
        }
        assert!(card.contains("\"verdict\": \"ship\""));
    }

    #[test]
    fn a_static_policy_survives_the_disk_and_stays_neutral() {
        let TrainedActor { layout, action, .. } = actor();
        let neutral = TrainedActor::neutral(layout, action.clone()).unwrap();
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("static");
        Artifact::new(neutral, notes())
            .unwrap()
            .write(&directory)
            .unwrap();
        let mut policy = Artifact::load(&directory).unwrap().policy();
        for observation in [[0.0; 3], [5.0; 3], [-5.0, 0.3, 5.0]] {
            let mut actions = action.nvec.clone();
            policy.act(&observation, &mut actions);
            assert_eq!(actions, action.neutral);
        }
    }
}
