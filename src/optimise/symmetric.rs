//! Eigenvalues of small symmetric matrices by Jacobi's method.
//!
//! Reference: Golub and Van Loan, Matrix Computations, section 8.5 (cyclic Jacobi).

/// Rotations stop at this share of the matrix' size; convergence is quadratic.
const OFF_DIAGONAL: f64 = 1e-15;
const SWEEPS_MAX: usize = 60;

/// A symmetric matrix as basis x diag(values) x basis transposed.
pub(super) struct Eigen {
    /// In no particular order.
    pub values: Vec<f64>,
    /// `basis[i][k]` is the i-th coordinate of the k-th eigenvector.
    pub basis: Vec<Vec<f64>>,
}

/// Decomposes a symmetric matrix.
pub(super) fn eigen(matrix: &[Vec<f64>]) -> Eigen {
    let n = matrix.len();
    let mut a = matrix.to_vec();
    let mut basis = identity(n);
    let size = a.iter().flatten().map(|x| x * x).sum::<f64>().sqrt();
    for _ in 0..SWEEPS_MAX {
        let off: f64 = (0..n)
            .flat_map(|i| (0..i).map(move |j| (i, j)))
            .map(|(i, j)| a[i][j] * a[i][j])
            .sum();
        if off.sqrt() <= OFF_DIAGONAL * size {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                rotate(&mut a, &mut basis, p, q);
            }
        }
    }
    Eigen {
        values: (0..n).map(|i| a[i][i]).collect(),
        basis,
    }
}

/// The rotation of axes p and q that makes `a[p][q]` zero.
fn rotate(a: &mut [Vec<f64>], basis: &mut [Vec<f64>], p: usize, q: usize) {
    if a[p][q] == 0.0 {
        return;
    }
    let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
    let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
    let t = if theta == 0.0 { 1.0 } else { t };
    let cosine = 1.0 / (t * t + 1.0).sqrt();
    let sine = t * cosine;
    let turn = |x: &mut f64, y: &mut f64| {
        (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
    };
    for row in a.iter_mut().chain(basis) {
        let (left, right) = row.split_at_mut(q);
        turn(&mut left[p], &mut right[0]);
    }
    let (upper, lower) = a.split_at_mut(q);
    for (x, y) in upper[p].iter_mut().zip(&mut lower[0]) {
        turn(x, y);
    }
}

pub(super) fn identity(n: usize) -> Vec<Vec<f64>> {
    (0..n)
        .map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_known_matrix() {
        // Eigenvalues of the path graph's second difference: 2 - 2 cos(k pi / 4).
        let matrix = [[2.0, -1.0, 0.0], [-1.0, 2.0, -1.0], [0.0, -1.0, 2.0]].map(Vec::from);
        let mut values = eigen(&matrix).values;
        values.sort_by(f64::total_cmp);
        let root = std::f64::consts::SQRT_2;
        for (value, expected) in values.iter().zip([2.0 - root, 2.0, 2.0 + root]) {
            assert!((value - expected).abs() < 1e-14, "{value}, not {expected}");
        }
    }

    proptest! {
        #[test]
        fn the_parts_make_the_matrix(
            n in 1_usize..9,
            entries in prop::collection::vec(-5.0..5.0_f64, 81),
        ) {
            let at = |i: usize, j: usize| entries[i.max(j) * 9 + i.min(j)];
            let matrix: Vec<Vec<f64>> =
                (0..n).map(|i| (0..n).map(|j| at(i, j)).collect()).collect();
            let Eigen { values, basis } = eigen(&matrix);
            for i in 0..n {
                for j in 0..n {
                    let product: f64 =
                        (0..n).map(|k| basis[i][k] * values[k] * basis[j][k]).sum();
                    prop_assert!((product - matrix[i][j]).abs() < 1e-11);
                    let dot: f64 = (0..n).map(|k| basis[k][i] * basis[k][j]).sum();
                    prop_assert!((dot - f64::from(u8::from(i == j))).abs() < 1e-12);
                }
            }
        }
    }
}
