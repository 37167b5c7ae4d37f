//! The promises of the store: ingest of at least 3 million rows a second on one core, and rollups of the
//! scan. `scripts/compare_duckdb.py` measures the scan against DuckDB on the same files.
//!
//! `ingest`: 1 million rows of 64 services, synced every 65,536 rows and sealed. `rollup`: mean and exact p95
//! of every 5 minutes of those rows. `window`: the same of one service on one day. Both open the store first.
use std::path::Path;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use prestage_store::{Aggregation, Batch, Query, Snapshot, Store, StoreOptions};
use prestage_telemetry::{Span, Timestamp};

const SERVICES: u32 = 64;
const DAYS: i64 = 11;

/// A minute of every service after another, as a collector sends them: a daily wave with noise.
fn batches(rows: usize) -> Vec<Vec<(u32, i64, f64)>> {
    let mut state = 1_u64;
    let mut noise = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 40) as f64 / (1_u64 << 24) as f64
    };
    let mut all = Vec::new();
    for minute in 0..DAYS * 1440 {
        let wave = (minute as f64 / 1440.0 * std::f64::consts::TAU).sin();
        for service in 0..SERVICES {
            let value = 100.0 * f64::from(service + 1) * (1.0 + 0.5 * wave + 0.1 * noise());
            all.push((service, minute * 60_000_000, value));
        }
    }
    all.truncate(rows);
    all.chunks(1 << 16).map(<[_]>::to_vec).collect()
}

/// Everything from samples in memory to sealed files: log, its flush to disk, sort, sketches, Parquet.
fn fill(root: &Path, batches: &[Vec<(u32, i64, f64)>]) {
    let mut store = Store::open_or_create(root, &StoreOptions::default()).expect("a new store");
    let name = |service| format!("service-{service:02}");
    let series: Vec<_> = (0..SERVICES)
        .map(|service| {
            store
                .series("requests_per_second", &name(service))
                .expect("a name")
        })
        .collect();
    let mut batch = Batch::new();
    for rows in batches {
        batch.clear();
        for &(service, time, value) in rows {
            batch.push(series[service as usize], Timestamp(time), value);
        }
        store.append(&batch).expect("disk");
        store.sync().expect("disk");
    }
    store.seal().expect("disk");
}

fn ingest(criterion: &mut Criterion) {
    let batches = batches(1_000_000);
    let mut group = criterion.benchmark_group("store");
    group
        .throughput(Throughput::Elements(1_000_000))
        .sample_size(10);
    group.bench_function("ingest", |bencher| {
        bencher.iter_batched(
            || tempfile::tempdir().expect("a folder"),
            |folder| {
                fill(&folder.path().join("store"), &batches);
                folder
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn query(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("store");
    fill(&root, &batches(1_000_000));
    let five_minutes = Query {
        every: Some(Span::from_minutes(5)),
        aggregations: vec![Aggregation::Mean, Aggregation::Percentile(95.0)],
        ..Query::new("requests_per_second")
    };
    let day = Query {
        from: Timestamp::from_seconds(5 * 86_400),
        to: Timestamp::from_seconds(6 * 86_400),
        services: vec!["service-07".to_owned()],
        ..five_minutes.clone()
    };
    let mut group = criterion.benchmark_group("store");
    group.sample_size(20);
    for (name, query) in [("rollup", five_minutes), ("window", day)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let snapshot = Snapshot::open(&root).expect("a store");
                snapshot.query(&query).expect("an answer").len()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, ingest, query);
criterion_main!(benches);
