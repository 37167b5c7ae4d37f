//! What the kernel promises: nanoseconds an event.
//!
//! `cargo bench -p prestage-des`. Criterion's throughput is in model events, so its
//! time per element is the promise: hold model at N = 1,000 pending events (one pop
//! and one schedule an event; at most 70 ns on the reference machine of the published
//! comparison, where a hand-written 4-ary heap takes 54 ns, a std binary heap with
//! sequence numbers 84 ns and desque 0.4 takes 111 ns), M/M/16 at 90 %, and the cost
//! of a stream for one event. Must not know the layout of the heap.

#[path = "../tests/it/mmc.rs"]
mod mmc;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mmc::{Mmc, Shape};
use prestage_des::{EventQueue, SimTime, Streams};

const EVENTS: u64 = 100_000;

fn hold(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hold");
    group.throughput(Throughput::Elements(EVENTS));
    for pending in [1_000_u64, 100_000] {
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

criterion_group!(benches, hold, queueing, streams);
criterion_main!(benches);
