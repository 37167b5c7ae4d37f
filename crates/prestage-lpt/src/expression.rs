//! Expressions in the leaf strings of a template.
//!
//! An expression is evaluated after the document was parsed and merged, one leaf at a time, so it
//! can never create structure. The language is what is left of minijinja without statements,
//! comments, functions, list literals and subscripts: fuel alone does not bound nested list
//! repetition. A leaf that is exactly one reference keeps the type of what it names; only such a
//! leaf may name a list. All leaves of a document share one budget of text and one of fuel, because
//! a thousand leaves that each stay within a limit are a bomb as well.

mod scope;

use std::sync::OnceLock;

use minijinja::value::ValueKind;
use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use serde_json::{Map, Value};

use crate::error::{Error, Result, nearest};
use crate::place::Place;

pub(crate) use scope::Scope;

const TEXT_LENGTH_MAX: usize = 2_000;
const OUTPUT_LENGTH_MAX: usize = 4_000;
const FUEL: u64 = 20_000;

/// Whether a string holds anything that the template language would act on.
pub(crate) fn has_expression(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark))
}

/// The parameters that the expressions of a leaf name, each once, in their order.
pub(crate) fn parameters_in(text: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let expressions = text.split("{{").skip(1);
    for expression in expressions.filter_map(|part| part.split("}}").next()) {
        for part in expression.split("params.").skip(1) {
            let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            let name: String = part.chars().take_while(|c| is_part(*c)).collect();
            if !name.is_empty() && !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

/// Evaluates every leaf string below `value`; lists under a key `script` are refused expressions.
pub(crate) fn render(path: &str, value: &Value, scope: &Scope) -> Result<Value> {
    render_at(&Place::root(path), value, scope)
}

fn render_at(place: &Place<'_>, value: &Value, scope: &Scope) -> Result<Value> {
    match value {
        Value::String(text) => {
            let rendered = render_leaf(place, text, scope)?;
            spend(place, &rendered, scope).map(|()| rendered)
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| render_at(&place.item(index, item), item, scope))
            .collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, item)| {
                let place = place.key(key);
                if key == "script" {
                    refuse_splice_at(&place, item)?;
                    spend(&place, item, scope)?;
                    return Ok((key.clone(), item.clone()));
                }
                Ok((key.clone(), render_at(&place, item, scope)?))
            })
            .collect::<Result<Map<String, Value>>>()
            .map(Value::Object),
        scalar => Ok(scalar.clone()),
    }
}

/// Takes a value from the budget of its document, which one long parameter in many places exhausts.
fn spend(place: &Place<'_>, value: &Value, scope: &Scope) -> Result<()> {
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| spend(place, item, scope)),
        Value::Object(map) => map.values().try_for_each(|item| spend(place, item, scope)),
        Value::String(text) => spend_text(place, text.len(), scope),
        _ => spend_text(place, 1, scope),
    }
}

fn spend_text(place: &Place<'_>, bytes: usize, scope: &Scope) -> Result<()> {
    scope.spend_text(bytes).map_err(|found| Error::ExprSize {
        path: place.to_string(),
        what: "the text of the document so far",
        found,
        limit: scope::TEXT_TOTAL,
    })
}

/// Refuses an expression in any line of a script.
pub(crate) fn refuse_splice(path: &str, script: &Value) -> Result<()> {
    refuse_splice_at(&Place::root(path), script)
}

fn refuse_splice_at(place: &Place<'_>, script: &Value) -> Result<()> {
    match script {
        Value::String(line) if has_expression(line) => Err(Error::ScriptSplice {
            path: place.to_string(),
            line: line.chars().take(120).collect(),
        }),
        Value::Array(lines) => lines
            .iter()
            .try_for_each(|line| refuse_splice_at(place, line)),
        Value::Object(map) => map
            .values()
            .try_for_each(|line| refuse_splice_at(place, line)),
        _ => Ok(()),
    }
}

fn render_leaf(place: &Place<'_>, text: &str, scope: &Scope) -> Result<Value> {
    if !has_expression(text) {
        return Ok(Value::String(text.to_owned()));
    }
    check_length(place, "the expression text", text, TEXT_LENGTH_MAX)?;
    check_language(place, text)?;
    let Some(inner) = single_expression(text) else {
        if let Some(joined) = joined_references(text, scope) {
            check_length(place, "the result", &joined, OUTPUT_LENGTH_MAX)?;
            return Ok(Value::String(joined));
        }
        return render_text(place, text, scope).map(Value::String);
    };
    if is_reference(inner) {
        return scope
            .lookup(inner)
            .cloned()
            .ok_or_else(|| undefined(place, inner, scope, inner));
    }
    evaluate(place, inner, scope)
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
        // More bytes than so many characters can have: refused whatever follows.
        if joined.len() > 4 * OUTPUT_LENGTH_MAX {
            break;
        }
    }
    Some(joined)
}

fn evaluate(place: &Place<'_>, expression: &str, scope: &Scope) -> Result<Value> {
    // An assignment, because only a template tells how much fuel it took. The language has neither
    // statements nor their marks, so the expression cannot end it early.
    let text = format!("{{% set value = ({expression}) %}}");
    let (_, value) = run(place, expression, &text, scope)?;
    let wrong = |message: &str| Error::ExprInvalid {
        path: place.to_string(),
        expression: expression.to_owned(),
        message: message.to_owned(),
    };
    match value.kind() {
        ValueKind::Bool | ValueKind::Number | ValueKind::String => {}
        ValueKind::Undefined => {
            return Err(Error::ExprUndefined {
                path: place.to_string(),
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
            check_length(place, "the result", text, OUTPUT_LENGTH_MAX)?;
            Ok(json)
        }
        _ => Ok(json),
    }
}

fn render_text(place: &Place<'_>, text: &str, scope: &Scope) -> Result<String> {
    let (rendered, _) = run(place, text, text, scope)?;
    check_length(place, "the result", &rendered, OUTPUT_LENGTH_MAX)?;
    Ok(rendered)
}

/// Evaluates `text` within what is left of the budget: its output, and what it assigned to `value`.
/// `shown` is what the author wrote.
fn run(
    place: &Place<'_>,
    shown: &str,
    text: &str,
    scope: &Scope,
) -> Result<(String, minijinja::Value)> {
    // Compiling costs no fuel, so the text itself counts.
    spend_text(place, text.len(), scope)?;
    if scope.fuel_left() == 0 {
        let path = place.to_string();
        return Err(Error::ExprFuel { path });
    }
    let compiled = environment()
        .template_from_str(text)
        .map_err(|error| refused(place, shown, &error))?;
    match compiled.render_captured(scope.context()) {
        Ok(captured) => {
            let levels = captured.state().fuel_levels();
            scope.spend_fuel(levels.map_or(FUEL, |(consumed, _)| consumed));
            let value = captured.state().lookup("value").unwrap_or_default();
            Ok((captured.into_output(), value))
        }
        Err(error) => {
            scope.spend_fuel(FUEL);
            let names = compiled.undeclared_variables(true);
            Err(refused_with(place, shown, &error, scope, names))
        }
    }
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

fn check_length(place: &Place<'_>, what: &'static str, text: &str, limit: usize) -> Result<()> {
    let found = text.chars().count();
    if found <= limit {
        return Ok(());
    }
    Err(Error::ExprSize {
        path: place.to_string(),
        what,
        found,
        limit,
    })
}

/// Refuses everything outside the small language before the engine sees it.
fn check_language(place: &Place<'_>, text: &str) -> Result<()> {
    let forbidden = |message: &str| Error::ExprForbidden {
        path: place.to_string(),
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
fn refused(place: &Place<'_>, expression: &str, error: &minijinja::Error) -> Error {
    let path = place.to_string();
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
    place: &Place<'_>,
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
        .find_map(|name| culprit(place, expression, scope, name))
        .unwrap_or_else(|| refused(place, expression, error))
}

/// What is wrong with `name`: the scope lacks it, or hides it because it is a list.
fn culprit(place: &Place<'_>, expression: &str, scope: &Scope, name: &str) -> Option<Error> {
    match scope.lookup(name) {
        None if name != "params" => Some(undefined(place, expression, scope, name)),
        Some(Value::Array(_) | Value::Object(_)) => Some(Error::ExprForbidden {
            path: place.to_string(),
            message: format!("`{name}` is a list: it can only stand alone, as `{{{{ {name} }}}}`"),
        }),
        _ => None,
    }
}

fn undefined(place: &Place<'_>, expression: &str, scope: &Scope, name: &str) -> Error {
    Error::ExprUndefined {
        path: place.to_string(),
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
    use std::collections::BTreeMap;

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

    #[test]
    fn all_expressions_of_a_scope_share_one_budget_of_fuel() {
        let scope = scope();
        let costly = json!("{{ ('x' * 400000)|upper == 'x' }}");
        let mut evaluated = 0;
        let refused = loop {
            match render("p", &costly, &scope) {
                Ok(_) => evaluated += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(refused.code(), "E-EXPR-FUEL");
        assert!(
            evaluated as u64 * FUEL <= scope::FUEL_TOTAL + FUEL,
            "{evaluated} evaluations"
        );
        // Whoever asks next is refused before the engine starts.
        while scope.fuel_left() > 0 {
            render("p", &costly, &scope).unwrap_err();
        }
        assert_eq!(
            render("p", &json!("{{ 1 + 1 }}"), &scope)
                .unwrap_err()
                .code(),
            "E-EXPR-FUEL"
        );
    }

    #[test]
    fn all_leaves_of_a_scope_share_one_budget_of_text() {
        let params = BTreeMap::from([("long".to_owned(), json!("x".repeat(10_000)))]);
        let scope = Scope::new(&params);
        let leaf = json!("{{ params.long }}");
        let refused = (0..).find(|_| render("p", &leaf, &scope).is_err());
        assert_eq!(refused, Some(scope::TEXT_TOTAL / 10_000));
    }
}
