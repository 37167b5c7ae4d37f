//! A deterministic discrete-event simulation kernel.
//!
//! Duty: integer time, a totally ordered event queue, named random streams,
//! multi-server resources, accumulators, and state that can be stored in the middle of
//! a run and resumed to the same event log. Must never know: pipelines, reinforcement
//! learning, the wall clock, threads.
//!
//! Read on in [`queue`] (how pending events are kept, and `docs/event-queue.md` for what
//! was measured), [`streams`] (how chance is addressed), [`resource`] and [`preemptive`]
//! (who is served), [`statistics`] and [`output_analysis`] (what a run says).
//!
//! There is no engine that calls back into models. A model owns its queue and loops:
//!
//! ```
//! use prestage_des::{EventQueue, Resource, SimTime, Streams};
//!
//! #[derive(Clone, Copy)]
//! enum Event { Arrival(u32), Departure }
//!
//! let streams = Streams::new(7);
//! let mut arrivals = streams.open("arrivals", 0);
//! let mut services = streams.open("services", 0);
//! let mut runners: Resource<u32> = Resource::new(2);
//! let mut queue = EventQueue::new();
//! queue.schedule(SimTime::ZERO, Event::Arrival(0));
//!
//! while let Some((now, event)) = queue.pop_until(SimTime::from_hours(1)) {
//!     let started = match event {
//!         Event::Arrival(job) => {
//!             let gap = SimTime::from_secs_f64(arrivals.exponential(60.0));
//!             queue.schedule_in(gap, Event::Arrival(job + 1));
//!             runners.request(now, job, 0)
//!         }
//!         Event::Departure => runners.release(now),
//!     };
//!     if started.is_some() {
//!         let work = SimTime::from_secs_f64(services.exponential(90.0));
//!         queue.schedule_in(work, Event::Departure);
//!     }
//! }
//! runners.check_littles_law(SimTime::from_hours(1));
//! assert!(runners.utilization(SimTime::from_hours(1)) > 0.3);
//! ```

pub mod time;

pub mod queue;

pub mod streams;

mod areas;

mod line;

pub mod resource;

pub mod preemptive;

pub mod statistics;

pub mod output_analysis;

pub use line::WaitStatistics;
pub use preemptive::PreemptiveResource;
pub use queue::{EventId, EventQueue};
pub use resource::Resource;
pub use statistics::{Tally, TimeWeighted};
pub use streams::{Stream, Streams};
pub use time::SimTime;
