//! Plain f32 inference of a multi-layer perceptron: the code that runs in
//! production and that collects rollouts, so both see the same bits.
//!
//! Only multiplication, addition and comparison are used, in a fixed order: the
//! result is the same for every batch size and on every IEEE 754 machine. Must
//! never know: training, files.
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Rows pushed through all layers together; bounds the scratch memory, and keeps
/// the activations of a block in the first-level cache.
const BLOCK_ROWS: usize = 32;

/// What follows a hidden layer.
///
/// Only `relu`: exact in both worlds, where a tanh would be one function in burn
/// and another here, and several times slower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
}

/// One affine layer, `output = input * weight + bias`.
#[derive(Clone, Debug, PartialEq)]
pub struct Dense {
    n_in: usize,
    n_out: usize,
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Dense {
    /// `weight` is `[n_in, n_out]`, row-major (as burn stores it, the transpose of
    /// torch); `bias` is `[n_out]`. Fails when a width is zero, a length does not
    /// fit or a value is not finite.
    pub fn new(n_in: usize, bias: Vec<f32>, weight: Vec<f32>) -> Result<Self, Error> {
        let n_out = bias.len();
        if n_in == 0 || n_out == 0 || n_in.checked_mul(n_out) != Some(weight.len()) {
            return Err(Error::DenseShape {
                n_in,
                n_out,
                n_weights: weight.len(),
            });
        }
        for (index, &value) in weight.iter().chain(&bias).enumerate() {
            if !value.is_finite() {
                return Err(Error::DenseNotFinite { index, value });
            }
        }
        Ok(Self {
            n_in,
            n_out,
            weight,
            bias,
        })
    }

    /// Width of the input.
    pub fn n_in(&self) -> usize {
        self.n_in
    }

    /// Width of the output.
    pub fn n_out(&self) -> usize {
        self.n_out
    }

    /// `[n_in, n_out]`, row-major.
    pub fn weight(&self) -> &[f32] {
        &self.weight
    }

    /// `[n_out]`.
    pub fn bias(&self) -> &[f32] {
        &self.bias
    }

    fn forward(&self, inputs: &[f32], outputs: &mut [f32], activation: Option<Activation>) {
        let n_rows = inputs.len() / self.n_in;
        debug_assert_eq!(inputs.len(), n_rows * self.n_in);
        debug_assert_eq!(outputs.len(), n_rows * self.n_out);
        let quads = n_rows / 4 * 4;
        let (front, back) = inputs.split_at(quads * self.n_in);
        let (front_out, back_out) = outputs.split_at_mut(quads * self.n_out);
        let quad_outputs = front_out.chunks_exact_mut(4 * self.n_out);
        for (input, output) in front.chunks_exact(4 * self.n_in).zip(quad_outputs) {
            self.rows::<4, 8>(input, output, activation);
        }
        let single_outputs = back_out.chunks_exact_mut(self.n_out);
        for (input, output) in back.chunks_exact(self.n_in).zip(single_outputs) {
            self.rows::<1, 32>(input, output, activation);
        }
    }

    /// `R` rows, first in tiles of `C` columns, then one column at a time.
    fn rows<const R: usize, const C: usize>(
        &self,
        inputs: &[f32],
        outputs: &mut [f32],
        activation: Option<Activation>,
    ) {
        let mut column = 0;
        while column + C <= self.n_out {
            self.tile::<R, C>(column, inputs, outputs, activation);
            column += C;
        }
        while column + 8 <= self.n_out {
            self.tile::<R, 8>(column, inputs, outputs, activation);
            column += 8;
        }
        while column < self.n_out {
            self.tile::<R, 1>(column, inputs, outputs, activation);
            column += 1;
        }
    }

    /// The sums of `R` x `C` outputs stay in registers; every output is summed from
    /// its bias upward in input order, whatever the tile.
    #[inline(always)]
    fn tile<const R: usize, const C: usize>(
        &self,
        column: usize,
        inputs: &[f32],
        outputs: &mut [f32],
        activation: Option<Activation>,
    ) {
        let mut sums = [[0.0f32; C]; R];
        for sum in &mut sums {
            sum.copy_from_slice(&self.bias[column..column + C]);
        }
        for (index, weights) in self.weight.chunks_exact(self.n_out).enumerate() {
            let weights = &weights[column..column + C];
            for (row, sum) in sums.iter_mut().enumerate() {
                let input = inputs[row * self.n_in + index];
                for (sum, weight) in sum.iter_mut().zip(weights) {
                    *sum += input * weight;
                }
            }
        }
        for (row, sum) in sums.iter_mut().enumerate() {
            if activation == Some(Activation::Relu) {
                for value in sum.iter_mut() {
                    *value = relu(*value);
                }
            }
            let start = row * self.n_out + column;
            outputs[start..start + C].copy_from_slice(sum);
        }
    }
}

/// Not `f32::max`, which would turn NaN into 0 and hide an overflow.
#[inline(always)]
fn relu(value: f32) -> f32 {
    if value < 0.0 { 0.0 } else { value }
}

/// Layers with [`Activation::Relu`] between them and nothing after the last.
///
/// Holds its scratch memory: a call allocates nothing.
#[derive(Clone, Debug)]
pub struct Mlp {
    layers: Vec<Dense>,
    front: Vec<f32>,
    back: Vec<f32>,
}

impl Mlp {
    /// Fails when there is no layer or two neighbours do not fit.
    pub fn new(layers: Vec<Dense>) -> Result<Self, Error> {
        if layers.is_empty() {
            return Err(Error::NoLayer);
        }
        for (index, pair) in layers.windows(2).enumerate() {
            if pair[0].n_out != pair[1].n_in {
                return Err(Error::LayersDoNotFit {
                    index,
                    n_out: pair[0].n_out,
                    n_in: pair[1].n_in,
                });
            }
        }
        let widest = layers.iter().map(Dense::n_out).max().unwrap_or(0);
        Ok(Self {
            layers,
            front: vec![0.0; BLOCK_ROWS * widest],
            back: vec![0.0; BLOCK_ROWS * widest],
        })
    }

    /// The layers, first to last.
    pub fn layers(&self) -> &[Dense] {
        &self.layers
    }

    /// Width of one input row.
    pub fn n_in(&self) -> usize {
        self.layers[0].n_in
    }

    /// Width of one output row.
    pub fn n_out(&self) -> usize {
        self.layers[self.layers.len() - 1].n_out
    }

    /// `inputs` is `[n_rows * n_in]`, `outputs` is `[n_rows * n_out]`; panics when
    /// the lengths do not agree.
    pub fn forward(&mut self, inputs: &[f32], outputs: &mut [f32]) {
        let (n_in, n_out) = (self.n_in(), self.n_out());
        assert_eq!(inputs.len() % n_in, 0, "input is not whole rows of {n_in}");
        assert_eq!(
            inputs.len() / n_in * n_out,
            outputs.len(),
            "output length does not match the number of input rows"
        );
        let blocks = inputs.chunks(BLOCK_ROWS * n_in);
        for (inputs, outputs) in blocks.zip(outputs.chunks_mut(BLOCK_ROWS * n_out)) {
            self.forward_block(inputs, outputs);
        }
    }

    fn forward_block(&mut self, inputs: &[f32], outputs: &mut [f32]) {
        let n_rows = inputs.len() / self.n_in();
        let Self {
            layers,
            front,
            back,
        } = self;
        let (last, hidden) = layers
            .split_last()
            .expect("a network has a layer: checked by `new`");
        let Some((first, middle)) = hidden.split_first() else {
            return last.forward(inputs, outputs, None);
        };
        let relu = Some(Activation::Relu);
        first.forward(inputs, &mut front[..n_rows * first.n_out], relu);
        for layer in middle {
            let source = &front[..n_rows * layer.n_in];
            layer.forward(source, &mut back[..n_rows * layer.n_out], relu);
            std::mem::swap(front, back);
        }
        last.forward(&front[..n_rows * last.n_in], outputs, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dense(n_in: usize, n_out: usize, seed: u32) -> Dense {
        let value = |index: usize| {
            let mixed = (index as u32 ^ seed).wrapping_mul(2_654_435_761);
            (mixed >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        let weight = (0..n_in * n_out).map(value).collect();
        Dense::new(n_in, (0..n_out).map(value).collect(), weight).unwrap()
    }

    /// Textbook loops in f64.
    fn reference(layers: &[Dense], input: &[f32]) -> Vec<f64> {
        let mut values: Vec<f64> = input.iter().map(|&x| f64::from(x)).collect();
        for (index, layer) in layers.iter().enumerate() {
            let mut next: Vec<f64> = layer.bias.iter().map(|&b| f64::from(b)).collect();
            for (i, value) in values.iter().enumerate() {
                for (o, next) in next.iter_mut().enumerate() {
                    *next += value * f64::from(layer.weight[i * layer.n_out + o]);
                }
            }
            if index + 1 < layers.len() {
                next.iter_mut().for_each(|x| *x = x.max(0.0));
            }
            values = next;
        }
        values
    }

    #[test]
    fn agrees_with_textbook_loops() {
        for hidden in [vec![], vec![5], vec![64, 64], vec![33, 7, 41]] {
            let mut widths = vec![11];
            widths.extend(hidden);
            widths.push(42);
            let layers: Vec<Dense> = widths
                .windows(2)
                .enumerate()
                .map(|(index, pair)| dense(pair[0], pair[1], index as u32 * 7919))
                .collect();
            let inputs: Vec<f32> = (0..11 * 5).map(|i| (i as f32 * 0.37).sin()).collect();
            let mut outputs = vec![0.0; 42 * 5];
            Mlp::new(layers.clone())
                .unwrap()
                .forward(&inputs, &mut outputs);
            for (input, output) in inputs.chunks(11).zip(outputs.chunks(42)) {
                for (expected, &got) in reference(&layers, input).iter().zip(output) {
                    assert!((expected - f64::from(got)).abs() < 1e-5);
                }
            }
        }
    }

    #[test]
    fn a_row_gives_the_same_bits_alone_and_in_any_batch() {
        let mut mlp = Mlp::new(vec![dense(34, 64, 1), dense(64, 64, 2), dense(64, 42, 3)]).unwrap();
        let inputs: Vec<f32> = (0..34 * 71).map(|i| (i as f32 * 0.73).sin()).collect();
        let mut together = vec![0.0; 42 * 71];
        mlp.forward(&inputs, &mut together);
        for (input, expected) in inputs.chunks(34).zip(together.chunks(42)) {
            let mut alone = vec![0.0; 42];
            mlp.forward(input, &mut alone);
            assert_eq!(alone, expected);
        }
    }

    #[test]
    fn relu_keeps_nan_visible() {
        assert_eq!(relu(-1.0), 0.0);
        assert_eq!(relu(2.0), 2.0);
        assert!(relu(f32::NAN).is_nan());
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        assert!(matches!(Mlp::new(vec![]), Err(Error::NoLayer)));
        assert!(matches!(
            Mlp::new(vec![dense(2, 3, 0), dense(4, 1, 0)]),
            Err(Error::LayersDoNotFit { index: 0, .. })
        ));
        assert!(matches!(
            Dense::new(2, vec![0.0], vec![0.0; 3]),
            Err(Error::DenseShape { n_weights: 3, .. })
        ));
        assert!(matches!(
            Dense::new(1, vec![0.0], vec![f32::NAN]),
            Err(Error::DenseNotFinite { index: 0, .. })
        ));
    }
}
