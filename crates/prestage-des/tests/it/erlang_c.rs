//! What theory says about M/M/c: the formulas of Erlang (1917).
//!
//! Must not know the simulation.

use crate::shape::{SERVICE, Shape};

/// The probability that a customer must wait (Erlang 1917; Gross and Harris,
/// "Fundamentals of Queueing Theory", M/M/c): with offered load a = c rho,
/// C = (a^c / c!) / (1 - rho) / (sum over k < c of a^k / k! + (a^c / c!) / (1 - rho)).
pub fn erlang_c(shape: Shape) -> f64 {
    let offered = f64::from(shape.servers) * shape.utilization;
    let mut term = 1.0;
    let mut below = 0.0;
    for servers in 0..shape.servers {
        below += term;
        term *= offered / f64::from(servers + 1);
    }
    let all_busy = term / (1.0 - shape.utilization);
    all_busy / (below + all_busy)
}

/// The mean wait before service in seconds: C / (c mu - lambda).
pub fn wait_secs(shape: Shape) -> f64 {
    let spare = f64::from(shape.servers) * (1.0 - shape.utilization);
    erlang_c(shape) * SERVICE.as_secs_f64() / spare
}
