//! The model card: a manifest as a page for people.
//!
//! Must never know: files, weights.
use std::fmt::Write as _;

use crate::artifact::Manifest;

/// Markdown of one manifest; file hashes are left out, because the card is
/// itself one of the hashed files.
pub(crate) fn render(manifest: &Manifest) -> String {
    let mut page = String::new();
    write_page(&mut page, manifest).expect("writing to a string does not fail");
    page
}

fn write_page(page: &mut String, manifest: &Manifest) -> std::fmt::Result {
    let layout = &manifest.layout;
    writeln!(
        page,
        "# Policy for `{}` version {}\n",
        layout.name, layout.version
    )?;
    writeln!(
        page,
        "Exported by prestage, format version {}. One row of {} observations gives one level for \
         each of {} knobs. Load it with `prestage-policy`, which verifies every file against \
         `manifest.json` and replays `golden.json`.\n",
        manifest.format_version,
        layout.len(),
        manifest.action.len()
    )?;
    writeln!(page, "## Network\n")?;
    writeln!(
        page,
        "Normalise, clip to +-{}, hidden layers {:?} with {:?}, {} logits, greedy level per knob \
         (ties: nearest to neutral). A row that is not finite gets the neutral action.\n",
        manifest.normalizer.clip,
        manifest.network.hidden,
        manifest.network.activation,
        manifest.action.n_logits()
    )?;
    writeln!(page, "## Observation\n")?;
    writeln!(page, "| # | field | mean | std | meaning |")?;
    writeln!(page, "|---|---|---|---|---|")?;
    let scales = manifest
        .normalizer
        .mean
        .iter()
        .zip(&manifest.normalizer.std);
    for (index, (field, (mean, std))) in layout.fields.iter().zip(scales).enumerate() {
        let about = one_line(&field.about);
        writeln!(
            page,
            "| {index} | `{}` | {mean} | {std} | {about} |",
            field.name
        )?;
    }
    writeln!(page, "\n## Action\n")?;
    writeln!(page, "| knob | levels | neutral |")?;
    writeln!(page, "|---|---|---|")?;
    let knobs = manifest.action.nvec.iter().zip(&manifest.action.neutral);
    for (index, (levels, neutral)) in knobs.enumerate() {
        writeln!(page, "| {index} | {levels} | {neutral} |")?;
    }
    let sections = [
        ("Controller", &manifest.controller),
        ("Provenance", &manifest.provenance),
        ("Evaluation", &manifest.evaluation),
    ];
    for (title, value) in sections {
        writeln!(page, "\n## {title}\n\n```json\n{value:#}\n```")?;
    }
    Ok(())
}

fn one_line(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}
