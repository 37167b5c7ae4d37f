//! Log-probabilities and entropy of categorical heads on tensors, one head a knob.
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor, TensorData};
use prestage_policy::MultiDiscrete;

/// Logits as a `[batch, knobs, levels]` block. Knobs with fewer levels than the
/// largest are padded with levels of probability 0.
pub(super) struct Heads {
    action: MultiDiscrete,
    pub(super) n_levels: usize,
    pub(super) padding: Option<Padding>,
    device: Device,
}

pub(super) struct Padding {
    /// `[n_logits, knobs * levels]`, a 1 where a logit goes.
    place: Tensor<2>,
    /// `[1, knobs * levels]`, 0 for real levels and hugely negative for padding.
    offset: Tensor<2>,
}

impl Heads {
    pub(super) fn new(action: MultiDiscrete, device: &Device) -> Self {
        let n_levels = action.nvec.iter().copied().max().map_or(0, usize::from);
        let equal = action.n_logits() == n_levels * action.len();
        Self {
            padding: (!equal).then(|| Padding::new(&action, n_levels, device)),
            action,
            n_levels,
            device: device.clone(),
        }
    }

    /// `[batch, n_logits]` to `[batch, knobs, levels]`.
    pub(super) fn log_probs(&self, logits: Tensor<2>) -> Tensor<3> {
        let [n_rows, _] = logits.dims();
        let block = match &self.padding {
            Some(padding) => logits.matmul(padding.place.clone()) + padding.offset.clone(),
            None => logits,
        };
        log_softmax(block.reshape([n_rows, self.action.len(), self.n_levels]), 2)
    }

    /// Of the actions taken, summed over knobs; `chosen` is one-hot.
    pub(super) fn log_prob_of(&self, log_probs: Tensor<3>, chosen: &[f32]) -> Tensor<1> {
        let data = TensorData::new(chosen.to_vec(), log_probs.dims());
        sum_per_row(log_probs * Tensor::from_data(data, &self.device))
    }

    /// Summed over knobs; padding adds `0 * finite`.
    pub(super) fn entropy(log_probs: Tensor<3>) -> Tensor<1> {
        sum_per_row(log_probs.clone().exp() * log_probs).neg()
    }

    /// Writes the one-hot block of one action.
    pub(super) fn one_hot(&self, levels: &[u8], block: &mut Vec<f32>) {
        let start = block.len();
        block.resize(start + self.action.len() * self.n_levels, 0.0);
        for (knob, &level) in levels.iter().enumerate() {
            block[start + knob * self.n_levels + usize::from(level)] = 1.0;
        }
    }
}

impl Padding {
    fn new(action: &MultiDiscrete, n_levels: usize, device: &Device) -> Self {
        let width = action.len() * n_levels;
        let mut place = vec![0.0; action.n_logits() * width];
        let mut offset = vec![-1e30; width];
        let mut logit = 0;
        for (knob, &levels) in action.nvec.iter().enumerate() {
            for level in 0..usize::from(levels) {
                let column = knob * n_levels + level;
                place[logit * width + column] = 1.0;
                offset[column] = 0.0;
                logit += 1;
            }
        }
        Self {
            place: matrix(&place, action.n_logits(), device),
            offset: matrix(&offset, 1, device),
        }
    }
}

fn sum_per_row(block: Tensor<3>) -> Tensor<1> {
    let [n_rows, knobs, levels] = block.dims();
    block
        .reshape([n_rows, knobs * levels])
        .sum_dim(1)
        .squeeze_dim(1)
}

pub(super) fn vector(values: &[f32], device: &Device) -> Tensor<1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
}

pub(super) fn matrix(values: &[f32], n_rows: usize, device: &Device) -> Tensor<2> {
    let shape = [n_rows, values.len() / n_rows];
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
}
