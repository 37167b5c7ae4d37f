//! Whatever is registered works: scenarios load, lists are complete, environments
//! keep the contract of `prestage_policy::Env`.
use std::collections::BTreeSet;
use std::path::Path;

use prestage::scenarios::{self, SHIPPED};
use prestage_controller::{Arm, KnobCenters, LEVELS};
use prestage_envs::{CellEnvOptions, ENVS};
use prestage_policy::{Env, Step};
use prestage_world::Scenario;

use crate::stdout_of;

/// What `prestage list` knows.
const KINDS: [&str; 14] = [
    "scenarios",
    "workloads",
    "forecasters",
    "need-models",
    "detectors",
    "baselines",
    "arms",
    "knobs",
    "prices",
    "envs",
    "algos",
    "drivers",
    "templates",
    "fields",
];

fn scenario_files() -> Vec<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut files: Vec<std::path::PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    files.sort();
    files
}

#[test]
fn shipped_scenarios_are_the_files_of_their_names() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    for shipped in SHIPPED {
        let file = folder.join(format!("{}.toml", shipped.name));
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(text, shipped.text, "{} differs from the file", shipped.name);
        let scenario = scenarios::load(shipped.name, &[]).unwrap();
        assert_eq!(scenario.spec().name, shipped.name);
    }
}

#[test]
fn every_scenario_file_loads_under_its_stem() {
    let files = scenario_files();
    assert!(files.len() >= SHIPPED.len(), "scenario files are missing");
    for file in files {
        let scenario = scenarios::load(file.to_str().unwrap(), &[]).unwrap();
        let stem = file.file_stem().unwrap().to_str().unwrap();
        assert_eq!(scenario.spec().name, stem, "name of `{}`", file.display());
        let again = Scenario::parse("again", &scenario.to_toml(), &[]).unwrap();
        assert_eq!(
            again.to_toml(),
            scenario.to_toml(),
            "{stem} survives writing"
        );
    }
}

#[test]
fn lists_hold_distinct_names_that_are_explained() {
    for kind in KINDS {
        let listed = stdout_of(&["list", kind, "--format", "json"]);
        let rows: Vec<serde_json::Value> = serde_json::from_str(&listed).unwrap();
        let mut names = BTreeSet::new();
        for row in &rows {
            let name = row["name"].as_str().unwrap();
            assert!(!name.trim().is_empty(), "{kind}: an entry without a name");
            assert!(
                row["about"].as_str().is_some_and(|about| about.len() > 8),
                "{kind}: `{name}` is not explained"
            );
            assert!(names.insert(name), "{kind}: `{name}` is listed twice");
        }
        let is_optional = kind == "algos" && !cfg!(feature = "train");
        assert!(
            is_optional || !names.is_empty(),
            "{kind}: nothing is listed"
        );
    }
}

#[test]
fn the_list_of_baselines_is_the_registry() {
    let listed = stdout_of(&["list", "baselines", "--format", "csv"]);
    let names: Vec<&str> = listed
        .lines()
        .skip(1)
        .filter_map(|line| line.split(',').next())
        .collect();
    let known: Vec<&str> = prestage_controller::BASELINES
        .iter()
        .map(|baseline| baseline.name)
        .collect();
    assert_eq!(names, known);
}

fn options() -> CellEnvOptions {
    let overrides = ["days=2", "history_days=3", "services.count=1"].map(str::to_owned);
    CellEnvOptions {
        scenario: scenarios::load("demo", &overrides).unwrap(),
        arm: Arm::at("static", KnobCenters::default()),
        reward_scale_usd: 0.5,
    }
}

/// Runs one episode; `level` chooses the level of action `i` at step `t`.
fn episode(env: &mut dyn Env, seed: u64, level: impl Fn(usize, usize) -> u8) -> Vec<Step> {
    let spec = env.spec().clone();
    let mut step = Step::new(spec.n_rows, spec.layout.len());
    let mut observations = vec![f32::NAN; spec.n_rows * spec.layout.len()];
    env.reset(seed, &mut observations);
    check_observations(&observations, spec.layout.clip);
    let n_actions = spec.n_rows * spec.action.len();
    let mut steps = Vec::new();
    for t in 0..spec.max_episode_steps {
        let actions: Vec<u8> = (0..n_actions).map(|i| level(t, i)).collect();
        env.step(&actions, &mut step);
        steps.push(step.clone());
    }
    steps
}

#[track_caller]
fn check_observations(observations: &[f32], clip: f32) {
    for (i, value) in observations.iter().enumerate() {
        assert!(
            value.is_finite() && value.abs() <= clip,
            "observation {i} is {value}, outside +-{clip}"
        );
    }
}

/// The contract of `Env`, for any environment.
fn check_env(env: &mut dyn Env) {
    let spec = env.spec().clone();
    assert_eq!(spec.action.nvec.len(), spec.action.neutral.len());
    let mut first = vec![f32::NAN; spec.n_rows * spec.layout.len()];
    let mut second = first.clone();
    env.reset(11, &mut first);
    env.reset(11, &mut second);
    assert_eq!(bits(&first), bits(&second), "one seed, two beginnings");
    env.reset(12, &mut second);
    assert_ne!(bits(&first), bits(&second), "two seeds, one beginning");

    let varied = |t: usize, i: usize| ((t * 5 + i * 3) % usize::from(LEVELS)) as u8;
    let steps = episode(env, 11, varied);
    let last = steps.len() - 1;
    for (t, step) in steps.iter().enumerate() {
        check_observations(&step.observations, spec.layout.clip);
        assert!(
            step.rewards.iter().all(|reward| reward.is_finite()),
            "step {t}"
        );
        assert!(
            step.terminated.iter().all(|&terminated| !terminated),
            "step {t}"
        );
        assert!(
            step.truncated
                .iter()
                .all(|&truncated| truncated == (t == last)),
            "step {t} of {}: {:?}",
            steps.len(),
            step.truncated
        );
    }
    assert_eq!(steps[last].observations, steps[last].final_observations);
    assert!(
        steps
            .iter()
            .any(|step| step.rewards.iter().any(|&reward| reward != 0.0)),
        "actions that are not neutral change no cost at all"
    );
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn environments_keep_the_contract() {
    for entry in ENVS {
        check_env((entry.build)(options()).as_mut());
    }
}

#[test]
fn neutral_actions_save_exactly_nothing() {
    for entry in ENVS {
        let mut env = (entry.build)(options());
        let neutral = env.spec().action.neutral.clone();
        for seed in [3, 4] {
            let steps = episode(env.as_mut(), seed, |_, i| neutral[i % neutral.len()]);
            for (t, step) in steps.iter().enumerate() {
                assert!(
                    step.rewards.iter().all(|&reward| reward == 0.0),
                    "{}: step {t}: {:?}",
                    entry.name,
                    step.rewards
                );
            }
        }
    }
}
