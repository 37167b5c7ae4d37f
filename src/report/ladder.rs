//! The page of an experiment: does adapting pay, family by family.
use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::figures::{self, Figure};
use super::format::{count, escape, number, percent, percent_difference};
use super::{histories, page, write_figures};
use crate::arms::Class;
use crate::evaluation::{Bounds, revision};
use crate::ladder::{Experiment, Headroom, Ladder, OnHistory, Rung, WORTHWHILE, overall};
use crate::run_folder;
use crate::statistics::Interval;

/// Writes `report.html` and `figures/*.svg` and returns the path of the page.
///
/// # Errors
/// When the folder cannot be written.
pub fn write_ladder(
    folder: &Path,
    experiment: &Experiment,
    ladders: &[Ladder],
    histories: &[OnHistory],
) -> Result<PathBuf> {
    let figures = figures::ladder(ladders, histories);
    write_figures(folder, &figures)?;
    let mut body = format!("<h1>{}</h1>\n", escape(&experiment.question));
    let scenarios = ladders
        .iter()
        .map(|ladder| ladder.scenarios)
        .max()
        .unwrap_or(0);
    push(
        &mut body,
        format_args!(
            "<p class=\"subtitle\">{} &middot; {} each, never used for tuning</p>\n<p class=\"summary\">{}</p>\n",
            count(ladders.len(), "family", "families"),
            count(scenarios, "held-out scenario", "held-out scenarios"),
            escape(&answer(ladders)),
        ),
    );
    if !experiment.expected.is_empty() {
        push(
            &mut body,
            format_args!(
                "<p>Expected beforehand: {}</p>\n",
                escape(&experiment.expected)
            ),
        );
    }
    body.push_str(&headroom_table(ladders));
    if figures.is_empty() {
        body.push_str("<p class=\"notice\">This build draws no figures (feature <code>plots</code> is off); the tables are complete.</p>\n");
    }
    let (of_histories, of_families): (Vec<&Figure>, Vec<&Figure>) = figures
        .iter()
        .partition(|figure| figure.name == "histories");
    for figure in of_families {
        body.push_str(&page::show_figure(figure));
    }
    let drawn: String = of_histories.into_iter().map(page::show_figure).collect();
    body.push_str(&histories::section(histories, &drawn));
    body.push_str(&prices_table(ladders));
    body.push_str(&overall_table(ladders));
    for ladder in ladders {
        body.push_str(&family_table(ladder));
    }
    body.push_str(&provenance(experiment));
    let path = folder.join("report.html");
    let html = page::whole("prestage experiment", &body);
    run_folder::write_file(&path, html.as_bytes())?;
    Ok(path)
}

/// The families by what the decision rule says of them.
fn answer(ladders: &[Ladder]) -> String {
    let of = |is_wanted: &dyn Fn(&Headroom) -> bool| -> Vec<&str> {
        let found = ladders.iter().filter_map(|ladder| ladder.headroom.as_ref());
        found
            .filter(|found| is_wanted(found))
            .map(|found| found.family.as_str())
            .collect()
    };
    let worth = 100.0 * WORTHWHILE;
    let (pays, not) = (of(&Headroom::pays), of(&|found| !found.pays()));
    match (&pays[..], &not[..]) {
        ([], not) => format!(
            "In none of {} families does adapting surely save {worth:.0} % of the static policy's cost: static suffices.",
            not.len()
        ),
        (pays, []) => format!(
            "Adapting surely saves at least {worth:.0} % of the static policy's cost in {}.",
            pays.join(", ")
        ),
        (pays, not) => format!(
            "Adapting surely saves at least {worth:.0} % of the static policy's cost in {}. It does not, so that static \
             suffices, in {}.",
            pays.join(", "),
            not.join(", ")
        ),
    }
}

fn headroom_table(ladders: &[Ladder]) -> String {
    let mut rows = String::new();
    for found in ladders.iter().filter_map(|ladder| ladder.headroom.as_ref()) {
        let adaptive = found.adaptive_arm.as_deref().unwrap_or("&ndash;");
        push(
            &mut rows,
            format_args!(
                "<tr><th scope=\"row\">{}</th><td>{}</td><td>{adaptive}</td>{}{}<td>{}</td><td>{}</td>\
                 <td style=\"text-align:left;white-space:normal\">{}</td></tr>\n",
                escape(&found.family),
                number(found.fixed),
                share_cell(found.adaptive_saves),
                share_cell(Some(found.headroom)),
                number(found.privileged),
                bound(found),
                escape(&found.verdict),
            ),
        );
    }
    format!(
        "<div class=\"scroll\"><table>\n<caption>US dollars a held-out scenario; shares of the static policy's cost with \
         95 % intervals. The adaptive rule is the one that was cheapest on validation scenarios. Headroom is what the \
         privileged rule saves. In brackets: the penalised bound, which charges foresight where it can.</caption>\n<thead><tr><th>Family</th><th>Static</th><th>Adaptive rule</th>\
         <th>saves</th><th>Headroom</th><th>Privi&shy;leged</th><th>Clair&shy;voyant</th><th>Verdict</th></tr></thead>\n\
         <tbody>\n{rows}</tbody>\n</table></div>\n"
    )
}

/// The bound, with the penalised one where there is one.
fn bound(found: &Headroom) -> String {
    let shown = |bound: Option<f64>| bound.map_or("&ndash;".to_owned(), number);
    match found.penalized {
        Some(penalized) => format!(
            "{} <small>({})</small>",
            shown(found.clairvoyant),
            number(penalized)
        ),
        None => shown(found.clairvoyant),
    }
}

fn overall_table(ladders: &[Ladder]) -> String {
    let mut rows = String::new();
    for one in overall(ladders) {
        push(
            &mut rows,
            format_args!(
                "<tr><th scope=\"row\">{}</th><td>{:.3}</td><td>{:.3}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                escape(&one.arm),
                one.score_iqm,
                one.optimality_gap,
                share(one.profile[0]),
                share(one.profile[1]),
                share(one.profile[2]),
                share(one.improvement),
            ),
        );
    }
    format!(
        "<h2>All families</h2>\n<div class=\"scroll\"><table>\n<caption>A score is the static policy's cost over the arm's on the same \
         scenario: 1 is as cheap. Interquartile mean, mean distance below 1 and shares of scenarios; improvement: how likely a run of the arm \
         beats one of the static policy in a family drawn at random, not paired (definitions of rliable).</caption>\n<thead><tr><th>Arm</th>\
         <th>Score, IQM</th><th>Optimality gap</th><th>Within a fifth</th><th>Cheaper</th><th>Cheaper by 2 %</th><th>Improve&shy;ment</th></tr></thead>\n\
         <tbody>\n{rows}</tbody>\n</table></div>\n"
    )
}

/// What adapting saves under each price book, from the same runs.
fn prices_table(ladders: &[Ladder]) -> String {
    let mut rows = String::new();
    for ladder in ladders {
        let named = |name: &str| ladder.rungs.iter().find(|rung| rung.arm == name);
        let Some(fixed) = named(&ladder.fixed) else {
            continue;
        };
        let found = ladder.headroom.as_ref();
        let adaptive = found.and_then(|found| named(found.adaptive_arm.as_deref()?));
        for (index, one) in fixed.repriced.iter().enumerate() {
            let saves = |rung: Option<&Rung>| {
                let repriced = rung.and_then(|rung| rung.repriced.get(index));
                share_cell(repriced.and_then(|one| one.saved).map(Bounds::from))
            };
            push(
                &mut rows,
                format_args!(
                    "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td>{}{}<td>{}</td></tr>\n",
                    escape(if index == 0 { &ladder.family } else { "" }),
                    one.price_book,
                    number(one.terms.total()),
                    saves(adaptive),
                    saves(named("privileged")),
                    escape(cheapest(ladder, index)),
                ),
            );
        }
    }
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "<h2>Under other prices</h2>\n<div class=\"scroll\"><table>\n<caption>The same runs, priced again: rules decided by the \
         scenario's own prices, so this says how far a verdict hangs on them, not what would be tuned under others. US dollars a \
         day. The cheapest is sought among all arms but the privileged one.</caption>\n<thead><tr><th>Family</th><th>Prices</th><th>Static</th>\
         <th>Adaptive rule saves</th><th>Headroom</th><th>Cheapest</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n"
    )
}

fn cheapest(ladder: &Ladder, book: usize) -> &str {
    let costs = ladder.rungs.iter().filter_map(|rung| {
        let is_rival = rung.class != Some(Class::Privileged);
        Some((rung.arm.as_str(), rung.repriced.get(book)?.terms.total())).filter(|_| is_rival)
    });
    costs
        .min_by(|a, b| a.1.total_cmp(&b.1))
        .map_or("", |(arm, _)| arm)
}

pub(super) fn share_cell(bounds: Option<Bounds>) -> String {
    let Some(Bounds { mean, low, high }) = bounds else {
        return "<td>&ndash;</td>".to_owned();
    };
    let class = class((low, high));
    format!(
        "<td class=\"{class}\">{} <small>[{}, {}]</small></td>",
        share(mean),
        share(low),
        share(high)
    )
}

fn class((low, high): (f64, f64)) -> &'static str {
    match (low > 0.0, high < 0.0) {
        (true, _) => "better",
        (_, true) => "worse",
        _ => "noise",
    }
}

fn share(value: f64) -> String {
    percent(value)
}

fn family_table(ladder: &Ladder) -> String {
    let rows: String = ladder.rungs.iter().rev().map(rung_row).collect();
    format!(
        "<h2>{}</h2>\n<div class=\"scroll\"><table>\n<caption>Cheapest first, a simulated day. <em>p</em>: of no difference \
         from the static policy, by sign flips, corrected by Holm for all arms and families. Won: share of scenarios on \
         which it was cheaper. Regret: beyond the clairvoyant bound, which no rule can reach.</caption>\n<thead><tr><th>Arm</th><th>Class</th><th>Cost, $</th><th>Saves</th><th>p</th>\
         <th>Won</th><th>Met in time</th><th>Waste</th><th>Blocked, min</th><th>SLO, min</th><th>Runner, min</th>\
         <th>Exposure, days</th><th>Regret, $</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n",
        escape(&ladder.family)
    )
}

fn rung_row(rung: &Rung) -> String {
    let totals = &rung.totals;
    let saves = rung
        .saved
        .map_or("<td>&ndash;</td>".to_owned(), |saved: Interval| {
            share_cell(Some(saved.into()))
        });
    let met = match totals.needs > 0.0 {
        true => format!("{:.0} %", 100.0 * totals.hits / totals.needs),
        false => "&ndash;".to_owned(),
    };
    let p = rung
        .p_holm
        .map_or("&ndash;".to_owned(), |p| format!("{p:.3}"));
    let won = rung.wins.map_or("&ndash;".to_owned(), |wins| {
        percent_difference(wins).replace('+', "")
    });
    format!(
        "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td>{saves}<td>{p}</td><td>{won}</td><td>{met}</td><td>{}</td>\
         <td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
        escape(&rung.arm),
        rung.class.map_or("", |class| class.name()),
        number(rung.cost_usd_per_day),
        number(totals.waste),
        number(totals.blocked_minutes),
        number(totals.slo_violation_minutes),
        number(totals.runner_minutes),
        number(totals.exposure_days),
        rung.regret_usd_per_day.map_or("&ndash;".to_owned(), number),
    )
}

fn provenance(experiment: &Experiment) -> String {
    let mut out =
        String::from("<footer>\n<h2>Where the numbers come from</h2>\n<dl class=\"provenance\">\n");
    let budget = format!(
        "{} candidates on {} scenarios, {} finalists on {} more, for every tuned arm",
        experiment.tune.candidates,
        experiment.tune.seeds,
        experiment.tune.finalists,
        experiment.tune.fresh_seeds
    );
    for (label, value) in [
        ("revision", revision()),
        ("seed", &experiment.seed.to_string()),
        ("tuning", &budget),
        ("overrides", &experiment.set.join(" ")),
    ] {
        push(
            &mut out,
            format_args!("<dt>{label}</dt><dd><code>{}</code></dd>\n", escape(value)),
        );
    }
    out.push_str(
        "</dl>\n<p>Each family and history is a run folder beside this page, with its own report; <code>ladder.csv</code>, \
         <code>headroom.csv</code> and <code>prices.csv</code> have the tables at full precision, <code>openings.jsonl</code> in each folder says \
         when its test scenarios were looked at.</p>\n</footer>\n",
    );
    out
}

pub(super) fn push(page: &mut String, part: std::fmt::Arguments<'_>) {
    page.write_fmt(part)
        .expect("writing to a string cannot fail");
}
