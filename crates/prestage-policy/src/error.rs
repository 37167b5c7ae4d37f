//! Everything that can be wrong with a policy or its files, one variant a cause.
//!
//! A message names the file, what was found, what is allowed, and the next action.
use std::path::PathBuf;

/// Why a policy or an artifact was refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A layer's widths and its number of weights disagree.
    #[error(
        "layer of {n_in} x {n_out} has {n_weights} weights (allowed: {n_in} x {n_out}, both above 0)"
    )]
    DenseShape {
        /// Width of the input.
        n_in: usize,
        /// Width of the output.
        n_out: usize,
        /// Weights found.
        n_weights: usize,
    },
    /// A weight or bias is NaN or infinite.
    #[error("parameter {index} of a layer is `{value}` (allowed: finite values)")]
    DenseNotFinite {
        /// Position, weights first.
        index: usize,
        /// What was found.
        value: f32,
    },
    /// A network without layers.
    #[error("network has no layer (allowed: at least 1)")]
    NoLayer,
    /// Two neighbouring layers of different widths.
    #[error("layer {index} gives {n_out} values, the next one takes {n_in}")]
    LayersDoNotFit {
        /// Position of the first of the two.
        index: usize,
        /// Values it gives.
        n_out: usize,
        /// Values the next one takes.
        n_in: usize,
    },
    /// Layout, normaliser, network and action have different widths.
    #[error(
        "parts of a policy do not fit: {n_fields} fields, {n_mean} means, {n_std} deviations and \
         {n_in} network inputs (allowed: one number); {n_out} network outputs, {n_logits} logits \
         (allowed: one number)"
    )]
    PartsDoNotFit {
        /// Fields of the layout.
        n_fields: usize,
        /// Means of the normaliser.
        n_mean: usize,
        /// Deviations of the normaliser.
        n_std: usize,
        /// Inputs of the network.
        n_in: usize,
        /// Outputs of the network.
        n_out: usize,
        /// Logits of the action space.
        n_logits: usize,
    },

    /// The operating system refused.
    #[error("`{}`: cannot {attempt}: {source}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What was tried, as in "cannot ...".
        attempt: &'static str,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A file of the artifact is not there.
    #[error(
        "`{}`: no such file (allowed: an artifact of {allowed})\n\n\
         hint: `prestage export` writes a complete artifact directory",
        path.display()
    )]
    Missing {
        /// The file.
        path: PathBuf,
        /// The files an artifact holds.
        allowed: String,
    },
    /// A directory, socket or other thing where a file is expected.
    #[error(
        "`{}`: not a regular file (allowed: regular files)\n\n\
         hint: copy the artifact again with all its files",
        path.display()
    )]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// A file above its cap; it was not read.
    #[error(
        "`{}`: {size_bytes} bytes (allowed: at most {limit_bytes})\n\n\
         hint: this is not a file that `prestage export` wrote",
        path.display()
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        size_bytes: u64,
        /// The cap.
        limit_bytes: u64,
    },
    /// Not JSON at all.
    #[error(
        "`{}`: not JSON: {source}\n\nhint: the file is damaged; copy or export the artifact again",
        path.display()
    )]
    NotJson {
        /// The file.
        path: PathBuf,
        /// Where the parser stopped.
        source: serde_json::Error,
    },
    /// JSON with an unknown, missing or ill-typed key; the source lists what is allowed.
    #[error(
        "`{}`: unexpected content: {source}\n\n\
         hint: an artifact is not edited by hand; export it again",
        path.display()
    )]
    Content {
        /// The file.
        path: PathBuf,
        /// Which key, and what is allowed.
        source: serde_json::Error,
    },
    /// JSON of something else.
    #[error(
        "`{}`: `format` is `{found}` (allowed: `{allowed}`)\n\n\
         hint: this directory is not a policy artifact",
        path.display()
    )]
    Format {
        /// The manifest.
        path: PathBuf,
        /// Its `format`.
        found: String,
        /// The one format.
        allowed: &'static str,
    },
    /// An artifact of a later or withdrawn version.
    #[error(
        "`{}`: `format_version` is {found} (allowed: {allowed})\n\n\
         hint: use a prestage of the version that exported it, or export it again",
        path.display()
    )]
    FormatVersion {
        /// The manifest.
        path: PathBuf,
        /// Its version.
        found: String,
        /// The version this code reads.
        allowed: u32,
    },
    /// The manifest lists other files than an artifact has.
    #[error(
        "`{}`: `files` lists {found} (allowed: {allowed})\n\n\
         hint: export the artifact again",
        path.display()
    )]
    FileList {
        /// The manifest.
        path: PathBuf,
        /// What it lists.
        found: String,
        /// What an artifact has.
        allowed: String,
    },
    /// Another size than the manifest says.
    #[error(
        "`{}`: {found} bytes (allowed: {expected}, as in the manifest)\n\n\
         hint: the file is truncated or replaced; copy or export the artifact again",
        path.display()
    )]
    WrongSize {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        found: u64,
        /// The manifest's.
        expected: u64,
    },
    /// Other bytes than the manifest says.
    #[error(
        "`{}`: BLAKE3 is `{found}` (allowed: `{expected}`, as in the manifest)\n\n\
         hint: the file is damaged or edited; copy or export the artifact again",
        path.display()
    )]
    WrongHash {
        /// The file.
        path: PathBuf,
        /// Its hash.
        found: String,
        /// The manifest's.
        expected: String,
    },
    /// The weights file is no safetensors file.
    #[error(
        "`{}`: not safetensors: {reason} (allowed: tensors in the safetensors format)\n\n\
         hint: export the artifact again",
        path.display()
    )]
    NotSafetensors {
        /// The file.
        path: PathBuf,
        /// The parser's reason.
        reason: String,
    },
    /// Tensors of other names than the network's.
    #[error(
        "`{}`: tensors are {found} (allowed: {allowed})\n\n\
         hint: the weights belong to another network; export the artifact again",
        path.display()
    )]
    TensorNames {
        /// The file.
        path: PathBuf,
        /// Names found.
        found: String,
        /// Names of the network in the manifest.
        allowed: String,
    },
    /// A tensor of another shape than the network's.
    #[error(
        "`{}`: `{tensor}` has shape {found:?} (allowed: {expected:?})\n\n\
         hint: weights are stored input-major, [in, out]; export the artifact again",
        path.display()
    )]
    TensorShape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Its shape.
        found: Vec<usize>,
        /// The network's.
        expected: Vec<usize>,
    },
    /// A tensor that is not f32.
    #[error(
        "`{}`: `{tensor}` has dtype `{found}` (allowed: `F32`)\n\n\
         hint: export the artifact again",
        path.display()
    )]
    TensorDtype {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Its dtype.
        found: String,
    },
    /// A NaN or infinite weight.
    #[error(
        "`{}`: `{tensor}` holds `{value}` at {index} (allowed: finite values)\n\n\
         hint: the training run diverged; export an earlier checkpoint",
        path.display()
    )]
    WeightNotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Position in it.
        index: usize,
        /// What was found.
        value: f32,
    },
    /// Hidden widths that make no network.
    #[error(
        "`{}`: `network.hidden` is {found:?} (allowed: widths above 0)\n\n\
         hint: export the artifact again",
        path.display()
    )]
    NetworkShape {
        /// The manifest.
        path: PathBuf,
        /// The widths.
        found: Vec<usize>,
    },
    /// A normaliser of another width than the layout.
    #[error(
        "`{}`: `normalizer` has {n_mean} means and {n_std} deviations (allowed: {expected} of each, \
         one a field)\n\nhint: export the artifact again",
        path.display()
    )]
    NormalizerLength {
        /// The manifest.
        path: PathBuf,
        /// Means found.
        n_mean: usize,
        /// Deviations found.
        n_std: usize,
        /// Fields of the layout.
        expected: usize,
    },
    /// A number of the normaliser that cannot be used.
    #[error(
        "`{}`: `normalizer.{key}` of field `{field}` is `{value}` (allowed: {allowed})\n\n\
         hint: export the artifact again",
        path.display()
    )]
    NormalizerValue {
        /// The manifest.
        path: PathBuf,
        /// `mean`, `std` or `clip`.
        key: &'static str,
        /// The layout's field, or `(all)`.
        field: String,
        /// What was found.
        value: f32,
        /// What is allowed.
        allowed: &'static str,
    },
    /// A layout that cannot be used by anybody.
    #[error(
        "`{}`: `layout` has {found} (allowed: at least one field, names unique, a finite clip above \
         0)\n\nhint: export the artifact again",
        path.display()
    )]
    LayoutInvalid {
        /// The manifest.
        path: PathBuf,
        /// The problem.
        found: String,
    },
    /// An action space that cannot be used by anybody.
    #[error(
        "`{}`: `action` has {found} (allowed: at least one knob, each of at least 2 levels and a \
         neutral one among them)\n\nhint: export the artifact again",
        path.display()
    )]
    ActionInvalid {
        /// The manifest.
        path: PathBuf,
        /// The problem.
        found: String,
    },
    /// Trained on other observations than the caller makes; the first difference.
    #[error(
        "`{}`: layout differs: {what} is `{found}` (allowed: `{expected}`)\n\n\
         hint: the policy was trained on other observations; train and export it again with this \
         version",
        path.display()
    )]
    LayoutMismatch {
        /// The manifest.
        path: PathBuf,
        /// What differs first.
        what: String,
        /// The artifact's.
        found: String,
        /// The caller's.
        expected: String,
    },
    /// Trained on other actions than the caller takes; the first difference.
    #[error(
        "`{}`: action space differs: {what} is `{found}` (allowed: `{expected}`)\n\n\
         hint: the policy turns other knobs; train and export it again with this version",
        path.display()
    )]
    ActionMismatch {
        /// The manifest.
        path: PathBuf,
        /// What differs first.
        what: String,
        /// The artifact's.
        found: String,
        /// The caller's.
        expected: String,
    },
    /// Golden cases of the wrong number or widths.
    #[error(
        "`{}`: golden {what} is {found} (allowed: {allowed})\n\nhint: export the artifact again",
        path.display()
    )]
    GoldenShape {
        /// The file.
        path: PathBuf,
        /// What has the wrong size.
        what: String,
        /// The size found.
        found: usize,
        /// The allowed ones.
        allowed: String,
    },
    /// The network does not compute today what it computed at export.
    #[error(
        "`{}`: logit {index} of case {case} is `{found}` (allowed: `{expected}` within {tolerance})\
         \n\nhint: weights and golden cases come from different exports, or this build computes \
         differently",
        path.display()
    )]
    GoldenLogit {
        /// The file.
        path: PathBuf,
        /// Which case.
        case: usize,
        /// Which logit.
        index: usize,
        /// Computed now.
        found: f32,
        /// Recorded.
        expected: f32,
        /// Relative above 1, absolute below.
        tolerance: f32,
    },
    /// The network does not decide today what it decided at export.
    #[error(
        "`{}`: action of case {case} is {found:?} (allowed: {expected:?})\n\n\
         hint: weights and golden cases come from different exports, or this build computes \
         differently",
        path.display()
    )]
    GoldenAction {
        /// The file.
        path: PathBuf,
        /// Which case.
        case: usize,
        /// Decided now.
        found: Vec<u8>,
        /// Recorded.
        expected: Vec<u8>,
    },
    /// The artifact would replace something that is not an artifact.
    #[error(
        "`{}`: exists and holds {found} (allowed: nothing, an empty directory, or an artifact)\n\n\
         hint: choose another directory, or move this one away",
        path.display()
    )]
    TargetNotArtifact {
        /// The target.
        path: PathBuf,
        /// What is in the way.
        found: String,
    },
    /// A path without a last component.
    #[error("`{}`: has no file name (allowed: a path that ends in a name)", path.display())]
    TargetName {
        /// The target.
        path: PathBuf,
    },
    /// What was just written does not read back as what was meant.
    #[error(
        "`{}`: reads back differently from what was written (allowed: the same)\n\n\
         hint: the disk or file system is at fault; nothing was replaced",
        path.display()
    )]
    ReadBack {
        /// The temporary directory.
        path: PathBuf,
    },
}
