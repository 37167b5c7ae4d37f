//! What was seen, done and earned during `n_steps` steps of all rows, and the
//! advantages computed from it.
//!
//! Step-major: entry `step * total_rows + row`. Must never know: networks, burn.

/// Sizes of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RolloutShape {
    /// Steps of every row.
    pub n_steps: usize,
    /// Rows over all environments.
    pub total_rows: usize,
    /// Values of one observation.
    pub observation_len: usize,
    /// Knobs of one action.
    pub action_len: usize,
}

impl RolloutShape {
    /// Row-steps: `n_steps * total_rows`.
    pub fn len(&self) -> usize {
        self.n_steps * self.total_rows
    }

    /// True when there is nothing to learn from.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Discounts of the advantage.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Discount {
    pub(crate) gamma: f64,
    pub(crate) gae_lambda: f64,
}

/// A buffer that is filled, learned from and filled again.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    /// Sizes of everything below.
    pub shape: RolloutShape,
    /// `[len * observation_len]`, normalised.
    pub observations: Vec<f32>,
    /// `[len * action_len]`.
    pub actions: Vec<u8>,
    /// `[len]`, of the policy that acted.
    pub log_probs: Vec<f32>,
    /// `[len]`, the critic's value of each observation when it was collected.
    pub values: Vec<f32>,
    /// `[len]`.
    pub rewards: Vec<f32>,
    /// `[len]`: nothing follows.
    pub terminated: Vec<bool>,
    /// `[len]`: we stopped watching.
    pub truncated: Vec<bool>,
    /// `[len]`: the critic's value of the last observation of a truncated episode;
    /// 0 elsewhere.
    pub final_values: Vec<f32>,
    /// `[len]`: false for a row that terminated earlier in a running episode. Its
    /// entries are padding and take no part in anything.
    pub alive: Vec<bool>,
    /// `[total_rows]`: the critic's value of the observation after the last step.
    pub last_values: Vec<f32>,
    /// `[len]`, filled by `compute_advantages`.
    pub advantages: Vec<f32>,
    /// `[len]`, advantage + value: what the critic should have said.
    pub returns: Vec<f32>,
}

impl Rollout {
    /// Zeroed buffers.
    pub fn new(shape: RolloutShape) -> Self {
        let len = shape.len();
        Self {
            shape,
            observations: vec![0.0; len * shape.observation_len],
            actions: vec![0; len * shape.action_len],
            log_probs: vec![0.0; len],
            values: vec![0.0; len],
            rewards: vec![0.0; len],
            terminated: vec![false; len],
            truncated: vec![false; len],
            final_values: vec![0.0; len],
            alive: vec![true; len],
            last_values: vec![0.0; shape.total_rows],
            advantages: vec![0.0; len],
            returns: vec![0.0; len],
        }
    }

    /// Generalised advantage estimation (Schulman et al. 2016), termination and
    /// truncation kept apart.
    pub(crate) fn compute_advantages(&mut self, discount: Discount) {
        for row in 0..self.shape.total_rows {
            self.compute_row(row, discount);
        }
    }

    fn compute_row(&mut self, row: usize, discount: Discount) {
        let mut next_advantage = 0.0f64;
        let mut value_of_next_step = f64::from(self.last_values[row]);
        for step in (0..self.shape.n_steps).rev() {
            let at = step * self.shape.total_rows + row;
            if !self.alive[at] {
                self.advantages[at] = 0.0;
                self.returns[at] = self.values[at];
                continue;
            }
            let next_value = match (self.terminated[at], self.truncated[at]) {
                (true, _) => 0.0, // The episode is over: nothing follows.
                (false, true) => f64::from(self.final_values[at]), // It goes on unwatched.
                (false, false) => value_of_next_step,
            };
            let value = f64::from(self.values[at]);
            let delta = f64::from(self.rewards[at]) + discount.gamma * next_value - value;
            let carry = if self.terminated[at] || self.truncated[at] {
                0.0
            } else {
                discount.gamma * discount.gae_lambda
            };
            let advantage = delta + carry * next_advantage;
            self.advantages[at] = advantage as f32;
            self.returns[at] = (advantage + value) as f32;
            next_advantage = advantage;
            value_of_next_step = value;
        }
    }

    /// Mean reward of the rows alive; 0 when there is none.
    pub(crate) fn mean_reward(&self) -> f64 {
        let rewards = self.alive_values(&self.rewards);
        let (count, sum) = rewards.fold((0u64, 0.0), |(n, sum), x| (n + 1, sum + x));
        sum / count.max(1) as f64
    }

    /// 1 - Var(returns - values) / Var(returns); `None` when returns do not vary.
    pub(crate) fn explained_variance(&self) -> Option<f64> {
        let total = variance(self.alive_values(&self.returns));
        let residuals = self
            .alive_values(&self.returns)
            .zip(self.alive_values(&self.values))
            .map(|(target, value)| target - value);
        let unexplained = variance(residuals);
        (total > 0.0).then(|| 1.0 - unexplained / total)
    }

    fn alive_values<'a>(&'a self, values: &'a [f32]) -> impl Iterator<Item = f64> + Clone + 'a {
        let pairs = values.iter().zip(&self.alive);
        pairs.filter_map(|(&value, &alive)| alive.then_some(f64::from(value)))
    }
}

fn variance(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let count = values.clone().count().max(1) as f64;
    let mean = values.clone().sum::<f64>() / count;
    values
        .map(|value| (value - mean) * (value - mean))
        .sum::<f64>()
        / count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_after_a_termination_reaches_nothing() {
        let mut rollout = one_row(3);
        rollout.rewards = vec![1.0, 2.0, f32::NAN];
        rollout.terminated = vec![false, true, true];
        rollout.alive = vec![true, true, false];
        rollout.compute_advantages(discount());
        check(&rollout, &[1.5, 2.0, 0.0]);
    }

    fn one_row(n_steps: usize) -> Rollout {
        Rollout::new(RolloutShape {
            n_steps,
            total_rows: 1,
            observation_len: 1,
            action_len: 1,
        })
    }

    fn discount() -> Discount {
        Discount {
            gamma: 0.5,
            gae_lambda: 0.5,
        }
    }

    #[track_caller]
    fn check(rollout: &Rollout, advantages: &[f32]) {
        for (index, (found, expected)) in rollout.advantages.iter().zip(advantages).enumerate() {
            assert!(
                (found - expected).abs() < 1e-6,
                "{index}: {:?}",
                rollout.advantages
            );
            let target = found + rollout.values[index];
            assert!((rollout.returns[index] - target).abs() < 1e-6);
        }
    }

    /// By hand, gamma = lambda = 1/2, carry = 1/4. Steps 0-1 end terminated, steps
    /// 2-3 end truncated with final value 8, step 4 goes on to a value of 6.
    ///
    /// ```text
    /// 4: delta = 1 + 0.5 * 6 - 2 = 2            advantage 2
    /// 3: delta = 3 + 0.5 * 8 - 1 = 6            advantage 6      (no carry over the end)
    /// 2: delta = 2 + 0.5 * 1 - 4 = -1.5         advantage -1.5 + 6/4 = 0
    /// 1: delta = 5 + 0 - 1 = 4                  advantage 4      (nothing follows)
    /// 0: delta = 1 + 0.5 * 1 - 2 = -0.5         advantage -0.5 + 4/4 = 0.5
    /// ```
    #[test]
    fn one_terminated_and_one_truncated_episode_by_hand() {
        let mut rollout = one_row(5);
        rollout.rewards = vec![1.0, 5.0, 2.0, 3.0, 1.0];
        rollout.values = vec![2.0, 1.0, 4.0, 1.0, 2.0];
        rollout.terminated[1] = true;
        rollout.truncated[3] = true;
        rollout.final_values[3] = 8.0;
        rollout.last_values[0] = 6.0;
        rollout.compute_advantages(discount());
        check(&rollout, &[0.5, 4.0, 0.0, 6.0, 2.0]);
    }

    #[test]
    fn termination_wins_over_truncation_in_the_same_step() {
        let mut rollout = one_row(1);
        rollout.rewards = vec![3.0];
        rollout.terminated[0] = true;
        rollout.truncated[0] = true;
        rollout.final_values[0] = 100.0;
        rollout.last_values[0] = 100.0;
        rollout.compute_advantages(discount());
        check(&rollout, &[3.0]);
    }

    #[test]
    fn rows_do_not_mix() {
        let shape = RolloutShape {
            n_steps: 2,
            total_rows: 2,
            observation_len: 1,
            action_len: 1,
        };
        let mut rollout = Rollout::new(shape);
        rollout.rewards = vec![1.0, 10.0, 2.0, 20.0];
        rollout.last_values = vec![4.0, 0.0];
        rollout.compute_advantages(discount());
        check(&rollout, &[2.0, 15.0, 4.0, 20.0]);
    }

    #[test]
    fn dead_rows_are_left_out_of_statistics() {
        let mut rollout = one_row(3);
        rollout.rewards = vec![1.0, 3.0, 500.0];
        rollout.returns = vec![1.0, 3.0, 900.0];
        rollout.values = vec![1.0, 3.0, 0.0];
        rollout.alive = vec![true, true, false];
        assert_eq!(rollout.mean_reward(), 2.0);
        assert_eq!(rollout.explained_variance(), Some(1.0));
    }
}
