//! What an importer refuses.
use std::io;

/// A failure of an import.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The history cannot be read or written.
    #[error(transparent)]
    History(#[from] prestage_telemetry::history::Error),
    /// A file or directory cannot be read.
    #[error("cannot read `{path}`: {cause}")]
    Io {
        /// The file.
        path: String,
        /// The system's answer.
        cause: io::Error,
    },
    /// The path is no git repository, or has no commit.
    #[error(
        "`{path}` cannot be read as a git repository: {problem}\n\nhint: name a clone, bare or not, \
         with at least one commit"
    )]
    Git {
        /// The path.
        path: String,
        /// What git said.
        problem: String,
    },
    /// A file does not have the expected form.
    #[error("`{path}`{place}: found {found} (allowed: {allowed})")]
    Form {
        /// The file.
        path: String,
        /// Empty, or `: line 3`.
        place: String,
        /// What is there.
        found: String,
        /// What may be there.
        allowed: String,
    },
    /// A text that is not of its kind.
    #[error("`{path}`: {cause}")]
    Text {
        /// The file.
        path: String,
        /// What does not fit, and where.
        cause: crate::Error,
    },
    /// A directory without a file to import.
    #[error("`{path}` has no file that ends in `.json`")]
    NoFiles {
        /// The directory.
        path: String,
    },
    /// A server did not give a usable answer after several attempts.
    #[error(
        "`{url}` gave no usable answer in {attempts} attempts, the last: {problem}\n\nhint: what was \
         fetched is kept; the same command goes on from there"
    )]
    Unreachable {
        /// The address.
        url: String,
        /// How often it was asked.
        attempts: u32,
        /// What went wrong the last time.
        problem: String,
    },
    /// A server refused the request itself.
    #[error("`{url}` refused the request: {problem}")]
    Refused {
        /// The address.
        url: String,
        /// What it said.
        problem: String,
    },
}

impl Error {
    /// Whether the outside world is at fault (exit code 3), not the user's input (exit code 2).
    pub fn is_environment(&self) -> bool {
        match self {
            Self::History(error) => error.is_environment(),
            Self::Io { cause, .. } => !matches!(
                cause.kind(),
                io::ErrorKind::NotFound
                    | io::ErrorKind::IsADirectory
                    | io::ErrorKind::NotADirectory
            ),
            Self::Unreachable { .. } => true,
            _ => false,
        }
    }
}
