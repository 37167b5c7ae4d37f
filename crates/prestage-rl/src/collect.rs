//! Lets plain networks act in a vector environment and records what happens.
//!
//! The same forward pass as in production; burn is not involved. Must never know:
//! how networks are trained.
use prestage_policy::{EnvSpec, Normalizer, Step, VectorEnv};
use rand_chacha::ChaCha8Rng;

use crate::error::Error;
use crate::heads;
use crate::learner::Networks;
use crate::moments::{CLIP, Moments};
use crate::rollout::Rollout;

/// The acting side of training: where every row stands, and the dice.
pub(crate) struct Collector {
    spec: EnvSpec,
    n_envs: usize,
    pub(crate) state: CollectorState,
    normalized: Vec<f32>,
    logits: Vec<f32>,
    actions: Vec<u8>,
    step: Step,
}

/// What a checkpoint keeps of a [`Collector`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CollectorState {
    /// `[total_rows * observation_len]`, raw: what the next action answers.
    pub(crate) observations: Vec<f32>,
    /// `[total_rows]`: false after a row terminated, until its episode ends.
    pub(crate) alive: Vec<bool>,
    /// `[total_rows]`: rewards of the running episode.
    pub(crate) returns: Vec<f64>,
    /// Draws actions.
    pub(crate) rng: ChaCha8Rng,
}

/// Returns of the episodes that rows finished.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Episodes {
    count: u64,
    sum: f64,
}

impl Episodes {
    pub(crate) fn mean_return(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

impl Collector {
    /// Resets the environment.
    pub(crate) fn start(
        env: &mut dyn VectorEnv,
        seed: u64,
        rng: ChaCha8Rng,
    ) -> Result<Self, Error> {
        let total_rows = env.total_rows();
        let mut observations = vec![0.0; total_rows * env.spec().layout.len()];
        env.reset(seed, &mut observations);
        let collector = Self::resume(
            env,
            CollectorState {
                observations,
                alive: vec![true; total_rows],
                returns: vec![0.0; total_rows],
                rng,
            },
        );
        collector.check_observations(&collector.state.observations, |_| true)?;
        Ok(collector)
    }

    /// Goes on from a state; the environment stands where the state was taken.
    pub(crate) fn resume(env: &dyn VectorEnv, state: CollectorState) -> Self {
        let spec = env.spec().clone();
        let total_rows = env.total_rows();
        Self {
            n_envs: env.n_envs(),
            normalized: vec![0.0; total_rows * spec.layout.len()],
            logits: vec![0.0; total_rows * spec.action.n_logits()],
            actions: vec![0; total_rows * spec.action.len()],
            step: Step::new(total_rows, spec.layout.len()),
            spec,
            state,
        }
    }

    /// The environment must be the one of the start.
    pub(crate) fn check_env(&self, env: &dyn VectorEnv) -> Result<(), Error> {
        let rows = [self.spec.n_rows * self.n_envs, env.total_rows()];
        if env.spec() != &self.spec {
            return Err(Error::EnvDiffers {
                what: "its spec",
                found: env.spec().name.clone(),
                expected: self.spec.name.clone(),
            });
        }
        if rows[0] != rows[1] {
            return Err(Error::EnvDiffers {
                what: "the number of rows",
                found: rows[1].to_string(),
                expected: rows[0].to_string(),
            });
        }
        Ok(())
    }

    pub(crate) fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn total_rows(&self) -> usize {
        self.state.alive.len()
    }

    /// Acts for `n_steps` steps only to learn the scale of every observation value.
    pub(crate) fn warm_up(
        &mut self,
        env: &mut dyn VectorEnv,
        networks: &mut Networks,
        n_steps: usize,
    ) -> Result<Normalizer, Error> {
        let observation_len = self.spec.layout.len();
        let identity = Normalizer::identity(observation_len, CLIP);
        let mut moments = Moments::new(observation_len);
        let mut log_probs = vec![0.0; self.total_rows()];
        for _ in 0..n_steps {
            let rows = self.state.observations.chunks_exact(observation_len);
            for (row, &alive) in rows.zip(&self.state.alive) {
                if alive {
                    moments.add(row);
                }
            }
            self.act(networks, &identity, &mut log_probs);
            self.advance(env, &mut Episodes::default())?;
        }
        Ok(moments.normalizer())
    }

    /// Fills a rollout, except for the advantages.
    pub(crate) fn collect(
        &mut self,
        env: &mut dyn VectorEnv,
        networks: &mut Networks,
        normalizer: &Normalizer,
        rollout: &mut Rollout,
    ) -> Result<Episodes, Error> {
        let shape = rollout.shape;
        let mut episodes = Episodes::default();
        for step in 0..shape.n_steps {
            let rows = step * shape.total_rows..(step + 1) * shape.total_rows;
            let values = rows.start * shape.observation_len..rows.end * shape.observation_len;
            let levels = rows.start * shape.action_len..rows.end * shape.action_len;
            self.act(networks, normalizer, &mut rollout.log_probs[rows.clone()]);
            networks
                .critic
                .forward(&self.normalized, &mut rollout.values[rows.clone()]);
            rollout.observations[values].copy_from_slice(&self.normalized);
            rollout.actions[levels].copy_from_slice(&self.actions);
            rollout.alive[rows.clone()].copy_from_slice(&self.state.alive);
            self.advance(env, &mut episodes)?;
            rollout.rewards[rows.clone()].copy_from_slice(&self.step.rewards);
            rollout.terminated[rows.clone()].copy_from_slice(&self.step.terminated);
            rollout.truncated[rows.clone()].copy_from_slice(&self.step.truncated);
            let alive = rollout.alive[rows.clone()].to_vec();
            self.value_truncated(
                networks,
                normalizer,
                &alive,
                &mut rollout.final_values[rows],
            )?;
        }
        self.normalize(normalizer);
        networks
            .critic
            .forward(&self.normalized, &mut rollout.last_values);
        Ok(episodes)
    }

    /// Normalises, runs the actor, draws actions; writes `[total_rows]` log-probabilities.
    fn act(&mut self, networks: &mut Networks, normalizer: &Normalizer, log_probs: &mut [f32]) {
        self.normalize(normalizer);
        networks.actor.forward(&self.normalized, &mut self.logits);
        let action = &self.spec.action;
        let rows = self.logits.chunks_exact(action.n_logits()).zip(log_probs);
        for ((logits, log_prob), levels) in rows.zip(self.actions.chunks_exact_mut(action.len())) {
            *log_prob = heads::sample(action, logits, &mut self.state.rng, levels);
        }
    }

    /// Rows that are not alive become zero: padding may hold anything, even NaN.
    fn normalize(&mut self, normalizer: &Normalizer) {
        normalizer.apply(&self.state.observations, &mut self.normalized);
        let rows = self.normalized.chunks_exact_mut(self.spec.layout.len());
        for (row, &alive) in rows.zip(&self.state.alive) {
            if !alive {
                row.fill(0.0);
            }
        }
    }

    /// Steps the environment and moves every row's state on.
    fn advance(&mut self, env: &mut dyn VectorEnv, episodes: &mut Episodes) -> Result<(), Error> {
        env.step(&self.actions, &mut self.step);
        for row in 0..self.total_rows() {
            let reward = self.step.rewards[row];
            if !self.state.alive[row] {
                continue;
            }
            if !reward.is_finite() {
                return Err(self.not_finite("reward".to_string(), row, reward));
            }
            self.state.returns[row] += f64::from(reward);
            if self.step.terminated[row] || self.step.truncated[row] {
                episodes.count += 1;
                episodes.sum += self.state.returns[row];
                self.state.returns[row] = 0.0;
            }
        }
        self.state
            .observations
            .copy_from_slice(&self.step.observations);
        self.update_alive();
        self.check_observations(&self.state.observations, |row| self.state.alive[row])
    }

    /// An episode ends for all rows of an environment together: when it is
    /// truncated, or when its last row terminates. Until then a terminated row is
    /// padding.
    fn update_alive(&mut self) {
        let n_rows = self.spec.n_rows;
        for env in 0..self.n_envs {
            let rows = env * n_rows..(env + 1) * n_rows;
            let terminated = &self.step.terminated[rows.clone()];
            let truncated = &self.step.truncated[rows.clone()];
            let ended = truncated.contains(&true) || !terminated.contains(&false);
            for (alive, &terminated) in self.state.alive[rows].iter_mut().zip(terminated) {
                *alive = ended || !terminated;
            }
        }
    }

    /// The critic's value of the last observation of every truncated row.
    fn value_truncated(
        &self,
        networks: &mut Networks,
        normalizer: &Normalizer,
        was_alive: &[bool],
        final_values: &mut [f32],
    ) -> Result<(), Error> {
        final_values.fill(0.0);
        let goes_on =
            |row: usize| was_alive[row] && self.step.truncated[row] && !self.step.terminated[row];
        let rows: Vec<usize> = (0..was_alive.len()).filter(|&row| goes_on(row)).collect();
        if rows.is_empty() {
            return Ok(());
        }
        self.check_observations(&self.step.final_observations, goes_on)?;
        let observation_len = self.spec.layout.len();
        let mut raw = Vec::with_capacity(rows.len() * observation_len);
        for &row in &rows {
            let start = row * observation_len;
            raw.extend(&self.step.final_observations[start..start + observation_len]);
        }
        let mut normalized = vec![0.0; raw.len()];
        normalizer.apply(&raw, &mut normalized);
        let mut values = vec![0.0; rows.len()];
        networks.critic.forward(&normalized, &mut values);
        for (row, value) in rows.into_iter().zip(values) {
            final_values[row] = value;
        }
        Ok(())
    }

    fn check_observations(
        &self,
        observations: &[f32],
        counts: impl Fn(usize) -> bool,
    ) -> Result<(), Error> {
        let rows = observations.chunks_exact(self.spec.layout.len());
        for (row, values) in rows.enumerate() {
            if let Some(field) = values.iter().position(|value| !value.is_finite())
                && counts(row)
            {
                let name = format!("`{}`", self.spec.layout.fields[field].name);
                return Err(self.not_finite(name, row, values[field]));
            }
        }
        Ok(())
    }

    fn not_finite(&self, what: String, row: usize, value: f32) -> Error {
        Error::EnvNotFinite {
            env: self.spec.name.clone(),
            what,
            row,
            value,
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::rollout::RolloutShape;
    use crate::test_envs::{PaddingEnv, learner, small_spec};

    fn collect(env: &mut dyn VectorEnv, n_steps: usize) -> (Rollout, Episodes) {
        let mut networks = learner(env, small_spec(env, 0)).networks().unwrap();
        let mut rollout = Rollout::new(RolloutShape {
            n_steps,
            total_rows: env.total_rows(),
            observation_len: env.spec().layout.len(),
            action_len: env.spec().action.len(),
        });
        let identity = Normalizer::identity(env.spec().layout.len(), CLIP);
        let rng = ChaCha8Rng::seed_from_u64(0);
        let mut collector = Collector::start(env, 0, rng).unwrap();
        let episodes = collector.collect(env, &mut networks, &identity, &mut rollout);
        (rollout, episodes.unwrap())
    }

    #[test]
    fn a_terminated_row_is_padding_until_its_episode_ends() {
        let (rollout, episodes) = collect(&mut PaddingEnv::new(), 6);
        let alive_of_row = |row: usize| -> Vec<bool> {
            (0..6).map(|step| rollout.alive[step * 4 + row]).collect()
        };
        assert_eq!(alive_of_row(0), [true, true, false, false, true, true]);
        assert_eq!(alive_of_row(1), [true; 6]);
        assert_eq!(alive_of_row(2), alive_of_row(0));
        assert!(rollout.observations.iter().all(|value| value.is_finite()));
        assert!(rollout.values.iter().all(|value| value.is_finite()));
        // Row 0 and 2: return 2 twice each; row 1 and 3: return 4 once each.
        let mean = (4.0 * 2.0 + 2.0 * 4.0) / 6.0;
        assert_eq!(episodes.mean_return(), Some(mean));
        assert_eq!(rollout.mean_reward(), 1.0);
    }

    #[test]
    fn truncated_rows_are_valued_by_their_last_observation() {
        let mut env = PaddingEnv::new();
        let (rollout, _) = collect(&mut env, 4);
        let mut networks = learner(&env, small_spec(&env, 0)).networks().unwrap();
        let mut values = [0.0; 2];
        // The last observation is 4, the next episode begins at 0.
        networks.critic.forward(&[4.0, 0.0], &mut values);
        assert_ne!(values[0], values[1]);
        assert_eq!(
            rollout.final_values[3 * 4..],
            [0.0, values[0], 0.0, values[0]]
        );
        assert_eq!(rollout.final_values[..3 * 4], [0.0; 12]);
        assert_eq!(rollout.last_values, [values[1]; 4]);
    }
}
