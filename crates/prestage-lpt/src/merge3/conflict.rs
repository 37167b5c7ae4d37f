//! A disagreement of two sides as a value, and what a person decides about it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One of the two descendants of a base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// What is live.
    Ours,
    /// What the new template gives.
    Theirs,
}

/// Why two sides cannot both be had.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ConflictKind {
    /// Both changed one value differently.
    BothChanged,
    /// Both added one key with different values.
    BothAdded,
    /// Ours deleted what theirs changed.
    OursDeleted,
    /// Theirs deleted what ours changed.
    TheirsDeleted,
    /// Both reordered one list differently.
    Order,
    /// Ours changed what the new template seals.
    Policy,
    /// The fields merge, but the whole is not a valid pipeline.
    Semantic,
}

impl ConflictKind {
    /// The name used in records and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BothChanged => "both_changed",
            Self::BothAdded => "both_added",
            Self::OursDeleted => "ours_deleted",
            Self::TheirsDeleted => "theirs_deleted",
            Self::Order => "order",
            Self::Policy => "policy",
            Self::Semantic => "semantic",
        }
    }

    /// The side that loses least: an instance's own words over the template's, content over its
    /// absence, and the template where ours is not allowed.
    pub fn suggested(self) -> Side {
        match self {
            Self::BothChanged | Self::BothAdded | Self::TheirsDeleted | Self::Order => Side::Ours,
            Self::OursDeleted | Self::Policy | Self::Semantic => Side::Theirs,
        }
    }

    /// The kind that the same disagreement has when the sides are swapped.
    pub fn mirrored(self) -> Self {
        match self {
            Self::OursDeleted => Self::TheirsDeleted,
            Self::TheirsDeleted => Self::OursDeleted,
            other => other,
        }
    }
}

/// One disagreement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Conflict {
    /// Where, as in `/stages/[name=build]/env/IMAGE`.
    pub path: String,
    /// Why.
    pub kind: ConflictKind,
    /// The value that both sides started from; absent when there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Value>,
    /// What is live; absent when deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ours: Option<Value>,
    /// What the new template gives; absent when deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub theirs: Option<Value>,
    /// The side that loses least.
    pub suggested: Side,
    /// For a semantic conflict, what is wrong with the whole; else empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// What a person decided about a conflict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// Take what is live.
    Ours,
    /// Take what the new template gives.
    Theirs,
    /// Take this.
    Value(Value),
}

/// Decisions by path.
pub type Decisions = BTreeMap<String, Resolution>;
