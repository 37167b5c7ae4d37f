//! How good the controller's alarms are in simulated bursts, whose beginning and height are known.
//!
//! ```sh
//! cargo run --release -p prestage-envs --example alarms -- 10
//! ```
//! Each family runs with the seeds 1 to 10 (newsvendor, 28 days after 14 of history). What a burst is comes from the
//! world: the same seed without bursts has the same noise, so the ratio of both loads is the burst alone. A *stretch* is where it
//! is above 1.05, a *burst* is a stretch that reaches 1.5, 2 or 3: a line for each. An alarm about requests is true inside a stretch
//! of its service; an alarm at any moment would be with the probability `share_in_stretches`. A burst is found when an
//! alarm is raised inside it; the delay counts from the stretch's beginning.
use std::collections::BTreeSet;
use std::sync::Arc;

use prestage_controller::{KnobCenters, action_space, baseline, layout};
use prestage_envs::{Setting, run_episode};
use prestage_policy::NeutralPolicy;
use prestage_telemetry::{Metric, SeriesId};
use prestage_world::{Exogenous, Scenario, WorldOptions};

const FAMILIES: [(&str, &str); 2] = [
    (
        "flash-burst",
        include_str!("../../scenarios/flash-burst.toml"),
    ),
    (
        "correlated-burst",
        include_str!("../../scenarios/correlated-burst.toml"),
    ),
];
/// A load this many times what it would be has begun to be a burst.
const STRETCH_RATIO: f64 = 1.05;
/// A stretch that gets so high is one that somebody wants to hear of.
const BURST_RATIOS: [f64; 3] = [1.5, 2.0, 3.0];
const MINUTE_US: i64 = 60_000_000;

/// A stretch of lifted load of one service, in minutes of the record.
struct Stretch {
    service: u32,
    first: i64,
    last: i64,
    peak: f64,
}

/// An alarm about the requests of a service, raised in a minute of the record.
struct Raised {
    service: u32,
    minute: i64,
}

/// What the alarms of some runs were worth.
struct Score {
    /// Height that a stretch must reach.
    ratio: f64,
    alarms: usize,
    true_alarms: usize,
    minutes: i64,
    minutes_in_stretches: i64,
    bursts: usize,
    found: usize,
    delays_min: Vec<f64>,
}

fn main() {
    let seeds = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let Some(seeds @ 1..) = seeds else {
        eprintln!("usage: alarms SEEDS, a whole number of at least 1");
        std::process::exit(2);
    };
    for (family, text) in FAMILIES {
        let scenario = |overrides: &[String]| {
            Scenario::parse(family, text, overrides).expect("shipped families are valid")
        };
        let (bursty, calm) = (
            scenario(&[]),
            scenario(&["traffic.bursts_per_week=0.0".to_owned()]),
        );
        let mut scores = BURST_RATIOS.map(Score::new);
        for seed in 1..=seeds {
            let record = Arc::new(Exogenous::generate(&bursty, seed));
            let stretches = stretches(&record, &Exogenous::generate(&calm, seed));
            let raised = raised(&bursty, &record, seed);
            for score in &mut scores {
                score.minutes += minutes(&record) * record.demands.len() as i64;
                score.add(&stretches, &raised);
            }
        }
        for score in scores {
            println!("{}", score.line(family, seeds));
        }
    }
}

/// Minutes after the history.
fn minutes(record: &Exogenous) -> i64 {
    (record.end.as_micros() - record.start.as_micros()) / MINUTE_US
}

/// Where the load is more than it would be without bursts, after the history.
fn stretches(bursty: &Exogenous, calm: &Exogenous) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::new();
    for (demand, without) in bursty.demands.iter().zip(&calm.demands) {
        assert_eq!(demand.values.len(), without.values.len());
        let opens = (bursty.start.as_micros() - demand.first.as_micros()) / MINUTE_US;
        let mut open: Option<Stretch> = None;
        for (minute, (&load, &usual)) in (0_i64..).zip(demand.values.iter().zip(&without.values)) {
            let ratio = f64::from(load) / f64::from(usual);
            if ratio <= STRETCH_RATIO {
                stretches.extend(open.take().filter(|stretch| stretch.first >= opens));
                continue;
            }
            let stretch = open.get_or_insert(Stretch {
                service: demand.service,
                first: minute,
                last: minute,
                peak: ratio,
            });
            stretch.last = minute;
            stretch.peak = stretch.peak.max(ratio);
        }
        stretches.extend(open);
    }
    stretches
}

/// The controller's alarms about requests: which it has after a turn and had not after the one before.
fn raised(scenario: &Scenario, record: &Arc<Exogenous>, seed: u64) -> Vec<Raised> {
    let arm = baseline("newsvendor")
        .expect("it is a baseline")
        .arm(&KnobCenters::default());
    let setting = Setting {
        record: Arc::clone(record),
        world: WorldOptions::new(scenario, arm.on_demand, seed),
        prices: scenario.prices().clone(),
    };
    let mut policy = NeutralPolicy::new(layout(), action_space());
    let mut world = setting.world(&arm);
    let mut standing: BTreeSet<SeriesId> = BTreeSet::new();
    let mut raised = Vec::new();
    run_episode(&setting, &arm, &mut policy, &mut world, &mut |moment| {
        let Some(controller) = moment.controller else {
            return;
        };
        let now = prestage_controller::Clock::now(moment.world);
        let minute = (now.0 - record.history_start.as_micros()) / MINUTE_US;
        let current: BTreeSet<SeriesId> = controller.standing_alarms(now).collect();
        let new = current.difference(&standing);
        raised.extend(
            new.filter(|series| series.metric == Metric::RequestsPerSecond)
                .map(|series| Raised {
                    service: series.service.0,
                    minute,
                }),
        );
        standing = current;
    })
    .expect("a simulated world refuses nothing that a controller asks");
    raised
}

impl Score {
    fn new(ratio: f64) -> Self {
        Self {
            ratio,
            alarms: 0,
            true_alarms: 0,
            minutes: 0,
            minutes_in_stretches: 0,
            bursts: 0,
            found: 0,
            delays_min: Vec::new(),
        }
    }

    fn add(&mut self, stretches: &[Stretch], raised: &[Raised]) {
        let is_in = |stretch: &Stretch, alarm: &&Raised| {
            // The alarm of a bin comes when the bin has ended, at most ten minutes after its beginning.
            alarm.service == stretch.service
                && (stretch.first..=stretch.last + 10).contains(&alarm.minute)
        };
        self.alarms += raised.len();
        let lengths = stretches
            .iter()
            .map(|stretch| stretch.last - stretch.first + 1);
        self.minutes_in_stretches += lengths.sum::<i64>();
        let is_true = |alarm: &&Raised| stretches.iter().any(|stretch| is_in(stretch, alarm));
        self.true_alarms += raised.iter().filter(is_true).count();
        for burst in stretches
            .iter()
            .filter(|stretch| stretch.peak >= self.ratio)
        {
            self.bursts += 1;
            if let Some(alarm) = raised.iter().find(|alarm| is_in(burst, alarm)) {
                self.found += 1;
                self.delays_min.push((alarm.minute - burst.first) as f64);
            }
        }
    }

    fn line(mut self, family: &str, seeds: u64) -> String {
        self.delays_min.sort_by(f64::total_cmp);
        let mean = self.delays_min.iter().sum::<f64>() / self.delays_min.len() as f64;
        let median = self.delays_min.get(self.delays_min.len() / 2);
        format!(
            "{{\"family\":\"{family}\",\"seeds\":{seeds},\"reaches\":{},\"bursts\":{},\"alarms\":{},\"precision\":{:.3},\
             \"share_in_stretches\":{:.3},\"recall\":{:.3},\"delay_min_mean\":{mean:.1},\"delay_min_median\":{:.0}}}",
            self.ratio,
            self.bursts,
            self.alarms,
            self.true_alarms as f64 / self.alarms as f64,
            self.minutes_in_stretches as f64 / self.minutes as f64,
            self.found as f64 / self.bursts as f64,
            median.copied().unwrap_or(f64::NAN),
        )
    }
}
