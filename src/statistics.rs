//! Estimates with their uncertainty: quantiles, interquartile means, paired bootstraps,
//! comparisons of arms and corrections for many of them.
//!
//! Pure functions of their arguments. Must not know arms, dollars or files.
mod bootstrap;
mod compare;
mod multiple;

pub use bootstrap::{Bootstrap, Grid, Interval, RESAMPLES};
pub use compare::{optimality_gap, performance_profile, probability_of_improvement};
pub use multiple::{holm, sign_flip_p_value};

/// Arithmetic mean, summed in order.
///
/// # Panics
/// Without values.
pub fn mean(values: &[f64]) -> f64 {
    assert!(!values.is_empty(), "the mean of nothing");
    values.iter().sum::<f64>() / values.len() as f64
}

/// Interquartile mean: the mean without the lowest and highest quarter of the values.
///
/// As in rliable (Agarwal et al. 2021), which calls `scipy.stats.trim_mean(x, 0.25)`:
/// `floor(n / 4)` values are cut from either end.
///
/// # Panics
/// Without values, or with NaN.
pub fn interquartile_mean(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    let cut = sorted.len() / 4;
    mean(&sorted[cut..sorted.len() - cut])
}

/// Quantile of type 7 of Hyndman and Fan (1996), the default of R and NumPy.
///
/// # Panics
/// Without values, with NaN, or when `probability` is not in 0..=1.
pub fn quantile(values: &[f64], probability: f64) -> f64 {
    quantile_sorted(&sorted(values), probability)
}

/// The middle value, or the mean of the two middle ones.
///
/// # Panics
/// Without values, or with NaN.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// 95 % interval of a probability from `successes` of `trials` (Wilson 1927); all of [0, 1] without
/// trials.
pub fn wilson(successes: u64, trials: u64) -> (f64, f64) {
    const Z: f64 = 1.959_963_984_540_054;
    if trials == 0 {
        return (0.0, 1.0);
    }
    let n = trials as f64;
    let share = successes as f64 / n;
    let spread = Z / n.sqrt() * (share * (1.0 - share) + Z * Z / (4.0 * n)).sqrt();
    let center = share + Z * Z / (2.0 * n);
    let scale = 1.0 + Z * Z / n;
    (
        ((center - spread) / scale).max(0.0),
        ((center + spread) / scale).min(1.0),
    )
}

fn sorted(values: &[f64]) -> Vec<f64> {
    assert!(
        !values.iter().any(|value| value.is_nan()),
        "NaN has no rank"
    );
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

fn quantile_sorted(sorted: &[f64], probability: f64) -> f64 {
    assert!(!sorted.is_empty(), "the quantile of nothing");
    assert!(
        (0.0..=1.0).contains(&probability),
        "probability {probability} is not in 0..=1"
    );
    let position = probability * (sorted.len() - 1) as f64;
    let below = sorted[position.floor() as usize];
    let above = sorted[position.ceil() as usize];
    below + (above - below) * position.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_close(found: f64, expected: f64, tolerance: f64) {
        assert!(
            (found - expected).abs() <= tolerance,
            "found {found}, expected {expected}"
        );
    }

    #[test]
    fn quantile_is_type_7() {
        let values = [4.0, 1.0, 3.0, 2.0];
        assert_eq!(quantile(&values, 0.0), 1.0);
        assert_eq!(quantile(&values, 0.25), 1.75);
        assert_eq!(quantile(&values, 0.5), 2.5);
        check_close(quantile(&values, 0.9), 3.7, 1e-12);
        assert_eq!(quantile(&values, 1.0), 4.0);
        assert_eq!(quantile(&[7.0], 0.3), 7.0);
        assert_eq!(median(&[3.0, 1.0, 9.0]), 3.0);
    }

    #[test]
    fn wilson_is_that_of_the_textbooks() {
        // 15 of 50: statsmodels.stats.proportion.proportion_confint(15, 50, method="wilson").
        let (low, high) = wilson(15, 50);
        check_close(low, 0.191_036, 1e-5);
        check_close(high, 0.437_504, 1e-5);
        assert_eq!(wilson(0, 10).0, 0.0);
        check_close(wilson(0, 10).1, 0.277_533, 1e-5);
        assert_eq!(wilson(0, 0), (0.0, 1.0));
    }

    #[test]
    fn interquartile_mean_cuts_whole_values_like_scipy() {
        assert_eq!(
            interquartile_mean(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 100.0]),
            4.5
        );
        // scipy.stats.trim_mean(range(10), 0.25) cuts int(2.5) = 2 values from either end.
        let ten: Vec<f64> = (0..10).map(f64::from).collect();
        assert_eq!(interquartile_mean(&ten), 4.5);
        assert_eq!(interquartile_mean(&[0.0, 0.0, 9.0]), 3.0);
    }
}
