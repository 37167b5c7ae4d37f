//! prestage: stages deployment pipelines before they are asked for, and learns how
//! sure to be.
//!
//! This package joins the libraries: the command line, tuning and comparison of
//! arms, replay of recorded histories, training runs, reports, and the repository
//! of pipelines behind the controller's host port. What it must never know: the
//! inner workings of the algorithms.
pub mod commands;
pub mod scenarios;
pub mod config;
pub mod run_folder;
pub mod statistics;
pub mod compare;
pub mod tune;
#[cfg(feature = "train")]
pub mod training;
pub mod evaluation;
pub mod replaying;
pub mod pipelines;
pub mod timeline;
pub mod report;
pub mod output;
pub mod progress;
pub mod fault;
