//! Killed anywhere, resumed to the same end.
