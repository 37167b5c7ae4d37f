//! Categorical heads over one row of logits: sampling and log-probability of a
//! [`MultiDiscrete`] action whose knobs are independent given the observation.
//!
//! Must never know: networks, burn.
use prestage_policy::MultiDiscrete;
use rand::RngExt;

/// Draws one level per knob, writes it, and returns the log-probability of the
/// whole action.
pub(crate) fn sample(
    action: &MultiDiscrete,
    logits: &[f32],
    rng: &mut rand_chacha::ChaCha8Rng,
    levels: &mut [u8],
) -> f32 {
    debug_assert_eq!(logits.len(), action.n_logits());
    let mut rest = logits;
    let mut log_prob = 0.0;
    for (level, &count) in levels.iter_mut().zip(&action.nvec) {
        let (head, tail) = rest.split_at(usize::from(count));
        let (max, sum) = max_and_sum(head);
        *level = draw(head, max, rng.random::<f32>() * sum);
        log_prob += head[usize::from(*level)] - max - sum.ln();
        rest = tail;
    }
    log_prob
}

/// Shifting by the maximum keeps the exponentials from overflowing.
fn max_and_sum(head: &[f32]) -> (f32, f32) {
    let max = head.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum = head.iter().map(|logit| (logit - max).exp()).sum();
    (max, sum)
}

fn draw(head: &[f32], max: f32, mut mass: f32) -> u8 {
    let last = head.len() - 1;
    for (level, logit) in (0u8..).zip(&head[..last]) {
        mass -= (logit - max).exp();
        if mass < 0.0 {
            return level;
        }
    }
    last as u8
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn frequencies_and_log_probs_follow_the_softmax() {
        let action = MultiDiscrete {
            nvec: vec![3, 2],
            neutral: vec![1, 0],
        };
        let logits = [1.0f32, 2.0, 0.5, -1.0, 1.0];
        let first: f32 = logits[..3].iter().map(|x| x.exp()).sum();
        let second: f32 = logits[3..].iter().map(|x| x.exp()).sum();
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        let mut counts = [[0u32; 2]; 3];
        let n = 60_000;
        for _ in 0..n {
            let mut levels = [9, 9];
            let log_prob = sample(&action, &logits, &mut rng, &mut levels);
            let [a, b] = levels.map(usize::from);
            counts[a][b] += 1;
            let expected = logits[a] - first.ln() + logits[3 + b] - second.ln();
            assert!((log_prob - expected).abs() < 1e-5);
        }
        for (a, row) in counts.iter().enumerate() {
            for (b, &count) in row.iter().enumerate() {
                let p = logits[a].exp() / first * logits[3 + b].exp() / second;
                let error = (f64::from(count) / f64::from(n) - f64::from(p)).abs();
                assert!(error < 0.008, "{a},{b}: {count} of {n}, expected {p}");
            }
        }
    }

    #[test]
    fn huge_logits_do_not_overflow() {
        let action = MultiDiscrete {
            nvec: vec![2],
            neutral: vec![0],
        };
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(0);
        let mut levels = [9];
        let log_prob = sample(&action, &[1e30, -1e30], &mut rng, &mut levels);
        assert_eq!((levels, log_prob), ([0], 0.0));
    }
}
