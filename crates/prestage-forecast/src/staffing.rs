//! How many replicas a load requires: the rules, and what each is good for.
//!
//! | rule | replicas for a load | when it is right |
//! |---|---|---|
//! | `Utilization` (default) | load / rated load, rounded up | a service level violation is load above the rated load |
//! | `ErlangC` | fewest with P(wait > t) at most epsilon | a violation is a wait; few replicas, which pool badly |
//! | `SquareRoot` | offered load + beta times its root | the same for many replicas, in closed form |
//!
//! A replica is a server that works off its rated load at a utilization of
//! [`RATED_UTILIZATION`]; the offered load is the number of replicas that would be busy
//! without a pause. In the simulated worlds a violation is a minute in which fewer replicas
//! run than the rule requires, whatever the wait: there the default is right by definition, and
//! another rule is another world.
//!
//! None of them looks at what runs, so that what a load requires is a fact of the load. Kubernetes'
//! autoscaler does, by its tolerance ([`hpa_replicas`]): it is how somebody reacts, and so an arm of
//! the controller (`hpa-like`), not a rule of the world.
//!
//! References: Kubernetes documentation, Horizontal Pod Autoscaling, "Algorithm details";
//! Erlang (1917); Halfin & Whitt (1981), Heavy-traffic limits for queues with many exponential
//! servers; Gans, Koole & Mandelbaum (2003), section 4.1, for the square-root rule.
use serde::{Deserialize, Serialize};

use crate::normal::normal_cdf;

/// Utilization at which a replica takes its rated load.
pub const RATED_UTILIZATION: f64 = 0.8;
/// `--horizontal-pod-autoscaler-tolerance` of Kubernetes.
pub const HPA_TOLERANCE: f64 = 0.1;
/// Most replicas a rule asks for.
const REPLICAS_MAX: f64 = 1e6;
/// Tolerates rounding in the last bits: 3.0000000001 replicas are 3.
const ROUNDING: f64 = 1e-9;

/// A rule; see the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Staffing {
    /// Every replica takes its rated load.
    #[default]
    Utilization,
    /// Erlang's C formula.
    ErlangC(WaitTarget),
    /// The square-root rule with the safety that Halfin and Whitt's limit gives.
    SquareRoot(WaitTarget),
}

/// How rarely a request may wait, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct WaitTarget {
    /// A wait longer than so many mean service times counts; 0 for any wait. The square-root
    /// rule knows of any wait only.
    pub service_times: f64,
    /// Largest probability of such a wait, in (0, 1).
    pub probability: f64,
}

impl Staffing {
    /// Replicas that `load` requires when each is rated for `rated_load`; none for an unknown load
    /// (NaN).
    pub fn replicas(self, load: f64, rated_load: f64) -> u32 {
        let required = load / rated_load;
        if !required.is_finite() {
            return 0;
        }
        match self {
            Self::Utilization => whole(required),
            Self::ErlangC(target) => erlang_c_replicas(RATED_UTILIZATION * required, target),
            Self::SquareRoot(target) => {
                square_root_replicas(RATED_UTILIZATION * required, target.probability)
            }
        }
    }

    /// The largest load that does not require more than `replicas`, which is the capacity that
    /// a forecast is compared with.
    pub fn capacity(self, replicas: f64, rated_load: f64) -> f64 {
        match self {
            Self::Utilization => replicas * rated_load,
            Self::ErlangC(target) => {
                let fits = |offered| erlang_c_replicas(offered, target) <= replicas as u32;
                largest(replicas, fits) * rated_load / RATED_UTILIZATION
            }
            Self::SquareRoot(target) => {
                let fits =
                    |offered| square_root_replicas(offered, target.probability) <= replicas as u32;
                largest(replicas, fits) * rated_load / RATED_UTILIZATION
            }
        }
    }
}

/// Kubernetes' formula `ceil(running * ratio)`, where `ratio` is the metric over its target;
/// `running` while the ratio is within `tolerance` of one.
///
/// The autoscaler's stabilisation, by which the largest recommendation of a window counts on the
/// way down, belongs to whoever keeps a history: the baseline `hpa-like` of the controller; a world
/// has `operation.stabilization_minutes`.
pub fn hpa_replicas(running: f64, ratio: f64, tolerance: f64) -> u32 {
    if (ratio - 1.0).abs() <= tolerance {
        return running as u32;
    }
    (running.max(1.0) * ratio - ROUNDING)
        .ceil()
        .clamp(1.0, REPLICAS_MAX) as u32
}

/// Fewest servers with P(wait > `target.service_times`) at most `target.probability`, when
/// `offered` would be busy without a pause.
pub fn erlang_c_replicas(offered: f64, target: WaitTarget) -> u32 {
    if offered <= 0.0 {
        return 0;
    }
    // Erlang's B by its recursion in the number of servers, in which nothing overflows.
    let mut blocking = 1.0;
    let mut servers = 0.0;
    while servers < REPLICAS_MAX {
        servers += 1.0;
        blocking = offered * blocking / (servers + offered * blocking);
        if servers > offered
            && wait_probability(servers, offered, blocking, target.service_times)
                <= target.probability
        {
            break;
        }
    }
    servers as u32
}

/// Erlang's C formula: the probability that a request waits for one of `servers`, 1 when they
/// cannot keep up with `offered`.
pub fn erlang_c(servers: u32, offered: f64) -> f64 {
    let mut blocking = 1.0;
    for server in 1..=servers {
        blocking = offered * blocking / (f64::from(server) + offered * blocking);
    }
    let servers = f64::from(servers);
    if servers > offered {
        wait_probability(servers, offered, blocking, 0.0)
    } else {
        1.0
    }
}

/// P(wait > `service_times`): the wait of those who wait is exponential at the spare capacity.
fn wait_probability(servers: f64, offered: f64, blocking: f64, service_times: f64) -> f64 {
    let any = servers * blocking / (servers - offered * (1.0 - blocking));
    any * (-(servers - offered) * service_times).exp()
}

/// `offered + beta sqrt(offered)` servers, rounded up, with the beta at which a share
/// `probability` waits when there are many: `1 / (1 + beta Phi(beta) / phi(beta))`.
pub fn square_root_replicas(offered: f64, probability: f64) -> u32 {
    if offered <= 0.0 {
        return 0;
    }
    whole(offered + halfin_whitt_beta(probability) * offered.sqrt()).max(1)
}

/// The safety at which a share `probability` waits, in the limit of Halfin and Whitt.
pub fn halfin_whitt_beta(probability: f64) -> f64 {
    let waits = |beta: f64| {
        let density = (-0.5 * beta * beta).exp() / (2.0 * std::f64::consts::PI).sqrt();
        1.0 / (1.0 + beta * normal_cdf(beta) / density)
    };
    // Falls from 1 at 0 to less than 1e-14 at 8.
    let (mut low, mut high) = (0.0, 8.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if waits(middle) > probability {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// The largest offered load below `replicas` that fits, to a thousandth of a millionth of it.
fn largest(replicas: f64, fits: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, replicas.clamp(0.0, REPLICAS_MAX));
    for _ in 0..30 {
        let middle = 0.5 * (low + high);
        if fits(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

fn whole(required: f64) -> u32 {
    rounded_up((required - ROUNDING).clamp(0.0, REPLICAS_MAX))
}

/// `value`, which is from 0 to a million, rounded up; `f64::ceil` is a call where the processor is not told
/// of newer instructions, and a world asks for every service every minute.
fn rounded_up(value: f64) -> u32 {
    let whole = value as u32;
    whole + u32::from(f64::from(whole) < value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any_wait(probability: f64) -> WaitTarget {
        WaitTarget {
            service_times: 0.0,
            probability,
        }
    }

    /// Erlang's C as its textbook sum, in logs of factorials.
    fn erlang_c_by_sum(servers: u32, offered: f64) -> f64 {
        let term = |k: u32| {
            let log_factorial: f64 = (1..=k).map(|i| f64::from(i).ln()).sum();
            (f64::from(k) * offered.ln() - log_factorial).exp()
        };
        let waiting = term(servers) * f64::from(servers) / (f64::from(servers) - offered);
        waiting / ((0..servers).map(term).sum::<f64>() + waiting)
    }

    #[test]
    fn one_and_two_servers_have_closed_forms() {
        for offered in [0.1_f64, 0.4, 0.7, 0.9] {
            // M/M/1: whoever comes while the server is busy waits.
            assert!((erlang_c(1, offered) - offered).abs() < 1e-12);
            // M/M/2: a^2 / (2 + a).
            let two = 2.0 * offered;
            assert!((erlang_c(2, two) - two * two / (2.0 + two)).abs() < 1e-12);
        }
        assert_eq!(erlang_c(3, 3.0), 1.0);
    }

    #[test]
    fn the_recursion_is_the_sum() {
        for (servers, offered) in [(5, 4.0), (10, 8.0), (14, 10.0), (55, 50.0), (120, 100.0)] {
            let (found, expected) = (
                erlang_c(servers, offered),
                erlang_c_by_sum(servers, offered),
            );
            assert!((found - expected).abs() < 1e-10, "{servers} at {offered}");
        }
        // A textbook case: 200 calls an hour of 3 minutes, 11 agents: 68 % wait; 14 agents: 17 %.
        assert!((erlang_c(11, 10.0) - 0.6821).abs() < 5e-5);
        assert!((erlang_c(14, 10.0) - 0.1741).abs() < 5e-5);
    }

    #[test]
    fn no_fewer_servers_would_do() {
        for offered in [0.3, 2.0, 9.5, 64.0, 400.0] {
            for target in [
                any_wait(0.5),
                any_wait(0.05),
                WaitTarget {
                    service_times: 0.5,
                    probability: 0.2,
                },
            ] {
                let servers = erlang_c_replicas(offered, target);
                let waits = |servers: u32| {
                    let spare = f64::from(servers) - offered;
                    erlang_c(servers, offered) * (-spare.max(0.0) * target.service_times).exp()
                };
                assert!(waits(servers) <= target.probability, "{offered} {target:?}");
                assert!(
                    waits(servers - 1) > target.probability,
                    "{offered} {target:?}"
                );
            }
        }
    }

    #[test]
    fn the_square_root_rule_is_within_two_servers_of_the_exact() {
        for probability in [0.5, 0.2, 0.05] {
            for offered in [5.0, 20.0, 100.0, 1_000.0] {
                let exact = erlang_c_replicas(offered, any_wait(probability));
                let rule = square_root_replicas(offered, probability);
                assert!(exact.abs_diff(rule) <= 2, "{exact} and {rule} at {offered}");
            }
        }
        // Halfin and Whitt's limit: half of the requests wait at a safety of 0.506.
        assert!((halfin_whitt_beta(0.5) - 0.506).abs() < 1e-3);
    }

    #[test]
    fn the_autoscaler_stays_within_its_tolerance() {
        for (ratio, expected) in [
            (1.0, 4),
            (1.09, 4),
            (1.11, 5),
            (0.91, 4),
            (0.89, 4),
            (0.6, 3),
        ] {
            assert_eq!(hpa_replicas(4.0, ratio, HPA_TOLERANCE), expected);
        }
        assert_eq!(
            hpa_replicas(0.0, 2.5, HPA_TOLERANCE),
            3,
            "from nothing as from one"
        );
    }

    #[test]
    fn capacity_is_the_load_at_which_the_next_replica_is_required() {
        let rules = [
            Staffing::Utilization,
            Staffing::ErlangC(any_wait(0.2)),
            Staffing::SquareRoot(any_wait(0.2)),
        ];
        for rule in rules {
            for running in [1, 2, 7, 30] {
                let capacity = rule.capacity(f64::from(running), 50.0);
                assert!(rule.replicas(capacity * (1.0 - 1e-6), 50.0) <= running);
                assert!(rule.replicas(capacity * (1.0 + 1e-6), 50.0) > running);
            }
            assert_eq!(rule.replicas(0.0, 50.0), 0, "{rule:?}");
            assert_eq!(rule.replicas(f64::NAN, 50.0), 0, "{rule:?}");
        }
    }

    #[test]
    fn few_replicas_need_more_room_than_many() {
        let rule = Staffing::ErlangC(any_wait(0.2));
        let utilization = |replicas| rule.capacity(replicas, 1.0) * RATED_UTILIZATION / replicas;
        assert!(utilization(2.0) < 0.5 && utilization(100.0) > 0.85);
    }

    #[test]
    fn rounding_up_is_that_of_floats() {
        for eighths in 0..100_000 {
            let value = f64::from(eighths) / 8.0;
            for value in [value, value.next_up(), value.next_down().max(0.0)] {
                assert_eq!(f64::from(rounded_up(value)), value.ceil(), "{value}");
            }
        }
        assert_eq!(rounded_up(1e6), 1_000_000);
    }
}
