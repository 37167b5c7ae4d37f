//! The classifier two-sample test: can a logistic regression tell the recorded
//! from the simulated?
//!
//! Features are standardised and joined by their squares; the score is the area
//! under the ROC curve on held-out folds. 0.5 is a coin, 1 is always right.
//! Reference: Lopez-Paz and Oquab, Revisiting classifier two-sample tests (2017);
//! standard error by Hanley and McNeil (1982).
use prestage_des::Streams;

/// How well a classifier tells two samples apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Separability {
    /// Area under the ROC curve on held-out folds.
    pub auc: f64,
    /// Its standard error.
    pub standard_error: f64,
}

/// Rows of a class that are used at most: enough for a standard error of 0.01.
const ROWS_MAX: usize = 1500;
/// Rows of a class below which no score is given.
const ROWS_MIN: usize = 30;
const FOLDS: usize = 5;
const ITERATIONS: usize = 12;
/// Ridge penalty, so that separable samples have a finite solution.
const RIDGE: f64 = 1e-2;

/// Tells rows of features apart; `None` when a class is too small.
pub fn separability(real: &[Vec<f64>], simulated: &[Vec<f64>], seed: u64) -> Option<Separability> {
    if real.len() < ROWS_MIN || simulated.len() < ROWS_MIN {
        return None;
    }
    let mut rows: Vec<(Vec<f64>, bool)> = Vec::new();
    for (class, is_real) in [(real, true), (simulated, false)] {
        let mut order: Vec<usize> = (0..class.len()).collect();
        shuffle(&mut order, seed, u64::from(is_real));
        let chosen = order.into_iter().take(ROWS_MAX);
        rows.extend(chosen.map(|i| (class[i].clone(), is_real)));
    }
    let mut order: Vec<usize> = (0..rows.len()).collect();
    shuffle(&mut order, seed, 2);
    let rows: Vec<(Vec<f64>, bool)> = order.into_iter().map(|i| rows[i].clone()).collect();
    let design = Design::of(&rows);
    let mut scores = vec![0.0; rows.len()];
    for fold in 0..FOLDS {
        let is_held_out = |index: usize| index % FOLDS == fold;
        let weights = design.fit(|index| !is_held_out(index));
        for index in (0..rows.len()).filter(|&index| is_held_out(index)) {
            scores[index] = dot(&weights, &design.rows[index]);
        }
    }
    Some(area(&scores, &design.classes))
}

fn shuffle(order: &mut [usize], seed: u64, entity: u64) {
    let mut stream = Streams::new(seed).open("classifier", entity);
    for last in (1..order.len()).rev() {
        order.swap(last, stream.index(last + 1));
    }
}

struct Design {
    rows: Vec<Vec<f64>>,
    classes: Vec<bool>,
}

impl Design {
    /// Intercept, standardised features and their squares.
    fn of(rows: &[(Vec<f64>, bool)]) -> Self {
        let width = rows[0].0.len();
        let count = rows.len() as f64;
        let mut scaled: Vec<Vec<f64>> = rows.iter().map(|_| vec![1.0]).collect();
        for column in 0..width {
            let mean = rows.iter().map(|(row, _)| row[column]).sum::<f64>() / count;
            let square = |(row, _): &(Vec<f64>, bool)| (row[column] - mean).powi(2);
            let deviation = (rows.iter().map(square).sum::<f64>() / count)
                .sqrt()
                .max(1e-12);
            for (into, (row, _)) in scaled.iter_mut().zip(rows) {
                // Beyond four deviations a square would outvote all the rest.
                let value = ((row[column] - mean) / deviation).clamp(-4.0, 4.0);
                into.extend([value, value * value - 1.0]);
            }
        }
        Self {
            rows: scaled,
            classes: rows.iter().map(|&(_, class)| class).collect(),
        }
    }

    /// Ridge logistic regression by Newton's method on the rows that are `used`.
    fn fit(&self, used: impl Fn(usize) -> bool) -> Vec<f64> {
        let width = self.rows[0].len();
        let mut weights = vec![0.0; width];
        for _ in 0..ITERATIONS {
            let mut gradient: Vec<f64> = weights.iter().map(|w| -RIDGE * w).collect();
            let mut hessian = vec![vec![0.0; width]; width];
            for (index, row) in self.rows.iter().enumerate() {
                if !used(index) {
                    continue;
                }
                let p = 1.0 / (1.0 + (-dot(&weights, row)).exp());
                let error = f64::from(u8::from(self.classes[index])) - p;
                for (i, &x) in row.iter().enumerate() {
                    gradient[i] += error * x;
                    for (j, &y) in row.iter().enumerate() {
                        hessian[i][j] += p * (1.0 - p) * x * y;
                    }
                }
            }
            for (i, row) in hessian.iter_mut().enumerate() {
                row[i] += RIDGE;
            }
            let step = solve(hessian, gradient);
            for (weight, step) in weights.iter_mut().zip(step) {
                *weight += step.clamp(-2.0, 2.0);
            }
        }
        weights
    }
}

/// Solves a symmetric positive definite system by elimination with pivoting.
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let n = right.len();
    for column in 0..n {
        let pivot = (column..n)
            .max_by(|&i, &j| matrix[i][column].abs().total_cmp(&matrix[j][column].abs()))
            .expect("the range is not empty: column < n");
        matrix.swap(column, pivot);
        right.swap(column, pivot);
        let lead = matrix[column][column];
        for row in column + 1..n {
            let factor = matrix[row][column] / lead;
            let (upper, lower) = matrix.split_at_mut(row);
            for (into, from) in lower[0][column..].iter_mut().zip(&upper[column][column..]) {
                *into -= factor * from;
            }
            right[row] -= factor * right[column];
        }
    }
    for row in (0..n).rev() {
        let known: f64 = (row + 1..n).map(|j| matrix[row][j] * right[j]).sum();
        right[row] = (right[row] - known) / matrix[row][row];
    }
    right
}

/// Mann-Whitney estimate of the area, ties counted half.
fn area(scores: &[f64], classes: &[bool]) -> Separability {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&i, &j| scores[i].total_cmp(&scores[j]));
    let positives = classes.iter().filter(|&&class| class).count() as f64;
    let negatives = classes.len() as f64 - positives;
    let mut rank_sum = 0.0;
    let mut rank = 0.0;
    for group in order.chunk_by(|&i, &j| scores[i] == scores[j]) {
        let size = group.len() as f64;
        let middle = rank + (size + 1.0) / 2.0;
        rank_sum += middle * group.iter().filter(|&&i| classes[i]).count() as f64;
        rank += size;
    }
    let auc = (rank_sum - positives * (positives + 1.0) / 2.0) / (positives * negatives);
    let q1 = auc / (2.0 - auc);
    let q2 = 2.0 * auc * auc / (1.0 + auc);
    let variance = (auc * (1.0 - auc)
        + (positives - 1.0) * (q1 - auc * auc)
        + (negatives - 1.0) * (q2 - auc * auc))
        / (positives * negatives);
    Separability {
        auc,
        standard_error: variance.max(0.0).sqrt(),
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(shift: f64, spread: f64, entity: u64) -> Vec<Vec<f64>> {
        let mut stream = Streams::new(2).open("rows", entity);
        (0..600)
            .map(|_| vec![stream.normal(shift, spread), stream.unit()])
            .collect()
    }

    #[test]
    fn equal_samples_are_a_coin_and_shifted_ones_are_not() {
        let same = separability(&rows(0.0, 1.0, 0), &rows(0.0, 1.0, 1), 1).unwrap();
        assert!(
            (same.auc - 0.5).abs() < 4.0 * same.standard_error,
            "{same:?}"
        );
        // Normals one deviation apart: AUC = Phi(1 / sqrt 2) = 0.760.
        let apart = separability(&rows(1.0, 1.0, 0), &rows(0.0, 1.0, 1), 1).unwrap();
        assert!((apart.auc - 0.760).abs() < 0.04, "{apart:?}");
    }

    #[test]
    fn a_difference_of_spread_alone_is_found() {
        let wider = separability(&rows(0.0, 3.0, 0), &rows(0.0, 1.0, 1), 1).unwrap();
        assert!(wider.auc > 0.7, "{wider:?}");
        assert_eq!(
            separability(&rows(0.0, 1.0, 0)[..10], &rows(0.0, 1.0, 1), 1),
            None
        );
    }

    #[test]
    fn the_area_of_a_hand_computed_order() {
        // Positives at ranks 2 and 4 of 4: pairs won 1 + 2 of 4.
        let found = area(&[0.1, 0.2, 0.3, 0.4], &[false, true, false, true]);
        assert_eq!(found.auc, 0.75);
    }
}
