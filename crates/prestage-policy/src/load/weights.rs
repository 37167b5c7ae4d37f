//! The dense layers of a weights file, against the shapes of its manifest.
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use super::quoted;
use crate::artifact::{Manifest, tensor_name};
use crate::error::Error;
use crate::mlp::Dense;

/// Shapes come from the manifest, bytes from the file, and both must agree, so
/// that memory is bounded by the size of the file.
pub(super) fn parse_layers(
    path: &Path,
    bytes: &[u8],
    manifest: &Manifest,
) -> Result<Vec<Dense>, Error> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| Error::NotSafetensors {
        path: path.to_path_buf(),
        reason: error.to_string(),
    })?;
    let widths = layer_widths(manifest);
    check_tensor_names(path, &tensors, widths.len() - 1)?;
    let mut layers = Vec::new();
    for (index, pair) in widths.windows(2).enumerate() {
        let (n_in, n_out) = (pair[0], pair[1]);
        let weight = parse_tensor(path, &tensors, tensor_name(index, "weight"), &[n_in, n_out])?;
        let bias = parse_tensor(path, &tensors, tensor_name(index, "bias"), &[n_out])?;
        layers.push(Dense::new(n_in, bias, weight)?);
    }
    Ok(layers)
}

fn layer_widths(manifest: &Manifest) -> Vec<usize> {
    let mut widths = vec![manifest.layout.len()];
    widths.extend(&manifest.network.hidden);
    widths.push(manifest.action.n_logits());
    widths
}

fn check_tensor_names(path: &Path, tensors: &SafeTensors, n_layers: usize) -> Result<(), Error> {
    let mut allowed = Vec::new();
    // A manifest may name more layers than memory has room for names.
    for layer in 0..n_layers.min(tensors.len() + 1) {
        allowed.push(tensor_name(layer, "weight"));
        allowed.push(tensor_name(layer, "bias"));
    }
    let mut found = tensors.names();
    found.sort_unstable();
    let mut sorted: Vec<&str> = allowed.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    if found != sorted {
        return Err(Error::TensorNames {
            path: path.to_path_buf(),
            found: quoted(found),
            allowed: quoted(allowed),
        });
    }
    Ok(())
}

fn parse_tensor(
    path: &Path,
    tensors: &SafeTensors,
    tensor: String,
    expected: &[usize],
) -> Result<Vec<f32>, Error> {
    let view = tensors
        .tensor(&tensor)
        .map_err(|error| Error::NotSafetensors {
            path: path.to_path_buf(),
            reason: error.to_string(),
        })?;
    check_tensor_kind(path, &tensor, &view, expected)?;
    let (chunks, _) = view.data().as_chunks::<4>();
    let values: Vec<f32> = chunks
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect();
    if let Some(index) = values.iter().position(|value| !value.is_finite()) {
        return Err(Error::WeightNotFinite {
            path: path.to_path_buf(),
            tensor,
            index,
            value: values[index],
        });
    }
    Ok(values)
}

fn check_tensor_kind(
    path: &Path,
    tensor: &str,
    view: &TensorView,
    expected: &[usize],
) -> Result<(), Error> {
    if view.dtype() != Dtype::F32 {
        return Err(Error::TensorDtype {
            path: path.to_path_buf(),
            tensor: tensor.to_string(),
            found: format!("{:?}", view.dtype()),
        });
    }
    if view.shape() != expected {
        return Err(Error::TensorShape {
            path: path.to_path_buf(),
            tensor: tensor.to_string(),
            found: view.shape().to_vec(),
            expected: expected.to_vec(),
        });
    }
    Ok(())
}
