//! The part of an experiment's page that shows its arms on recorded histories.
use prestage_controller::NeedType;

use super::format::{count, escape, number};
use super::ladder::{push, share_cell};
use crate::arms::{Class, class_of};
use crate::frontier::{ALL_NEEDS, HIT_RATES};
use crate::ladder::{OnHistory, SIGNIFICANT};
use crate::replaying::ArmResult;

/// What the histories say in a sentence or two.
pub(super) fn answer(found: &[OnHistory]) -> String {
    let rules = |one: &OnHistory, is_wanted: &dyn Fn(f64) -> bool| -> Vec<String> {
        let arms = one.replay.arms.iter().zip(&one.p_holm);
        arms.filter(|(arm, _)| class_of(&arm.arm) == Some(Class::Adaptive))
            .filter(|(_, p)| p.is_some_and(|p| p < SIGNIFICANT))
            .filter(|(arm, _)| arm.difference.is_some_and(|one| is_wanted(one.usd)))
            .map(|(arm, _)| format!("{} on {}", arm.arm, one.replay.history))
            .collect()
    };
    let all = |is_wanted: &dyn Fn(f64) -> bool| -> Vec<String> {
        found.iter().flat_map(|one| rules(one, is_wanted)).collect()
    };
    let say = |rules: Vec<String>| match rules.is_empty() {
        true => "none".to_owned(),
        false => rules.join(", "),
    };
    format!(
        "Of the adaptive rules surely cheaper than the static policy: {}; surely dearer: {} (Holm over all arms and histories).",
        say(all(&|usd| usd < 0.0)),
        say(all(&|usd| usd > 0.0)),
    )
}

/// The section; empty without histories. `figure` is its drawing, if there is one.
pub(super) fn section(found: &[OnHistory], figure: &str) -> String {
    if found.is_empty() {
        return String::new();
    }
    let mut out = format!(
        "<h2>Recorded histories</h2>\n<p class=\"summary\">{}, nothing tuned on them. {}</p>\n{figure}",
        count(found.len(), "history", "histories"),
        escape(&answer(found)),
    );
    for one in found {
        out.push_str(&table(one));
    }
    out.push_str(&hit_rates(found));
    out
}

fn table(one: &OnHistory) -> String {
    let mut arms: Vec<(&ArmResult, Option<f64>)> = one
        .replay
        .arms
        .iter()
        .zip(one.p_holm.iter().copied())
        .collect();
    arms.sort_by(|(a, _), (b, _)| a.total.cost_usd.total_cmp(&b.total.cost_usd));
    let rows: String = arms.iter().map(|(arm, p)| row(one, arm, *p)).collect();
    let order = one.tau_b.map_or(String::new(), |tau| {
        format!(" Order as in simulation: Kendall's tau-b {tau:.2}.")
    });
    format!(
        "<h3>{}</h3>\n<div class=\"scroll\"><table>\n<caption>{:.0} days, cheapest first; compared with {} week by week. \
         The clairvoyant bound is {} dollars.{order}</caption>\n<thead><tr><th>Arm</th><th>Class</th><th>Cost, $</th><th>Saves</th>\
         <th>p</th><th>Needs</th><th>Met in time</th><th>Waste</th><th>Blocked, min</th><th>SLO, min</th><th>Runner, min</th>\
         <th>Exposure, days</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n",
        escape(&one.replay.history),
        one.replay.days,
        escape(&one.fixed().arm),
        number(one.clairvoyant_usd),
    )
}

fn row(one: &OnHistory, arm: &ArmResult, p_holm: Option<f64>) -> String {
    let total = &arm.total;
    let met = match total.needs {
        0 => "&ndash;".to_owned(),
        needs => format!("{:.0} %", 100.0 * total.hits as f64 / needs as f64),
    };
    format!(
        "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td>{}<td>{}</td><td>{}</td><td>{met}</td><td>{}</td><td>{}</td>\
         <td>{}</td><td>{}</td><td>{}</td></tr>\n",
        escape(&arm.arm),
        class_of(&arm.arm).map_or("", Class::name),
        number(total.cost_usd),
        share_cell(one.saved(arm)),
        p_holm.map_or("&ndash;".to_owned(), |p| format!("{p:.3}")),
        total.needs,
        total.waste,
        number(total.blocked_minutes),
        number(total.slo_violation_minutes),
        number(total.runner_minutes),
        number(total.exposure_days),
    )
}

/// Only what reaches a rate on some history.
fn hit_rates(found: &[OnHistory]) -> String {
    let needs = NeedType::ALL.map(|need| need.as_str());
    let mut rows = String::new();
    for need in std::iter::once(ALL_NEEDS).chain(needs) {
        for arm in &found[0].replay.arms {
            let cells: Vec<String> = found
                .iter()
                .map(|one| reached(one, need, &arm.arm))
                .collect();
            if cells.iter().all(|cell| cell == NOT_REACHED) {
                continue;
            }
            push(
                &mut rows,
                format_args!(
                    "<tr><th scope=\"row\">{need}</th><td>{}</td><td>{}</td></tr>\n",
                    escape(&arm.arm),
                    cells.join("</td><td>")
                ),
            );
        }
    }
    if rows.is_empty() {
        return String::new();
    }
    let names = found.iter().map(|one| escape(&one.replay.history));
    format!(
        "<h3>Waste at a hit rate</h3>\n<div class=\"scroll\"><table>\n<caption>The fewest stages never used with which {} of the needs are met in time, by moving the \
         threshold or the first number of a rule; rows that get there nowhere are left out.</caption>\n<thead><tr><th>Need</th>\
         <th>Arm</th><th>{}</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n",
        HIT_RATES
            .map(|rate| format!("{:.0} %", 100.0 * rate))
            .join(" and "),
        names.collect::<Vec<_>>().join("</th><th>"),
    )
}

const NOT_REACHED: &str = "&ndash;";

fn reached(one: &OnHistory, need: &str, arm: &str) -> String {
    let arm = one.replay.arms.iter().find(|one| one.arm == arm);
    let at = arm.and_then(|arm| arm.at_hit_rate.as_ref());
    let wastes = at.into_iter().flatten().filter(|at| at.need == need);
    let wastes: Vec<Option<f64>> = wastes.map(|at| at.waste).collect();
    if wastes.iter().all(Option::is_none) {
        return NOT_REACHED.to_owned();
    }
    let shown =
        |waste: &Option<f64>| waste.map_or(NOT_REACHED.to_owned(), |one| format!("{one:.0}"));
    wastes.iter().map(shown).collect::<Vec<_>>().join(", ")
}
