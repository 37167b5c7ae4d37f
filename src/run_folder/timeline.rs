//! `timeline.csv`: one week of one arm, to be drawn.
use std::path::Path;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::files::{read_csv, write_csv};

/// Name of the timeline in a run folder.
pub const TIMELINE: &str = "timeline.csv";

/// A row of `timeline.csv`: one cell at one time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimelineRow {
    /// Epoch seconds.
    pub epoch: i64,
    /// The service.
    pub service: String,
    /// Need type.
    pub need: String,
    /// Forecast probability of a need; empty where there is no forecast.
    pub probability: Option<f64>,
    /// Threshold the policy has set; empty where there is none.
    pub threshold: Option<f64>,
    /// Whether a stage stands ready.
    #[serde(with = "zero_or_one")]
    pub staged: bool,
    /// Whether a need arose since the row before.
    #[serde(with = "zero_or_one")]
    pub needed: bool,
    /// What became of the need or the stage since the row before.
    pub outcome: Option<Outcome>,
}

/// How a need or a stage ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A need whose stage was ready.
    Hit,
    /// A need whose stage was not ready.
    Miss,
    /// A stage that expired unused.
    Expired,
    /// A stage the policy withdrew.
    Withdrawn,
    /// A stage that was rolled back unused.
    RolledBack,
}

/// Reads `timeline.csv`; without the file the answer is empty.
pub fn read_timeline(run: &Path) -> Result<Vec<TimelineRow>> {
    let path = run.join(TIMELINE);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let rows: Vec<TimelineRow> = read_csv(&path, &["probability", "threshold", "outcome"])?;
    for (index, row) in rows.iter().enumerate() {
        for (column, value) in [
            ("probability", row.probability),
            ("threshold", row.threshold),
        ] {
            ensure!(
                value.is_none_or(|value| (0.0..=1.0).contains(&value)),
                "`{}`: line {}, column `{column}`: found {} (allowed: 0 to 1, or empty)",
                path.display(),
                index + 2,
                value.unwrap_or_default()
            );
        }
    }
    Ok(rows)
}

/// Writes `timeline.csv`.
pub fn write_timeline(run: &Path, rows: &[TimelineRow]) -> Result<()> {
    write_csv(&run.join(TIMELINE), rows)
}

/// Booleans as 0 and 1, as every CSV file of the project has them.
mod zero_or_one {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(flag: &bool, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(u8::from(*flag))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
        match u8::deserialize(deserializer)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(D::Error::custom(format!("found `{other}` (allowed: 0, 1)"))),
        }
    }
}
