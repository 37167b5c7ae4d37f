//! Fills a store with a metric of many services, and says how fast: the data of `scripts/compare_duckdb.py`.
//!
//! `cargo run --release -p prestage-store --example fill -- DIR ROWS`
use std::path::PathBuf;
use std::time::Instant;

use prestage_store::{Batch, Query, Rollup, Snapshot, Store, StoreOptions};
use prestage_telemetry::{Span, Timestamp};

const SERVICES: usize = 64;

#[expect(clippy::disallowed_methods, reason = "this program measures")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = PathBuf::from(arguments.next().ok_or("DIR ROWS are wanted")?);
    let rows: usize = arguments.next().ok_or("ROWS is wanted")?.parse()?;
    if arguments.next().is_some() {
        return ask(&directory);
    }
    let mut store = Store::open_or_create(&directory, &StoreOptions::default())?;
    let mut series = Vec::new();
    for service in 0..SERVICES {
        series.push(store.series("requests_per_second", &format!("service-{service:02}"))?);
    }
    let mut state = 1_u64;
    let mut batch = Batch::new();
    let (mut minute, mut taken, mut spent) = (0_i64, 0, 0.0);
    while taken < rows {
        batch.clear();
        while batch.len() < (1 << 16) && taken + batch.len() < rows {
            let wave = (minute as f64 / 1440.0 * std::f64::consts::TAU).sin();
            for (service, series) in series.iter().enumerate() {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let noise = (state >> 40) as f64 / (1_u64 << 24) as f64;
                let value = 100.0 * (service + 1) as f64 * (1.0 + 0.5 * wave + 0.1 * noise);
                batch.push(
                    *series,
                    Timestamp::from_seconds(1_704_067_200 + minute * 60),
                    value,
                );
            }
            minute += 1;
        }
        let begin = Instant::now();
        store.append(&batch)?;
        store.sync()?;
        spent += begin.elapsed().as_secs_f64();
        taken += batch.len();
    }
    let begin = Instant::now();
    store.seal()?;
    spent += begin.elapsed().as_secs_f64();
    println!(
        "{taken} rows in {spent:.2} s: {:.2} million rows a second",
        taken as f64 / spent / 1e6
    );
    Ok(())
}

/// Times the two queries of the comparison, best of five each, and prints their answers.
#[expect(clippy::disallowed_methods, reason = "this program measures")]
fn ask(directory: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
    let rollup = Query {
        every: Some(Span::from_minutes(5)),
        aggregations: vec!["mean".parse()?, "p95".parse()?],
        ..Query::new("requests_per_second")
    };
    let from = Timestamp::from_seconds(1_704_067_200 + 100 * 86_400 + 6 * 3_600);
    let window = Query {
        from,
        to: from + Span::from_days(1),
        ..rollup.clone()
    };
    for (name, query) in [("rollup", &rollup), ("window", &window)] {
        let mut best = f64::INFINITY;
        let mut answer = Rollup::default();
        for _ in 0..5 {
            let begin = Instant::now();
            answer = Snapshot::open(directory)?.query(query)?;
            best = best.min(begin.elapsed().as_secs_f64());
        }
        println!("{name} {best:.6} {}", answer.len());
        for row in answer.rows() {
            println!(
                "{name} {} {} {}",
                row.time.seconds(),
                row.values[0],
                row.values[1]
            );
        }
    }
    Ok(())
}
