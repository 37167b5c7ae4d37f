//! Golden cases: what the policy computed when it was written, computed again.
use std::path::Path;

use crate::artifact::{Golden, Manifest};
use crate::error::Error;
use crate::mlp_policy::MlpPolicy;

/// Fewer golden cases prove too little.
const GOLDEN_CASES_MIN: usize = 16;
const GOLDEN_TOLERANCE: f32 = 1e-5;

/// Computes every golden case anew and compares.
pub(crate) fn check_golden(
    path: &Path,
    golden: &Golden,
    manifest: &Manifest,
    policy: &mut MlpPolicy,
) -> Result<(), Error> {
    check_golden_shape(path, golden, manifest)?;
    let mut logits = vec![0.0; manifest.action.n_logits()];
    let mut action = vec![0; manifest.action.len()];
    for (case, recorded) in golden.cases.iter().enumerate() {
        policy.logits(&recorded.observation, &mut logits);
        for (index, (&found, &expected)) in logits.iter().zip(&recorded.logits).enumerate() {
            let tolerance = GOLDEN_TOLERANCE * expected.abs().max(1.0);
            // Written so that NaN on either side is refused.
            let agrees = (found - expected).abs() <= tolerance;
            if !agrees {
                return Err(Error::GoldenLogit {
                    path: path.to_path_buf(),
                    case,
                    index,
                    found,
                    expected,
                    tolerance,
                });
            }
        }
        manifest.action.greedy(&logits, &mut action);
        if action != recorded.action {
            return Err(Error::GoldenAction {
                path: path.to_path_buf(),
                case,
                found: action,
                expected: recorded.action.clone(),
            });
        }
    }
    Ok(())
}

fn check_golden_shape(path: &Path, golden: &Golden, manifest: &Manifest) -> Result<(), Error> {
    let refused = |what: String, found, allowed: String| {
        Err(Error::GoldenShape {
            path: path.to_path_buf(),
            what,
            found,
            allowed,
        })
    };
    if golden.cases.len() < GOLDEN_CASES_MIN {
        let allowed = format!("at least {GOLDEN_CASES_MIN}");
        return refused("number of cases".to_string(), golden.cases.len(), allowed);
    }
    for (case, recorded) in golden.cases.iter().enumerate() {
        let lengths = [
            (
                "observation",
                recorded.observation.len(),
                manifest.layout.len(),
            ),
            ("logits", recorded.logits.len(), manifest.action.n_logits()),
            ("action", recorded.action.len(), manifest.action.len()),
        ];
        for (part, found, allowed) in lengths {
            if found != allowed {
                return refused(
                    format!("{part} length of case {case}"),
                    found,
                    allowed.to_string(),
                );
            }
        }
    }
    Ok(())
}
