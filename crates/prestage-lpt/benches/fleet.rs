//! The promise: what a template edit does to 1,000 services is known within a second, and after one
//! more edit of a leaf within 50 ms.
//!
//! Templates are three deep: `base-service`, `service`, and twenty leaves of fifty services each.
mod cpu_time;

use std::collections::BTreeMap;

use criterion::{Criterion, criterion_group, criterion_main};
use prestage_lpt::{
    FleetPlan, FleetPlanner, Instance, MemoryStore, Overrides, PipelineRepository, Resolver,
    Template, TemplateSet, no_check,
};

use cpu_time::CpuTime;

const SERVICES: usize = 1_000;
const LEAVES: usize = 20;

/// `{leaf number}` of `version`: an edit is another version.
fn leaf(number: usize, version: usize) -> Template {
    let text = format!(
        "{{name: leaf-{number}, extends: service, stages: [{{name: build, env: \
         [{{name: LEAF, value: version {version}}}]}}]}}"
    );
    Template::parse("leaf", &text).expect("the leaf is a template")
}

/// The shipped `base-service` with one value changed that reaches the build of every service.
fn edited_base() -> Template {
    let (_, text) = prestage_lpt::BUILTIN[0];
    let edited = text.replacen("default: ./ci/build.sh", "default: ./ci/make.sh", 1);
    assert_ne!(edited, text, "the base has no such line any more");
    Template::parse("base-service.yaml", &edited).expect("the edit keeps it a template")
}

fn templates() -> TemplateSet {
    let mut templates = TemplateSet::builtin();
    for number in 0..LEAVES {
        templates.replace(leaf(number, 0));
    }
    templates
}

fn fleet(templates: &TemplateSet) -> PipelineRepository {
    let mut repository =
        PipelineRepository::open(Box::new(MemoryStore::new())).expect("an empty store opens");
    let mut resolver = Resolver::new(templates);
    for number in 0..SERVICES {
        let instance = Instance {
            service: format!("service-{number}"),
            template: format!("leaf-{}", number % LEAVES),
            params: BTreeMap::new(),
            regions: vec!["eu-west-1".to_owned(), "us-east-1".to_owned()],
            overrides: Overrides::default(),
        };
        let definition = resolver
            .resolve(&instance)
            .expect("shipped templates resolve");
        repository
            .put_service(&definition, 1_700_000_000)
            .expect("a new service is put");
    }
    repository
}

fn plan(
    planner: &mut FleetPlanner,
    templates: &TemplateSet,
    repository: &PipelineRepository,
    reached: usize,
) -> FleetPlan {
    let plan = planner
        .plan(templates, repository, &no_check)
        .expect("the fleet can be asked");
    assert_eq!(plan.instances.len(), reached);
    plan
}

fn preview(criterion: &mut Criterion<CpuTime>) {
    let before = templates();
    let repository = fleet(&before);
    let mut group = criterion.benchmark_group("fleet of 1000");
    group.sample_size(10);
    let mut edited = before.clone();
    edited.replace(edited_base());
    group.bench_function("preview of an edit of the base", |bencher| {
        bencher.iter(|| plan(&mut FleetPlanner::new(), &edited, &repository, SERVICES));
    });
    let mut planner = FleetPlanner::new();
    plan(&mut planner, &edited, &repository, SERVICES);
    let mut version = 0;
    group.bench_function("the same after one more edit of a leaf", |bencher| {
        bencher.iter(|| {
            version += 1;
            edited.replace(leaf(7, version));
            plan(&mut planner, &edited, &repository, SERVICES)
        });
    });
    let mut one_leaf = before.clone();
    group.bench_function("preview of an edit of a leaf", |bencher| {
        bencher.iter(|| {
            version += 1;
            one_leaf.replace(leaf(7, version));
            plan(
                &mut FleetPlanner::new(),
                &one_leaf,
                &repository,
                SERVICES / LEAVES,
            )
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = preview
}
criterion_main!(benches);
