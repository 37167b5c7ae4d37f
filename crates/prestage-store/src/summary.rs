//! What is kept of several samples of one series: enough for every aggregation but percentiles.
//!
//! Summaries of neighbouring stretches of time join into the summary of both ([`Summary::then`]),
//! so that downsampling in steps gives what downsampling at once would.

/// Samples of one series over a stretch of time. At least one sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Samples.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// The earliest.
    pub first: f64,
    /// The latest.
    pub last: f64,
    /// What a counter gained between the first and the last; see [`gain`].
    pub increase: f64,
}

impl Summary {
    /// Summarises samples in time order.
    ///
    /// # Panics
    /// When there is none.
    #[inline]
    pub fn of(values: &[f64]) -> Self {
        let (&first, rest) = values.split_first().expect("a summary has samples");
        let mut summary = Self::single(first);
        for &value in rest {
            summary.push(value);
        }
        summary
    }

    /// The summary of one sample.
    #[inline]
    pub fn single(value: f64) -> Self {
        Self {
            count: 1,
            sum: value,
            min: value,
            max: value,
            first: value,
            last: value,
            increase: 0.0,
        }
    }

    /// Adds a later sample.
    #[inline]
    pub fn push(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.increase += gain(self.last, value);
        self.last = value;
    }

    /// Adds a later stretch.
    #[inline]
    pub fn then(&mut self, later: &Self) {
        self.increase += gain(self.last, later.first) + later.increase;
        self.count += later.count;
        self.sum += later.sum;
        self.min = self.min.min(later.min);
        self.max = self.max.max(later.max);
        self.last = later.last;
    }
}

/// What a counter gained between two samples: the difference, or the whole new value after a
/// reset to zero, as Prometheus has it.
#[inline]
pub fn gain(before: f64, after: f64) -> f64 {
    if after >= before {
        after - before
    } else {
        after
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_reset_counts_from_zero() {
        assert_eq!(Summary::of(&[5.0, 8.0, 2.0, 3.0]).increase, 6.0);
    }

    proptest! {
        #[test]
        fn joining_is_summarising_at_once(
            values in prop::collection::vec(0_u32..1000, 2..50), cut in 1_usize..49,
        ) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let (left, right) = values.split_at(cut.min(values.len() - 1));
            let mut joined = Summary::of(left);
            joined.then(&Summary::of(right));
            prop_assert_eq!(joined, Summary::of(&values));
        }
    }
}
