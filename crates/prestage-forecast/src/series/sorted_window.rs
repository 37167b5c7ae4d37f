//! The newest values of a stream, kept in order of size: exact quantiles at any time.
use serde::{Deserialize, Serialize};

/// See the module. Insertion moves a few hundred numbers, which beats any tree at this size.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SortedWindow {
    /// A ring in order of time.
    arrived: Vec<f64>,
    sorted: Vec<f64>,
    next: usize,
    capacity: usize,
}

impl SortedWindow {
    /// Holds up to `capacity` values, at first those of `prior`, which leave first.
    pub(super) fn new(capacity: usize, prior: impl Iterator<Item = f64>) -> Self {
        let arrived: Vec<f64> = prior.take(capacity).collect();
        let mut sorted = arrived.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        Self {
            arrived,
            sorted,
            next: 0,
            capacity,
        }
    }

    /// Takes a finite value; the oldest leaves when the window is full.
    pub(super) fn push(&mut self, value: f64) {
        debug_assert!(value.is_finite());
        if self.arrived.len() < self.capacity {
            self.arrived.push(value);
        } else {
            let oldest = std::mem::replace(&mut self.arrived[self.next], value);
            self.next = (self.next + 1) % self.capacity;
            let place = self.sorted.partition_point(|&held| held < oldest);
            self.sorted.remove(place);
        }
        let place = self.sorted.partition_point(|&held| held < value);
        self.sorted.insert(place, value);
    }

    /// The quantile at `level`, linear between ranks (Hyndman & Fan 1996, type 6, whose
    /// intervals have the right coverage for the next value); zero without any value.
    pub(super) fn quantile(&self, level: f64) -> f64 {
        let Some(last) = self.sorted.len().checked_sub(1) else {
            return 0.0;
        };
        let rank = (level * (self.sorted.len() + 1) as f64 - 1.0).clamp(0.0, last as f64);
        let below = rank as usize;
        let share = rank - below as f64;
        let above = self.sorted[(below + 1).min(last)];
        self.sorted[below] + share * (above - self.sorted[below])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_the_newest_in_order() {
        let mut window = SortedWindow::new(4, [9.0, 8.0].into_iter());
        for value in [5.0, 1.0, 3.0, 1.0, 7.0] {
            window.push(value);
        }
        assert_eq!(window.sorted, [1.0, 1.0, 3.0, 7.0]);
        assert_eq!(window.quantile(0.6), 3.0);
        assert_eq!(window.quantile(0.999), 7.0);
    }
}
