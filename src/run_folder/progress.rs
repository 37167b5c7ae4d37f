//! `progress.jsonl`: how training went, a line an update.
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::files::{read_text, write_file};

/// Name of the training log in a run folder.
pub const PROGRESS: &str = "progress.jsonl";

/// A line of `progress.jsonl`: one training update of one training seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Training seed.
    pub seed: u64,
    /// Update, counted from 1.
    pub update: u64,
    /// Environment steps taken so far, summed over the rows (cells) of the batch.
    pub row_steps: u64,
    /// Mean reward of the rollout.
    pub reward_mean: f64,
    /// Mean return of the episodes that ended in the rollout, if one did.
    pub episode_return_mean: Option<f64>,
    /// Cost divided by the static policy's on the same traces, where it was evaluated.
    pub cost_ratio_to_static: Option<f64>,
    /// Loss of the policy.
    pub policy_loss: f64,
    /// Loss of the value function.
    pub value_loss: f64,
    /// Entropy of the policy, nats.
    pub entropy: f64,
    /// Estimated KL divergence between the old and the new policy, nats.
    pub approx_kl: f64,
    /// Share of samples whose ratio was clipped.
    pub clip_fraction: f64,
    /// Share of the returns' variance the value function explains; undefined for constant
    /// returns.
    pub explained_variance: Option<f64>,
    /// Step size of the optimizer.
    pub learning_rate: f64,
}

/// Reads `progress.jsonl`; without the file there was no training, and the answer is empty.
///
/// The last line is ignored when it has no newline: a kill cut it short.
pub fn read_progress(run: &Path) -> Result<Vec<Progress>> {
    let path = run.join(PROGRESS);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = read_text(&path)?;
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    let lines = complete
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            serde_json::from_str(line)
                .with_context(|| format!("`{}`: line {}", path.display(), index + 1))
        })
        .collect()
}

/// Replaces `progress.jsonl`, as a resumed run does with what its checkpoint covers.
pub fn write_progress(run: &Path, rows: &[Progress]) -> Result<()> {
    let mut lines = Vec::new();
    for row in rows {
        lines.extend(progress_line(row)?);
    }
    write_file(&run.join(PROGRESS), &lines)
}

/// Appends one line to `progress.jsonl`.
pub fn append_progress(run: &Path, row: &Progress) -> Result<()> {
    let path = run.join(PROGRESS);
    let line = progress_line(row)?;
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(&line))
        .with_context(|| format!("cannot append to `{}`", path.display()))
}

fn progress_line(row: &Progress) -> Result<Vec<u8>> {
    // JSON has no NaN; serde_json would write `null`, which no reader could tell from a
    // value that was never measured.
    let numbers = [
        row.reward_mean,
        row.policy_loss,
        row.value_loss,
        row.entropy,
        row.approx_kl,
        row.clip_fraction,
        row.learning_rate,
    ];
    let optional = [
        row.episode_return_mean,
        row.cost_ratio_to_static,
        row.explained_variance,
    ];
    let is_finite = numbers
        .into_iter()
        .chain(optional.into_iter().flatten())
        .all(f64::is_finite);
    ensure!(
        is_finite,
        "update {} of training seed {} is not finite",
        row.update,
        row.seed
    );
    let mut line = serde_json::to_vec(row).context("cannot encode a line of progress")?;
    line.push(b'\n');
    Ok(line)
}
