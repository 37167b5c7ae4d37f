//! What an agent sees and what it may do: named observation fields and discrete actions.
//!
//! A [`Layout`] is written into every artifact and compared at load: a policy
//! is only ever fed the fields it was trained on, in the order it was trained on.
use serde::{Deserialize, Serialize};

/// One observation field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Unique snake_case name, unit last.
    pub name: String,
    /// One sentence: what the number means and how it is scaled.
    pub about: String,
}

/// The named, versioned observation of one decision row.
///
/// Every value is scale-free and clipped to `[-clip, clip]` by its producer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// Name of the producer, for example `prestage-cell`.
    pub name: String,
    /// Raised whenever a field is added, removed, moved or redefined.
    pub version: u32,
    /// Absolute bound on every value.
    pub clip: f32,
    /// The fields, in order.
    pub fields: Vec<Field>,
}

impl Layout {
    /// Number of values in one observation.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// True when there is no field at all.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
}

/// The action of one decision row: one level per knob, knob `i` in `0..nvec[i]`
/// (Gymnasium's `MultiDiscrete`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MultiDiscrete {
    /// Number of levels per knob, each at least 2.
    pub nvec: Vec<u8>,
    /// The level per knob that means "leave the default": where training starts
    /// and where the fallback lands.
    pub neutral: Vec<u8>,
}

impl MultiDiscrete {
    /// Number of knobs.
    pub fn len(&self) -> usize {
        self.nvec.len()
    }

    /// True when there is no knob.
    pub fn is_empty(&self) -> bool {
        self.nvec.is_empty()
    }

    /// Total number of logits, the sum of all level counts.
    pub fn n_logits(&self) -> usize {
        self.nvec.iter().map(|&levels| usize::from(levels)).sum()
    }

    /// Writes the most likely level of every knob for one row of logits.
    ///
    /// Ties go to the level nearest to neutral, and of two equally near to the
    /// lower one. Logits that are not finite mean that the network overflowed:
    /// the whole row then falls back to neutral.
    pub fn greedy(&self, logits: &[f32], levels: &mut [u8]) {
        assert_eq!(logits.len(), self.n_logits(), "logits of one row");
        assert_eq!(levels.len(), self.len(), "levels of one row");
        if logits.iter().any(|logit| !logit.is_finite()) {
            levels.copy_from_slice(&self.neutral);
            return;
        }
        let mut rest = logits;
        for (level, (&count, &neutral)) in
            levels.iter_mut().zip(self.nvec.iter().zip(&self.neutral))
        {
            let (head, tail) = rest.split_at(usize::from(count));
            *level = best_level(head, neutral);
            rest = tail;
        }
    }
}

fn best_level(logits: &[f32], neutral: u8) -> u8 {
    let mut best = 0u8;
    for (level, &logit) in (0u8..).zip(logits) {
        let best_logit = logits[usize::from(best)];
        let nearer = level.abs_diff(neutral) < best.abs_diff(neutral);
        if logit > best_logit || (logit == best_logit && nearer) {
            best = level;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(logits: &[f32], expected: &[u8]) {
        let action = MultiDiscrete {
            nvec: vec![5, 3],
            neutral: vec![2, 1],
        };
        let mut levels = [9, 9];
        action.greedy(logits, &mut levels);
        assert_eq!(levels, expected);
    }

    #[test]
    fn greedy_takes_the_largest_logit_of_every_knob() {
        check(&[0.0, 9.0, 1.0, 2.0, 3.0, -1.0, -3.0, -0.5], &[1, 2]);
    }

    #[test]
    fn ties_go_to_the_level_nearest_to_neutral_then_to_the_lower() {
        check(&[1.0; 8], &[2, 1]);
        check(&[7.0, 0.0, 0.0, 7.0, 7.0, 2.0, 0.0, 2.0], &[3, 0]);
        check(&[7.0, 0.0, 0.0, 0.0, 7.0, 0.0, 2.0, 2.0], &[0, 1]);
    }

    #[test]
    fn overflowed_logits_fall_back_to_neutral() {
        check(&[9.0, 0.0, 0.0, 0.0, 0.0, f32::NAN, 0.0, 0.0], &[2, 1]);
        check(&[f32::INFINITY, 0.0, 0.0, 0.0, 0.0, 9.0, 0.0, 0.0], &[2, 1]);
    }
}
