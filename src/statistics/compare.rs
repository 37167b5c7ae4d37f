//! How arms compare beyond their means, by the definitions of rliable.
//!
//! Agarwal, Schwarzer, Castro, Courville and Bellemare, "Deep reinforcement learning at the edge of
//! the statistical precipice" (NeurIPS 2021). Scores are better when higher; a task is what runs are
//! comparable within, here a family or a history.

/// How far scores stay below `target` on average: the mean of `target - min(score, target)`.
///
/// # Panics
/// Without scores.
pub fn optimality_gap(scores: &[f64], target: f64) -> f64 {
    assert!(!scores.is_empty(), "the gap of nothing");
    let capped: f64 = scores.iter().map(|score| score.min(target)).sum();
    target - capped / scores.len() as f64
}

/// The share of scores above each of `thresholds`, runs and tasks taken together.
///
/// # Panics
/// Without scores.
pub fn performance_profile(scores: &[f64], thresholds: &[f64]) -> Vec<f64> {
    assert!(!scores.is_empty(), "the profile of nothing");
    let above = |threshold: &f64| scores.iter().filter(|score| *score > threshold).count();
    thresholds
        .iter()
        .map(|threshold| above(threshold) as f64 / scores.len() as f64)
        .collect()
}

/// How likely a run of `left` beats one of `right` on a task drawn at random: the mean over tasks
/// of the Mann-Whitney statistic over its maximum, ties counting one half.
///
/// Both are indexed by task, then run; tasks may have different numbers of runs.
///
/// # Panics
/// When the tasks differ in number, or one has no run.
pub fn probability_of_improvement(left: &[Vec<f64>], right: &[Vec<f64>]) -> f64 {
    assert_eq!(left.len(), right.len(), "the same tasks on either side");
    assert!(!left.is_empty(), "at least one task");
    let of_tasks: f64 = left
        .iter()
        .zip(right)
        .map(|(left, right)| task_probability(left, right))
        .sum();
    of_tasks / left.len() as f64
}

fn task_probability(left: &[f64], right: &[f64]) -> f64 {
    assert!(
        !left.is_empty() && !right.is_empty(),
        "every task has runs on either side"
    );
    let wins: f64 = left
        .iter()
        .flat_map(|x| right.iter().map(move |y| (x, y)))
        .map(|(x, y)| match x.total_cmp(y) {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Less => 0.0,
        })
        .sum();
    wins / (left.len() * right.len()) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand from the definitions: two tasks of three runs.
    const X: [[f64; 3]; 2] = [[1.0, 2.0, 3.0], [0.2, 0.4, 0.9]];
    const Y: [[f64; 3]; 2] = [[1.0, 1.5, 4.0], [0.1, 0.4, 0.8]];

    fn tasks(scores: [[f64; 3]; 2]) -> Vec<Vec<f64>> {
        scores.iter().map(|task| task.to_vec()).collect()
    }

    #[test]
    fn improvement_is_the_mean_mann_whitney_share() {
        // Task 1: 1 ties 1 (0.5), 2 beats 1 and 1.5 (2), 3 beats 1 and 1.5 (2): 4.5 of 9.
        // Task 2: 0.2 beats 0.1 (1), 0.4 beats 0.1 and ties 0.4 (1.5), 0.9 beats all (3): 5.5 of 9.
        let found = probability_of_improvement(&tasks(X), &tasks(Y));
        assert!((found - (4.5 + 5.5) / 18.0).abs() < 1e-12);
        assert_eq!(probability_of_improvement(&tasks(X), &tasks(X)), 0.5);
        let back = probability_of_improvement(&tasks(Y), &tasks(X));
        assert!((found + back - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_gap_caps_scores_at_the_target() {
        let scores: Vec<f64> = X.concat();
        // Capped at 1: 1, 1, 1, 0.2, 0.4, 0.9.
        assert!((optimality_gap(&scores, 1.0) - (1.0 - 4.5 / 6.0)).abs() < 1e-12);
        assert_eq!(optimality_gap(&[2.0, 3.0], 1.0), 0.0);
    }

    #[test]
    fn a_profile_counts_scores_strictly_above() {
        let scores: Vec<f64> = X.concat();
        let profile = performance_profile(&scores, &[0.0, 0.4, 1.0, 5.0]);
        assert_eq!(profile, [1.0, 4.0 / 6.0, 2.0 / 6.0, 0.0]);
    }
}
