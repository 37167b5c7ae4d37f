//! The promise: from templates already read to the files of a service, 10,000 stages a second.
//!
//! `service` resolves an instance of the shipped template in two regions and emits its files for
//! GitLab and GitHub; its elements are the stages of the definition. `stage` makes the stage of one
//! need and emits the service's files with it, which is what a proposal costs before its commit.
mod cpu_time;

use std::collections::BTreeMap;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use prestage_lpt::{
    Activation, ApplicationDefinition, Assembly, Instance, NeedType, Overrides, PredictedNeed,
    Resolver, Revision, Staged, TemplateSet, driver, generate_stage_definition,
};

use cpu_time::CpuTime;

fn instance() -> Instance {
    Instance {
        service: "checkout".to_owned(),
        template: "service".to_owned(),
        params: BTreeMap::new(),
        regions: vec!["eu-west-1".to_owned(), "us-east-1".to_owned()],
        overrides: Overrides::default(),
    }
}

fn need(kind: NeedType) -> PredictedNeed {
    let magnitude = match kind {
        NeedType::Scaling | NeedType::TestSuite => 6,
        NeedType::FeatureRelease | NeedType::DependencyUpdate => 0,
    };
    PredictedNeed {
        service: "checkout".to_owned(),
        need: kind,
        regions: Vec::new(),
        window_start: 1_700_000_000,
        window_s: 300,
        magnitude,
        params: BTreeMap::new(),
    }
}

/// The bytes of all the files that the definition's targets get.
fn emit(definition: &ApplicationDefinition, revision: &Revision, staged: Vec<Staged<'_>>) -> usize {
    let assembly = Assembly {
        definition,
        revision,
        staged,
    };
    let files = definition.pipeline.targets.iter().map(|target| {
        let driver = driver(target).expect("shipped targets exist");
        driver.emit(&assembly).expect("shipped templates emit")
    });
    files.flatten().map(|file| file.bytes.len()).sum()
}

fn service(criterion: &mut Criterion<CpuTime>) {
    let templates = TemplateSet::builtin();
    let mut resolver = Resolver::new(&templates);
    let instance = instance();
    let definition = resolver
        .resolve(&instance)
        .expect("shipped templates resolve");
    let revision = definition.revision();
    let mut group = criterion.benchmark_group("service");
    group.throughput(Throughput::Elements(definition.stages.len() as u64));
    group.bench_function("resolve", |bencher| {
        bencher.iter(|| resolver.resolve(&instance));
    });
    group.bench_function("revision", |bencher| bencher.iter(|| definition.revision()));
    group.bench_function("render", |bencher| {
        bencher.iter(|| emit(&definition, &revision, Vec::new()));
    });
    group.bench_function("resolve and render", |bencher| {
        bencher.iter(|| {
            let definition = resolver
                .resolve(&instance)
                .expect("shipped templates resolve");
            emit(&definition, &definition.revision(), Vec::new())
        });
    });
    group.finish();
}

fn stage(criterion: &mut Criterion<CpuTime>) {
    let templates = TemplateSet::builtin();
    let definition = Resolver::new(&templates)
        .resolve(&instance())
        .expect("shipped templates resolve");
    let revision = definition.revision();
    let mut group = criterion.benchmark_group("stage");
    for kind in NeedType::ALL {
        let need = need(kind);
        let make = || generate_stage_definition(&definition, &need).expect("the need is served");
        group.throughput(Throughput::Elements(make().stages.len() as u64));
        group.bench_function(format!("{kind}, make"), |bencher| bencher.iter(make));
        group.bench_function(format!("{kind}, make and render"), |bencher| {
            bencher.iter(|| {
                let stage = make();
                let staged = Staged {
                    stage: &stage,
                    activation: Activation::Active,
                };
                emit(&definition, &revision, vec![staged])
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = service, stage
}
criterion_main!(benches);
