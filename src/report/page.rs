//! `report.html`: the page as text, self-contained and without scripts.
//!
//! Every text that comes from the run folder passes through `escape`. Colours come from
//! variables that follow the reader's light or dark setting.
use std::fmt::Write;

use super::Report;
use super::figures::{ENABLED, Figure};
use super::format::{count, difference, escape, number, percent, percent_difference, words};
use super::summary::{Arm, ArmKind, Difference, Summary, Totals, Verdict};
use super::words as sentences;

/// Counts and minutes are shown for a week: most needs are rarer than one a day.
const DAYS: f64 = 7.0;

const STYLE: &str = include_str!("page.css");

/// The whole page.
pub fn render(report: &Report, figures: &[Figure]) -> String {
    let mut page = String::new();
    let title = format!("prestage report: {}", report.manifest.name);
    push(&mut page, &head(&title));
    push(
        &mut page,
        &format!("<h1>{}</h1>\n", escape(&report.manifest.name)),
    );
    push(&mut page, &subtitle(report));
    push(&mut page, &tiles(&report.summary));
    let text = escape(&sentences::summary(&report.summary));
    push(&mut page, &format!("<p class=\"summary\">{text}</p>\n"));
    if !ENABLED {
        push(
            &mut page,
            "<p class=\"notice\">This build draws no figures (feature <code>plots</code> \
             is off); the tables are complete.</p>\n",
        );
    }
    let figure = |name: &str| {
        figures
            .iter()
            .find(|figure| figure.name == name)
            .map(show_figure)
    };
    push(&mut page, "<h2 id=\"cost\">What it costs</h2>\n");
    push(&mut page, &figure("cost").unwrap_or_default());
    push(&mut page, &arm_table(&report.summary));
    push(
        &mut page,
        "<h2 id=\"outcomes\">What was staged, and what for</h2>\n",
    );
    push(&mut page, &figure("outcomes").unwrap_or_default());
    push(&mut page, &need_tables(&report.summary));
    if let Some(shown) = figure("learning-curve") {
        push(
            &mut page,
            &format!("<h2 id=\"learning\">How it was learned</h2>\n{shown}"),
        );
    }
    if let Some(shown) = figure("timeline") {
        push(
            &mut page,
            &format!("<h2 id=\"week\">A week, decision by decision</h2>\n{shown}"),
        );
    }
    push(&mut page, &definitions(report));
    push(&mut page, &provenance(report));
    push(&mut page, "</main>\n</body>\n</html>\n");
    page
}

fn push(page: &mut String, part: &str) {
    page.push_str(part);
}

fn head(title: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n",
        escape(title)
    )
}

fn subtitle(report: &Report) -> String {
    let manifest = &report.manifest;
    format!(
        "<p class=\"subtitle\">{} &middot; {} &middot; {} simulated days each</p>\n",
        escape(&manifest.scenario),
        count(report.summary.arms.len(), "arm", "arms"),
        number_of_days(manifest.evaluated_days),
    )
}

fn number_of_days(days: f64) -> String {
    if days.fract().abs() < 1e-9 {
        format!("{days:.0}")
    } else {
        number(days)
    }
}

/// A page with this body, which must be escaped.
pub fn whole(title: &str, body: &str) -> String {
    format!("{}{body}</main>\n</body>\n</html>\n", head(title))
}

/// The answer at a glance.
fn tiles(summary: &Summary) -> String {
    let mut tiles = String::new();
    let headline = summary
        .best_trained()
        .and_then(|arm| Some((arm, arm.difference.as_ref()?)));
    if let Some((arm, difference)) = headline {
        let ratio = difference.relative().map_or_else(
            || format!("{} $/day", super::format::difference(difference.mean)),
            percent_difference,
        );
        let label = format!("{} against {}", arm.name, summary.reference);
        let note = format!(
            "{}{}",
            sentences::verdict(difference),
            relative_interval(difference)
        );
        tiles.push_str(&tile(
            &label,
            &ratio,
            &note,
            verdict_class(difference.verdict()),
        ));
        tiles.push_str(&coverage_tile(arm, summary));
    }
    if let Some(cheapest) = summary.cheapest() {
        let note = format!("${} a day", number(cheapest.cost_mean));
        tiles.push_str(&tile("Cheapest arm", &cheapest.name, &note, "plain"));
    }
    let evidence = summary.best_trained().or_else(|| summary.cheapest());
    if let Some(arm) = evidence {
        let seeds = match arm.training_seeds {
            0 => "no training seeds".to_owned(),
            seeds => count(seeds, "training seed", "training seeds"),
        };
        let scenarios = count(arm.scenarios, "scenario", "scenarios");
        tiles.push_str(&tile("Evidence", &scenarios, &seeds, "plain"));
    }
    format!("<div class=\"tiles\">\n{tiles}</div>\n")
}

fn relative_interval(found: &Difference) -> String {
    match (found.interval, found.reference_cost) {
        (Some(interval), cost) if cost.abs() > 0.0 => format!(
            " (95 %: {} to {})",
            percent_difference(interval.lower / cost),
            percent_difference(interval.upper / cost)
        ),
        _ => String::new(),
    }
}

fn coverage_tile(arm: &Arm, summary: &Summary) -> String {
    let share = |arm: &Arm| {
        arm.totals
            .coverage()
            .map_or_else(|| "-".to_owned(), percent)
    };
    let note = match summary.arm(&summary.reference) {
        Some(reference) => format!("{}: {}", reference.name, share(reference)),
        None => String::new(),
    };
    tile("Needs met in time", &share(arm), &note, "plain")
}

fn tile(label: &str, value: &str, note: &str, class: &str) -> String {
    format!(
        "<div class=\"tile {class}\"><div class=\"label\">{}</div><div class=\"value\">{}</div>\
         <div class=\"note\">{}</div></div>\n",
        escape(label),
        escape(value),
        escape(note)
    )
}

fn verdict_class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Better => "better",
        Verdict::Worse => "worse",
        Verdict::WithinNoise | Verdict::Unknown => "noise",
    }
}

pub fn show_figure(figure: &Figure) -> String {
    format!(
        "<figure id=\"figure-{}\">\n<div class=\"drawing\">{}</div>\n<figcaption><strong>{}.</strong> \
         {}</figcaption>\n</figure>\n",
        figure.name,
        figure.inline(),
        escape(&figure.title),
        escape(&figure.caption)
    )
}

fn arm_table(summary: &Summary) -> String {
    let rows: String = summary
        .by_cost()
        .into_iter()
        .map(|arm| arm_row(arm, summary))
        .collect();
    let caption = format!(
        "All arms, cheapest first. Costs in dollars a day; the rest for a week. The difference to \
         {} is paired, with its 95 % interval. n: training seeds \u{d7} scenarios.",
        escape(&summary.reference)
    );
    let head = "<tr><th rowspan=\"2\">Arm</th><th colspan=\"3\" class=\"group\">Cost, $ a day</th>\
                <th rowspan=\"2\">Met in<br>time</th><th colspan=\"3\" class=\"group\">Needs and stages</th>\
                <th colspan=\"3\" class=\"group\">Minutes</th><th rowspan=\"2\">n</th></tr>\n\
                <tr><th>mean</th><th>IQM</th><th>difference</th><th>hit</th><th>miss</th>\
                <th>waste</th><th>blocked</th><th>SLO</th><th>runner</th></tr>\n";
    table(&caption, head, &rows)
}

fn arm_row(arm: &Arm, summary: &Summary) -> String {
    let totals = &arm.totals;
    let counts = [totals.hits, totals.misses, totals.waste];
    let minutes = [
        totals.blocked_minutes,
        totals.slo_violation_minutes,
        totals.runner_minutes,
    ];
    let cells = [
        name_cell(arm, summary),
        cell(&number(arm.cost_mean)),
        cell(&number(arm.cost_iqm)),
        difference_cell(arm, summary),
        cell(&totals.coverage().map_or_else(|| "-".to_owned(), percent)),
        counts
            .map(|value| cell(&count_a_week(value * DAYS)))
            .concat(),
        minutes.map(|value| cell(&number(value * DAYS))).concat(),
        cell(&format!(
            "{} \u{d7} {}",
            arm.training_seeds.max(1),
            arm.scenarios
        )),
    ];
    format!("<tr{}>{}</tr>\n", row_class(arm, summary), cells.concat())
}

fn table(caption: &str, head: &str, rows: &str) -> String {
    format!(
        "<div class=\"scroll\"><table>\n<caption>{caption}</caption>\n<thead>\n{head}</thead>\n\
         <tbody>\n{rows}</tbody>\n</table></div>\n"
    )
}

fn cell(shown: &str) -> String {
    format!("<td>{}</td>", escape(shown))
}

fn name_cell(arm: &Arm, summary: &Summary) -> String {
    let badge = match arm.kind {
        ArmKind::Trained => "<span class=\"badge trained\">trained</span>",
        ArmKind::Bound => "<span class=\"badge\">bound</span>",
        ArmKind::Rule if arm.name == summary.reference => "<span class=\"badge\">reference</span>",
        ArmKind::Rule => "",
    };
    format!("<th scope=\"row\">{} {badge}</th>", escape(&arm.name))
}

fn row_class(arm: &Arm, summary: &Summary) -> &'static str {
    match arm.kind {
        ArmKind::Trained => " class=\"trained\"",
        ArmKind::Bound => " class=\"bound\"",
        ArmKind::Rule if arm.name == summary.reference => " class=\"reference\"",
        ArmKind::Rule => "",
    }
}

fn difference_cell(arm: &Arm, summary: &Summary) -> String {
    match &arm.difference {
        Some(found) => {
            let class = verdict_class(found.verdict());
            let interval = found.interval.map_or_else(String::new, |interval| {
                format!(
                    " <small>[{}, {}]</small>",
                    difference(interval.lower),
                    difference(interval.upper)
                )
            });
            format!(
                "<td class=\"{class}\">{}{interval}</td>",
                difference(found.mean)
            )
        }
        None if arm.name == summary.reference => cell("reference"),
        None => cell("not paired"),
    }
}

fn need_tables(summary: &Summary) -> String {
    let mut tables = String::from("<div class=\"needs\">\n");
    let head = "<tr><th>Arm</th><th>cost</th><th>needs</th><th>hit</th><th>miss</th><th>stages</th>\
                <th>waste</th><th>with&shy;drawn</th><th>cov&shy;erage</th><th>accu&shy;racy</th></tr>\n";
    for (index, need) in summary.needs.iter().enumerate() {
        let mut rows = String::new();
        for arm in summary.by_cost() {
            let cells = need_cells(&arm.by_need[index]);
            let name = escape(&arm.name);
            let class = row_class(arm, summary);
            let _ = writeln!(rows, "<tr{class}><th scope=\"row\">{name}</th>{cells}</tr>");
        }
        let caption = format!(
            "<strong>{}</strong>: cost $ a day, counts a week",
            escape(&words(need))
        );
        tables.push_str(&table(&caption, head, &rows));
    }
    tables.push_str("</div>\n");
    tables
}

fn need_cells(totals: &Totals) -> String {
    let share = |ratio: Option<f64>| {
        ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{:.0} %", ratio * 100.0))
    };
    let weekly = |value: f64| count_a_week(value * DAYS);
    [
        number(totals.cost_usd),
        weekly(totals.needs),
        weekly(totals.hits),
        weekly(totals.misses),
        weekly(totals.stages),
        weekly(totals.waste),
        weekly(totals.withdrawn),
        share(totals.coverage()),
        share(totals.accuracy()),
    ]
    .map(|shown| cell(&shown))
    .concat()
}

fn count_a_week(value: f64) -> String {
    format!("{value:.1}")
}

fn definitions(report: &Report) -> String {
    let reference = escape(&report.summary.reference);
    format!(
        "<h2 id=\"words\">Words</h2>\n<dl>\n\
         <dt>need</dt><dd>The moment a deployment wants a stage: more replicas, a release canary, a \
         dependency update, a test shard.</dd>\n\
         <dt>hit</dt><dd>A need whose stage stood ready when it arose.</dd>\n\
         <dt>miss</dt><dd>A need whose stage did not; the deployment is blocked until it does.</dd>\n\
         <dt>waste</dt><dd>A stage made ahead that no need ever used: expired, withdrawn or rolled \
         back.</dd>\n\
         <dt>coverage</dt><dd>Hits divided by needs (&ldquo;met in time&rdquo;).</dd>\n\
         <dt>accuracy</dt><dd>Stages used divided by stages made ahead.</dd>\n\
         <dt>cost</dt><dd>Everything in the price book, waste and runner minutes included, in dollars \
         for each simulated day.</dd>\n\
         <dt>difference</dt><dd>Cost minus the cost of {reference} on the same scenario seeds. The \
         interval is the 2.5th to 97.5th percentile of {} bootstrap resamples, over training seeds \
         and scenarios where there are several training seeds, else over scenarios.</dd>\n\
         <dt>IQM</dt><dd>Interquartile mean: the mean of the middle half of the runs.</dd>\n\
         <dt>bound</dt><dd>An arm that knows what production cannot know. It shows how much there is \
         to gain; it cannot be shipped.</dd>\n</dl>\n",
        crate::statistics::RESAMPLES
    )
}

fn provenance(report: &Report) -> String {
    let manifest = &report.manifest;
    let seed = manifest.seed.to_string();
    let entries = [
        ("run", manifest.name.as_str()),
        ("created by", &manifest.created_by),
        ("revision", &manifest.git_revision),
        ("seed", &seed),
        ("configuration", &manifest.config_hash),
        ("command", &manifest.command),
    ];
    let mut rows = String::new();
    for (label, value) in entries {
        let _ = writeln!(
            rows,
            "<dt>{label}</dt><dd><code>{}</code></dd>",
            escape(value)
        );
    }
    format!(
        "<footer>\n<h2 id=\"provenance\">Where the numbers come from</h2>\n<dl class=\"provenance\">\n\
         {rows}</dl>\n<p>Made from this folder alone; <code>prestage report</code> rebuilds the same \
         page, byte for byte. <code>results_summary.csv</code> has the table at full precision, \
         <code>figures/</code> the drawings.</p>\n</footer>\n"
    )
}
