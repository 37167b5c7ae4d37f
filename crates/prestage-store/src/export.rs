//! Exporters: the samples of a store for other tools.
pub mod openmetrics;
pub mod remote_write;
