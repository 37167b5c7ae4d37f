//! Known answers beyond M/M/c, each within one percent: general service, priorities with
//! and without preemption, a tandem network.
//!
//! Must not know how the kernel works inside.

use prestage_des::output_analysis::index_of_dispersion;
use prestage_des::preemptive::{Interrupted, Preemption};
use prestage_des::{EventQueue, PreemptiveResource, Resource, SimTime, Stream, Streams, Tally};

use crate::ci::{COMMIT, Ci, SPECULATIVE, Shape};
use crate::erlang_c;
use crate::shape;

/// Replications of one system; their spread says whether the run was long enough.
const SEEDS: u64 = 10;
const WARM_UP_CUSTOMERS: u64 = 5_000;

/// Compares the means over all seeds with theory, figure by figure.
#[track_caller]
fn check<const FIGURES: usize>(theory: [f64; FIGURES], run: impl Fn(u64) -> [f64; FIGURES]) {
    let runs: Vec<[f64; FIGURES]> = (0..SEEDS).map(run).collect();
    for (figure, exact) in theory.into_iter().enumerate() {
        let errors: Tally = runs.iter().map(|run| run[figure] / exact - 1.0).collect();
        let (mean, error) = (errors.mean(), errors.standard_error());
        assert!(
            error < 0.005,
            "figure {figure}: the run is too short for one percent: +- {error:.4}"
        );
        assert!(
            mean.abs() < 0.01,
            "figure {figure} is off by {mean:+.4} +- {error:.4} from {exact:.4}"
        );
    }
}

/// The mean wait of M/G/1 in seconds; services have mean 1 s.
fn mg1(seed: u64, customers: u64, utilization: f64, service: fn(&mut Stream) -> f64) -> f64 {
    let streams = Streams::new(seed);
    let mut arrivals = streams.open("arrivals", 0);
    let mut services = streams.open("services", 0);
    let mut server = Resource::new(1);
    let mut queue = EventQueue::new();
    queue.schedule(SimTime::ZERO, true);
    let mut warm = false;
    while server.waits(0).count < customers {
        let (now, is_arrival) = queue.pop().expect("an arrival is always scheduled");
        let started = if is_arrival {
            let gap = arrivals.exponential(1.0 / utilization);
            queue.schedule_in(SimTime::from_secs_f64(gap), true);
            server.request(now, (), 0)
        } else {
            server.release(now)
        };
        if started.is_some() {
            let work = SimTime::from_secs_f64(service(&mut services));
            queue.schedule_in(work, false);
        }
        if !warm && server.waits(0).count == WARM_UP_CUSTOMERS {
            server.reset_statistics(now);
            warm = true;
        }
    }
    server.check_littles_law(queue.now());
    server.waits(0).mean_secs()
}

/// Pollaczek (1930) and Khinchine (1932): lambda E[S^2] / (2 (1 - rho)).
fn pollaczek_khinchine(utilization: f64, second_moment: f64) -> f64 {
    utilization * second_moment / (2.0 * (1.0 - utilization))
}

#[test]
fn constant_service_waits_half_as_long_as_exponential() {
    check([pollaczek_khinchine(0.7, 1.0)], |seed| {
        [mg1(seed, 400_000, 0.7, |_| 1.0)]
    });
}

const SIGMA: f64 = 0.8;

#[test]
fn lognormal_service_waits_as_its_second_moment_says() {
    // Mean 1 s: median exp(-sigma^2 / 2), second moment exp(sigma^2).
    let service = |stream: &mut Stream| stream.lognormal((-SIGMA * SIGMA / 2.0).exp(), SIGMA);
    check([pollaczek_khinchine(0.6, (SIGMA * SIGMA).exp())], |seed| {
        [mg1(seed, 600_000, 0.6, service)]
    });
}

/// Jackson (1957): the stations of a tandem behave as if each had Poisson arrivals, and
/// a sojourn takes 1 / (mu - lambda) in each. Burke (1956): what leaves is Poisson, so
/// its index of dispersion is 1.
#[test]
fn a_tandem_is_a_product_of_queues() {
    let (arrival_rate, service_rates) = (0.6, [1.0, 0.9]);
    let sojourn = |rate: f64| 1.0 / (rate - arrival_rate);
    let theory = [sojourn(service_rates[0]), sojourn(service_rates[1]), 1.0];
    check(theory, |seed| tandem(seed, arrival_rate, service_rates));
}

#[derive(Clone, Copy)]
enum Tandem {
    Arrival,
    Done(usize),
}

fn tandem(seed: u64, arrival_rate: f64, service_rates: [f64; 2]) -> [f64; 3] {
    const CUSTOMERS: u64 = 700_000;
    const WINDOW_SECS: f64 = 50.0;
    let streams = Streams::new(seed);
    let mut arrivals = streams.open("arrivals", 0);
    let mut services = [0, 1].map(|station| streams.open("services", station));
    let mut stations = [Resource::new(1), Resource::new(1)];
    let mut departures: Vec<f64> = Vec::new();
    let mut queue = EventQueue::new();
    queue.schedule(SimTime::ZERO, Tandem::Arrival);
    let mut left = 0;
    while left < CUSTOMERS {
        let (now, event) = queue.pop().expect("an arrival is always scheduled");
        let mut starts = |station: usize, started: Option<()>, queue: &mut EventQueue<Tandem>| {
            if started.is_some() {
                let work = services[station].exponential(1.0 / service_rates[station]);
                queue.schedule_in(SimTime::from_secs_f64(work), Tandem::Done(station));
            }
        };
        match event {
            Tandem::Arrival => {
                let gap = arrivals.exponential(1.0 / arrival_rate);
                queue.schedule_in(SimTime::from_secs_f64(gap), Tandem::Arrival);
                starts(0, stations[0].request(now, (), 0), &mut queue);
            }
            Tandem::Done(0) => {
                starts(0, stations[0].release(now), &mut queue);
                starts(1, stations[1].request(now, (), 0), &mut queue);
            }
            Tandem::Done(_) => {
                starts(1, stations[1].release(now), &mut queue);
                left += 1;
                let window = (now.as_secs_f64() / WINDOW_SECS) as usize;
                departures.resize(departures.len().max(window + 1), 0.0);
                departures[window] += 1.0;
            }
        }
    }
    let now = queue.now();
    for station in &stations {
        station.check_littles_law(now);
    }
    // The last window is not full, the first ones are still filling up.
    let full = &departures[100..departures.len() - 1];
    let dispersion = index_of_dispersion(full).expect("hundreds of thousands left");
    let sojourn =
        |station: usize| stations[station].waits(0).mean_secs() + 1.0 / service_rates[station];
    [sojourn(0), sojourn(1), dispersion]
}

/// Cobham (1954): without preemption class k waits
/// W0 / ((1 - s(k - 1)) (1 - s(k))), W0 = C(c, a) / (c mu), s(k) the utilization by
/// classes up to k.
#[test]
fn priorities_without_preemption_wait_as_cobham_says() {
    let shape = shape::Shape {
        servers: 3,
        utilization: 0.75,
    };
    let shares = [0.25, 0.5];
    let residual = erlang_c::erlang_c(shape) / f64::from(shape.servers);
    let theory = [
        residual / (1.0 - shares[0]),
        residual / ((1.0 - shares[0]) * (1.0 - shares[0] - shares[1])),
    ];
    check(theory, |seed| two_classes(seed, 3, shares));
}

/// Mean waits by class in M/M/c, mean service 1 s, with these utilizations.
fn two_classes(seed: u64, servers: usize, shares: [f64; 2]) -> [f64; 2] {
    const CUSTOMERS: u64 = 1_000_000;
    let streams = Streams::new(seed);
    let mut arrivals = [0, 1].map(|class| streams.open("arrivals", class));
    let mut services = streams.open("services", 0);
    let mut pool = Resource::new(servers);
    let mut queue = EventQueue::new();
    for class in [0_u8, 1] {
        queue.schedule(SimTime::ZERO, Some(class));
    }
    while pool.waits_total().count < CUSTOMERS {
        let (now, arrival) = queue.pop().expect("an arrival is always scheduled");
        let started = match arrival {
            Some(class) => {
                let place = usize::from(class);
                let gap = arrivals[place].exponential(1.0 / (servers as f64 * shares[place]));
                queue.schedule_in(SimTime::from_secs_f64(gap), arrival);
                pool.request(now, (), class)
            }
            None => pool.release(now),
        };
        if started.is_some() {
            let work = services.exponential(1.0);
            queue.schedule_in(SimTime::from_secs_f64(work), None);
        }
    }
    pool.check_littles_law(queue.now());
    [pool.waits(0).mean_secs(), pool.waits(1).mean_secs()]
}

/// M/M/1 with preemptive resume, the same mean service for both classes (for instance
/// Bertsekas and Gallager, "Data Networks", 3.5.3): the better class sees M/M/1 of its
/// own, and the worse stays (1 - s + r) / ((1 - s1) (1 - s)) services, s = s1 + s2 the
/// utilization, r = s the mean residual work.
#[test]
fn preemptive_resume_keeps_speculation_out_of_the_way() {
    let (commits, speculation) = (0.3, 0.4);
    let total = commits + speculation;
    let stay = ((1.0 - total) + total) / ((1.0 - commits) * (1.0 - total));
    // Little's law turns stays into the mean numbers in the system.
    let theory = [commits / (1.0 - commits), speculation * stay];
    check(theory, |seed| {
        present_by_class(seed, [commits, speculation])
    });
}

/// The mean number of jobs of each class in the system.
fn present_by_class(seed: u64, shares: [f64; 2]) -> [f64; 2] {
    const EVENTS: u64 = 2_000_000;
    let mut ci = Ci::new(
        Shape {
            runners: 1,
            gap_secs: shares.map(|share| 1.0 / share),
            work_secs: 1.0,
            outages: None,
            interrupted: Interrupted::Resumes,
        },
        seed,
    );
    let mut areas = [0.0; 2];
    let mut last = SimTime::ZERO;
    for _ in 0..EVENTS {
        let served = ci.pool.in_service().map(|(_, class)| class).next();
        let length = ci.pool.queue_length() as f64;
        // Commits never wait behind speculation, so a waiting line next to a
        // speculative job is all speculative.
        let commits = match served {
            Some(COMMIT) => 1.0 + commits_waiting(&ci.pool),
            _ => 0.0,
        };
        let all = length + if served.is_some() { 1.0 } else { 0.0 };
        let (now, _) = ci.step();
        let elapsed = (now - last).as_secs_f64();
        areas[usize::from(COMMIT)] += commits * elapsed;
        areas[usize::from(SPECULATIVE)] += (all - commits) * elapsed;
        last = now;
    }
    ci.pool.check_conservation(last);
    areas.map(|area| area / last.as_secs_f64())
}

fn commits_waiting(pool: &PreemptiveResource<u64>) -> f64 {
    let line = pool.waiting();
    line.take_while(|&(_, class, _)| class == COMMIT).count() as f64
}

/// A preempted job that restarts takes the work of its first start again; the time is
/// accounted as lost.
#[test]
fn restarts_lose_what_resumes_keep() {
    let second = SimTime::from_secs;
    let demand = |class, work| prestage_des::preemptive::Demand {
        class,
        work: second(work),
    };
    for (interrupted, left, lost) in [(Interrupted::Resumes, 6, 0), (Interrupted::Restarts, 10, 4)]
    {
        let preemption = Preemption {
            from_class: 1,
            interrupted,
        };
        let mut runner = PreemptiveResource::new(1, preemption);
        runner.request(second(0), 'g', demand(1, 10));
        assert_eq!(
            runner.request(second(4), 'c', demand(0, 3)).preempted,
            Some('g')
        );
        let resumed = runner.finish(second(7), 'c').expect("the guess waits");
        assert_eq!((resumed.job, resumed.work), ('g', second(left)));
        assert_eq!(runner.finish(second(7 + left), 'g'), None);
        assert_eq!(runner.tally().lost, second(lost));
        assert_eq!(runner.tally().kept, second(13));
        runner.check_conservation(second(20));
    }
}
