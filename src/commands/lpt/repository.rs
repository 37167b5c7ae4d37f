//! Opening a pipelines repository from the command line, and the time that its commits carry.
use std::path::Path;

use anyhow::{Context, Result, ensure};
use clap::Args;
use prestage_lpt::{GitStore, PipelineRepository};

/// When an operation by a person happens.
#[derive(Clone, Copy, Debug, Args)]
pub struct At {
    /// Commit time, unix seconds; now when not given.
    #[arg(long)]
    at: Option<i64>,
}

impl At {
    /// Unix seconds.
    pub(super) fn seconds(self) -> i64 {
        self.at.unwrap_or_else(now)
    }
}

/// Opens a repository that must be there: a mistyped path must not make one, nor must
/// an empty folder become one.
pub(super) fn open(path: &Path) -> Result<PipelineRepository> {
    ensure!(
        is_there(path),
        "there is no repository `{}`\n\nhint: `prestage lpt put` makes one, and `prestage replay --pipelines DIR.git`",
        path.display()
    );
    open_or_make(path)
}

/// Opens a repository, or makes one where nothing is or an empty folder.
///
/// One that is made here holds what nobody can compute again, so its commits are flushed to the
/// disk. A replay makes its own without: it can be run again.
pub(super) fn open_or_make(path: &Path) -> Result<PipelineRepository> {
    let is_new = !is_there(path);
    let context = || format!("cannot open `{}`", path.display());
    let mut store = GitStore::open(path).with_context(context)?;
    if is_new {
        store = store.durable().with_context(context)?;
    }
    Ok(PipelineRepository::open(Box::new(store))?)
}

/// Whether a git repository is at a path.
pub(super) fn is_there(path: &Path) -> bool {
    path.join("HEAD").is_file() || path.join(".git").exists()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a commit by a person carries the time of day"
)]
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs() as i64)
}
