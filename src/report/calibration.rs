//! The page of `prestage calibrate`: what was fitted, and where it fails.
use std::fmt::Write;

use super::figures;
use super::format::{count, escape};
use super::page;
use crate::calibrate::{Calibration, StreamFit, Verdict};

/// The whole page, self-contained.
pub fn calibration_page(calibration: &Calibration) -> String {
    let name = &calibration.scenario.spec().name;
    let mut body = format!("<h1>{}</h1>\n", escape(name));
    let fails = of_verdict(calibration, Verdict::Fails);
    let scored = calibration.streams.len() - of_verdict(calibration, Verdict::TooShort).len();
    let sentence = if fails.is_empty() {
        format!(
            "None of the {} that could be scored fails.",
            count(scored, "stream", "streams")
        )
    } else {
        format!(
            "Do not believe {}: {} of {} that could be scored.",
            fails.join(", "),
            fails.len(),
            count(scored, "stream", "streams")
        )
    };
    push(
        &mut body,
        format_args!("<p class=\"summary\">{}</p>\n", escape(&sentence)),
    );
    push(
        &mut body,
        format_args!("<p>{}</p>\n", escape(&calibration.scenario.spec().about)),
    );
    match figures::quantiles(&calibration.streams) {
        Some(figure) => body.push_str(&page::show_figure(&figure)),
        None => body.push_str("<p class=\"notice\">No figure: nothing could be scored, or this build draws none.</p>\n"),
    }
    body.push_str(&table(calibration));
    body.push_str("<h2>Notes</h2>\n<ul>\n");
    for note in &calibration.notes {
        push(&mut body, format_args!("<li>{}</li>\n", escape(note)));
    }
    body.push_str("</ul>\n<h2>The fitted scenario</h2>\n");
    push(
        &mut body,
        format_args!("<pre>{}</pre>\n", escape(&calibration.scenario.to_toml())),
    );
    page::whole(&format!("prestage calibration: {name}"), &body)
}

fn of_verdict(calibration: &Calibration, verdict: Verdict) -> Vec<&'static str> {
    let streams = calibration.streams.iter();
    streams
        .filter(|stream| stream.verdict == verdict)
        .map(|stream| stream.stream)
        .collect()
}

fn table(calibration: &Calibration) -> String {
    let mut table =
        "<h2>Goodness of fit</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th>Stream</th>\
        <th>Recorded / simulated</th><th>KS</th><th>AD</th><th>AUC</th><th>Dispersion</th>\
        <th>Autocorrelation</th><th>Weekly profile</th><th>Verdict</th></tr></thead>\n<tbody>\n"
            .to_owned();
    for stream in &calibration.streams {
        table.push_str(&row(stream));
    }
    table.push_str("</tbody></table></div>\n");
    table
}

fn row(fit: &StreamFit) -> String {
    let one =
        |value: Option<f64>| value.map_or("&ndash;".to_owned(), |value| format!("{value:.2}"));
    let two = |pair: Option<(f64, f64)>| {
        pair.map_or("&ndash;".to_owned(), |(a, b)| format!("{a:.2} / {b:.2}"))
    };
    format!(
        "<tr><th>{}<br><small>{}</small></th><td>{} / {}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
         <td>{}</td><td>{}</td><td>{}</td></tr>\n",
        escape(fit.stream),
        escape(fit.measured),
        fit.recorded,
        fit.simulated,
        one(fit.ks.map(|ks| ks.0)),
        one(fit.ad),
        one(fit.auc.map(|auc| auc.0)),
        two(fit.dispersion),
        two(fit.autocorrelation),
        one(fit.weekly_profile),
        fit.verdict.words(),
    )
}

fn push(page: &mut String, part: std::fmt::Arguments<'_>) {
    page.write_fmt(part)
        .expect("writing to a string cannot fail");
}
