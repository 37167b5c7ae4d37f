//! Which M/M/c is meant: what simulation and theory share.

use prestage_des::SimTime;
use serde::{Deserialize, Serialize};

/// The mean service time. A second of a million ticks: rounding to whole microseconds
/// moves a mean wait by less than one part in a million.
pub const SERVICE: SimTime = SimTime::from_secs(1);

/// The shape of the system.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    /// Servers.
    pub servers: u32,
    /// Arrival rate over total service rate, below 1.
    pub utilization: f64,
}
