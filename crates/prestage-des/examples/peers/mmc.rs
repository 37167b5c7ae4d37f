//! M/M/16 at 90 %: mean service 1 s, arrival rate 14.4 a second.
//!
//! The check is the mean wait in seconds; Erlang C says 0.3696.

use prestage_des::{EventQueue, Resource, SimTime, Streams};

use crate::Outcome;

const SERVERS: usize = 16;
const GAP_SECS: f64 = 1.0 / 14.4;
const SERVICE_SECS: f64 = 1.0;

#[derive(Clone, Copy)]
enum Event {
    Arrival,
    Departure,
}

/// Serves `customers` customers.
pub fn run(customers: u64, seed: u64) -> Outcome {
    let streams = Streams::new(seed);
    let mut arrivals = streams.open("arrivals", 0);
    let mut services = streams.open("services", 0);
    let mut servers = Resource::new(SERVERS);
    let mut queue = EventQueue::new();
    let (mut arrived, mut events) = (0, 0);

    queue.schedule(secs(arrivals.exponential(GAP_SECS)), Event::Arrival);
    while let Some((now, event)) = queue.pop() {
        events += 1;
        let started = match event {
            Event::Arrival => {
                arrived += 1;
                if arrived < customers {
                    let gap = secs(arrivals.exponential(GAP_SECS));
                    queue.schedule(now + gap, Event::Arrival);
                }
                servers.request(now, (), 0)
            }
            Event::Departure => servers.release(now),
        };
        if started.is_some() {
            let work = secs(services.exponential(SERVICE_SECS));
            queue.schedule(now + work, Event::Departure);
        }
    }
    servers.check_littles_law(queue.now());
    Outcome {
        events,
        check: servers.waits(0).mean_secs(),
    }
}

fn secs(secs: f64) -> SimTime {
    SimTime::from_secs_f64(secs)
}
