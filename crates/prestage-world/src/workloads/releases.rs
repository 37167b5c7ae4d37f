//! Feature releases: a gamma renewal process or trains on a timetable, mostly in
//! working hours, held back until enough commits are in and while releases are
//! frozen.
//!
//! A gamma shape of 1 is memoryless, 20 nearly regular; a train leaves every so
//! many days with a normal jitter. Dial D1 runs the renewal clock faster or slower,
//! D6 lets a share of the releases of all services go out together, D7 is the share
//! of releases that wait for working hours.
use prestage_controller::NeedType;
use prestage_des::{SimTime, Stream, Streams};

use super::regimes::Tempo;
use super::{Week, Workload, after};
use crate::exogenous::Exogenous;
use crate::scenario::{ReleasesSpec, Scenario, ScenarioSpec};

pub(super) const ENTRY: Workload = Workload {
    name: "releases",
    about: "feature releases: gamma renewal or trains, once enough commits are in, not while frozen",
    generate,
};

/// A patch follows its release within this many hours.
const PATCH_HOURS: (f64, f64) = (2.0, 48.0);

fn generate(spec: &ScenarioSpec, streams: &Streams, record: &mut Exogenous) {
    let mut commits: Vec<Vec<SimTime>> = vec![Vec::new(); spec.services.count as usize];
    for commit in &record.commits {
        commits[commit.service as usize].push(commit.at);
    }
    let week = Week::new(spec, record);
    let mut fleet = streams.open("fleet-releases", 0);
    let together = spec.dials.correlated_needs;
    let shared = departures(spec, &mut fleet, together, record);
    let releasing = spec.services.with_cell(NeedType::FeatureRelease) as usize;
    for (service, commits) in commits.iter().enumerate().take(releasing) {
        let entity = service as u64;
        let mut stream = streams.open("releases", entity);
        let mut due = departures(spec, &mut stream, 1.0 - together, record);
        due.extend(&shared);
        due.sort_unstable();
        let mut yard = Yard {
            spec: &spec.releases,
            week: &week,
            commits,
            last: record.history_start,
        };
        let mut patches = streams.open("patches", entity);
        for at in due {
            let Some(at) = yard.depart(at, &mut stream, record.end) else {
                continue;
            };
            record.releases.push((at, service as u32));
            if patches.bernoulli(spec.releases.patch_share) {
                let hours = patches.uniform(PATCH_HOURS.0, PATCH_HOURS.1);
                let patch = week.working(after(at, hours * 3600.0), &mut patches);
                if patch < record.end {
                    record.releases.push((patch, service as u32));
                }
            }
        }
    }
    record.releases.sort_unstable();
}

/// When releases of a service by itself are due, in the record that `seed` makes of the
/// scenario: the renewal process (or the trains) behind them, whatever then goes out.
pub fn releases_due(
    scenario: &Scenario,
    record: &Exogenous,
    seed: u64,
    service: u32,
) -> Vec<SimTime> {
    let spec = scenario.spec();
    let mut stream = Streams::new(seed).open("releases", u64::from(service));
    let own = 1.0 - spec.dials.correlated_needs;
    departures(spec, &mut stream, own, record)
}

/// When releases are due, whatever is ready by then; a `share` of the full rate.
fn departures(
    spec: &ScenarioSpec,
    stream: &mut Stream,
    share: f64,
    record: &Exogenous,
) -> Vec<SimTime> {
    let releases = &spec.releases;
    let mut due = Vec::new();
    if share <= 0.0 {
        return due;
    }
    if releases.train_days > 0.0 {
        let every = releases.train_days / share;
        let mut departure = record.history_start;
        while departure < record.end {
            let jitter = stream.normal(0.0, releases.train_jitter_hours) * 3600.0;
            due.push(after(departure, jitter).max(record.history_start));
            departure = after(departure, every * 86_400.0);
        }
        return due;
    }
    let tempo = Tempo::new(spec, record);
    let mut at = record.history_start;
    loop {
        let gap_days = stream.gamma(releases.regularity, releases.mean_days / share);
        at = tempo.after(at, gap_days * 86_400.0);
        if at >= record.end {
            return due;
        }
        due.push(at);
    }
}

/// What may leave, and when the last left.
struct Yard<'a> {
    spec: &'a ReleasesSpec,
    week: &'a Week,
    commits: &'a [SimTime],
    last: SimTime,
}

impl Yard<'_> {
    /// When a release that is due at `due` goes out: in the next working hour that
    /// is not frozen and on which enough commits are in; never after `end`.
    fn depart(&mut self, due: SimTime, stream: &mut Stream, end: SimTime) -> Option<SimTime> {
        let mut at = self.week.release(due, stream);
        while at < end && self.backlog(at) < self.spec.min_commits as usize {
            at = self.week.release(at + SimTime::from_days(1), stream);
        }
        // One that waited until another was out has nothing left to carry.
        if at >= end || (at <= self.last && self.spec.min_commits > 0) {
            return None;
        }
        self.last = at;
        Some(at)
    }

    fn backlog(&self, until: SimTime) -> usize {
        let upto = |time: SimTime| self.commits.partition_point(|&at| at <= time);
        upto(until).saturating_sub(upto(self.last))
    }
}
