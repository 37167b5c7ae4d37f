//! When the builds alone leave no runner to speculative work.
//!
//! Builds go before speculative jobs, so one of those starts only while every build that
//! is there runs and a runner is free: while fewer builds are in the system than there
//! are runners. Whatever else runs only delays builds, each of which starts, by induction
//! over their order, no sooner than in a pool that has nothing but them to do. So in any
//! run as many builds are in the system as there, or more, and no speculative job starts
//! while that pool is full. More runners leave less of that time.
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use prestage_des::SimTime;
use prestage_world::{Exogenous, WorldOptions};

/// Times at which builds alone fill the pool.
pub(super) struct FullTimes {
    /// Disjoint and ascending: begin and end.
    spans: Vec<(SimTime, SimTime)>,
}

/// A pool that has nothing but builds to do.
struct Pool {
    runners: u32,
    /// Ends of the builds that run.
    running: BinaryHeap<Reverse<SimTime>>,
    /// Durations of those that wait, in order.
    waiting: VecDeque<SimTime>,
}

impl Pool {
    fn is_full(&self) -> bool {
        self.running.len() + self.waiting.len() >= self.runners as usize
    }

    fn start_builds(&mut self, now: SimTime) {
        while self.running.len() < self.runners as usize
            && let Some(duration) = self.waiting.pop_front()
        {
            self.running.push(Reverse(now + duration));
        }
    }

    /// Ends the next build that is over by `until`; when that is.
    fn finish_by(&mut self, until: SimTime) -> Option<SimTime> {
        let &Reverse(at) = self.running.peek()?;
        (at <= until).then(|| {
            self.running.pop();
            at
        })
    }
}

/// What happens to the pool from outside.
enum Change {
    Build(SimTime),
    Runners(u32),
}

impl FullTimes {
    /// Runs the builds of the accounted time.
    pub fn of(record: &Exogenous, options: &WorldOptions) -> Self {
        Self::in_pool(options.runners, changes(record, options), record.end)
    }

    fn in_pool(runners: u32, changes: Vec<(SimTime, Change)>, end: SimTime) -> Self {
        let mut pool = Pool {
            runners,
            running: BinaryHeap::new(),
            waiting: VecDeque::new(),
        };
        let mut full = Spans::default();
        for (at, change) in changes {
            while let Some(end) = pool.finish_by(at) {
                pool.start_builds(end);
                full.set(end, pool.is_full());
            }
            match change {
                Change::Build(duration) => pool.waiting.push_back(duration),
                Change::Runners(runners) => pool.runners = runners,
            }
            pool.start_builds(at);
            full.set(at, pool.is_full());
        }
        while let Some(end) = pool.finish_by(SimTime::MAX) {
            pool.start_builds(end);
            full.set(end, pool.is_full());
        }
        Self {
            spans: full.closed(end),
        }
    }

    /// The first time from `at` on at which speculative work can start.
    pub fn over(&self, at: SimTime) -> SimTime {
        let after = self.spans.partition_point(|&(begin, _)| begin < at);
        match after.checked_sub(1).map(|index| self.spans[index]) {
            Some((_, end)) if at < end => end,
            _ => at,
        }
    }
}

fn changes(record: &Exogenous, options: &WorldOptions) -> Vec<(SimTime, Change)> {
    let mut changes = Vec::new();
    for (index, commit) in (0u32..).zip(&record.commits) {
        if record.start <= commit.at && commit.at < record.end {
            let duration = options.build_duration(index, commit.service);
            changes.push((commit.at, Change::Build(duration)));
        }
    }
    for outage in &record.outages {
        if outage.until > record.start {
            let left = options.runners_in_outage(outage.share);
            changes.push((outage.at.max(record.start), Change::Runners(left)));
            changes.push((outage.until, Change::Runners(options.runners)));
        }
    }
    // Where one outage ends as the next begins, the world ends up with all runners.
    let last = |change: &Change| matches!(change, Change::Runners(all) if *all == options.runners);
    changes.sort_by_key(|(at, change)| (*at, last(change)));
    changes
}

/// Gathers spans of time in which something holds.
#[derive(Default)]
struct Spans {
    spans: Vec<(SimTime, SimTime)>,
    since: Option<SimTime>,
}

impl Spans {
    fn set(&mut self, at: SimTime, holds: bool) {
        match (self.since, holds) {
            (None, true) => self.since = Some(at),
            (Some(since), false) => {
                self.spans.push((since, at));
                self.since = None;
            }
            _ => {}
        }
    }

    fn closed(mut self, end: SimTime) -> Vec<(SimTime, SimTime)> {
        self.set(end.max(self.since.unwrap_or(end)), false);
        self.spans
    }
}

#[cfg(test)]
mod tests {
    use prestage_des::Streams;
    use proptest::prelude::*;

    use super::*;

    /// Builds in the system at `at`, from when each starts: on the runner free soonest.
    fn in_system(builds: &[(SimTime, SimTime)], runners: usize, at: SimTime) -> usize {
        let mut free = vec![SimTime::ZERO; runners];
        let ends = builds.iter().map(|&(arrival, duration)| {
            free.sort_unstable();
            free[0] = free[0].max(arrival) + duration;
            free[0]
        });
        let ends: Vec<SimTime> = ends.collect();
        let there =
            |&(&(arrival, _), &end): &(&(SimTime, SimTime), &SimTime)| arrival <= at && at < end;
        builds.iter().zip(&ends).filter(there).count()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

        #[test]
        fn it_is_full_while_as_many_builds_are_there_as_runners(seed in any::<u64>()) {
            let mut draw = Streams::new(seed).open("builds", 0);
            let runners = draw.uniform(1.0, 4.0) as usize;
            let mut at = SimTime::ZERO;
            let mut builds = Vec::new();
            for _ in 0..40 {
                at += SimTime::from_secs_f64(draw.exponential(600.0));
                builds.push((at, SimTime::from_secs_f64(draw.exponential(900.0))));
            }
            let changes = builds.iter().map(|&(at, duration)| (at, Change::Build(duration)));
            let full = FullTimes::in_pool(runners as u32, changes.collect(), SimTime::from_days(9));
            for _ in 0..200 {
                let at = SimTime::from_secs_f64(draw.uniform(1.0, 40_000.0));
                let free = in_system(&builds, runners, at) < runners;
                prop_assert_eq!(full.over(at) == at, free, "at {}", at);
                let over = full.over(at);
                prop_assert!(in_system(&builds, runners, over) < runners || over == at);
            }
        }
    }
}
