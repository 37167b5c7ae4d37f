//! PPO against the definitions of its parts, and what it refuses.
use super::*;
use crate::device::ComputeDevice;
use crate::rollout::RolloutShape;
use prestage_policy::{EnvSpec, Field, Layout, MultiDiscrete};

fn env() -> EnvSpec {
    let field = |name: &str| Field {
        name: name.into(),
        about: "a test value".into(),
    };
    EnvSpec {
        name: "test".into(),
        layout: Layout {
            name: "test".into(),
            version: 1,
            clip: 5.0,
            fields: vec![field("a"), field("b")],
        },
        action: MultiDiscrete {
            nvec: vec![3, 5, 2],
            neutral: vec![1, 2, 0],
        },
        n_rows: 4,
        max_episode_steps: 10,
    }
}

fn spec() -> PpoSpec {
    PpoSpec {
        n_steps: 8,
        batch_size: 16,
        hidden: vec![8],
        total_steps: 1_000,
        ..PpoSpec::default()
    }
}

fn ppo(spec: PpoSpec) -> Ppo {
    let env = env();
    let context = LearnerContext {
        env: &env,
        total_rows: 4,
        device: ComputeDevice::Flex,
    };
    Ppo::new(spec.validate(4).unwrap(), &context)
}

#[track_caller]
fn check_refused(change: impl FnOnce(&mut PpoSpec), expected: &str) {
    let mut changed = spec();
    change(&mut changed);
    let message = changed.validate(4).unwrap_err().to_string();
    assert!(message.contains(expected), "{message}");
}

#[test]
fn settings_outside_their_range_are_refused_by_name_and_value() {
    check_refused(
        |s| s.n_steps = 0,
        "`n_steps` is `0` (allowed: 1 to 16777216)",
    );
    check_refused(|s| s.batch_size = 0, "`batch_size` is `0`");
    check_refused(|s| s.n_epochs = 0, "`n_epochs` is `0`");
    check_refused(|s| s.n_steps = usize::MAX, "`n_steps` is");
    check_refused(|s| s.warmup_steps = Some(0), "`warmup_steps` is `0`");
    check_refused(|s| s.hidden = vec![8, 0], "`hidden` is `0`");
    for bad in [0.0, -0.5, f64::NAN, f64::INFINITY] {
        check_refused(|s| s.learning_rate = bad, "`learning_rate` is");
        check_refused(|s| s.clip_range = bad, "`clip_range` is");
        check_refused(|s| s.max_grad_norm = bad, "`max_grad_norm` is");
        check_refused(|s| s.target_kl = Some(bad), "`target_kl` is");
    }
    for bad in [-0.5, f64::NAN, f64::INFINITY] {
        check_refused(|s| s.ent_coef = bad, "`ent_coef` is");
        check_refused(|s| s.vf_coef = bad, "`vf_coef` is");
    }
    for bad in [0.0, 1.1, f64::NAN] {
        check_refused(|s| s.gamma = bad, "(allowed: above 0, at most 1)");
    }
    check_refused(
        |s| s.gae_lambda = 1.1,
        "`gae_lambda` is `1.1` (allowed: 0 to 1)",
    );
    check_refused(|s| s.gae_lambda = f64::NAN, "`gae_lambda` is `NaN`");
    check_refused(|s| s.neutral_logit = f64::NAN, "`neutral_logit` is `NaN`");
}

#[test]
fn ragged_minibatches_and_empty_budgets_are_refused_with_both_names() {
    check_refused(
        |s| s.batch_size = 12,
        "`batch_size` is 12, which does not divide `n_steps` x rows = 8 x 4 = 32",
    );
    check_refused(|s| s.batch_size = 12, "not above yours is 8");
    check_refused(|s| s.batch_size = 33, "not above yours is 32");
    check_refused(
        |s| s.total_steps = 63,
        "`total_steps` is 63 (allowed: at least 64",
    );
}

#[test]
fn unknown_keys_and_negative_counts_are_refused_by_name() {
    let env = env();
    let context = LearnerContext {
        env: &env,
        total_rows: 4,
        device: ComputeDevice::Flex,
    };
    for (settings, expected) in [
        (
            serde_json::json!({"learning_rat": 1.0}),
            "unknown field `learning_rat`",
        ),
        (
            serde_json::json!({"n_steps": -1}),
            "invalid value: integer `-1`",
        ),
    ] {
        let error = (ENTRY.build)(&settings, &context).err().unwrap();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

/// Knobs of 3, 5 and 2 levels go through the padded block.
#[test]
fn padded_heads_compute_the_plain_softmax() {
    let device = ComputeDevice::Flex.autodiff();
    let heads = Heads::new(env().action, &device);
    let logits: Vec<f32> = (0..20).map(|i| (i as f32 * 1.7).sin() * 4.0).collect();
    let levels = [[2u8, 4, 0], [0, 1, 1]];
    let mut chosen = Vec::new();
    levels
        .iter()
        .for_each(|levels| heads.one_hot(levels, &mut chosen));
    let log_probs = heads.log_probs(matrix(&logits, 2, &device));
    let found = heads.log_prob_of(log_probs.clone(), &chosen).into_data();
    let entropy = Heads::entropy(log_probs).into_data();
    let results = found.iter::<f64>().zip(entropy.iter::<f64>());
    for ((row, levels), (log_prob, entropy)) in logits.chunks(10).zip(levels).zip(results) {
        let (mut expected_log_prob, mut expected_entropy) = (0.0, 0.0);
        let mut start = 0;
        for (level, count) in levels.into_iter().zip([3, 5, 2]) {
            let head = row[start..start + count].iter().map(|&x| f64::from(x));
            let sum: f64 = head.clone().map(f64::exp).sum();
            let log_p: Vec<f64> = head.map(|x| x - sum.ln()).collect();
            expected_log_prob += log_p[usize::from(level)];
            expected_entropy -= log_p.iter().map(|x| x * x.exp()).sum::<f64>();
            start += count;
        }
        assert!((log_prob - expected_log_prob).abs() < 1e-5);
        assert!((entropy - expected_entropy).abs() < 1e-5);
    }
}

#[test]
fn equal_heads_need_no_padding() {
    let action = MultiDiscrete {
        nvec: vec![7; 6],
        neutral: vec![3; 6],
    };
    let heads = Heads::new(action, &ComputeDevice::Flex.autodiff());
    assert!(heads.padding.is_none());
}

fn rollout() -> Rollout {
    let mut rollout = Rollout::new(RolloutShape {
        n_steps: 8,
        total_rows: 4,
        observation_len: 2,
        action_len: 3,
    });
    for at in 0..32 {
        let x = (at as f32 * 0.77).sin();
        rollout.observations[2 * at..2 * at + 2].copy_from_slice(&[x, 1.0 - x]);
        rollout.actions[3 * at..3 * at + 3].copy_from_slice(&[1, (at % 5) as u8, 0]);
        rollout.log_probs[at] = -3.0;
        rollout.advantages[at] = (at as f32 * 1.31).cos();
        rollout.returns[at] = 2.0 + x;
    }
    rollout
}

#[test]
fn padding_rows_change_nothing() {
    let mut clean = rollout();
    for at in 24..32 {
        clean.alive[at] = false;
    }
    let mut dirty = clean.clone();
    for at in 24..32 {
        dirty.advantages[at] = 1e6;
        dirty.returns[at] = -1e6;
        dirty.observations[2 * at] = 5.0;
    }
    let learn = |rollout: &Rollout| {
        let mut ppo = ppo(spec());
        ppo.learn(rollout, 0.0).unwrap();
        let mut logits = [0.0; 10];
        ppo.networks()
            .unwrap()
            .actor
            .forward(&[0.3, 0.7], &mut logits);
        logits
    };
    assert_eq!(learn(&clean), learn(&dirty));
    assert_ne!(learn(&clean), learn(&rollout()));
}

#[test]
fn the_first_minibatch_has_ratio_one_when_nothing_has_changed() {
    let mut ppo = ppo(PpoSpec {
        batch_size: 32,
        n_epochs: 1,
        ..spec()
    });
    let mut rollout = rollout();
    let indices: Vec<usize> = (0..32).collect();
    let batch = Minibatch::gather(&rollout, &indices, &ppo.heads).unwrap();
    let log_prob = ppo.losses(&batch).log_prob.into_data();
    rollout.log_probs = log_prob.iter::<f32>().collect();
    let metrics = ppo.learn(&rollout, 0.0).unwrap();
    assert!(metrics.approx_kl.abs() < 1e-9, "{metrics:?}");
    assert_eq!(metrics.clip_fraction, 0.0);
    assert!(
        metrics.policy_loss.abs() < 1e-6,
        "normalised advantages have mean 0"
    );
    assert!(metrics.value_loss > 0.0);
}

#[test]
fn target_kl_stops_an_update_early() {
    let learn = |target_kl: Option<f64>| {
        let spec = PpoSpec {
            target_kl,
            n_epochs: 30,
            learning_rate: 0.01,
            ..spec()
        };
        let mut ppo = ppo(spec);
        ppo.learn(&rollout(), 0.0).unwrap();
        ppo.gradient_steps
    };
    assert_eq!(learn(None), 60);
    assert_eq!(learn(Some(1e-9)), 0);
}

#[test]
fn the_learning_rate_falls_linearly_or_not_at_all() {
    let rate = |anneal_learning_rate, progress| {
        let mut ppo = ppo(PpoSpec {
            anneal_learning_rate,
            ..spec()
        });
        ppo.learn(&rollout(), progress).unwrap().learning_rate
    };
    assert_eq!(rate(true, 0.0), 3e-4);
    assert_eq!(rate(true, 0.75), 0.75e-4);
    assert_eq!(rate(false, 0.75), 3e-4);
}

#[test]
fn a_reward_that_overflows_is_an_error_and_not_a_network_of_nan() {
    let mut rollout = rollout();
    rollout.returns[3] = f32::MAX;
    let error = ppo(spec()).learn(&rollout, 0.0).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Diverged {
                what: "value loss",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn state_restores_and_parts_that_are_missing_are_named() {
    let mut first = ppo(spec());
    first.learn(&rollout(), 0.0).unwrap();
    let mut state = first.state().unwrap();
    let mut second = ppo(PpoSpec { seed: 9, ..spec() });
    second.restore(&state).unwrap();
    assert_eq!(
        first.learn(&rollout(), 0.5).unwrap(),
        second.learn(&rollout(), 0.5).unwrap()
    );
    let mut logits = [[0.0; 10]; 2];
    first
        .networks()
        .unwrap()
        .actor
        .forward(&[0.1, 0.2], &mut logits[0]);
    second
        .networks()
        .unwrap()
        .actor
        .forward(&[0.1, 0.2], &mut logits[1]);
    assert_eq!(logits[0], logits[1]);
    state.remove("shuffle_rng");
    let message = second.restore(&state).unwrap_err().to_string();
    assert_eq!(message, "shuffle_rng cannot be read: it is missing");
}
