//! The types of columns, as Parquet says them.
use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::errors::ParquetError;
use parquet::schema::types::Type;

/// A flat schema: text columns, the time, and numbers; no value is ever null.
pub fn required(name: &str, columns: &[(&str, Physical)]) -> Result<Arc<Type>, ParquetError> {
    let column = |&(name, physical): &(&str, Physical)| {
        let logical = match name {
            "time" => Some(LogicalType::timestamp(true, TimeUnit::MICROS)),
            "service" => Some(LogicalType::String),
            _ => None,
        };
        let column = Type::primitive_type_builder(name, physical);
        let column = column
            .with_repetition(Repetition::REQUIRED)
            .with_logical_type(logical);
        Ok(Arc::new(column.build()?))
    };
    let columns: Result<Vec<Arc<Type>>, ParquetError> = columns.iter().map(column).collect();
    Ok(Arc::new(
        Type::group_type_builder(name)
            .with_fields(columns?)
            .build()?,
    ))
}
