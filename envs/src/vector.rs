//! Environments side by side, on as many threads as there are.
//!
//! Each member is stepped by one thread and results are gathered in member order,
//! so the number of threads changes nothing but the time.
use prestage_policy::{Env, EnvSpec, SnapshotError, Step, VectorEnv};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::seeds::SeedSet;

/// A [`VectorEnv`] over members of one kind.
pub struct ParallelVectorEnv<E> {
    members: Vec<Member<E>>,
    spec: EnvSpec,
    seed: u64,
}

struct Member<E> {
    env: E,
    index: u64,
    episode: u64,
    step: Step,
}

#[derive(Serialize, Deserialize)]
struct Snapshot {
    seed: u64,
    members: Vec<(u64, Vec<u8>)>,
}

/// Episodes of one member that get seeds of their own.
const EPISODES_MAX: u64 = 1 << 40;

impl<E: Env> ParallelVectorEnv<E> {
    /// Panics when there is no member or the members' specs differ.
    pub fn new(envs: Vec<E>) -> Self {
        let spec = envs
            .first()
            .expect("a vector needs at least one environment")
            .spec()
            .clone();
        assert!(
            envs.iter().all(|env| *env.spec() == spec),
            "members of one vector must share their spec"
        );
        let member = |(index, env)| Member {
            env,
            index: index as u64,
            episode: 0,
            step: Step::new(spec.n_rows, spec.layout.len()),
        };
        Self {
            members: envs.into_iter().enumerate().map(member).collect(),
            spec,
            seed: 0,
        }
    }
}

impl<E> Member<E> {
    fn episode_seed(&self, base: u64) -> u64 {
        SeedSet::Training.seed(base, self.index * EPISODES_MAX + self.episode)
    }
}

impl<E: Env> VectorEnv for ParallelVectorEnv<E> {
    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn n_envs(&self) -> usize {
        self.members.len()
    }

    fn reset(&mut self, seed: u64, observations: &mut [f32]) {
        self.seed = seed;
        let width = self.spec.n_rows * self.spec.layout.len();
        self.members
            .par_iter_mut()
            .zip(observations.par_chunks_exact_mut(width))
            .for_each(|(member, observations)| {
                member.episode = 0;
                let seed = member.episode_seed(seed);
                member.env.reset(seed, observations);
            });
    }

    fn step(&mut self, actions: &[u8], step: &mut Step) {
        let rows = self.spec.n_rows;
        let width = rows * self.spec.layout.len();
        let base = self.seed;
        self.members
            .par_iter_mut()
            .zip(actions.par_chunks_exact(rows * self.spec.action.len()))
            .for_each(|(member, actions)| {
                member.env.step(actions, &mut member.step);
                let ended = |(&terminated, &truncated): (&bool, &bool)| terminated || truncated;
                if member
                    .step
                    .terminated
                    .iter()
                    .zip(&member.step.truncated)
                    .all(ended)
                {
                    member.episode += 1;
                    let seed = member.episode_seed(base);
                    member.env.reset(seed, &mut member.step.observations);
                }
            });
        for (i, member) in self.members.iter().enumerate() {
            let (row, value) = (i * rows, i * width);
            step.observations[value..value + width].copy_from_slice(&member.step.observations);
            step.final_observations[value..value + width]
                .copy_from_slice(&member.step.final_observations);
            step.rewards[row..row + rows].copy_from_slice(&member.step.rewards);
            step.terminated[row..row + rows].copy_from_slice(&member.step.terminated);
            step.truncated[row..row + rows].copy_from_slice(&member.step.truncated);
        }
    }

    fn snapshot(&self) -> Vec<u8> {
        let members = self
            .members
            .iter()
            .map(|member| (member.episode, member.env.snapshot()))
            .collect();
        let snapshot = Snapshot {
            seed: self.seed,
            members,
        };
        serde_json::to_vec(&snapshot).expect("a snapshot is made of plain numbers")
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), SnapshotError> {
        let snapshot: Snapshot =
            serde_json::from_slice(snapshot).map_err(|error| SnapshotError {
                reason: error.to_string(),
            })?;
        if snapshot.members.len() != self.members.len() {
            let reason = format!(
                "it has {} members, not {}",
                snapshot.members.len(),
                self.members.len()
            );
            return Err(SnapshotError { reason });
        }
        self.seed = snapshot.seed;
        let restored: Vec<Result<(), SnapshotError>> = self
            .members
            .par_iter_mut()
            .zip(snapshot.members.par_iter())
            .map(|(member, (episode, state))| {
                member.episode = *episode;
                member.env.restore(state)
            })
            .collect();
        restored.into_iter().collect()
    }
}
