//! Speculative stages on a pool of CI runners:
//! `cargo run --release -p prestage-des --example preemption`.
//!
//! Four runners serve commits; speculative stages take what is left and give way at
//! once. So commits must wait exactly as if nobody speculated, which Erlang C says, at
//! whatever load of speculation; the example asserts it. What speculation pays for that
//! is shown beside: interruptions, and the time lost when interrupted work starts again.
//!
//! Must not know how the model is tested.

#[path = "../tests/it/ci.rs"]
mod ci;

#[path = "../tests/it/erlang_c.rs"]
mod erlang_c;

#[path = "../tests/it/shape.rs"]
mod shape;

use ci::{COMMIT, Ci, SPECULATIVE, Shape};
use prestage_des::Tally;
use prestage_des::preemptive::{Interrupted, ServiceTally};

const RUNNERS: u32 = 4;
/// Load of the commits alone.
const COMMITS: f64 = 0.6;
const WORK_SECS: f64 = 1.0;
const RUNS: u64 = 10;

fn main() {
    let theory = erlang_c::wait_secs(shape::Shape {
        servers: RUNNERS,
        utilization: COMMITS,
    });
    println!("commits alone would wait {theory:.4} s (Erlang C)\n");
    println!("speculation  interrupted  wait/s   +-     preempted/1000  lost/%");
    for interrupted in [Interrupted::Resumes, Interrupted::Restarts] {
        for speculation in [0.1, 0.2] {
            let runs: Vec<(f64, ServiceTally)> = (0..RUNS)
                .map(|seed| simulate(speculation, interrupted, seed))
                .collect();
            let wait: Tally = runs.iter().map(|(wait, _)| *wait).collect();
            report(speculation, interrupted, &wait, &runs);
            assert!(
                (wait.mean() - theory).abs() < 4.0 * wait.standard_error(),
                "speculation changed the wait of commits: {} is not {theory}",
                wait.mean()
            );
        }
    }
}

/// The mean wait of commits, and where the time of the runners went.
fn simulate(speculation: f64, interrupted: Interrupted, seed: u64) -> (f64, ServiceTally) {
    let gap = |load: f64| WORK_SECS / (f64::from(RUNNERS) * load);
    let shape = Shape {
        runners: RUNNERS as usize,
        gap_secs: [gap(COMMITS), gap(speculation)],
        work_secs: WORK_SECS,
        outages: None,
        interrupted,
    };
    let mut ci = Ci::new(shape, seed);
    for _ in 0..10_000 {
        ci.step();
    }
    ci.pool.reset_statistics(ci.queue.now());
    for _ in 0..400_000 {
        ci.step();
    }
    ci.pool.check_conservation(ci.queue.now());
    let speculative = ci.pool.waits(SPECULATIVE);
    assert!(speculative.count > 0, "speculation got no runner at all");
    (ci.pool.waits(COMMIT).mean_secs(), ci.pool.tally())
}

fn report(speculation: f64, interrupted: Interrupted, wait: &Tally, runs: &[(f64, ServiceTally)]) {
    let preempted: u64 = runs.iter().map(|(_, tally)| tally.preempted).sum();
    let finished: u64 = runs.iter().map(|(_, tally)| tally.finished).sum();
    let lost: f64 = runs.iter().map(|(_, tally)| tally.lost.as_secs_f64()).sum();
    let kept: f64 = runs.iter().map(|(_, tally)| tally.kept.as_secs_f64()).sum();
    let (wait, error) = (wait.mean(), wait.standard_error());
    let per_thousand = 1e3 * preempted as f64 / finished as f64;
    let lost_percent = 100.0 * lost / (lost + kept);
    println!(
        "{speculation:11}  {:11}  {wait:.4}  {error:.4}  {per_thousand:14.1}  {lost_percent:6.2}",
        format!("{interrupted:?}").to_lowercase()
    );
}
