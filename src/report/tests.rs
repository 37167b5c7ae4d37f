//! The page as a whole, on a synthetic run folder.
use std::fs;

use tempfile::TempDir;

use super::*;
use crate::run_folder::{Outcome, ResultRow};

const ARMS: [(&str, f64); 7] = [
    ("reactive", 640.0),
    ("hpa-like", 268.0),
    ("newsvendor", 214.0),
    ("static-tuned", 187.0),
    ("fixed-share", 183.5),
    ("ppo", 171.0),
    ("clairvoyant", 131.0),
];
const NEEDS: [(&str, u64); 4] = [
    ("scaling", 46),
    ("feature_release", 9),
    ("dependency_update", 21),
    ("test_suite", 30),
];

/// A number in 0..1 that looks random and is not: a Weyl sequence.
fn noise(index: u64) -> f64 {
    (index.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 11) as f64 / (1_u64 << 53) as f64
}

fn manifest() -> Manifest {
    Manifest {
        format_version: 1,
        name: "holiday-and-return".to_owned(),
        created_by: "prestage 0.1.0".to_owned(),
        git_revision: "3f1c2a9d7b".to_owned(),
        seed: 20_240_101,
        config_hash: "b3:5a0c6d1e".to_owned(),
        scenario: "scenarios/holiday-and-return.toml".to_owned(),
        evaluated_days: 28.0,
        arms: ARMS.map(|(name, _)| name.to_owned()).to_vec(),
        reference_arm: "static-tuned".to_owned(),
        timeline_arm: Some("ppo".to_owned()),
        command: "prestage run experiments/holiday --set n_steps=\"<64>\"".to_owned(),
    }
}

fn results() -> Vec<ResultRow> {
    let mut rows = Vec::new();
    for (rank, (arm, level)) in ARMS.into_iter().enumerate() {
        let train_seeds: Vec<Option<u64>> = if arm == "ppo" {
            (0..10).map(Some).collect()
        } else {
            vec![None]
        };
        for (train_seed, scenario_seed) in train_seeds
            .iter()
            .flat_map(|seed| (100..130).map(move |scenario| (*seed, scenario)))
        {
            for (index, (need, needs)) in NEEDS.into_iter().enumerate() {
                let key = scenario_seed * 7 + index as u64;
                let shared = 0.7 + 0.6 * noise(key);
                let own = noise(key * 31 + rank as u64 * 1_009 + train_seed.unwrap_or(0) * 77);
                let hits = (needs as f64 * (0.15 + 0.12 * rank as f64 + 0.05 * own)).round() as u64;
                let hits = if arm == "reactive" {
                    0
                } else {
                    hits.min(needs)
                };
                let wasted = if arm == "clairvoyant" {
                    0
                } else {
                    (needs as f64 * 0.3 * own) as u64
                };
                let wasted = if arm == "reactive" { 0 } else { wasted };
                rows.push(ResultRow {
                    arm: arm.to_owned(),
                    train_seed,
                    scenario: "holiday".to_owned(),
                    scenario_seed,
                    need: need.to_owned(),
                    cost_usd: 28.0 * level / 4.0 * (shared + 0.1 * (own - 0.5)),
                    needs,
                    hits,
                    misses: needs - hits,
                    stages: hits + wasted + 1,
                    used: hits,
                    expired: wasted - wasted / 3,
                    withdrawn: 1,
                    rolled_back: wasted / 3,
                    blocked_minutes: (needs - hits) as f64 * 11.0,
                    slo_violation_minutes: (needs - hits) as f64 * 1.5,
                    runner_minutes: (hits + wasted) as f64 * 9.0,
                    idle_stage_hours: wasted as f64 * 3.0,
                    exposure_usd: 1.0,
                    exposure_days: 0.0,
                });
            }
        }
    }
    rows
}

fn progress() -> Vec<Progress> {
    let line = |seed: u64, update: u64| {
        let learned = 1.0 - (-(update as f64) / 25.0).exp();
        let ratio = 1.0 - 0.085 * learned + 0.05 * (noise(seed * 997 + update) - 0.5);
        Progress {
            seed,
            update,
            row_steps: update * 16_384,
            reward_mean: -ratio,
            episode_return_mean: None,
            cost_ratio_to_static: Some(ratio + 0.01 * noise(seed)),
            policy_loss: 0.0,
            value_loss: 0.0,
            entropy: 1.0,
            approx_kl: 0.0,
            clip_fraction: 0.0,
            explained_variance: None,
            learning_rate: 3e-4,
        }
    };
    (0..10)
        .flat_map(|seed| (1..=120).map(move |update| line(seed, update)))
        .collect()
}

fn timeline() -> Vec<TimelineRow> {
    let mut rows = Vec::new();
    for (lane, (need, needs)) in NEEDS.into_iter().enumerate() {
        let (mut staged_since, mut hour_of_threshold) = (None, 0.2);
        for step in 0..2_016_i64 {
            let epoch = 1_704_067_200 + step * 300;
            let day = (step as f64 / 288.0 * std::f64::consts::TAU + lane as f64).sin();
            let probability =
                (0.16 + 0.14 * day + 0.05 * noise(step as u64 / 6 + lane as u64)).max(0.0);
            if step % 12 == 0 {
                hour_of_threshold = 0.2 + 0.05 * (noise(step as u64 + 9) - 0.5);
            }
            if probability > hour_of_threshold && staged_since.is_none() {
                staged_since = Some(step);
            }
            let needed = noise(step as u64 * 13 + lane as u64) < probability * needs as f64 / 700.0;
            let age = staged_since.map_or(0, |since| step - since);
            let outcome = match (needed, age) {
                (true, age) if age > 3 => Some(Outcome::Hit),
                (true, _) => Some(Outcome::Miss),
                (false, age) if age > 130 => Some(Outcome::Expired),
                (false, age) if age > 90 && step % 97 == 0 => Some(Outcome::Withdrawn),
                _ => None,
            };
            rows.push(TimelineRow {
                epoch,
                service: ["web", "checkout", "search"][lane % 3].to_owned(),
                need: need.to_owned(),
                probability: Some(probability),
                threshold: Some(hour_of_threshold),
                staged: age > 3,
                needed,
                outcome,
            });
            if outcome.is_some_and(|outcome| outcome != Outcome::Miss) {
                staged_since = None;
            }
        }
    }
    rows
}

fn run_folder() -> TempDir {
    let run = tempfile::tempdir().unwrap();
    fill(run.path());
    run
}

fn fill(run: &Path) {
    run_folder::write_manifest(run, &manifest()).unwrap();
    run_folder::write_results(run, &results()).unwrap();
    run_folder::write_progress(run, &progress()).unwrap();
    run_folder::write_timeline(run, &timeline()).unwrap();
}

fn html(run: &Path) -> String {
    fs::read_to_string(write(run).unwrap()).unwrap()
}

#[test]
fn same_folder_gives_the_same_bytes_wherever_it_lies() {
    let first = run_folder();
    let copied = run_folder();
    let page = html(first.path());
    assert_eq!(page, html(copied.path()));
    assert_eq!(
        page,
        html(first.path()),
        "a second report does not read the first"
    );
}

#[test]
fn page_is_self_contained_and_escaped() {
    let page = html(run_folder().path());
    for forbidden in [
        "http:", "https:", "<script", "src=", "url(", "@import", "<link", "\"<64>\"",
    ] {
        assert!(!page.contains(forbidden), "the page contains {forbidden}");
    }
    assert!(page.contains("n_steps=&quot;&lt;64&gt;&quot;"));
}

#[test]
fn summary_says_what_the_numbers_say() {
    let page = html(run_folder().path());
    assert!(
        page.contains("The cheapest arm that production could run was ppo at $"),
        "{page}"
    );
    assert!(page.contains("ppo beats static-tuned by $"));
    assert!(
        page.contains("Against the cheapest rule, which needs no training: ppo beats fixed-share")
    );
    assert!(page.contains("clairvoyant, which knows what production cannot, is 3"));
    assert!(
        !page.contains("read it as a sketch"),
        "10 x 30 is enough for a claim"
    );
}

#[test]
fn no_difference_is_called_so() {
    let run = run_folder();
    let mut rows: Vec<ResultRow> = results();
    rows.retain(|row| ["static-tuned", "ppo"].contains(&row.arm.as_str()));
    let reference = rows
        .iter()
        .find(|row| row.arm == "static-tuned")
        .unwrap()
        .clone();
    for (index, row) in rows.iter_mut().enumerate() {
        row.cost_usd =
            reference.cost_usd + if index % 2 == 0 { 5.0 } else { -5.0 } * noise(index as u64);
    }
    run_folder::write_results(run.path(), &rows).unwrap();
    let page = html(run.path());
    assert!(page.contains("Between ppo and static-tuned there is no difference within noise"));
    assert!(page.contains("Without results: reactive, hpa-like, "));
    assert!(!page.contains("beats"));
}

#[test]
fn a_small_run_calls_itself_a_sketch_and_needs_no_training() {
    let run = tempfile::tempdir().unwrap();
    run_folder::write_manifest(run.path(), &manifest()).unwrap();
    let mut rows = results();
    rows.retain(|row| row.train_seed.is_none() && row.scenario_seed < 103);
    run_folder::write_results(run.path(), &rows).unwrap();
    let page = html(run.path());
    assert!(page.contains("No arm of this run was trained."));
    assert!(page.contains("read it as a sketch"));
    assert!(!page.contains("id=\"learning\"") && !page.contains("id=\"week\""));
}

#[test]
fn summary_csv_has_a_row_for_each_arm() {
    let run = run_folder();
    write(run.path()).unwrap();
    let text = fs::read_to_string(run.path().join("results_summary.csv")).unwrap();
    assert_eq!(text.lines().count(), 1 + ARMS.len());
    assert!(text.starts_with("arm,trained,training_seeds,scenarios,cost_usd_per_day_mean,"));
    assert!(text.lines().any(|line| line.starts_with("ppo,1,10,30,")));
}

#[cfg(feature = "plots")]
#[test]
fn figures_are_drawn_into_page_and_folder() {
    let run = run_folder();
    let page = html(run.path());
    for name in ["cost", "outcomes", "learning-curve", "timeline"] {
        let svg = fs::read_to_string(run.path().join(format!("figures/{name}.svg"))).unwrap();
        assert!(
            svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n"),
            "{name}"
        );
        assert!(page.contains(&format!("id=\"figure-{name}\"")), "{name}");
    }
    assert!(page.len() < 600_000, "the page has {} bytes", page.len());
}

#[cfg(not(feature = "plots"))]
#[test]
fn page_without_plotter_says_so() {
    let run = run_folder();
    assert!(html(run.path()).contains("This build draws no figures"));
    assert!(!run.path().join("figures").exists());
}
