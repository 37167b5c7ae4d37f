//! Brings every observation value to a comparable scale, with frozen numbers.
//!
//! Must never know: how the numbers were estimated.
use serde::{Deserialize, Serialize};

/// `clip((x - mean) / std, -clip, clip)` per value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalizer {
    /// One per observation value.
    pub mean: Vec<f32>,
    /// One per observation value, above zero.
    pub std: Vec<f32>,
    /// Bound on a normalised value, above zero.
    pub clip: f32,
}

impl Normalizer {
    /// Mean 0 and deviation 1: changes nothing but the clip.
    pub fn identity(len: usize, clip: f32) -> Self {
        Self {
            mean: vec![0.0; len],
            std: vec![1.0; len],
            clip,
        }
    }

    /// Normalises whole rows; `inputs` and `outputs` have one length, a multiple of
    /// the observation's. NaN stays NaN.
    pub fn apply(&self, inputs: &[f32], outputs: &mut [f32]) {
        assert_eq!(inputs.len(), outputs.len(), "lengths differ");
        assert_eq!(inputs.len() % self.mean.len(), 0, "not whole rows");
        let rows = inputs.chunks_exact(self.mean.len());
        for (input, output) in rows.zip(outputs.chunks_exact_mut(self.mean.len())) {
            let scales = self.mean.iter().zip(&self.std);
            for ((x, y), (mean, std)) in input.iter().zip(output).zip(scales) {
                *y = ((x - mean) / std).clamp(-self.clip, self.clip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_then_clips() {
        let normalizer = Normalizer {
            mean: vec![1.0, 0.0],
            std: vec![2.0, 0.5],
            clip: 3.0,
        };
        let mut out = [0.0; 4];
        normalizer.apply(&[5.0, 0.25, -100.0, 100.0], &mut out);
        assert_eq!(out, [2.0, 0.5, -3.0, 3.0]);
    }
}
