//! Expressions in the leaf strings of a template.
//!
//! An expression is evaluated after the document was parsed and merged, one leaf at a time, so it
//! can never create structure. The language is what is left of minijinja without statements,
//! comments, functions, list literals and subscripts: fuel alone does not bound nested list
//! repetition. A leaf that is exactly one reference keeps the type of what it names; only such a
//! leaf may name a list.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use minijinja::value::{Serde, ValueKind};
use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use serde_json::{Map, Value};

use crate::error::{Error, Result, nearest};

const TEXT_LENGTH_MAX: usize = 2_000;
const OUTPUT_LENGTH_MAX: usize = 4_000;
const FUEL: u64 = 20_000;

/// The values that expressions may name: `params.NAME` and a few single words.
pub(crate) struct Scope {
    params: BTreeMap<String, Value>,
    words: BTreeMap<&'static str, Value>,
}

impl Scope {
    pub(crate) fn new<'a>(params: impl IntoIterator<Item = (&'a String, &'a Value)>) -> Self {
        Self {
            params: params
                .into_iter()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            words: BTreeMap::new(),
        }
    }

    /// The same scope with `word` bound to `value`.
    pub(crate) fn with(mut self, word: &'static str, value: impl Into<Value>) -> Self {
        self.words.insert(word, value.into());
        self
    }

    pub(crate) fn set(&mut self, word: &'static str, value: impl Into<Value>) {
        self.words.insert(word, value.into());
    }

    pub(crate) fn unset(&mut self, word: &'static str) {
        self.words.remove(word);
    }

    fn lookup(&self, reference: &str) -> Option<&Value> {
        match reference.strip_prefix("params.") {
            Some(name) => self.params.get(name),
            None => self.words.get(reference),
        }
    }

    fn known(&self) -> Vec<String> {
        let params = self.params.keys().map(|name| format!("params.{name}"));
        params
            .chain(self.words.keys().map(|word| (*word).to_owned()))
            .collect()
    }

    /// What computed expressions see: scalars only, so that no list operator exists for them.
    fn context(&self) -> minijinja::Value {
        let is_scalar = |value: &&Value| !value.is_array() && !value.is_object();
        let mut names: Map<String, Value> = Map::new();
        for (word, value) in self.words.iter().filter(|(_, value)| is_scalar(value)) {
            names.insert((*word).to_owned(), value.clone());
        }
        let params: Map<String, Value> = self
            .params
            .iter()
            .filter(|(_, value)| is_scalar(value))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        names.insert("params".to_owned(), Value::Object(params));
        minijinja::Value::from(Serde(Value::Object(names)))
    }
}

/// Whether a string holds anything that the template language would act on.
pub(crate) fn has_expression(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark))
}

/// Evaluates every leaf string below `value`; lists under a key `script` are refused expressions.
pub(crate) fn render(path: &str, value: &Value, scope: &Scope) -> Result<Value> {
    match value {
        Value::String(text) => render_leaf(path, text, scope),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| render(&item_path(path, index, item), item, scope))
            .collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, item)| {
                let path = format!("{path}/{key}");
                if key == "script" {
                    refuse_splice(&path, item)?;
                    return Ok((key.clone(), item.clone()));
                }
                Ok((key.clone(), render(&path, item, scope)?))
            })
            .collect::<Result<Map<String, Value>>>()
            .map(Value::Object),
        scalar => Ok(scalar.clone()),
    }
}

/// Refuses an expression in any line of a script.
pub(crate) fn refuse_splice(path: &str, script: &Value) -> Result<()> {
    match script {
        Value::String(line) if has_expression(line) => Err(Error::ScriptSplice {
            path: path.to_owned(),
            line: line.chars().take(120).collect(),
        }),
        Value::Array(lines) => lines.iter().try_for_each(|line| refuse_splice(path, line)),
        Value::Object(map) => map.values().try_for_each(|line| refuse_splice(path, line)),
        _ => Ok(()),
    }
}

/// Keyed list items are named by their key, because an index says nothing after a merge.
fn item_path(path: &str, index: usize, item: &Value) -> String {
    match item.get("name").and_then(Value::as_str) {
        Some(name) => format!("{path}/[name={name}]"),
        None => format!("{path}/{index}"),
    }
}

fn render_leaf(path: &str, text: &str, scope: &Scope) -> Result<Value> {
    if !has_expression(text) {
        return Ok(Value::String(text.to_owned()));
    }
    check_length(path, "the expression text", text, TEXT_LENGTH_MAX)?;
    check_language(path, text)?;
    let Some(inner) = single_expression(text) else {
        if let Some(joined) = joined_references(text, scope) {
            check_length(path, "the result", &joined, OUTPUT_LENGTH_MAX)?;
            return Ok(Value::String(joined));
        }
        return render_text(path, text, scope).map(Value::String);
    };
    if is_reference(inner) {
        return scope
            .lookup(inner)
            .cloned()
            .ok_or_else(|| undefined(path, inner, scope, inner));
    }
    evaluate(path, inner, scope)
}

/// Text in which every expression is a plain reference to a scalar, which most leaves are; the
/// engine costs twenty times as much. None when it has to look itself.
fn joined_references(text: &str, scope: &Scope) -> Option<String> {
    let mut parts = text.split("{{");
    let mut joined = parts.next()?.to_owned();
    for part in parts {
        let (inner, literal) = part.split_once("}}")?;
        match scope
            .lookup(inner.trim())
            .filter(|_| is_reference(inner.trim()))?
        {
            Value::String(value) => joined.push_str(value),
            Value::Number(number) => joined.push_str(&number.to_string()),
            Value::Bool(flag) => joined.push_str(if *flag { "true" } else { "false" }),
            _ => return None,
        }
        joined.push_str(literal);
    }
    Some(joined)
}

fn evaluate(path: &str, expression: &str, scope: &Scope) -> Result<Value> {
    let compiled = environment()
        .compile_expression(expression)
        .map_err(|error| refused(path, expression, &error))?;
    let value = compiled.eval(scope.context()).map_err(|error| {
        let names = compiled.undeclared_variables(true);
        refused_with(path, expression, &error, scope, names)
    })?;
    let wrong = |message: &str| Error::ExprInvalid {
        path: path.to_owned(),
        expression: expression.to_owned(),
        message: message.to_owned(),
    };
    match value.kind() {
        ValueKind::Bool | ValueKind::Number | ValueKind::String => {}
        ValueKind::Undefined => {
            return Err(Error::ExprUndefined {
                path: path.to_owned(),
                expression: expression.to_owned(),
                nearest: None,
            });
        }
        other => {
            return Err(wrong(&format!(
                "the result is a {other}, not a string, number or bool"
            )));
        }
    }
    let json = serde_json::to_value(&value).map_err(|error| wrong(&error.to_string()))?;
    match &json {
        Value::Null => Err(wrong("the result is not a finite number")),
        Value::String(text) => {
            check_length(path, "the result", text, OUTPUT_LENGTH_MAX)?;
            Ok(json)
        }
        _ => Ok(json),
    }
}

fn render_text(path: &str, text: &str, scope: &Scope) -> Result<String> {
    let compiled = environment()
        .template_from_str(text)
        .map_err(|error| refused(path, text, &error))?;
    let rendered = compiled.render(scope.context()).map_err(|error| {
        let names = compiled.undeclared_variables(true);
        refused_with(path, text, &error, scope, names)
    })?;
    check_length(path, "the result", &rendered, OUTPUT_LENGTH_MAX)?;
    Ok(rendered)
}

/// The text between the braces when the leaf is one expression and nothing else.
fn single_expression(text: &str) -> Option<&str> {
    let inner = text.strip_prefix("{{")?.strip_suffix("}}")?;
    let trims_space = inner.starts_with(['-', '+']) || inner.ends_with(['-', '+']);
    (!inner.contains("{{") && !inner.contains("}}") && !trims_space).then_some(inner.trim())
}

fn is_reference(inner: &str) -> bool {
    let name = inner.strip_prefix("params.").unwrap_or(inner);
    let reserved = ["true", "false", "none", "not", "loop", "self"];
    crate::name::is_identifier(name) && !reserved.contains(&inner)
}

fn check_length(path: &str, what: &'static str, text: &str, limit: usize) -> Result<()> {
    let found = text.chars().count();
    if found <= limit {
        return Ok(());
    }
    Err(Error::ExprSize {
        path: path.to_owned(),
        what,
        found,
        limit,
    })
}

/// Refuses everything outside the small language before the engine sees it.
fn check_language(path: &str, text: &str) -> Result<()> {
    let forbidden = |message: &str| Error::ExprForbidden {
        path: path.to_owned(),
        message: message.to_owned(),
    };
    if text.contains("{%") || text.contains("{#") {
        return Err(forbidden(
            "statements and comments are not in the expression language",
        ));
    }
    for expression in text.split("{{").skip(1) {
        let inner = expression.split("}}").next().unwrap_or_default();
        let mut quote: Option<char> = None;
        for c in inner.chars() {
            match quote {
                Some(open) if c == open => quote = None,
                Some(_) if c == '\\' => {
                    return Err(forbidden("escapes in strings are not allowed"));
                }
                Some(_) => {}
                None if c == '"' || c == '\'' => quote = Some(c),
                None if "[]{},".contains(c) => {
                    return Err(forbidden(
                        "lists, maps and subscripts are not in the expression language",
                    ));
                }
                None => {}
            }
        }
        if quote.is_some() {
            return Err(forbidden("a string does not end before `}}`"));
        }
    }
    Ok(())
}

/// What the engine refused, in our words.
fn refused(path: &str, expression: &str, error: &minijinja::Error) -> Error {
    let path = path.to_owned();
    let expression = expression.to_owned();
    match error.kind() {
        ErrorKind::OutOfFuel => Error::ExprFuel { path },
        ErrorKind::UndefinedError => Error::ExprUndefined {
            path,
            expression,
            nearest: None,
        },
        ErrorKind::UnknownFunction
        | ErrorKind::UnknownFilter
        | ErrorKind::UnknownTest
        | ErrorKind::UnknownMethod => Error::ExprForbidden {
            path,
            message: error.to_string(),
        },
        _ => Error::ExprInvalid {
            path,
            expression,
            message: error.to_string(),
        },
    }
}

/// As [`refused`], but names the culprit, which the engine's own message does not.
fn refused_with(
    path: &str,
    expression: &str,
    error: &minijinja::Error,
    scope: &Scope,
    mentioned: impl IntoIterator<Item = String>,
) -> Error {
    let is_about_a_name = matches!(
        error.kind(),
        ErrorKind::UndefinedError | ErrorKind::InvalidOperation
    );
    let mut names: Vec<String> = mentioned.into_iter().collect();
    names.sort_unstable();
    names
        .iter()
        .filter(|_| is_about_a_name)
        .find_map(|name| culprit(path, expression, scope, name))
        .unwrap_or_else(|| refused(path, expression, error))
}

/// What is wrong with `name`: the scope lacks it, or hides it because it is a list.
fn culprit(path: &str, expression: &str, scope: &Scope, name: &str) -> Option<Error> {
    match scope.lookup(name) {
        None if name != "params" => Some(undefined(path, expression, scope, name)),
        Some(Value::Array(_) | Value::Object(_)) => Some(Error::ExprForbidden {
            path: path.to_owned(),
            message: format!("`{name}` is a list: it can only stand alone, as `{{{{ {name} }}}}`"),
        }),
        _ => None,
    }
}

fn undefined(path: &str, expression: &str, scope: &Scope, name: &str) -> Error {
    Error::ExprUndefined {
        path: path.to_owned(),
        expression: expression.to_owned(),
        nearest: nearest(name, scope.known().iter().map(String::as_str)),
    }
}

/// One environment for all: it holds no template and no state, only the white list.
fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: OnceLock<Environment<'static>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let mut environment = Environment::empty();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(20);
        environment.set_formatter(|out, _state, value| match value.kind() {
            ValueKind::Bool | ValueKind::Number | ValueKind::String => {
                write!(out, "{value}").map_err(|_| ErrorKind::WriteFailure.into())
            }
            other => Err(minijinja::Error::new(
                ErrorKind::InvalidOperation,
                format!("a {other} cannot become text"),
            )),
        });
        environment.add_filter("lower", |text: &str| text.to_lowercase());
        environment.add_filter("upper", |text: &str| text.to_uppercase());
        environment.add_filter("trim", |text: &str| text.trim().to_owned());
        environment
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scope() -> Scope {
        let params = BTreeMap::from([
            ("replicas".to_owned(), json!(3)),
            ("name".to_owned(), json!("Web")),
            ("tags".to_owned(), json!(["a", "b"])),
        ]);
        Scope::new(&params).with("service", "checkout")
    }

    #[track_caller]
    fn check(text: &str, expected: Value) {
        assert_eq!(render("p", &json!(text), &scope()).unwrap(), expected);
    }

    #[track_caller]
    fn check_refused(text: &str, code: &str) {
        let error = render("p", &json!(text), &scope()).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
    }

    #[test]
    fn a_single_expression_keeps_its_type() {
        check("{{ params.replicas }}", json!(3));
        check("{{ params.tags }}", json!(["a", "b"]));
        check("{{ params.replicas * 2 + 1 }}", json!(7));
        check("{{ params.replicas > 2 }}", json!(true));
        check("n={{ params.replicas }}", json!("n=3"));
        check(
            "{{ service }}-{{ params.name | lower }}",
            json!("checkout-web"),
        );
        check("plain $HOME }} text", json!("plain $HOME }} text"));
    }

    #[test]
    fn what_is_outside_the_language_is_refused() {
        check_refused("{{ params.replcas }}", "E-EXPR-UNDEFINED");
        check_refused("x {{ params.replcas }}", "E-EXPR-UNDEFINED");
        check_refused("{{ params.tags * 9 }}", "E-EXPR-FORBIDDEN");
        check_refused("x {{ params.tags }}", "E-EXPR-FORBIDDEN");
        check_refused("{{ params.replcas + 1 }}", "E-EXPR-UNDEFINED");
        check_refused("{{ [[1]*9999]*9999 }}", "E-EXPR-FORBIDDEN");
        check_refused("{% for x in y %}{% endfor %}", "E-EXPR-FORBIDDEN");
        check_refused("{# c #}", "E-EXPR-FORBIDDEN");
        check_refused("{{ range(9) }}", "E-EXPR-FORBIDDEN");
        check_refused("{{ 'a' | indent }}", "E-EXPR-FORBIDDEN");
        check_refused("{{ (1,2) }}", "E-EXPR-FORBIDDEN");
        check_refused("{{ params }}", "E-EXPR-UNDEFINED");
        check_refused("a{{ params }}", "E-EXPR-INVALID");
        check_refused("{{ 'a' }", "E-EXPR-FORBIDDEN");
        check_refused("{{ 'a'", "E-EXPR-INVALID");
        check_refused("{{ none }}", "E-EXPR-INVALID");
    }

    #[test]
    fn growth_and_length_are_bounded() {
        check_refused("{{ 'aaaaaaaaaa' * 1000000000 }}", "E-EXPR-FUEL");
        check_refused("{{ 'aaaaaaaaaa' * 1000 }}", "E-EXPR-SIZE");
        check_refused(&format!("{{{{ {} }}}}", "1+".repeat(1_500)), "E-EXPR-SIZE");
    }

    #[test]
    fn a_script_line_may_not_hold_an_expression() {
        let stage = json!({"name": "x", "script": ["echo {{ params.name }}"]});
        let error = render("stages", &json!([stage]), &scope()).unwrap_err();
        assert_eq!(error.code(), "E-SCRIPT-SPLICE");
        assert!(
            error.to_string().contains("stages/[name=x]/script"),
            "{error}"
        );
    }
}
