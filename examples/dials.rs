//! Headroom against each dial, D1 to D7: writes `dials.csv` and `dials.svg`, and the table in
//! Markdown to standard output.
//!
//! ```sh
//! cargo run --release --no-default-features --features plots --example dials -- --out experiments/headroom
//! ```
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use prestage::dials::{CHANNELS, Row, Seeds, find};
use prestage::report::dials_figure;
use prestage_envs::Test;

/// Levels of a dial, as shares of its full level.
const SHARES: [f64; 3] = [0.0, 0.5, 1.0];

#[derive(Parser)]
struct Args {
    /// Folder for the table and the figure.
    #[arg(long)]
    out: PathBuf,
    /// Seed of the seed sets.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Scenarios that choose; twice as many confirm.
    #[arg(long, default_value_t = 12)]
    choose: usize,
    /// Held-out scenarios.
    #[arg(long, default_value_t = 40)]
    judge: usize,
    /// Channels to measure; all when none is given.
    #[arg(long)]
    channel: Vec<String>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let seeds = Seeds::<Test>::new(args.seed, args.choose, args.judge);
    let wanted = |name: &str| args.channel.is_empty() || args.channel.iter().any(|one| one == name);
    let mut rows: Vec<Row> = Vec::new();
    println!("| channel | level | constants | told | headroom, % |\n|---|---|---|---|---|");
    for channel in CHANNELS.iter().filter(|channel| wanted(channel.name)) {
        for share in SHARES {
            let row = channel.row(share, find(channel, &channel.scenario(share), &seeds));
            println!(
                "| {} | {} | {:.0} | {:.0} | {:.1} [{:.1}, {:.1}] |",
                row.channel,
                row.level,
                row.fixed_usd,
                row.told_usd,
                100.0 * row.headroom,
                100.0 * row.headroom_low,
                100.0 * row.headroom_high,
            );
            eprintln!("    {} -> {}", row.fixed_rule, row.told_rule);
            rows.push(row);
        }
    }
    std::fs::create_dir_all(&args.out).context("cannot make the folder")?;
    let mut table = csv::Writer::from_path(args.out.join("dials.csv"))?;
    for row in &rows {
        table.serialize(row)?;
    }
    table.flush()?;
    if let Some(figure) = dials_figure(&rows) {
        std::fs::write(args.out.join("dials.svg"), figure)?;
    }
    Ok(())
}
