//! Properties of resources against a naive pool that searches a list.
//!
//! Must not know how the queue of a resource is stored.

use prestage_des::{Resource, SimTime};
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Operation {
    Request { class: u8 },
    Release,
    Promote { choice: u32, class: u8 },
    Withdraw { choice: u32 },
    SetServers { servers: usize },
    ResetStatistics,
}

fn operations() -> impl Strategy<Value = Vec<(i64, Operation)>> {
    let operation = prop_oneof![
        6 => (0_u8..3).prop_map(|class| Operation::Request { class }),
        5 => Just(Operation::Release),
        2 => (any::<u32>(), 0_u8..3)
            .prop_map(|(choice, class)| Operation::Promote { choice, class }),
        2 => any::<u32>().prop_map(|choice| Operation::Withdraw { choice }),
        1 => (0_usize..5).prop_map(|servers| Operation::SetServers { servers }),
        1 => Just(Operation::ResetStatistics),
    ];
    proptest::collection::vec((0_i64..1_000_000, operation), 0..300)
}

/// Jobs are numbered in order of request, so (class, job) is the order of service.
struct Pool {
    servers: usize,
    busy: usize,
    waiting: Vec<(u8, u32, SimTime)>,
    waits_sum: SimTime,
    started: u64,
}

impl Pool {
    fn start_next(&mut self, now: SimTime) -> Option<u32> {
        if self.busy >= self.servers {
            return None;
        }
        let next = self.waiting.iter().copied().min()?;
        self.waiting.retain(|&waiting| waiting != next);
        self.busy += 1;
        self.started += 1;
        self.waits_sum += now - next.2;
        Some(next.1)
    }
}

proptest! {
    #[test]
    fn resource_equals_naive_pool(servers in 0_usize..4, operations in operations()) {
        let mut pool = Pool {
            servers,
            busy: 0,
            waiting: Vec::new(),
            waits_sum: SimTime::ZERO,
            started: 0,
        };
        let mut resource = Resource::new(servers);
        let mut now = SimTime::ZERO;
        let mut jobs = 0_u32;

        for (elapsed, operation) in operations {
            now += SimTime::from_micros(elapsed);
            match operation {
                Operation::Request { class } => {
                    pool.waiting.push((class, jobs, now));
                    prop_assert_eq!(resource.request(now, jobs, class), pool.start_next(now));
                    jobs += 1;
                }
                Operation::Release if pool.busy > 0 => {
                    pool.busy -= 1;
                    prop_assert_eq!(resource.release(now), pool.start_next(now));
                }
                Operation::Release => {}
                Operation::Promote { choice, class } => {
                    let job = choice % (jobs + 1);
                    let worse = pool
                        .waiting
                        .iter_mut()
                        .find(|waiting| waiting.1 == job && waiting.0 > class);
                    let expected = worse.map(|waiting| waiting.0 = class).is_some();
                    prop_assert_eq!(resource.promote(job, class), expected);
                }
                Operation::Withdraw { choice } => {
                    let job = choice % (jobs + 1);
                    let before = pool.waiting.len();
                    pool.waiting.retain(|waiting| waiting.1 != job);
                    let expected = pool.waiting.len() < before;
                    prop_assert_eq!(resource.withdraw(now, job), expected);
                }
                Operation::SetServers { servers } => {
                    pool.servers = servers;
                    let expected: Vec<u32> =
                        std::iter::from_fn(|| pool.start_next(now)).collect();
                    prop_assert_eq!(resource.set_servers(now, servers), expected);
                }
                Operation::ResetStatistics => {
                    resource.reset_statistics(now);
                    pool.waits_sum = SimTime::ZERO;
                    pool.started = 0;
                }
            }
            prop_assert_eq!(resource.busy(), pool.busy);
            prop_assert_eq!(resource.queue_length(), pool.waiting.len());
            let waits = resource.waits_total();
            prop_assert_eq!((waits.count, waits.sum), (pool.started, pool.waits_sum));
            let mut expected = pool.waiting.clone();
            expected.sort_unstable();
            let order: Vec<(u8, u32, SimTime)> =
                resource.waiting().map(|(job, class, since)| (class, job, since)).collect();
            prop_assert_eq!(order, expected);
            resource.check_littles_law(now);
            resource.check_littles_law(now + SimTime::from_secs(1));
        }
    }
}

#[test]
fn a_better_class_overtakes_and_a_promoted_job_keeps_its_seniority() {
    let second = SimTime::from_secs;
    let mut runners = Resource::new(1);
    assert_eq!(runners.request(second(0), 0, 5), Some(0));
    for job in 1..=3 {
        assert_eq!(runners.request(second(1), job, 5), None);
    }
    assert_eq!(runners.request(second(2), 9, 1), None);
    assert!(runners.promote(2, 1), "job 2 was requested before job 9");
    assert!(
        !runners.promote(2, 5),
        "a job cannot be moved to a worse class"
    );
    let served: Vec<i32> = std::iter::from_fn(|| runners.release(second(4))).collect();
    assert_eq!(served, [2, 9, 1, 3]);
    assert_eq!(runners.waits(1).sum, second(3 + 2));
    assert_eq!(runners.waits(5).max, second(3));
}

#[test]
fn a_shrunken_pool_interrupts_nobody() {
    let second = SimTime::from_secs;
    let mut runners = Resource::new(2);
    for job in 0..4 {
        runners.request(second(0), job, 0);
    }
    assert!(runners.set_servers(second(1), 1).is_empty());
    assert_eq!((runners.busy(), runners.servers()), (2, 1));
    assert_eq!(runners.release(second(2)), None);
    assert_eq!(runners.release(second(3)), Some(2));
    assert_eq!(runners.set_servers(second(4), 3), [3]);
}

#[test]
#[should_panic(expected = "released a server that was not busy")]
fn releasing_an_idle_server_is_a_bug() {
    Resource::<u32>::new(1).release(SimTime::ZERO);
}

#[test]
#[should_panic(expected = "time ran backwards")]
fn time_runs_forwards() {
    let mut runners = Resource::starting_at(SimTime::from_secs(1), 1);
    runners.request(SimTime::ZERO, 1, 0);
}
