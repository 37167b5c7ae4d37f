//! When a model is retrained, through the loop itself: a load over a host that stages nothing.
use prestage_policy::NeutralPolicy;
use prestage_telemetry::{Metric, SeriesId, ServiceId, Tail};

use super::*;
use crate::controller::Options;
use crate::ports::{Clock, Outcome, PipelineHost, Retraining, TelemetrySource};
use crate::{
    Calendar, CellId, CellSpec, KnobCenters, PriceBook, Staffing, Tier, action_space, baseline,
};

/// A Monday.
const START: Timestamp = Timestamp::from_seconds(1_704_067_200);
/// Three weeks before anything changes.
const BEFORE: i64 = 21;

struct Host {
    tail: Tail,
    now: Timestamp,
    retrainings: Vec<(Timestamp, Retraining)>,
}

impl Clock for Host {
    fn now(&self) -> Timestamp {
        self.now
    }
}

impl TelemetrySource for Host {
    fn tail(&self) -> &Tail {
        &self.tail
    }
}

impl PipelineHost for Host {
    fn stage(&self, _: CellId) -> Option<StageStatus> {
        None
    }

    fn propose(&mut self, _: &StageRequest) -> Result<(), HostError> {
        Ok(())
    }

    fn refresh(&mut self, _: &StageRequest) -> Result<(), HostError> {
        Ok(())
    }

    fn withdraw(&mut self, _: CellId, _: Timestamp) -> Result<(), HostError> {
        Ok(())
    }

    fn retrain(&mut self, _: CellId, because: Retraining) {
        self.retrainings.push((self.now, because));
    }

    fn drain_outcomes(&mut self, _: &mut Vec<Outcome>) {}
}

fn cell(retrain_on_drift: bool) -> CellSpec {
    CellSpec {
        id: CellId(0),
        service: ServiceId(0),
        service_name: "web".to_owned(),
        need: NeedType::Scaling,
        tier: Tier::Two,
        people_working: 0.0,
        people_off: 0.0,
        people_incident_factor: 1.0,
        rated_load_per_replica: 10.0,
        suite_budget_s: 600.0,
        opens_at: START,
        closes_at: Timestamp(i64::MAX),
        lead_prior: Span::from_minutes(10),
        runner_minutes_prior: 2.0,
        staffing: Staffing::default(),
        retrain_on_drift,
    }
}

/// Noise without a generator, uniform on [-1, 1).
fn noise(step: i64) -> f64 {
    let mixed = (step as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

/// What happens to the load after [`BEFORE`] days.
#[derive(Clone, Copy)]
enum Change {
    Nothing,
    /// The daily peak comes so many hours later.
    Later(f64),
    /// There is so many times as much of it.
    Times(f64),
}

/// A daily wave.
fn load(step: i64, change: Change) -> f64 {
    let day = step as f64 / 288.0;
    let (later_h, times) = match change {
        Change::Later(hours) if day >= BEFORE as f64 => (hours, 1.0),
        Change::Times(times) if day >= BEFORE as f64 => (0.0, times),
        _ => (0.0, 1.0),
    };
    let phase = (day - later_h / 24.0) * std::f64::consts::TAU;
    100.0 * times * (0.5 * phase.sin() + 0.15 * noise(step)).exp()
}

/// Days at which the model was retrained before it was due, over `days` days at a cadence of a week.
fn early_days(cell: CellSpec, days: i64, change: Change) -> Vec<i64> {
    let mut centers = KnobCenters::default();
    centers.of_mut(NeedType::Scaling).retrain_h = 168.0;
    let mut arm = baseline("newsvendor").unwrap().arm(&centers);
    arm.centers = centers;
    let options = Options {
        cells: vec![cell],
        prices: PriceBook::default(),
        calendar: Calendar::default(),
    };
    let mut controller = Controller::new(options, &arm);
    let mut policy = NeutralPolicy::new(observation::layout(), action_space());
    let mut host = Host {
        tail: Tail::new(1, Span::MAX),
        now: START,
        retrainings: Vec::new(),
    };
    let series = SeriesId::new(ServiceId(0), Metric::RequestsPerSecond);
    for step in 0..days * 288 {
        host.now = START + RECONCILE_EVERY * step;
        host.tail.push(series, host.now, load(step, change));
        reconcile(&mut controller, &mut host, &mut policy).unwrap();
    }
    let early = host.retrainings.iter();
    let days: Vec<i64> = early
        .filter(|(_, because)| *because == Retraining::Drift)
        .map(|(at, _)| (at.0 - START.0) / Span::from_days(1).0)
        .collect();
    assert_eq!(controller.early_retrainings(CellId(0)), days.len() as u64);
    days
}

#[test]
fn a_peak_that_moves_brings_one_early_retraining() {
    let days = early_days(cell(true), 6 * 7, Change::Later(8.0));
    assert_eq!(days.len(), 1, "{days:?}");
    assert!((BEFORE..BEFORE + 2).contains(&days[0]), "{days:?}");
}

#[test]
fn a_load_that_jumps_for_good_is_followed_without_a_retraining() {
    let days = early_days(cell(true), 6 * 7, Change::Times(2.0));
    assert_eq!(days, Vec::<i64>::new());
}

#[test]
fn a_stationary_load_brings_none_in_26_weeks() {
    assert_eq!(
        early_days(cell(true), 26 * 7, Change::Nothing),
        Vec::<i64>::new()
    );
}

#[test]
fn nothing_is_retrained_early_unless_that_is_set() {
    assert_eq!(
        early_days(cell(false), 6 * 7, Change::Later(8.0)),
        Vec::<i64>::new()
    );
}
