//! Quantile sketches: DDSketch (Masson, Rim and Lee, "DDSketch: A fast and fully-mergeable
//! quantile sketch with relative-error guarantees", VLDB 2019), in the crate by the port's authors.
//!
//! A quantile read from a sketch is within [`RELATIVE_ERROR`] of a sample that has that rank, as long
//! as the largest magnitude is less than about 1e17 times the smallest one that is not zero (2,048
//! bins); the smallest magnitudes are merged beyond that. Magnitudes below 1e-9 count as zero.
//! Stored in the binary format that DataDog's libraries share.
use sketches_ddsketch::{Config, DDSketch};

/// Largest relative error of a quantile.
pub const RELATIVE_ERROR: f64 = 0.01;

const BINS_MAX: u32 = 2048;
const MAGNITUDE_MIN: f64 = 1e-9;

/// A mergeable summary of a distribution.
#[derive(Clone)]
pub struct Sketch(DDSketch);

impl Default for Sketch {
    fn default() -> Self {
        Self(DDSketch::new(Config::new(
            RELATIVE_ERROR,
            BINS_MAX,
            MAGNITUDE_MIN,
        )))
    }
}

impl Sketch {
    /// The sketch of these values.
    pub fn of(values: &[f64]) -> Self {
        let mut sketch = Self::default();
        sketch.extend(values);
        sketch
    }

    /// Adds finite values.
    pub fn extend(&mut self, values: &[f64]) {
        for &value in values {
            self.0.add(value);
        }
    }

    /// Adds everything another sketch has seen.
    pub fn merge(&mut self, other: &Self) {
        self.0
            .merge(&other.0)
            .expect("all sketches of a store have one configuration: checked when they are read");
    }

    /// The value of rank `q`, from 0 to 1; `None` when nothing was added.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        assert!((0.0..=1.0).contains(&q), "quantile {q}");
        self.0.quantile(q).ok().flatten()
    }

    /// The stored form.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_java_bytes()
    }

    /// Reads the stored form; `None` when it is not a sketch of this configuration.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let read = DDSketch::from_java_bytes(bytes).ok()?;
        // Merging into an empty one refuses another configuration.
        let mut sketch = Self::default();
        sketch.0.merge(&read).ok()?;
        Some(sketch)
    }
}

impl std::fmt::Debug for Sketch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sketch({} values)", self.0.count())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The sample that DDSketch promises to be near: rank `floor(q * (n - 1))`.
    fn ranked(values: &[f64], q: f64) -> f64 {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted[(q * (sorted.len() - 1) as f64).floor() as usize]
    }

    fn is_near(found: f64, exact: f64) -> bool {
        (found - exact).abs() <= 1.001 * RELATIVE_ERROR * exact.abs() + MAGNITUDE_MIN
    }

    proptest! {
        #[test]
        fn quantiles_keep_the_bound_and_survive_bytes_and_merging(
            values in prop::collection::vec(-1e6_f64..1e6, 1..400),
            cut in 0.0_f64..1.0,
            q in 0.0_f64..=1.0,
        ) {
            let (left, right) = values.split_at((cut * values.len() as f64) as usize);
            let mut merged = Sketch::of(left);
            merged.merge(&Sketch::from_bytes(&Sketch::of(right).to_bytes()).unwrap());
            let found = merged.quantile(q).unwrap();
            let exact = ranked(&values, q);
            prop_assert!(is_near(found, exact), "{found} for {exact}");
        }
    }

    #[test]
    fn nothing_has_no_quantile_and_rubbish_is_refused() {
        assert_eq!(Sketch::default().quantile(0.5), None);
        assert!(Sketch::from_bytes(b"rubbish").is_none());
        let other = DDSketch::new(Config::new(0.05, 2048, 1e-9));
        assert!(Sketch::from_bytes(&other.to_java_bytes()).is_none());
    }
}
