//! Properties of preemptive resources against a naive pool that searches lists.
//!
//! Must not know how jobs in service are stored.

use prestage_des::preemptive::{Demand, Interrupted, OnLoss, Preemption, Resized, Start};
use prestage_des::{PreemptiveResource, SimTime};
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Operation {
    Request { class: u8, work_micros: i64 },
    Withdraw { choice: u32 },
    SetServers { servers: usize, preempt: bool },
    ResetStatistics,
}

fn operations() -> impl Strategy<Value = Vec<(i64, Operation)>> {
    let operation = prop_oneof![
        8 => (0_u8..4, 0_i64..3_000)
            .prop_map(|(class, work_micros)| Operation::Request { class, work_micros }),
        1 => any::<u32>().prop_map(|choice| Operation::Withdraw { choice }),
        1 => (0_usize..5, any::<bool>())
            .prop_map(|(servers, preempt)| Operation::SetServers { servers, preempt }),
        1 => Just(Operation::ResetStatistics),
    ];
    proptest::collection::vec((0_i64..1_000, operation), 0..200)
}

/// Jobs are numbered in order of request, so (class, job) is the order of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Job {
    class: u8,
    job: u32,
    left: SimTime,
    since: SimTime,
}

struct Pool {
    preemption: Preemption,
    servers: usize,
    serving: Vec<Job>,
    waiting: Vec<Job>,
}

impl Pool {
    fn start(&mut self, now: SimTime, mut job: Job) -> Start<u32> {
        job.since = now;
        self.serving.push(job);
        let Job {
            job, left: work, ..
        } = job;
        Start { job, work }
    }

    fn start_next(&mut self, now: SimTime) -> Option<Start<u32>> {
        if self.serving.len() >= self.servers {
            return None;
        }
        let next = self.waiting.iter().copied().min()?;
        self.waiting.retain(|&waiting| waiting != next);
        Some(self.start(now, next))
    }

    /// The worst class, then the last to start.
    fn worst(&self) -> Option<Job> {
        let worst = self.serving.iter().map(|job| job.class).max()?;
        let last_first = self.serving.iter().rev();
        last_first.copied().find(|job| job.class == worst)
    }

    fn preempt(&mut self, now: SimTime, victim: Job) -> u32 {
        self.serving.retain(|&job| job != victim);
        let mut left = victim.left;
        if self.preemption.interrupted == Interrupted::Resumes {
            left -= now - victim.since;
        }
        self.waiting.push(Job {
            left,
            since: now,
            ..victim
        });
        victim.job
    }

    /// The next end up to `until`.
    fn next_end(&self, until: SimTime) -> Option<(SimTime, u32)> {
        let ends = self
            .serving
            .iter()
            .map(|job| (job.since + job.left, job.job));
        ends.min().filter(|&(end, _)| end <= until)
    }
}

proptest! {
    #[test]
    fn preemptive_resource_equals_naive_pool(
        servers in 0_usize..4,
        from_class in 0_u8..4,
        restarts in any::<bool>(),
        operations in operations(),
    ) {
        let interrupted = if restarts { Interrupted::Restarts } else { Interrupted::Resumes };
        let preemption = Preemption { from_class, interrupted };
        let mut pool = Pool { preemption, servers, serving: Vec::new(), waiting: Vec::new() };
        let mut resource = PreemptiveResource::new(servers, preemption);
        let mut now = SimTime::ZERO;
        let mut jobs = 0_u32;

        for (elapsed, operation) in operations {
            let until = now + SimTime::from_micros(elapsed);
            while let Some((end, job)) = pool.next_end(until) {
                now = end;
                pool.serving.retain(|other| other.job != job);
                prop_assert_eq!(resource.finish(now, job), pool.start_next(now));
                resource.check_conservation(now);
            }
            now = until;
            match operation {
                Operation::Request { class, work_micros } => {
                    let left = SimTime::from_micros(work_micros);
                    let job = Job { class, job: jobs, left, since: now };
                    let victim = pool.worst().filter(|worst| {
                        pool.serving.len() == pool.servers
                            && worst.class > class
                            && worst.class >= from_class
                    });
                    let preempted = victim.map(|victim| pool.preempt(now, victim));
                    let free = preempted.is_some() || pool.serving.len() < pool.servers;
                    let started = free.then(|| pool.start(now, job));
                    if !free {
                        pool.waiting.push(job);
                    }
                    let admission = resource.request(now, jobs, Demand { class, work: left });
                    prop_assert_eq!(admission.preempted, preempted);
                    prop_assert_eq!(admission.started, started);
                    jobs += 1;
                }
                Operation::Withdraw { choice } => {
                    let job = choice % (jobs + 1);
                    let before = (pool.serving.len(), pool.waiting.len());
                    pool.serving.retain(|other| other.job != job);
                    pool.waiting.retain(|other| other.job != job);
                    let expected = if before == (pool.serving.len(), pool.waiting.len()) {
                        None
                    } else if pool.serving.len() < before.0 {
                        Some(pool.start_next(now))
                    } else {
                        Some(None)
                    };
                    prop_assert_eq!(resource.withdraw(now, job), expected);
                }
                Operation::SetServers { servers, preempt } => {
                    pool.servers = servers;
                    let mut preempted = Vec::new();
                    while preempt && pool.serving.len() > servers {
                        let victim = pool.worst().unwrap();
                        preempted.push(pool.preempt(now, victim));
                    }
                    let started = std::iter::from_fn(|| pool.start_next(now)).collect();
                    let on_loss = if preempt { OnLoss::Preempt } else { OnLoss::Finish };
                    let resized = resource.set_servers(now, servers, on_loss);
                    prop_assert_eq!(resized, Resized { preempted, started });
                }
                Operation::ResetStatistics => resource.reset_statistics(now),
            }
            let serving: Vec<(u32, u8)> =
                pool.serving.iter().map(|job| (job.job, job.class)).collect();
            prop_assert_eq!(resource.in_service().collect::<Vec<_>>(), serving);
            pool.waiting.sort_unstable();
            let waiting: Vec<(u32, u8, SimTime)> =
                pool.waiting.iter().map(|job| (job.job, job.class, job.since)).collect();
            prop_assert_eq!(resource.waiting().collect::<Vec<_>>(), waiting);
            resource.check_conservation(now);
            resource.check_conservation(now + SimTime::from_micros(500));
        }
    }
}

#[test]
#[should_panic(expected = "was its event cancelled when it was preempted?")]
fn an_end_that_was_not_cancelled_is_found() {
    let second = SimTime::from_secs;
    let preemption = Preemption {
        from_class: 1,
        interrupted: Interrupted::Resumes,
    };
    let mut runner = PreemptiveResource::new(1, preemption);
    let demand = |class, work| Demand {
        class,
        work: second(work),
    };
    runner.request(second(0), 'g', demand(1, 5));
    runner.request(second(1), 'c', demand(0, 1));
    runner.finish(second(2), 'c');
    // The first end of the guess, now void, comes while it is in service again.
    runner.finish(second(5), 'g');
}
