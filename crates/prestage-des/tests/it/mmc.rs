//! M/M/c: Poisson arrivals, exponential services, c servers, one queue. The model that
//! the tests, the example and the benchmark share.
//!
//! Must not know what is asserted about it.

use prestage_des::{EventQueue, Resource, SimTime, Stream, Streams};
use serde::{Deserialize, Serialize};

use crate::shape::{SERVICE, Shape};

/// What happens in the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A customer arrives.
    Arrival(u64),
    /// The service of a customer ends.
    Departure(u64),
}

/// The model in the middle of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Mmc {
    gap_secs: f64,
    arrivals: Stream,
    services: Stream,
    /// Who waits and who is served.
    pub servers: Resource<u64>,
    /// What is to come.
    pub queue: EventQueue<Event>,
}

impl Mmc {
    /// An empty system before its first arrival.
    pub fn new(shape: Shape, seed: u64) -> Self {
        let streams = Streams::new(seed);
        let mut queue = EventQueue::new();
        queue.schedule(SimTime::ZERO, Event::Arrival(0));
        Self {
            gap_secs: SERVICE.as_secs_f64() / (f64::from(shape.servers) * shape.utilization),
            arrivals: streams.open("arrivals", 0),
            services: streams.open("services", 0),
            servers: Resource::new(shape.servers as usize),
            queue,
        }
    }

    /// Handles the next event.
    pub fn step(&mut self) -> (SimTime, Event) {
        let (now, event) = self.queue.pop().expect("an arrival is always scheduled");
        let started = match event {
            Event::Arrival(customer) => {
                let gap = SimTime::from_secs_f64(self.arrivals.exponential(self.gap_secs));
                self.queue.schedule_in(gap, Event::Arrival(customer + 1));
                self.servers.request(now, customer, 0)
            }
            Event::Departure(_) => self.servers.release(now),
        };
        if let Some(customer) = started {
            let work = self.services.exponential(SERVICE.as_secs_f64());
            let work = SimTime::from_secs_f64(work);
            self.queue.schedule_in(work, Event::Departure(customer));
        }
        (now, event)
    }

    /// Runs until `customers` more have started.
    pub fn serve(&mut self, customers: u64) {
        let goal = self.servers.waits(0).count + customers;
        while self.servers.waits(0).count < goal {
            self.step();
        }
    }
}
