//! The promise: an update of the models that training uses costs at most a microsecond a sample.
//!
//! `need_models` is what the control loop pays: a day of samples a minute apart through the telemetry
//! tail, read and answered from every five minutes, one retraining. `forecasters` is a day of samples five minutes apart with forecasts an hour
//! ahead kept and scored; `fit` is a history of 672 hours and forecasts of the next 24.
#[path = "../../prestage-lpt/benches/cpu_time/mod.rs"]
mod cpu_time;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use prestage_forecast::series::{FORECASTERS, Setting};
use prestage_forecast::{NEED_MODELS, NeedModelInput};
use prestage_telemetry::{Metric, SeriesId, ServiceId, Span, Tail, Timestamp};

use cpu_time::CpuTime;

const MINUTES: i64 = 1_440;

/// A daily rhythm with noise that needs no generator.
fn load(minute: i64) -> f64 {
    let phase = (minute % MINUTES) as f64 / MINUTES as f64 * std::f64::consts::TAU;
    let noise = (minute * minute % 1_009) as f64 / 1_009.0;
    100.0 + 20.0 * phase.sin() + 5.0 * noise
}

/// The series that a model of this need lives on.
fn metric(need: &str) -> Metric {
    match need {
        "scaling" => Metric::RequestsPerSecond,
        "feature_release" => Metric::CommitsTotal,
        "dependency_update" => Metric::DependencyUpdatesTotal,
        "test_suite" => Metric::TestSuiteSeconds,
        _ => panic!("no series for the need `{need}`"),
    }
}

fn need_models(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("need_models");
    group.throughput(Throughput::Elements(MINUTES as u64));
    let service = ServiceId(0);
    for entry in NEED_MODELS {
        let mut model = (entry.build)(NeedModelInput {
            service,
            rated_load_per_replica: 20.0,
            suite_budget_s: 200.0,
        });
        let series = SeriesId::new(service, metric(entry.need));
        let mut tail = Tail::new(1, Span::from_days(2));
        let mut minute = 0;
        let mut day = || {
            for _ in 0..MINUTES {
                let at = Timestamp::EPOCH + Span::from_minutes(minute);
                tail.push(series, at, load(minute));
                minute += 1;
                if minute % 5 == 0 {
                    model.observe(&tail, at);
                    black_box(model.probability(at, Span::from_hours(1)));
                }
            }
            let now = Timestamp::EPOCH + Span::from_minutes(minute);
            model.retrain(now);
            now
        };
        for _ in 0..14 {
            black_box(day());
        }
        group.bench_function(entry.name, |bencher| bencher.iter(|| black_box(day())));
    }
    group.finish();
}

fn forecasters(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("forecasters");
    let step = Span::from_minutes(5);
    let samples = MINUTES / 5;
    group.throughput(Throughput::Elements(samples as u64));
    let setting = Setting::new(step, 12).expect("a legal setting");
    for entry in FORECASTERS {
        let mut forecaster = (entry.build)(&setting);
        let mut sample = 0;
        let mut day = || {
            for _ in 0..samples {
                forecaster.update(Timestamp::EPOCH + step * sample, load(sample * 5));
                sample += 1;
            }
            forecaster.predict(12)
        };
        for _ in 0..30 {
            black_box(day());
        }
        group.bench_function(entry.name, |bencher| bencher.iter(|| black_box(day())));
    }
    group.finish();
}

fn fit(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("fit");
    let history: Vec<(Timestamp, f64)> = (0..672)
        .map(|hour| (Timestamp::EPOCH + Span::from_hours(hour), load(hour * 60)))
        .collect();
    let setting = Setting::new(Span::from_hours(1), 24).expect("a legal setting");
    for entry in FORECASTERS {
        group.bench_function(entry.name, |bencher| {
            bencher.iter(|| {
                let mut forecaster = (entry.build)(&setting);
                forecaster.fit(&history);
                (1..=24)
                    .map(|steps| forecaster.predict(steps).median())
                    .sum::<f64>()
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = need_models, forecasters, fit
}
criterion_main!(benches);
