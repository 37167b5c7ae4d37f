//! What the kernel promises: nanoseconds an event.
//!
//! `cargo bench -p prestage-des`. Criterion's throughput is in model events, so its
//! time per element is the promise: hold model at N pending events (one pop and one
//! schedule an event), with and without an event that is cancelled beside each, M/M/16
//! at 90 %, the cost of a stream for one event, storing and restoring. The example
//! `peers` is the comparison with other engines. Must not know the layout of the queue.

#[path = "../tests/it/shape.rs"]
mod shape;

#[path = "../tests/it/mmc.rs"]
mod mmc;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mmc::Mmc;
use prestage_des::{EventQueue, SimTime, Streams};
use shape::Shape;

const EVENTS: u64 = 100_000;

fn hold(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hold");
    group.throughput(Throughput::Elements(EVENTS));
    for pending in [32_u64, 1_000, 10_000, 100_000] {
        // Drawn beforehand: the promise is about the queue.
        let mut increments = Streams::new(1).open("increments", 0);
        let delays: Vec<SimTime> = (0..1 << 16)
            .map(|_| SimTime::from_secs_f64(increments.exponential(1.0)))
            .collect();
        let mut queue = EventQueue::new();
        for index in 0..pending {
            queue.schedule(delays[index as usize % delays.len()], index);
        }
        let mut next = 0;
        group.bench_function(format!("{pending} pending"), |bencher| {
            bencher.iter(|| {
                for _ in 0..EVENTS {
                    let (_, event) = queue.pop().expect("the number of events is held");
                    queue.schedule_in(delays[next % delays.len()], event);
                    next += 1;
                }
                black_box(queue.now())
            });
        });
    }
    group.finish();
}

/// Each event schedules its successor and a timeout that it withdraws at once when it
/// comes: half of all events are cancelled, as time limits are.
fn cancellation(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hold with timeouts");
    group.throughput(Throughput::Elements(EVENTS));
    for pending in [32_usize, 1_000, 10_000] {
        let mut increments = Streams::new(1).open("increments", 0);
        let mut queue = EventQueue::new();
        let mut timeouts = Vec::new();
        for entity in 0..pending {
            let delay = SimTime::from_secs_f64(increments.exponential(1.0));
            queue.schedule_in(delay, entity);
            timeouts.push(queue.schedule_in(SimTime::from_secs(20), entity));
        }
        group.bench_function(format!("{pending} pending"), |bencher| {
            bencher.iter(|| {
                for _ in 0..EVENTS {
                    let (_, entity) = queue.pop().expect("the number of events is held");
                    queue.cancel(timeouts[entity]);
                    let delay = SimTime::from_secs_f64(increments.exponential(1.0));
                    queue.schedule_in(delay, entity);
                    timeouts[entity] = queue.schedule_in(SimTime::from_secs(20), entity);
                }
                black_box(queue.now())
            });
        });
    }
    group.finish();
}

fn snapshots(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("snapshot");
    let mut increments = Streams::new(1).open("increments", 0);
    let mut queue = EventQueue::new();
    for entity in 0..1_000_u32 {
        let delay = SimTime::from_secs_f64(increments.exponential(1.0));
        queue.schedule(delay, entity);
    }
    let text = serde_json::to_string(&queue).expect("a queue has a JSON form");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("store 1,000 pending as JSON", |bencher| {
        bencher.iter(|| serde_json::to_string(&queue).map(|text| text.len()));
    });
    group.bench_function("restore 1,000 pending from JSON", |bencher| {
        bencher.iter(|| serde_json::from_str::<EventQueue<u32>>(&text).map(|queue| queue.len()));
    });
    group.finish();
}

fn queueing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mmc");
    group.throughput(Throughput::Elements(EVENTS));
    let mut model = Mmc::new(
        Shape {
            servers: 16,
            utilization: 0.9,
        },
        1,
    );
    model.serve(10_000);
    group.bench_function("16 servers at 0.9", |bencher| {
        bencher.iter(|| {
            for _ in 0..EVENTS {
                black_box(model.step());
            }
        });
    });
    group.finish();
}

fn streams(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("streams");
    let streams = Streams::new(1);
    let mut index = 0;
    group.bench_function("at, first draw", |bencher| {
        bencher.iter(|| {
            index += 1;
            streams.at(black_box("review"), 7, index).unit()
        });
    });
    let mut stream = streams.open("gaps", 0);
    group.bench_function("unit", |bencher| bencher.iter(|| stream.unit()));
    group.bench_function("exponential", |bencher| {
        bencher.iter(|| stream.exponential(3.0))
    });
    group.bench_function("poisson of 3", |bencher| {
        bencher.iter(|| stream.poisson(3.0))
    });
    group.bench_function("poisson of 300", |bencher| {
        bencher.iter(|| stream.poisson(300.0))
    });
    group.finish();
}

criterion_group!(benches, hold, cancellation, queueing, streams, snapshots);
criterion_main!(benches);
