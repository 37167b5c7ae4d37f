//! What is compared: samples taken alike from a recorded and from a simulated world.
//!
//! Both sides are exogenous records, so that a history and a scenario are measured
//! by the same code. Event streams give gaps, counts a day and hours of the week;
//! loads give levels, changes and profiles; suites give durations relative to their
//! own recent past.
use prestage_des::SimTime;
use prestage_telemetry::Timestamp;
use prestage_world::{Demand, Exogenous};

use super::goodness::{mean, median};

/// Hours of a week.
pub const WEEK: usize = 168;
/// Runs whose median a suite's duration is compared with.
const SUITE_WINDOW: usize = 20;
/// Events older than this before a replay are not used.
const MEMORY_DAYS: i64 = 730;
const HOUR_US: i64 = 3_600_000_000;
const DAY_US: i64 = 24 * HOUR_US;

/// A stream of events in a stretch of time.
#[derive(Clone, Debug, Default)]
pub struct Events {
    /// Times, in order.
    pub times: Vec<SimTime>,
    /// Where the stretch begins.
    pub from: SimTime,
    /// Its length, days.
    pub days: f64,
    /// Hours between neighbours.
    pub gaps_h: Vec<f64>,
    /// Counts of whole days.
    pub daily: Vec<f64>,
    /// Share of the events in each hour of the week.
    pub week: Vec<f64>,
}

/// The load of one service, in hours.
#[derive(Clone, Debug)]
pub struct Load {
    /// Log of the load over its mean, one value a step; NaN is unknown.
    pub log: Vec<f64>,
    /// Hour of the week of each value.
    pub hour_of_week: Vec<usize>,
    /// Step, hours.
    pub step_h: f64,
    /// Mean load over the rated load of a replica.
    pub mean_replicas: f64,
}

/// Runs of one suite.
#[derive(Clone, Debug)]
pub struct Suite {
    /// Days since the first run.
    pub days: Vec<f64>,
    /// Log of the duration, seconds.
    pub log: Vec<f64>,
    /// Log of each duration over the median of the runs before it.
    pub relative: Vec<f64>,
    /// Did it fail? Where known.
    pub failed: Vec<bool>,
}

/// Everything that is compared.
#[derive(Clone, Debug, Default)]
pub struct Streams {
    /// Commits on the main line.
    pub commits: Events,
    /// Releases.
    pub releases: Events,
    /// Plain dependency updates.
    pub updates: Events,
    /// Fixes of advisories.
    pub advisories: Events,
    /// Loads.
    pub loads: Vec<Load>,
    /// Suites.
    pub suites: Vec<Suite>,
}

/// Which part of each trace is taken: the first or the last share of its length.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Part {
    /// The first `0` of it.
    First(f64),
    /// What comes after the first `0` of it.
    After(f64),
}

impl Part {
    fn of(self, length: usize) -> std::ops::Range<usize> {
        let cut = |share: f64| (length as f64 * share).round() as usize;
        match self {
            Part::First(share) => 0..cut(share),
            Part::After(share) => cut(share)..length,
        }
    }

    fn window(self, start: SimTime, end: SimTime) -> (SimTime, SimTime) {
        let cut = |share: f64| start + SimTime::from_secs_f64((end - start).as_secs_f64() * share);
        match self {
            Part::First(share) => (start, cut(share)),
            Part::After(share) => (cut(share), end),
        }
    }
}

impl Streams {
    /// Takes a part of a simulated record: of its accounted time for events, of each
    /// trace for loads and suites.
    pub fn simulated(record: &Exogenous) -> Self {
        Self::taken(record, Part::After(0.0), record.start)
    }

    /// Takes a part of a recorded world. Repositories remember years: events are
    /// taken from up to two years before the replay starts, for loads and
    /// suites each trace is split by itself.
    pub fn recorded(record: &Exogenous, part: Part) -> Self {
        let memory = record.start - SimTime::from_days(MEMORY_DAYS);
        let first = record
            .commits
            .first()
            .map_or(record.start, |commit| commit.at);
        Self::taken(record, part, memory.max(first).min(record.start))
    }

    fn taken(record: &Exogenous, part: Part, begin: SimTime) -> Self {
        let (from, until) = part.window(begin, record.end);
        let events = |times: Vec<SimTime>| Events::new(times, from, until);
        let needs = |is_advisory: bool| {
            let chosen = record
                .dependency_needs
                .iter()
                .filter(|need| (need.hazard_per_day > 0.0) == is_advisory);
            events(chosen.map(|need| need.at).collect())
        };
        Self {
            commits: events(record.commits.iter().map(|commit| commit.at).collect()),
            releases: events(record.releases.iter().map(|&(at, _)| at).collect()),
            updates: needs(false),
            advisories: needs(true),
            loads: record
                .demands
                .iter()
                .filter_map(|demand| Load::new(demand, rated(record, demand.service), part))
                .collect(),
            suites: suites(record, part),
        }
    }
}

fn rated(record: &Exogenous, service: u32) -> f64 {
    record
        .cells
        .iter()
        .find(|cell| cell.service.0 == service)
        .map_or(1.0, |cell| cell.rated_load_per_replica)
}

impl Events {
    fn new(mut times: Vec<SimTime>, from: SimTime, until: SimTime) -> Self {
        times.retain(|&at| from <= at && at < until);
        times.sort_unstable();
        let hours = |span: SimTime| span.as_hours_f64();
        let gaps_h = times
            .windows(2)
            .map(|pair| hours(pair[1] - pair[0]))
            .collect();
        let days = (until - from).as_days_f64();
        let mut daily = vec![0.0; days.floor() as usize];
        let mut week = vec![0.0; WEEK];
        for &at in &times {
            let day = (at - from).as_micros() / DAY_US;
            if let Some(count) = daily.get_mut(day as usize) {
                *count += 1.0;
            }
            week[hour_of_week(at)] += 1.0 / times.len() as f64;
        }
        Self {
            times,
            from,
            days,
            gaps_h,
            daily,
            week,
        }
    }

    /// Events a week.
    pub fn per_week(&self) -> f64 {
        self.times.len() as f64 / self.days * 7.0
    }

    /// Share in working hours (Monday to Friday, 8 to 18 UTC).
    pub fn working_share(&self) -> f64 {
        let is_working = |hour: usize| hour < 5 * 24 && (8..18).contains(&(hour % 24));
        (0..WEEK)
            .filter(|&hour| is_working(hour))
            .map(|hour| self.week[hour])
            .sum()
    }

    /// One row for each event: log gap, log of the gap before, hour of day, weekend.
    pub fn features(&self) -> Vec<Vec<f64>> {
        let log = |hours: f64| (hours + 0.02).ln();
        let gaps = self.gaps_h.windows(2);
        gaps.zip(&self.times[2.min(self.times.len())..])
            .map(|(pair, &at)| {
                let hour = hour_of_week(at);
                let angle = std::f64::consts::TAU * (hour % 24) as f64 / 24.0;
                let weekend = f64::from(u8::from(hour >= 5 * 24));
                vec![
                    log(pair[1]),
                    log(pair[0]),
                    angle.sin(),
                    angle.cos(),
                    weekend,
                ]
            })
            .collect()
    }
}

fn hour_of_week(at: SimTime) -> usize {
    Timestamp(at.as_micros()).hour_of_week() as usize
}

impl Load {
    /// A part of a demand, in steps of at least five minutes; `None` when hardly
    /// anything of it is known.
    fn new(demand: &Demand, rated: f64, part: Part) -> Option<Self> {
        let stride = (300_000_000 / demand.step.as_micros()).max(1) as usize;
        let step = SimTime::from_micros(demand.step.as_micros() * stride as i64);
        let chosen = part.of(demand.values.len());
        let first =
            demand.first + SimTime::from_micros(demand.step.as_micros() * chosen.start as i64);
        let steps: Vec<f64> = demand.values[chosen]
            .chunks(stride)
            .map(|chunk| {
                let known: Vec<f64> = chunk
                    .iter()
                    .map(|&value| f64::from(value))
                    .filter(|value| value.is_finite())
                    .collect();
                mean(&known).unwrap_or(f64::NAN)
            })
            .collect();
        let known: Vec<f64> = steps
            .iter()
            .copied()
            .filter(|value| value.is_finite())
            .collect();
        let average = mean(&known).filter(|&average| average > 0.0)?;
        if known.len() < 100 {
            return None;
        }
        // A floor of 2 % of the mean keeps an idle minute finite.
        let log = |value: &f64| (value / average + 0.02).ln();
        let at = |index: usize| first + SimTime::from_micros(step.as_micros() * index as i64);
        Some(Self {
            log: steps.iter().map(log).collect(),
            hour_of_week: (0..steps.len())
                .map(|index| hour_of_week(at(index)))
                .collect(),
            step_h: step.as_hours_f64(),
            mean_replicas: average / rated,
        })
    }

    /// Days that it covers.
    pub fn days(&self) -> f64 {
        self.log.len() as f64 * self.step_h / 24.0
    }

    /// Median of the log by hour of the day, weekdays and weekends apart: 48 values,
    /// NaN where nothing is known.
    pub fn profile(&self) -> Vec<f64> {
        let mut slots: Vec<Vec<f64>> = vec![Vec::new(); 48];
        for (&value, &hour) in self.log.iter().zip(&self.hour_of_week) {
            if value.is_finite() {
                slots[slot(hour)].push(value);
            }
        }
        slots
            .iter()
            .map(|slot| median(slot).unwrap_or(f64::NAN))
            .collect()
    }

    /// What the profile leaves.
    pub fn residuals(&self) -> Vec<f64> {
        let profile = self.profile();
        let pairs = self.log.iter().zip(&self.hour_of_week);
        pairs
            .map(|(value, &hour)| value - profile[slot(hour)])
            .collect()
    }

    /// Differences of neighbours, known ones only.
    pub fn changes(&self) -> Vec<f64> {
        let pairs = self.log.windows(2);
        pairs
            .map(|pair| pair[1] - pair[0])
            .filter(|change| change.is_finite())
            .collect()
    }

    /// One row for each step: residual, change, change before.
    pub fn features(&self) -> Vec<Vec<f64>> {
        let residuals = self.residuals();
        let triples = self
            .log
            .windows(3)
            .zip(&residuals[2.min(residuals.len())..]);
        triples
            .map(|(three, &residual)| vec![residual, three[2] - three[1], three[1] - three[0]])
            .filter(|row| row.iter().all(|value| value.is_finite()))
            .collect()
    }
}

/// Slot of the profile of an hour of the week.
fn slot(hour_of_week: usize) -> usize {
    hour_of_week % 24 + if hour_of_week >= 5 * 24 { 24 } else { 0 }
}

fn suites(record: &Exogenous, part: Part) -> Vec<Suite> {
    let mut by_service = vec![Vec::new(); record.services.len()];
    for run in &record.suite_runs {
        by_service[run.service as usize].push(*run);
    }
    let suite = |runs: Vec<prestage_world::SuiteRun>| {
        let runs = &runs[part.of(runs.len())];
        let first = runs.first()?.at;
        let log: Vec<f64> = runs.iter().map(|run| run.seconds.ln()).collect();
        let relative = (1..log.len())
            .filter_map(|i| {
                let recent = &log[i.saturating_sub(SUITE_WINDOW)..i];
                median(recent).map(|median| log[i] - median)
            })
            .collect();
        Some(Suite {
            days: runs
                .iter()
                .map(|run| (run.at - first).as_days_f64())
                .collect(),
            log,
            relative,
            failed: runs.iter().filter_map(|run| run.failed).collect(),
        })
    };
    by_service.into_iter().filter_map(suite).collect()
}
