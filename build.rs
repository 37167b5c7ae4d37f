//! Tells the program which revision it was built from.
use std::path::Path;
use std::process::Command;

fn main() {
    // The log of HEAD changes with every commit and checkout; outside a clone there
    // is none, and the revision is unknown.
    if Path::new(".git/logs/HEAD").exists() {
        println!("cargo::rerun-if-changed=.git/logs/HEAD");
    }
    println!("cargo::rerun-if-changed=build.rs");
    let output = Command::new("git")
        .args(["rev-parse", "--short=12", "HEAD"])
        .output();
    let revision = output
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| String::from_utf8(output.stdout).ok());
    let revision = revision.as_deref().map_or("unknown", str::trim);
    println!("cargo::rustc-env=PRESTAGE_GIT_REVISION={revision}");
}
