//! Whether an artifact speaks the layout and the action space of its caller; the
//! refusal names the first difference.
use std::path::Path;

use crate::error::Error;
use crate::space::{Layout, MultiDiscrete};

pub(crate) fn check_layout(path: &Path, found: &Layout, expected: &Layout) -> Result<(), Error> {
    let mut facts = vec![
        (
            "name".to_string(),
            found.name.clone(),
            expected.name.clone(),
        ),
        (
            "version".to_string(),
            found.version.to_string(),
            expected.version.to_string(),
        ),
        (
            "clip".to_string(),
            found.clip.to_string(),
            expected.clip.to_string(),
        ),
    ];
    for (index, (left, right)) in found.fields.iter().zip(&expected.fields).enumerate() {
        facts.push((
            format!("field {index}"),
            left.name.clone(),
            right.name.clone(),
        ));
        let about = format!("meaning of field {index} (`{}`)", right.name);
        facts.push((about, left.about.clone(), right.about.clone()));
    }
    let counts = [found.len().to_string(), expected.len().to_string()];
    facts.push((
        "number of fields".to_string(),
        counts[0].clone(),
        counts[1].clone(),
    ));
    match first_difference(facts) {
        None => Ok(()),
        Some((what, found, expected)) => Err(Error::LayoutMismatch {
            path: path.to_path_buf(),
            what,
            found,
            expected,
        }),
    }
}

pub(crate) fn check_action(
    path: &Path,
    found: &MultiDiscrete,
    expected: &MultiDiscrete,
) -> Result<(), Error> {
    let counts = [found.len().to_string(), expected.len().to_string()];
    let mut facts = vec![(
        "number of knobs".to_string(),
        counts[0].clone(),
        counts[1].clone(),
    )];
    for (knob, (left, right)) in found.nvec.iter().zip(&expected.nvec).enumerate() {
        facts.push((
            format!("levels of knob {knob}"),
            left.to_string(),
            right.to_string(),
        ));
    }
    for (knob, (left, right)) in found.neutral.iter().zip(&expected.neutral).enumerate() {
        facts.push((
            format!("neutral level of knob {knob}"),
            left.to_string(),
            right.to_string(),
        ));
    }
    match first_difference(facts) {
        None => Ok(()),
        Some((what, found, expected)) => Err(Error::ActionMismatch {
            path: path.to_path_buf(),
            what,
            found,
            expected,
        }),
    }
}

/// (what, found, expected)
type Fact = (String, String, String);

fn first_difference(facts: Vec<Fact>) -> Option<Fact> {
    facts
        .into_iter()
        .find(|(_, found, expected)| found != expected)
}
