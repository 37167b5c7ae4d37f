//! Covariance matrix adaptation evolution strategy.
//!
//! A cloud of points, normally distributed, moves towards the better half of each
//! generation; its covariance learns the shape of the function and its size grows while
//! steps agree and shrinks while they cancel. Only ranks of values count, so nothing
//! changes when the function is scaled or bent monotonically.
//!
//! Reference: Hansen, The CMA Evolution Strategy: A Tutorial (2016, arXiv 1604.00772),
//! figure 6 with the default parameters of table 1, positive weights only.
use prestage_des::Streams;
use serde::{Deserialize, Serialize};

use super::symmetric::{Eigen, eigen, identity};

/// State of a search; saved and restored in the middle it goes on bit for bit.
///
/// ```
/// use prestage::optimise::CmaEs;
/// let mut search = CmaEs::new(vec![3.0, -2.0], 1.0, 1);
/// for _ in 0..80 {
///     let points = search.ask();
///     let values: Vec<f64> = points.iter().map(|x| x[0] * x[0] + x[1] * x[1]).collect();
///     search.tell(&points, &values);
/// }
/// assert!(search.mean().iter().all(|x| x.abs() < 1e-6));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CmaEs {
    mean: Vec<f64>,
    sigma: f64,
    covariance: Vec<Vec<f64>>,
    path_c: Vec<f64>,
    path_sigma: Vec<f64>,
    generation: u64,
    population: usize,
    seed: u64,
}

/// Strategy parameters: functions of the dimension and the population.
struct Strategy {
    weights: Vec<f64>,
    mu_eff: f64,
    c_c: f64,
    c_sigma: f64,
    c_1: f64,
    c_mu: f64,
    d_sigma: f64,
    /// Expected length of a standard normal vector.
    chi: f64,
}

impl Strategy {
    fn of(dimension: usize, population: usize) -> Self {
        let n = dimension as f64;
        let half = (population as f64 + 1.0) / 2.0;
        let raw: Vec<f64> = (1..=population / 2)
            .map(|rank| half.ln() - (rank as f64).ln())
            .collect();
        let sum: f64 = raw.iter().sum();
        let weights: Vec<f64> = raw.iter().map(|weight| weight / sum).collect();
        let mu_eff = 1.0 / weights.iter().map(|weight| weight * weight).sum::<f64>();
        let c_1 = 2.0 / ((n + 1.3).powi(2) + mu_eff);
        let c_sigma = (mu_eff + 2.0) / (n + mu_eff + 5.0);
        Self {
            c_c: (4.0 + mu_eff / n) / (n + 4.0 + 2.0 * mu_eff / n),
            c_sigma,
            c_1,
            c_mu: (1.0 - c_1)
                .min(2.0 * (mu_eff - 2.0 + 1.0 / mu_eff) / ((n + 2.0).powi(2) + mu_eff)),
            d_sigma: 1.0 + 2.0 * (((mu_eff - 1.0) / (n + 1.0)).sqrt() - 1.0).max(0.0) + c_sigma,
            chi: n.sqrt() * (1.0 - 1.0 / (4.0 * n) + 1.0 / (21.0 * n * n)),
            mu_eff,
            weights,
        }
    }
}

impl CmaEs {
    /// Starts at `mean` with the standard deviation `sigma` in every direction, with
    /// the default population 4 + 3 ln n.
    ///
    /// # Panics
    /// Without dimensions, or when a number is not finite or `sigma` not positive.
    pub fn new(mean: Vec<f64>, sigma: f64, seed: u64) -> Self {
        let n = mean.len();
        assert!(n > 0, "a search needs a dimension");
        assert!(
            mean.iter().all(|x| x.is_finite()) && sigma.is_finite() && sigma > 0.0,
            "a search starts at a finite point with a positive step, not {mean:?}, {sigma}"
        );
        Self {
            mean,
            sigma,
            covariance: identity(n),
            path_c: vec![0.0; n],
            path_sigma: vec![0.0; n],
            generation: 0,
            population: 4 + (3.0 * (n as f64).ln()).floor() as usize,
            seed,
        }
    }

    /// Points of a generation.
    pub fn population(&self) -> usize {
        self.population
    }

    /// Where the cloud is centred.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Its overall standard deviation.
    pub fn sigma(&self) -> f64 {
        self.sigma
    }

    /// The points of this generation; the same until [`CmaEs::tell`] is called.
    pub fn ask(&self) -> Vec<Vec<f64>> {
        let Eigen { values, basis } = eigen(&self.covariance);
        let scales: Vec<f64> = values.iter().map(|value| value.max(0.0).sqrt()).collect();
        let streams = Streams::new(self.seed);
        let mut stream = streams.open("cma-es", self.generation);
        (0..self.population)
            .map(|_| {
                let scaled: Vec<f64> = scales
                    .iter()
                    .map(|scale| scale * stream.normal(0.0, 1.0))
                    .collect();
                let step = |row: &Vec<f64>| dot(row, &scaled);
                self.mean
                    .iter()
                    .zip(&basis)
                    .map(|(mean, row)| mean + self.sigma * step(row))
                    .collect()
            })
            .collect()
    }

    /// Moves the cloud by the values of its points; NaN counts as the worst.
    ///
    /// # Panics
    /// When the points are not a whole generation with a value each.
    pub fn tell(&mut self, points: &[Vec<f64>], values: &[f64]) {
        assert_eq!(
            (points.len(), values.len()),
            (self.population, self.population),
            "a generation has {} points",
            self.population
        );
        let n = self.mean.len();
        let strategy = Strategy::of(n, self.population);
        let mut order: Vec<usize> = (0..points.len()).collect();
        order.sort_by(|&a, &b| {
            worth(values[a])
                .total_cmp(&worth(values[b]))
                .then(a.cmp(&b))
        });
        // Steps of the better half, in units of sigma.
        let steps: Vec<Vec<f64>> = order[..strategy.weights.len()]
            .iter()
            .map(|&index| {
                let offsets = points[index].iter().zip(&self.mean);
                offsets.map(|(x, mean)| (x - mean) / self.sigma).collect()
            })
            .collect();
        let weighted = |i: usize| -> f64 {
            let steps = strategy.weights.iter().zip(&steps);
            steps.map(|(weight, step)| weight * step[i]).sum()
        };
        let move_by: Vec<f64> = (0..n).map(weighted).collect();

        let whitened = whiten(&eigen(&self.covariance), &move_by);
        let kept = 1.0 - strategy.c_sigma;
        let fresh = (strategy.c_sigma * (2.0 - strategy.c_sigma) * strategy.mu_eff).sqrt();
        for (path, step) in self.path_sigma.iter_mut().zip(&whitened) {
            *path = kept * *path + fresh * step;
        }
        let length = dot(&self.path_sigma, &self.path_sigma).sqrt();
        let settled = 1.0 - kept.powf(2.0 * (self.generation as f64 + 1.0));
        let is_steady = length / settled.sqrt() < (1.4 + 2.0 / (n as f64 + 1.0)) * strategy.chi;
        let h = f64::from(u8::from(is_steady));
        let fresh_c = h * (strategy.c_c * (2.0 - strategy.c_c) * strategy.mu_eff).sqrt();
        for (path, step) in self.path_c.iter_mut().zip(&move_by) {
            *path = (1.0 - strategy.c_c) * *path + fresh_c * step;
        }
        // What a path that stood still for once would have added.
        let delta = (1.0 - h) * strategy.c_c * (2.0 - strategy.c_c);
        let kept = 1.0 - strategy.c_1 - strategy.c_mu + strategy.c_1 * delta;
        for i in 0..n {
            for j in 0..=i {
                let of_half: f64 = strategy
                    .weights
                    .iter()
                    .zip(&steps)
                    .map(|(weight, step)| weight * step[i] * step[j])
                    .sum();
                let value = kept * self.covariance[i][j]
                    + strategy.c_1 * self.path_c[i] * self.path_c[j]
                    + strategy.c_mu * of_half;
                self.covariance[i][j] = value;
                self.covariance[j][i] = value;
            }
        }
        for (mean, step) in self.mean.iter_mut().zip(&move_by) {
            *mean += self.sigma * step;
        }
        let growth = strategy.c_sigma / strategy.d_sigma * (length / strategy.chi - 1.0);
        self.sigma *= growth.min(1.0).exp();
        self.generation += 1;
    }
}

/// NaN is worse than anything.
fn worth(value: f64) -> f64 {
    if value.is_nan() { f64::INFINITY } else { value }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// The covariance to the power -1/2, times a vector.
fn whiten(Eigen { values, basis }: &Eigen, vector: &[f64]) -> Vec<f64> {
    let n = vector.len();
    let scaled: Vec<f64> = (0..n)
        .map(|k| {
            let along: f64 = (0..n).map(|i| basis[i][k] * vector[i]).sum();
            along / values[k].max(1e-300).sqrt()
        })
        .collect();
    basis.iter().map(|row| dot(row, &scaled)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sphere(x: &[f64]) -> f64 {
        dot(x, x)
    }

    /// Axes from 1 to 1,000, turned so that no coordinate is one of them.
    fn turned_ellipsoid(x: &[f64]) -> f64 {
        let n = x.len();
        let mean = x.iter().sum::<f64>() / n as f64;
        (0..n)
            .map(|i| {
                // Householder reflection along (1, ..., 1).
                let turned = x[i] - 2.0 * mean;
                let axis = 1000.0_f64.powf(i as f64 / (n as f64 - 1.0));
                axis * axis * turned * turned
            })
            .sum()
    }

    fn rosenbrock(x: &[f64]) -> f64 {
        x.windows(2)
            .map(|pair| 100.0 * (pair[1] - pair[0] * pair[0]).powi(2) + (1.0 - pair[0]).powi(2))
            .sum()
    }

    fn step(search: &mut CmaEs, function: impl Fn(&[f64]) -> f64) -> f64 {
        let points = search.ask();
        let values: Vec<f64> = points.iter().map(|point| function(point)).collect();
        search.tell(&points, &values);
        values.into_iter().fold(f64::INFINITY, f64::min)
    }

    /// Evaluations until `function` falls below 1e-10.
    fn evaluations(function: fn(&[f64]) -> f64, start: f64, sigma: f64, seed: u64) -> usize {
        let mut search = CmaEs::new(vec![start; 10], sigma, seed);
        for generation in 1..2000 {
            if step(&mut search, function) < 1e-10 {
                return generation * search.population();
            }
        }
        panic!("not there after 2000 generations: {search:?}");
    }

    /// In ten dimensions, as Hansen's own implementation: about 1,700, 6,000 and 7,000.
    /// From other seeds one run in ten ends in Rosenbrock's second minimum, near
    /// (-1, 1, ..., 1), which is the function's.
    #[test]
    fn test_functions_take_as_long_as_published() {
        for seed in 3..7 {
            let sphere = evaluations(sphere, 3.0, 1.0, seed);
            assert!((1_200..2_400).contains(&sphere), "sphere: {sphere}");
            let ellipsoid = evaluations(turned_ellipsoid, 1.0, 1.0, seed);
            assert!(
                (4_500..8_000).contains(&ellipsoid),
                "ellipsoid: {ellipsoid}"
            );
            let rosenbrock = evaluations(rosenbrock, 0.0, 0.3, seed);
            assert!(
                (4_500..9_500).contains(&rosenbrock),
                "rosenbrock: {rosenbrock}"
            );
        }
    }

    #[test]
    fn only_ranks_count_and_nan_is_the_worst() {
        let mut plain = CmaEs::new(vec![2.0; 4], 0.5, 9);
        let mut bent = plain.clone();
        for _ in 0..30 {
            step(&mut plain, |x| if x[0] > 2.2 { 1e9 } else { sphere(x) });
            step(&mut bent, |x| {
                if x[0] > 2.2 {
                    f64::NAN
                } else {
                    sphere(x).sqrt().atan() - 7.0
                }
            });
        }
        assert_eq!(plain, bent);
    }

    #[test]
    fn a_saved_search_goes_on_bit_for_bit() {
        let mut search = CmaEs::new(vec![1.0; 6], 0.4, 4);
        for _ in 0..17 {
            step(&mut search, rosenbrock);
        }
        let text = serde_json::to_string(&search).unwrap();
        let mut restored: CmaEs = serde_json::from_str(&text).unwrap();
        for _ in 0..17 {
            step(&mut search, rosenbrock);
            step(&mut restored, rosenbrock);
        }
        assert_eq!(search, restored);
    }
}
