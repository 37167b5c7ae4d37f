//! The promise: 1,000 stages are proposed to a git repository in 3 seconds, a commit each.
//!
//! Twenty services; each proposal makes the stage, emits the service's files with it and commits
//! both. Half as many commits retire stages again, so that folders stay as small as they do in use.
mod cpu_time;

use std::collections::BTreeMap;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use prestage_lpt::{
    GitStore, Instance, NeedOrigin, NeedType, Overrides, PipelineRepository, PredictedNeed,
    Provenance, Resolver, RetireReason, TemplateSet, generate_stage_definition,
};
use tempfile::TempDir;

use cpu_time::CpuTime;

const SERVICES: usize = 20;
const PROPOSALS: usize = 1_000;
const STAGED_AT_ONCE: usize = 2 * SERVICES;
const START: i64 = 1_700_000_000;

#[derive(Clone, Copy)]
enum Flush {
    Nothing,
    EveryObject,
}

/// A repository of twenty services in a new folder, which goes when it is dropped.
fn repository(flush: Flush) -> (TempDir, PipelineRepository) {
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let store = GitStore::open(folder.path()).expect("an empty folder becomes a repository");
    let store = match flush {
        Flush::Nothing => store,
        Flush::EveryObject => store.durable().expect("a new repository can be configured"),
    };
    let mut repository = PipelineRepository::open(Box::new(store)).expect("a new store opens");
    let templates = TemplateSet::builtin();
    let mut resolver = Resolver::new(&templates);
    for number in 0..SERVICES {
        let instance = Instance {
            service: service(number),
            template: "service".to_owned(),
            params: BTreeMap::new(),
            regions: vec!["eu-west-1".to_owned(), "us-east-1".to_owned()],
            overrides: Overrides::default(),
        };
        let definition = resolver
            .resolve(&instance)
            .expect("shipped templates resolve");
        repository
            .put_service(&definition, START)
            .expect("a new service is put");
    }
    (folder, repository)
}

fn service(number: usize) -> String {
    format!("service-{number}")
}

/// Proposes as many stages, each for another window, and retires the oldest beyond a few a service.
fn propose(repository: &mut PipelineRepository) -> usize {
    let mut commits = 0;
    let mut staged = std::collections::VecDeque::new();
    for number in 0..PROPOSALS {
        let at = START + i64::try_from(number).expect("a thousand fits") * 300;
        let need = PredictedNeed {
            service: service(number % SERVICES),
            need: NeedType::ALL[number % NeedType::ALL.len()],
            regions: Vec::new(),
            window_start: at,
            window_s: 300,
            magnitude: 0,
            params: BTreeMap::new(),
        };
        let need = PredictedNeed {
            magnitude: match need.need {
                NeedType::Scaling | NeedType::TestSuite => 6,
                NeedType::FeatureRelease | NeedType::DependencyUpdate => 0,
            },
            ..need
        };
        let definition = repository
            .definition(&need.service)
            .expect("it was put before");
        let stage = generate_stage_definition(definition, &need).expect("the need is served");
        let provenance = Provenance::of(&stage, NeedOrigin::Predicted, at);
        repository
            .propose(&need.service, &stage, &provenance, at)
            .expect("a new stage is proposed");
        commits += 1;
        staged.push_back(stage.key);
        if staged.len() > STAGED_AT_ONCE
            && let Some(oldest) = staged.pop_front()
        {
            repository
                .retire(&oldest, RetireReason::Expired, at)
                .expect("it is staged");
            commits += 1;
        }
    }
    commits
}

fn commits(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("1000 stages into git");
    group.sample_size(10);
    for (name, flush) in [
        ("killed processes lose nothing", Flush::Nothing),
        ("power cuts lose nothing", Flush::EveryObject),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || repository(flush),
                |(folder, mut repository)| {
                    assert!(propose(&mut repository) > PROPOSALS);
                    (folder, repository)
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = commits
}
criterion_main!(benches);
