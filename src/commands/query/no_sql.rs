//! What `prestage query --sql` says in a binary that was built without it.
use anyhow::{Result, bail};
use prestage_store::Snapshot;

use super::QueryArgs;

pub(super) fn run(_snapshot: Snapshot, _text: &str, _args: &QueryArgs) -> Result<()> {
    bail!(
        "this program was built without SQL\n\nhint: `cargo build --release --features sql` builds one with it; \
         `prestage query STORE --metric NAME --every 5m --agg mean,p95` needs none"
    )
}
