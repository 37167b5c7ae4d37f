//! Trains on an environment that costs nothing, so that the time of the process is
//! the time of acting and learning. Must never know: the clock; measure from outside.
//!
//! `time cargo run --release -p prestage-rl --example throughput -- 512 4 64`
//! takes minibatch rows, epochs (0: collect only) and rows of the environment.
use prestage_policy::{EnvSpec, Field, Layout, MultiDiscrete, SnapshotError, Step, VectorEnv};
use prestage_rl::{ComputeDevice, LearnMetrics, Learner, LearnerContext, Networks};
use prestage_rl::{Ppo, PpoSpec, Rollout, Schedule, Trainer};

const OBSERVATION_LEN: usize = 34;
const N_STEPS: usize = 128;
const UPDATES: usize = 20;

struct FreeEnv {
    spec: EnvSpec,
    counter: u32,
}

impl FreeEnv {
    fn new(n_rows: usize) -> Self {
        let field = |index: usize| Field {
            name: format!("x{index}"),
            about: "noise".into(),
        };
        let layout = Layout {
            name: "free".into(),
            version: 1,
            clip: 5.0,
            fields: (0..OBSERVATION_LEN).map(field).collect(),
        };
        Self {
            spec: EnvSpec {
                name: "free".into(),
                layout,
                action: MultiDiscrete {
                    nvec: vec![7; 6],
                    neutral: vec![3; 6],
                },
                n_rows,
                max_episode_steps: 672,
            },
            counter: 0,
        }
    }

    fn fill(&mut self, values: &mut [f32]) {
        for value in values {
            self.counter = self
                .counter
                .wrapping_mul(1_664_525)
                .wrapping_add(1_013_904_223);
            *value = (self.counter >> 8) as f32 / (1 << 23) as f32 - 1.0;
        }
    }
}

impl VectorEnv for FreeEnv {
    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn n_envs(&self) -> usize {
        1
    }

    fn reset(&mut self, _seed: u64, observations: &mut [f32]) {
        self.fill(observations);
    }

    fn step(&mut self, actions: &[u8], step: &mut Step) {
        self.fill(&mut step.observations);
        for (reward, levels) in step.rewards.iter_mut().zip(actions.chunks(6)) {
            *reward = f32::from(levels[0]) / 6.0;
        }
    }

    fn snapshot(&self) -> Vec<u8> {
        Vec::new()
    }

    fn restore(&mut self, _snapshot: &[u8]) -> Result<(), SnapshotError> {
        Ok(())
    }
}

/// Collects like the learner inside it and never learns.
struct CollectOnly(Ppo);

impl Learner for CollectOnly {
    fn name(&self) -> &'static str {
        "collect-only"
    }

    fn settings(&self) -> serde_json::Value {
        self.0.settings()
    }

    fn schedule(&self) -> Schedule {
        self.0.schedule()
    }

    fn networks(&self) -> Result<Networks, prestage_rl::Error> {
        self.0.networks()
    }

    fn learn(&mut self, _rollout: &Rollout, _: f64) -> Result<LearnMetrics, prestage_rl::Error> {
        Ok(LearnMetrics {
            policy_loss: 0.0,
            value_loss: 0.0,
            entropy: 0.0,
            approx_kl: 0.0,
            clip_fraction: 0.0,
            learning_rate: 0.0,
        })
    }

    fn state(&self) -> Result<std::collections::BTreeMap<String, Vec<u8>>, prestage_rl::Error> {
        self.0.state()
    }

    fn restore(
        &mut self,
        state: &std::collections::BTreeMap<String, Vec<u8>>,
    ) -> Result<(), prestage_rl::Error> {
        self.0.restore(state)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut numbers = Vec::new();
    for argument in std::env::args().skip(1) {
        numbers.push(argument.parse::<usize>()?);
    }
    let [batch_size, n_epochs, n_rows] = numbers[..] else {
        return Err("usage: throughput BATCH_SIZE N_EPOCHS ROWS".into());
    };
    let mut env = FreeEnv::new(n_rows);
    let spec = PpoSpec {
        n_steps: N_STEPS,
        batch_size,
        n_epochs: n_epochs.max(1),
        total_steps: ((UPDATES + 1) * N_STEPS * n_rows) as u64,
        ..PpoSpec::default()
    };
    let context = LearnerContext {
        env: env.spec(),
        total_rows: n_rows,
        device: ComputeDevice::Flex,
    };
    let ppo = Ppo::new(spec.validate(n_rows)?, &context);
    let learner: Box<dyn Learner> = match n_epochs {
        0 => Box::new(CollectOnly(ppo)),
        _ => Box::new(ppo),
    };
    let mut trainer = Trainer::new(learner, &mut env)?;
    trainer.run(&mut env, |_, _, _| Ok(()))?;
    println!("weights {}", trainer.weights_blake3());
    let minibatches = UPDATES * n_epochs * N_STEPS * n_rows / batch_size;
    println!(
        "{} row-steps, {minibatches} minibatches",
        UPDATES * N_STEPS * n_rows
    );
    Ok(())
}
