//! Claims made about many families at once: p-values of paired differences, and Holm's correction.
use rand_chacha::rand_core::Rng;

use super::bootstrap::stream;

/// Two-sided p-value that paired differences have mean zero, by a sign-flip test.
///
/// If an arm makes no difference the sign of every difference is a coin flip. The p-value is the
/// share of sign patterns whose mean is at least as far from zero: of all `2^n` of them up to
/// n = 13, else of `flips` drawn at random and the observed one (Phipson and Smyth 2010: never 0).
/// Differences of several training seeds are averaged for each scenario before.
///
/// # Panics
/// Without differences or flips.
pub fn sign_flip_p_value(differences: &[f64], flips: u64, seed: u64) -> f64 {
    assert!(!differences.is_empty(), "the p-value of nothing");
    assert!(flips > 0, "at least one flip");
    let observed = differences.iter().sum::<f64>().abs();
    // Sums of the same terms in another order may differ in the last bits.
    let tolerance = 1e-12 * differences.iter().map(|x| x.abs()).sum::<f64>();
    let is_as_far = |bits: &[u64]| {
        let sum: f64 = differences
            .iter()
            .enumerate()
            .map(|(i, x)| match bits[i / 64] >> (i % 64) & 1 {
                1 => -x,
                _ => *x,
            })
            .sum();
        sum.abs() + tolerance >= observed
    };
    if differences.len() <= EXACT_MAX {
        let patterns = 1_u64 << differences.len();
        let far = (0..patterns).filter(|&bits| is_as_far(&[bits])).count();
        return far as f64 / patterns as f64;
    }
    let mut stream = stream(seed);
    let mut bits = vec![0_u64; differences.len().div_ceil(64)];
    let mut far = 1_u64;
    for _ in 0..flips {
        bits.iter_mut().for_each(|word| *word = stream.next_u64());
        far += u64::from(is_as_far(&bits));
    }
    far as f64 / (flips + 1) as f64
}

/// Up to so many differences all sign patterns are looked at.
const EXACT_MAX: usize = 13;

/// Holm's step-down adjusted p-values, in the order given: rejecting those at most `alpha` keeps
/// the chance of any false claim at most `alpha`, whatever the dependence (Holm 1979).
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]).then(a.cmp(&b)));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut highest: f64 = 0.0;
    for (rank, &index) in order.iter().enumerate() {
        let hypotheses_left = (p_values.len() - rank) as f64;
        highest = highest.max((hypotheses_left * p_values[index]).min(1.0));
        adjusted[index] = highest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holm_multiplies_by_the_hypotheses_left_and_never_falls() {
        // By hand, as R's p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm") gives 0.03 0.06 0.06 0.02.
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (found, expected) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((found - expected).abs() < 1e-12, "{adjusted:?}");
        }
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }

    #[test]
    fn few_differences_are_tested_exactly() {
        // Of the eight sign patterns of 1, 2, 3 two have a sum of six in size.
        assert_eq!(sign_flip_p_value(&[1.0, 2.0, 3.0], 1, 0), 0.25);
        // Sums of 1, 1, -1: six patterns have size one, two size three.
        assert_eq!(sign_flip_p_value(&[1.0, 1.0, -1.0], 1, 0), 1.0);
        assert_eq!(sign_flip_p_value(&[0.0; 5], 1, 0), 1.0);
    }

    #[test]
    fn many_differences_agree_with_the_normal_limit_and_the_seed_decides() {
        // Twenty-five differences of 0.4 +- 1: the sum is 10, its deviation under flips is
        // sqrt(sum of squares) = sqrt(25 * 1.16) = 5.39, z = 1.86, two-sided p = 0.063.
        let differences: Vec<f64> = (0..25)
            .map(|i| 0.4 + if i % 2 == 0 { 1.0 } else { -1.0 })
            .collect();
        let spread: f64 = differences.iter().map(|x| x * x).sum::<f64>().sqrt();
        let z = differences.iter().sum::<f64>() / spread;
        let expected = 2.0 * (1.0 - prestage_forecast::normal_cdf(z));
        let found = sign_flip_p_value(&differences, 20_000, 3);
        assert!(
            (found - expected).abs() < 0.02,
            "{found} against {expected}"
        );
        assert_eq!(found, sign_flip_p_value(&differences, 20_000, 3));
        assert_ne!(found, sign_flip_p_value(&differences, 20_000, 4));
    }
}
