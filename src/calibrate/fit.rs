//! A scenario fitted to the streams of a recorded world, by moments and medians.
//!
//! What a history cannot tell (durations of builds and reviews, people who wait,
//! prices) stays as the base scenario has it; `Fit::notes` says what was kept.
use prestage_world::{CellCounts, ScenarioSpec, TrafficClass};

use super::goodness::{mean, median, sorted};
use super::noise::{self, Noise};
use super::streams::{Events, Load, Streams, Suite};

/// Working hours of a week over all hours.
const FLAT: f64 = 50.0 / 168.0;
/// A trace shorter than this tells no trend.
const TREND_DAYS_MIN: f64 = 21.0;
/// Residuals beyond so many robust deviations are bursts, not noise.
const BURST_DEVIATIONS: f64 = 3.0;
/// What moves a load by less than a fifth is no burst, however quiet the load is.
const BURST_LOG_MIN: f64 = 0.2;
/// Commits closer than this are one push, hours.
const PUSH_APART_H: f64 = 0.1;
/// Updates closer than this are one batch, hours.
const BATCH_APART_H: f64 = 1.0;
/// Excursions closer than this are one burst, hours.
const BURST_APART_H: f64 = 1.0;

/// A fitted scenario and what could not be fitted.
#[derive(Clone, Debug)]
pub struct Fit {
    /// The scenario.
    pub spec: ScenarioSpec,
    /// What was kept from the base, one sentence each.
    pub notes: Vec<String>,
}

/// Fits `base` to the streams.
pub fn fit(streams: &Streams, base: &ScenarioSpec) -> Fit {
    let mut fit = Fit {
        spec: base.clone(),
        notes: Vec::new(),
    };
    fit.cells(streams);
    fit.traffic(&streams.loads);
    fit.releases(&streams.releases);
    fit.commits(&streams.commits);
    fit.dependencies(streams);
    fit.suite(&streams.suites);
    fit
}

impl Fit {
    fn keep(&mut self, what: &str) {
        self.notes
            .push(format!("{what}: kept from the base scenario"));
    }

    /// As many cells of each need type as the history has.
    fn cells(&mut self, streams: &Streams) {
        let repository = |events: &Events| u32::from(!events.times.is_empty());
        let loads = streams.loads.len() as u32;
        let suites = streams.suites.len() as u32;
        let updates = repository(&streams.updates).max(repository(&streams.advisories));
        let releases = repository(&streams.releases);
        let services = &mut self.spec.services;
        services.count = loads.max(suites).max(1);
        services.tiers = vec![2];
        services.cells = CellCounts {
            scaling: Some(loads),
            feature_release: Some(releases),
            dependency_update: Some(updates),
            test_suite: Some(suites),
        };
    }

    /// A class for every trace: services of one history are not alike, and a service
    /// in the middle of them is none of them.
    fn traffic(&mut self, loads: &[Load]) {
        if loads.is_empty() {
            self.keep("traffic");
            return;
        }
        let rated = self.spec.traffic.rated_rps;
        let shapes: Vec<Shape> = loads.iter().map(Shape::of).collect();
        let classes = loads.iter().zip(&shapes);
        self.spec.traffic.classes = classes
            .map(|(load, shape)| shape.class(rated * load.mean_replicas))
            .collect();
        let short = shapes.iter().filter(|shape| shape.growth.is_none()).count();
        if short > 0 {
            self.notes.push(format!(
                "traffic.growth_per_week: 0 for {short} of {} traces, they have fewer than \
                 {TREND_DAYS_MIN} days",
                loads.len()
            ));
        }
    }

    fn releases(&mut self, releases: &Events) {
        if releases.gaps_h.len() < 4 {
            self.keep("releases");
            return;
        }
        let days: Vec<f64> = releases.gaps_h.iter().map(|hours| hours / 24.0).collect();
        let average = mean(&days).unwrap_or(1.0);
        let spread = deviation(&days);
        let spec = &mut self.spec.releases;
        spec.mean_days = (releases.days / releases.times.len() as f64).clamp(0.05, 3660.0);
        // Gamma by moments: shape = 1 / CV^2.
        spec.regularity = (average / spread.max(1e-6)).powi(2).clamp(0.1, 1000.0);
        spec.min_commits = 0;
        spec.train_days = 0.0;
        let moved = (releases.working_share() - FLAT) / (1.0 - FLAT);
        self.spec.dials.moving_hazard = moved.clamp(0.0, 1.0);
    }

    fn commits(&mut self, commits: &Events) {
        if commits.times.len() < 30 {
            self.keep("commits");
            return;
        }
        let dial = self.spec.dials.moving_hazard;
        let spec = &mut self.spec.commits;
        spec.per_push = group_size(&commits.gaps_h, PUSH_APART_H).clamp(1.0, 1000.0);
        spec.per_week = commits.per_week().min(10_000.0);
        // The dial blends the share with a flat rate; undo that, as far as it goes.
        let share = commits.working_share();
        spec.working_share = if dial > 0.05 {
            (FLAT + (share - FLAT) / dial).clamp(0.0, 1.0)
        } else {
            share
        };
        // Weekdays only: gamma-mixed pushes by moments, var = m (2 p - 1) + m^2 / k.
        let weekdays: Vec<f64> = commits
            .daily
            .iter()
            .zip(weekday_flags(commits))
            .filter(|(_, is_weekday)| *is_weekday)
            .map(|(&count, _)| count)
            .collect();
        if let Some(average) = mean(&weekdays).filter(|&average| average > 0.0) {
            // A geometric number of commits a push has E[K^2] / E[K] = 2 m - 1.
            let of_pushes = average * (2.0 * spec.per_push - 1.0);
            let excess = deviation(&weekdays).powi(2) - of_pushes;
            spec.dispersion = (average * average / excess.max(1e-3)).clamp(0.2, 1000.0);
        }
        self.notes
            .push("commits: durations and results of builds kept, a history has none".to_owned());
    }

    fn dependencies(&mut self, streams: &Streams) {
        let spec = &mut self.spec.dependencies;
        spec.per_batch = group_size(&streams.updates.gaps_h, BATCH_APART_H).clamp(1.0, 1000.0);
        spec.upstream_visible = false;
        spec.upstream_per_week = streams.updates.per_week().min(1000.0);
        spec.advisories_per_month =
            (streams.advisories.times.len() as f64 / streams.advisories.days * 30.0).min(1000.0);
        self.notes.push(
            "dependencies: times of adoption and triage kept; upstream releases hidden, as in the history"
                .to_owned(),
        );
    }

    fn suite(&mut self, suites: &[Suite]) {
        let long: Vec<&Suite> = suites
            .iter()
            .filter(|suite| suite.log.len() >= 20)
            .collect();
        if long.is_empty() {
            self.keep("suite");
            return;
        }
        let middle = |of: &dyn Fn(&Suite) -> Option<f64>| {
            median(
                &long
                    .iter()
                    .filter_map(|suite| of(suite))
                    .collect::<Vec<f64>>(),
            )
        };
        let minutes = middle(&|suite| median(&suite.log)).unwrap_or(7.0).exp() / 60.0;
        let spec = &mut self.spec.suite;
        spec.minutes = minutes.clamp(0.01, 10_000.0);
        spec.runs_per_day = middle(&|suite| {
            let days = suite.days.last()?.max(1.0);
            Some(suite.log.len() as f64 / days)
        })
        .unwrap_or(1.0)
        .min(1000.0);
        spec.sigma = middle(&|suite| Some(robust_deviation(&suite.relative)))
            .unwrap_or(0.1)
            .min(2.0);
        spec.growth_per_week = middle(&trend_per_week).unwrap_or(0.0).clamp(-0.1, 0.1);
        let steps: Vec<(f64, Vec<f64>)> = long.iter().map(|suite| steps(suite)).collect();
        let months: f64 = steps.iter().map(|(months, _)| months).sum();
        let sizes: Vec<f64> = steps.into_iter().flat_map(|(_, sizes)| sizes).collect();
        spec.steps_per_month = (sizes.len() as f64 / months.max(1.0)).min(100.0);
        spec.step_factor = median(&sizes).map_or(1.0, f64::exp).clamp(1.0, 10.0);
        // As replay sets it up: 1.2 times the median on shards of at most half an hour.
        let shards = (minutes / 30.0).ceil().max(1.0);
        spec.budget_minutes = (1.2 * minutes / shards).clamp(0.01, 10_000.0);
        let failed: Vec<f64> = long
            .iter()
            .flat_map(|suite| {
                suite
                    .failed
                    .iter()
                    .map(|&failed| f64::from(u8::from(failed)))
            })
            .collect();
        match mean(&failed) {
            Some(share) if failed.len() >= 50 => {
                spec.failure_probability = share.min(0.6);
                spec.failure_clustering = clustering(&long)
                    .unwrap_or(1.0)
                    .clamp(1.0, (0.95 / share.max(0.05)).clamp(1.0, 20.0));
            }
            _ => self.keep("suite.failure_probability"),
        }
    }
}

/// Mean size of groups of events whose gaps are shorter than `apart` hours.
fn group_size(gaps_h: &[f64], apart: f64) -> f64 {
    let groups = 1 + gaps_h.iter().filter(|&&gap| gap > apart).count();
    (gaps_h.len() + 1) as f64 / groups as f64
}

/// P(fail | the run before failed) / P(fail) over all suites.
pub fn clustering(suites: &[&Suite]) -> Option<f64> {
    let all = || suites.iter().flat_map(|suite| suite.failed.iter().copied());
    let share = all().filter(|&failed| failed).count() as f64 / all().count().max(1) as f64;
    let after: Vec<bool> = suites
        .iter()
        .flat_map(|suite| suite.failed.windows(2))
        .filter(|pair| pair[0])
        .map(|pair| pair[1])
        .collect();
    if after.len() < 10 || share <= 0.0 {
        return None;
    }
    let again = after.iter().filter(|&&failed| failed).count() as f64 / after.len() as f64;
    Some(again / share)
}

/// What the load of one service looks like.
struct Shape {
    profile: Vec<f64>,
    growth: Option<f64>,
    noise: Option<Noise>,
    bursts_per_week: f64,
    burst_log: Option<f64>,
    burst_minutes: Option<f64>,
}

impl Shape {
    fn of(load: &Load) -> Self {
        let mut residuals = load.residuals();
        let known: Vec<f64> = residuals
            .iter()
            .copied()
            .filter(|x| x.is_finite())
            .collect();
        let limit = (BURST_DEVIATIONS * robust_deviation(&known)).max(BURST_LOG_MIN);
        let bursts = bursts(load, &residuals, limit);
        let heights: Vec<f64> = bursts.iter().map(|&(height, _)| height).collect();
        // A burst's log halves in its half-life: so long is it above the limit.
        let half_lives: Vec<f64> = bursts
            .iter()
            .map(|&(height, hours)| hours * 60.0 / (height / limit).log2().max(0.1))
            .collect();
        let growth = growth_per_week(load, &residuals);
        // A burst is not noise, and makes up most of the squares where there are any.
        for value in &mut residuals {
            if *value > limit {
                *value = f64::NAN;
            }
        }
        Self {
            profile: complete(load.profile()),
            growth,
            noise: noise::fit(&residuals, load.step_h * 60.0),
            bursts_per_week: bursts.len() as f64 / load.days() * 7.0,
            burst_log: median(&heights),
            burst_minutes: median(&half_lives),
        }
    }

    /// The class of a service with this load and this mean, requests a second.
    fn class(&self, mean_rps: f64) -> TrafficClass {
        let noise = self.noise;
        TrafficClass {
            services: 1,
            base_rps: Some(mean_rps),
            base_sigma: Some(0.0),
            hourly_profile: Some(self.profile.clone()),
            growth_per_week: Some(self.growth.unwrap_or(0.0).clamp(-0.1, 0.1)),
            noise_sigma: Some(noise.map_or(0.0, |noise| noise.sigma).min(2.0)),
            noise_half_life_minutes: noise.map(|noise| noise.half_life_minutes),
            noise_smoothing_minutes: noise.map(|noise| noise.smoothing_minutes),
            noise_white_share: noise.map(|noise| noise.white_share),
            bursts_per_week: Some(self.bursts_per_week.min(500.0)),
            burst_factor: Some(self.burst_log.map_or(1.0, f64::exp).clamp(1.0, 10_000.0)),
            burst_minutes: Some(self.burst_minutes.unwrap_or(40.0).clamp(1.0, 10_080.0)),
            ..TrafficClass::default()
        }
    }
}

/// Fills hours of which nothing is known: from the same hour of the other days, else
/// with the mean. Rounded to a ten-thousandth, as it is for people to read.
fn complete(profile: Vec<f64>) -> Vec<f64> {
    let known: Vec<f64> = profile.iter().copied().filter(|x| x.is_finite()).collect();
    let average = mean(&known).unwrap_or(0.0);
    (0..profile.len())
        .map(|slot| {
            let candidates = [profile[slot], profile[(slot + 24) % 48], average];
            let known = candidates.into_iter().find(|value| value.is_finite());
            (known.unwrap_or(0.0) * 1e4).round() / 1e4
        })
        .collect()
}

/// Slope of the residuals by least squares, as growth a week.
fn growth_per_week(load: &Load, residuals: &[f64]) -> Option<f64> {
    if load.days() < TREND_DAYS_MIN {
        return None;
    }
    let points: Vec<(f64, f64)> = residuals
        .iter()
        .enumerate()
        .filter(|(_, x)| x.is_finite())
        .map(|(index, &x)| (index as f64 * load.step_h / 168.0, x))
        .collect();
    Some(slope(&points).exp_m1())
}

/// Excursions above `limit`: log height and length in hours of each.
fn bursts(load: &Load, residuals: &[f64], limit: f64) -> Vec<(f64, f64)> {
    let apart = (BURST_APART_H / load.step_h).ceil() as usize;
    let mut bursts: Vec<(f64, f64)> = Vec::new();
    let mut last: Option<usize> = None;
    for (index, &value) in residuals.iter().enumerate() {
        if value.is_nan() || value <= limit {
            continue;
        }
        match (last, bursts.last_mut()) {
            (Some(before), Some(burst)) if index - before <= apart => {
                burst.0 = burst.0.max(value);
                burst.1 += (index - before) as f64 * load.step_h;
            }
            _ => bursts.push((value, load.step_h)),
        }
        last = Some(index);
    }
    bursts
}

fn trend_per_week(suite: &Suite) -> Option<f64> {
    let weeks = suite.days.last()? / 7.0;
    if weeks < TREND_DAYS_MIN / 7.0 {
        return None;
    }
    let points: Vec<(f64, f64)> = suite
        .days
        .iter()
        .zip(&suite.log)
        .map(|(days, &log)| (days / 7.0, log))
        .collect();
    Some(slope(&points).exp_m1())
}

/// Months observed, and the log sizes of upward steps: places where the medians of
/// ten runs before and after differ by four standard errors and a tenth.
fn steps(suite: &Suite) -> (f64, Vec<f64>) {
    const SIDE: usize = 10;
    let noise = robust_deviation(&suite.relative);
    let least = (4.0 * noise * (2.0 / SIDE as f64).sqrt()).max(0.1);
    let mut sizes = Vec::new();
    let mut index = SIDE;
    while index + SIDE <= suite.log.len() {
        let before = median(&suite.log[index - SIDE..index]);
        let after = median(&suite.log[index..index + SIDE]);
        match (before, after) {
            (Some(before), Some(after)) if after - before > least => {
                sizes.push(after - before);
                index += 2 * SIDE;
            }
            _ => index += 1,
        }
    }
    (suite.days.last().copied().unwrap_or(0.0) / 30.0, sizes)
}

/// Least-squares slope.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let x_mean = points.iter().map(|(x, _)| x).sum::<f64>() / count;
    let y_mean = points.iter().map(|(_, y)| y).sum::<f64>() / count;
    let products: f64 = points
        .iter()
        .map(|(x, y)| (x - x_mean) * (y - y_mean))
        .sum();
    let squares: f64 = points
        .iter()
        .map(|(x, _)| (x - x_mean) * (x - x_mean))
        .sum();
    if squares > 0.0 {
        products / squares
    } else {
        0.0
    }
}

fn deviation(values: &[f64]) -> f64 {
    let Some(average) = mean(values) else {
        return 0.0;
    };
    let squares: f64 = values.iter().map(|x| (x - average) * (x - average)).sum();
    (squares / (values.len() as f64 - 1.0).max(1.0)).sqrt()
}

/// 1.4826 times the median absolute deviation.
fn robust_deviation(values: &[f64]) -> f64 {
    let values = sorted(values);
    let Some(middle) = median(&values) else {
        return 0.0;
    };
    let distances: Vec<f64> = values.iter().map(|x| (x - middle).abs()).collect();
    1.4826 * median(&distances).unwrap_or(0.0)
}

fn weekday_flags(events: &Events) -> impl Iterator<Item = bool> + '_ {
    let first = events.from.as_micros();
    (0..events.daily.len() as i64).map(move |day| {
        let at = prestage_telemetry::Timestamp(first + day * 86_400_000_000);
        at.day_of_week() < 5
    })
}
