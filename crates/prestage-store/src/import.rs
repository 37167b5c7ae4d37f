//! Importers: histories out of what other tools recorded.
//!
//! Each importer fills some streams of a history ([`Streams`]); [`Streams::write_into`] puts them into a
//! history directory beside the streams that other importers filled. Unknown stays unknown.
pub mod actions;
pub mod csv_runs;
pub mod csv_traffic;
mod error;
pub mod git;
pub mod openmetrics;
pub mod osv;
pub mod prometheus;
mod table;

use std::path::Path;

use prestage_telemetry::history::{
    Advisory, CiRun, Commit, DependencyUpdate, History, Release, ServiceMeta, TrafficSeries,
    WorldMeta,
};

pub use error::Error;

/// Streams that an importer filled; `None` is a stream it knows nothing of.
#[derive(Clone, Debug, Default)]
pub struct Streams {
    /// Name of the repository, where it is known.
    pub repo: Option<String>,
    /// Traffic, with what it is; replaces series of the same service and metric.
    pub traffic: Vec<(ServiceMeta, TrafficSeries)>,
    /// Commits.
    pub commits: Option<Vec<Commit>>,
    /// Releases.
    pub releases: Option<Vec<Release>>,
    /// Changes of dependencies.
    pub deps: Option<Vec<DependencyUpdate>>,
    /// Advisories.
    pub advisories: Option<Vec<Advisory>>,
    /// Runs of continuous integration.
    pub ci_runs: Option<Vec<CiRun>>,
    /// What was left out and why, one line each.
    pub notes: Vec<String>,
}

impl Streams {
    /// Writes the streams into the history in `directory`, which is made if it is absent, and
    /// returns the whole history. Streams that are `None` stay as they are.
    ///
    /// # Errors
    /// When the directory holds something else, or the disk fails.
    pub fn write_into(self, directory: &Path) -> Result<History, Error> {
        let mut history = if directory.join("world.json").is_file() {
            History::read(directory)?
        } else {
            empty(directory)
        };
        self.replace(&mut history);
        cover(&mut history);
        history.count_rows();
        history.write(directory)?;
        Ok(history)
    }

    fn replace(self, history: &mut History) {
        if self.repo.is_some() {
            history.world.repo = self.repo;
        }
        for (meta, series) in self.traffic {
            let is_same = |known: &TrafficSeries| {
                (&known.service, &known.metric) == (&series.service, &series.metric)
            };
            match history.traffic.iter().position(is_same) {
                Some(place) => {
                    history.world.services[place] = meta;
                    history.traffic[place] = series;
                }
                None => {
                    history.world.services.push(meta);
                    history.traffic.push(series);
                }
            }
        }
        take(&mut history.commits, self.commits, |row| row.commit_epoch);
        take(&mut history.releases, self.releases, |row| row.tag_epoch);
        take(&mut history.deps, self.deps, |row| row.epoch);
        take(&mut history.advisories, self.advisories, |row| {
            row.publish_epoch
        });
        take(&mut history.ci_runs, self.ci_runs, |row| row.epoch);
    }
}

/// Puts a stream in the place of another, in order of time.
fn take<R>(stream: &mut Vec<R>, new: Option<Vec<R>>, epoch: impl Fn(&R) -> i64) {
    if let Some(mut new) = new {
        new.sort_by_key(epoch);
        *stream = new;
    }
}

fn empty(directory: &Path) -> History {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    History {
        world: WorldMeta::new(&name, 0, 1),
        traffic: Vec::new(),
        commits: Vec::new(),
        releases: Vec::new(),
        deps: Vec::new(),
        advisories: Vec::new(),
        ci_runs: Vec::new(),
    }
}

/// Lets the replay range cover what can be replayed: advisories reach back before the repository.
fn cover(history: &mut History) {
    let ends = |times: &mut dyn Iterator<Item = i64>| {
        times.fold(None, |ends: Option<(i64, i64)>, time| {
            Some(ends.map_or((time, time), |(first, last)| {
                (first.min(time), last.max(time))
            }))
        })
    };
    let mut all = history
        .traffic
        .iter()
        .flat_map(|series| series.times.iter().copied())
        .chain(history.commits.iter().map(|row| row.commit_epoch))
        .chain(history.releases.iter().map(|row| row.tag_epoch))
        .chain(history.deps.iter().map(|row| row.epoch))
        .chain(history.ci_runs.iter().map(|row| row.epoch));
    if let Some((first, last)) = ends(&mut all) {
        history.world.replay_start = first;
        history.world.replay_end = last + 1;
    }
}

#[cfg(test)]
mod tests;
