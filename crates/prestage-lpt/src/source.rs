//! The two kinds of file that people write, told apart by their keys.

use crate::error::{Error, Result};
use crate::instance::Instance;
use crate::template::Template;
use crate::yaml;

/// A file that a person wrote.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceDocument {
    /// It has a `name`.
    Template(Template),
    /// It has a `service`.
    Instance(Box<Instance>),
}

impl SourceDocument {
    /// Reads the bytes of one YAML or JSON document; `file` names it in errors.
    pub fn parse_bytes(file: &str, bytes: &[u8]) -> Result<Self> {
        let text = yaml::decode(file, bytes)?;
        let document = yaml::read_value(file, text)?;
        match (document.get("name"), document.get("service")) {
            (Some(_), None) => Template::parse(file, text).map(Self::Template),
            (None, Some(_)) => Instance::parse(file, text)
                .map(Box::new)
                .map(Self::Instance),
            (Some(_), Some(_)) => Err(shape(file, "both `name` and `service`")),
            (None, None) => Err(shape(file, "neither `name` nor `service`")),
        }
    }
}

fn shape(file: &str, found: &str) -> Error {
    Error::Shape {
        file: file.to_owned(),
        message: format!("{found}: a template has a `name`, an instance has a `service`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(text: &str, code: &str) {
        let error = SourceDocument::parse_bytes("f", text.as_bytes()).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
    }

    #[test]
    fn a_file_is_a_template_or_an_instance_or_refused() {
        let template = SourceDocument::parse_bytes("f", b"name: x\nextends: service\n");
        assert!(matches!(template, Ok(SourceDocument::Template(_))));
        let instance =
            SourceDocument::parse_bytes("f", b"service: a\ntemplate: service\nregions: [r]\n");
        assert!(matches!(instance, Ok(SourceDocument::Instance(_))));
        check_refused("name: x\nservice: a\n", "E-SHAPE");
        check_refused("a: b\n", "E-SHAPE");
        check_refused("- name\n", "E-SHAPE");
        check_refused("name: [\n", "E-YAML-SYNTAX");
    }
}
