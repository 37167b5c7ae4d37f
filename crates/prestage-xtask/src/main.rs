//! `cargo xtask house`: the house rules, checked by a program that fails.
//!
//! Prints one line per problem and exits with 1 if there is any. A rule is a pure
//! function over parsed input and is tested on a planted violation. Must never know:
//! what our crates do; it reads their manifests and their text.

mod table;

mod problem;

mod dependencies;

mod lexer;

mod sources;

mod configs;

mod files;

use std::error::Error;
use std::path::Path;
use std::process::{Command, ExitCode};

use crate::dependencies::Metadata;
use crate::problem::Problem;

const SOURCE_FOLDERS: &[&str] = &[
    "crates", "src", "envs", "tests", "benches", "examples", "python",
];
const CONFIG_FOLDERS: &[&str] = &["scenarios", "experiments"];
const USAGE: &str = "usage: cargo xtask house

commands:
  house   dependency table, module docs, forbidden calls, determinism, TOML syntax";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["house"] => report(house()),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// What was looked at and what was found.
struct House {
    package_count: usize,
    source_count: usize,
    config_count: usize,
    problems: Vec<Problem>,
}

fn house() -> Result<House, Box<dyn Error>> {
    let metadata = metadata()?;
    let root = Path::new(&metadata.workspace_root);
    let sources = files::read_all(root, SOURCE_FOLDERS, "rs")?;
    let configs = files::read_all(root, CONFIG_FOLDERS, "toml")?;

    let mut problems = dependencies::check(&metadata);
    problems.extend(sources::check(&sources));
    problems.extend(
        configs
            .iter()
            .filter_map(|file| configs::check(&file.path, &file.text)),
    );
    Ok(House {
        package_count: metadata.member_count(),
        source_count: sources.len(),
        config_count: configs.len(),
        problems,
    })
}

/// Asks the cargo that runs us, with all features on: an optional dependency counts.
fn metadata() -> Result<Metadata, Box<dyn Error>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--all-features"])
        .output()?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`cargo metadata` failed: {}", stderr.trim()).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn report(house: Result<House, Box<dyn Error>>) -> ExitCode {
    let house = match house {
        Ok(house) => house,
        Err(error) => {
            eprintln!("error: the house could not be checked: {error}");
            return ExitCode::from(3);
        }
    };
    for problem in &house.problems {
        println!("{problem}");
    }
    match house.problems.len() {
        0 => println!(
            "house: ok ({} packages, {} source files, {} configuration files)",
            house.package_count, house.source_count, house.config_count
        ),
        1 => println!("1 problem"),
        count => println!("{count} problems"),
    }
    if house.problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
