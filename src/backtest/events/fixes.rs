//! Signals of recorded histories and the updates that answered them.
//!
//! An advisory that hit the version in use is answered when the repository leaves the affected versions; a
//! release of a dependency, when the repository uses it or a later one.
use prestage_forecast::backtest::{Signal, Signals};
use prestage_telemetry::history::DependencyUpdate;
use prestage_telemetry::{History, Timestamp};

/// Signals a stream must have to be scored.
const SIGNALS_MIN: usize = 10;
/// Updates of a package that a repository must have for its releases to be signals.
const UPDATES_MIN: usize = 5;

/// Signals of one kind in one history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedSignals {
    /// `world/advisories`, or `world/package`.
    pub name: String,
    /// The signals, in order of time.
    pub signals: Signals,
}

/// What is known of a repository's dependencies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependencies {
    world: String,
    rows: Vec<DependencyUpdate>,
    end: Timestamp,
}

impl Dependencies {
    /// Of a history.
    pub fn of(history: &History) -> Self {
        let last = history.deps.last().map_or(0, |row| row.epoch);
        let commit = history.commits.last().map_or(0, |row| row.commit_epoch);
        Self {
            world: history.world.world.clone(),
            rows: history.deps.clone(),
            end: Timestamp::from_seconds(last.max(commit)),
        }
    }

    /// Releases of `package` from its first use on, each answered by the first update to it or beyond.
    pub fn adoptions(&self, package: &str, releases: &[(i64, String)]) -> Option<RecordedSignals> {
        let used: Vec<(i64, Version)> = self
            .rows
            .iter()
            .filter(|row| row.package == package)
            .filter_map(|row| {
                let versions = row.new_version.as_deref()?.split('|');
                Some((row.epoch, versions.filter_map(version_of).max()?))
            })
            .collect();
        let first = used.first()?.0;
        let answer = |at: i64, version: Version| {
            let later = used
                .iter()
                .find(|(when, has)| *when >= at && *has >= version);
            later.map(|&(when, _)| Timestamp::from_seconds(when))
        };
        let signals = releases
            .iter()
            .filter(|(at, _)| *at >= first && Timestamp::from_seconds(*at) < self.end)
            .filter_map(|(at, version)| {
                let version = version_of(version)?;
                // What is used already is news to nobody.
                let is_known = used.iter().any(|(when, has)| when < at && *has >= version);
                (!is_known).then(|| Signal {
                    at: Timestamp::from_seconds(*at),
                    answered: answer(*at, version),
                })
            });
        let name = format!("{}/{package}", self.world);
        let recorded = recorded(name, signals.collect(), self.end);
        recorded.filter(|_| used.len() >= UPDATES_MIN)
    }
}

/// Advisories that hit.
pub fn of_history(history: &History) -> Option<RecordedSignals> {
    let hits = history
        .advisories
        .iter()
        .filter(|row| row.exposed_at_publish);
    let signals = hits.map(|row| Signal {
        at: Timestamp::from_seconds(row.publish_epoch),
        answered: row.fix_epoch.map(Timestamp::from_seconds),
    });
    let name = format!("{}/advisories", history.world.world);
    recorded(name, signals.collect(), Dependencies::of(history).end)
}

fn recorded(name: String, mut signals: Vec<Signal>, end: Timestamp) -> Option<RecordedSignals> {
    signals.sort_by_key(|signal| signal.at);
    (signals.len() >= SIGNALS_MIN).then_some(RecordedSignals {
        name,
        signals: Signals { signals, end },
    })
}

type Version = [u64; 3];

/// The three numbers of `v1.2.3`, whatever follows them.
fn version_of(text: &str) -> Option<Version> {
    let mut numbers = text
        .trim_start_matches('v')
        .split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next()?.parse().ok();
    Some([next()?, next()?, next()?])
}

#[cfg(test)]
mod tests {
    use prestage_telemetry::history::DependencyChange;

    use super::*;

    fn update(day: i64, version: &str) -> DependencyUpdate {
        DependencyUpdate {
            epoch: day * 86_400,
            commit: format!("{day:07x}"),
            package: "example.org/a".to_owned(),
            old_version: None,
            new_version: Some(version.to_owned()),
            change: DependencyChange::Update,
            direct: None,
        }
    }

    #[test]
    fn a_release_is_answered_by_the_first_update_to_it_or_beyond() {
        let rows = (0..6).map(|i| update(100 * i, &format!("v1.{}.0", 2 * i)));
        let dependencies = Dependencies {
            world: "w".to_owned(),
            rows: rows.collect(),
            end: Timestamp::from_seconds(86_400 * 700),
        };
        // One before the first use, ten in between, one that nobody takes up, one used already.
        let mut releases = vec![(-86_400, "v0.9.0".to_owned())];
        releases.extend((1..11).map(|i| (86_400 * (50 * i - 30), format!("v1.{i}.0"))));
        releases.push((86_400 * 600, "v1.11.0".to_owned()));
        releases.push((86_400 * 600, "v1.3.9".to_owned()));
        let found = dependencies.adoptions("example.org/a", &releases).unwrap();
        assert_eq!(found.name, "w/example.org/a");
        let lag = |signal: &Signal| signal.answered.map(|at| (at - signal.at).as_hours() / 24.0);
        let lags: Vec<Option<f64>> = found.signals.signals.iter().map(lag).collect();
        let mut expected: Vec<Option<f64>> = [80.0, 30.0].repeat(5).into_iter().map(Some).collect();
        expected.push(None);
        assert_eq!(lags, expected);
        assert_eq!(dependencies.adoptions("example.org/b", &releases), None);
    }
}
