//! Exporters: the samples of a store, and small tables, for other tools.
pub mod openmetrics;
pub mod remote_write;
pub mod table;
