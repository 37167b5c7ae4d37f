//! An answer in columns of plain values, so that no reader of it has to know Arrow.
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{
    DataType, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::common::DFSchema;
use datafusion::error::Result;
use prestage_telemetry::Timestamp;

use super::tables::UTC;
use crate::Damaged;

/// The answer to a question in SQL.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SqlAnswer {
    /// Columns, all of one length, in the question's order.
    pub columns: Vec<SqlColumn>,
    /// Partitions that could not be read, and are missing from the answer.
    pub damaged: Vec<Damaged>,
    /// Rows decoded.
    pub rows_scanned: u64,
}

/// One column of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct SqlColumn {
    /// Its name; no two of an answer are the same.
    pub name: String,
    /// What stands in it.
    pub values: SqlValues,
}

/// The values of a column; absent where SQL says `NULL`.
#[derive(Clone, Debug, PartialEq)]
pub enum SqlValues {
    /// Whole numbers.
    Whole(Vec<Option<i64>>),
    /// Other numbers.
    Number(Vec<Option<f64>>),
    /// True or false.
    Flag(Vec<Option<bool>>),
    /// Moments.
    Time(Vec<Option<Timestamp>>),
    /// Text, and everything that is none of the others, as it is written.
    Text(Vec<Option<String>>),
}

impl SqlAnswer {
    pub(super) fn of(schema: &DFSchema, batches: &[RecordBatch]) -> Result<Self> {
        let mut columns: Vec<SqlColumn> = Vec::new();
        for (place, name) in names(schema).into_iter().enumerate() {
            let mut values = SqlValues::empty(schema.field(place).data_type());
            for batch in batches {
                values.extend(batch.column(place))?;
            }
            columns.push(SqlColumn { name, values });
        }
        Ok(Self {
            columns,
            ..Self::default()
        })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.columns.first().map_or(0, |column| column.values.len())
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Names of the columns; with their table where a name alone is not unique.
fn names(schema: &DFSchema) -> Vec<String> {
    let columns = schema.columns();
    let name = |column: &datafusion::common::Column| {
        let same = columns.iter().filter(|other| other.name == column.name);
        if same.count() > 1 {
            column.flat_name()
        } else {
            column.name.clone()
        }
    };
    columns.iter().map(name).collect()
}

impl SqlValues {
    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Self::Whole(values) => values.len(),
            Self::Number(values) => values.len(),
            Self::Flag(values) => values.len(),
            Self::Time(values) => values.len(),
            Self::Text(values) => values.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn empty(of: &DataType) -> Self {
        match of {
            DataType::Boolean => Self::Flag(Vec::new()),
            DataType::Timestamp(..) => Self::Time(Vec::new()),
            kind if kind.is_integer() => Self::Whole(Vec::new()),
            kind if kind.is_floating() => Self::Number(Vec::new()),
            _ => Self::Text(Vec::new()),
        }
    }

    fn extend(&mut self, column: &ArrayRef) -> Result<()> {
        match self {
            Self::Whole(values) => {
                values.extend(cast(column, &DataType::Int64)?.as_primitive::<Int64Type>());
            }
            Self::Number(values) => {
                values.extend(cast(column, &DataType::Float64)?.as_primitive::<Float64Type>());
            }
            Self::Flag(values) => values.extend(column.as_boolean()),
            Self::Time(values) => {
                let micros = DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()));
                let column = cast(column, &micros)?;
                let times = column.as_primitive::<TimestampMicrosecondType>();
                values.extend(times.iter().map(|time| time.map(Timestamp)));
            }
            Self::Text(values) => {
                for row in 0..column.len() {
                    let is_absent = column.is_null(row) || *column.data_type() == DataType::Null;
                    let text = (!is_absent).then(|| array_value_to_string(column, row));
                    values.push(text.transpose()?);
                }
            }
        }
        Ok(())
    }
}

/// A number that does not fit is an error and not an absent one.
fn cast(column: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    if column.data_type() == to {
        return Ok(Arc::clone(column));
    }
    let strict = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    Ok(cast_with_options(column, to, &strict)?)
}
