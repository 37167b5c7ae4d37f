//! Actor and critic: two perceptrons that share nothing, as burn modules that can
//! be trained and as plain layers that can be run.
//!
//! Must never know: losses, environments.
use burn::module::{Module, Param, ParamId};
use burn::nn::Linear;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};
use prestage_policy::{Dense, Mlp, MultiDiscrete};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::error::Error;
use crate::learner::Networks;

/// Gain of hidden layers (He et al. 2015; "37 implementation details", no. 2).
const HIDDEN_GAIN: f64 = std::f64::consts::SQRT_2;
/// Gain of the actor's last layer: the first policy hardly looks at its input.
const ACTOR_GAIN: f64 = 0.01;
/// Gain of the critic's last layer.
const CRITIC_GAIN: f64 = 1.0;

/// Widths and the first policy.
#[derive(Clone, Debug)]
pub(crate) struct NetworkParams {
    pub(crate) n_in: usize,
    pub(crate) hidden: Vec<usize>,
    pub(crate) action: MultiDiscrete,
    /// Bias of each knob's neutral level, all others 0.
    pub(crate) neutral_logit: f32,
}

/// What a learner trains.
#[derive(Module, Debug)]
pub(crate) struct ActorCritic {
    actor: Vec<Linear>,
    critic: Vec<Linear>,
}

impl ActorCritic {
    /// Orthogonal weights from our own generator. Parameter ids are counted, not
    /// drawn: optimizer state is keyed by them and must find its parameter again.
    pub(crate) fn new(params: &NetworkParams, rng: &mut ChaCha8Rng, device: &Device) -> Self {
        let mut next_id = 0;
        let n_logits = params.action.n_logits();
        let mut actor = Vec::new();
        for shape in layer_shapes(params.n_in, &params.hidden, n_logits, ACTOR_GAIN) {
            let bias = if shape.last {
                neutral_bias(&params.action, params.neutral_logit)
            } else {
                vec![0.0; shape.n_out]
            };
            actor.push(linear(&shape, bias, &mut next_id, rng, device));
        }
        let mut critic = Vec::new();
        for shape in layer_shapes(params.n_in, &params.hidden, 1, CRITIC_GAIN) {
            let bias = vec![0.0; shape.n_out];
            critic.push(linear(&shape, bias, &mut next_id, rng, device));
        }
        Self { actor, critic }
    }

    /// `[batch, n_in]` to `[batch, n_logits]`.
    pub(crate) fn logits(&self, observations: Tensor<2>) -> Tensor<2> {
        forward(&self.actor, observations)
    }

    /// `[batch, n_in]` to `[batch, 1]`.
    pub(crate) fn values(&self, observations: Tensor<2>) -> Tensor<2> {
        forward(&self.critic, observations)
    }

    /// Weights and biases, each counted as one.
    pub(crate) fn n_tensors(&self) -> usize {
        2 * (self.actor.len() + self.critic.len())
    }

    /// The plain copy that acts. Fails when a weight is not finite.
    pub(crate) fn networks(&self) -> Result<Networks, Error> {
        Ok(Networks {
            actor: Mlp::new(plain_layers(&self.actor)?)?,
            critic: Mlp::new(plain_layers(&self.critic)?)?,
        })
    }
}

/// The twin of [`Mlp::forward`]: relu between layers, nothing after the last.
fn forward(layers: &[Linear], input: Tensor<2>) -> Tensor<2> {
    let mut values = input;
    for (index, layer) in layers.iter().enumerate() {
        values = layer.forward(values);
        if index + 1 < layers.len() {
            values = relu(values);
        }
    }
    values
}

struct LayerShape {
    n_in: usize,
    n_out: usize,
    gain: f64,
    last: bool,
}

fn layer_shapes(n_in: usize, hidden: &[usize], n_out: usize, last_gain: f64) -> Vec<LayerShape> {
    let mut shapes = Vec::new();
    let mut width = n_in;
    for &next in hidden {
        shapes.push(LayerShape {
            n_in: width,
            n_out: next,
            gain: HIDDEN_GAIN,
            last: false,
        });
        width = next;
    }
    shapes.push(LayerShape {
        n_in: width,
        n_out,
        gain: last_gain,
        last: true,
    });
    shapes
}

fn neutral_bias(action: &MultiDiscrete, neutral_logit: f32) -> Vec<f32> {
    let mut bias = Vec::with_capacity(action.n_logits());
    for (&levels, &neutral) in action.nvec.iter().zip(&action.neutral) {
        bias.extend((0..levels).map(|level| if level == neutral { neutral_logit } else { 0.0 }));
    }
    bias
}

fn linear(
    shape: &LayerShape,
    bias: Vec<f32>,
    next_id: &mut u64,
    rng: &mut ChaCha8Rng,
    device: &Device,
) -> Linear {
    let weight = TensorData::new(orthogonal(shape, rng), [shape.n_in, shape.n_out]);
    let bias = TensorData::new(bias, [shape.n_out]);
    *next_id += 2;
    let weight = Tensor::<2>::from_data(weight, device).require_grad();
    let bias = Tensor::<1>::from_data(bias, device).require_grad();
    Linear {
        weight: Param::initialized(ParamId::from(*next_id - 1), weight),
        bias: Some(Param::initialized(ParamId::from(*next_id), bias)),
    }
}

/// `[n_in, n_out]` with orthonormal rows or columns (whichever are fewer), times the
/// gain (Saxe et al. 2014): Gram-Schmidt on Gaussian vectors, which gives the same
/// distribution as the usual QR with its sign correction.
fn orthogonal(shape: &LayerShape, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let (few, long) = (shape.n_in.min(shape.n_out), shape.n_in.max(shape.n_out));
    let mut basis: Vec<Vec<f64>> = Vec::new();
    while basis.len() < few {
        let mut vector: Vec<f64> = (0..long).map(|_| StandardNormal.sample(rng)).collect();
        // Twice, because one pass loses orthogonality to rounding.
        for other in basis.iter().chain(&basis) {
            let overlap = dot(&vector, other);
            for (x, y) in vector.iter_mut().zip(other) {
                *x -= overlap * y;
            }
        }
        let norm = dot(&vector, &vector).sqrt();
        // A vector within the span of the others is as good as impossible: draw again.
        if norm > 1e-6 {
            basis.push(vector.iter().map(|x| x / norm).collect());
        }
    }
    let wide = shape.n_in <= shape.n_out;
    let mut weight = vec![0.0; few * long];
    for (i, vector) in basis.iter().enumerate() {
        for (j, value) in vector.iter().enumerate() {
            let (input, output) = if wide { (i, j) } else { (j, i) };
            weight[input * shape.n_out + output] = (value * shape.gain) as f32;
        }
    }
    weight
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(x, y)| x * y).sum()
}

fn plain_layers(layers: &[Linear]) -> Result<Vec<Dense>, Error> {
    let mut plain = Vec::new();
    for layer in layers {
        let [n_in, n_out] = layer.weight.val().dims();
        let weight: Vec<f32> = layer.weight.val().into_data().iter::<f32>().collect();
        let bias = match &layer.bias {
            Some(bias) => bias.val().into_data().iter::<f32>().collect(),
            None => vec![0.0; n_out],
        };
        plain.push(Dense::new(n_in, bias, weight)?);
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::device::ComputeDevice;

    fn params() -> NetworkParams {
        NetworkParams {
            n_in: 5,
            hidden: vec![16, 9],
            action: MultiDiscrete {
                nvec: vec![7, 3],
                neutral: vec![3, 1],
            },
            neutral_logit: 2.0,
        }
    }

    fn network() -> ActorCritic {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        ActorCritic::new(&params(), &mut rng, &ComputeDevice::Flex.autodiff())
    }

    #[test]
    fn weights_are_orthogonal_times_the_gain() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for (n_in, n_out) in [(5, 16), (16, 5), (8, 8), (1, 4)] {
            let shape = LayerShape {
                n_in,
                n_out,
                gain: 0.5,
                last: false,
            };
            let weight = orthogonal(&shape, &mut rng);
            let at = |input: usize, output: usize| f64::from(weight[input * n_out + output]);
            let few = n_in.min(n_out);
            for i in 0..few {
                for j in 0..few {
                    let product: f64 = if n_in <= n_out {
                        (0..n_out).map(|k| at(i, k) * at(j, k)).sum()
                    } else {
                        (0..n_in).map(|k| at(k, i) * at(k, j)).sum()
                    };
                    let expected = if i == j { 0.25 } else { 0.0 };
                    assert!((product - expected).abs() < 1e-6);
                }
            }
        }
    }

    #[test]
    fn the_plain_copy_computes_what_burn_computes() {
        let network = network();
        let mut plain = network.networks().unwrap();
        let input: Vec<f32> = (0..5 * 13).map(|i| (i as f32 * 0.7).sin() * 3.0).collect();
        let device = ComputeDevice::Flex.autodiff();
        let tensor = Tensor::<2>::from_data(TensorData::new(input.clone(), [13, 5]), &device);
        let mut logits = vec![0.0; 13 * 10];
        plain.actor.forward(&input, &mut logits);
        let expected = network.logits(tensor.clone()).into_data();
        for (found, expected) in logits.iter().zip(expected.iter::<f32>()) {
            assert!((found - expected).abs() < 1e-5);
        }
        let mut values = vec![0.0; 13];
        plain.critic.forward(&input, &mut values);
        for (found, expected) in values
            .iter()
            .zip(network.values(tensor).into_data().iter::<f32>())
        {
            assert!((found - expected).abs() < 1e-5);
        }
    }

    #[test]
    fn the_first_policy_is_the_neutral_one() {
        let mut plain = network().networks().unwrap();
        let input: Vec<f32> = (0..5 * 50).map(|i| (i as f32 * 1.3).sin() * 10.0).collect();
        let mut logits = vec![0.0; 50 * 10];
        plain.actor.forward(&input, &mut logits);
        for row in logits.chunks(10) {
            let mut levels = [9, 9];
            params().action.greedy(row, &mut levels);
            assert_eq!(levels, [3, 1]);
        }
    }
}
