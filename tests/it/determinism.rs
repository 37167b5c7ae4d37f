//! The same seed gives the same bytes: event logs, arms on any number of threads,
//! environments restored in mid-episode, weights, and weights of a training that
//! was killed and resumed.
use prestage::compare::{baselines, run_all, setting};
use prestage::progress::Progress;
use prestage::scenarios;
use prestage_controller::{Arm, BASELINES, KnobCenters, LEVELS, baseline};
use prestage_envs::{CellEnv, CellEnvOptions, ParallelVectorEnv, Seed, Setting, Test, run_episode};
use prestage_policy::{Env, NeutralPolicy, Step, VectorEnv};
use prestage_world::{LogRecord, Scenario, WorldOptions};

use crate::{stdout_of, text};

fn scenario(days: u32) -> Scenario {
    let overrides = [
        format!("days={days}"),
        "history_days=4".to_owned(),
        "services.count=2".to_owned(),
    ];
    scenarios::load("demo", &overrides).unwrap()
}

/// The event log of one arm on one seed, and its digest.
fn event_log(arm: &str, seed: u64) -> (Vec<LogRecord>, u64) {
    let setting = setting(&scenario(4), seed);
    let setting = Setting {
        world: WorldOptions {
            keep_log: true,
            ..setting.world
        },
        ..setting
    };
    let arm = baseline(arm).unwrap().arm(&KnobCenters::default());
    let mut world = setting.world(&arm);
    let mut policy = NeutralPolicy::new(
        prestage_controller::layout(),
        prestage_controller::action_space(),
    );
    let episode = run_episode(&setting, &arm, &mut policy, &mut world, &mut |_| {}).unwrap();
    (world.log().records().to_vec(), episode.log_digest)
}

/// Panics with the first record that differs: the rest follows from it.
#[track_caller]
fn check_same_log(first: &[LogRecord], second: &[LogRecord]) {
    if let Some(index) = first.iter().zip(second).position(|(a, b)| a != b) {
        panic!(
            "record {index} differs: {:?} and {:?}",
            first[index], second[index]
        );
    }
    assert_eq!(first.len(), second.len(), "one log ends before the other");
}

#[test]
fn one_seed_gives_one_event_log() {
    for arm in BASELINES.iter().map(|baseline| baseline.name) {
        let (first, digest) = event_log(arm, 7);
        let (second, digest_again) = event_log(arm, 7);
        assert!(first.len() > 100, "{arm}: hardly anything happened");
        check_same_log(&first, &second);
        assert_eq!(digest, digest_again, "{arm}: equal logs, unequal digests");
    }
}

#[test]
fn another_seed_or_arm_gives_another_digest() {
    let (_, digest) = event_log("newsvendor", 7);
    assert_ne!(digest, event_log("newsvendor", 8).1);
    assert_ne!(digest, event_log("always", 7).1);
}

#[test]
fn arms_do_not_depend_on_the_number_of_threads() {
    let on_threads = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let contestants = baselines(&KnobCenters::default());
        let progress = Progress::new("test", 22);
        let seeds: Vec<Seed<Test>> = Seed::several(1, 0, 2);
        pool.install(|| run_all(&scenario(2), &contestants, &seeds, &progress))
    };
    assert_eq!(on_threads(1), on_threads(2));
}

#[test]
fn simulate_prints_and_logs_the_same_bytes_twice() {
    let folder = tempfile::tempdir().unwrap();
    let simulate = |name: &str| {
        let file = folder.path().join(name);
        let args = [
            "simulate",
            "demo",
            "--seed",
            "9",
            "--set",
            "days=2",
            "--set",
            "history_days=2",
            "--format",
            "csv",
            "--log",
            text(&file),
        ];
        let printed = stdout_of(&args);
        (printed, std::fs::read(&file).unwrap())
    };
    let (printed, log) = simulate("first.csv");
    assert!(log.len() > 1000, "hardly anything was logged");
    assert_eq!(simulate("second.csv"), (printed, log));
}

fn options() -> CellEnvOptions {
    let overrides = ["days=2", "history_days=2", "services.count=1"].map(str::to_owned);
    CellEnvOptions {
        scenario: scenarios::load("demo", &overrides).unwrap(),
        arm: Arm::at("static", KnobCenters::default()),
        reward_scale_usd: 0.5,
    }
}

fn actions(t: usize, count: usize) -> Vec<u8> {
    (0..count)
        .map(|i| ((t * 3 + i * 5) % usize::from(LEVELS)) as u8)
        .collect()
}

/// A step as bits: NaN or not, equal means equal.
fn bits(step: &Step) -> (Vec<u32>, Vec<u32>, Vec<bool>) {
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect();
    (
        bits(&step.observations),
        bits(&step.rewards),
        step.truncated.clone(),
    )
}

#[test]
fn an_environment_restored_in_mid_episode_goes_on_bit_for_bit() {
    let mut env = CellEnv::new(options());
    let spec = env.spec().clone();
    let count = spec.n_rows * spec.action.len();
    let mut step = Step::new(spec.n_rows, spec.layout.len());
    env.reset(5, &mut vec![0.0; spec.n_rows * spec.layout.len()]);
    let middle = spec.max_episode_steps / 2;
    for t in 0..middle {
        env.step(&actions(t, count), &mut step);
    }
    let snapshot = env.snapshot();
    let mut restored = CellEnv::new(options());
    restored.restore(&snapshot).unwrap();
    let mut other = Step::new(spec.n_rows, spec.layout.len());
    for t in middle..spec.max_episode_steps {
        env.step(&actions(t, count), &mut step);
        restored.step(&actions(t, count), &mut other);
        assert_eq!(bits(&step), bits(&other), "step {t}");
    }
    assert_eq!(env.snapshot(), restored.snapshot());
}

#[test]
fn a_vector_restored_goes_on_bit_for_bit_over_the_end_of_an_episode() {
    let vector = || ParallelVectorEnv::new(vec![CellEnv::new(options()), CellEnv::new(options())]);
    let mut env = vector();
    let spec = env.spec().clone();
    let rows = env.total_rows();
    let count = rows * spec.action.len();
    let mut step = Step::new(rows, spec.layout.len());
    env.reset(5, &mut vec![0.0; rows * spec.layout.len()]);
    let middle = spec.max_episode_steps - 5;
    for t in 0..middle {
        env.step(&actions(t, count), &mut step);
    }
    let mut restored = vector();
    restored.restore(&env.snapshot()).unwrap();
    let mut other = Step::new(rows, spec.layout.len());
    for t in middle..middle + 10 {
        env.step(&actions(t, count), &mut step);
        restored.step(&actions(t, count), &mut other);
        assert_eq!(bits(&step), bits(&other), "step {t}");
    }
}

#[test]
fn a_snapshot_of_something_else_is_refused() {
    let mut env = CellEnv::new(options());
    let width = env.spec().n_rows * env.spec().action.len();
    let level = vec![9u8; width];
    for snapshot in [
        "[1".to_owned(),
        r#"{"seed":1,"journal":[3]}"#.to_owned(),
        format!(r#"{{"seed":1,"journal":{level:?}}}"#),
    ] {
        assert!(env.restore(snapshot.as_bytes()).is_err(), "{snapshot}");
    }
}

#[cfg(feature = "train")]
mod training {
    //! Weights.
    use std::path::Path;
    use std::process::Stdio;

    use crate::{program, run, stdout_of, text};

    /// Row-steps of one update: 12 steps of 2 environments with 4 cells each.
    const ROLLOUT: u32 = 12 * 2 * 4;

    /// `prestage train`, small, with so many updates after the warm-up.
    fn train(out: &Path, updates: u32, threads: &str) -> Vec<String> {
        let total = format!("train.ppo.total_steps={}", ROLLOUT * (updates + 1));
        let sets = [
            "days=2",
            "history_days=2",
            "services.count=1",
            "tune.candidates=2",
            "tune.seeds=1",
            "tune.finalists=2",
            "tune.fresh_seeds=1",
            "train.seeds=1",
            "train.n_envs=2",
            "train.checkpoint_every=1",
            "train.ppo.n_steps=12",
            "train.ppo.batch_size=48",
            "train.ppo.n_epochs=2",
            "train.ppo.hidden=[8]",
            &total,
        ];
        let mut args: Vec<String> = ["train", "demo", "--seed", "3", "--threads", threads]
            .map(str::to_owned)
            .to_vec();
        for set in sets {
            args.extend(["--set".to_owned(), set.to_owned()]);
        }
        args.extend(["--out".to_owned(), text(out).to_owned()]);
        args
    }

    fn refs(args: &[String]) -> Vec<&str> {
        args.iter().map(String::as_str).collect()
    }

    /// Files of a run that a seed fixes.
    const FIXED: [&str; 5] = [
        "config.toml",
        "tuned.json",
        "progress.jsonl",
        "seed-0/progress.jsonl",
        "seed-0/policy/policy.safetensors",
    ];

    #[track_caller]
    fn check_same_files(first: &Path, second: &Path) {
        for file in FIXED {
            let read = |run: &Path| std::fs::read(run.join(file)).unwrap();
            let (first, second) = (read(first), read(second));
            assert!(!first.is_empty(), "{file} is empty");
            let differs = first.iter().zip(&second).position(|(a, b)| a != b);
            assert_eq!(differs, None, "{file} differs at this byte");
            assert_eq!(first.len(), second.len(), "length of {file}");
        }
    }

    #[test]
    fn weights_do_not_depend_on_the_number_of_threads() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        stdout_of(&refs(&train(&one, 4, "1")));
        stdout_of(&refs(&train(&two, 4, "2")));
        check_same_files(&one, &two);
    }

    /// Starts a training and kills it once its first checkpoint is there; false
    /// when it was finished by then.
    fn train_and_kill(out: &Path, updates: u32) -> bool {
        let args = train(out, updates, "1");
        let mut child = program(&refs(&args))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let checkpoints = out.join("seed-0").join("checkpoints");
        let begun = || {
            let is_whole = |entry: std::io::Result<std::fs::DirEntry>| {
                // Hidden files are checkpoints on their way.
                entry.is_ok_and(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
            };
            std::fs::read_dir(&checkpoints).is_ok_and(|mut all| all.any(is_whole))
        };
        while !begun() {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("training ended without a checkpoint: {status}");
            }
            // Only spares the processor for the child; nothing is decided by time.
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        !out.join("seed-0").join("policy").exists()
    }

    #[test]
    fn a_killed_and_resumed_training_ends_with_the_same_weights() {
        // The kill races with the end of the run: with more updates it wins.
        for updates in [10, 80] {
            let folder = tempfile::tempdir().unwrap();
            let killed = folder.path().join("killed");
            if !train_and_kill(&killed, updates) {
                continue;
            }
            let resumed = run(&["train", "--resume", text(&killed)]);
            let stderr = String::from_utf8_lossy(&resumed.stderr);
            assert!(resumed.status.success(), "{stderr}");
            assert!(stderr.contains("resumed from"), "{stderr}");
            let whole = folder.path().join("whole");
            stdout_of(&refs(&train(&whole, updates, "2")));
            check_same_files(&whole, &killed);
            return;
        }
        panic!("no training could be killed between its first checkpoint and its end");
    }

    #[test]
    fn a_part_of_a_first_checkpoint_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
        stdout_of(&refs(&train(&whole, 2, "1")));
        stdout_of(&refs(&train(&killed, 2, "1")));
        // As a kill leaves it in the middle of the first checkpoint's writing.
        let seed = killed.join("seed-0");
        std::fs::remove_dir_all(&seed).unwrap();
        std::fs::create_dir_all(seed.join("checkpoints")).unwrap();
        std::fs::write(seed.join("checkpoints/.update-1.7.tmp"), "half").unwrap();
        stdout_of(&["train", "--resume", text(&killed)]);
        check_same_files(&whole, &killed);
    }

    #[test]
    fn resuming_a_finished_run_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (run, copy) = (folder.path().join("run"), folder.path().join("copy"));
        stdout_of(&refs(&train(&run, 2, "1")));
        for file in FIXED {
            let target = copy.join(file);
            std::fs::create_dir_all(target.parent().unwrap()).unwrap();
            std::fs::copy(run.join(file), target).unwrap();
        }
        stdout_of(&["train", "--resume", text(&run)]);
        check_same_files(&copy, &run);

        // With other settings it would be another run.
        let config = std::fs::read_to_string(run.join("config.toml")).unwrap();
        let edited = config.replacen("n_epochs = 2", "n_epochs = 3", 1);
        assert_ne!(edited, config);
        std::fs::write(run.join("config.toml"), edited).unwrap();
        let refused = crate::run(&["train", "--resume", text(&run)]);
        let stderr = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{stderr}");
        assert!(
            stderr.contains("config.toml") && stderr.contains("hint:"),
            "{stderr}"
        );
    }
}
