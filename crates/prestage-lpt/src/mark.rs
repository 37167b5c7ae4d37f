//! What a target's file carries so that it reads back as exactly the stages it was made from.
//!
//! A job's name does not say which part of it is a region, and an inactive stage's gates leave no
//! edge. Both travel as environment variables with the prefix `PRESTAGE_`, which survive a person's
//! edit of the file (comments do not) and mean the same on every target. Knows no target.

use std::collections::BTreeMap;

use crate::assembly::AssembledStage;

/// Variables of this prefix belong to the drivers; templates may not set them.
pub(crate) const PREFIX: &str = "PRESTAGE_";

const GROUP: &str = "PRESTAGE_GROUP";
const REGION: &str = "PRESTAGE_REGION";
const GATES: &str = "PRESTAGE_GATES";
const STAGED: &str = "PRESTAGE_STAGED";
const STAGE_KEY: &str = "PRESTAGE_STAGE_KEY";
/// Tells a stage which of its parallel copies it is, from 1.
pub(crate) const SHARD_INDEX: &str = "SHARD_INDEX";
/// Tells a stage how many parallel copies there are.
pub(crate) const SHARD_COUNT: &str = "SHARD_COUNT";

/// The marks of one stage as read from a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) group: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) gates: Vec<String>,
    /// Name and short key of the staged stage that it belongs to.
    pub(crate) staged: Option<(String, String)>,
    /// Parallel copies, which may be one.
    pub(crate) shards: Option<u32>,
}

/// The variables of a stage: its own, its marks and, given how a copy learns its number, the shard.
pub(crate) fn variables(
    assembled: &AssembledStage<'_>,
    shard_index: &str,
) -> BTreeMap<String, String> {
    let stage = assembled.stage;
    let mut variables = BTreeMap::new();
    let mut mark = |name: &str, value: String| {
        variables.insert(name.to_owned(), value);
    };
    if stage.group != stage.name {
        mark(GROUP, stage.group.clone());
    }
    if let Some(region) = &stage.region {
        mark(REGION, region.clone());
    }
    if !stage.gates.is_empty() {
        mark(GATES, stage.gates.join(" "));
    }
    if let Some(staged) = &assembled.staged {
        mark(STAGED, staged.stage.name.clone());
        mark(STAGE_KEY, staged.stage.key.short().to_owned());
    }
    if let Some(count) = stage.shards {
        mark(SHARD_INDEX, shard_index.to_owned());
        mark(SHARD_COUNT, count.to_string());
    }
    variables
}

/// Takes the marks out of a job's variables and leaves the stage's own.
pub(crate) fn take(variables: &mut BTreeMap<String, String>) -> Marks {
    let name = variables.remove(STAGED);
    let key = variables.remove(STAGE_KEY);
    let index = variables.remove(SHARD_INDEX);
    let count = variables
        .get(SHARD_COUNT)
        .and_then(|count| count.parse().ok());
    if index.is_some() && count.is_some() {
        variables.remove(SHARD_COUNT);
    }
    Marks {
        group: variables.remove(GROUP),
        region: variables.remove(REGION),
        gates: variables
            .remove(GATES)
            .map(|gates| gates.split(' ').map(str::to_owned).collect())
            .unwrap_or_default(),
        staged: name.zip(key),
        shards: index.and(count),
    }
}
