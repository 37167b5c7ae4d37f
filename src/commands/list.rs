//! `prestage list`: the registries.
use anyhow::Result;
use clap::{Args, ValueEnum};
use prestage_controller::{BASELINES, KNOBS, PRICE_BOOKS};
use prestage_envs::ENVS;
use prestage_forecast::NEED_MODELS;
use prestage_forecast::series::FORECASTERS;
use prestage_lpt::{DRIVERS, TemplateSet};
use prestage_telemetry::detect::DETECTORS;
use prestage_world::{Scenario, WORKLOADS};

use super::{OutputArgs, print_table};
use crate::arms::{ARMS, ArmEntry};
use crate::output::{Cell, Table};
use crate::scenarios::SHIPPED;

/// Arguments of `list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// What to list.
    #[arg(value_enum)]
    kind: Kind,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Scenarios,
    Workloads,
    Forecasters,
    NeedModels,
    Detectors,
    Baselines,
    Arms,
    Knobs,
    Prices,
    Envs,
    Algos,
    Drivers,
    Templates,
    Fields,
}

pub(super) fn run(args: &ListArgs) -> Result<()> {
    let mut table = Table::new(&["name", "about"]);
    for (name, about) in entries(args.kind)? {
        table.push(vec![Cell::text(name), Cell::text(about)]);
    }
    print_table(&table, args.output)
}

fn entries(kind: Kind) -> Result<Vec<(String, String)>> {
    let pair = |name: &str, about: &str| (name.to_owned(), about.to_owned());
    Ok(match kind {
        Kind::Scenarios => scenarios()?,
        Kind::Workloads => WORKLOADS
            .iter()
            .map(|entry| pair(entry.name, entry.about))
            .collect(),
        Kind::Forecasters => FORECASTERS
            .iter()
            .map(|entry| pair(entry.name, entry.about))
            .collect(),
        Kind::NeedModels => NEED_MODELS
            .iter()
            .map(|entry| pair(entry.name, entry.about))
            .collect(),
        Kind::Detectors => DETECTORS
            .iter()
            .map(|entry| pair(entry.name, entry.about))
            .collect(),
        Kind::Baselines => BASELINES
            .iter()
            .map(|entry| pair(entry.name, entry.about))
            .collect(),
        Kind::Arms => ARMS.iter().map(arm_line).collect(),
        Kind::Knobs => KNOBS
            .iter()
            .map(|knob| pair(knob.name(), knob.about()))
            .collect(),
        Kind::Prices => PRICE_BOOKS
            .iter()
            .map(|entry| pair(entry.name, entry.about))
            .collect(),
        Kind::Envs => ENVS
            .iter()
            .map(|entry| pair(entry.name, entry.about))
            .collect(),
        Kind::Algos => algos(),
        Kind::Drivers => DRIVERS
            .iter()
            .map(|driver| pair(driver.name(), driver.about()))
            .collect(),
        Kind::Templates => templates()?,
        Kind::Fields => prestage_controller::layout()
            .fields
            .into_iter()
            .map(|field| (field.name, field.about))
            .collect(),
    })
}

fn arm_line(entry: &ArmEntry) -> (String, String) {
    let numbers: Vec<&str> = entry.parameters().iter().map(|each| each.name).collect();
    let numbers = if numbers.is_empty() {
        "nothing to tune".to_owned()
    } else {
        format!("tunes {}", numbers.join(", "))
    };
    let about = format!("{} ({}; {numbers})", entry.about(), entry.class.name());
    (entry.name.to_owned(), about)
}

fn scenarios() -> Result<Vec<(String, String)>> {
    SHIPPED
        .iter()
        .map(|shipped| {
            let scenario = Scenario::parse(shipped.name, shipped.text, &[])?;
            let about = scenario
                .spec()
                .about
                .split_whitespace()
                .collect::<Vec<&str>>()
                .join(" ");
            Ok((shipped.name.to_owned(), about))
        })
        .collect()
}

fn templates() -> Result<Vec<(String, String)>> {
    let set = TemplateSet::builtin();
    let names: Vec<String> = set.names().map(str::to_owned).collect();
    names
        .into_iter()
        .map(|name| {
            let about = set.resolve(&name)?.description().to_owned();
            Ok((name, about))
        })
        .collect()
}

#[cfg(feature = "train")]
fn algos() -> Vec<(String, String)> {
    prestage_rl::ALGOS
        .iter()
        .map(|entry| (entry.name.to_owned(), entry.about.to_owned()))
        .collect()
}

#[cfg(not(feature = "train"))]
fn algos() -> Vec<(String, String)> {
    eprintln!("this program was built without the feature `train`: there are no algorithms");
    Vec::new()
}
