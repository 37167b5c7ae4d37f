//! The search of one channel at one level: exhaustive constants, then constants a kind of hour.
use std::collections::BTreeMap;

use prestage_controller::{Arm, KNOBS, Knob, KnobCenters, NeedType, baseline};
use prestage_envs::{Purpose, Seed, Setting, Tuning, run_arm};
use prestage_world::Scenario;
use rayon::prelude::*;

use super::told::{Kinds, Levels, Told};
use super::{Channel, Past, Rival};
use crate::compare::setting;
use crate::statistics::mean;

/// Probabilities that the rule with one for all is tried at.
const PROBABILITIES: [f64; 7] = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64];
/// How often each kind of hour has its constants chosen anew.
const PASSES: usize = 2;
/// Standard errors that count as sure.
const SURE: f64 = 3.0;

/// How many scenarios choose and confirm, and on which a result is judged.
pub struct Seeds<P> {
    /// Choose the constants.
    pub choose: Vec<Seed<Tuning>>,
    /// Fresh ones, which must confirm that the told rule saves.
    pub confirm: Vec<Seed<Tuning>>,
    /// What is reported.
    pub judge: Vec<Seed<P>>,
}

impl<P: Purpose> Seeds<P> {
    /// So many to choose on, twice as many to confirm on, and so many to judge on.
    pub fn new(base: u64, choosing: usize, judging: usize) -> Self {
        Self {
            choose: Seed::several(base, 0, choosing),
            confirm: Seed::several(base, choosing as u64, 2 * choosing),
            judge: Seed::several(base, 0, judging),
        }
    }
}

/// What a channel is worth at a level of its dial.
#[derive(Clone, Debug)]
pub struct Found {
    /// Cost of the best constants on each judging seed, US dollars.
    pub fixed: Vec<f64>,
    /// Cost of the rule that knows.
    pub told: Vec<f64>,
    /// The constants, and what the rule that knows does, in words.
    pub rules: [String; 2],
}

impl Found {
    /// What knowing saves, as a share of the cost of the best constants, and its standard error.
    pub fn headroom(&self) -> (f64, f64) {
        let (saved, error) = saved(&self.fixed, &self.told);
        let cost = mean(&self.fixed);
        (saved / cost, error / cost)
    }
}

/// Searches a channel in one of its worlds.
pub fn find<P: Purpose>(channel: &Channel, scenario: &Scenario, seeds: &Seeds<P>) -> Found {
    let mut choosing = Bench::new(channel, scenario, &seeds.choose);
    let fixed = choosing.cheapest(channel.constants());
    let told = match &channel.rival {
        Rival::Formula => choosing.cheapest(channel.grid()),
        Rival::Told(circumstance) => choosing.descend(&fixed, circumstance.kinds.len(), channel),
    };
    let mut confirming = Bench::new(channel, scenario, &seeds.confirm);
    let confirmed = confirming.costs(&[fixed.clone(), told.clone()]);
    let (mean_saved, error) = saved(&confirmed[0], &confirmed[1]);
    let told = if mean_saved > SURE * error {
        told
    } else {
        fixed.clone()
    };
    let mut judging = Bench::new(channel, scenario, &seeds.judge);
    let [fixed_usd, told_usd] = judging
        .costs(&[fixed.clone(), told.clone()])
        .try_into()
        .expect("a cost for each of two rules");
    Found {
        fixed: fixed_usd,
        told: told_usd,
        rules: [channel.words(&fixed), channel.words(&told)],
    }
}

/// A rule that is tried.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    /// Levels, by kind of hour.
    by_kind: Vec<Levels>,
    /// Index of the probability that stands in for forecast and prices.
    probability: Option<usize>,
}

impl Channel {
    /// Rules that know nothing.
    fn constants(&self) -> Vec<Candidate> {
        match self.rival {
            Rival::Told(_) => self.grid(),
            Rival::Formula => self.probabilities(),
        }
    }

    /// One set of levels for all hours.
    fn grid(&self) -> Vec<Candidate> {
        let constant = |levels: Levels| Candidate {
            by_kind: vec![levels; self.kinds()],
            probability: None,
        };
        self.levels().into_iter().map(constant).collect()
    }

    /// The fixed probabilities with the grid's other knobs.
    fn probabilities(&self) -> Vec<Candidate> {
        let mut all = Vec::new();
        for mut candidate in self.grid() {
            candidate.by_kind[0][Knob::Threshold as usize] = 0;
            for index in 0..PROBABILITIES.len() {
                candidate.probability = Some(index);
                all.push(candidate.clone());
            }
        }
        all.sort();
        all.dedup();
        all
    }

    fn kinds(&self) -> usize {
        match &self.rival {
            Rival::Told(circumstance) => circumstance.kinds.len(),
            Rival::Formula => 1,
        }
    }

    /// All points of the grid.
    fn levels(&self) -> Vec<Levels> {
        let mut all = vec![[0; KNOBS.len()]];
        for &(knob, levels) in self.grid {
            all = all
                .into_iter()
                .flat_map(|point| {
                    levels.iter().map(move |&level| {
                        let mut point = point;
                        point[knob as usize] = level;
                        point
                    })
                })
                .collect();
        }
        all
    }

    fn arm(&self, candidate: &Candidate) -> Arm {
        let centers = KnobCenters::default().with_threshold(self.center);
        match candidate.probability {
            None => Arm::at(self.name, centers),
            Some(index) => {
                let entry = baseline("speculation-threshold").expect("the baseline ships");
                let values = NeedType::ALL.map(|_| vec![PROBABILITIES[index]]);
                Arm {
                    rule: entry.arm_with(&centers, &values).rule,
                    ..Arm::at(self.name, centers)
                }
            }
        }
    }

    fn words(&self, candidate: &Candidate) -> String {
        let knobs = |levels: &Levels| {
            let of_knob = |&(knob, _): &(Knob, _)| {
                let level = levels[knob as usize];
                match (knob, candidate.probability) {
                    (Knob::Threshold, Some(index)) => {
                        format!("probability {}", PROBABILITIES[index])
                    }
                    _ => format!("{} {level:+}", knob.name()),
                }
            };
            self.grid.iter().map(of_knob).collect::<Vec<_>>().join(" ")
        };
        let by_kind = &candidate.by_kind;
        match &self.rival {
            Rival::Told(circumstance) if by_kind.iter().any(|levels| *levels != by_kind[0]) => {
                let kinds = circumstance.kinds.iter().zip(by_kind);
                let words: Vec<String> = kinds
                    .map(|(kind, levels)| format!("{kind}: {}", knobs(levels)))
                    .collect();
                words.join("; ")
            }
            _ => knobs(&by_kind[0]),
        }
    }
}

/// Worlds of some seeds, and what has been run on them.
struct Bench<'a> {
    channel: &'a Channel,
    worlds: Vec<(Setting, Kinds)>,
    known: BTreeMap<Candidate, Vec<f64>>,
}

impl<'a> Bench<'a> {
    fn new<P: Purpose>(channel: &'a Channel, scenario: &Scenario, seeds: &[Seed<P>]) -> Self {
        let world = |seed: &Seed<P>| {
            let setting = setting(scenario, seed.value());
            let past = Past {
                scenario,
                record: &setting.record,
                seed: seed.value(),
            };
            let kind_of = match &channel.rival {
                Rival::Told(circumstance) => (circumstance.of)(&past),
                Rival::Formula => Box::new(|_: &_, _| 0),
            };
            let kinds = Kinds::new(&setting.record, &kind_of);
            (setting, kinds)
        };
        Self {
            channel,
            worlds: seeds.par_iter().map(world).collect(),
            known: BTreeMap::new(),
        }
    }

    /// The cost of each candidate on each seed.
    fn costs(&mut self, candidates: &[Candidate]) -> Vec<Vec<f64>> {
        let mut new: Vec<&Candidate> = candidates
            .iter()
            .filter(|candidate| !self.known.contains_key(candidate))
            .collect();
        new.sort();
        new.dedup();
        let jobs: Vec<(usize, usize)> = (0..new.len())
            .flat_map(|index| (0..self.worlds.len()).map(move |world| (index, world)))
            .collect();
        let run = |&(index, world): &(usize, usize)| {
            let (setting, kinds) = &self.worlds[world];
            let candidate: &Candidate = new[index];
            let mut policy = Told::new(kinds, &candidate.by_kind);
            run_arm(setting, &self.channel.arm(candidate), &mut policy).cost_usd()
        };
        let costs: Vec<f64> = jobs.par_iter().map(run).collect();
        for (candidate, costs) in new.into_iter().zip(costs.chunks_exact(self.worlds.len())) {
            self.known.insert(candidate.clone(), costs.to_vec());
        }
        candidates
            .iter()
            .map(|candidate| self.known[candidate].clone())
            .collect()
    }

    /// The first of the cheapest.
    fn cheapest(&mut self, mut candidates: Vec<Candidate>) -> Candidate {
        let costs = self.costs(&candidates);
        let best = (0..costs.len()).min_by(|&a, &b| mean(&costs[a]).total_cmp(&mean(&costs[b])));
        candidates.swap_remove(best.expect("a grid has points"))
    }

    /// Chooses the constants of one kind of hour after the other, beginning with `from` for all.
    fn descend(&mut self, from: &Candidate, kinds: usize, channel: &Channel) -> Candidate {
        let mut best = from.clone();
        for _ in 0..PASSES {
            for kind in 0..kinds {
                if !self.worlds.iter().any(|(_, kinds)| kinds.has(kind as u8)) {
                    continue;
                }
                // The present choice comes first, so that it stays where nothing is cheaper.
                let mut tried = vec![best.clone()];
                for levels in channel.levels() {
                    let mut candidate = best.clone();
                    candidate.by_kind[kind] = levels;
                    tried.push(candidate);
                }
                best = self.cheapest(tried);
            }
        }
        best
    }
}

/// The mean of `from` minus `to`, and its standard error.
fn saved(from: &[f64], to: &[f64]) -> (f64, f64) {
    let pairs: Vec<f64> = from.iter().zip(to).map(|(from, to)| from - to).collect();
    let (count, mean) = (pairs.len() as f64, mean(&pairs));
    let squares: f64 = pairs.iter().map(|pair| (pair - mean).powi(2)).sum();
    (mean, (squares / (count - 1.0) / count).sqrt())
}
