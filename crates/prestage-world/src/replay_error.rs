//! Why a history cannot be replayed, and what would have to be imported.
use prestage_telemetry::History;

use crate::replay::{DAYS_MAX, SUITE_RUNS_MIN};

/// Why a history cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The part asked for is not in the history.
    #[error(
        "history `{history}` has {available:.1} days; `--skip-days {skip_days}` leaves nothing of it\n\n\
         hint: skip fewer days"
    )]
    Empty {
        /// Its name.
        history: String,
        /// Days it has.
        available: f64,
        /// Days skipped.
        skip_days: u32,
    },
    /// The part asked for is longer than ten years.
    #[error(
        "history `{history}` covers {days:.0} days (allowed: {DAYS_MAX:.0})\n\n\
         hint: replay a part with `--skip-days` and `--days`"
    )]
    TooLong {
        /// Its name.
        history: String,
        /// Days asked for.
        days: f64,
    },
    /// No stream gives a cell.
    #[error(
        "history `{history}` gives no cell in the days asked for: it has {found} (needed: a release, an \
         update of a direct dependency, an advisory that hits a version in use, a demand trace, or a suite \
         of at least {SUITE_RUNS_MIN} runs)\n\nhint: {hint}"
    )]
    NoCells {
        /// Its name.
        history: String,
        /// What it has, in words.
        found: String,
        /// What to do.
        hint: &'static str,
    },
}

const IMPORT_MORE: &str = "commits alone are no need: tag the releases of the repository (`git tag v1.0.0 COMMIT`) \
     and `prestage import git` it again, or add what else was recorded with `prestage import osv`, `csv`, \
     `prometheus`, `ci-csv` or `github-actions`";
const REPLAY_MORE: &str = "replay more days, or skip others";

impl ReplayError {
    /// Of a history whose dependencies were updated in so many commits.
    pub(crate) fn no_cells(history: &History, updates: usize) -> Self {
        let exposed = history
            .advisories
            .iter()
            .filter(|row| row.exposed_at_publish);
        let has_needs = !history.releases.is_empty()
            || updates > 0
            || exposed.count() > 0
            || !history.traffic.is_empty()
            || history.ci_runs.len() >= SUITE_RUNS_MIN;
        Self::NoCells {
            history: history.world.world.clone(),
            found: format!(
                "{} commits, {} tags, {} changes of dependencies ({updates} commits update a direct one), \
                 {} advisories, {} traffic series, {} CI runs",
                history.commits.len(),
                history.releases.len(),
                history.deps.len(),
                history.advisories.len(),
                history.traffic.len(),
                history.ci_runs.len(),
            ),
            hint: if has_needs { REPLAY_MORE } else { IMPORT_MORE },
        }
    }
}
