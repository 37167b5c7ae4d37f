//! Drift: how far what is live is from what the templates give.
//!
//! Two things can differ. The definition may carry edits of the instance: those are overrides, and
//! every update keeps them. An emitted file may have been edited by hand: what it says becomes an
//! override before prestage writes to the service again; where that cannot be, the report says why,
//! the service is held and the file is left alone.

use serde::{Deserialize, Serialize};

use crate::canonical::to_value;
use crate::driver::OutputFile;
use crate::merge3::{Edit, edits};
use crate::plan::PlanProblem;
use crate::store::Files;

/// How a file differs from what the definition emits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileDriftKind {
    /// Its bytes differ.
    Edited,
    /// It is not there.
    Missing,
}

impl FileDriftKind {
    /// The name used in documents and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Edited => "edited",
            Self::Missing => "missing",
        }
    }
}

/// One emitted file that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileDrift {
    /// Path in the service's folder.
    pub path: String,
    /// How it differs.
    pub kind: FileDriftKind,
}

/// The drift of one service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    /// What the instance changed in the definition.
    pub overrides: Vec<Edit>,
    /// Emitted files that were edited by hand.
    pub files: Vec<FileDrift>,
    /// What those files say otherwise than the definition: overrides to be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hand_edits: Vec<Edit>,
    /// Why the edits cannot be taken over and the service is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<PlanProblem>,
}

/// The overrides of a definition over its base.
pub(crate) fn overrides<T: Serialize>(base: &T, live: &T) -> Vec<Edit> {
    edits(&to_value(base), &to_value(live))
}

/// The emitted files that `stored` has otherwise.
pub(crate) fn file_drift(emitted: &[OutputFile], stored: &Files) -> Vec<FileDrift> {
    let drift = |file: &OutputFile| {
        let kind = match stored.get(&file.path) {
            None => FileDriftKind::Missing,
            Some(bytes) if **bytes != *file.bytes => FileDriftKind::Edited,
            Some(_) => return None,
        };
        Some(FileDrift {
            path: file.path.clone(),
            kind,
        })
    };
    emitted.iter().filter_map(drift).collect()
}
