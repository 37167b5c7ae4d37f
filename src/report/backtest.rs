//! The page of `prestage forecast backtest --out`: figures and tables of what forecasts were worth.
use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use prestage_forecast::backtest::Scores;

use super::figures::{self, ENABLED};
use super::format::{count, escape, words};
use super::{page, write_figures};
use crate::backtest::{
    Comparison, EventSummary, Fan, ModelSummary, Options, SeriesResult, Task, summarize,
};
use crate::run_folder;
use crate::statistics::Interval;

/// Everything the page shows.
#[derive(Clone, Debug)]
pub struct Backtested {
    /// What was called, without the program's path.
    pub command: String,
    /// Tasks in which series took part.
    pub tasks: Vec<TaskResult>,
    /// One a need model.
    pub events: Vec<EventSummary>,
    /// The newest forecasts of some series.
    pub fans: Vec<Fan>,
}

/// The forecasters of one task.
#[derive(Clone, Debug)]
pub struct TaskResult {
    /// Step and horizon.
    pub task: Task,
    /// Names of the series.
    pub series: Vec<String>,
    /// One a forecaster.
    pub models: Vec<ModelSummary>,
    /// The first forecaster against seasonal naive, series by series.
    pub skill: Vec<SeriesSkill>,
}

/// Errors on one series over those of seasonal naive; `None` where there is no ratio.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesSkill {
    /// Name of the series.
    pub name: String,
    /// Ratio of the mean absolute errors.
    pub mase: Option<f64>,
    /// Ratio of the continuous ranked probability scores.
    pub crps: Option<f64>,
}

impl TaskResult {
    /// The tasks of a comparison that have series.
    pub fn of(comparison: &Comparison, options: &Options) -> Vec<Self> {
        let baseline = comparison.seasonal_naive();
        let tasks = options.tasks.iter().enumerate();
        tasks
            .map(|(index, task)| {
                let series: Vec<&SeriesResult> = comparison
                    .series
                    .iter()
                    .filter(|one| one.task == index)
                    .collect();
                Self {
                    task: *task,
                    series: series.iter().map(|one| one.name.clone()).collect(),
                    models: summarize(comparison, &series),
                    skill: series
                        .iter()
                        .map(|one| SeriesSkill {
                            name: one.name.clone(),
                            mase: one.ratio(0, baseline, Scores::mean_absolute_error),
                            crps: one.ratio(0, baseline, Scores::crps),
                        })
                        .collect(),
                }
            })
            .filter(|result| !result.series.is_empty())
            .collect()
    }
}

/// Writes `index.html` and `figures/*.svg`; without the feature `plots` the page has tables only.
///
/// # Errors
/// When the folder cannot be written.
pub fn write_backtest(folder: &Path, found: &Backtested) -> Result<()> {
    let drawn = figures::forecast(found);
    write_figures(folder, &drawn)?;
    let mut body = String::from("<h1>What the forecasts are worth</h1>\n");
    push(
        &mut body,
        format_args!(
            "<p class=\"subtitle\"><code>{}</code></p>\n",
            escape(&found.command)
        ),
    );
    if !ENABLED {
        body.push_str(
            "<p class=\"notice\">This build draws no figures (feature <code>plots</code> is off); \
             the tables are complete.</p>\n",
        );
    }
    for task in &found.tasks {
        body.push_str(&task_table(task));
    }
    body.push_str(&event_table(&found.events));
    body.push_str("<h2>Figures</h2>\n");
    for figure in &drawn {
        body.push_str(&page::show_figure(figure));
    }
    let page = page::whole("prestage: backtest of forecasts", &body);
    run_folder::write_file(&folder.join("index.html"), page.as_bytes())
}

fn task_table(task: &TaskResult) -> String {
    let mut table = format!(
        "<h2>Steps of {}, {} ahead</h2>\n<p>{}; ratios are geometric means over series, relative to \
         seasonal naive, with 95&nbsp;% bootstrap intervals over series.</p>\n\
         <div class=\"scroll\"><table>\n<thead><tr><th>Forecaster</th><th>MASE</th><th>Relative MASE</th>\
         <th>Scaled CRPS</th><th>Relative CRPS</th><th>In 80&nbsp;%</th><th>In 90&nbsp;%</th>\
         <th>In 95&nbsp;%</th><th>Fallbacks</th></tr></thead>\n<tbody>\n",
        escape(&task.task.step.to_string()),
        task.task.horizon,
        count(task.series.len(), "series", "series"),
    );
    for model in &task.models {
        let coverage = model.coverage.map(|share| format!("<td>{share:.3}</td>"));
        push(
            &mut table,
            format_args!(
                "<tr><th>{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td>{}<td>{}</td></tr>\n",
                escape(model.name),
                number(model.mase),
                interval(model.relative_mase),
                number(model.scaled_crps),
                interval(model.relative_crps),
                coverage.concat(),
                model.fallbacks,
            ),
        );
    }
    table.push_str("</tbody></table></div>\n");
    table
}

fn event_table(events: &[EventSummary]) -> String {
    if events.is_empty() {
        return String::new();
    }
    let mut table = String::from(
        "<h2>Needs that are events</h2>\n<p>Gains are in nats an origin over the histogram of gaps and over the \
         mean rate, with 95&nbsp;% intervals over blocks of four weeks; positive is better.</p>\n\
         <div class=\"scroll\"><table>\n<thead><tr><th>Model</th><th>Need</th><th>Streams</th><th>Origins</th>\
         <th>Frequency</th><th>Log score</th><th>Brier</th><th>Over the histogram</th><th>Over the rate</th>\
         <th>Calibration error</th></tr></thead>\n<tbody>\n",
    );
    for event in events {
        push(
            &mut table,
            format_args!(
                "<tr><th>{}</th><td>{}</td><td>{}</td><td>{}</td><td>{:.3}</td><td>{:.4}</td><td>{:.4}</td>\
                 <td>{}</td><td>{}</td><td>{:.3}</td></tr>\n",
                escape(event.model),
                escape(&words(event.need)),
                event.streams,
                event.origins,
                event.frequency,
                event.log_score,
                event.brier,
                interval(event.vs_histogram),
                interval(event.vs_poisson),
                event.ece,
            ),
        );
    }
    table.push_str("</tbody></table></div>\n");
    table
}

fn number(value: Option<f64>) -> String {
    value.map_or("&ndash;".to_owned(), |value| format!("{value:.3}"))
}

fn interval(found: Option<Interval>) -> String {
    found.map_or("&ndash;".to_owned(), |found| {
        let Interval {
            estimate,
            lower,
            upper,
        } = found;
        format!("{estimate:.3} <small>[{lower:.3}, {upper:.3}]</small>")
    })
}

fn push(page: &mut String, part: std::fmt::Arguments<'_>) {
    page.write_fmt(part)
        .expect("writing to a string cannot fail");
}
