//! The whole program, tested at its edges: the library where a promise is about
//! results, the built binary where it is about the command line.
//!
//! Every test works in a temporary directory of its own; none needs the network,
//! and the wall clock never decides.
#[cfg(test)]
mod arms;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod conservation;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod detect;
#[cfg(test)]
mod determinism;
#[cfg(test)]
mod dials;
#[cfg(test)]
mod families;
#[cfg(test)]
mod fleet;
#[cfg(test)]
mod forecast;
#[cfg(test)]
mod git_history;
#[cfg(test)]
mod ladder;
#[cfg(test)]
mod lpt;
#[cfg(test)]
mod ports;
#[cfg(test)]
mod registries;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod retraining;
#[cfg(test)]
mod store;
#[cfg(test)]
mod tuning;

#[cfg(test)]
use std::process::{Command, Output};

/// The built program, ready to be run with `args`.
#[cfg(test)]
fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_prestage"));
    command.args(args);
    command
}

/// Runs the program to its end.
#[cfg(test)]
fn run(args: &[&str]) -> Output {
    program(args).output().expect("the program was built")
}

/// Runs the program, which must succeed, and returns its standard output.
#[cfg(test)]
#[track_caller]
fn stdout_of(args: &[&str]) -> String {
    let output = run(args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {stderr}");
    String::from_utf8(output.stdout).expect("standard output is text")
}

/// A path as an argument.
#[cfg(test)]
fn text(path: &std::path::Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}
