//! What a template's policies mean for the definitions of its instances.
//!
//! A policy names a node of the template document; a definition has its stages one by one, with
//! regions expanded and environment variables as a map. The translation is by stage group, so a
//! policy for `deploy` covers `deploy-eu` and `deploy-us`.

use serde_json::Value;

use crate::canonical::to_value;
use crate::definition::ApplicationDefinition;
use crate::error::{Error, Result};
use crate::merge3::edits;
use crate::path::{Step, child_path, steps};
use crate::resolver::Resolver;

use super::{Owned, PathPolicy, Policies, Rule, in_force};

/// The policies of a template as they stand in `definition`, which it gave.
pub(crate) fn of_definition(
    policies: &[Owned],
    definition: &ApplicationDefinition,
) -> Vec<PathPolicy> {
    in_force(policies)
        .flat_map(|policy| {
            let paths = paths(&policy.path, definition);
            let rule = policy.rule;
            paths.into_iter().map(move |path| PathPolicy { path, rule })
        })
        .collect()
}

/// The places of a definition that a path of a template document names.
fn paths(path: &str, definition: &ApplicationDefinition) -> Vec<String> {
    let steps = steps(path).unwrap_or_default();
    match steps.as_slice() {
        [Step::Key(root), Step::Named(group), field @ ..] if root == "stages" => definition
            .stages
            .iter()
            .filter(|stage| stage.group == *group)
            .filter_map(|stage| {
                let stage = format!("/stages/[name={}]", stage.name);
                Some(format!("{stage}{}", stage_field(field)?))
            })
            .collect(),
        // Parameters of a definition are values, not declarations: what closes them is `sealed`.
        [Step::Key(root), ..] if root == "parameters" => Vec::new(),
        _ => vec![path.to_owned()],
    }
}

/// The field of a definition's stage that a field of a template's stage becomes; none when it
/// becomes nothing by itself.
fn stage_field(field: &[Step]) -> Option<String> {
    let key = |step: &Step| match step {
        Step::Key(key) => Some(key.clone()),
        _ => None,
    };
    let Some((first, rest)) = field.split_first() else {
        return Some(String::new());
    };
    match (key(first)?.as_str(), rest) {
        ("description", _) => None,
        ("each_region", _) => Some("/region".to_owned()),
        ("after_region", _) => Some("/needs".to_owned()),
        ("env_from", _) => Some("/env".to_owned()),
        ("env", [Step::Named(variable), ..]) => Some(child_path("/env", variable)),
        (field, [Step::Word(word)]) => Some(format!("/{field}/[{word}]")),
        (field, _) => Some(format!("/{field}")),
    }
}

impl Resolver<'_> {
    /// Refuses an edit of an instance that the policies of its template forbid.
    pub fn check_edit(
        &mut self,
        base: &ApplicationDefinition,
        edited: &ApplicationDefinition,
    ) -> Result<()> {
        check_edit(&self.candidate(base)?.policies, base, edited)
    }
}

fn check_edit(
    policies: &[PathPolicy],
    base: &ApplicationDefinition,
    edited: &ApplicationDefinition,
) -> Result<()> {
    let rules = Policies(policies);
    let (base, edited) = (to_value(base), to_value(edited));
    let forbidden = edits(&base, &edited)
        .into_iter()
        .filter(|edit| !rules.allows(&edit.path, edit.before.as_ref(), edit.after.as_ref()))
        .map(|edit| Error::SealedPath {
            rule: match rules.rule_at(&edit.path) {
                Rule::ExtendOnly => Rule::ExtendOnly.as_str(),
                _ => Rule::Sealed.as_str(),
            },
            path: edit.path,
            sealed_in: text(&base, "template"),
            by: text(&base, "service"),
        });
    Error::collected(forbidden.collect())
}

fn text(document: &Value, key: &str) -> String {
    let text = document.get(key).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::fixture;
    use crate::template::{Template, TemplateSet};

    use super::*;

    #[track_caller]
    fn check(path: &str, expected: &[&str]) {
        assert_eq!(paths(path, &fixture::definition()), expected, "{path}");
    }

    #[test]
    fn a_path_of_a_template_covers_every_stage_of_its_group() {
        check("/stages", &["/stages"]);
        check("/stages/[name=build]", &["/stages/[name=build]"]);
        check(
            "/stages/[name=deploy]/exclusive",
            &[
                "/stages/[name=deploy-eu-west-1]/exclusive",
                "/stages/[name=deploy-us-east-1]/exclusive",
            ],
        );
        check(
            "/stages/[name=build]/env/[name=SERVICE]/value",
            &["/stages/[name=build]/env/SERVICE"],
        );
        check("/stages/[name=build]/env", &["/stages/[name=build]/env"]);
        check(
            "/stages/[name=test]/needs/[build]",
            &["/stages/[name=test]/needs/[build]"],
        );
        check("/stages/[name=build]/description", &[]);
        check("/stages/[name=nobody]", &[]);
        check("/pipeline/gitlab/tags", &["/pipeline/gitlab/tags"]);
        check("/parameters/[name=bake]/default", &[]);
    }

    #[test]
    fn an_edit_is_held_against_the_policies_of_its_template() {
        let base = fixture::definition();
        let closing = "name: service\nextends: base-service\npolicy:\n\
            - {path: '/stages/[name=test]', rule: sealed}\n\
            - {path: '/stages/[name=build]/env', rule: extend-only}\n";
        let mut templates = TemplateSet::builtin();
        templates.replace(Template::parse("t.yaml", closing).unwrap());
        let mut resolver = Resolver::new(&templates);
        let cases = [
            ("/stages/[name=test]/timeout_minutes", json!(5), false),
            ("/stages/[name=build]/timeout_minutes", json!(5), true),
            ("/stages/[name=build]/env/SERVICE", json!("x"), false),
            ("/stages/[name=build]/env/NEW", json!("x"), true),
        ];
        for (path, value, is_allowed) in cases {
            let edited = base.with(path, value).unwrap();
            let result = resolver.check_edit(&base, &edited);
            assert_eq!(result.is_ok(), is_allowed, "{path}");
            if let Err(error) = result {
                assert_eq!(error.code(), "E-SEALED");
            }
        }
    }
}
