//! prestage: stages deployment pipelines before they are asked for, and learns how
//! sure to be.
//!
//! This package joins the libraries: the command line, tuning and comparison of
//! arms, replay of recorded histories, training runs, reports, and the repository
//! of pipelines behind the controller's host port. What it must never know: the
//! inner workings of the algorithms.
pub mod agreement;
pub mod arms;
pub mod backtest;
pub mod calibrate;
pub mod commands;
pub mod compare;
pub mod config;
pub mod detection;
pub mod dials;
pub mod evaluation;
pub mod fault;
pub mod frontier;
pub mod ladder;
pub mod moment;
pub mod optimise;
pub mod output;
pub mod pipelines;
pub mod progress;
pub mod remote_stream;
pub mod replaying;
pub mod report;
pub mod run_folder;
pub mod scenarios;
pub mod statistics;
pub mod telemetry_stream;
pub mod timeline;
#[cfg(feature = "train")]
pub mod training;
pub mod tune;
