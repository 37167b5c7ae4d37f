//! `--set key.path=value`: changes of a spec that was read from a file.
use super::ScenarioSpec;
use super::prices::{prices_of, table_of};
use crate::scenario_error::{ScenarioError, nearest};

/// Applies `--set` overrides: the key must exist and the type must fit.
pub(super) fn overridden(
    path: &str,
    mut spec: ScenarioSpec,
    overrides: &[String],
) -> Result<ScenarioSpec, ScenarioError> {
    if overrides.is_empty() {
        return Ok(spec);
    }
    // The price book first: single prices replace those of the book that is chosen.
    let (prices, others): (Vec<&String>, Vec<&String>) = overrides
        .iter()
        .partition(|text| text.trim_start().starts_with("prices."));
    let mut table = whole_table(&spec);
    for text in others {
        set(&mut table, text)?;
    }
    if !prices.is_empty() {
        spec = typed(table, overrides)?;
        spec.prices = table_of(&prices_of(path, &spec)?);
        table = whole_table(&spec);
        for text in prices {
            set(&mut table, text)?;
        }
    }
    typed(table, overrides)
}

/// All keys that can be set, also of a section that is not written where it is as usual.
fn whole_table(spec: &ScenarioSpec) -> toml::Table {
    let mut whole = toml::Table::try_from(spec).expect("a spec is made of plain values");
    let control = toml::Value::try_from(&spec.control).expect("a section is made of plain values");
    whole.insert("control".to_owned(), control);
    whole
}

fn typed(table: toml::Table, overrides: &[String]) -> Result<ScenarioSpec, ScenarioError> {
    table
        .try_into()
        .map_err(|source: toml::de::Error| ScenarioError::Override {
            text: overrides.join(" "),
            problem: source.message().to_owned(),
            hint: "the value must have the type that the scenario has there".to_owned(),
        })
}

fn set(table: &mut toml::Table, text: &str) -> Result<(), ScenarioError> {
    let refuse = |problem: String, hint: String| ScenarioError::Override {
        text: text.to_owned(),
        problem,
        hint,
    };
    let (key, value) = text.split_once('=').ok_or_else(|| {
        refuse(
            "has no `=`".to_owned(),
            "write --set key.path=value, for example --set days=7".to_owned(),
        )
    })?;
    let value = value.trim();
    // A bare word is a string: --set price_book=people-dear needs no quotes.
    let value = format!("v = {value}")
        .parse::<toml::Table>()
        .ok()
        .and_then(|mut table| table.remove("v"))
        .unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let mut place = table;
    let parts: Vec<&str> = key.trim().split('.').collect();
    for (depth, part) in parts.iter().enumerate() {
        let known: Vec<String> = place.keys().cloned().collect();
        let Some(found) = place.get_mut(*part) else {
            let hint = match nearest(part, &known) {
                Some(near) => format!("did you mean `{}`?", join(&parts[..depth], near)),
                None => format!("known here: {}", known.join(", ")),
            };
            return Err(refuse(
                format!("there is no key `{}`", join(&parts[..depth], part)),
                hint,
            ));
        };
        if depth + 1 == parts.len() {
            *found = coerced(found, value);
            return Ok(());
        }
        place = found.as_table_mut().ok_or_else(|| {
            refuse(
                format!("`{}` is a value, not a section", parts[..=depth].join(".")),
                format!("write --set {}=VALUE", parts[..=depth].join(".")),
            )
        })?;
    }
    Ok(())
}

/// An integer where a float stands is a float: `--set traffic.base_rps=300`.
fn coerced(old: &toml::Value, new: toml::Value) -> toml::Value {
    match (old, new) {
        (toml::Value::Float(_), toml::Value::Integer(whole)) => toml::Value::Float(whole as f64),
        (_, new) => new,
    }
}

fn join(parts: &[&str], last: &str) -> String {
    let mut path: Vec<&str> = parts.to_vec();
    path.push(last);
    path.join(".")
}
