//! Do fixed policies rank in a fitted scenario as they do on the history itself?
//!
//! ```text
//! history --all of it--> each policy --days not fitted--> cost a day --+
//!    |                                                                 +--> tau-b per need
//!    +--first part--> fitted scenario --> each policy --> cost a day --+    type, pooled
//! ```
//! A scenario is good enough to compare policies in when it puts them in the order in
//! which reality puts them, whatever the dollars are. Costs are dollars a day: of each
//! recorded cell over the days after its fitted part, summed over cells; of the
//! scenario over all its days, a mean over worlds.
mod books;
pub mod kendall;
mod policies;
mod resample;

use std::ops::Range;
use std::sync::Arc;

use anyhow::Result;
use prestage_controller::{NeedType, OnDemand};
use prestage_envs::{SeedSet, Setting};
use prestage_telemetry::History;
use prestage_world::{Exogenous, ReplayOptions, Scenario, WorldOptions, from_history};
use rayon::prelude::*;

use self::books::Days;
pub use self::books::Entry;
use self::kendall::Pairs;
use self::policies::FixedPolicy;
pub use self::policies::fixed_policies;
use self::resample::{Side, Stratum};
use crate::compare;
use crate::progress::Progress;
use crate::statistics::{RESAMPLES, mean, quantile};

/// Scope of pairs that were compared within each need type and then added.
pub const WITHIN_NEEDS: &str = "within need types";
/// Scope of costs that were added over need types and then compared.
pub const TOTAL: &str = "total cost";
/// Bounds of a 95 % interval.
const TAILS: (f64, f64) = (0.025, 0.975);

/// How a history and its fitted scenario are compared.
#[derive(Clone, Copy, Debug)]
pub struct AgreementOptions {
    /// Share of each trace that the scenario was fitted to.
    pub fit_share: f64,
    /// Simulated worlds, and as many runs of the history with other draws of what a
    /// history does not record (durations of reviews and builds).
    pub seeds: u32,
    /// Of the first of them.
    pub seed: u64,
}

/// What the policies cost on both sides, and how alike that ranks them.
#[derive(Clone, Debug)]
pub struct Agreement {
    /// Name of the history.
    pub history: String,
    /// One a need type that both sides have, then [`WITHIN_NEEDS`] and [`TOTAL`].
    pub scopes: Vec<ScopeAgreement>,
    /// One a need type and policy.
    pub accounts: Vec<PolicyAccount>,
}

/// How alike both sides rank the policies, in one need type or pooled.
#[derive(Clone, Debug)]
pub struct ScopeAgreement {
    /// A need type, [`WITHIN_NEEDS`] or [`TOTAL`].
    pub scope: String,
    /// Pairs of policies.
    pub pairs: Pairs,
    /// Pairs whose order both sides are sure of.
    pub decided: Decided,
    /// 95 % interval of tau-b, resampling days of the history and simulated worlds;
    /// `None` when too many resamples have no order.
    pub interval: Option<(f64, f64)>,
    resampled: Vec<Pairs>,
}

/// Pairs of policies whose difference has an interval without 0 on both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decided {
    /// Of these.
    pub pairs: u64,
    /// Of these, ordered the same way.
    pub concordant: u64,
}

/// What one policy did in one need type, a day.
#[derive(Clone, Debug)]
pub struct PolicyAccount {
    /// The need type.
    pub need: NeedType,
    /// The policy.
    pub policy: String,
    /// On the part of the history that was not fitted.
    pub recorded: Entry,
    /// Standard error of the recorded cost.
    pub recorded_se: f64,
    /// In the fitted scenario.
    pub simulated: Entry,
    /// Standard error of the simulated cost.
    pub simulated_se: f64,
}

/// Runs the fixed policies on `history` and in `fitted` and compares their order.
///
/// `base` supplies what a history does not record, as in a replay.
pub fn agreement(
    history: &History,
    base: &Scenario,
    fitted: &Scenario,
    options: AgreementOptions,
) -> Result<Agreement> {
    let name = &history.world.world;
    let (record, _) = from_history(history, base, ReplayOptions::default())?;
    let policies = fixed_policies();
    let recorded = Recorded::run(record, base, &policies, options);
    let simulated = Simulated::run(fitted, &policies, options);
    let mut scopes = Vec::new();
    let mut accounts = Vec::new();
    for need in NeedType::ALL {
        let ranked: Vec<usize> = ranked(&policies, need);
        let is_it = |each: NeedType| each == need;
        let sides = recorded
            .side(&ranked, is_it)
            .zip(simulated.side(&ranked, is_it));
        let Some((real, fake)) = sides else { continue };
        let compared = Compared::new(&real, &fake, stream(options, name, &need.to_string()));
        for (i, &policy) in ranked.iter().enumerate() {
            accounts.push(PolicyAccount {
                need,
                policy: policies[policy].arm.name.clone(),
                recorded: recorded.account(policy, need),
                recorded_se: compared.recorded.standard_error(i),
                simulated: simulated.account(policy, need),
                simulated_se: compared.simulated.standard_error(i),
            });
        }
        scopes.push(compared.scope(need.to_string()));
    }
    scopes.push(sum(WITHIN_NEEDS, &scopes.iter().collect::<Vec<_>>()));
    let all: Vec<usize> = (0..policies.len()).collect();
    let total = recorded
        .side(&all, |_| true)
        .zip(simulated.side(&all, |_| true));
    if let Some((real, fake)) = total {
        let compared = Compared::new(&real, &fake, stream(options, name, TOTAL));
        scopes.push(compared.scope(TOTAL.to_owned()));
    }
    Ok(Agreement {
        history: name.clone(),
        scopes,
        accounts,
    })
}

/// Adds the pairs of all histories, scope by scope: policies are only ever compared
/// within a history. The histories themselves are not resampled.
pub fn pooled(worlds: &[Agreement]) -> Vec<ScopeAgreement> {
    let names = NeedType::ALL.map(|need| need.to_string());
    let names = names
        .iter()
        .map(String::as_str)
        .chain([WITHIN_NEEDS, TOTAL]);
    names
        .filter_map(|name| {
            let scopes = worlds.iter().flat_map(|world| &world.scopes);
            let same: Vec<&ScopeAgreement> = scopes.filter(|scope| scope.scope == name).collect();
            (!same.is_empty()).then(|| sum(name, &same))
        })
        .collect()
}

fn sum(scope: &str, parts: &[&ScopeAgreement]) -> ScopeAgreement {
    let resampled: Vec<Pairs> = (0..RESAMPLES)
        .map(|index| parts.iter().map(|part| part.resampled[index]).sum())
        .collect();
    ScopeAgreement {
        scope: scope.to_owned(),
        pairs: parts.iter().map(|part| part.pairs).sum(),
        decided: Decided {
            pairs: parts.iter().map(|part| part.decided.pairs).sum(),
            concordant: parts.iter().map(|part| part.decided.concordant).sum(),
        },
        interval: interval(&resampled),
        resampled,
    }
}

/// Policies that can differ from each other in a need type.
fn ranked(policies: &[FixedPolicy], need: NeedType) -> Vec<usize> {
    (0..policies.len())
        .filter(|&index| policies[index].needs.contains(&need))
        .collect()
}

/// Interval of tau-b over resamples.
fn interval(resampled: &[Pairs]) -> Option<(f64, f64)> {
    let taus: Vec<f64> = resampled.iter().filter_map(Pairs::tau_b).collect();
    // A resample without order has no tau-b; an interval over the few that are left
    // would look surer than it is.
    (taus.len() * 20 >= resampled.len() * 19)
        .then(|| (quantile(&taus, TAILS.0), quantile(&taus, TAILS.1)))
}

/// The history with every policy; `[seed][policy]`.
struct Recorded {
    need: Vec<NeedType>,
    counted: Vec<Range<usize>>,
    runs: Vec<Vec<Days>>,
}

impl Recorded {
    fn run(
        record: Exogenous,
        base: &Scenario,
        policies: &[FixedPolicy],
        options: AgreementOptions,
    ) -> Self {
        let counted = books::unseen_days(&record, options.fit_share);
        let need = record.cells.iter().map(|cell| cell.need).collect();
        let record = Arc::new(record);
        let settings: Vec<Setting> = seeds(options)
            .map(|seed| Setting {
                record: Arc::clone(&record),
                world: WorldOptions::new(base, OnDemand::Template, seed),
                prices: base.prices().clone(),
            })
            .collect();
        Self {
            need,
            counted,
            runs: run_all(&settings, policies, &format!("replay {}", record.name)),
        }
    }

    fn cells(&self, is_wanted: impl Fn(NeedType) -> bool) -> impl Iterator<Item = usize> {
        (0..self.need.len())
            .filter(move |&cell| is_wanted(self.need[cell]) && !self.counted[cell].is_empty())
    }

    /// One stratum a cell; a day's cost is a mean over the seeds.
    fn side(&self, policies: &[usize], is_wanted: impl Fn(NeedType) -> bool) -> Option<Side> {
        let day = |policy: usize, cell: usize, day: usize| {
            let costs = self.runs.iter().map(|run| run[policy][cell][day].cost_usd);
            mean(&costs.collect::<Vec<f64>>())
        };
        let cells: Vec<Stratum> = self
            .cells(is_wanted)
            .map(|cell| {
                let days = |&policy: &usize| {
                    let counted = self.counted[cell].clone();
                    counted.map(|index| day(policy, cell, index)).collect()
                };
                Stratum::days(&policies.iter().map(days).collect::<Vec<Vec<f64>>>())
            })
            .collect();
        (!cells.is_empty()).then(|| Side::new(cells))
    }

    fn account(&self, policy: usize, need: NeedType) -> Entry {
        let mut sum = Entry::default();
        for cell in self.cells(|each| each == need) {
            let counted = self.counted[cell].clone();
            let share = 1.0 / (counted.len() * self.runs.len()) as f64;
            for run in &self.runs {
                let days = &run[policy][cell][counted.clone()];
                days.iter().for_each(|day| sum += day.scaled(share));
            }
        }
        sum
    }
}

/// The scenario with every policy; `[seed][policy]`.
struct Simulated {
    need: Vec<NeedType>,
    runs: Vec<Vec<Days>>,
}

impl Simulated {
    fn run(fitted: &Scenario, policies: &[FixedPolicy], options: AgreementOptions) -> Self {
        let settings: Vec<Setting> = seeds(options)
            .collect::<Vec<u64>>()
            .into_par_iter()
            .map(|seed| compare::setting(fitted, seed))
            .collect();
        let cells = settings[0].record.cells.iter();
        Self {
            need: cells.map(|cell| cell.need).collect(),
            runs: run_all(&settings, policies, &fitted.spec().name),
        }
    }

    /// One stratum; its units are worlds.
    fn side(&self, policies: &[usize], is_wanted: impl Fn(NeedType) -> bool) -> Option<Side> {
        if !self.need.iter().any(|&need| is_wanted(need)) {
            return None;
        }
        let costs = |&policy: &usize| {
            let world = |run: &Vec<Days>| self.world(&run[policy], &is_wanted).cost_usd;
            self.runs.iter().map(world).collect()
        };
        let values: Vec<Vec<f64>> = policies.iter().map(costs).collect();
        Some(Side::new(vec![Stratum::worlds(&values)]))
    }

    fn account(&self, policy: usize, need: NeedType) -> Entry {
        let mut sum = Entry::default();
        for run in &self.runs {
            let world = self.world(&run[policy], &|each| each == need);
            sum += world.scaled(1.0 / self.runs.len() as f64);
        }
        sum
    }

    /// A day of one world, a mean over its days.
    fn world(&self, days: &Days, is_wanted: &impl Fn(NeedType) -> bool) -> Entry {
        let mut sum = Entry::default();
        for (days, _) in days
            .iter()
            .zip(&self.need)
            .filter(|(_, need)| is_wanted(**need))
        {
            days.iter()
                .for_each(|day| sum += day.scaled(1.0 / days.len() as f64));
        }
        sum
    }
}

fn seeds(options: AgreementOptions) -> impl Iterator<Item = u64> {
    (0..u64::from(options.seeds)).map(move |index| SeedSet::Test.seed(options.seed, index))
}

/// Seed of the resamples of one scope of one history: no two share their luck.
fn stream(options: AgreementOptions, history: &str, scope: &str) -> u64 {
    let name = format!("{}/{history}/{scope}", options.seed);
    let hash = blake3::hash(name.as_bytes());
    let first = hash.as_bytes().first_chunk().expect("a hash has 32 bytes");
    u64::from_le_bytes(*first)
}

/// Every policy in every setting, side by side; results in order.
fn run_all(settings: &[Setting], policies: &[FixedPolicy], what: &str) -> Vec<Vec<Days>> {
    let progress = Progress::new(what, (settings.len() * policies.len()) as u64);
    settings
        .par_iter()
        .map(|setting| {
            let run = |policy: &FixedPolicy| {
                let days = books::keep(setting, &policy.arm);
                progress.step();
                days
            };
            policies.par_iter().map(run).collect()
        })
        .collect()
}

/// Costs of one side and its resamples.
struct Costs {
    means: Vec<f64>,
    resampled: Vec<Vec<f64>>,
}

impl Costs {
    fn new(side: &Side, seed: u64) -> Self {
        Self {
            means: side.means(),
            resampled: side.resampled(RESAMPLES, seed),
        }
    }

    /// -1 or 1 when the sign of the difference of two policies is sure, else 0.
    fn order(&self, a: usize, b: usize) -> i8 {
        let differences: Vec<f64> = self.resampled.iter().map(|c| c[a] - c[b]).collect();
        let (low, high) = (
            quantile(&differences, TAILS.0),
            quantile(&differences, TAILS.1),
        );
        i8::from(low > 0.0) - i8::from(high < 0.0)
    }

    fn standard_error(&self, policy: usize) -> f64 {
        let draws: Vec<f64> = self.resampled.iter().map(|costs| costs[policy]).collect();
        let center = mean(&draws);
        let squares: Vec<f64> = draws.iter().map(|x| (x - center).powi(2)).collect();
        mean(&squares).sqrt()
    }
}

/// Both sides of one scope.
struct Compared {
    recorded: Costs,
    simulated: Costs,
}

impl Compared {
    fn new(recorded: &Side, simulated: &Side, seed: u64) -> Self {
        Self {
            recorded: Costs::new(recorded, seed),
            // Another stream: the two sides share no luck.
            simulated: Costs::new(simulated, !seed),
        }
    }

    fn scope(&self, scope: String) -> ScopeAgreement {
        let both = self
            .recorded
            .resampled
            .iter()
            .zip(&self.simulated.resampled);
        let resampled: Vec<Pairs> = both
            .map(|(recorded, simulated)| Pairs::of(recorded, simulated))
            .collect();
        ScopeAgreement {
            scope,
            pairs: Pairs::of(&self.recorded.means, &self.simulated.means),
            decided: self.decided(),
            interval: interval(&resampled),
            resampled,
        }
    }

    fn decided(&self) -> Decided {
        let mut decided = Decided::default();
        for a in 0..self.recorded.means.len() {
            for b in 0..a {
                let orders = self.recorded.order(a, b) * self.simulated.order(a, b);
                decided.pairs += u64::from(orders != 0);
                decided.concordant += u64::from(orders > 0);
            }
        }
        decided
    }
}

#[cfg(test)]
mod tests {
    use prestage_world::to_history;

    use super::*;
    use crate::scenarios;

    fn demo(overrides: &[&str]) -> Scenario {
        let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
        scenarios::load("demo", &overrides).unwrap()
    }

    const OPTIONS: AgreementOptions = AgreementOptions {
        fit_share: 0.3,
        seeds: 2,
        seed: 1,
    };

    fn own_history(scenario: &Scenario) -> Agreement {
        let history = to_history(&Exogenous::generate(scenario, 7), "requests/s");
        agreement(&history, scenario, scenario, OPTIONS).unwrap()
    }

    fn scope<'a>(agreement: &'a Agreement, name: &str) -> &'a ScopeAgreement {
        let mut scopes = agreement.scopes.iter();
        scopes.find(|scope| scope.scope == name).unwrap()
    }

    /// The scenario that a history was recorded from is the best fit there is: where
    /// both sides are sure of an order, it must be the same one nearly always.
    #[test]
    fn a_scenario_agrees_with_its_own_history() {
        let own = own_history(&demo(&["days=9", "history_days=7", "services.count=2"]));
        assert_eq!(own.scopes.len(), 6);
        // Ten policies rank in need types without a size, twelve in the others.
        let within = scope(&own, WITHIN_NEEDS);
        assert_eq!(within.pairs.total(), 2 * 45 + 2 * 66);
        assert_eq!(own.accounts.len(), 2 * 10 + 2 * 12);
        let Decided { pairs, concordant } = within.decided;
        assert!(pairs >= 30, "{pairs} decided pairs test nothing");
        assert!(
            concordant * 10 >= pairs * 9,
            "{concordant} of {pairs} decided pairs agree"
        );
        let tau = within.pairs.tau_b().unwrap();
        // Undecided pairs count here too: two seeds put near ties in any order.
        assert!(tau > 0.4, "tau-b {tau}");
    }

    #[test]
    fn the_same_seed_gives_the_same_agreement_on_any_number_of_threads() {
        let scenario = demo(&["days=4", "history_days=2", "services.count=1"]);
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let found = pool.unwrap().install(|| own_history(&scenario));
            format!("{:?}", (found.scopes, found.accounts))
        };
        assert_eq!(on(1), on(2));
    }

    #[track_caller]
    fn world(recorded: [f64; 3], simulated: [f64; 3]) -> Agreement {
        let side = |costs: [f64; 3]| {
            let worlds: Vec<Vec<f64>> = costs.iter().map(|&cost| vec![cost; 4]).collect();
            Side::new(vec![Stratum::worlds(&worlds)])
        };
        let compared = Compared::new(&side(recorded), &side(simulated), 1);
        Agreement {
            history: "by hand".to_owned(),
            scopes: vec![compared.scope(TOTAL.to_owned())],
            accounts: Vec::new(),
        }
    }

    /// Without noise every pair is decided and the interval is a point.
    #[test]
    fn histories_are_pooled_by_pairs() {
        let same = world([1.0, 2.0, 3.0], [10.0, 20.0, 30.0]);
        let turned = world([1.0, 2.0, 3.0], [30.0, 20.0, 10.0]);
        let all = pooled(&[same.clone(), turned, same]);
        assert_eq!(all.len(), 1);
        let (pairs, decided) = (all[0].pairs, all[0].decided);
        assert_eq!((pairs.concordant, pairs.discordant), (6, 3));
        assert_eq!((decided.pairs, decided.concordant), (9, 6));
        let (low, high) = all[0].interval.unwrap();
        assert_eq!((low, high), (pairs.tau_b().unwrap(), 1.0 / 3.0));
    }

    /// A side that ties everything has neither a coefficient nor an interval.
    #[test]
    fn without_an_order_there_is_nothing_to_agree_on() {
        let none = world([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]);
        assert_eq!(none.scopes[0].pairs.tau_b(), None);
        assert_eq!(none.scopes[0].interval, None);
    }
}
