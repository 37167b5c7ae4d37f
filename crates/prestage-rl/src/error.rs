//! Everything that can go wrong in training, one variant a cause.
use std::path::PathBuf;

/// Why training was refused or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No algorithm of that name.
    #[error(
        "unknown algorithm `{name}` (known: {known})\n\nhint: `prestage list algorithms` describes each"
    )]
    UnknownAlgorithm {
        /// What was asked for.
        name: String,
        /// The registry.
        known: String,
    },
    /// Settings that do not parse; the source names the key and what is allowed.
    #[error("settings of `{algorithm}`: {source}")]
    Settings {
        /// The algorithm.
        algorithm: &'static str,
        /// Which key, and what is allowed.
        source: serde_json::Error,
    },
    /// A setting outside its range.
    #[error("`{key}` is `{found}` (allowed: {allowed})")]
    OutOfRange {
        /// The setting.
        key: &'static str,
        /// Its value.
        found: String,
        /// Its range.
        allowed: &'static str,
    },
    /// Minibatches would not cover the rollout.
    #[error(
        "`batch_size` is {batch_size}, which does not divide `n_steps` x rows = {n_steps} x \
         {total_rows} = {rollout}\n\nhint: a rollout is cut into whole minibatches; the largest \
         allowed `batch_size` not above yours is {nearest}"
    )]
    BatchDoesNotDivide {
        /// The setting.
        batch_size: usize,
        /// The other setting.
        n_steps: usize,
        /// Rows of the vector environment.
        total_rows: usize,
        /// Their product.
        rollout: usize,
        /// A divisor to use instead.
        nearest: usize,
    },
    /// Not even one update fits into the budget.
    #[error(
        "`total_steps` is {total_steps} (allowed: at least {needed}, which is a warm-up of \
         {warmup} and one rollout of `n_steps` x rows = {rollout} row-steps)"
    )]
    BudgetTooSmall {
        /// The setting, in row-steps.
        total_steps: u64,
        /// The least that trains.
        needed: u64,
        /// Row-steps of the warm-up.
        warmup: u64,
        /// Row-steps of one rollout.
        rollout: u64,
    },
    /// The environment changed between two calls.
    #[error(
        "the environment differs from the one that training began with: {what} is `{found}` (allowed: `{expected}`)"
    )]
    EnvDiffers {
        /// What differs.
        what: &'static str,
        /// Now.
        found: String,
        /// Then.
        expected: String,
    },
    /// NaN or infinity out of an environment.
    #[error("environment `{env}` gave `{value}` for {what} of row {row} (allowed: finite values)")]
    EnvNotFinite {
        /// Registry name of the environment.
        env: String,
        /// `reward`, or a field of the layout.
        what: String,
        /// The row.
        row: usize,
        /// What it gave.
        value: f32,
    },
    /// The numbers of the update left the finite range.
    #[error(
        "training diverged: {what} is `{value}` (allowed: finite values)\n\n\
         hint: lower `learning_rate` or `max_grad_norm`, or scale the rewards down"
    )]
    Diverged {
        /// Which number.
        what: &'static str,
        /// Its value.
        value: f64,
    },
    /// burn could not write or read its records.
    #[error("{what} cannot be {attempt}: {reason}")]
    Record {
        /// Name of the part.
        what: &'static str,
        /// `written` or `read`.
        attempt: &'static str,
        /// burn's reason.
        reason: String,
    },
    /// A checkpoint that is not what was written.
    #[error(
        "`{}`: damaged checkpoint: {reason}\n\n\
         hint: delete it, and training resumes from the one before",
        path.display()
    )]
    CheckpointDamaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A checkpoint of another run.
    #[error(
        "`{}`: `{key}` is `{found}` (allowed: `{expected}`, as configured now)\n\n\
         hint: resume with the settings and the environment of the checkpoint, or start a new run",
        path.display()
    )]
    CheckpointOther {
        /// The file.
        path: PathBuf,
        /// The first setting that differs.
        key: String,
        /// The checkpoint's.
        found: String,
        /// The one of now.
        expected: String,
    },
    /// Nothing to resume from.
    #[error(
        "`{}`: no valid checkpoint (allowed: at least one `update-*.ckpt`){}",
        directory.display(),
        list(damaged)
    )]
    NoCheckpoint {
        /// Where they were looked for.
        directory: PathBuf,
        /// Those that were found, and why they were refused.
        damaged: Vec<Error>,
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
    /// Export or crash-safe writing failed.
    #[error(transparent)]
    Policy(#[from] prestage_policy::Error),
}

fn list(damaged: &[Error]) -> String {
    damaged.iter().map(|error| format!("\n  {error}")).collect()
}
