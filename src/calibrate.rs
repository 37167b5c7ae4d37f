//! Fits a scenario to a recorded world and says how far it can be believed.
//!
//! ```text
//! history --> exogenous record --> first part --> streams --> fitted scenario
//!                                  the rest   --> streams --+      |
//!                                                           |  simulated, several seeds
//!                                  goodness of fit <--------+------+
//! ```
//! Fitted on the first part of each trace and tested on the rest, both sides measured
//! by the same code. Where the fit fails, the table says so.
pub mod classifier;
pub mod fit;
pub mod goodness;
mod noise;
pub mod streams;

use anyhow::Result;
use prestage_telemetry::History;
use prestage_world::{Exogenous, ReplayOptions, Scenario, ScenarioSpec, from_history};
use rayon::prelude::*;
use serde::Serialize;

use self::classifier::separability;
use self::fit::{Fit, clustering, fit};
use self::goodness::{
    anderson_darling, autocorrelation, dispersion, energy_distance, kolmogorov_smirnov, mean,
    median, quantile_pairs,
};
use self::streams::{Events, Load, Part, Streams, Suite};

/// Fewest observations of the recorded side that are scored.
const OBSERVATIONS_MIN: usize = 15;
/// Points of a quantile-quantile figure.
const QUANTILES: usize = 60;
/// Longest simulated stretch, days.
const SIMULATED_DAYS_MAX: u32 = 84;

/// How a history is split and simulated.
#[derive(Clone, Copy, Debug)]
pub struct CalibrationOptions {
    /// Share of each trace that is fitted; the rest is the test.
    pub fit_share: f64,
    /// Simulated worlds that the test part is compared with.
    pub seeds: u32,
    /// Of the first of them.
    pub seed: u64,
}

/// A fitted scenario and how well it does on the part that it has not seen.
#[derive(Debug)]
pub struct Calibration {
    /// The scenario.
    pub scenario: Scenario,
    /// What was kept from the base scenario or not used of the history.
    pub notes: Vec<String>,
    /// One line a stream.
    pub streams: Vec<StreamFit>,
}

/// How a stream of the fitted scenario compares with the recorded one.
#[derive(Clone, Debug, Serialize)]
pub struct StreamFit {
    /// Its name.
    pub stream: &'static str,
    /// What is measured, with its unit.
    pub measured: &'static str,
    /// Observations in the recorded test part.
    pub recorded: usize,
    /// Observations in all simulated worlds.
    pub simulated: usize,
    /// Medians of both, in the unit of `measured`.
    pub medians: Option<(f64, f64)>,
    /// Kolmogorov-Smirnov distance and its p-value.
    pub ks: Option<(f64, f64)>,
    /// Standardised Anderson-Darling statistic.
    pub ad: Option<f64>,
    /// Normalised energy distance.
    pub energy: Option<f64>,
    /// Index of dispersion of daily counts, or clustering of failures: recorded, simulated.
    pub dispersion: Option<(f64, f64)>,
    /// Autocorrelation at the lag that matters for the stream: recorded, simulated.
    pub autocorrelation: Option<(f64, f64)>,
    /// Half the sum of absolute differences of the weekly profiles, 0 to 1; for
    /// loads the root mean square difference of the log profiles.
    pub weekly_profile: Option<f64>,
    /// AUC of a classifier that tells the two apart, and its standard error.
    pub auc: Option<(f64, f64)>,
    /// In words.
    pub verdict: Verdict,
    /// Quantiles of both, for the figure.
    #[serde(skip)]
    pub quantiles: Vec<(f64, f64)>,
}

/// How good a fit is. The limits are conventions, stated in docs/calibration.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// KS distance up to 0.1 and AUC up to 0.6.
    Close,
    /// KS distance up to 0.2 and AUC up to 0.75.
    Fair,
    /// Anything else: do not believe this stream.
    Fails,
    /// Too few observations.
    TooShort,
}

impl Verdict {
    /// One word or two.
    pub fn words(self) -> &'static str {
        match self {
            Self::Close => "close",
            Self::Fair => "fair",
            Self::Fails => "fails",
            Self::TooShort => "too short",
        }
    }
}

/// Fits `base` to a history and tests the fit.
pub fn calibrate(
    history: &History,
    base: &Scenario,
    options: CalibrationOptions,
) -> Result<Calibration> {
    let (record, unused) = from_history(history, base, ReplayOptions::default())?;
    let seen = Streams::recorded(&record, Part::First(options.fit_share));
    let unseen = Streams::recorded(&record, Part::After(options.fit_share));
    let Fit { spec, mut notes } = fit(&seen, base.spec());
    notes.extend(unused);
    let scenario = Scenario::checked(
        "the fitted scenario",
        named(spec, history, &record, options.fit_share),
    )?;
    let worlds: Vec<Streams> = (0..u64::from(options.seeds))
        .into_par_iter()
        .map(|index| {
            let world = Exogenous::generate(&scenario, options.seed + index);
            Streams::simulated(&world)
        })
        .collect();
    let streams = compare(&unseen, &worlds, options.seed);
    Ok(Calibration {
        scenario,
        notes,
        streams,
    })
}

fn named(spec: ScenarioSpec, history: &History, record: &Exogenous, share: f64) -> ScenarioSpec {
    let name = format!("fitted-{}", history.world.world);
    let days = (record.days() * (1.0 - share)).floor() as u32;
    let day = |at: prestage_des::SimTime| prestage_telemetry::Timestamp(at.as_micros()).to_string();
    ScenarioSpec {
        family: "fitted".to_owned(),
        about: format!(
            "Fitted by `prestage calibrate` to the first {:.0} % of each trace of the recorded \
             world `{}` ({} to {}); how well it does on the rest is in docs/calibration.md. \
             Durations of builds and reviews, people who wait and prices are those of the \
             replay scenario: a history does not record them.",
            share * 100.0,
            history.world.world,
            day(record.start),
            day(record.end),
        ),
        name,
        days: days.clamp(1, SIMULATED_DAYS_MAX),
        ..spec
    }
}

fn compare(recorded: &Streams, worlds: &[Streams], seed: u64) -> Vec<StreamFit> {
    let events = |name, of: fn(&Streams) -> &Events| {
        let simulated: Vec<&Events> = worlds.iter().map(of).collect();
        compare_events(name, of(recorded), &simulated, seed)
    };
    let mut lines = vec![
        events("commits", |streams| &streams.commits),
        events("releases", |streams| &streams.releases),
        events("dependency updates", |streams| &streams.updates),
        events("advisories", |streams| &streams.advisories),
    ];
    let loads: Vec<&Load> = worlds.iter().flat_map(|world| &world.loads).collect();
    lines.extend(compare_loads(&recorded.loads, &loads, seed));
    let suites: Vec<&Suite> = worlds.iter().flat_map(|world| &world.suites).collect();
    lines.push(compare_suites(&recorded.suites, &suites));
    lines
}

/// Two samples of one quantity.
struct Pair {
    recorded: Vec<f64>,
    simulated: Vec<f64>,
}

impl Pair {
    /// The part that every stream has.
    fn line(self, stream: &'static str, measured: &'static str) -> StreamFit {
        let Self {
            recorded,
            simulated,
        } = self;
        let enough = recorded.len() >= OBSERVATIONS_MIN && simulated.len() >= OBSERVATIONS_MIN;
        let scored = |x: Option<f64>| x.filter(|_| enough);
        let ks = kolmogorov_smirnov(&recorded, &simulated).filter(|_| enough);
        StreamFit {
            stream,
            measured,
            recorded: recorded.len(),
            simulated: simulated.len(),
            medians: median(&recorded).zip(median(&simulated)),
            ks: ks.map(|test| (test.distance, test.p_value)),
            ad: scored(anderson_darling(&recorded, &simulated)),
            energy: scored(energy_distance(&recorded, &simulated)),
            dispersion: None,
            autocorrelation: None,
            weekly_profile: None,
            auc: None,
            verdict: if enough {
                Verdict::Fails
            } else {
                Verdict::TooShort
            },
            quantiles: if enough {
                quantile_pairs(&recorded, &simulated, QUANTILES)
            } else {
                Vec::new()
            },
        }
    }
}

impl StreamFit {
    /// Sets the verdict from the KS distance and the AUC.
    fn judged(mut self) -> Self {
        // A classifier that is wrong as a rule tells them apart as well.
        let auc = self.auc.map_or(0.5, |(auc, _)| auc.max(1.0 - auc));
        if let Some((distance, _)) = self.ks {
            self.verdict = if distance <= 0.1 && auc <= 0.6 {
                Verdict::Close
            } else if distance <= 0.2 && auc <= 0.75 {
                Verdict::Fair
            } else {
                Verdict::Fails
            };
        }
        self
    }
}

fn compare_events(
    stream: &'static str,
    recorded: &Events,
    simulated: &[&Events],
    seed: u64,
) -> StreamFit {
    let pair = Pair {
        recorded: recorded.gaps_h.clone(),
        simulated: simulated
            .iter()
            .flat_map(|events| events.gaps_h.clone())
            .collect(),
    };
    let mut line = pair.line(stream, "gap, hours");
    let each = |of: &dyn Fn(&Events) -> Option<f64>| {
        let values: Vec<f64> = simulated.iter().filter_map(|events| of(events)).collect();
        of(recorded).zip(mean(&values))
    };
    line.dispersion = each(&|events| dispersion(&events.daily));
    line.autocorrelation = each(&|events| autocorrelation(&events.daily, 7));
    if !recorded.times.is_empty() && simulated.iter().any(|events| !events.times.is_empty()) {
        let total: f64 = simulated
            .iter()
            .map(|events| events.times.len() as f64)
            .sum();
        let share = |hour: usize| {
            let events = simulated.iter();
            events
                .map(|e| e.week[hour] * e.times.len() as f64)
                .sum::<f64>()
                / total
        };
        let apart = (0..streams::WEEK).map(|hour| (recorded.week[hour] - share(hour)).abs());
        line.weekly_profile = Some(apart.sum::<f64>() / 2.0);
    }
    let features: Vec<Vec<f64>> = simulated
        .iter()
        .flat_map(|events| events.features())
        .collect();
    line.auc = separability(&recorded.features(), &features, seed)
        .map(|found| (found.auc, found.standard_error));
    line.judged()
}

fn compare_loads(recorded: &[Load], simulated: &[&Load], seed: u64) -> Vec<StreamFit> {
    let known = |values: Vec<f64>| -> Vec<f64> {
        values
            .into_iter()
            .filter(|value| value.is_finite())
            .collect()
    };
    let recorded: Vec<&Load> = recorded.iter().collect();
    let pair = |of: &dyn Fn(&Load) -> Vec<f64>| Pair {
        recorded: known(recorded.iter().flat_map(|load| of(load)).collect()),
        simulated: known(simulated.iter().flat_map(|load| of(load)).collect()),
    };
    let both = |of: &dyn Fn(&Load) -> Option<f64>| {
        let middle = |loads: &[&Load]| {
            median(
                &loads
                    .iter()
                    .filter_map(|load| of(load))
                    .collect::<Vec<f64>>(),
            )
        };
        middle(&recorded).zip(middle(simulated))
    };
    let mut levels = pair(&|load| load.log.clone()).line("load", "log of load over its mean");
    let day = |load: &Load| (24.0 / load.step_h).round() as usize;
    levels.autocorrelation = both(&|load| autocorrelation(&load.log, day(load)));
    levels.weekly_profile = profile_distance(&recorded, simulated);
    let features = |loads: &[&Load]| -> Vec<Vec<f64>> {
        loads.iter().flat_map(|load| load.features()).collect()
    };
    levels.auc = separability(&features(&recorded), &features(simulated), seed)
        .map(|found| (found.auc, found.standard_error));
    let mut changes = pair(&Load::changes).line("load changes", "log change in a step");
    changes.autocorrelation = both(&|load| autocorrelation(&load.changes(), 1));
    let mut residuals = pair(&Load::residuals).line("load residuals", "log load over its profile");
    let hour = |load: &Load| (1.0 / load.step_h).round().max(1.0) as usize;
    residuals.autocorrelation = both(&|load| autocorrelation(&load.residuals(), hour(load)));
    vec![levels.judged(), changes.judged(), residuals.judged()]
}

/// Root mean square difference of the mean log profiles, each turned so that its
/// peak stands at noon: services peak at different hours on both sides.
fn profile_distance(recorded: &[&Load], simulated: &[&Load]) -> Option<f64> {
    let turned = |loads: &[&Load]| -> Option<Vec<f64>> {
        let profiles: Vec<Vec<f64>> = loads
            .iter()
            .map(|load| load.profile())
            .filter(|profile| profile[..24].iter().all(|value| value.is_finite()))
            .map(|profile| {
                let peak = (0..24)
                    .max_by(|&a, &b| profile[a].total_cmp(&profile[b]))
                    .unwrap_or(0);
                (0..24)
                    .map(|hour| profile[(hour + peak + 12) % 24])
                    .collect()
            })
            .collect();
        let hour = |hour: usize| {
            mean(
                &profiles
                    .iter()
                    .map(|p: &Vec<f64>| p[hour])
                    .collect::<Vec<f64>>(),
            )
        };
        (0..24).map(hour).collect()
    };
    let (a, b) = turned(recorded).zip(turned(simulated))?;
    let center = |profile: &[f64]| mean(profile).unwrap_or(0.0);
    let (a_mean, b_mean) = (center(&a), center(&b));
    let squares: Vec<f64> = a
        .iter()
        .zip(&b)
        .map(|(x, y)| (x - a_mean - y + b_mean).powi(2))
        .collect();
    mean(&squares).map(f64::sqrt)
}

fn compare_suites(recorded: &[Suite], simulated: &[&Suite]) -> StreamFit {
    let recorded: Vec<&Suite> = recorded.iter().collect();
    let relative = |suites: &[&Suite]| -> Vec<f64> {
        suites
            .iter()
            .flat_map(|suite| suite.relative.clone())
            .collect()
    };
    let pair = Pair {
        recorded: relative(&recorded),
        simulated: relative(simulated),
    };
    let mut line = pair.line("suite durations", "log of duration over the recent median");
    line.dispersion = clustering(&recorded).zip(clustering(simulated));
    let middle = |suites: &[&Suite]| {
        let values = suites
            .iter()
            .filter_map(|suite| autocorrelation(&suite.log, 1));
        median(&values.collect::<Vec<f64>>())
    };
    line.autocorrelation = middle(&recorded).zip(middle(simulated));
    line.judged()
}
