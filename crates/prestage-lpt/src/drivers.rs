//! The targets, one file each.

pub mod github;
pub mod gitlab;
