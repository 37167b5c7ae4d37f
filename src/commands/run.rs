//! `prestage run`: an experiment, from its file to its report.
use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use clap::Args;

use super::{OutputArgs, given, print, print_table};
use crate::ladder::{
    Climbed, EXPERIMENT, Experiment, Ladder, OnHistory, World, climb, correct_for_many,
    for_all_families, headroom_csv, headroom_table, histories_csv, histories_table, hit_rates_csv,
    ladder_csv, on_histories, orders_csv, overall, overall_csv, prices_csv, read_experiment,
};
use crate::output::Format;
use crate::report;
use crate::run_folder;

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct ExperimentArgs {
    /// Folder with an `experiment.toml`.
    experiment: PathBuf,
    /// Folder to write; a run that was killed goes on where it stopped.
    #[arg(long, value_name = "RUNS")]
    out: PathBuf,
    /// Where the histories that the experiment names lie; they are left out when not given.
    #[arg(long, value_name = "DIR")]
    histories: Option<PathBuf>,
    /// Only these of its families; may be repeated.
    #[arg(long = "family", value_name = "FAMILY")]
    families: Vec<String>,
    /// Threads to use; all cores when 0. Results do not depend on it.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(args: &ExperimentArgs) -> Result<()> {
    let experiment = read_experiment(&args.experiment)?;
    let worlds = experiment.worlds()?;
    for family in &args.families {
        let names: Vec<&str> = worlds.iter().map(|world| world.name.as_str()).collect();
        ensure!(
            names.contains(&family.as_str()),
            "the experiment has no family `{family}` (it has: {})",
            names.join(", ")
        );
    }
    find_histories(args, &experiment)?;
    let wanted = |world: &&World| args.families.is_empty() || args.families.contains(&world.name);
    run_folder::create_folder(&args.out)?;
    let text = toml::to_string(&experiment)?;
    run_folder::write_file(&args.out.join(EXPERIMENT), text.as_bytes())?;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(args.threads)
        .build()?;
    let found = pool.install(|| for_all_families(&args.out, &experiment))?;
    let arms = (experiment.arms.as_slice(), found.as_slice());
    let mut ladders: Vec<Ladder> = Vec::new();
    for world in worlds.iter().filter(wanted) {
        let folder = args.out.join(&world.name);
        eprintln!("{}: {}", world.name, folder.display());
        let climbed: Climbed = pool.install(|| climb(&folder, world, arms, &given()))?;
        report::write(&folder)?;
        ladders.push(Ladder::of(&climbed));
    }
    correct_for_many(&mut ladders);
    run_folder::write_file(&args.out.join("ladder.csv"), &ladder_csv(&ladders)?)?;
    run_folder::write_file(&args.out.join("headroom.csv"), &headroom_csv(&ladders)?)?;
    run_folder::write_file(&args.out.join("prices.csv"), &prices_csv(&ladders)?)?;
    let overall = overall(&ladders);
    run_folder::write_file(&args.out.join("overall.csv"), &overall_csv(&overall)?)?;
    let histories = pool.install(|| replayed(args, &experiment, &ladders))?;
    let page = report::write_ladder(&args.out, &experiment, &ladders, &histories)?;
    eprintln!("report: {}", page.display());
    print_table(&headroom_table(&ladders), args.output)?;
    if args.output.format == Format::Table && !histories.is_empty() {
        print("\nrecorded histories\n\n")?;
        print_table(&histories_table(&histories), args.output)?;
    }
    Ok(())
}

/// Refuses histories that are not there before anything is tuned.
fn find_histories(args: &ExperimentArgs, experiment: &Experiment) -> Result<()> {
    match (&args.histories, &experiment.replay) {
        (Some(directory), Some(spec)) => spec.find_in(directory),
        (Some(_), None) => {
            bail!("--histories is given, but the experiment has no table `replay`")
        }
        (None, _) => Ok(()),
    }
}

/// The histories of the experiment with the arms of one of its families, and their tables; says why
/// where they are left out.
fn replayed(
    args: &ExperimentArgs,
    experiment: &Experiment,
    ladders: &[Ladder],
) -> Result<Vec<OnHistory>> {
    let Some(spec) = &experiment.replay else {
        return Ok(Vec::new());
    };
    let Some(directory) = &args.histories else {
        eprintln!(
            "not replayed: {} (--histories DIR says where they lie)",
            spec.histories.join(", ")
        );
        return Ok(Vec::new());
    };
    let Some(ladder) = ladders.iter().find(|one| one.family == spec.arms_of) else {
        eprintln!(
            "not replayed: the arms are those of `{}`, which was not run",
            spec.arms_of
        );
        return Ok(Vec::new());
    };
    let found = on_histories(
        &args.out,
        spec,
        directory,
        ladder,
        (experiment.seed, &given()),
    )?;
    let write = |name: &str, bytes: &[u8]| run_folder::write_file(&args.out.join(name), bytes);
    write("histories.csv", &histories_csv(&found)?)?;
    write("hit-rates.csv", &hit_rates_csv(&found)?)?;
    write("orders.csv", &orders_csv(&found)?)?;
    Ok(found)
}
