//! A pipeline: 200 services commit, each commit is built, tested and deployed by one of
//! 32 runners a stage; the next stage of a commit joins the back of the queue.
//!
//! The check is the mean lead time in minutes: 18.4 of work, the rest is waiting
//! (the published comparison of engines gives 19.45).

use prestage_des::{EventQueue, Resource, SimTime, Stream, Streams};

use crate::Outcome;

const SERVICES: u32 = 200;
const RUNNERS: usize = 32;
/// Minutes between two commits of a service.
const COMMIT_GAP_MINUTES: f64 = 200.0 / 1.478;
/// Median in minutes and sigma of the lognormal durations of build, test, deploy.
const STAGES: [(f64, f64); 3] = [(4.0, 0.6), (8.0, 0.7), (3.0, 0.5)];

#[derive(Clone, Copy)]
enum Event {
    /// A service commits.
    Commit(u32),
    /// A runner finishes the present stage of a commit.
    StageDone(u32),
}

/// A commit on its way.
struct Commit {
    at: SimTime,
    stage: usize,
}

struct Pipeline {
    horizon: SimTime,
    gaps: Stream,
    durations: Stream,
    queue: EventQueue<Event>,
    runners: Resource<u32>,
    commits: Vec<Commit>,
    /// Places in `commits` that are free again.
    free: Vec<u32>,
    lead: SimTime,
    done: u64,
}

/// Runs until every commit of `days` days is deployed.
pub fn run(days: u64, seed: u64) -> Outcome {
    let mut pipeline = Pipeline::new(SimTime::from_days(days as i64), seed);
    for service in 0..SERVICES {
        pipeline.schedule_commit(service);
    }
    let mut events = 0;
    while let Some((now, event)) = pipeline.queue.pop() {
        events += 1;
        match event {
            Event::Commit(service) => pipeline.commit(now, service),
            Event::StageDone(commit) => pipeline.stage_done(now, commit),
        }
    }
    pipeline.runners.check_littles_law(pipeline.queue.now());
    Outcome {
        events,
        check: pipeline.lead.as_minutes_f64() / pipeline.done as f64,
    }
}

impl Pipeline {
    fn new(horizon: SimTime, seed: u64) -> Self {
        let streams = Streams::new(seed);
        Self {
            horizon,
            gaps: streams.open("gaps", 0),
            durations: streams.open("durations", 0),
            queue: EventQueue::new(),
            runners: Resource::new(RUNNERS),
            commits: Vec::new(),
            free: Vec::new(),
            lead: SimTime::ZERO,
            done: 0,
        }
    }

    fn schedule_commit(&mut self, service: u32) {
        let gap = minutes(self.gaps.exponential(COMMIT_GAP_MINUTES));
        self.queue.schedule_in(gap, Event::Commit(service));
    }

    fn commit(&mut self, now: SimTime, service: u32) {
        if now > self.horizon {
            return;
        }
        self.schedule_commit(service);
        let commit = self.store(Commit { at: now, stage: 0 });
        let started = self.runners.request(now, commit, 0);
        self.start(started);
    }

    fn store(&mut self, commit: Commit) -> u32 {
        if let Some(place) = self.free.pop() {
            self.commits[place as usize] = commit;
            return place;
        }
        self.commits.push(commit);
        (self.commits.len() - 1) as u32
    }

    fn stage_done(&mut self, now: SimTime, id: u32) {
        let commit = &mut self.commits[id as usize];
        commit.stage += 1;
        if commit.stage == STAGES.len() {
            self.lead += now - commit.at;
            self.done += 1;
            self.free.push(id);
        } else {
            // Asked for before the runner is given back: it goes to who waits longest.
            let started = self.runners.request(now, id, 0);
            self.start(started);
        }
        let started = self.runners.release(now);
        self.start(started);
    }

    fn start(&mut self, started: Option<u32>) {
        if let Some(id) = started {
            let (median, sigma) = STAGES[self.commits[id as usize].stage];
            let work = minutes(self.durations.lognormal(median, sigma));
            self.queue.schedule_in(work, Event::StageDone(id));
        }
    }
}

fn minutes(minutes: f64) -> SimTime {
    SimTime::from_secs_f64(minutes * 60.0)
}
