//! The targets, one file each.

pub mod argo;
mod fields;
pub mod github;
pub mod gitlab;
pub mod json;
mod kubernetes;
pub mod tekton;
