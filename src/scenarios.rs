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

/// All shipped scenarios: the tour, the families of the design, the two negative
/// controls, the sensitivity check, and the organisation around a recorded history.
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
        name: "holiday-and-return",
        text: include_str!("../scenarios/holiday-and-return.toml"),
    },
    Shipped {
        name: "product-launch",
        text: include_str!("../scenarios/product-launch.toml"),
    },
    Shipped {
        name: "flash-burst",
        text: include_str!("../scenarios/flash-burst.toml"),
    },
    Shipped {
        name: "incident-retry-storm",
        text: include_str!("../scenarios/incident-retry-storm.toml"),
    },
    Shipped {
        name: "correlated-burst",
        text: include_str!("../scenarios/correlated-burst.toml"),
    },
    Shipped {
        name: "slow-growth",
        text: include_str!("../scenarios/slow-growth.toml"),
    },
    Shipped {
        name: "post-upgrade-drift",
        text: include_str!("../scenarios/post-upgrade-drift.toml"),
    },
    Shipped {
        name: "release-freeze-and-thaw",
        text: include_str!("../scenarios/release-freeze-and-thaw.toml"),
    },
    Shipped {
        name: "advisory-storm",
        text: include_str!("../scenarios/advisory-storm.toml"),
    },
    Shipped {
        name: "upstream-train",
        text: include_str!("../scenarios/upstream-train.toml"),
    },
    Shipped {
        name: "test-explosion",
        text: include_str!("../scenarios/test-explosion.toml"),
    },
    Shipped {
        name: "runner-outage",
        text: include_str!("../scenarios/runner-outage.toml"),
    },
    Shipped {
        name: "telemetry-gap",
        text: include_str!("../scenarios/telemetry-gap.toml"),
    },
    Shipped {
        name: "stationary",
        text: include_str!("../scenarios/stationary.toml"),
    },
    Shipped {
        name: "poisson",
        text: include_str!("../scenarios/poisson.toml"),
    },
    Shipped {
        name: "induced-demand",
        text: include_str!("../scenarios/induced-demand.toml"),
    },
    Shipped {
        name: "replay",
        text: include_str!("../scenarios/replay.toml"),
    },
    Shipped {
        name: "fitted-w01-prometheus",
        text: include_str!("../scenarios/fitted-w01-prometheus.toml"),
    },
    Shipped {
        name: "fitted-w02-nats",
        text: include_str!("../scenarios/fitted-w02-nats.toml"),
    },
    Shipped {
        name: "fitted-w03-etcd",
        text: include_str!("../scenarios/fitted-w03-etcd.toml"),
    },
    Shipped {
        name: "fitted-w04-meilisearch",
        text: include_str!("../scenarios/fitted-w04-meilisearch.toml"),
    },
    Shipped {
        name: "fitted-w05-argocd",
        text: include_str!("../scenarios/fitted-w05-argocd.toml"),
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
