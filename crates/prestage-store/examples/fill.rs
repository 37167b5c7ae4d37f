//! Fills a store with a metric of many services and answers questions about it, each with the CPU time it
//! took: our half of `scripts/compare_duckdb.py`.
//!
//! ```sh
//! fill DIR ROWS [SERVICES]   # makes the store (of 64 services) and says how fast
//! fill DIR ask               # answers each line of standard input: `rollup`, `window`, `sketch`, `services`
//! ```
//! `services` is the rollup with each service by itself: its memory is that of the answer and of one day.
//! An answer is the name, the CPU seconds and the number of rows, then each row: bucket (epoch seconds) and values.
use std::error::Error;
use std::io::{BufRead, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use prestage_store::{Batch, Query, SeriesRef, Snapshot, Store, StoreOptions};
use prestage_telemetry::{Span, Timestamp};
use rustix::time::{ClockId, clock_gettime};

const METRIC: &str = "requests_per_second";
const SERVICES_DEFAULT: usize = 64;
const BATCH_ROWS: usize = 1 << 16;
/// 2024-01-01, a sample of each service every minute from then on.
const START: Timestamp = Timestamp::from_seconds(1_704_067_200);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: fill DIR ROWS [SERVICES], or fill DIR ask";
    let directory = PathBuf::from(arguments.next().ok_or(usage)?);
    match arguments.next().as_deref() {
        Some("ask") => answer_all(&directory),
        Some(rows) => {
            let services = arguments.next().map(|text| text.parse()).transpose()?;
            fill(
                &directory,
                rows.parse()?,
                services.unwrap_or(SERVICES_DEFAULT),
            )
        }
        None => Err(usage.into()),
    }
}

fn fill(directory: &Path, rows: usize, services: usize) -> Result<(), Box<dyn Error>> {
    let mut store = Store::open_or_create(directory, &StoreOptions::default())?;
    let mut series = Vec::new();
    for service in 0..services {
        series.push(store.series(METRIC, &format!("service-{service:02}"))?);
    }
    let mut samples = Samples {
        state: 1,
        minute: 0,
    };
    let mut batch = Batch::new();
    let mut spent = Duration::ZERO;
    let mut taken = 0;
    while taken < rows {
        samples.next_batch(&mut batch, &series, BATCH_ROWS.min(rows - taken));
        let begin = cpu_time();
        store.append(&batch)?;
        store.sync()?;
        spent += cpu_time() - begin;
        taken += batch.len();
    }
    let begin = cpu_time();
    store.seal()?;
    spent += cpu_time() - begin;
    let seconds = spent.as_secs_f64();
    let speed = taken as f64 / seconds / 1e6;
    println!("ingest {taken} rows, {seconds:.2} CPU seconds, {speed:.2} million rows a second");
    Ok(())
}

/// A daily wave with noise, of a different height for each service.
struct Samples {
    state: u64,
    minute: i64,
}

impl Samples {
    fn next_batch(&mut self, batch: &mut Batch, series: &[SeriesRef], rows: usize) {
        batch.clear();
        while batch.len() < rows {
            let wave = (self.minute as f64 / 1440.0 * std::f64::consts::TAU).sin();
            let time = START + Span::from_minutes(self.minute);
            for (service, series) in series.iter().enumerate() {
                let value = 100.0 * (service + 1) as f64 * (1.0 + 0.5 * wave + 0.1 * self.noise());
                batch.push(*series, time, value);
            }
            self.minute += 1;
        }
    }

    fn noise(&mut self) -> f64 {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.state >> 40) as f64 / (1_u64 << 24) as f64
    }
}

fn answer_all(directory: &Path) -> Result<(), Box<dyn Error>> {
    let mut output = BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let name = line?;
        let query = question(&name)?;
        let begin = cpu_time();
        let answer = Snapshot::open(directory)?.query(&query)?;
        let seconds = (cpu_time() - begin).as_secs_f64();
        writeln!(output, "{name} {seconds:.6} {}", answer.len())?;
        for row in answer.rows() {
            let values: Vec<String> = row.values.iter().map(f64::to_string).collect();
            writeln!(output, "{} {}", row.time.seconds(), values.join(" "))?;
        }
        output.flush()?;
    }
    Ok(())
}

fn question(name: &str) -> Result<Query, Box<dyn Error>> {
    let rollup = Query {
        every: Some(Span::from_minutes(5)),
        aggregations: vec!["mean".parse()?, "p95".parse()?],
        ..Query::new(METRIC)
    };
    let from = START + Span::from_days(100) + Span::from_hours(6);
    match name {
        "rollup" => Ok(rollup),
        "services" => Ok(Query {
            by_service: true,
            ..rollup
        }),
        "window" => Ok(Query {
            from,
            to: from + Span::from_days(1),
            ..rollup
        }),
        "sketch" => Ok(Query {
            every: Some(Span::from_days(1)),
            aggregations: vec!["p95".parse()?],
            approximate: true,
            ..rollup
        }),
        _ => Err(format!("question `{name}` (known: rollup, window, sketch, services)").into()),
    }
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).expect("CPU time is not negative");
    let nanoseconds = u32::try_from(time.tv_nsec).expect("nanoseconds are below a second");
    Duration::new(seconds, nanoseconds)
}
