//! The channels: for each dial a world in which it matters, and what there is to know.
use std::f64::consts::TAU;

use prestage_controller::{Calendar, Knob};
use prestage_des::SimTime;
use prestage_telemetry::Timestamp;
use prestage_world::{fleet_upstream, peak_hours};

use super::{Channel, Circumstance, KindOf, Past, Rival};

/// All channels, in report order.
pub static CHANNELS: &[Channel] = &[
    Channel {
        name: "D1",
        dial: "calibration_drift",
        full: 1.0,
        about: "hidden regimes of about two days; told the regime",
        world: RELEASES,
        center: 1.0,
        grid: HOLD,
        rival: Rival::Told(REGIME),
    },
    Channel {
        name: "D2",
        dial: "price_changes",
        full: 1.0,
        about: "few wait at night; the formula over prices against one probability for all",
        world: NIGHT_PRICES,
        center: 1.0,
        grid: HOLD,
        rival: Rival::Formula,
    },
    Channel {
        name: "D2 over the formula",
        dial: "price_changes",
        full: 1.0,
        about: "the same world; told the hours, against constants over the formula",
        world: NIGHT_PRICES,
        center: 1.0,
        grid: HOLD,
        rival: Rival::Told(HOURS),
    },
    Channel {
        name: "D3",
        dial: "shared_runners",
        full: 1.0,
        about: "builds fill what outages leave of a shared pool; told of outages",
        world: BUSY_RUNNERS,
        center: 1.0,
        grid: HOLD,
        rival: Rival::Told(OUTAGE),
    },
    Channel {
        name: "D4",
        dial: "load_dependent_lead",
        full: 1.0,
        about: "reviews asked for ahead at night take longer; told the hours",
        world: NIGHT_REVIEWS,
        center: 3.0,
        grid: HOLD,
        rival: Rival::Told(HOURS),
    },
    Channel {
        name: "D5",
        dial: "retrain_staleness",
        full: 2.0,
        about: "the daily peak wanders from what a model has learnt; told where it is wrong",
        world: WANDERING_PEAK,
        center: 0.0,
        grid: SCALE,
        rival: Rival::Told(STALE),
    },
    Channel {
        name: "D6",
        dial: "correlated_needs",
        full: 1.0,
        about: "upstream releases that all services follow and nobody announces; told of them",
        world: HIDDEN_UPSTREAM,
        center: 1.0,
        grid: HOLD,
        rival: Rival::Told(CAUSE),
    },
    Channel {
        name: "D7",
        dial: "moving_hazard",
        full: 1.0,
        about: "releases keep to working hours; told the hours and those before work begins",
        world: STEADY_RELEASES,
        center: 0.0,
        grid: HOLD,
        rival: Rival::Told(DAWN),
    },
];

const HOLD: &[(Knob, &[i8])] = &[
    (Knob::Threshold, &[-3, -2, -1, 0, 1, 2, 3]),
    (Knob::Ttl, &[-2, 1]),
];

const SCALE: &[(Knob, &[i8])] = &[
    (Knob::Threshold, &[-3, -1, 1]),
    (Knob::Quantile, &[0, 2]),
    (Knob::Horizon, &[-2, 0]),
];

/// Releases without memory: one a day and service, and holding costs what it saves on average.
const RELEASES: &[&str] = &[
    "days=14",
    "history_days=7",
    "services.cells={scaling=0,dependency_update=0,test_suite=0}",
    "releases.mean_days=1",
    "releases.regularity=1",
    "releases.min_commits=0",
    "prices.runner_minute=0.16",
    "prices.review_minutes=2",
    "operation.upkeep_minutes_per_hour=40",
];

/// The same twice a day, with hardly anybody waiting at night.
const NIGHT_PRICES: &[&str] = &[
    "days=14",
    "history_days=14",
    "services.cells={scaling=0,dependency_update=0,test_suite=0}",
    "releases.mean_days=0.5",
    "releases.regularity=1",
    "releases.min_commits=0",
    "prices.runner_minute=0.17",
    "prices.review_minutes=2",
    "operation.upkeep_minutes_per_hour=40",
    "operation.off_hours_people_factor=0.02",
];

/// Builds of an hour keep one runner busy four fifths of the time; the full dial leaves
/// four, and an outage one of them.
const BUSY_RUNNERS: &[&str] = &[
    "days=14",
    "history_days=7",
    "services.cells={scaling=0,dependency_update=0,test_suite=0}",
    "releases.mean_days=0.5",
    "releases.regularity=1",
    "releases.min_commits=0",
    "stages.feature_release={validate_minutes=1,review_minutes=0.5,provision_minutes=0.05}",
    "commits.per_week=32",
    "commits.dispersion=20",
    "commits.build_minutes=60",
    "commits.build_sigma=0.3",
    "runners.outages_per_month=12",
    "runners.outage_hours=48",
    "runners.outage_share=0.75",
    "prices.runner_minute=0.165",
    "prices.review_minutes=0.5",
    "operation.drift_per_commit=0",
    "operation.upkeep_minutes_per_hour=20",
];

/// What is wanted now is reviewed fast; what is asked for ahead at night waits, and whoever then
/// needs it waits for it.
const NIGHT_REVIEWS: &[&str] = &[
    "days=14",
    "history_days=14",
    "services.cells={scaling=0,dependency_update=0,test_suite=0}",
    "releases.mean_days=0.5",
    "releases.regularity=1",
    "releases.min_commits=0",
    "stages.feature_release={validate_minutes=4,review_minutes=25,provision_minutes=0.5}",
    "prices.runner_minute=0.1125",
    "prices.review_minutes=0.5",
    "operation.upkeep_minutes_per_hour=20",
    "operation.urgent_review_factor=0.2",
];

/// A scale-out takes an hour and a half, so that the shape of the day decides.
const WANDERING_PEAK: &[&str] = &[
    "days=14",
    "history_days=7",
    "services.tiers=[3]",
    "services.cells={feature_release=0,dependency_update=0,test_suite=0}",
    "stages.scaling={validate_minutes=3,review_minutes=60,provision_minutes=20}",
    "traffic.daily_amplitude=0.6",
    "traffic.noise_sigma=0.04",
    "prices.instance_hour=1",
    "operation.stabilization_minutes=60",
    "operation.scale_out_share=0.1",
];

/// Updates follow upstream releases, which nobody announces, within a day.
const HIDDEN_UPSTREAM: &[&str] = &[
    "days=14",
    "history_days=7",
    "services.cells={scaling=0,feature_release=0,test_suite=0}",
    "dependencies.upstream_visible=false",
    "dependencies.upstream_per_week=3.5",
    "dependencies.adoption_hours=12",
    "dependencies.adoption_sigma=0.25",
    "dependencies.advisories_per_month=0",
    "prices.runner_minute=0.08",
    "prices.review_minutes=2",
    "operation.upkeep_minutes_per_hour=20",
];

/// The releases of the control, every three and a half days, and holding costs.
const STEADY_RELEASES: &[&str] = &[
    "days=14",
    "history_days=7",
    "services.cells={scaling=0,dependency_update=0,test_suite=0}",
    "prices.runner_minute=0.08",
    "prices.review_minutes=2",
    "operation.upkeep_minutes_per_hour=20",
];

const REGIME: Circumstance = Circumstance {
    kinds: &["usual", "quiet", "busy"],
    of: |past| {
        let regimes = past.record.regimes.clone();
        Box::new(move |_, at| {
            let begun = regimes.partition_point(|change| change.at <= at);
            match regimes[..begun].last().map_or(0, |change| change.regime) {
                0 => 0,
                below if below < 0 => 1,
                _ => 2,
            }
        })
    },
};

/// Knobs move two levels an hour: who is to ask for nothing at night begins so long before.
const EVENING_HOURS: i64 = 2;

const HOURS: Circumstance = Circumstance {
    kinds: &["working", "evening", "off"],
    of: |past| {
        let calendar = past.record.calendar();
        Box::new(move |_, at| {
            let soon = at + SimTime::from_hours(EVENING_HOURS);
            match (is_working(&calendar, at), is_working(&calendar, soon)) {
                (true, true) => 0,
                (true, false) => 1,
                (false, _) => 2,
            }
        })
    },
};

/// Hours of the morning in which work has not begun and soon will.
const DAWN_HOURS: i64 = 3;

const DAWN: Circumstance = Circumstance {
    kinds: &["working", "off", "dawn"],
    of: |past| {
        let calendar = past.record.calendar();
        Box::new(move |_, at| {
            let soon = at + SimTime::from_hours(DAWN_HOURS);
            match (is_working(&calendar, at), is_working(&calendar, soon)) {
                (true, _) => 0,
                (false, false) => 1,
                (false, true) => 2,
            }
        })
    },
};

const OUTAGE: Circumstance = Circumstance {
    kinds: &["whole pool", "outage"],
    of: |past| {
        let outages = past.record.outages.clone();
        Box::new(move |_, at| {
            let mut outages = outages.iter();
            u8::from(outages.any(|outage| outage.at <= at && at < outage.until))
        })
    },
};

/// Hours since an upstream release in which most services follow it.
const FOLLOWED_HOURS: std::ops::Range<i64> = 6..19;

const CAUSE: Circumstance = Circumstance {
    kinds: &["no cause", "cause"],
    of: |past| {
        let causes = fleet_upstream(past.scenario, past.record, past.seed);
        let followed = FOLLOWED_HOURS.start..FOLLOWED_HOURS.end;
        Box::new(move |_, at| {
            let since =
                |cause: &SimTime| (at.as_micros() - cause.as_micros()).div_euclid(3_600_000_000);
            u8::from(causes.iter().any(|cause| followed.contains(&since(cause))))
        })
    },
};

/// Half-life of what a model remembers of the day's shape, days.
const LEARNT_DAYS: f64 = 14.0;
/// Log load that an hour may rise more than a model has learnt before the model counts as stale.
const STALE_RISE: f64 = 0.03;

const STALE: Circumstance = Circumstance {
    kinds: &["fresh", "rises unforeseen", "foreseen rise stays away"],
    of: stale,
};

/// A day's wave, and the mean of those before as a model weights them: their cosine and sine.
#[derive(Clone, Copy)]
struct Waves {
    today: [f64; 2],
    learnt: [f64; 2],
}

/// How much more a load rises in an hour than the days before have taught.
fn stale(past: &Past) -> KindOf {
    let start = past.record.history_start;
    let services = past.record.services.len() as u32;
    let amplitude = past.scenario.spec().traffic.daily_amplitude;
    let waves: Vec<Vec<Waves>> = (0..services)
        .map(|service| waves(&peak_hours(past.scenario, past.record, past.seed, service)))
        .collect();
    Box::new(move |cell, at| {
        let since = at - start;
        let day = since.div_floor(SimTime::from_days(1)) as usize;
        let hour = since.as_days_f64().fract() * TAU;
        let waves = waves[cell.service.index()][day];
        // The slope of cos(hour - peak), an hour ahead.
        let slope = |[cosine, sine]: [f64; 2]| {
            amplitude * TAU / 24.0 * (sine * hour.cos() - cosine * hour.sin())
        };
        match slope(waves.today) - slope(waves.learnt) {
            more if more > STALE_RISE => 1,
            less if less < -STALE_RISE => 2,
            _ => 0,
        }
    })
}

fn waves(peaks: &[f64]) -> Vec<Waves> {
    let kept = 0.5f64.powf(1.0 / LEARNT_DAYS);
    let (mut sum, mut weight) = ([0.0; 2], 0.0);
    let day = |peak: &f64| {
        let angle = peak / 24.0 * TAU;
        let today = [angle.cos(), angle.sin()];
        let learnt = if weight > 0.0 {
            sum.map(|part: f64| part / weight)
        } else {
            today
        };
        sum = [kept * sum[0] + today[0], kept * sum[1] + today[1]];
        weight = kept * weight + 1.0;
        Waves { today, learnt }
    };
    peaks.iter().map(day).collect()
}

fn is_working(calendar: &Calendar, at: SimTime) -> bool {
    calendar.is_working(Timestamp(at.as_micros()))
}
