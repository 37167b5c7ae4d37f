//! Searches for the minimum of a function that is only evaluated.
//!
//! Must not know arms, knobs, dollars or files: `tune.rs` says what is searched.
mod cma_es;
mod symmetric;

pub use cma_es::CmaEs;
