//! What stands around a stage: infrastructure that is brought up before it, and a gate of metrics
//! that opens behind it.
//!
//! Both become stages of their own, `NAME-infra` and `NAME-gate`, so that every target can express
//! them and a run shows them. Whatever waits for a stage waits for its gate: a stage behind a red
//! gate is not entered. The templates of the infrastructure and the bounds of the metrics travel in
//! the environment as canonical JSON, like every other value. Knows no target and no metric's source.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::canonical::{Revision, compact};
use crate::definition::{Stage, When};
use crate::error::{Error, Result};

const INFRASTRUCTURE_DOMAIN: &str = "prestage/infrastructure/1";
const METRICS_MAX: usize = 20;
const WINDOW_SECONDS_MAX: u32 = 24 * 3_600;

/// The stage's infrastructure as a template has it, expressions evaluated.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InfrastructureSpec {
    /// Program that makes what is there equal to the template.
    command: String,
    /// What must be there, in the words of whatever the program drives.
    template: Map<String, Value>,
    timeout_minutes: Option<u32>,
}

/// The gate behind a stage as a template has it, expressions evaluated.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GateSpec {
    /// Program that fails while a metric is out of its bounds.
    command: String,
    metrics: Vec<MetricSpec>,
    /// How long the metrics are watched.
    window_seconds: u32,
    timeout_minutes: Option<u32>,
}

/// A metric and the bound that it must keep.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct MetricSpec {
    name: String,
    /// Where it comes from, in the words of the program.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    query: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_most: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_least: Option<f64>,
}

/// How many stages a stage of a template becomes in one region.
pub(super) fn stages_of(template: &Value) -> usize {
    let around = ["infrastructure", "gate"];
    1 + around
        .iter()
        .filter(|field| template.get(**field).is_some())
        .count()
}

/// A stage, with what stands before and behind it.
pub(super) struct Surrounded<'a> {
    pub(super) owner: &'a str,
    pub(super) stage: Stage,
    pub(super) infrastructure: Option<InfrastructureSpec>,
    pub(super) gate: Option<GateSpec>,
}

impl Surrounded<'_> {
    /// The stages in the order in which they run.
    pub(super) fn stages(mut self) -> Result<Vec<Stage>> {
        let is_conditional = self.stage.when != When::OnSuccess;
        if is_conditional && (self.infrastructure.is_some() || self.gate.is_some()) {
            return Err(self.wrong(
                "when",
                format!("{:?}", self.stage.when),
                "`on_success` for a stage with infrastructure or a gate",
            ));
        }
        let before = self.infrastructure.take();
        let before = before.map(|spec| self.infrastructure(spec)).transpose()?;
        let behind = self.gate.take();
        let behind = behind.map(|spec| self.gate(spec)).transpose()?;
        Ok(before
            .into_iter()
            .chain([self.stage])
            .chain(behind)
            .collect())
    }

    fn infrastructure(&mut self, spec: InfrastructureSpec) -> Result<Stage> {
        if spec.template.is_empty() {
            return Err(self.wrong("infrastructure", "{}".to_owned(), "a template of something"));
        }
        let revision = Revision::of(INFRASTRUCTURE_DOMAIN, &spec.template);
        let variables = [
            ("INFRASTRUCTURE_COMMAND", spec.command),
            ("INFRASTRUCTURE_TEMPLATE", compact(&spec.template)),
            ("INFRASTRUCTURE_REVISION", revision.short().to_owned()),
        ];
        let mut stage = self.beside("infra", "\"$INFRASTRUCTURE_COMMAND\"", variables);
        stage.timeout_minutes = spec.timeout_minutes.unwrap_or(stage.timeout_minutes);
        stage.needs = std::mem::replace(&mut self.stage.needs, vec![stage.name.clone()]);
        Ok(stage)
    }

    fn gate(&mut self, spec: GateSpec) -> Result<Stage> {
        self.check_gate(&spec)?;
        let variables = [
            ("GATE_COMMAND", spec.command),
            ("GATE_METRICS", compact(&spec.metrics)),
            ("GATE_WINDOW_SECONDS", spec.window_seconds.to_string()),
        ];
        let mut stage = self.beside("gate", "\"$GATE_COMMAND\"", variables);
        let watched = spec.window_seconds.div_ceil(60);
        stage.timeout_minutes = spec.timeout_minutes.unwrap_or(watched + 10);
        stage.needs = vec![self.stage.name.clone()];
        // Who waits for this stage while it is active waits for its gate.
        stage.gates = std::mem::take(&mut self.stage.gates);
        Ok(stage)
    }

    fn check_gate(&self, spec: &GateSpec) -> Result<()> {
        if spec.metrics.is_empty() || spec.metrics.len() > METRICS_MAX {
            let found = format!("{} metrics", spec.metrics.len());
            return Err(self.wrong("gate", found, "1 to 20 metrics"));
        }
        if spec.window_seconds == 0 || spec.window_seconds > WINDOW_SECONDS_MAX {
            let found = format!("a window of {} seconds", spec.window_seconds);
            return Err(self.wrong("gate", found, "a window of 1 second to a day"));
        }
        let is_bounded =
            |metric: &&MetricSpec| metric.at_most.is_some() != metric.at_least.is_some();
        match spec.metrics.iter().find(|metric| !is_bounded(metric)) {
            Some(metric) => Err(self.wrong(
                "gate",
                format!("metric {}", metric.name),
                "one of `at_most` and `at_least` for each metric",
            )),
            None => Ok(()),
        }
    }

    /// A stage of the same place with its own command.
    fn beside<const N: usize>(
        &self,
        suffix: &str,
        script: &str,
        variables: [(&str, String); N],
    ) -> Stage {
        let stage = &self.stage;
        let group = format!("{}-{suffix}", stage.group);
        // The region, when there is one, ends the name.
        let head = stage.name.strip_suffix(&name_end(stage));
        let head = head.unwrap_or(&stage.name);
        let mut env = stage.env.clone();
        env.extend(variables.map(|(name, value)| (name.to_owned(), value)));
        Stage {
            name: format!("{head}-{suffix}{}", name_end(stage)),
            group,
            region: stage.region.clone(),
            needs: Vec::new(),
            gates: Vec::new(),
            when: When::OnSuccess,
            image: stage.image.clone(),
            env,
            script: vec![script.to_owned()],
            shards: None,
            timeout_minutes: stage.timeout_minutes,
            environment: None,
            exclusive: stage.exclusive.clone(),
            artifacts: Vec::new(),
            retry: 0,
        }
    }

    fn wrong(&self, field: &'static str, found: String, expected: &str) -> Error {
        Error::StageField {
            owner: self.owner.to_owned(),
            stage: self.stage.name.clone(),
            field,
            found,
            expected: expected.to_owned(),
        }
    }
}

fn name_end(stage: &Stage) -> String {
    let region = stage.region.as_ref();
    region.map_or_else(String::new, |region| format!("-{region}"))
}

/// The gate of the stage of that name, if it has one.
pub(crate) fn gate_of<'a>(stages: &'a [Stage], name: &str) -> Option<&'a str> {
    let stage = stages.iter().find(|stage| stage.name == name)?;
    let group = format!("{}-gate", stage.group);
    let is_gate = |other: &&Stage| {
        other.group == group
            && other.region == stage.region
            && other.env.contains_key("GATE_METRICS")
            && other.needs.contains(&stage.name)
    };
    stages.iter().find(is_gate).map(|gate| gate.name.as_str())
}

/// Lets whatever waits for a stage wait for its gate. What runs on failure watches both.
pub(super) fn wait_for_gates(stages: &mut [Stage]) {
    let gates: BTreeMap<String, String> = stages
        .iter()
        .filter_map(|stage| {
            let gate = gate_of(stages, &stage.name)?;
            Some((stage.name.clone(), gate.to_owned()))
        })
        .collect();
    for stage in stages.iter_mut() {
        let own: Vec<String> = std::mem::take(&mut stage.needs);
        for need in own {
            match gates.get(&need).filter(|gate| **gate != stage.name) {
                Some(gate) if stage.when == When::OnFailure => {
                    stage.needs.extend([need, gate.clone()]);
                }
                Some(gate) => stage.needs.push(gate.clone()),
                None => stage.needs.push(need),
            }
        }
    }
}

#[cfg(test)]
mod tests;
