//! Points that fill a unit cube evenly, however many are taken.
//!
//! Reference: Halton (1960), shifted at random (Cranley and Patterson 1976), so that two
//! seeds and two need types do not try the same points.
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Bases of the dimensions: the first primes, as many as the arm with the most numbers has.
const PRIMES: [u64; 40] = [
    2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
    101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167, 173,
];

/// An endless sequence.
///
/// # Panics
/// In more dimensions than it has primes.
pub(super) fn halton(dimension: usize, seed: u64) -> impl Iterator<Item = Vec<f64>> {
    assert!(
        dimension <= PRIMES.len(),
        "{dimension} numbers are too many"
    );
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let shift: Vec<f64> = (0..dimension).map(|_| rng.random_range(0.0..1.0)).collect();
    (1u64..).map(move |index| {
        let bases = PRIMES.iter().zip(&shift);
        bases
            .map(|(&base, shift)| (radical_inverse(index, base) + shift).fract())
            .collect()
    })
}

/// The digits of `index` in this base, mirrored at the point.
fn radical_inverse(mut index: u64, base: u64) -> f64 {
    let (mut value, mut digit) = (0.0, 1.0);
    while index > 0 {
        digit /= base as f64;
        value += digit * (index % base) as f64;
        index /= base;
    }
    value
}

/// Reflects a number at 0 and 1 until it lies between.
pub(super) fn mirrored(x: f64) -> f64 {
    let x = x.rem_euclid(2.0);
    if x > 1.0 { 2.0 - x } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_mirrored() {
        let found: Vec<f64> = (1..=4).map(|i| radical_inverse(i, 2)).collect();
        assert_eq!(found, [0.5, 0.25, 0.75, 0.125]);
        assert!((radical_inverse(5, 3) - (2.0 / 3.0 + 1.0 / 9.0)).abs() < 1e-15);
        assert_eq!(
            [-0.25, 1.25, 2.5, -1.75].map(mirrored),
            [0.25, 0.75, 0.5, 0.25]
        );
    }

    #[test]
    fn every_half_of_every_side_gets_half_of_the_points() {
        let points: Vec<Vec<f64>> = halton(6, 9).take(64).collect();
        for side in 0..6 {
            let low = points.iter().filter(|point| point[side] < 0.5).count();
            assert!((24..=40).contains(&low), "side {side}: {low} of 64");
        }
        assert!(points.iter().flatten().all(|x| (0.0..1.0).contains(x)));
        assert_ne!(points[0], halton(6, 10).next().unwrap());
    }
}
