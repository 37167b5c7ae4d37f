//! One broken rule, as it is printed.
//!
//! Must not know the rules.

use std::fmt;

/// A broken rule at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Package, file, or file and line.
    pub place: String,
    /// What was found, what is allowed, what to do.
    pub message: String,
}

impl Problem {
    /// A problem with a whole package or file.
    pub fn at(place: &str, message: String) -> Self {
        Self {
            place: place.to_owned(),
            message,
        }
    }

    /// A problem in a line, counted from 1.
    pub fn at_line(path: &str, line: usize, message: String) -> Self {
        Self {
            place: format!("{path}:{line}"),
            message,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}
