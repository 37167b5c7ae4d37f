//! Headroom against a dial: what one gains by knowing the circumstance that the dial opens.
//!
//! ```text
//! channel (world, dial, circumstance) + level --> S: best of a grid of constants      \
//!                                             --> P: best of the grid per circumstance / on tuning seeds
//! P stays only where it surely saves on fresh tuning seeds --> (S - P) / S on judging seeds
//! ```
//! Each channel has a small world of its own, because each needs something to trade: held
//! stages cost, and the constant that is best in one circumstance is wrong in the other. The
//! search is exhaustive where the arms of the ladder search at random, so a channel that shows
//! nothing here has nothing, and is not merely unfound. Must not know files or figures.
mod channels;
mod search;
mod told;

pub use channels::CHANNELS;
pub use search::{Found, Seeds, find};

use prestage_controller::{CellSpec, Knob};
use prestage_des::SimTime;
use prestage_world::{Exogenous, Scenario};
use serde::Serialize;

use crate::scenarios;
use crate::statistics::{Bootstrap, Grid, mean};

/// One dial, a world in which it matters, and what there is to know.
pub struct Channel {
    /// Name in tables.
    pub name: &'static str,
    /// Key of the dial in `[dials]`.
    pub dial: &'static str,
    /// Level of the dial that counts as 1.
    pub full: f64,
    /// One sentence: the world, and why knowing pays.
    pub about: &'static str,
    /// Overrides of `stationary` that make the world.
    pub world: &'static [&'static str],
    /// Log-odds about which the grid's thresholds lie.
    pub center: f64,
    /// The grid: levels that are tried, knob by knob, around the usual centres.
    pub grid: &'static [(Knob, &'static [i8])],
    /// What the constants are compared with.
    pub rival: Rival,
}

/// Who gains by knowing.
pub enum Rival {
    /// Constants for each circumstance, against one set of constants.
    Told(Circumstance),
    /// One set of constants over the newsvendor's formula, against one probability for all.
    Formula,
}

/// Kinds of hours that a rule is told apart.
pub struct Circumstance {
    /// What they are; kind 0 is "otherwise".
    pub kinds: &'static [&'static str],
    /// Tells the kind of an hour of a cell, by what has happened until then.
    pub of: fn(&Past) -> KindOf,
}

/// Tells the kind of an hour of a cell.
pub type KindOf = Box<dyn Fn(&CellSpec, SimTime) -> u8>;

/// A line of the table: a channel at one level of its dial.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Name of the channel.
    pub channel: &'static str,
    /// Key of the dial.
    pub dial: &'static str,
    /// Level of the dial over its full level.
    pub share: f64,
    /// Level of the dial.
    pub level: f64,
    /// Scenarios that it was judged on.
    pub scenarios: usize,
    /// Cost of the best constants, US dollars a scenario.
    pub fixed_usd: f64,
    /// Cost of the rule that knows.
    pub told_usd: f64,
    /// Share of the constants' cost that knowing saves.
    pub headroom: f64,
    /// Lower end of its 95 % interval.
    pub headroom_low: f64,
    /// Upper end.
    pub headroom_high: f64,
    /// The constants.
    pub fixed_rule: String,
    /// What the rule that knows does.
    pub told_rule: String,
}

/// What a circumstance is read from.
pub struct Past<'a> {
    /// The world.
    pub scenario: &'a Scenario,
    /// Everything that happens by itself; what lies ahead of an hour is not to be read.
    pub record: &'a Exogenous,
    /// The seed that made it.
    pub seed: u64,
}

impl Channel {
    /// What was found with the dial at a share of its full level, with its interval.
    ///
    /// # Panics
    /// When it was judged on fewer than two scenarios.
    pub fn row(&self, share: f64, found: Found) -> Row {
        let scenarios = found.fixed.len();
        let grids = [&found.fixed, &found.told].map(|usd| Grid::new(scenarios, usd.clone()));
        let interval = Bootstrap::new(1)
            .of([&grids[0], &grids[1]], |[fixed, told]| {
                (fixed - told) / fixed
            })
            .expect("several scenarios have an interval");
        let [fixed_rule, told_rule] = found.rules;
        Row {
            channel: self.name,
            dial: self.dial,
            share,
            level: share * self.full,
            scenarios,
            fixed_usd: mean(&found.fixed),
            told_usd: mean(&found.told),
            headroom: interval.estimate,
            headroom_low: interval.lower,
            headroom_high: interval.upper,
            fixed_rule,
            told_rule,
        }
    }

    /// Its world with the dial at a share of its full level.
    ///
    /// # Panics
    /// When the world does not load: that is a bug of the channel.
    pub fn scenario(&self, share: f64) -> Scenario {
        let dial = format!("dials.{}={}", self.dial, share * self.full);
        let overrides: Vec<String> = self
            .world
            .iter()
            .map(|&one| one.to_owned())
            .chain([dial])
            .collect();
        scenarios::load("stationary", &overrides)
            .unwrap_or_else(|error| panic!("channel `{}`: {error:#}", self.name))
    }
}
