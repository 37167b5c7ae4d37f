//! The ladder as tables: one row an arm and family, and one a family.
use anyhow::Result;
use serde::Serialize;

use super::{CLAIRVOYANT, Headroom, Ladder, OnHistory, Overall, Repriced, Rung};
use crate::arms::{Class, class_of};
use crate::output::{Cell, Table};
use crate::replaying::{Account, ArmResult};
use crate::run_folder::csv_bytes;

/// A row of `ladder.csv`.
#[derive(Serialize)]
struct LadderRow<'a> {
    family: &'a str,
    arm: &'a str,
    class: &'a str,
    scenarios: usize,
    cost_usd_per_day: f64,
    saved_share: Option<f64>,
    saved_low: Option<f64>,
    saved_high: Option<f64>,
    p_value: Option<f64>,
    p_holm: Option<f64>,
    wins: Option<f64>,
    needs_per_day: f64,
    hits_per_day: f64,
    waste_per_day: f64,
    blocked_minutes_per_day: f64,
    slo_violation_minutes_per_day: f64,
    runner_minutes_per_day: f64,
    idle_stage_hours_per_day: f64,
    exposure_usd_per_day: f64,
    exposure_days_per_day: f64,
    regret_usd_per_day: Option<f64>,
}

/// A row of `prices.csv`: amounts in US dollars a day.
#[derive(Serialize)]
struct PricesRow<'a> {
    family: &'a str,
    arm: &'a str,
    price_book: &'a str,
    cost_usd: f64,
    slo_violation_usd: f64,
    blocked_usd: f64,
    runner_usd: f64,
    over_provision_usd: f64,
    exposure_usd: f64,
    churn_usd: f64,
    saved_share: Option<f64>,
    saved_low: Option<f64>,
    saved_high: Option<f64>,
}

/// A row of `headroom.csv`.
#[derive(Serialize)]
struct HeadroomRow<'a> {
    family: &'a str,
    scenarios: usize,
    static_arm: &'a str,
    static_usd: f64,
    adaptive_arm: &'a str,
    adaptive_usd: Option<f64>,
    privileged_usd: f64,
    privileged_fell_back: bool,
    clairvoyant_usd: Option<f64>,
    penalized_usd: Option<f64>,
    headroom: f64,
    headroom_low: f64,
    headroom_high: f64,
    adaptive_saves: Option<f64>,
    adaptive_saves_low: Option<f64>,
    adaptive_saves_high: Option<f64>,
    verdict: &'a str,
}

/// A row of `overall.csv`.
#[derive(Serialize)]
struct OverallRow<'a> {
    arm: &'a str,
    score_iqm: f64,
    optimality_gap: f64,
    share_within_a_fifth: f64,
    share_cheaper: f64,
    share_cheaper_by_2_percent: f64,
    probability_of_improvement: f64,
}

/// A row of `histories.csv`; of the bound only its cost.
#[derive(Default, Serialize)]
struct HistoryRow<'a> {
    history: &'a str,
    days: f64,
    arm: &'a str,
    class: &'a str,
    cost_usd: f64,
    vs_static_usd: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
    saved_share: Option<f64>,
    saved_low: Option<f64>,
    saved_high: Option<f64>,
    p_value: Option<f64>,
    p_holm: Option<f64>,
    needs: Option<u64>,
    hits: Option<u64>,
    misses: Option<u64>,
    waste: Option<u64>,
    blocked_minutes: Option<f64>,
    slo_violation_minutes: Option<f64>,
    runner_minutes: Option<f64>,
    exposure_days: Option<f64>,
}

/// A row of `hit-rates.csv`.
#[derive(Serialize)]
struct HitRateRow<'a> {
    history: &'a str,
    need: &'a str,
    arm: &'a str,
    hit_rate: f64,
    waste: Option<f64>,
}

/// A row of `orders.csv`.
#[derive(Serialize)]
struct OrderRow<'a> {
    history: &'a str,
    days: f64,
    arms: usize,
    tau_b: Option<f64>,
}

/// `overall.csv`.
pub fn overall_csv(arms: &[Overall]) -> Result<Vec<u8>> {
    let rows: Vec<OverallRow<'_>> = arms
        .iter()
        .map(|one| OverallRow {
            arm: &one.arm,
            score_iqm: one.score_iqm,
            optimality_gap: one.optimality_gap,
            share_within_a_fifth: one.profile[0],
            share_cheaper: one.profile[1],
            share_cheaper_by_2_percent: one.profile[2],
            probability_of_improvement: one.improvement,
        })
        .collect();
    csv_bytes(&rows)
}

/// `ladder.csv`.
pub fn ladder_csv(ladders: &[Ladder]) -> Result<Vec<u8>> {
    let rows: Vec<LadderRow<'_>> = ladders
        .iter()
        .flat_map(|ladder| ladder.rungs.iter().map(|rung| row(ladder, rung)))
        .collect();
    csv_bytes(&rows)
}

fn row<'a>(ladder: &'a Ladder, rung: &'a Rung) -> LadderRow<'a> {
    LadderRow {
        family: &ladder.family,
        arm: &rung.arm,
        class: rung.class.map_or("", |class| class.name()),
        scenarios: ladder.scenarios,
        cost_usd_per_day: rung.cost_usd_per_day,
        saved_share: rung.saved.map(|saved| saved.estimate),
        saved_low: rung.saved.map(|saved| saved.lower),
        saved_high: rung.saved.map(|saved| saved.upper),
        p_value: rung.p_value,
        p_holm: rung.p_holm,
        wins: rung.wins,
        needs_per_day: rung.totals.needs,
        hits_per_day: rung.totals.hits,
        waste_per_day: rung.totals.waste,
        blocked_minutes_per_day: rung.totals.blocked_minutes,
        slo_violation_minutes_per_day: rung.totals.slo_violation_minutes,
        runner_minutes_per_day: rung.totals.runner_minutes,
        idle_stage_hours_per_day: rung.totals.idle_stage_hours,
        exposure_usd_per_day: rung.totals.exposure_usd,
        exposure_days_per_day: rung.totals.exposure_days,
        regret_usd_per_day: rung.regret_usd_per_day,
    }
}

/// `prices.csv`: every arm term by term, under its own prices and each price book.
pub fn prices_csv(ladders: &[Ladder]) -> Result<Vec<u8>> {
    let mut rows: Vec<PricesRow<'_>> = Vec::new();
    for ladder in ladders {
        for rung in &ladder.rungs {
            let repriced = rung.repriced.iter();
            rows.extend(repriced.map(|one| prices_row(&ladder.family, &rung.arm, one)));
        }
    }
    csv_bytes(&rows)
}

fn prices_row<'a>(family: &'a str, arm: &'a str, one: &'a Repriced) -> PricesRow<'a> {
    PricesRow {
        family,
        arm,
        price_book: one.price_book,
        cost_usd: one.terms.total(),
        slo_violation_usd: one.terms.slo_violation,
        blocked_usd: one.terms.blocked,
        runner_usd: one.terms.runner,
        over_provision_usd: one.terms.over_provision,
        exposure_usd: one.terms.exposure,
        churn_usd: one.terms.churn,
        saved_share: one.saved.map(|saved| saved.estimate),
        saved_low: one.saved.map(|saved| saved.lower),
        saved_high: one.saved.map(|saved| saved.upper),
    }
}

/// `headroom.csv`; families without a privileged arm are left out.
pub fn headroom_csv(ladders: &[Ladder]) -> Result<Vec<u8>> {
    let rows: Vec<HeadroomRow<'_>> = ladders
        .iter()
        .filter_map(|ladder| Some(headroom_row(ladder, ladder.headroom.as_ref()?)))
        .collect();
    csv_bytes(&rows)
}

fn headroom_row<'a>(ladder: &Ladder, found: &'a Headroom) -> HeadroomRow<'a> {
    HeadroomRow {
        family: &found.family,
        scenarios: ladder.scenarios,
        static_arm: &found.static_arm,
        static_usd: found.fixed,
        adaptive_arm: found.adaptive_arm.as_deref().unwrap_or_default(),
        adaptive_usd: found.adaptive,
        privileged_usd: found.privileged,
        privileged_fell_back: found.privileged_fell_back,
        clairvoyant_usd: found.clairvoyant,
        penalized_usd: found.penalized,
        headroom: found.headroom.mean,
        headroom_low: found.headroom.low,
        headroom_high: found.headroom.high,
        adaptive_saves: found.adaptive_saves.map(|saves| saves.mean),
        adaptive_saves_low: found.adaptive_saves.map(|saves| saves.low),
        adaptive_saves_high: found.adaptive_saves.map(|saves| saves.high),
        verdict: &found.verdict,
    }
}

/// One line a family, for people.
pub fn headroom_table(ladders: &[Ladder]) -> Table {
    let mut table = Table::new(&[
        "family",
        "static_usd",
        "adaptive_arm",
        "adaptive_usd",
        "privileged_usd",
        "clairvoyant_usd",
        "headroom_percent",
        "low",
        "high",
        "verdict",
    ]);
    let usd = |value: Option<f64>| value.map_or(Cell::Empty, |value| Cell::Number(value, 0));
    for found in ladders.iter().filter_map(|ladder| ladder.headroom.as_ref()) {
        table.push(vec![
            Cell::text(&found.family),
            usd(Some(found.fixed)),
            Cell::text(found.adaptive_arm.as_deref().unwrap_or("-")),
            usd(found.adaptive),
            usd(Some(found.privileged)),
            usd(found.clairvoyant),
            Cell::Number(100.0 * found.headroom.mean, 1),
            Cell::Number(100.0 * found.headroom.low, 1),
            Cell::Number(100.0 * found.headroom.high, 1),
            Cell::text(&found.verdict),
        ]);
    }
    table
}

/// `histories.csv`: every arm on every history, the bound after them.
pub fn histories_csv(found: &[OnHistory]) -> Result<Vec<u8>> {
    let mut rows: Vec<HistoryRow<'_>> = Vec::new();
    for one in found {
        let arms = one.replay.arms.iter().zip(&one.p_holm);
        rows.extend(arms.map(|(arm, p_holm)| history_row(one, arm, *p_holm)));
        rows.push(HistoryRow {
            history: &one.replay.history,
            days: one.replay.days,
            arm: CLAIRVOYANT,
            cost_usd: one.clairvoyant_usd,
            vs_static_usd: Some(one.clairvoyant_usd - one.fixed().total.cost_usd),
            ..HistoryRow::default()
        });
    }
    csv_bytes(&rows)
}

fn history_row<'a>(one: &'a OnHistory, arm: &'a ArmResult, p_holm: Option<f64>) -> HistoryRow<'a> {
    let Account {
        cost_usd,
        needs,
        hits,
        misses,
        waste,
        blocked_minutes,
        runner_minutes,
        slo_violation_minutes,
        exposure_days,
    } = arm.total;
    let difference = arm.difference;
    let saved = difference.and_then(|difference| difference.saved_share);
    HistoryRow {
        history: &one.replay.history,
        days: one.replay.days,
        arm: &arm.arm,
        class: class_of(&arm.arm).map_or("", Class::name),
        cost_usd,
        vs_static_usd: difference.map(|difference| difference.usd),
        low: difference.and_then(|difference| difference.low),
        high: difference.and_then(|difference| difference.high),
        saved_share: saved.map(|saved| saved.mean),
        saved_low: saved.map(|saved| saved.low),
        saved_high: saved.map(|saved| saved.high),
        p_value: difference.and_then(|difference| difference.p_value),
        p_holm,
        needs: Some(needs),
        hits: Some(hits),
        misses: Some(misses),
        waste: Some(waste),
        blocked_minutes: Some(blocked_minutes),
        slo_violation_minutes: Some(slo_violation_minutes),
        runner_minutes: Some(runner_minutes),
        exposure_days: Some(exposure_days),
    }
}

/// `hit-rates.csv`: the least waste at each hit rate; none where nothing was moved.
pub fn hit_rates_csv(found: &[OnHistory]) -> Result<Vec<u8>> {
    let mut rows: Vec<HitRateRow<'_>> = Vec::new();
    for one in found {
        for arm in &one.replay.arms {
            rows.extend(arm.at_hit_rate.iter().flatten().map(|at| HitRateRow {
                history: &one.replay.history,
                need: at.need,
                arm: &arm.arm,
                hit_rate: at.hit_rate,
                waste: at.waste,
            }));
        }
    }
    csv_bytes(&rows)
}

/// `orders.csv`: how far simulation and replay order the arms alike.
pub fn orders_csv(found: &[OnHistory]) -> Result<Vec<u8>> {
    let rows: Vec<OrderRow<'_>> = found
        .iter()
        .map(|one| OrderRow {
            history: &one.replay.history,
            days: one.replay.days,
            arms: one.replay.arms.len(),
            tau_b: one.tau_b,
        })
        .collect();
    csv_bytes(&rows)
}

/// One line a history, for people.
pub fn histories_table(found: &[OnHistory]) -> Table {
    let mut table = Table::new(&[
        "history",
        "days",
        "static_arm",
        "static_usd",
        "cheapest_rule",
        "saves_percent",
        "low",
        "high",
        "clairvoyant_usd",
        "tau_b",
    ]);
    for one in found {
        let fixed = one.fixed();
        let cheapest = one.cheapest_rule();
        let saved = cheapest.and_then(|arm| one.saved(arm));
        let percent =
            |value: Option<f64>| value.map_or(Cell::Empty, |value| Cell::Number(100.0 * value, 1));
        table.push(vec![
            Cell::text(&one.replay.history),
            Cell::Number(one.replay.days, 0),
            Cell::text(&fixed.arm),
            Cell::Number(fixed.total.cost_usd, 0),
            Cell::text(cheapest.map_or("-", |arm| &arm.arm)),
            percent(saved.map(|saved| saved.mean)),
            percent(saved.map(|saved| saved.low)),
            percent(saved.map(|saved| saved.high)),
            Cell::Number(one.clairvoyant_usd, 0),
            one.tau_b.map_or(Cell::Empty, |tau| Cell::Number(tau, 2)),
        ]);
    }
    table
}
