//! How alike two samples are: distances, tests and a classifier that tries to tell
//! them apart.
//!
//! With thousands of observations every test rejects every model, so distances say
//! more than p-values: the Kolmogorov-Smirnov distance is in units of probability,
//! and a classifier's AUC of 0.5 means that nobody can tell the two apart.

/// A two-sample Kolmogorov-Smirnov test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KolmogorovSmirnov {
    /// Largest difference of the distribution functions, 0 to 1.
    pub distance: f64,
    /// Probability of at least this distance if both are from one distribution,
    /// by the asymptotic series with Stephens' correction (1970).
    pub p_value: f64,
}

/// Compares two samples, which need not be sorted; `None` when one is empty.
pub fn kolmogorov_smirnov(a: &[f64], b: &[f64]) -> Option<KolmogorovSmirnov> {
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let (a, b) = (sorted(a), sorted(b));
    let (n, m) = (a.len() as f64, b.len() as f64);
    let (mut i, mut j) = (0, 0);
    let mut distance: f64 = 0.0;
    while i < a.len() && j < b.len() {
        let value = a[i].min(b[j]);
        while i < a.len() && a[i] <= value {
            i += 1;
        }
        while j < b.len() && b[j] <= value {
            j += 1;
        }
        distance = distance.max((i as f64 / n - j as f64 / m).abs());
    }
    let root = (n * m / (n + m)).sqrt();
    let p_value = kolmogorov_tail((root + 0.12 + 0.11 / root) * distance);
    Some(KolmogorovSmirnov { distance, p_value })
}

/// P(K > x) of the Kolmogorov distribution.
fn kolmogorov_tail(x: f64) -> f64 {
    if x < 0.2 {
        return 1.0;
    }
    let mut sum = 0.0;
    for k in 1..=100 {
        let k = f64::from(k);
        let term = (-2.0 * k * k * x * x).exp();
        sum += if k as u32 % 2 == 1 { term } else { -term };
        if term < 1e-16 {
            break;
        }
    }
    (2.0 * sum).clamp(0.0, 1.0)
}

/// The standardised two-sample Anderson-Darling statistic, (A^2 - 1) / sigma
/// (Scholz and Stephens 1987, k = 2). Above 1.961 it rejects at 5 %, above 3.752
/// at 1 %; it weighs tails more than Kolmogorov-Smirnov. `None` for samples too
/// small to standardise.
pub fn anderson_darling(a: &[f64], b: &[f64]) -> Option<f64> {
    let (n, m) = (a.len() as f64, b.len() as f64);
    let total = a.len() + b.len();
    if a.len() < 2 || b.len() < 2 {
        return None;
    }
    let mut pooled: Vec<(f64, bool)> = a.iter().map(|&x| (x, true)).collect();
    pooled.extend(b.iter().map(|&x| (x, false)));
    pooled.sort_by(|x, y| x.0.total_cmp(&y.0));
    let all = total as f64;
    // Formula (6): ties are grouped, each group counts with its size.
    let mut statistic = 0.0;
    let mut seen_a = 0.0;
    let mut seen = 0.0;
    for group in pooled.chunk_by(|x, y| x.0 == y.0) {
        let size = group.len() as f64;
        seen_a += group.iter().filter(|(_, of_a)| *of_a).count() as f64;
        seen += size;
        if seen < all {
            let difference = all * seen_a - n * seen;
            statistic += size * difference * difference / (seen * (all - seen));
        }
    }
    // The sum is the same for the other sample, so both together are:
    let a_squared = statistic / all * (1.0 / n + 1.0 / m);
    Some((a_squared - 1.0) / anderson_darling_sigma(n, m))
}

/// Standard deviation of A^2 for two samples (Scholz and Stephens 1987, section 3).
fn anderson_darling_sigma(n: f64, m: f64) -> f64 {
    let k = 2.0;
    let total = n + m;
    let count = total as usize;
    let inverse_sum = 1.0 / n + 1.0 / m;
    let harmonic: f64 = (1..count).map(|i| 1.0 / i as f64).sum();
    // g = sum over i < j of 1 / ((N - i) j), in one pass from the back.
    let mut tail = 0.0;
    let mut g = 0.0;
    for i in (1..count - 1).rev() {
        tail += 1.0 / (i + 1) as f64;
        g += tail / (count - i) as f64;
    }
    let a = (4.0 * g - 6.0) * (k - 1.0) + (10.0 - 6.0 * g) * inverse_sum;
    let b = (2.0 * g - 4.0) * k * k
        + 8.0 * harmonic * k
        + (2.0 * g - 14.0 * harmonic - 4.0) * inverse_sum
        - 8.0 * harmonic
        + 4.0 * g
        - 6.0;
    let c = (6.0 * harmonic + 2.0 * g - 2.0) * k * k
        + (4.0 * harmonic - 4.0 * g + 6.0) * k
        + (2.0 * harmonic - 6.0) * inverse_sum
        + 4.0 * harmonic;
    let d = (2.0 * harmonic + 6.0) * k * k - 4.0 * harmonic * k;
    let numerator = a * total.powi(3) + b * total * total + c * total + d;
    (numerator / ((total - 1.0) * (total - 2.0) * (total - 3.0)).max(1.0))
        .max(1e-9)
        .sqrt()
}

/// Variance over mean of counts; 1 for a Poisson process, `None` without events.
pub fn dispersion(counts: &[f64]) -> Option<f64> {
    let mean = mean(counts)?;
    if counts.len() < 2 || mean <= 0.0 {
        return None;
    }
    let squares: f64 = counts.iter().map(|x| (x - mean) * (x - mean)).sum();
    Some(squares / (counts.len() as f64 - 1.0) / mean)
}

/// Autocorrelation at a lag; NaN values are left out in pairs. `None` for a
/// constant series or one too short.
pub fn autocorrelation(values: &[f64], lag: usize) -> Option<f64> {
    let known: Vec<f64> = values.iter().copied().filter(|x| x.is_finite()).collect();
    let mean = mean(&known)?;
    let variance = known.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / known.len() as f64;
    let products: Vec<f64> = values
        .iter()
        .zip(values.get(lag..)?)
        .filter(|(x, y)| x.is_finite() && y.is_finite())
        .map(|(x, y)| (x - mean) * (y - mean))
        .collect();
    if products.len() < 10 || variance <= 0.0 {
        return None;
    }
    Some(products.iter().sum::<f64>() / products.len() as f64 / variance)
}

/// Energy distance of two samples over the pooled mean distance, 0 for equal
/// distributions (Szekely and Rizzo 2013, in one dimension and normalised).
pub fn energy_distance(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.is_empty() || b.is_empty() {
        return None;
    }
    // In one dimension it is twice the integral of the squared difference of the
    // distribution functions.
    let mut pooled: Vec<(f64, bool)> = a.iter().map(|&x| (x, true)).collect();
    pooled.extend(b.iter().map(|&x| (x, false)));
    pooled.sort_by(|x, y| x.0.total_cmp(&y.0));
    let (n, m) = (a.len() as f64, b.len() as f64);
    let (mut from_a, mut from_b) = (0.0, 0.0);
    let (mut squared, mut spread) = (0.0, 0.0);
    for pair in pooled.windows(2) {
        if pair[0].1 {
            from_a += 1.0 / n;
        } else {
            from_b += 1.0 / m;
        }
        let width = pair[1].0 - pair[0].0;
        let pool = (from_a + from_b) / 2.0;
        squared += (from_a - from_b) * (from_a - from_b) * width;
        spread += pool * (1.0 - pool) * width;
    }
    Some(if spread > 0.0 {
        squared / (2.0 * spread)
    } else {
        0.0
    })
}

/// The `points` quantiles of two samples at the same probabilities.
pub fn quantile_pairs(a: &[f64], b: &[f64], points: usize) -> Vec<(f64, f64)> {
    if a.is_empty() || b.is_empty() {
        return Vec::new();
    }
    let (a, b) = (sorted(a), sorted(b));
    let at = |values: &[f64], p: f64| {
        let place = p * (values.len() - 1) as f64;
        let below = values[place.floor() as usize];
        let above = values[place.ceil() as usize];
        below + (above - below) * place.fract()
    };
    let probability = |i: usize| (i as f64 + 0.5) / points as f64;
    (0..points)
        .map(|i| (at(&a, probability(i)), at(&b, probability(i))))
        .collect()
}

/// The mean; `None` of nothing.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The middle value; `None` of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    let values = sorted(values);
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some((lower + upper) / 2.0)
}

/// The values in order.
pub fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values
}

#[cfg(test)]
mod tests {
    use prestage_des::Streams;

    use super::*;

    #[test]
    fn the_distance_of_a_hand_computed_pair() {
        // F_a jumps at 1, 2, 3, 4 and F_b at 3, 4, 5, 6: at 2 they are 0.5 apart.
        let test = kolmogorov_smirnov(&[1.0, 2.0, 3.0, 4.0], &[3.0, 4.0, 5.0, 6.0]).unwrap();
        assert_eq!(test.distance, 0.5);
        let apart = kolmogorov_smirnov(&[1.0, 2.0], &[3.0, 4.0]).unwrap();
        assert_eq!(apart.distance, 1.0);
        assert_eq!(kolmogorov_smirnov(&[], &[1.0]), None);
    }

    #[test]
    fn the_kolmogorov_tail_has_its_tabled_quantiles() {
        // Smirnov's table: 5 % at 1.3581, 1 % at 1.6276.
        assert!((kolmogorov_tail(1.3581) - 0.05).abs() < 1e-4);
        assert!((kolmogorov_tail(1.6276) - 0.01).abs() < 1e-4);
        assert_eq!(kolmogorov_tail(0.0), 1.0);
    }

    #[test]
    fn anderson_darling_is_standard_under_the_null_and_large_otherwise() {
        let streams = Streams::new(5);
        let sample = |entity: u64, shift: f64| -> Vec<f64> {
            let mut stream = streams.open("sample", entity);
            (0..60).map(|_| stream.normal(shift, 1.0)).collect()
        };
        let statistics: Vec<f64> = (0..400)
            .map(|i| anderson_darling(&sample(2 * i, 0.0), &sample(2 * i + 1, 0.0)).unwrap())
            .collect();
        let average = mean(&statistics).unwrap();
        assert!(average.abs() < 0.15, "mean {average}");
        let rejected = statistics.iter().filter(|&&t| t > 1.961).count() as f64 / 400.0;
        assert!(
            (0.02..0.09).contains(&rejected),
            "rejects {rejected} at 5 %"
        );
        assert!(anderson_darling(&sample(0, 0.0), &sample(1, 1.0)).unwrap() > 3.752);
    }

    #[test]
    fn energy_distance_is_nought_for_the_same_and_one_for_two_points() {
        assert_eq!(
            energy_distance(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0]),
            Some(0.0)
        );
        // All of a at 0 and all of b at 1: 1^2 / (2 * 1/4).
        assert_eq!(energy_distance(&[0.0, 0.0], &[1.0, 1.0]), Some(2.0));
    }

    #[test]
    fn dispersion_and_autocorrelation_of_small_series() {
        assert_eq!(dispersion(&[1.0, 3.0]), Some(1.0));
        assert_eq!(dispersion(&[0.0, 0.0]), None);
        let alternating: Vec<f64> = (0..100).map(|i| f64::from(i % 2)).collect();
        assert!((autocorrelation(&alternating, 1).unwrap() + 1.0).abs() < 0.02);
        assert!((autocorrelation(&alternating, 2).unwrap() - 1.0).abs() < 0.02);
        assert_eq!(autocorrelation(&[1.0; 50], 1), None);
    }

    #[test]
    fn quantiles_of_the_same_sample_lie_on_the_diagonal() {
        let pairs = quantile_pairs(&[3.0, 1.0, 2.0], &[1.0, 2.0, 3.0], 5);
        assert_eq!(pairs.len(), 5);
        assert!(pairs.iter().all(|(x, y)| x == y));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
    }
}
