//! JSON Schemas: the published ones of our own documents, and the check of emitted files.
//!
//! Every schema is derived from the type that reads or writes the document, so it cannot say
//! something else than the code. An official schema of a target is never shipped; the caller
//! brings it.

use schemars::{Schema, schema_for};
use serde_json::Value;

use crate::definition::ApplicationDefinition;
use crate::driver::{Driver, OutputFile};
use crate::error::{Error, Result};
use crate::instance::Instance;
use crate::live::LivePipeline;
use crate::plan::FleetPlan;
use crate::stage::StageDefinition;
use crate::template::TemplateDocument;
use crate::yaml;

/// A published schema.
pub struct SchemaKind {
    /// Name on the command line.
    pub name: &'static str,
    /// What the documents are.
    pub about: &'static str,
    /// The schema.
    pub schema: fn() -> Schema,
}

/// All published schemas.
pub static SCHEMAS: &[SchemaKind] = &[
    SchemaKind {
        name: "template",
        about: "template files, before inheritance",
        schema: || schema_for!(TemplateDocument),
    },
    SchemaKind {
        name: "instance",
        about: "instance files",
        schema: || schema_for!(Instance),
    },
    SchemaKind {
        name: "definition",
        about: "application definitions in canonical JSON",
        schema: || schema_for!(ApplicationDefinition),
    },
    SchemaKind {
        name: "stage",
        about: "stages made for a need, in canonical JSON",
        schema: || schema_for!(StageDefinition),
    },
    SchemaKind {
        name: "plan",
        about: "what an update would do to the fleet: `lpt diff --format json`",
        schema: || schema_for!(FleetPlan),
    },
    SchemaKind {
        name: "live",
        about: "what `lpt analyze` prints",
        schema: || schema_for!(LivePipeline),
    },
];

/// Checks emitted files against the driver's own schema.
pub fn check_files(driver: &dyn Driver, files: &[OutputFile]) -> Result<()> {
    check_against(&driver.schema().to_value(), files)
}

/// Checks files against any JSON Schema. All problems are reported, not only the first.
pub fn check_against(schema: &Value, files: &[OutputFile]) -> Result<()> {
    FileSchema::compile("schema", schema)?.check(files)
}

/// A JSON Schema ready to check many files, for example an official one of the target.
#[derive(Debug)]
pub struct FileSchema(jsonschema::Validator);

impl FileSchema {
    /// Compiles a schema; `file` names it in errors. References are never fetched.
    pub fn compile(file: &str, schema: &Value) -> Result<Self> {
        jsonschema::validator_for(schema)
            .map(Self)
            .map_err(|error| Error::Schema {
                file: file.to_owned(),
                path: error.instance_path().to_string(),
                message: error.to_string(),
            })
    }

    /// Checks every file; all problems are reported, not only the first.
    pub fn check(&self, files: &[OutputFile]) -> Result<()> {
        let mut problems = Vec::new();
        for file in files {
            let text = String::from_utf8_lossy(&file.bytes);
            let document: Value = yaml::read_foreign(&file.path, &text)?;
            problems.extend(self.0.iter_errors(&document).map(|error| Error::Schema {
                file: file.path.clone(),
                path: error.instance_path().to_string(),
                message: error.to_string().chars().take(300).collect(),
            }));
        }
        Error::collected(problems)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::driver::DRIVERS;
    use crate::fixture;
    use crate::template::BUILTIN;

    use super::*;

    fn file(path: &str, text: &str) -> OutputFile {
        OutputFile {
            path: path.to_owned(),
            bytes: text.as_bytes().to_vec(),
        }
    }

    fn published(name: &str) -> Value {
        let kind = SCHEMAS.iter().find(|kind| kind.name == name).unwrap();
        (kind.schema)().to_value()
    }

    #[test]
    fn shipped_templates_validate_and_misspelt_ones_do_not() {
        let schema = published("template");
        for (name, text) in BUILTIN {
            check_against(&schema, &[file(name, text)]).unwrap();
        }
        let misspelt = file("x.yaml", "name: x\nstagez: []\n");
        assert_eq!(
            check_against(&schema, &[misspelt]).unwrap_err().code(),
            "E-SCHEMA"
        );
        let typed = file(
            "x.yaml",
            "name: x\nparameters: [{name: a, type: integer}]\n",
        );
        assert_eq!(
            check_against(&schema, &[typed]).unwrap_err().code(),
            "E-SCHEMA"
        );
    }

    #[test]
    fn instances_definitions_and_stages_validate() {
        let instance = serde_json::to_string(&fixture::instance()).unwrap();
        check_against(&published("instance"), &[file("i.json", &instance)]).unwrap();
        let definition = fixture::definition().to_json();
        check_against(&published("definition"), &[file("d.json", &definition)]).unwrap();
        for need in crate::stage::NeedType::ALL {
            let stage = serde_json::to_string(&fixture::stage(need)).unwrap();
            check_against(&published("stage"), &[file("s.json", &stage)]).unwrap();
        }
    }

    #[test]
    fn plans_validate_with_edits_conflicts_and_problems() {
        let mut repository = fixture::fleet(Box::new(crate::store::MemoryStore::new()));
        let mut ours = repository.definition("a1").unwrap().clone();
        fixture::set_build_command(&mut ours, "./ci/ours.sh");
        repository.edit(&ours, fixture::FLEET_AT).unwrap();
        let check = |definition: &ApplicationDefinition| match definition.service.as_str() {
            "a2" => Err("no owner".to_owned()),
            _ => Ok(()),
        };
        let templates = fixture::fleet_templates("leaf-a");
        let plan = crate::fleet::FleetPlanner::new()
            .plan(&templates, &repository, &check)
            .unwrap();
        assert_eq!(plan.counts.services.len(), 3);
        let schema = published("plan");
        check_against(&schema, &[file("p.json", &plan.to_json())]).unwrap();
        let spoilt = plan.to_json().replace("\"untouched\"", "\"untuched\"");
        assert!(check_against(&schema, &[file("p.json", &spoilt)]).is_err());
    }

    #[test]
    fn every_driver_s_schema_refuses_a_foreign_key() {
        let definition = fixture::serialized();
        let revision = definition.revision();
        let assembly = crate::assembly::Assembly {
            definition: &definition,
            revision: &revision,
            staged: Vec::new(),
        };
        for driver in DRIVERS {
            let mut files = driver.emit(&assembly).unwrap();
            check_files(*driver, &files).unwrap();
            let text = String::from_utf8(files[0].bytes.clone()).unwrap();
            let spoilt = match driver.name() {
                "json" => text.replacen('{', "{\"zzz\": 1,", 1),
                _ => format!("{text}zzz: 1\n"),
            };
            files[0].bytes = spoilt.into_bytes();
            assert_eq!(
                check_files(*driver, &files).unwrap_err().code(),
                "E-SCHEMA",
                "{}",
                driver.name()
            );
        }
    }

    #[test]
    fn a_schema_that_is_none_is_refused() {
        let error = check_against(&json!({"type": 5}), &[]).unwrap_err();
        assert_eq!(error.code(), "E-SCHEMA");
    }
}
