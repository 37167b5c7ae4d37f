//! How time and memory grow with the number of services.
//!
//! ```sh
//! cargo run --release -p prestage-envs --example scale -- 16 28
//! {"services":16,"days":28,"events":18600,"digest":"b2f3a7d61b8e7d23","interrupts":26,"generate_s":0.03,"run_s":0.16,"peak_rss_mib":10.2}
//! ```
//! One arm (newsvendor) in the calm-weekly family, forecasts, decisions and 14 days
//! of warm-up included, on one core. Seconds are CPU seconds of the process, so a busy machine does
//! not change them much; the memory is the kernel's high-water mark. Linux only:
//! elsewhere both read as null. Two builds that print the same digest of the event log did the same.
use std::sync::Arc;

use prestage_controller::{Controller, KnobCenters, action_space, baseline, layout};
use prestage_envs::{Setting, run_episode};
use prestage_policy::NeutralPolicy;
use prestage_world::{Exogenous, Scenario, WorldOptions};

fn main() {
    let numbers: Option<Vec<u32>> = std::env::args()
        .skip(1)
        .map(|text| text.parse().ok())
        .collect();
    let Some(&[services, days]) = numbers.as_deref() else {
        eprintln!("usage: scale SERVICES DAYS, both whole numbers");
        std::process::exit(2);
    };
    let overrides = [
        format!("services.count={services}"),
        format!("runners.count={services}"),
        format!("days={days}"),
    ];
    let text = include_str!("../../scenarios/calm-weekly.toml");
    let scenario = match Scenario::parse("calm-weekly", text, &overrides) {
        Ok(scenario) => scenario,
        Err(error) => {
            eprintln!("error: {error}");
            std::process::exit(2);
        }
    };
    let arm = baseline("newsvendor")
        .expect("it is a baseline")
        .arm(&KnobCenters::default());
    let before = cpu_s();
    let record = Exogenous::generate(&scenario, 7);
    let generated = cpu_s();
    let setting = Setting {
        record: Arc::new(record),
        world: WorldOptions::new(&scenario, arm.on_demand, 7),
        prices: scenario.prices().clone(),
    };
    let mut policy = NeutralPolicy::new(layout(), action_space());
    let mut interrupts = 0;
    let mut world = setting.world(&arm);
    let episode = run_episode(&setting, &arm, &mut policy, &mut world, &mut |moment| {
        interrupts = moment.controller.map_or(0, Controller::interrupts);
    })
    .expect("a simulated world refuses nothing that a controller asks");
    let done = cpu_s();
    let seconds = |from: Option<f64>, to: Option<f64>| match (from, to) {
        (Some(from), Some(to)) => format!("{:.3}", to - from),
        _ => "null".to_owned(),
    };
    println!(
        "{{\"services\":{services},\"days\":{days},\"events\":{},\"digest\":\"{:016x}\",\"interrupts\":{interrupts},\"generate_s\":{},\"run_s\":{},\"peak_rss_mib\":{}}}",
        episode.log_len,
        episode.log_digest,
        seconds(before, generated),
        seconds(generated, done),
        peak_rss_mib().map_or("null".to_owned(), |mib| format!("{mib:.1}")),
    );
}

/// CPU time of this process: the first field of schedstat, nanoseconds on a CPU.
fn cpu_s() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    let nanoseconds: f64 = text.split(' ').next()?.parse().ok()?;
    Some(nanoseconds / 1e9)
}

fn peak_rss_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}
