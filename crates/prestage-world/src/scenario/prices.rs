//! The prices in force: a shipped book, and what replaces some of them.
use prestage_controller::{PRICE_BOOKS, PriceBook};

use super::ScenarioSpec;
use crate::scenario_error::ScenarioError;

pub(super) fn prices_of(path: &str, spec: &ScenarioSpec) -> Result<PriceBook, ScenarioError> {
    let book = PRICE_BOOKS
        .iter()
        .find(|book| book.name == spec.price_book)
        .ok_or_else(|| {
            let known: Vec<&str> = PRICE_BOOKS.iter().map(|book| book.name).collect();
            ScenarioError::Value {
                path: path.to_owned(),
                line: None,
                key: "price_book".to_owned(),
                found: format!("\"{}\"", spec.price_book),
                allowed: format!("one of {}", known.join(", ")),
            }
        })?;
    let mut table = table_of(&(book.build)());
    table.extend(spec.prices.clone());
    let prices: PriceBook = table.try_into().map_err(|source| ScenarioError::Prices {
        path: path.to_owned(),
        source: Box::new(source),
    })?;
    prices.validate().map_err(|error| ScenarioError::Value {
        path: path.to_owned(),
        line: None,
        key: format!("prices.{}", error.key),
        found: error.found.to_string(),
        allowed: "a finite number of at least 0".to_owned(),
    })?;
    Ok(prices)
}

/// All prices as a table.
pub(super) fn table_of(prices: &PriceBook) -> toml::Table {
    toml::Table::try_from(prices).expect("prices are plain values")
}
