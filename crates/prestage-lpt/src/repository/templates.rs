//! Templates that a pipelines repository registers, beside those that ship.
//!
//! They are one record of the repository, so that a fleet and the templates it was made from share
//! one history, and an update that was killed finds the templates it was about. The record holds
//! documents, not files: comments and layout stay with the author.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::canonical::{compact, pretty, to_value};
use crate::error::{Error, Result};
use crate::message::Message;
use crate::store::{Change, Record};
use crate::template::{Template, TemplateSet};

use super::{ATTEMPTS_MAX, Commit, PipelineRepository, check_time};

/// Version of the stored form.
pub const TEMPLATES_FORMAT: u32 = 1;

const TEMPLATES_PATH: &str = "templates.json";

/// The record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Registered {
    /// [`TEMPLATES_FORMAT`].
    format: u32,
    /// Documents by name.
    templates: BTreeMap<String, Value>,
}

impl PipelineRepository {
    /// The shipped templates and the registered ones; of one name, the registered one.
    pub fn templates(&self) -> Result<TemplateSet> {
        let mut templates = TemplateSet::builtin();
        for (name, document) in self.registered()?.templates {
            let file = format!("state/{TEMPLATES_PATH}:{name}");
            templates.replace(Template::parse(&file, &compact(&document))?);
        }
        Ok(templates)
    }

    /// Registers templates, each in the place of the one of its name. Services keep what they have
    /// until an update. Fails when one of the templates or of those that extend it does not resolve.
    pub fn register(&mut self, templates: &[Template], at: i64) -> Result<Commit> {
        assert!(!templates.is_empty(), "registering nothing is no operation");
        check_time("fleet", at)?;
        for _ in 0..ATTEMPTS_MAX {
            let mut set = self.templates()?;
            let mut registered = self.registered()?;
            let before = registered.clone();
            for template in templates {
                set.replace(template.clone());
                let name = template.name().to_owned();
                registered.templates.insert(name, template.document());
            }
            check_resolve(&set, templates)?;
            if let (true, Some(_)) = (registered == before, self.head()) {
                return Ok(self.unchanged());
            }
            let names: Vec<&str> = templates.iter().map(Template::name).collect();
            let change = Change {
                folder: None,
                records: vec![Record {
                    path: TEMPLATES_PATH.to_owned(),
                    bytes: Some(pretty(&to_value(&registered)).into_bytes()),
                }],
                message: Message::register(&names).to_string(),
                at,
            };
            match self.store.commit(self.head.as_ref(), &change) {
                Ok(id) => return Ok(self.settled(id, Vec::new())),
                Err(Error::RefMoved { .. }) => self.reload()?,
                Err(error) => return Err(error),
            }
        }
        Err(Error::Stale {
            attempts: ATTEMPTS_MAX,
        })
    }

    fn registered(&self) -> Result<Registered> {
        let Some(bytes) = self.record(TEMPLATES_PATH)? else {
            return Ok(Registered {
                format: TEMPLATES_FORMAT,
                templates: BTreeMap::new(),
            });
        };
        let corrupt = |message: String| Error::StoreCorrupt {
            path: format!("state/{TEMPLATES_PATH}"),
            message,
        };
        let registered: Registered =
            serde_json::from_slice(&bytes).map_err(|error| corrupt(error.to_string()))?;
        match registered.format {
            TEMPLATES_FORMAT => Ok(registered),
            other => Err(corrupt(format!(
                "`format` is {other}, this version reads {TEMPLATES_FORMAT}"
            ))),
        }
    }
}

/// The templates and all that extend them must resolve, or the next update would refuse everybody.
fn check_resolve(set: &TemplateSet, templates: &[Template]) -> Result<()> {
    let mut names: Vec<String> = templates
        .iter()
        .flat_map(|template| set.dependants(template.name()))
        // One that is part of a circle depends on nobody, but must be heard of.
        .chain(templates.iter().map(|template| template.name().to_owned()))
        .collect();
    names.sort_unstable();
    names.dedup();
    let problems = names.iter().filter_map(|name| set.resolve(name).err());
    Error::collected(problems.collect())
}

#[cfg(test)]
mod tests {
    use crate::fixture::FLEET_AT;
    use crate::message::Action;
    use crate::repository::Outcome;
    use crate::store::{GitStore, MemoryStore, Store};

    use super::*;

    const TEAM: &str = "name: team\nextends: service\nstages:\n- {name: build, retry: 1}\n";

    fn template(text: &str) -> Template {
        Template::parse("t.yaml", text).unwrap()
    }

    fn for_each_store(contract: impl Fn(PipelineRepository)) {
        let open = |store: Box<dyn Store>| PipelineRepository::open(store).unwrap();
        contract(open(Box::new(MemoryStore::new())));
        let folder = tempfile::tempdir().unwrap();
        contract(open(Box::new(GitStore::open(folder.path()).unwrap())));
    }

    #[test]
    fn what_is_registered_is_read_back_and_takes_the_place_of_its_name() {
        for_each_store(|mut repository| {
            let shipped = TemplateSet::builtin();
            assert_eq!(repository.templates().unwrap(), shipped);
            let commit = repository.register(&[template(TEAM)], FLEET_AT).unwrap();
            assert_eq!(commit.outcome, Outcome::Committed);
            let again = repository.register(&[template(TEAM)], FLEET_AT).unwrap();
            assert_eq!(again.outcome, Outcome::Unchanged);
            let set = repository.templates().unwrap();
            assert_eq!(set.names().count(), shipped.names().count() + 1);
            assert_eq!(set.get("team").unwrap(), &template(TEAM));
            let edited = template(&TEAM.replace("retry: 1", "retry: 2"));
            repository
                .register(std::slice::from_ref(&edited), FLEET_AT)
                .unwrap();
            assert_eq!(
                repository.templates().unwrap().get("team").unwrap(),
                &edited
            );
            let log = repository.log().unwrap();
            assert!(log.iter().all(|entry| entry.action == Action::Register));
        });
    }

    #[test]
    fn a_template_that_breaks_itself_or_a_child_is_refused_and_leaves_nothing() {
        for_each_store(|mut repository| {
            repository.register(&[template(TEAM)], FLEET_AT).unwrap();
            let head = repository.head().cloned();
            for (text, code) in [
                ("name: orphan\nextends: nobody\n", "E-PARENT-UNKNOWN"),
                ("name: me\nextends: me\n", "E-CYCLE-INHERIT"),
                ("name: service\nstages: []\nstagez: []\n", "E-SHAPE"),
                // Nothing is wrong with it by itself, but `team` extends it and may not change it.
                (
                    "name: service\nextends: base-service\npolicy:\n- {path: '/stages/[name=build]', rule: sealed}\n",
                    "E-SEALED",
                ),
            ] {
                let error = repository
                    .register(&[template(text)], FLEET_AT)
                    .unwrap_err();
                assert_eq!(error.code(), code, "{error}");
            }
            assert_eq!(repository.head().cloned(), head);
        });
    }
}
