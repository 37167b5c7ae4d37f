//! `store.json`: the settings of a store, which people may edit.
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::manifest::{FORMAT_VERSION, Manifest};
use crate::{Error, SERIES_LIMIT_DEFAULT, disk, wal};

const FILE: &str = "store.json";

/// Settings of a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreOptions {
    /// Version of the store's formats.
    pub format_version: u32,
    /// Series that are admitted, at least 1.
    pub max_series: usize,
    /// Samples that the tail holds before it is sealed, at least 1; 16 bytes of memory each.
    pub tail_rows_max: usize,
    /// How long what is kept.
    pub retention: Retention,
}

/// How long each tier is kept, days before the day of the newest retention pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Raw samples; then five-minute rows take their place.
    pub raw_days: u32,
    /// Five-minute rows, at least `raw_days`; then hourly rows take their place.
    pub five_minutes_days: u32,
    /// Hourly rows, at least `five_minutes_days`; then nothing is left. For ever when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hour_days: Option<u32>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            format_version: FORMAT_VERSION,
            max_series: SERIES_LIMIT_DEFAULT,
            tail_rows_max: 4_000_000,
            retention: Retention {
                raw_days: 400,
                five_minutes_days: 1_200,
                hour_days: None,
            },
        }
    }
}

impl StoreOptions {
    fn validate(&self, path: &Path) -> Result<(), Error> {
        if self.format_version != FORMAT_VERSION {
            return Err(Error::Version {
                path: path.display().to_string(),
                found: self.format_version,
                known: FORMAT_VERSION,
            });
        }
        let Retention {
            raw_days,
            five_minutes_days,
            hour_days,
        } = self.retention;
        let problem = if self.max_series == 0 || self.tail_rows_max == 0 {
            Some("`max_series` and `tail_rows_max` are at least 1".to_owned())
        } else if five_minutes_days < raw_days || hour_days.is_some_and(|d| d < five_minutes_days) {
            Some(format!(
                "`raw_days` is {raw_days}, `five_minutes_days` is {five_minutes_days}, `hour_days` is \
                 {} (allowed: each at least the one before)",
                hour_days.map_or("absent".to_owned(), |days| days.to_string())
            ))
        } else {
            None
        };
        problem.map_or(Ok(()), |problem| {
            Err(Error::Query {
                problem: format!("`{}`: {problem}", path.display()),
            })
        })
    }
}

/// Whether there is a store in `root`.
pub fn exists(root: &Path) -> bool {
    root.join(FILE).is_file()
}

/// Reads the settings of the store in `root`.
pub fn read(root: &Path) -> Result<StoreOptions, Error> {
    let path = root.join(FILE);
    if !exists(root) {
        return Err(Error::NotAStore {
            path: root.display().to_string(),
        });
    }
    let text = fs::read_to_string(&path).map_err(|cause| disk::failed(&path, "read", cause))?;
    let options: StoreOptions = serde_json::from_str(&text).map_err(|problem| Error::Query {
        problem: format!("`{}`: {problem}", path.display()),
    })?;
    options.validate(&path)?;
    Ok(options)
}

/// Makes an empty store; `store.json` comes last, so that a killed attempt is made again.
pub fn create(root: &Path, options: &StoreOptions) -> Result<(), Error> {
    options.validate(&root.join(FILE))?;
    disk::make_directory(root)?;
    let entries = fs::read_dir(root).map_err(|cause| disk::failed(root, "read", cause))?;
    for entry in entries {
        let name = entry
            .map_err(|cause| disk::failed(root, "read", cause))?
            .file_name();
        let is_ours = name.to_str().is_some_and(|name| {
            name == wal::FOLDER || name.starts_with("manifest.json") || name.starts_with(FILE)
        });
        if !is_ours {
            return Err(Error::Occupied {
                path: root.display().to_string(),
            });
        }
    }
    disk::make_directory(&root.join(wal::FOLDER))?;
    Manifest::empty().write(root)?;
    let mut text = serde_json::to_vec_pretty(options).expect("options are plain numbers");
    text.push(b'\n');
    disk::write_whole(&root.join(FILE), &text)
}
