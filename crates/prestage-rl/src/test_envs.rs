//! Small environments with known answers, for the tests of this crate.
use prestage_policy::{EnvSpec, Field, Layout, MultiDiscrete, SnapshotError, Step, VectorEnv};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::device::ComputeDevice;
use crate::learner::{Learner, LearnerContext};
use crate::ppo::{Ppo, PpoSpec};
use crate::train::Trainer;

pub(crate) fn learner(env: &dyn VectorEnv, spec: PpoSpec) -> Box<dyn Learner> {
    let context = LearnerContext {
        env: env.spec(),
        total_rows: env.total_rows(),
        device: ComputeDevice::Flex,
    };
    Box::new(Ppo::new(spec.validate(env.total_rows()).unwrap(), &context))
}

/// Eight updates of 16 steps and 2 epochs, two minibatches each.
pub(crate) fn small_spec(env: &dyn VectorEnv, seed: u64) -> PpoSpec {
    let rollout = 16 * env.total_rows();
    PpoSpec {
        n_steps: 16,
        batch_size: rollout / 2,
        n_epochs: 2,
        hidden: vec![16, 16],
        ent_coef: 0.01,
        total_steps: 9 * rollout as u64,
        seed,
        ..PpoSpec::default()
    }
}

pub(crate) fn small_trainer(env: &mut dyn VectorEnv, seed: u64) -> Trainer {
    let learner = learner(env, small_spec(env, seed));
    Trainer::new(learner, env).unwrap()
}

fn layout(name: &str, len: usize) -> Layout {
    let field = |index: usize| Field {
        name: format!("x{index}"),
        about: "a test value".into(),
    };
    Layout {
        name: name.into(),
        version: 1,
        clip: 5.0,
        fields: (0..len).map(field).collect(),
    }
}

/// Every observation names the action that earns 1; anything else earns the share
/// of knobs that are right. Episodes are truncated after ten steps.
pub(crate) struct IdentityEnv {
    spec: EnvSpec,
    state: IdentityState,
}

#[derive(Clone, Serialize, Deserialize)]
struct IdentityState {
    rng: ChaCha8Rng,
    targets: Vec<u8>,
    steps: usize,
}

impl IdentityEnv {
    pub(crate) fn new(n_rows: usize) -> Self {
        let action = MultiDiscrete {
            nvec: vec![3, 4],
            neutral: vec![1, 0],
        };
        Self {
            spec: EnvSpec {
                name: "identity".into(),
                layout: layout("identity", action.n_logits()),
                action,
                n_rows,
                max_episode_steps: 10,
            },
            state: IdentityState {
                rng: ChaCha8Rng::seed_from_u64(0),
                targets: vec![0; n_rows * 2],
                steps: 0,
            },
        }
    }

    fn draw(&mut self, observations: &mut [f32]) {
        observations.fill(0.0);
        let pairs = self.state.targets.chunks_mut(2);
        for (targets, row) in pairs.zip(observations.chunks_mut(7)) {
            targets[0] = self.state.rng.random_range(0..3);
            targets[1] = self.state.rng.random_range(0..4);
            row[usize::from(targets[0])] = 1.0;
            row[3 + usize::from(targets[1])] = 1.0;
        }
    }
}

impl VectorEnv for IdentityEnv {
    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn n_envs(&self) -> usize {
        1
    }

    fn reset(&mut self, seed: u64, observations: &mut [f32]) {
        self.state.rng = ChaCha8Rng::seed_from_u64(seed);
        self.state.steps = 0;
        self.draw(observations);
    }

    fn step(&mut self, actions: &[u8], step: &mut Step) {
        let pairs = actions.chunks(2).zip(self.state.targets.chunks(2));
        for ((action, target), reward) in pairs.zip(&mut step.rewards) {
            let right = action.iter().zip(target).filter(|(a, t)| a == t).count();
            *reward = right as f32 / 2.0;
        }
        self.state.steps += 1;
        let ended = self.state.steps.is_multiple_of(self.spec.max_episode_steps);
        step.truncated.fill(ended);
        step.terminated.fill(false);
        self.draw(&mut step.observations);
        step.final_observations.copy_from_slice(&step.observations);
    }

    fn snapshot(&self) -> Vec<u8> {
        serde_json::to_vec(&self.state).unwrap()
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), SnapshotError> {
        self.state = serde_json::from_slice(snapshot).map_err(|error| SnapshotError {
            reason: error.to_string(),
        })?;
        Ok(())
    }
}

/// Reward 1 at every step, whatever is done; an episode is over after five steps.
/// The observation is the one-hot step in the episode. The last observation is that
/// of step 0, as in an endless cycle: a critic can only bootstrap from what it knows.
pub(crate) struct FiveStepsEnv {
    spec: EnvSpec,
    ends_in_termination: bool,
    steps: u8,
}

impl FiveStepsEnv {
    pub(crate) fn truncated() -> Self {
        Self::new(false)
    }

    pub(crate) fn terminated() -> Self {
        Self::new(true)
    }

    fn new(ends_in_termination: bool) -> Self {
        Self {
            spec: EnvSpec {
                name: "five-steps".into(),
                layout: layout("five-steps", 5),
                action: MultiDiscrete {
                    nvec: vec![2],
                    neutral: vec![0],
                },
                n_rows: 8,
                max_episode_steps: 5,
            },
            ends_in_termination,
            steps: 0,
        }
    }

    pub(crate) fn observation(step: u8) -> [f32; 5] {
        let mut row = [0.0; 5];
        row[usize::from(step)] = 1.0;
        row
    }
}

impl VectorEnv for FiveStepsEnv {
    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn n_envs(&self) -> usize {
        1
    }

    fn reset(&mut self, _seed: u64, observations: &mut [f32]) {
        self.steps = 0;
        observations.copy_from_slice(&Self::observation(0).repeat(self.spec.n_rows));
    }

    fn step(&mut self, _actions: &[u8], step: &mut Step) {
        self.steps += 1;
        let ended = self.steps == 5;
        self.steps %= 5;
        let observations = Self::observation(self.steps).repeat(self.spec.n_rows);
        step.final_observations.copy_from_slice(&observations);
        step.observations.copy_from_slice(&observations);
        step.rewards.fill(1.0);
        step.terminated.fill(ended && self.ends_in_termination);
        step.truncated.fill(ended && !self.ends_in_termination);
    }

    fn snapshot(&self) -> Vec<u8> {
        vec![self.steps]
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), SnapshotError> {
        self.steps = snapshot[0];
        Ok(())
    }
}

/// Two environments of two rows; row 0 of each terminates after two of four steps
/// and then gives NaN, as padding may.
pub(crate) struct PaddingEnv {
    spec: EnvSpec,
    steps: u8,
}

impl PaddingEnv {
    pub(crate) fn new() -> Self {
        Self {
            spec: EnvSpec {
                name: "padding".into(),
                layout: layout("padding", 1),
                action: MultiDiscrete {
                    nvec: vec![2],
                    neutral: vec![0],
                },
                n_rows: 2,
                max_episode_steps: 4,
            },
            steps: 0,
        }
    }
}

impl VectorEnv for PaddingEnv {
    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn n_envs(&self) -> usize {
        2
    }

    fn reset(&mut self, _seed: u64, observations: &mut [f32]) {
        self.steps = 0;
        observations.fill(0.0);
    }

    fn step(&mut self, _actions: &[u8], step: &mut Step) {
        self.steps += 1;
        let ended = self.steps == 4;
        for row in 0..4 {
            let dies = row % 2 == 0;
            let dead = dies && self.steps > 2;
            step.terminated[row] = dies && self.steps >= 2;
            step.truncated[row] = ended && !dies;
            step.rewards[row] = if dead { f32::NAN } else { 1.0 };
            step.observations[row] = if dead {
                f32::NAN
            } else {
                f32::from(self.steps)
            };
            step.final_observations[row] = step.observations[row];
            if ended {
                step.observations[row] = 0.0;
            }
        }
        self.steps %= 4;
    }

    fn snapshot(&self) -> Vec<u8> {
        vec![self.steps]
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), SnapshotError> {
        self.steps = snapshot[0];
        Ok(())
    }
}
