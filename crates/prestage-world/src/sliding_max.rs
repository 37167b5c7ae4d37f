//! The maximum of the last values of a series, in constant amortised time.
//!
//! Reference: the ascending minima algorithm (R. Harter 2001), as a deque of the
//! values that are still the largest of what follows them.
use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Values with the times they came at; strictly decreasing from front to back.
///
/// The ends are kept in the struct: a series that stays the same, which is what
/// most minutes bring, touches no other memory.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct SlidingMax {
    front: Option<(i64, u32)>,
    middle: VecDeque<(i64, u32)>,
    /// `None` while the front is the only one.
    back: Option<(i64, u32)>,
}

impl SlidingMax {
    /// Takes in a value at `at` and forgets what came at `forget` or earlier.
    pub fn push(&mut self, at: i64, value: u32, forget: i64) {
        while self.last().is_some_and(|(_, last)| last <= value) {
            self.pop_last();
        }
        if self.front.is_none() {
            self.front = Some((at, value));
        } else if let Some(back) = self.back.replace((at, value)) {
            self.middle.push_back(back);
        }
        while self.front.is_some_and(|(came, _)| came <= forget) {
            self.front = self.middle.pop_front().or_else(|| self.back.take());
        }
    }

    /// The largest value that is not forgotten.
    pub fn max(&self) -> Option<u32> {
        self.front.map(|(_, value)| value)
    }

    fn last(&self) -> Option<(i64, u32)> {
        self.back.or(self.front)
    }

    fn pop_last(&mut self) {
        if self.back.is_some() {
            self.back = self.middle.pop_back();
        } else {
            self.front = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_maximum_of_the_window(
            values in prop::collection::vec(0_u32..6, 1..200),
            window in 1_i64..30,
        ) {
            let mut sliding = SlidingMax::default();
            for (at, &value) in values.iter().enumerate() {
                sliding.push(at as i64, value, at as i64 - window);
                let from = (at + 1).saturating_sub(window as usize);
                prop_assert_eq!(sliding.max(), values[from..=at].iter().copied().max());
            }
        }
    }
}
