//! Every baseline on one scenario: cost, hits, misses, waste, time.
use std::sync::Arc;
use prestage_controller::{BASELINES, KnobCenters};
use prestage_envs::{Setting, run_arm};
use prestage_policy::NeutralPolicy;
use prestage_world::{Exogenous, Scenario, WorldOptions};

fn main() {
    let path = std::env::args().nth(1).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let sets: Vec<String> = std::env::args().skip(2).collect();
    let scenario = Scenario::parse(&path, &text, &sets).unwrap();
    for b in BASELINES {
        let arm = b.arm(&KnobCenters::default());
        let t = std::process::Command::new("true").status();
        let _ = t;
        let record = Arc::new(Exogenous::generate(&scenario, 7));
        let setting = Setting { record, world: WorldOptions::new(&scenario, arm.on_demand, 7), prices: scenario.prices().clone() };
        let mut policy = NeutralPolicy::new(prestage_controller::layout(), prestage_controller::action_space());
        let start = std::time::Instant::now();
        let e = run_arm(&setting, &arm, &mut policy);
        println!("{:14} cost {:9.0} time {:?} build wait {:.0}s log {}", b.name, e.cost_usd(), start.elapsed(), e.build_wait_s, e.log_len);
        for need in prestage_controller::NeedType::ALL {
            let cs: Vec<_> = e.cells.iter().filter(|c| c.spec.need == need).collect();
            let s = |f: &dyn Fn(&prestage_envs::CellResult) -> f64| cs.iter().map(|c| f(c)).sum::<f64>();
            println!("   {:18} cost {:8.0} needs {:4} hits {:4} pred {:4} exp {:4} wd {:4} rb {:3} blocked {:6.0}m slo {:5.0} run {:6.0}m over {:5.0}h | slo$ {:.0} blk$ {:.0} run$ {:.0} over$ {:.0} exp$ {:.0} churn$ {:.0}", need.to_string(),
              s(&|c| c.cost.total()), s(&|c| c.tally.needs as f64), s(&|c| c.tally.hits as f64), s(&|c| c.tally.predicted as f64), s(&|c| c.tally.expired as f64), s(&|c| c.tally.withdrawn as f64), s(&|c| c.tally.rolled_back as f64), s(&|c| c.tally.usage.blocked_minutes), s(&|c| c.tally.usage.slo_violation_minutes), s(&|c| c.tally.usage.runner_minutes), s(&|c| c.tally.usage.over_provision_hours),
              s(&|c| c.cost.slo_violation), s(&|c| c.cost.blocked), s(&|c| c.cost.runner), s(&|c| c.cost.over_provision), s(&|c| c.cost.exposure), s(&|c| c.cost.churn));
        }
    }
}
