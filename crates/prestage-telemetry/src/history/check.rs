//! Counts what a valid history still lacks: gaps and repeated events.
//!
//! A history with gaps is legal, since the real ones have them; whoever replays it should know.
use super::History;

/// What [`check`] found, one entry for each stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Traffic series first, in the order of the world, then the event streams.
    pub streams: Vec<StreamReport>,
}

/// One stream of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamReport {
    /// `traffic SERVICE METRIC`, or the name of the event stream.
    pub name: String,
    /// Rows.
    pub rows: u64,
    /// First epoch second, if there is a row.
    pub first: Option<i64>,
    /// Last epoch second, if there is a row.
    pub last: Option<i64>,
    /// Distances of more than one and a half steps. Event streams have none.
    pub gaps: u64,
    /// The longest of them, seconds.
    pub gap_longest_s: i64,
    /// Rows that repeat the key of an earlier row: a commit, a tag, an advisory and its
    /// package, a dependency within its commit, a suite at one time.
    pub duplicates: u64,
}

/// Lists gaps, duplicates and counts of every stream.
pub fn check(history: &History) -> Report {
    let traffic = history.traffic.iter().map(|series| {
        let (gaps, gap_longest_s) = gaps(&series.times, series.step_s);
        let name = format!("traffic {} {}", series.service, series.metric);
        StreamReport {
            gaps,
            gap_longest_s,
            ..stream(&name, &series.times, 0)
        }
    });
    let mut streams: Vec<StreamReport> = traffic.collect();
    streams.extend(events(history));
    Report { streams }
}

fn events(history: &History) -> [StreamReport; 5] {
    [
        event_stream(
            "commits",
            &history.commits,
            |row| row.commit_epoch,
            |row| &row.commit,
        ),
        event_stream(
            "releases",
            &history.releases,
            |row| row.tag_epoch,
            |row| &row.tag,
        ),
        event_stream(
            "deps",
            &history.deps,
            |row| row.epoch,
            |row| (&row.commit, &row.package),
        ),
        event_stream(
            "advisories",
            &history.advisories,
            |row| row.publish_epoch,
            |row| (&row.id, &row.package),
        ),
        event_stream(
            "ci_runs",
            &history.ci_runs,
            |row| row.epoch,
            |row| (row.epoch, &row.suite),
        ),
    ]
}

fn event_stream<'a, R, K: Ord>(
    name: &str,
    rows: &'a [R],
    epoch: impl Fn(&R) -> i64,
    key: impl Fn(&'a R) -> K,
) -> StreamReport {
    let times: Vec<i64> = rows.iter().map(epoch).collect();
    let mut keys: Vec<K> = rows.iter().map(key).collect();
    keys.sort_unstable();
    keys.dedup();
    stream(name, &times, rows.len() - keys.len())
}

fn stream(name: &str, times: &[i64], duplicates: usize) -> StreamReport {
    StreamReport {
        name: name.to_owned(),
        rows: times.len() as u64,
        first: times.first().copied(),
        last: times.last().copied(),
        gaps: 0,
        gap_longest_s: 0,
        duplicates: duplicates as u64,
    }
}

fn gaps(times: &[i64], step_s: i64) -> (u64, i64) {
    let distances = times.windows(2).map(|pair| pair[1] - pair[0]);
    let long = distances.filter(|distance| distance * 2 > step_s.saturating_mul(3));
    long.fold((0, 0), |(count, longest), distance| {
        (count + 1, longest.max(distance))
    })
}
