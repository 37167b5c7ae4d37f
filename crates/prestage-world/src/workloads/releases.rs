//! Feature releases: a gamma renewal process, moved into working hours, held back
//! until enough commits are in.
use prestage_des::{SimTime, Streams};

use super::{Workload, after, next_working};
use crate::exogenous::Exogenous;
use crate::scenario::ScenarioSpec;

pub(super) const ENTRY: Workload = Workload {
    name: "releases",
    about: "feature releases: gamma renewal, in working hours, once enough commits are in",
    generate,
};

fn generate(spec: &ScenarioSpec, streams: &Streams, record: &mut Exogenous) {
    for service in 0..spec.services.count {
        let mut stream = streams.open("releases", u64::from(service));
        let commits: Vec<SimTime> = record
            .commits
            .iter()
            .filter(|commit| commit.service == service)
            .map(|commit| commit.at)
            .collect();
        let mut last = record.history_start;
        loop {
            let gap_days = stream.gamma(spec.releases.regularity, spec.releases.mean_days);
            let mut at = next_working(after(last, gap_days * 86_400.0), stream.unit());
            while at < record.end
                && backlog(&commits, last, at) < spec.releases.min_commits as usize
            {
                at = next_working(at + SimTime::from_days(1), stream.unit());
            }
            if at >= record.end {
                break;
            }
            record.releases.push((at, service));
            last = at;
        }
    }
    record.releases.sort_unstable();
}

fn backlog(commits: &[SimTime], after: SimTime, until: SimTime) -> usize {
    commits.partition_point(|&at| at <= until) - commits.partition_point(|&at| at <= after)
}
