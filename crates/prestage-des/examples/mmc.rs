//! M/M/c against Erlang C: `cargo run --release -p prestage-des --example mmc`.
//!
//! Prints the simulated and the exact mean wait for some pools of servers and asserts
//! that they agree within four standard errors. Must not know how the model is tested.

#[path = "../tests/it/shape.rs"]
mod shape;

#[path = "../tests/it/mmc.rs"]
mod mmc;

#[path = "../tests/it/erlang_c.rs"]
mod erlang_c;

use mmc::Mmc;
use prestage_des::Tally;
use shape::Shape;

fn main() {
    println!("servers  utilization  P(wait)  wait/s  theory/s  error/%  +-/%");
    for (servers, utilization) in [(1, 0.5), (1, 0.8), (4, 0.8), (4, 0.9), (16, 0.8), (16, 0.9)] {
        let shape = Shape {
            servers,
            utilization,
        };
        let delayed = erlang_c::erlang_c(shape);
        let theory = erlang_c::wait_secs(shape);
        let waits = simulate(shape);
        let (wait, error) = (waits.mean(), 100.0 * (waits.mean() / theory - 1.0));
        let uncertainty = 100.0 * waits.standard_error() / theory;
        println!(
            "{servers:7}  {utilization:11}  {delayed:7.4}  {wait:6.4}  {theory:8.4}  \
             {error:7.2}  {uncertainty:4.2}"
        );
        assert!(
            error.abs() < 4.0 * uncertainty,
            "the wait is not what Erlang C says"
        );
    }
}

/// The mean waits in seconds of ten runs of 200,000 customers, warmed up.
fn simulate(shape: Shape) -> Tally {
    let run = |seed| {
        let mut model = Mmc::new(shape, seed);
        model.serve(10_000);
        model.servers.reset_statistics(model.queue.now());
        model.serve(200_000);
        model.servers.waits(0).mean_secs()
    };
    (0..10).map(run).collect()
}
