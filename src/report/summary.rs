//! From rows to arms: means, paired differences and counts.
//!
//! Costs are dollars a day, averaged over (training seed x scenario). Differences are
//! paired: both arms met the same scenario seeds. Must not know HTML.
use std::collections::BTreeMap;

use anyhow::{Result, bail};
use serde::Serialize;

use crate::run_folder::{self, Manifest, ResultRow};
use crate::statistics::{Bootstrap, Grid, Interval, interquartile_mean, mean};

/// Need types in the order of the design; others follow alphabetically.
const NEED_ORDER: [&str; 4] = [
    "scaling",
    "feature_release",
    "dependency_update",
    "test_suite",
];

/// Arms that see what production cannot: bounds, never candidates.
const BOUND_NAMES: [&str; 2] = ["privileged", "clairvoyant"];

/// A scenario and its seed: what all arms have in common.
type Episode<'a> = (&'a str, u64);

/// The whole run in numbers.
pub struct Summary {
    /// The arm all others are compared with.
    pub reference: String,
    /// Arms with results, in the order of the manifest.
    pub arms: Vec<Arm>,
    /// Arms of the manifest without results.
    pub missing_arms: Vec<String>,
    /// Need types, in the order they are shown.
    pub needs: Vec<String>,
    /// Trained arms against the cheapest arm that was not trained and is not a bound.
    pub edges: Vec<Edge>,
}

/// One arm.
pub struct Arm {
    /// Its name.
    pub name: String,
    /// What the reader may conclude from it.
    pub kind: ArmKind,
    /// Training seeds; none when it was not trained.
    pub training_seeds: usize,
    /// Scenarios it was evaluated on.
    pub scenarios: usize,
    /// Mean cost, dollars a day.
    pub cost_mean: f64,
    /// Interquartile mean of the cost, dollars a day.
    pub cost_iqm: f64,
    /// Cost minus the reference's on the same scenarios; absent for the reference itself
    /// and when they share no scenario.
    pub difference: Option<Difference>,
    /// All need types together.
    pub totals: Totals,
    /// Each need type, in the order of [`Summary::needs`].
    pub by_need: Vec<Totals>,
}

/// What an arm is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArmKind {
    /// A fixed or adaptive rule.
    Rule,
    /// A trained policy.
    Trained,
    /// Uses knowledge that production does not have.
    Bound,
}

/// A paired difference of cost, dollars a day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// Mean difference.
    pub mean: f64,
    /// Its interval; absent when a single pair leaves nothing to resample.
    pub interval: Option<Interval>,
    /// Mean cost of the other arm on the shared scenarios.
    pub reference_cost: f64,
    /// Scenarios both arms met.
    pub scenarios: usize,
}

/// A trained arm against the cheapest untrained one.
pub struct Edge {
    /// The trained arm.
    pub trained: String,
    /// The untrained arm.
    pub rule: String,
    /// Trained minus rule.
    pub difference: Difference,
}

/// What a difference says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Cheaper, and the interval excludes zero.
    Better,
    /// More expensive, and the interval excludes zero.
    Worse,
    /// The interval includes zero.
    WithinNoise,
    /// There is no interval.
    Unknown,
}

/// Sums over stages and needs, for each simulated day.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    /// Dollars.
    pub cost_usd: f64,
    /// Needs that arose.
    pub needs: f64,
    /// Needs met in time.
    pub hits: f64,
    /// Needs not met in time.
    pub misses: f64,
    /// Stages synthesised ahead.
    pub stages: f64,
    /// Stages used.
    pub used: f64,
    /// Stages never used: expired, withdrawn or rolled back.
    pub waste: f64,
    /// Of these, withdrawn by the policy.
    pub withdrawn: f64,
    /// Minutes deployments were blocked.
    pub blocked_minutes: f64,
    /// Service-minutes in violation of the objective.
    pub slo_violation_minutes: f64,
    /// Runner minutes used for stages.
    pub runner_minutes: f64,
    /// Hours stages stood unused.
    pub idle_stage_hours: f64,
    /// Expected loss from open advisories, dollars.
    pub exposure_usd: f64,
}

/// A row of `results_summary.csv`.
#[derive(Serialize)]
struct SummaryRow<'a> {
    arm: &'a str,
    trained: u8,
    training_seeds: usize,
    scenarios: usize,
    cost_usd_per_day_mean: f64,
    cost_usd_per_day_iqm: f64,
    reference: &'a str,
    difference_usd_per_day: Option<f64>,
    difference_lower: Option<f64>,
    difference_upper: Option<f64>,
    needs_per_day: f64,
    hits_per_day: f64,
    misses_per_day: f64,
    waste_per_day: f64,
    withdrawn_per_day: f64,
    blocked_minutes_per_day: f64,
    slo_violation_minutes_per_day: f64,
    runner_minutes_per_day: f64,
    idle_stage_hours_per_day: f64,
    exposure_usd_per_day: f64,
}

/// Costs of one arm: for each training seed, for each episode.
struct Costs<'a> {
    by_seed: BTreeMap<Option<u64>, BTreeMap<Episode<'a>, f64>>,
}

impl Summary {
    /// Summarises the results of a run.
    ///
    /// # Errors
    /// Without results, and when an arm lacks a need type that another arm has on the same
    /// scenario: their costs could not be compared.
    pub fn new(manifest: &Manifest, rows: &[ResultRow]) -> Result<Self> {
        if rows.is_empty() {
            bail!("there is no row of results");
        }
        check_needs(rows)?;
        let mut names = manifest.arms.clone();
        for row in rows {
            if !names.contains(&row.arm) {
                names.push(row.arm.clone());
            }
        }
        let has_rows = |name: &String| rows.iter().any(|row| row.arm == *name);
        let (present, missing_arms) = names.into_iter().partition::<Vec<_>, _>(has_rows);
        let needs = needs_in_order(rows);
        let costs: Vec<Costs<'_>> = present
            .iter()
            .map(|name| Costs::of(name, rows, manifest.evaluated_days))
            .collect();
        let bootstrap = Bootstrap::new(manifest.seed);
        let reference = present
            .iter()
            .position(|name| *name == manifest.reference_arm);
        let arms: Vec<Arm> = present
            .iter()
            .enumerate()
            .map(|(index, name)| {
                let mut arm = Arm::new(name, rows, &costs[index], &needs, manifest.evaluated_days);
                arm.difference = reference
                    .filter(|&reference| reference != index)
                    .and_then(|reference| costs[index].minus(&costs[reference], &bootstrap));
                arm
            })
            .collect();
        let edges = edges(&arms, &costs, &bootstrap);
        Ok(Self {
            reference: manifest.reference_arm.clone(),
            arms,
            missing_arms,
            needs,
            edges,
        })
    }

    /// The arm of this name, if it has results.
    pub fn arm(&self, name: &str) -> Option<&Arm> {
        self.arms.iter().find(|arm| arm.name == name)
    }

    /// Arms from the cheapest to the most expensive.
    pub fn by_cost(&self) -> Vec<&Arm> {
        let mut sorted: Vec<&Arm> = self.arms.iter().collect();
        sorted.sort_by(|left, right| left.cost_mean.total_cmp(&right.cost_mean));
        sorted
    }

    /// The cheapest arm that production could run.
    pub fn cheapest(&self) -> Option<&Arm> {
        self.by_cost()
            .into_iter()
            .find(|arm| arm.kind != ArmKind::Bound)
    }

    /// The cheapest trained arm.
    pub fn best_trained(&self) -> Option<&Arm> {
        self.by_cost()
            .into_iter()
            .find(|arm| arm.kind == ArmKind::Trained)
    }

    /// `results_summary.csv`.
    pub fn csv(&self) -> Result<Vec<u8>> {
        let rows: Vec<SummaryRow<'_>> = self
            .arms
            .iter()
            .map(|arm| SummaryRow::new(arm, &self.reference))
            .collect();
        run_folder::csv_bytes(&rows)
    }
}

impl Arm {
    fn new(name: &str, rows: &[ResultRow], costs: &Costs<'_>, needs: &[String], days: f64) -> Self {
        let all = costs.all();
        let weight = 1.0 / (all.len() as f64 * days);
        let rows: Vec<&ResultRow> = rows.iter().filter(|row| row.arm == name).collect();
        let by_need: Vec<Totals> = needs
            .iter()
            .map(|need| Totals::of(rows.iter().copied().filter(|row| row.need == *need), weight))
            .collect();
        let training_seeds = costs.by_seed.keys().flatten().count();
        Self {
            name: name.to_owned(),
            kind: kind(name, training_seeds),
            training_seeds,
            scenarios: costs.by_seed.values().map(BTreeMap::len).max().unwrap_or(0),
            cost_mean: mean(&all),
            cost_iqm: interquartile_mean(&all),
            difference: None,
            totals: Totals::of(rows.into_iter(), weight),
            by_need,
        }
    }
}

impl<'a> Costs<'a> {
    fn of(arm: &str, rows: &'a [ResultRow], days: f64) -> Self {
        let mut by_seed: BTreeMap<Option<u64>, BTreeMap<Episode<'a>, f64>> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.arm == arm) {
            let episode = (row.scenario.as_str(), row.scenario_seed);
            let episodes = by_seed.entry(row.train_seed).or_default();
            *episodes.entry(episode).or_insert(0.0) += row.cost_usd / days;
        }
        Self { by_seed }
    }

    fn all(&self) -> Vec<f64> {
        self.by_seed
            .values()
            .flat_map(BTreeMap::values)
            .copied()
            .collect()
    }

    /// Paired difference on the episodes that every training seed of both arms has met.
    ///
    /// Training seeds are paired when both arms have the same ones; otherwise the mean over
    /// the other's seeds stands against each of ours.
    fn minus(&self, other: &Self, bootstrap: &Bootstrap) -> Option<Difference> {
        let first = self.by_seed.values().next()?;
        let is_shared = |episode: &&Episode<'a>| {
            let everyone = self.by_seed.values().chain(other.by_seed.values());
            everyone
                .into_iter()
                .all(|costs| costs.contains_key(*episode))
        };
        let shared: Vec<Episode<'a>> = first.keys().filter(is_shared).copied().collect();
        if shared.is_empty() {
            return None;
        }
        let same_seeds = self.by_seed.keys().eq(other.by_seed.keys());
        let ours_are_rows = self.by_seed.len() >= other.by_seed.len();
        let rows = if ours_are_rows { self } else { other };
        let mut values = Vec::with_capacity(rows.by_seed.len() * shared.len());
        let mut reference_costs = Vec::with_capacity(values.capacity());
        for seed in rows.by_seed.keys() {
            let ours = if same_seeds || ours_are_rows {
                Some(seed)
            } else {
                None
            };
            let theirs = if same_seeds || !ours_are_rows {
                Some(seed)
            } else {
                None
            };
            for episode in &shared {
                let reference = other.cost(theirs, episode);
                values.push(self.cost(ours, episode) - reference);
                reference_costs.push(reference);
            }
        }
        let grid = Grid::new(shared.len(), values);
        Some(Difference {
            mean: mean(grid.values()),
            interval: bootstrap.mean(&grid),
            reference_cost: mean(&reference_costs),
            scenarios: shared.len(),
        })
    }

    /// Cost with one training seed, or the mean over all of them.
    fn cost(&self, seed: Option<&Option<u64>>, episode: &Episode<'a>) -> f64 {
        match seed {
            Some(seed) => self.by_seed[seed][episode],
            None => {
                let costs = self.by_seed.values().map(|costs| costs[episode]);
                mean(&costs.collect::<Vec<f64>>())
            }
        }
    }
}

impl Difference {
    /// What the interval says.
    pub fn verdict(&self) -> Verdict {
        match self.interval {
            None => Verdict::Unknown,
            Some(interval) if interval.includes_zero() => Verdict::WithinNoise,
            Some(_) if self.mean < 0.0 => Verdict::Better,
            Some(_) => Verdict::Worse,
        }
    }

    /// Difference as a share of the other arm's cost, if that is not zero.
    pub fn relative(&self) -> Option<f64> {
        (self.reference_cost.abs() > 0.0).then(|| self.mean / self.reference_cost)
    }
}

impl Totals {
    fn of<'a>(rows: impl Iterator<Item = &'a ResultRow>, weight: f64) -> Self {
        let mut totals = Self::default();
        for row in rows {
            totals.cost_usd += row.cost_usd * weight;
            totals.needs += row.needs as f64 * weight;
            totals.hits += row.hits as f64 * weight;
            totals.misses += row.misses as f64 * weight;
            totals.stages += row.stages as f64 * weight;
            totals.used += row.used as f64 * weight;
            totals.waste += (row.expired + row.withdrawn + row.rolled_back) as f64 * weight;
            totals.withdrawn += row.withdrawn as f64 * weight;
            totals.blocked_minutes += row.blocked_minutes * weight;
            totals.slo_violation_minutes += row.slo_violation_minutes * weight;
            totals.runner_minutes += row.runner_minutes * weight;
            totals.idle_stage_hours += row.idle_stage_hours * weight;
            totals.exposure_usd += row.exposure_usd * weight;
        }
        totals
    }

    /// Share of the needs met in time, if there were any.
    pub fn coverage(&self) -> Option<f64> {
        (self.needs > 0.0).then(|| self.hits / self.needs)
    }

    /// Share of the stages that were used, if there were any.
    pub fn accuracy(&self) -> Option<f64> {
        (self.stages > 0.0).then(|| self.used / self.stages)
    }
}

impl<'a> SummaryRow<'a> {
    fn new(arm: &'a Arm, reference: &'a str) -> Self {
        let interval = arm.difference.and_then(|difference| difference.interval);
        Self {
            arm: &arm.name,
            trained: u8::from(arm.training_seeds > 0),
            training_seeds: arm.training_seeds,
            scenarios: arm.scenarios,
            cost_usd_per_day_mean: arm.cost_mean,
            cost_usd_per_day_iqm: arm.cost_iqm,
            reference,
            difference_usd_per_day: arm.difference.map(|difference| difference.mean),
            difference_lower: interval.map(|interval| interval.lower),
            difference_upper: interval.map(|interval| interval.upper),
            needs_per_day: arm.totals.needs,
            hits_per_day: arm.totals.hits,
            misses_per_day: arm.totals.misses,
            waste_per_day: arm.totals.waste,
            withdrawn_per_day: arm.totals.withdrawn,
            blocked_minutes_per_day: arm.totals.blocked_minutes,
            slo_violation_minutes_per_day: arm.totals.slo_violation_minutes,
            runner_minutes_per_day: arm.totals.runner_minutes,
            idle_stage_hours_per_day: arm.totals.idle_stage_hours,
            exposure_usd_per_day: arm.totals.exposure_usd,
        }
    }
}

/// Every arm must have the same need types on the same episode.
fn check_needs(rows: &[ResultRow]) -> Result<()> {
    let mut of_episode: BTreeMap<Episode<'_>, Vec<&str>> = BTreeMap::new();
    let mut of_unit: BTreeMap<(&str, Option<u64>, Episode<'_>), Vec<&str>> = BTreeMap::new();
    for row in rows {
        let episode = (row.scenario.as_str(), row.scenario_seed);
        of_episode.entry(episode).or_default().push(&row.need);
        of_unit
            .entry((&row.arm, row.train_seed, episode))
            .or_default()
            .push(&row.need);
    }
    for ((arm, _, episode), needs) in &of_unit {
        if let Some(need) = of_episode[episode]
            .iter()
            .find(|need| !needs.contains(need))
        {
            let (scenario, seed) = episode;
            bail!(
                "arm `{arm}` has no row for need `{need}` on scenario `{scenario}`, seed {seed}, \
                 which another arm has"
            );
        }
    }
    Ok(())
}

fn needs_in_order(rows: &[ResultRow]) -> Vec<String> {
    let mut needs: Vec<String> = rows.iter().map(|row| row.need.clone()).collect();
    let rank = |need: &String| {
        let known = NEED_ORDER.iter().position(|known| known == need);
        (known.unwrap_or(NEED_ORDER.len()), need.clone())
    };
    needs.sort_by_key(rank);
    needs.dedup();
    needs
}

fn kind(name: &str, training_seeds: usize) -> ArmKind {
    if BOUND_NAMES.iter().any(|bound| name.starts_with(bound)) {
        ArmKind::Bound
    } else if training_seeds > 0 {
        ArmKind::Trained
    } else {
        ArmKind::Rule
    }
}

fn edges(arms: &[Arm], costs: &[Costs<'_>], bootstrap: &Bootstrap) -> Vec<Edge> {
    let of_kind = |kind| (0..arms.len()).filter(move |&index| arms[index].kind == kind);
    let cheapest = of_kind(ArmKind::Rule)
        .min_by(|&left, &right| arms[left].cost_mean.total_cmp(&arms[right].cost_mean));
    let Some(rule) = cheapest else {
        return Vec::new();
    };
    let edge = |trained: usize| {
        Some(Edge {
            trained: arms[trained].name.clone(),
            rule: arms[rule].name.clone(),
            difference: costs[trained].minus(&costs[rule], bootstrap)?,
        })
    };
    of_kind(ArmKind::Trained).filter_map(edge).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(arm: &str, train_seed: Option<u64>, scenario_seed: u64, cost_usd: f64) -> ResultRow {
        ResultRow {
            arm: arm.to_owned(),
            train_seed,
            scenario: "calm".to_owned(),
            scenario_seed,
            need: "scaling".to_owned(),
            cost_usd,
            needs: 4,
            hits: 3,
            misses: 1,
            stages: 5,
            used: 3,
            expired: 1,
            withdrawn: 0,
            rolled_back: 1,
            blocked_minutes: 10.0,
            slo_violation_minutes: 0.0,
            runner_minutes: 0.0,
            idle_stage_hours: 0.0,
            exposure_usd: 0.0,
            exposure_days: 0.0,
        }
    }

    fn manifest() -> Manifest {
        Manifest {
            format_version: 1,
            name: "test".to_owned(),
            created_by: "prestage 0.1.0".to_owned(),
            git_revision: "unknown".to_owned(),
            seed: 1,
            config_hash: "00".to_owned(),
            scenario: "calm".to_owned(),
            evaluated_days: 2.0,
            arms: ["ghost", "static-tuned", "ppo"].map(str::to_owned).to_vec(),
            reference_arm: "static-tuned".to_owned(),
            timeline_arm: None,
            command: "prestage run".to_owned(),
        }
    }

    /// Costs by day: static 10 and 20; ppo 8 and 17 with seed 0, 9 and 18 with seed 1.
    fn rows() -> Vec<ResultRow> {
        vec![
            row("static-tuned", None, 1, 20.0),
            row("static-tuned", None, 2, 40.0),
            row("ppo", Some(0), 1, 16.0),
            row("ppo", Some(0), 2, 34.0),
            row("ppo", Some(1), 1, 18.0),
            row("ppo", Some(1), 2, 36.0),
        ]
    }

    #[test]
    fn averages_and_pairs() {
        let summary = Summary::new(&manifest(), &rows()).unwrap();
        assert_eq!(summary.missing_arms, ["ghost"]);
        let ppo = summary.arm("ppo").unwrap();
        assert_eq!(
            (ppo.kind, ppo.training_seeds, ppo.scenarios),
            (ArmKind::Trained, 2, 2)
        );
        assert_eq!(ppo.cost_mean, 13.0);
        assert_eq!(ppo.totals.hits, 1.5);
        assert_eq!(ppo.totals.waste, 1.0);
        assert_eq!(ppo.totals.coverage(), Some(0.75));
        let difference = ppo.difference.unwrap();
        assert_eq!(difference.mean, -2.0, "mean of -2, -3, -1, -2");
        assert_eq!((difference.reference_cost, difference.scenarios), (15.0, 2));
        let interval = difference.interval.unwrap();
        assert_eq!((interval.lower, interval.upper), (-3.0, -1.0));
        assert_eq!(difference.verdict(), Verdict::Better);
        assert!(summary.arm("static-tuned").unwrap().difference.is_none());
        assert_eq!(summary.cheapest().unwrap().name, "ppo");
        assert_eq!(summary.edges[0].rule, "static-tuned");
    }

    #[test]
    fn pairs_only_scenarios_that_all_have_met() {
        let mut rows = rows();
        rows.retain(|row| (row.train_seed, row.scenario_seed) != (Some(1), 2));
        let summary = Summary::new(&manifest(), &rows).unwrap();
        let difference = summary.arm("ppo").unwrap().difference.unwrap();
        assert_eq!((difference.scenarios, difference.mean), (1, -1.5));
        rows.retain(|row| row.train_seed.is_none() || row.scenario_seed == 2);
        let summary = Summary::new(&manifest(), &rows).unwrap();
        let difference = summary.arm("ppo").unwrap().difference.unwrap();
        assert_eq!(
            difference.verdict(),
            Verdict::Unknown,
            "one pair has no interval"
        );
    }

    #[test]
    fn reference_may_be_the_trained_arm() {
        let manifest = Manifest {
            reference_arm: "ppo".to_owned(),
            ..manifest()
        };
        let summary = Summary::new(&manifest, &rows()).unwrap();
        let difference = summary.arm("static-tuned").unwrap().difference.unwrap();
        assert_eq!((difference.mean, difference.reference_cost), (2.0, 13.0));
    }

    #[test]
    fn bounds_are_never_the_cheapest() {
        let mut rows = rows();
        rows.push(row("clairvoyant", None, 1, 1.0));
        rows.push(row("clairvoyant", None, 2, 1.0));
        let summary = Summary::new(&manifest(), &rows).unwrap();
        assert_eq!(summary.by_cost()[0].name, "clairvoyant");
        assert_eq!(summary.cheapest().unwrap().name, "ppo");
    }

    #[test]
    fn refuses_arms_that_cannot_be_compared() {
        let mut rows = rows();
        rows.push(ResultRow {
            need: "test_suite".to_owned(),
            ..rows[0].clone()
        });
        let error = Summary::new(&manifest(), &rows).err().unwrap();
        assert_eq!(
            error.to_string(),
            "arm `ppo` has no row for need `test_suite` on scenario `calm`, seed 1, which another \
             arm has"
        );
        assert!(Summary::new(&manifest(), &[]).is_err());
    }
}
