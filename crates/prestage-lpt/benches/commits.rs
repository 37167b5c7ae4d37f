//! The promise: 1,000 commits to a git repository in 3 seconds.
//!
//! Twenty services; each proposal makes the stage, emits the service's files with it and commits
//! both. Every other commit retires the oldest stage, so that folders stay as small as they do in use.
//!
//! Repositories are kept until all are measured: ext4 avoids inodes that were freed in the last
//! seconds, so files made after a large removal would be charged for it.
mod cpu_time;

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use prestage_lpt::{
    GitStore, Instance, NeedOrigin, NeedType, Overrides, PipelineRepository, PredictedNeed,
    Provenance, Resolver, RetireReason, StageKey, TemplateSet, generate_stage_definition,
};

use cpu_time::CpuTime;

const SERVICES: usize = 20;
const COMMITS: usize = 1_000;
const STAGED_AT_ONCE: usize = 2 * SERVICES;
const START: i64 = 1_700_000_000;

#[derive(Clone, Copy)]
enum Flush {
    Nothing,
    EveryObject,
}

/// A new repository of twenty services, with some stages staged.
fn repository(folder: &Path, flush: Flush) -> Traffic {
    let store = GitStore::open(folder).expect("a free path becomes a repository");
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
    let mut traffic = Traffic {
        repository,
        proposed: 0,
        staged: VecDeque::new(),
    };
    for _ in 0..STAGED_AT_ONCE {
        traffic.propose();
    }
    traffic
}

fn service(number: usize) -> String {
    format!("service-{number}")
}

/// A repository in use.
struct Traffic {
    repository: PipelineRepository,
    proposed: usize,
    staged: VecDeque<StageKey>,
}

impl Traffic {
    fn at(&self) -> i64 {
        START + i64::try_from(self.proposed).expect("a thousand fits") * 300
    }

    /// One commit: a stage for a window of its own.
    fn propose(&mut self) {
        let need = NeedType::ALL[self.proposed % NeedType::ALL.len()];
        let need = PredictedNeed {
            service: service(self.proposed % SERVICES),
            need,
            regions: Vec::new(),
            window_start: self.at(),
            window_s: 300,
            magnitude: match need {
                NeedType::Scaling | NeedType::TestSuite => 6,
                NeedType::FeatureRelease | NeedType::DependencyUpdate => 0,
            },
            params: BTreeMap::new(),
        };
        let definition = self
            .repository
            .definition(&need.service)
            .expect("it was put before");
        let stage = generate_stage_definition(definition, &need).expect("the need is served");
        let provenance = Provenance::of(&stage, NeedOrigin::Predicted, self.at());
        self.repository
            .propose(&need.service, &stage, &provenance, self.at())
            .expect("a new stage is proposed");
        self.staged.push_back(stage.key);
        self.proposed += 1;
    }

    /// One commit: the oldest stage goes.
    fn retire(&mut self) {
        let oldest = self.staged.pop_front().expect("stages are staged");
        self.repository
            .retire(&oldest, RetireReason::Expired, self.at())
            .expect("it is staged");
    }
}

fn commits(criterion: &mut Criterion<CpuTime>) {
    let folders = tempfile::tempdir().expect("there is room for temporary files");
    let mut number = 0;
    let mut group = criterion.benchmark_group("1000 commits");
    group.sample_size(10);
    for (name, flush) in [
        ("killed processes lose nothing", Flush::Nothing),
        ("power cuts lose nothing", Flush::EveryObject),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || {
                    number += 1;
                    repository(&folders.path().join(number.to_string()), flush)
                },
                |mut traffic| {
                    for _ in 0..COMMITS / 2 {
                        traffic.propose();
                        traffic.retire();
                    }
                    traffic
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
