//! Everything that can go wrong in a store, with what was found, what is allowed and what to do.
use std::io;

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk refused.
    #[error("cannot {action} `{path}`: {cause}")]
    Io {
        /// The file or directory.
        path: String,
        /// What was tried.
        action: &'static str,
        /// The system's answer.
        cause: io::Error,
    },
    /// The directory is no store.
    #[error(
        "`{path}` is not a store: it has no `store.json`\n\nhint: `prestage ingest` makes one in a \
         directory that is empty or absent"
    )]
    NotAStore {
        /// The directory.
        path: String,
    },
    /// The directory holds something else.
    #[error("`{path}` is not empty and is not a store\n\nhint: name a new directory")]
    Occupied {
        /// The directory.
        path: String,
    },
    /// Another process writes to the store.
    #[error(
        "another process writes to the store `{path}`\n\nhint: one writer at a time; `prestage \
         query` needs no lock"
    )]
    Locked {
        /// The store.
        path: String,
    },
    /// A file of another version.
    #[error("`{path}`: format version {found} (known: {known})")]
    Version {
        /// The file.
        path: String,
        /// Its version.
        found: u32,
        /// The version this program reads.
        known: u32,
    },
    /// A file does not say what was written to it.
    #[error("`{path}` is damaged: {problem}")]
    Damaged {
        /// The file.
        path: String,
        /// What does not fit.
        problem: String,
    },
    /// The manifest is missing or does not say what was written to it.
    #[error(
        "`{path}` is damaged: {problem}\n\nhint: `prestage store rebuild` makes it again from the \
         partitions and the log"
    )]
    Manifest {
        /// The file.
        path: String,
        /// What does not fit.
        problem: String,
    },
    /// A manifest that needs no rebuilding.
    #[error(
        "`{path}` is sound, and is not rebuilt\n\nhint: `prestage store check` compares the files \
         with it"
    )]
    ManifestIsSound {
        /// The file.
        path: String,
    },
    /// Parquet could not be written.
    #[error("cannot encode `{path}`: {cause}")]
    Encode {
        /// The partition.
        path: String,
        /// What the encoder said.
        cause: parquet::errors::ParquetError,
    },
    /// One series more than the store may hold.
    #[error(
        "series `{series}` would be number {count} of the store (allowed: {limit})\n\nhint: a label \
         that never repeats (a request, a pod) is no service; raise `max_series` in `store.json` if \
         this many are meant"
    )]
    Cardinality {
        /// The series that was refused.
        series: String,
        /// Its number.
        count: usize,
        /// Series that the store may hold.
        limit: usize,
    },
    /// A metric's name that Prometheus would refuse.
    #[error("metric `{name}` (allowed: 1 to 200 of letters, digits, `_` and `:`, no digit first)")]
    MetricName {
        /// The name.
        name: String,
    },
    /// A service's name that cannot be stored.
    #[error("service `{name}` (allowed: at most 256 bytes without control characters)")]
    ServiceName {
        /// The name.
        name: String,
    },
    /// A question in SQL that has no answer.
    #[cfg(feature = "sql")]
    #[error("{problem}\n\nhint: {hint}")]
    Sql {
        /// What is wrong with it.
        problem: String,
        /// What can be asked.
        hint: &'static str,
    },
    /// A query that has no answer.
    #[error("{problem}")]
    Query {
        /// What is wrong with it, what is allowed, and a hint.
        problem: String,
    },
}

impl Error {
    /// Whether the machine is at fault (exit code 3), not the user's input (exit code 2).
    pub fn is_environment(&self) -> bool {
        match self {
            Self::Io { cause, .. } => !matches!(
                cause.kind(),
                io::ErrorKind::NotFound
                    | io::ErrorKind::IsADirectory
                    | io::ErrorKind::NotADirectory
                    | io::ErrorKind::InvalidInput
            ),
            Self::Locked { .. }
            | Self::Damaged { .. }
            | Self::Manifest { .. }
            | Self::Encode { .. } => true,
            _ => false,
        }
    }
}
