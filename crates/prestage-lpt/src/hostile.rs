//! Input made to exhaust the reader is refused with its code, by a limit and not by a clock.
//!
//! The inputs are those of the example `hostile`, which measures how long each refusal takes.

#[path = "../examples/hostile/inputs.rs"]
mod inputs;

use std::collections::BTreeMap;

use crate::driver::{OutputFile, driver};
use crate::error::{Error, Result};
use crate::instance::{Instance, Overrides};
use crate::template::{Template, TemplateSet};

use inputs::Input;

fn refusal(input: &Input) -> Option<Error> {
    match input {
        Input::Templates { texts, regions } => resolve_last(texts, *regions).err(),
        Input::Instance(text) => Instance::parse("instance.yaml", text)
            .and_then(|instance| crate::definition::resolve(&TemplateSet::builtin(), &instance))
            .err(),
        Input::Live(text) => {
            let file = OutputFile {
                path: ".gitlab-ci.yml".to_owned(),
                bytes: text.clone().into_bytes(),
            };
            driver("gitlab").unwrap().analyze(&[file]).err()
        }
    }
}

fn resolve_last(texts: &[String], regions: usize) -> Result<()> {
    let mut templates = TemplateSet::builtin();
    let mut last = String::new();
    for text in texts {
        let template = Template::parse("template.yaml", text)?;
        last = template.name().to_owned();
        templates.insert(template)?;
    }
    let instance = Instance {
        service: "checkout".to_owned(),
        template: last,
        params: BTreeMap::new(),
        regions: (0..regions).map(|i| format!("region-{i}")).collect(),
        overrides: Overrides::default(),
    };
    crate::definition::resolve(&templates, &instance).map(drop)
}

#[test]
fn every_attack_is_refused_with_its_code() {
    let mut wrong: Vec<String> = Vec::new();
    for attack in inputs::attacks() {
        let refused = refusal(&attack.input);
        let code = refused.as_ref().map_or("nothing", Error::code);
        if code != attack.code {
            let said = refused.map_or_else(String::new, |error| error.to_string());
            let said: String = said.chars().take(200).collect();
            wrong.push(format!(
                "{}: {code}, not {}: {said}",
                attack.name, attack.code
            ));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}
