//! Two-way paired bootstraps: intervals of means and of what is made of means.
//!
//! Draws from its own ChaCha8 stream, so that a seed gives the same interval on every machine.
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::{mean, quantile_sorted};

/// Resamples of a bootstrap. The interval bounds then move by about 1 % of the
/// interval's width from one seed to another.
pub const RESAMPLES: usize = 10_000;

/// An estimate and the percentile interval around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The estimate itself, from all the data.
    pub estimate: f64,
    /// Lower bound.
    pub lower: f64,
    /// Upper bound.
    pub upper: f64,
}

/// Values of (training seed x scenario), such as paired cost differences, row by row.
///
/// One row stands for an arm that is not trained.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    scenarios: usize,
    values: Vec<f64>,
}

/// How to bootstrap.
#[derive(Clone, Copy, Debug)]
pub struct Bootstrap {
    /// Seed of the resampling stream.
    pub seed: u64,
    /// Number of resamples, at least 1.
    pub resamples: usize,
    /// Confidence level of the interval, in (0, 1).
    pub level: f64,
}

impl Bootstrap {
    /// 10,000 resamples at 95 %.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            resamples: RESAMPLES,
            level: 0.95,
        }
    }

    /// Percentile interval of the grand mean of `grid`; see [`Self::of`].
    pub fn mean(&self, grid: &Grid) -> Option<Interval> {
        self.of([grid], |[mean]| mean)
    }

    /// Percentile interval of a statistic of the grand means of several grids, such as the share
    /// of a cost that an arm saves.
    ///
    /// Two-way: training seeds and scenarios are resampled independently, and a resample is
    /// the mean over their cross product, since all training seeds met the same scenarios.
    /// A side with one member is not resampled, so that one row gives the usual one-way
    /// bootstrap over scenarios. Paired: a resample takes the same scenarios from all grids, and
    /// the same training seeds from all that have more than one. `None` when there is nothing to
    /// resample: one value has no interval.
    ///
    /// # Panics
    /// When grids differ in scenarios, or in training seeds where both have several.
    pub fn of<const N: usize>(
        &self,
        grids: [&Grid; N],
        statistic: impl Fn([f64; N]) -> f64,
    ) -> Option<Interval> {
        assert!(
            self.resamples > 0,
            "a bootstrap needs at least one resample"
        );
        assert!(
            self.level > 0.0 && self.level < 1.0,
            "level {} is not in (0, 1)",
            self.level
        );
        let scenarios = grids.first()?.scenarios;
        let seeds = grids.iter().map(|grid| grid.training_seeds()).max()?;
        for grid in grids {
            assert_eq!(grid.scenarios, scenarios, "grids of the same scenarios");
            assert!(
                [1, seeds].contains(&grid.training_seeds()),
                "grids of {} and {seeds} training seeds",
                grid.training_seeds()
            );
        }
        if scenarios * seeds < 2 {
            return None;
        }
        let mut stream = stream(self.seed);
        let mut found: Vec<f64> = (0..self.resamples)
            .map(|_| {
                let rows = resampled_counts(seeds, &mut stream);
                let columns = resampled_counts(scenarios, &mut stream);
                statistic(grids.map(|grid| weighted_mean(grid, &rows, &columns)))
            })
            .collect();
        found.sort_unstable_by(f64::total_cmp);
        let tail = (1.0 - self.level) / 2.0;
        Some(Interval {
            estimate: statistic(grids.map(|grid| mean(&grid.values))),
            lower: quantile_sorted(&found, tail),
            upper: quantile_sorted(&found, 1.0 - tail),
        })
    }
}

impl Grid {
    /// `values` holds one row of `scenarios` values for each training seed.
    ///
    /// # Panics
    /// When the values are not finite, none, or do not fill whole rows.
    pub fn new(scenarios: usize, values: Vec<f64>) -> Self {
        assert!(scenarios > 0, "a grid has at least one scenario");
        assert!(!values.is_empty(), "a grid has at least one row");
        assert_eq!(
            values.len() % scenarios,
            0,
            "{} values in rows of {scenarios}",
            values.len()
        );
        assert!(
            values.iter().all(|value| value.is_finite()),
            "a grid holds finite values"
        );
        Self { scenarios, values }
    }

    /// Number of training seeds.
    pub fn training_seeds(&self) -> usize {
        self.values.len() / self.scenarios
    }

    /// Number of scenarios.
    pub fn scenarios(&self) -> usize {
        self.scenarios
    }

    /// All values, row by row.
    pub fn values(&self) -> &[f64] {
        &self.values
    }
}

impl Interval {
    /// Whether the interval includes zero: no difference within noise.
    pub fn includes_zero(&self) -> bool {
        self.lower <= 0.0 && self.upper >= 0.0
    }
}

/// The seed fills the first eight bytes of the ChaCha key; the rest is zero. Spelled out,
/// because `seed_from_u64` may change with a release of rand_core.
pub(super) fn stream(seed: u64) -> ChaCha8Rng {
    let mut key = [0_u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

fn weighted_mean(grid: &Grid, rows: &[f64], columns: &[f64]) -> f64 {
    let mut sum = 0.0;
    let alone = [1.0];
    let rows = match grid.training_seeds() {
        1 => &alone[..],
        _ => rows,
    };
    for (row, &row_count) in grid.values.chunks_exact(grid.scenarios).zip(rows) {
        if row_count > 0.0 {
            let row_sum: f64 = row
                .iter()
                .zip(columns)
                .map(|(value, count)| value * count)
                .sum();
            sum += row_count * row_sum;
        }
    }
    sum / grid.values.len() as f64
}

/// How often each of `count` members is drawn in `count` draws with replacement.
fn resampled_counts(count: usize, stream: &mut ChaCha8Rng) -> Vec<f64> {
    let mut counts = vec![0.0; count];
    if count == 1 {
        return vec![1.0];
    }
    for _ in 0..count {
        counts[draw_index(count, stream)] += 1.0;
    }
    counts
}

/// Uniform in 0..count by multiply and shift; the bias is below `count` / 2^32.
fn draw_index(count: usize, stream: &mut ChaCha8Rng) -> usize {
    ((u64::from(stream.next_u32()) * count as u64) >> 32) as usize
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
    fn constant_differences_have_a_point_interval() {
        let interval = Bootstrap::new(1).mean(&Grid::new(3, vec![2.0; 6])).unwrap();
        assert_eq!(
            interval,
            Interval {
                estimate: 2.0,
                lower: 2.0,
                upper: 2.0
            }
        );
        assert!(!interval.includes_zero());
    }

    #[test]
    fn one_value_has_no_interval() {
        assert_eq!(Bootstrap::new(1).mean(&Grid::new(1, vec![2.0])), None);
    }

    /// Two values resample to means 0, 1/2 and 1 with probability 1/4, 1/2 and 1/4.
    #[test]
    fn one_way_over_two_scenarios_is_binomial() {
        let grid = Grid::new(2, vec![0.0, 1.0]);
        let wide = Bootstrap::new(3).mean(&grid).unwrap();
        assert_eq!(
            wide,
            Interval {
                estimate: 0.5,
                lower: 0.0,
                upper: 1.0
            }
        );
        let narrow = Bootstrap {
            level: 0.4,
            ..Bootstrap::new(3)
        }
        .mean(&grid)
        .unwrap();
        assert_eq!((narrow.lower, narrow.upper), (0.5, 0.5));
    }

    /// Rows 0, 0 and 4, 4: scenarios do not matter, training seeds resample to 0, 2 and 4.
    #[test]
    fn two_way_resamples_training_seeds() {
        let interval = Bootstrap::new(5)
            .mean(&Grid::new(2, vec![0.0, 0.0, 4.0, 4.0]))
            .unwrap();
        assert_eq!(
            interval,
            Interval {
                estimate: 2.0,
                lower: 0.0,
                upper: 4.0
            }
        );
    }

    /// For independent effects the variance of the resampled mean is the sum of the two
    /// sides' (population variance / members): here 1/4 + 1/4, each side being fair coins. Means
    /// are a quarter apart, hence the tolerance; one side alone would be 0.41 off.
    #[test]
    fn two_way_variance_is_the_sum_of_both_sides() {
        let (rows, columns) = (16, 16);
        let coin = |index: usize| f64::from(u8::from(index.is_multiple_of(2))) * 4.0;
        let values: Vec<f64> = (0..rows * columns)
            .map(|index| coin(index / columns) + coin(index % columns))
            .collect();
        let interval = Bootstrap::new(7).mean(&Grid::new(columns, values)).unwrap();
        let standard_error = (0.25_f64 + 0.25).sqrt();
        check_close(
            interval.upper - interval.estimate,
            1.96 * standard_error,
            0.2,
        );
        check_close(
            interval.estimate - interval.lower,
            1.96 * standard_error,
            0.2,
        );
    }

    /// The share saved is exact when both arms cost the same multiple everywhere, however
    /// different the scenarios are: pairing removes what they have in common.
    #[test]
    fn a_share_is_paired_over_scenarios_and_training_seeds() {
        let dear = Grid::new(4, vec![10.0, 400.0, 3.0, 80.0]);
        let cheap = Grid::new(
            4,
            [10.0, 400.0, 3.0, 80.0]
                .repeat(3)
                .iter()
                .map(|cost| 0.9 * cost)
                .collect(),
        );
        let saved = Bootstrap::new(2)
            .of([&dear, &cheap], |[dear, cheap]| (dear - cheap) / dear)
            .unwrap();
        for bound in [saved.estimate, saved.lower, saved.upper] {
            check_close(bound, 0.1, 1e-12);
        }
    }

    #[test]
    fn seed_decides_the_interval_exactly() {
        let grid = Grid::new(5, vec![0.3, -1.2, 2.5, 0.9, 1.1, 0.2, -0.4, 3.1, 1.9, 0.0]);
        let first = Bootstrap::new(11).mean(&grid).unwrap();
        assert_eq!(first, Bootstrap::new(11).mean(&grid).unwrap());
        assert_ne!(first, Bootstrap::new(12).mean(&grid).unwrap());
        let bits = [first.estimate, first.lower, first.upper].map(|bound| format!("{bound:.12}"));
        assert_eq!(bits, GOLDEN);
    }

    /// From an independent implementation in Python: ChaCha8 with the seed as its key, draws
    /// `(word * n) >> 32`, two rows and five columns a resample.
    const GOLDEN: [&str; 3] = ["0.840000000000", "-0.160000000000", "1.940000000000"];
}
