//! An instance: a template bound to one service.
//!
//! Binding is where values meet declarations. All problems of one instance are reported at once.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, PROBLEMS_MAX, Result, nearest};
use crate::parameter::{Bindings, BoundParameter, Declarations, Origin};
use crate::yaml;

/// What a service asks of a template.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// The service; a DNS label.
    pub service: String,
    /// The template's name.
    pub template: String,
    /// Parameter values by name.
    #[serde(default)]
    pub params: BTreeMap<String, Value>,
    /// Where the service runs; DNS labels, at least one, in deployment order.
    pub regions: Vec<String>,
    /// The service's own changes of `stages` and `pipeline`, merged over the template as a child
    /// template would be and bound by the same policies.
    #[serde(default, skip_serializing_if = "Overrides::is_empty")]
    pub overrides: Overrides,
}

/// A partial template document: only what differs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Overrides {
    /// Stages by name: added, amended, or taken away by `$remove: true`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<Value>,
    /// Facts of the pipeline as a whole.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pipeline: BTreeMap<String, Value>,
}

impl Overrides {
    /// Whether the service takes the template as it is.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty() && self.pipeline.is_empty()
    }
}

impl Instance {
    /// Reads the bytes of a file; they must be UTF-8.
    pub fn parse_bytes(file: &str, bytes: &[u8]) -> Result<Self> {
        Self::parse(file, yaml::decode(file, bytes)?)
    }

    /// Reads one YAML or JSON document; `file` names it in errors.
    pub fn parse(file: &str, text: &str) -> Result<Self> {
        yaml::read(file, text)
    }
}

/// Values that somebody gives to the parameters of a template, and who that is.
pub(crate) struct Given<'a> {
    pub(crate) origin: Origin,
    pub(crate) values: &'a BTreeMap<String, Value>,
}

/// Binds every parameter of `template`: the last source in `given` that names it wins, else the
/// default. `owner` names the binder in errors, `template` the template that declares.
pub(crate) fn bind(
    owner: &str,
    template: &str,
    declared: &Declarations,
    given: &[Given<'_>],
) -> Result<Bindings> {
    let mut problems = unknown_parameters(owner, declared, given);
    let mut bindings = Bindings::new();
    for spec in &declared.parameters {
        let source = given
            .iter()
            .rev()
            .find_map(|given| Some((given.values.get(&spec.name)?, &given.origin)));
        if let (Some(_), Some(sealed_in)) = (source, declared.sealed_in.get(&spec.name)) {
            problems.push(Error::Sealed {
                parameter: spec.name.clone(),
                sealed_in: sealed_in.clone(),
                by: owner.to_owned(),
            });
            continue;
        }
        let (value, origin) = match (source, &spec.default) {
            (Some((value, origin)), _) => (value, origin.clone()),
            (None, Some(default)) => {
                let set_by = declared
                    .default_origins
                    .get(&spec.name)
                    .map_or(template, String::as_str);
                (default, Origin::Template(set_by.to_owned()))
            }
            (None, None) => {
                problems.push(Error::ParamMissing {
                    owner: owner.to_owned(),
                    parameter: spec.name.clone(),
                    expected: spec.expected(),
                });
                continue;
            }
        };
        match spec.bind(owner, value) {
            Ok(value) => {
                bindings.insert(spec.name.clone(), BoundParameter { value, origin });
            }
            Err(problem) => problems.push(problem),
        }
    }
    Error::collected(problems).map(|()| bindings)
}

fn unknown_parameters(owner: &str, declared: &Declarations, given: &[Given<'_>]) -> Vec<Error> {
    given
        .iter()
        // A service has parameters of its own; a stage template takes those it knows.
        .filter(|given| given.origin != Origin::Service)
        .flat_map(|given| given.values.keys())
        .filter(|name| declared.get(name).is_none())
        .take(PROBLEMS_MAX)
        .map(|name| Error::ParamUnknown {
            owner: owner.to_owned(),
            parameter: name.clone(),
            nearest: nearest(name, declared.names()),
        })
        .collect()
}
