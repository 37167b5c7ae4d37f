//! When a repository used which version of a package, and whether an advisory covers it.
use std::collections::{BTreeMap, BTreeSet};

use prestage_telemetry::history::DependencyUpdate;
use semver::Version;

/// Versions of every package over time.
pub struct Timelines(BTreeMap<String, Timeline>);

/// Versions of one package over time.
#[derive(Default)]
pub struct Timeline {
    /// From each epoch on, the versions in use.
    states: Vec<(i64, BTreeSet<String>)>,
    /// Whether the repository ever named it itself, where known.
    pub direct: Option<bool>,
}

/// What an advisory means for a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exposure {
    /// Versions in use at publication, joined by a bar.
    pub used_version: Option<String>,
    /// Whether one of them is affected.
    pub exposed_at_publish: bool,
    /// Whether one ever was.
    pub ever_vulnerable: bool,
    /// When the affected versions were left: the first time after publication, or the last before it.
    pub fix_epoch: Option<i64>,
}

/// The versions that an advisory covers.
#[derive(Clone, Debug, Default)]
pub struct Vulnerable {
    listed: BTreeSet<String>,
    ranges: Vec<Bounds>,
}

#[derive(Clone, Debug)]
struct Bounds {
    introduced: String,
    end: Option<End>,
}

#[derive(Clone, Debug)]
enum End {
    /// The first version that is not affected.
    Fixed(String),
    /// The last version that is.
    LastAffected(String),
}

impl Timelines {
    /// Out of the changes of a history, in order of time.
    pub fn new(deps: &[DependencyUpdate]) -> Self {
        let mut timelines: BTreeMap<String, Timeline> = BTreeMap::new();
        for change in deps {
            let timeline = timelines.entry(change.package.clone()).or_default();
            let versions = change.new_version.as_deref().unwrap_or_default();
            let versions = versions.split('|').filter(|version| !version.is_empty());
            timeline
                .states
                .push((change.epoch, versions.map(str::to_owned).collect()));
            if change.direct == Some(true) || timeline.direct.is_none() {
                timeline.direct = change.direct;
            }
        }
        Self(timelines)
    }

    /// Of a package that was ever in use.
    pub fn of(&self, package: &str) -> Option<&Timeline> {
        self.0.get(package)
    }
}

impl Timeline {
    /// What an advisory published at `epoch` means.
    pub fn exposure(&self, vulnerable: &Vulnerable, epoch: i64) -> Exposure {
        let covers = |versions: &BTreeSet<String>| versions.iter().any(|v| vulnerable.covers(v));
        let (before, after) = self
            .states
            .split_at(self.states.partition_point(|s| s.0 <= epoch));
        let at_publish = before.last().map(|(_, versions)| versions);
        let exposed = at_publish.is_some_and(covers);
        let fix_epoch = if exposed {
            after
                .iter()
                .find(|(_, versions)| !covers(versions))
                .map(|(time, _)| *time)
        } else {
            let left =
                |pair: &&[(i64, BTreeSet<String>)]| covers(&pair[0].1) && !covers(&pair[1].1);
            before.windows(2).rev().find(left).map(|pair| pair[1].0)
        };
        let used: Option<Vec<&str>> =
            at_publish.map(|versions| versions.iter().map(String::as_str).collect());
        Exposure {
            used_version: used
                .filter(|used| !used.is_empty())
                .map(|used| used.join("|")),
            exposed_at_publish: exposed,
            ever_vulnerable: self.states.iter().any(|(_, versions)| covers(versions)),
            fix_epoch,
        }
    }
}

impl Vulnerable {
    /// Listed versions, and no range yet.
    pub fn new(listed: &[String]) -> Self {
        Self {
            listed: listed.iter().cloned().collect(),
            ranges: Vec::new(),
        }
    }

    /// Adds a range as OSV has it: events that begin and end being affected.
    pub fn add_range<'a>(&mut self, events: impl Iterator<Item = (&'a str, &'a str)>) {
        let mut open: Option<String> = None;
        for (kind, version) in events {
            let end = match kind {
                "introduced" => {
                    open = Some(version.to_owned());
                    continue;
                }
                "fixed" => End::Fixed(version.to_owned()),
                "last_affected" => End::LastAffected(version.to_owned()),
                _ => continue,
            };
            if let Some(introduced) = open.take() {
                self.ranges.push(Bounds {
                    introduced,
                    end: Some(end),
                });
            }
        }
        if let Some(introduced) = open {
            self.ranges.push(Bounds {
                introduced,
                end: None,
            });
        }
    }

    /// Whether a version is affected. One that is no semantic version is so only if it is listed.
    pub fn covers(&self, version: &str) -> bool {
        if self.listed.contains(version) || self.listed.contains(version.trim_start_matches('v')) {
            return true;
        }
        let Some(version) = semantic(version) else {
            return false;
        };
        self.ranges.iter().any(|range| range.covers(&version))
    }

    /// The ranges as text, or the listed versions where there is none.
    pub fn shown(&self) -> Vec<String> {
        if self.ranges.is_empty() {
            return self.listed.iter().cloned().collect();
        }
        let show = |range: &Bounds| match &range.end {
            None => format!(">={}", range.introduced),
            Some(End::Fixed(version)) => format!(">={} <{version}", range.introduced),
            Some(End::LastAffected(version)) => format!(">={} <={version}", range.introduced),
        };
        self.ranges.iter().map(show).collect()
    }

    /// The versions that repair it.
    pub fn fixed(&self) -> Vec<String> {
        let fixed = |range: &Bounds| match &range.end {
            Some(End::Fixed(version)) => Some(version.clone()),
            _ => None,
        };
        self.ranges.iter().filter_map(fixed).collect()
    }
}

impl Bounds {
    fn covers(&self, version: &Version) -> bool {
        // `0` stands for before every version, also before the prereleases of 0.0.0.
        let after_start = self.introduced == "0"
            || semantic(&self.introduced).is_some_and(|introduced| *version >= introduced);
        let before_end = match &self.end {
            None => true,
            Some(End::Fixed(end)) => semantic(end).is_some_and(|end| *version < end),
            Some(End::LastAffected(end)) => semantic(end).is_some_and(|end| *version <= end),
        };
        after_start && before_end
    }
}

/// A version as semantic versioning has it; missing parts are zero.
fn semantic(text: &str) -> Option<Version> {
    let text = text.trim_start_matches('v');
    let end = text.find(['-', '+']).unwrap_or(text.len());
    let (numbers, rest) = text.split_at(end);
    let parts = numbers.split('.').count();
    if parts > 3 {
        return None;
    }
    let padding = ".0".repeat(3 - parts);
    Version::parse(&format!("{numbers}{padding}{rest}")).ok()
}

#[cfg(test)]
mod tests {
    use prestage_telemetry::history::DependencyChange;

    use super::*;

    fn change(epoch: i64, new: &str) -> DependencyUpdate {
        DependencyUpdate {
            epoch,
            commit: "c".to_owned(),
            package: "hyper".to_owned(),
            old_version: None,
            new_version: (!new.is_empty()).then(|| new.to_owned()),
            change: DependencyChange::Update,
            direct: Some(true),
        }
    }

    fn below(fixed: &str) -> Vulnerable {
        let mut vulnerable = Vulnerable::default();
        vulnerable.add_range([("introduced", "0"), ("fixed", fixed)].into_iter());
        vulnerable
    }

    #[track_caller]
    fn check(
        changes: &[DependencyUpdate],
        epoch: i64,
        expected: (Option<&str>, bool, bool, Option<i64>),
    ) {
        let timelines = Timelines::new(changes);
        let found = timelines
            .of("hyper")
            .unwrap()
            .exposure(&below("1.2.0"), epoch);
        let used = found.used_version.as_deref();
        assert_eq!(
            (
                used,
                found.exposed_at_publish,
                found.ever_vulnerable,
                found.fix_epoch
            ),
            expected
        );
    }

    #[test]
    fn exposure_is_read_off_the_timeline() {
        let history = [
            change(10, "1.0.0"),
            change(20, "1.1.0|2.0.0"),
            change(30, "1.2.0"),
        ];
        check(&history, 15, (Some("1.0.0"), true, true, Some(30)));
        check(&history, 25, (Some("1.1.0|2.0.0"), true, true, Some(30)));
        check(&history, 35, (Some("1.2.0"), false, true, Some(30)));
        check(&history, 5, (None, false, true, None));
        check(&history[..2], 25, (Some("1.1.0|2.0.0"), true, true, None));
        check(
            &[change(10, "3.0.0")],
            15,
            (Some("3.0.0"), false, false, None),
        );
        check(
            &[change(10, "1.0.0"), change(20, "")],
            15,
            (Some("1.0.0"), true, true, Some(20)),
        );
    }

    #[test]
    fn ranges_follow_semantic_versions() {
        let mut vulnerable = Vulnerable::new(&["weird".to_owned()]);
        let events = [
            ("introduced", "1.0.0"),
            ("fixed", "1.2"),
            ("introduced", "2.0.0"),
            ("last_affected", "2.3.1"),
        ];
        vulnerable.add_range(events.into_iter());
        for version in ["1.0.0", "v1.1.9", "2.3.1", "1.2.0-rc.1", "weird"] {
            assert!(vulnerable.covers(version), "{version}");
        }
        for version in ["0.9.9", "1.2.0", "2.3.2", "1.0.0-rc.1", "other"] {
            assert!(!vulnerable.covers(version), "{version}");
        }
        // Go's pseudo-versions order as prereleases do.
        let pseudo = below("0.0.0-20200220183623-bac4c82f6975");
        assert!(pseudo.covers("v0.0.0-20190308221718-c2843e01d9a2"));
        assert!(!pseudo.covers("v0.0.0-20210314154223-e6e6c4f2bb5b"));
        assert_eq!(vulnerable.shown(), [">=1.0.0 <1.2", ">=2.0.0 <=2.3.1"]);
    }
}
