//! Nanoseconds a sample for each detector, after a week of 5-minute samples.
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use prestage_telemetry::detect::{DETECTORS, Setting};
use prestage_telemetry::{Span, Timestamp};

const STEP: Span = Span::from_minutes(5);
const SAMPLES_A_DAY: i64 = 288;
/// The warm-up of the longest series of the Numenta benchmark.
const WARM_UP: usize = 750;

/// A daily rhythm with noise that needs no generator.
fn value(sample: i64) -> f64 {
    let phase = (sample % SAMPLES_A_DAY) as f64 / SAMPLES_A_DAY as f64 * std::f64::consts::TAU;
    let noise = (sample * sample * 7919 % 1_009) as f64 / 1_009.0;
    100.0 + 20.0 * phase.sin() + 5.0 * noise
}

fn score(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("score_a_day");
    group.throughput(Throughput::Elements(SAMPLES_A_DAY as u64));
    let setting = Setting::new(STEP, WARM_UP).expect("a legal setting");
    for entry in DETECTORS {
        let mut detector = (entry.build)(setting);
        let mut sample = 0;
        let mut day = || {
            let mut sum = 0.0;
            for _ in 0..SAMPLES_A_DAY {
                let at = Timestamp::EPOCH + STEP * sample;
                sum += detector.score(at, value(sample));
                sample += 1;
            }
            sum
        };
        // Long enough that every memory is full: discord remembers ten warm-ups.
        for _ in 0..30 {
            day();
        }
        group.bench_function(entry.name, |bencher| bencher.iter(|| black_box(day())));
    }
    group.finish();
}

criterion_group!(benches, score);
criterion_main!(benches);
