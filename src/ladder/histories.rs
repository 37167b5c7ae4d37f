//! The arms of one family on recorded histories: does the order that simulation gives hold there,
//! and is anything surely saved?
//!
//! Nothing is tuned on a history. The arms are those of a family's run folder, with the numbers
//! that were found in simulation; weeks are to a history what scenarios are to a family.
use std::path::Path;

use anyhow::{Context, Result, ensure};
use prestage_envs::clairvoyant;
use prestage_world::ReplayOptions;
use serde::{Deserialize, Serialize};

use super::{Ladder, static_first};
use crate::agreement::kendall::Pairs;
use crate::arms::{Class, class_of};
use crate::evaluation::Bounds;
use crate::progress::Progress;
use crate::replaying::{ArmResult, Replay, Target, prepare, replay, sweep, write_run};
use crate::scenarios;
use crate::statistics::holm;

/// Which histories an experiment replays, and with whose arms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplaySpec {
    /// Folders of histories, by name; where they lie is said on the command line.
    pub histories: Vec<String>,
    /// The family, with its variant, whose tuned arms are replayed.
    pub arms_of: String,
    /// Scenario that says what a history does not record: people, stages, runners, prices.
    #[serde(default = "replay_scenario")]
    pub scenario: String,
    /// Whether thresholds are moved too, to find the least waste at given hit rates.
    #[serde(default)]
    pub sweep: bool,
}

fn replay_scenario() -> String {
    "replay".to_owned()
}

/// The arms of a family on one history.
#[derive(Clone, Debug)]
pub struct OnHistory {
    /// What they did; the first is the static arm that the others are compared with.
    pub replay: Replay,
    /// What no arm can cost less than, US dollars.
    pub clairvoyant_usd: f64,
    /// Of no difference from the first arm, corrected for all arms and histories; in arm order.
    pub p_holm: Vec<Option<f64>>,
    /// Kendall's tau-b between the order by cost in the family and here; none where either ties
    /// everything.
    pub tau_b: Option<f64>,
}

impl ReplaySpec {
    /// Whether all histories lie in `directory`: asked before hours of tuning.
    ///
    /// # Errors
    /// When one does not, by name.
    pub fn find_in(&self, directory: &Path) -> Result<()> {
        for name in &self.histories {
            let path = directory.join(name);
            ensure!(
                path.is_dir(),
                "`replay.histories` names `{name}`, but there is no folder `{}`\n\nhint: --histories DIR says where they lie",
                path.display()
            );
        }
        Ok(())
    }
}

impl OnHistory {
    /// The arm that the others are compared with.
    pub fn fixed(&self) -> &ArmResult {
        &self.replay.arms[0]
    }

    /// The share of the first arm's cost that an arm saves; none for that arm itself. Where there
    /// is no interval both of its ends are the estimate.
    pub fn saved(&self, arm: &ArmResult) -> Option<Bounds> {
        let difference = arm.difference?;
        let point = self.share(arm.total.cost_usd);
        Some(difference.saved_share.unwrap_or(point))
    }

    /// The adaptive rule that cost least here; it was not chosen beforehand, so that it looks
    /// better than it is.
    pub fn cheapest_rule(&self) -> Option<&ArmResult> {
        let arms = self.replay.arms.iter();
        arms.filter(|arm| class_of(&arm.arm) == Some(Class::Adaptive))
            .min_by(|a, b| a.total.cost_usd.total_cmp(&b.total.cost_usd))
    }

    /// The share of the first arm's cost between it and the clairvoyant bound.
    pub fn to_the_bound(&self) -> Bounds {
        self.share(self.clairvoyant_usd)
    }

    fn share(&self, usd: f64) -> Bounds {
        let fixed = self.fixed().total.cost_usd;
        let share = if fixed > 0.0 { 1.0 - usd / fixed } else { 0.0 };
        Bounds {
            mean: share,
            low: share,
            high: share,
        }
    }
}

/// Replays the histories that lie in `directory` with the arms of a family, whose ladder this is, and
/// writes a run folder for each beside those of the families.
///
/// # Errors
/// When a history is not there or is wrong, or `out` cannot be written.
pub fn on_histories(
    out: &Path,
    spec: &ReplaySpec,
    directory: &Path,
    ladder: &Ladder,
    (seed, command): (u64, &str),
) -> Result<Vec<OnHistory>> {
    spec.find_in(directory)?;
    let scenario = scenarios::load(&spec.scenario, &[])?;
    let contestants = static_first(&out.join(&spec.arms_of))?;
    let one = |name: &String| -> Result<OnHistory> {
        let path = directory.join(name);
        let prepared = prepare(&path, &scenario, ReplayOptions::default(), seed)?;
        for note in &prepared.unused {
            eprintln!("{name}: not replayed: {note}");
        }
        let setting = &prepared.setting;
        let progress = Progress::new("replay", contestants.len() as u64);
        let mut replayed = replay(setting, &contestants, &Target::Memory, &progress)?;
        // What a history says of its name need not be unique.
        replayed.replay.history.clone_from(name);
        if spec.sweep {
            sweep(setting, &contestants, &mut replayed.replay);
        }
        let folder = out.join(name);
        write_run(&folder, setting, &contestants, &replayed, command)
            .with_context(|| format!("cannot write `{}`", folder.display()))?;
        let bound = clairvoyant(setting);
        let replay = replayed.replay;
        Ok(OnHistory {
            clairvoyant_usd: bound.cells.iter().map(|cell| cell.cost.total()).sum(),
            p_holm: Vec::new(),
            tau_b: tau_b(ladder, &replay),
            replay,
        })
    };
    let mut found: Vec<OnHistory> = spec.histories.iter().map(one).collect::<Result<_>>()?;
    correct(&mut found);
    Ok(found)
}

/// Fills in the p-values corrected for all arms and histories.
fn correct(found: &mut [OnHistory]) {
    let p_value = |arm: &ArmResult| arm.difference.and_then(|difference| difference.p_value);
    let arms = found.iter().flat_map(|one| &one.replay.arms);
    let p_values: Vec<f64> = arms.filter_map(p_value).collect();
    let mut corrected = holm(&p_values).into_iter();
    for one in found {
        let arms = one.replay.arms.iter();
        one.p_holm = arms
            .map(|arm| p_value(arm).and_then(|_| corrected.next()))
            .collect();
    }
}

/// How far the arms that both have are ordered alike by cost.
fn tau_b(ladder: &Ladder, replay: &Replay) -> Option<f64> {
    let both = replay.arms.iter().filter_map(|arm| {
        let rung = ladder.rungs.iter().find(|rung| rung.arm == arm.arm)?;
        Some((rung.cost_usd, arm.total.cost_usd))
    });
    let (simulated, replayed): (Vec<f64>, Vec<f64>) = both.unzip();
    Pairs::of(&simulated, &replayed).tau_b()
}
