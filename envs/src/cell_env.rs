//! The decision problem as an environment: one row a cell, one step an hour.
//!
//! The reward of a cell is what it saved against the static policy on the very
//! same trace and hour, over a constant fixed before training. The static
//! policy's cost does not depend on the action, so it shifts no optimum; it takes
//! out the variance that the trace brings (input-dependent baselines, Mao et al.
//! 2019).
use std::sync::Arc;

use prestage_controller::{
    Arm, Controller, KNOBS, RECONCILE_EVERY, action_space, layout, reconcile,
};
use prestage_des::SimTime;
use prestage_policy::{Env, EnvSpec, Layout, MultiDiscrete, Policy, SnapshotError, Step};
use prestage_world::{Exogenous, Scenario, World, WorldOptions};
use serde::{Deserialize, Serialize};

use crate::episode::{CostMeter, Setting};

const STEP: SimTime = SimTime::from_hours(1);

/// What an environment is told once.
#[derive(Clone, Debug)]
pub struct CellEnvOptions {
    /// The world.
    pub scenario: Scenario,
    /// Centres of the knobs; its neutral policy is the baseline of the reward.
    pub arm: Arm,
    /// US dollars an hour and cell that make one unit of reward.
    pub reward_scale_usd: f64,
}

/// See the module.
pub struct CellEnv {
    options: CellEnvOptions,
    spec: EnvSpec,
    running: Option<Running>,
    costs: Vec<f64>,
}

struct Running {
    seed: u64,
    setting: Setting,
    world: World,
    controller: Controller,
    meter: CostMeter,
    /// Cost of the static policy, `[step][cell]`.
    static_costs: Vec<f64>,
    /// Actions taken so far, the whole state given the seed.
    journal: Vec<u8>,
    steps: usize,
}

/// A snapshot is the seed and the actions: a deterministic world needs no more,
/// and no field of it can be forgotten.
#[derive(Serialize, Deserialize)]
struct Snapshot {
    seed: u64,
    journal: Vec<u8>,
}

impl CellEnv {
    /// An environment that has not been reset yet.
    pub fn new(options: CellEnvOptions) -> Self {
        let scale = options.reward_scale_usd;
        assert!(scale.is_finite() && scale > 0.0, "reward scale is {scale}");
        let spec = options.scenario.spec();
        let n_cells = spec.services.count as usize * 4;
        let max_episode_steps = spec.days as usize * 24;
        Self {
            spec: EnvSpec {
                name: "prestage".to_owned(),
                layout: layout(),
                action: action_space(),
                n_rows: n_cells,
                max_episode_steps,
            },
            options,
            running: None,
            costs: vec![0.0; n_cells],
        }
    }

    fn start(&self, seed: u64) -> Running {
        let scenario = &self.options.scenario;
        let setting = Setting {
            record: Arc::new(Exogenous::generate(scenario, seed)),
            world: WorldOptions::new(scenario, self.options.arm.on_demand, seed),
            prices: scenario.prices().clone(),
        };
        let static_costs = self.static_costs(&setting);
        let mut world = setting.world(&self.options.arm);
        let mut controller = setting.controller(&self.options.arm);
        world.warm_up(&mut controller);
        Running {
            seed,
            meter: CostMeter::new(self.spec.n_rows),
            setting,
            world,
            controller,
            static_costs,
            journal: Vec::new(),
            steps: 0,
        }
    }

    /// The neutral policy on the same record.
    fn static_costs(&self, setting: &Setting) -> Vec<f64> {
        let mut world = setting.world(&self.options.arm);
        let mut controller = setting.controller(&self.options.arm);
        world.warm_up(&mut controller);
        let mut meter = CostMeter::new(self.spec.n_rows);
        let mut policy = Scripted::neutral(self.spec.n_rows);
        let mut costs = vec![0.0; self.spec.max_episode_steps * self.spec.n_rows];
        for hour in costs.chunks_exact_mut(self.spec.n_rows) {
            run_hour(&mut world, &mut controller, &mut policy);
            meter.read(&world, &setting.prices, hour);
        }
        costs
    }
}

impl Env for CellEnv {
    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn reset(&mut self, seed: u64, observations: &mut [f32]) {
        let mut running = self.start(seed);
        observations.copy_from_slice(running.controller.observe(&mut running.world));
        self.running = Some(running);
    }

    fn step(&mut self, actions: &[u8], step: &mut Step) {
        let running = self
            .running
            .as_mut()
            .expect("an environment is reset before it is stepped");
        assert!(
            running.steps < self.spec.max_episode_steps,
            "the episode is over: reset first"
        );
        assert_eq!(
            actions.len(),
            self.spec.n_rows * KNOBS.len(),
            "actions of another shape"
        );
        running.journal.extend_from_slice(actions);
        let mut policy = Scripted::new(actions.to_vec());
        run_hour(&mut running.world, &mut running.controller, &mut policy);
        running
            .meter
            .read(&running.world, &running.setting.prices, &mut self.costs);
        let row = running.steps * self.spec.n_rows;
        let static_costs = &running.static_costs[row..row + self.spec.n_rows];
        running.steps += 1;
        let over = running.steps == self.spec.max_episode_steps;
        for (index, (cost, baseline)) in self.costs.iter().zip(static_costs).enumerate() {
            step.rewards[index] = ((baseline - cost) / self.options.reward_scale_usd) as f32;
            // The world goes on; we stop watching.
            step.terminated[index] = false;
            step.truncated[index] = over;
        }
        step.observations
            .copy_from_slice(running.controller.observe(&mut running.world));
        if over {
            step.final_observations.copy_from_slice(&step.observations);
            running.world.close();
        }
    }

    fn snapshot(&self) -> Vec<u8> {
        let snapshot = self.running.as_ref().map(|running| Snapshot {
            seed: running.seed,
            journal: running.journal.clone(),
        });
        serde_json::to_vec(&snapshot).expect("a snapshot is made of plain numbers")
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), SnapshotError> {
        let refuse = |reason: String| SnapshotError { reason };
        let snapshot: Option<Snapshot> =
            serde_json::from_slice(snapshot).map_err(|error| refuse(error.to_string()))?;
        let Some(snapshot) = snapshot else {
            self.running = None;
            return Ok(());
        };
        let per_step = self.spec.n_rows * KNOBS.len();
        let steps = snapshot.journal.len() / per_step;
        if snapshot.journal.len() % per_step != 0 || steps > self.spec.max_episode_steps {
            return Err(refuse(format!(
                "its journal of {} levels fits no {per_step} a step",
                snapshot.journal.len()
            )));
        }
        if let Some(level) = snapshot
            .journal
            .iter()
            .find(|&&level| level >= prestage_controller::LEVELS)
        {
            return Err(refuse(format!("its journal holds level {level}")));
        }
        let mut step = Step::new(self.spec.n_rows, self.spec.layout.len());
        let mut observations = vec![0.0; self.spec.n_rows * self.spec.layout.len()];
        self.reset(snapshot.seed, &mut observations);
        for actions in snapshot.journal.chunks_exact(per_step) {
            self.step(actions, &mut step);
        }
        Ok(())
    }
}

/// One decision interval of the control loop.
fn run_hour(world: &mut World, controller: &mut Controller, policy: &mut dyn Policy) {
    let end = world.now() + STEP;
    while world.now() < end {
        reconcile(controller, world, policy)
            .expect("a simulated world refuses nothing that a controller asks");
        world.advance(world.now() + SimTime::from_micros(RECONCILE_EVERY.0));
    }
}

/// Says what it was told: the agent outside decides.
struct Scripted {
    layout: Layout,
    action: MultiDiscrete,
    actions: Vec<u8>,
}

impl Scripted {
    fn new(actions: Vec<u8>) -> Self {
        Self {
            layout: layout(),
            action: action_space(),
            actions,
        }
    }

    fn neutral(rows: usize) -> Self {
        Self::new(action_space().neutral.repeat(rows))
    }
}

impl Policy for Scripted {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn action(&self) -> &MultiDiscrete {
        &self.action
    }

    fn act(&mut self, _observations: &[f32], actions: &mut [u8]) {
        actions.copy_from_slice(&self.actions);
    }
}
