//! What no deployed rule can see: the hidden regime, told to one arm only.
//!
//! The privileged arm measures what knowing the regime would be worth. It takes a
//! [`PrivilegedPolicy`], which is another contract than [`Policy`]: an exported artifact
//! implements the one and not the other, so it cannot be put here, and a privileged rule
//! cannot be exported.
//!
//! ```compile_fail
//! use prestage_envs::PrivilegedPolicy;
//! fn privileged(_: impl PrivilegedPolicy) {}
//! fn exported(policy: prestage_policy::MlpPolicy) {
//!     privileged(policy);
//! }
//! ```
use prestage_controller::{action_space, layout};
use prestage_des::SimTime;
use prestage_policy::{Layout, MultiDiscrete, Policy};
use prestage_world::Exogenous;

/// Circumstances that hold now and that no telemetry tells.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Latent {
    /// 1 in the quiet regime.
    pub quiet: f64,
    /// 1 in the busy regime.
    pub busy: f64,
    /// Share of the runner pool that is away, 0 to 1.
    pub outage: f64,
}

impl Latent {
    /// As the record has it at a moment; it does not look ahead of it.
    pub fn at(record: &Exogenous, now: SimTime) -> Self {
        let begun = record.regimes.partition_point(|change| change.at <= now);
        let regime = record.regimes[..begun]
            .last()
            .map_or(0, |change| change.regime);
        let outage = record
            .outages
            .iter()
            .find(|outage| outage.at <= now && now < outage.until);
        Self {
            quiet: f64::from(u8::from(regime < 0)),
            busy: f64::from(u8::from(regime > 0)),
            outage: outage.map_or(0.0, |outage| outage.share),
        }
    }
}

/// A policy that is told the latent circumstances beside the observation.
pub trait PrivilegedPolicy {
    /// As [`Policy::act`], and at interrupts: it must not count its calls.
    fn act(&mut self, latent: &Latent, observations: &[f32], actions: &mut [u8]);
}

/// A privileged policy in one run, hour by hour from the record's start.
pub struct Privileged {
    policy: Box<dyn PrivilegedPolicy>,
    layout: Layout,
    action: MultiDiscrete,
    hours: Vec<Latent>,
    hour: usize,
}

impl Privileged {
    /// For a run on this record.
    pub fn new(record: &Exogenous, policy: Box<dyn PrivilegedPolicy>) -> Self {
        let mut hours = Vec::new();
        let mut now = record.start;
        while now < record.end {
            hours.push(Latent::at(record, now));
            now += SimTime::from_hours(1);
        }
        Self {
            policy,
            layout: layout(),
            action: action_space(),
            hours,
            hour: 0,
        }
    }
}

impl Policy for Privileged {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn action(&self) -> &MultiDiscrete {
        &self.action
    }

    fn act(&mut self, observations: &[f32], actions: &mut [u8]) {
        let latent = self.hours.get(self.hour).copied().unwrap_or_default();
        self.hour += 1;
        self.policy.act(&latent, observations, actions);
    }

    /// Within the hour it is told what it was told at its beginning: nothing ahead.
    fn interrupt(&mut self, observations: &[f32], actions: &mut [u8]) {
        let begun = self.hour.saturating_sub(1);
        let latent = self.hours.get(begun).copied().unwrap_or_default();
        self.policy.act(&latent, observations, actions);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use prestage_world::{Outage, RegimeChange, Scenario};

    use super::*;

    /// Remembers what it was told.
    struct Witness(Arc<Mutex<Vec<Latent>>>);

    impl PrivilegedPolicy for Witness {
        fn act(&mut self, latent: &Latent, _observations: &[f32], _actions: &mut [u8]) {
            self.0.lock().unwrap().push(*latent);
        }
    }

    #[test]
    fn each_hour_is_told_what_holds_then_and_nothing_ahead() {
        let text = include_str!("../../scenarios/product-launch.toml");
        let overrides = ["days=1", "history_days=2", "services.count=1"].map(str::to_owned);
        let scenario = Scenario::parse("product-launch", text, &overrides).unwrap();
        let mut record = Exogenous::generate(&scenario, 1);
        let at = |minutes: i64| record.start + SimTime::from_minutes(minutes);
        let change = |minutes: i64, regime: i8| RegimeChange {
            at: at(minutes),
            regime,
        };
        let regimes = vec![change(-600, -1), change(90, 0), change(180, 1)];
        let outages = vec![Outage {
            at: at(110),
            until: at(240),
            share: 0.5,
        }];
        (record.regimes, record.outages) = (regimes, outages);
        let told = Arc::new(Mutex::new(Vec::new()));
        let mut policy = Privileged::new(&record, Box::new(Witness(Arc::clone(&told))));
        (0..5).for_each(|_| policy.act(&[], &mut []));
        policy.interrupt(&[], &mut []);
        let told: Vec<(f64, f64, f64)> = told
            .lock()
            .unwrap()
            .iter()
            .map(|latent| (latent.quiet, latent.busy, latent.outage))
            .collect();
        let expected = [
            (1.0, 0.0, 0.0),
            (1.0, 0.0, 0.0),
            (0.0, 0.0, 0.5),
            (0.0, 1.0, 0.5),
            (0.0, 1.0, 0.0),
            // The interrupt falls into the last hour.
            (0.0, 1.0, 0.0),
        ];
        assert_eq!(told, expected);
    }
}
