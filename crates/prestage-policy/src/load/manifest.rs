//! What a manifest alone can be judged by: layout, action space, normaliser, network.
use std::path::Path;

use crate::artifact::Manifest;
use crate::error::Error;
use crate::normalizer::Normalizer;
use crate::space::{Layout, MultiDiscrete};

/// Everything in a manifest that can be judged without the other files.
pub(crate) fn check_manifest(path: &Path, manifest: &Manifest) -> Result<(), Error> {
    check_layout_is_usable(path, &manifest.layout)?;
    check_action_is_usable(path, &manifest.action)?;
    check_normalizer(path, &manifest.normalizer, &manifest.layout)?;
    if manifest.network.hidden.contains(&0) {
        return Err(Error::NetworkShape {
            path: path.to_path_buf(),
            found: manifest.network.hidden.clone(),
        });
    }
    Ok(())
}

fn check_layout_is_usable(path: &Path, layout: &Layout) -> Result<(), Error> {
    let mut names: Vec<&str> = layout
        .fields
        .iter()
        .map(|field| field.name.as_str())
        .collect();
    names.sort_unstable();
    let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
    let found = if layout.is_empty() {
        "no field".to_string()
    } else if let Some(pair) = twice {
        format!("field `{}` twice", pair[0])
    } else if !layout.clip.is_finite() || layout.clip <= 0.0 {
        format!("clip `{}`", layout.clip)
    } else {
        return Ok(());
    };
    Err(Error::LayoutInvalid {
        path: path.to_path_buf(),
        found,
    })
}

fn check_action_is_usable(path: &Path, action: &MultiDiscrete) -> Result<(), Error> {
    let outside = action
        .nvec
        .iter()
        .zip(&action.neutral)
        .position(|(n, l)| l >= n);
    let found = if action.is_empty() {
        "no knob".to_string()
    } else if action.nvec.len() != action.neutral.len() {
        format!(
            "{} knobs and {} neutral levels",
            action.nvec.len(),
            action.neutral.len()
        )
    } else if let Some(knob) = action.nvec.iter().position(|&levels| levels < 2) {
        format!("{} levels for knob {knob}", action.nvec[knob])
    } else if let Some(knob) = outside {
        format!("neutral level {} for knob {knob}", action.neutral[knob])
    } else {
        return Ok(());
    };
    Err(Error::ActionInvalid {
        path: path.to_path_buf(),
        found,
    })
}

fn check_normalizer(path: &Path, normalizer: &Normalizer, layout: &Layout) -> Result<(), Error> {
    if [normalizer.mean.len(), normalizer.std.len()] != [layout.len(); 2] {
        return Err(Error::NormalizerLength {
            path: path.to_path_buf(),
            n_mean: normalizer.mean.len(),
            n_std: normalizer.std.len(),
            expected: layout.len(),
        });
    }
    let refused = |key, field: &str, value, allowed| {
        Err(Error::NormalizerValue {
            path: path.to_path_buf(),
            key,
            field: field.to_string(),
            value,
            allowed,
        })
    };
    let positive = |value: f32| value.is_finite() && value > 0.0;
    if !positive(normalizer.clip) {
        return refused("clip", "(all)", normalizer.clip, "finite, above 0");
    }
    let scales = normalizer.mean.iter().zip(&normalizer.std);
    for (field, (&mean, &std)) in layout.fields.iter().zip(scales) {
        if !mean.is_finite() {
            return refused("mean", &field.name, mean, "finite");
        }
        if !positive(std) {
            return refused("std", &field.name, std, "finite, above 0");
        }
    }
    Ok(())
}
