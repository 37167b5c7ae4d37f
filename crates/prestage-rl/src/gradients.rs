//! Gradient clipping by the global norm, over all parameters together.
//!
//! Our own, because burn clips every tensor by itself (burn-optim 0.22), which
//! changes the direction of the step. Must never know: losses.
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

/// Scales all gradients so that their joint norm is at most `max_norm`; returns the
/// norm found. The same as torch's `clip_grad_norm_`, its 1e-6 included.
pub(crate) fn clip_global_norm<M: Module>(
    module: &M,
    gradients: &mut GradientsParams,
    max_norm: f64,
) -> f64 {
    let mut squares = SumOfSquares {
        gradients,
        sum: 0.0,
    };
    module.visit(&mut squares);
    let norm = squares.sum.sqrt();
    if norm > max_norm {
        let factor = max_norm / (norm + 1e-6);
        module.visit(&mut Scale { gradients, factor });
    }
    norm
}

struct SumOfSquares<'a> {
    gradients: &'a GradientsParams,
    sum: f64,
}

impl ModuleVisitor for SumOfSquares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            let data = gradient.into_data();
            self.sum += data.iter::<f64>().map(|value| value * value).sum::<f64>();
        }
    }
}

struct Scale<'a> {
    gradients: &'a mut GradientsParams,
    factor: f64,
}

impl ModuleVisitor for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            let scaled = gradient.mul_scalar(self.factor);
            self.gradients.register(param.id, scaled);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::ComputeDevice;
    use burn::module::ParamId;

    #[derive(Module, Debug)]
    struct Two {
        left: Param<Tensor<1>>,
        right: Param<Tensor<1>>,
    }

    /// Loss = 3 * left + 4 * right: gradients 3 and 4, norm 5.
    fn check(max_norm: f64, expected: [f32; 2]) {
        let device = ComputeDevice::Flex.autodiff();
        let param = |id: u64| {
            let value = Tensor::<1>::zeros([1], &device).require_grad();
            Param::initialized(ParamId::from(id), value)
        };
        let two = Two {
            left: param(1),
            right: param(2),
        };
        let loss = two.left.val().mul_scalar(3.0) + two.right.val().mul_scalar(4.0);
        let mut gradients = GradientsParams::from_grads(loss.backward(), &two);
        let norm = clip_global_norm(&two, &mut gradients, max_norm);
        assert!((norm - 5.0).abs() < 1e-6);
        let clipped = [two.left.id, two.right.id].map(|id| {
            let gradient = gradients.get::<1>(id).unwrap();
            gradient.into_scalar::<f32>()
        });
        for (found, expected) in clipped.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "{clipped:?}");
        }
    }

    #[test]
    fn the_direction_survives_clipping() {
        check(0.5, [0.3, 0.4]);
    }

    #[test]
    fn small_gradients_are_left_alone() {
        check(5.1, [3.0, 4.0]);
    }
}
