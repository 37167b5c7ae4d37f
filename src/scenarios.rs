//! Where scenarios come from: a file, or one that ships with the program.
use std::path::Path;

use anyhow::{Context, Result, bail};
use prestage_world::Scenario;

/// A scenario that ships with the program.
pub struct Shipped {
    /// Its name.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
}

/// All shipped scenarios.
pub static SHIPPED: &[Shipped] = &[
    Shipped {
        name: "demo",
        text: include_str!("../scenarios/demo.toml"),
    },
    Shipped {
        name: "calm-weekly",
        text: include_str!("../scenarios/calm-weekly.toml"),
    },
    Shipped {
        name: "replay",
        text: include_str!("../scenarios/replay.toml"),
    },
];

/// Loads `source`, the name of a shipped scenario or the path of a file, and
/// applies the overrides.
pub fn load(source: &str, overrides: &[String]) -> Result<Scenario> {
    if let Some(shipped) = SHIPPED.iter().find(|shipped| shipped.name == source) {
        return Ok(Scenario::parse(
            &format!("scenarios/{source}.toml"),
            shipped.text,
            overrides,
        )?);
    }
    let path = Path::new(source);
    if !path.exists() {
        let names: Vec<&str> = SHIPPED.iter().map(|shipped| shipped.name).collect();
        bail!(
            "there is no scenario `{source}`\n\nhint: give the path of a TOML file or one of {}",
            names.join(", ")
        );
    }
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read scenario `{source}`"))?;
    Ok(Scenario::parse(source, &text, overrides)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_scenario_loads_under_its_name() {
        for shipped in SHIPPED {
            let scenario = load(shipped.name, &[]).expect(shipped.name);
            assert_eq!(scenario.spec().name, shipped.name);
        }
    }
}
