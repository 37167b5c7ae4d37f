//! What a run may ship: its learnt policy only where it surely beats the best simpler rule.
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::climb::{Candidate, Candidates, cheapest};
use super::rungs::{costs_of, grid};
use crate::arms::{ARMS, Class};
use crate::compare::{Contestant, POLICY, STATIC_TUNED};
use crate::config::RunConfig;
use crate::evaluation::{Bounds, tuned_arms};
use crate::run_folder::{self, ResultRow};
use crate::statistics::{Bootstrap, Interval};

/// The decision rule of an export, and what it rests on; carried in the artifact.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Decision {
    /// What ships: `policy`, or the static arm.
    pub ships: String,
    /// The constant knobs that cost least on the validation seeds.
    pub static_arm: String,
    /// Of the static and the adaptive arms that were tuned, the one that cost least there.
    pub rival: String,
    /// The arms that it was chosen from.
    pub rivals: Vec<String>,
    /// Test scenarios behind `edge`.
    pub scenarios: usize,
    /// Training seeds behind `edge`; none where nothing was learnt.
    pub train_seeds: usize,
    /// The rival, or the static arm where the policy is less surely cheaper than that: validation
    /// seeds may choose a rival that is dearer on the test scenarios.
    pub against: Option<String>,
    /// Share of the static arm's cost that the policy saves against it: (A - R) / S.
    pub edge: Option<Bounds>,
    /// One sentence.
    pub verdict: String,
}

/// What a run may ship, and the knobs of its static arm.
pub struct Shipment {
    /// The decision.
    pub decision: Decision,
    /// The static arm.
    pub fixed: Contestant,
}

/// Decides what a run may ship. The rival is chosen on validation seeds, which are run now
/// where the folder lacks their costs; the edge is read from `results.csv`.
///
/// # Errors
/// When the run is not tuned, or a policy was learnt and is not evaluated with all arms.
pub fn shipment(run: &Path, config: &RunConfig) -> Result<Shipment> {
    let candidates = Candidates {
        run,
        config,
        all: candidates(run)?,
    };
    let validated = candidates.validated()?;
    let candidates = candidates.all;
    let of_class = |class| cheapest(&validated, &candidates, class);
    let static_arm = of_class(Class::Static).context("the static policy is a candidate")?;
    let rival = match of_class(Class::Adaptive) {
        Some(adaptive) if validated.usd[&adaptive] < validated.usd[&static_arm] => adaptive,
        _ => static_arm.clone(),
    };
    let rivals = candidates.iter().map(|(entry, _)| entry.name.to_owned());
    let rows = match run.join(run_folder::RESULTS).exists() {
        true => run_folder::read_results(run)?,
        false => Vec::new(),
    };
    let edge = narrowest(&rows, [&static_arm, &rival], config.seed)?;
    let fixed = candidates
        .iter()
        .find(|(entry, _)| entry.name == static_arm)
        .map(|(_, contestant)| contestant.clone())
        .context("the static arm is a candidate")?;
    let (ships, verdict) = judge(edge.as_ref(), &static_arm);
    let decision = Decision {
        ships,
        rivals: rivals.collect(),
        scenarios: edge.as_ref().map_or(0, |edge| edge.scenarios),
        train_seeds: edge.as_ref().map_or(0, |edge| edge.train_seeds),
        against: edge.as_ref().map(|edge| edge.against.clone()),
        edge: edge.map(|edge| edge.share.into()),
        static_arm,
        rival,
        verdict,
    };
    Ok(Shipment { decision, fixed })
}

/// The static arm of a run that cost least on its validation seeds; the first one where they
/// were not run.
///
/// # Errors
/// When the run is not tuned, or a file is of another run.
pub fn best_static(run: &Path) -> Result<String> {
    let candidates = Candidates {
        run,
        config: &RunConfig::read(run)?,
        all: candidates(run)?,
    };
    let found = cheapest(&candidates.known()?, &candidates.all, Class::Static);
    Ok(found.unwrap_or_else(|| STATIC_TUNED.to_owned()))
}

/// The arms of a run, [`best_static`] first: what a replay compares the others with.
///
/// # Errors
/// When the run is not tuned, or a file is of another run.
pub fn static_first(run: &Path) -> Result<Vec<Contestant>> {
    let fixed = best_static(run)?;
    let mut contestants = tuned_arms(run)?;
    contestants.sort_by_key(|contestant| contestant.arm.name != fixed);
    Ok(contestants)
}

/// The static and adaptive arms that the run has numbers for.
fn candidates(run: &Path) -> Result<Vec<Candidate>> {
    let arms = tuned_arms(run)?;
    let is_rival = |class| [Class::Static, Class::Adaptive].contains(&class);
    let with_entry = |contestant: Contestant| {
        let entry = ARMS
            .iter()
            .find(|entry| entry.name == contestant.arm.name && is_rival(entry.class))?;
        Some((entry, contestant))
    };
    Ok(arms.into_iter().filter_map(with_entry).collect())
}

struct Edge {
    against: String,
    share: Interval,
    scenarios: usize,
    train_seeds: usize,
}

/// The less sure one of the policy's edges over the static arm and over the rival; none when
/// nothing was learnt.
fn narrowest(rows: &[ResultRow], [fixed, rival]: [&str; 2], seed: u64) -> Result<Option<Edge>> {
    let over_rival = edge(rows, [fixed, rival], seed)?;
    let over_fixed = edge(rows, [fixed, fixed], seed)?;
    let both = over_rival.into_iter().chain(over_fixed);
    Ok(both.min_by(|a, b| a.share.lower.total_cmp(&b.share.lower)))
}

/// (A - R) / S over all training seeds; none when nothing was learnt.
fn edge(rows: &[ResultRow], [fixed, rival]: [&str; 2], seed: u64) -> Result<Option<Edge>> {
    let Some(policy) = grid(&costs_of(rows, POLICY)) else {
        return Ok(None);
    };
    let costs = |arm: &str| {
        grid(&costs_of(rows, arm)).with_context(|| {
            format!(
                "`results.csv` has no `{arm}`\n\nhint: evaluate the run again: `prestage eval RUN`"
            )
        })
    };
    let against = rival.to_owned();
    let (fixed, rival) = (costs(fixed)?, costs(rival)?);
    for other in [&fixed, &rival] {
        ensure!(
            other.scenarios() == policy.scenarios(),
            "`results.csv` compares arms on different scenarios\n\nhint: evaluate the run again: `prestage eval RUN`"
        );
    }
    let bootstrap = Bootstrap::new(seed);
    let share = bootstrap
        .of([&fixed, &rival, &policy], |[fixed, rival, policy]| {
            (rival - policy) / fixed
        })
        .context("one scenario and one training seed give no interval: evaluate on more")?;
    Ok(Some(Edge {
        against,
        share,
        scenarios: policy.scenarios(),
        train_seeds: policy.training_seeds(),
    }))
}

/// What ships, and why.
fn judge(edge: Option<&Edge>, fixed: &str) -> (String, String) {
    let Some(Edge {
        share,
        against: rival,
        ..
    }) = edge
    else {
        return (
            fixed.to_owned(),
            format!("nothing was learnt: `{fixed}` ships"),
        );
    };
    let shown = format!(
        "{:.1} % [{:.1}, {:.1}]",
        100.0 * share.estimate,
        100.0 * share.lower,
        100.0 * share.upper
    );
    if share.lower > 0.0 {
        let verdict =
            format!("the policy surely beats `{rival}`: it saves {shown} of the static cost");
        return (POLICY.to_owned(), verdict);
    }
    let verdict = format!(
        "the policy does not surely beat `{rival}` (it saves {shown} of the static cost): `{fixed}` ships"
    );
    (fixed.to_owned(), verdict)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(arm: &str, train_seed: Option<u64>, scenario_seed: u64, cost_usd: f64) -> ResultRow {
        ResultRow {
            arm: arm.to_owned(),
            train_seed,
            scenario_seed,
            cost_usd,
            ..ResultRow::default()
        }
    }

    fn rows(policy: [f64; 4]) -> Vec<ResultRow> {
        vec![
            row(STATIC_TUNED, None, 1, 100.0),
            row(STATIC_TUNED, None, 2, 300.0),
            row("linear", None, 1, 90.0),
            row("linear", None, 2, 270.0),
            row(POLICY, Some(0), 1, policy[0]),
            row(POLICY, Some(0), 2, policy[1]),
            row(POLICY, Some(1), 1, policy[2]),
            row(POLICY, Some(1), 2, policy[3]),
        ]
    }

    #[track_caller]
    fn check(policy: [f64; 4], rival: &str, ships: &str, share: f64) {
        let edge = edge(&rows(policy), [STATIC_TUNED, rival], 1)
            .unwrap()
            .unwrap();
        assert!(
            (edge.share.estimate - share).abs() < 1e-12,
            "{:?}",
            edge.share
        );
        assert_eq!((edge.scenarios, edge.train_seeds), (2, 2));
        assert_eq!(judge(Some(&edge), STATIC_TUNED).0, ships);
    }

    #[test]
    fn a_policy_ships_only_where_it_surely_beats_the_best_rule() {
        // A tenth cheaper than static everywhere, and as cheap as the linear rule.
        let policy = [90.0, 270.0, 90.0, 270.0];
        check(policy, STATIC_TUNED, POLICY, 0.1);
        check(policy, "linear", STATIC_TUNED, 0.0);
        // Cheaper on the mean of seeds, dearer for one: not sure.
        check([60.0, 200.0, 110.0, 310.0], "linear", STATIC_TUNED, 0.05);
        check([80.0, 240.0, 80.0, 240.0], "linear", POLICY, 0.1);
    }

    /// The rival was luckier than static on validation seeds and is dearer on these.
    #[test]
    fn a_policy_that_is_no_better_than_static_does_not_ship_over_a_worse_rival() {
        let mut rows = rows([100.0, 300.0, 100.0, 300.0]);
        rows.push(row("recalibration", None, 1, 110.0));
        rows.push(row("recalibration", None, 2, 330.0));
        let found = narrowest(&rows, [STATIC_TUNED, "recalibration"], 1)
            .unwrap()
            .unwrap();
        assert_eq!(found.against, STATIC_TUNED);
        assert_eq!(judge(Some(&found), STATIC_TUNED).0, STATIC_TUNED);
        let found = narrowest(&rows, [STATIC_TUNED, "linear"], 1)
            .unwrap()
            .unwrap();
        assert_eq!(found.against, "linear");
    }

    #[test]
    fn without_a_learnt_policy_the_static_one_ships() {
        let rows: Vec<ResultRow> = rows([1.0; 4])
            .into_iter()
            .filter(|row| row.arm != POLICY)
            .collect();
        assert!(edge(&rows, [STATIC_TUNED, "linear"], 1).unwrap().is_none());
        let (ships, verdict) = judge(None, "static-retuned");
        assert_eq!(ships, "static-retuned");
        assert!(verdict.contains("nothing was learnt"));
    }

    #[test]
    fn arms_on_other_scenarios_are_refused() {
        let mut rows = rows([1.0; 4]);
        rows.push(row("linear", None, 3, 5.0));
        let error = edge(&rows, [STATIC_TUNED, "linear"], 1).err().unwrap();
        assert!(error.to_string().contains("different scenarios"), "{error}");
        let error = edge(&rows, [STATIC_TUNED, "recalibration"], 1)
            .err()
            .unwrap();
        assert!(error.to_string().contains("`recalibration`"), "{error}");
    }
}
