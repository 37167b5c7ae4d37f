//! From a template's stages to executable ones: expressions evaluated, one copy per region where
//! the template says so, every field checked.
//!
//! Shared by services and by stages made for a need. Knows no target and no graph rules.

mod surroundings;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::definition::{Stage, When};
use crate::error::{Error, Result};
use crate::expression::{Scope, has_expression, render};
use crate::name::{check_label, is_env_name};
use crate::yaml;

use surroundings::{GateSpec, InfrastructureSpec, Surrounded, stages_of, wait_for_gates};

pub(crate) use surroundings::gate_of;

/// Most stages of one pipeline after expanding regions.
pub const STAGES_MAX: usize = 256;
/// Most parallel shards that every target can run.
pub const SHARDS_MAX: u32 = 200;
const TIMEOUT_MINUTES_MAX: u32 = 24 * 60;
const TIMEOUT_MINUTES_DEFAULT: u32 = 30;

/// Turns a template's stages into executable ones, one copy per region where the template says so.
pub(crate) struct Expansion<'a> {
    pub(crate) owner: &'a str,
    /// Put before every name, with its own final `-`.
    pub(crate) prefix: &'a str,
    pub(crate) regions: &'a [String],
}

impl Expansion<'_> {
    pub(crate) fn stages(&self, templates: &[Value], mut scope: Scope) -> Result<Vec<Stage>> {
        self.check_fanout(templates)?;
        let regional: Vec<&str> = templates
            .iter()
            .filter(|stage| is_regional(stage))
            .filter_map(group_of)
            .collect();
        let groups: Vec<&str> = templates.iter().filter_map(group_of).collect();
        let mut stages = Vec::new();
        let mut problems = Vec::new();
        for template in templates {
            let regions: Vec<Option<&String>> = match is_regional(template) {
                true => self.regions.iter().map(Some).collect(),
                false => vec![None],
            };
            for region in regions {
                let named = Named {
                    regional: &regional,
                    groups: &groups,
                    region,
                };
                match self.stage(template, &named, &mut scope) {
                    Ok(surrounded) => stages.extend(surrounded),
                    Err(problem) => problems.push(problem),
                }
            }
        }
        Error::collected(problems)?;
        wait_for_gates(&mut stages);
        Ok(stages)
    }

    fn check_fanout(&self, templates: &[Value]) -> Result<()> {
        let copies = |stage: &Value| match is_regional(stage) {
            true => self.regions.len(),
            false => 1,
        };
        let stages: usize = templates
            .iter()
            .map(|stage| stages_of(stage) * copies(stage))
            .sum();
        if stages <= STAGES_MAX {
            return Ok(());
        }
        Err(Error::Fanout {
            owner: self.owner.to_owned(),
            stages,
            regions: self.regions.len(),
            limit: STAGES_MAX,
        })
    }

    /// The stage of one region with its infrastructure and its gate.
    fn stage(&self, template: &Value, named: &Named<'_>, scope: &mut Scope) -> Result<Vec<Stage>> {
        let group = group_of(template).unwrap_or("?");
        let path = format!("{}:/stages/[name={group}]", self.owner);
        match named.region {
            Some(region) => scope.set("region", region.as_str()),
            None => scope.unset("region"),
        }
        let spec: StageSpec = yaml::typed(&path, render(&path, template, scope)?)?;
        if has_expression(group) {
            return Err(Error::ExprForbidden {
                path,
                message: "`name` is a key and may not hold an expression".to_owned(),
            });
        }
        let name = format!("{}{}", self.prefix, named.regional_name(&spec.name));
        let wave = spec
            .after_region
            .as_deref()
            .and_then(|last| self.wave_before(last, named));
        let needs = spec
            .needs
            .iter()
            .flat_map(|needed| self.expand_need(needed, named))
            .chain(wave);
        let needs = edges(self.owner, group, "needs", needs)?;
        let stage = Stage {
            name,
            group: spec.name,
            region: named.region.cloned(),
            needs,
            gates: edges(self.owner, group, "gates", spec.gates.into_iter())?,
            when: spec.when,
            image: spec.image.filter(|image| !image.is_empty()),
            env: env(self.owner, group, spec.env, spec.env_from)?,
            script: lines(&spec.script),
            shards: spec.shards,
            timeout_minutes: spec.timeout_minutes.unwrap_or(TIMEOUT_MINUTES_DEFAULT),
            environment: spec.environment,
            exclusive: spec.exclusive,
            artifacts: spec.artifacts,
            retry: spec.retry,
        };
        let surrounded = Surrounded {
            owner: self.owner,
            stage,
            infrastructure: spec.infrastructure,
            gate: spec.gate,
        };
        let stages = surrounded.stages()?;
        for stage in &stages {
            check_label("stage name", &stage.name)?;
            check_fields(self.owner, stage)?;
        }
        Ok(stages)
    }

    /// The stage of the region before that ends its wave; none in the first region.
    fn wave_before(&self, last: &str, named: &Named<'_>) -> Option<String> {
        let place = self
            .regions
            .iter()
            .position(|known| Some(known) == named.region)?;
        let before = self.regions.get(place.checked_sub(1)?)?;
        Some(format!("{}{last}-{before}", self.prefix))
    }

    /// A regional stage waits for its own region, any other for all regions. Names that are not
    /// among these stages are left as they are.
    fn expand_need(&self, needed: &str, named: &Named<'_>) -> Vec<String> {
        let prefix = self.prefix;
        match (named.regional.contains(&needed), named.region) {
            (true, Some(region)) => vec![format!("{prefix}{needed}-{region}")],
            (true, None) => self
                .regions
                .iter()
                .map(|region| format!("{prefix}{needed}-{region}"))
                .collect(),
            (false, _) if named.groups.contains(&needed) => vec![format!("{prefix}{needed}")],
            (false, _) => vec![needed.to_owned()],
        }
    }
}

/// A stage as a template has it, expressions evaluated, regions not expanded.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StageSpec {
    name: String,
    #[serde(default, rename = "description")]
    _description: String,
    #[serde(default, rename = "each_region")]
    _each_region: bool,
    after_region: Option<String>,
    #[serde(default)]
    needs: Vec<String>,
    #[serde(default)]
    gates: Vec<String>,
    #[serde(default)]
    when: When,
    image: Option<String>,
    script: Vec<String>,
    #[serde(default)]
    env: Vec<EnvSpec>,
    #[serde(default)]
    env_from: BTreeMap<String, String>,
    shards: Option<u32>,
    timeout_minutes: Option<u32>,
    environment: Option<String>,
    exclusive: Option<String>,
    #[serde(default)]
    artifacts: Vec<String>,
    #[serde(default)]
    retry: u32,
    infrastructure: Option<InfrastructureSpec>,
    gate: Option<GateSpec>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EnvSpec {
    name: String,
    value: Value,
}

/// What is known of the names while one stage is expanded.
struct Named<'a> {
    regional: &'a [&'a str],
    groups: &'a [&'a str],
    region: Option<&'a String>,
}

impl Named<'_> {
    fn regional_name(&self, group: &str) -> String {
        match self.region {
            Some(region) => format!("{group}-{region}"),
            None => group.to_owned(),
        }
    }
}

/// The edges of one stage, which are no more than there can be stages: a group of regional stages
/// named often would multiply.
pub(crate) fn edges(
    owner: &str,
    stage: &str,
    field: &'static str,
    names: impl Iterator<Item = String>,
) -> Result<Vec<String>> {
    let edges: Vec<String> = names.take(STAGES_MAX + 1).collect();
    if edges.len() <= STAGES_MAX {
        return Ok(edges);
    }
    Err(Error::StageField {
        owner: owner.to_owned(),
        stage: stage.to_owned(),
        field,
        found: format!("a list of more than {STAGES_MAX} stages"),
        expected: "each stage once".to_owned(),
    })
}

fn is_regional(template: &Value) -> bool {
    template.get("each_region") == Some(&json!(true))
}

fn group_of(template: &Value) -> Option<&str> {
    template.get("name").and_then(Value::as_str)
}

/// An item of several lines is as many items: targets keep lines, not the borders of items.
pub(crate) fn lines(script: &[String]) -> Vec<String> {
    script
        .iter()
        .flat_map(|item| item.trim_end_matches('\n').split('\n'))
        .map(str::to_owned)
        .collect()
}

/// The entries of a map parameter first, then the variables that the stage names itself.
fn env(
    owner: &str,
    stage: &str,
    variables: Vec<EnvSpec>,
    from: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>> {
    let wrong = |found: String, expected: &str| Error::StageField {
        owner: owner.to_owned(),
        stage: stage.to_owned(),
        field: "env",
        found,
        expected: expected.to_owned(),
    };
    let from = from.into_iter().map(|(name, value)| EnvSpec {
        name,
        value: Value::String(value),
    });
    let mut env = BTreeMap::new();
    for EnvSpec { name, value } in from.chain(variables) {
        if !is_env_name(&name) {
            return Err(wrong(
                name,
                "names of `A-Z`, `0-9` and `_` outside the targets' own prefixes",
            ));
        }
        let text = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            _ => return Err(wrong(name, "a single value, not a list or map")),
        };
        env.insert(name, text);
    }
    Ok(env)
}

/// Refuses values that no target accepts.
pub(crate) fn check_fields(owner: &str, stage: &Stage) -> Result<()> {
    let wrong = |field: &'static str, found: String, expected: &str| {
        Err(Error::StageField {
            owner: owner.to_owned(),
            stage: stage.name.clone(),
            field,
            found,
            expected: expected.to_owned(),
        })
    };
    if stage.script.iter().all(|line| line.trim().is_empty()) {
        return wrong(
            "script",
            stage.script.join("; "),
            "at least one line that is not blank",
        );
    }
    if stage.timeout_minutes == 0 || stage.timeout_minutes > TIMEOUT_MINUTES_MAX {
        return wrong(
            "timeout_minutes",
            stage.timeout_minutes.to_string(),
            "1 to 1440",
        );
    }
    if stage
        .shards
        .is_some_and(|shards| shards == 0 || shards > SHARDS_MAX)
    {
        let found = stage.shards.unwrap_or_default().to_string();
        return wrong("shards", found, "1 to 200");
    }
    if stage.retry > 2 {
        return wrong("retry", stage.retry.to_string(), "0 to 2");
    }
    let escapes = |path: &&String| {
        path.starts_with('/')
            || path.contains(['\\', '\0', '\n'])
            || path.split('/').any(|part| part == "..")
    };
    match stage.artifacts.iter().find(escapes) {
        Some(path) => wrong(
            "artifacts",
            path.clone(),
            "paths below the working directory",
        ),
        None => Ok(()),
    }
}
