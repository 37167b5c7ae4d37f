//! Estimates the observation normaliser from a sample of rows, once.
//!
//! Frozen afterwards: a normaliser that moves during training makes old
//! log-probabilities refer to other inputs, and would have to be frozen at export
//! anyway. Must never know: where the rows come from.
use prestage_policy::Normalizer;

/// Floor of a deviation. Observations are scale-free by contract, so 0.1 is small;
/// a smaller floor would blow up a field that happened to stand still during the
/// warm-up (an incident flag) up to the clip as soon as it moves.
pub(crate) const STD_FLOOR: f32 = 0.1;

/// Bound on a normalised value (SB3 `VecNormalize`: 10).
pub(crate) const CLIP: f32 = 10.0;

/// Mean and deviation of a stream of rows (Welford 1962, in f64).
#[derive(Clone, Debug)]
pub(crate) struct Moments {
    count: u64,
    mean: Vec<f64>,
    squares: Vec<f64>,
}

impl Moments {
    pub(crate) fn new(len: usize) -> Self {
        Self {
            count: 0,
            mean: vec![0.0; len],
            squares: vec![0.0; len],
        }
    }

    pub(crate) fn add(&mut self, row: &[f32]) {
        assert_eq!(row.len(), self.mean.len(), "row length");
        self.count += 1;
        let stats = self.mean.iter_mut().zip(&mut self.squares);
        for (&value, (mean, squares)) in row.iter().zip(stats) {
            let before = f64::from(value) - *mean;
            *mean += before / self.count as f64;
            *squares += before * (f64::from(value) - *mean);
        }
    }

    pub(crate) fn normalizer(&self) -> Normalizer {
        let count = self.count.max(1) as f64;
        let std = |squares: &f64| ((squares / count).sqrt() as f32).max(STD_FLOOR);
        Normalizer {
            mean: self.mean.iter().map(|&mean| mean as f32).collect(),
            std: self.squares.iter().map(std).collect(),
            clip: CLIP,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_population_deviation_with_a_floor() {
        let mut moments = Moments::new(2);
        for row in [[1.0, 5.0], [3.0, 5.0], [5.0, 5.0], [7.0, 5.0]] {
            moments.add(&row);
        }
        let normalizer = moments.normalizer();
        assert_eq!(normalizer.mean, [4.0, 5.0]);
        assert_eq!(normalizer.std, [5.0f32.sqrt(), STD_FLOOR]);
    }
}
