//! A small table as a Parquet file: what an experiment measured, for notebooks.
//!
//! Columns stay in memory and make one row group, which suits results and not telemetry.
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;

use crate::{Error, disk};

/// A column of a table.
pub struct Column<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its values, one a row.
    pub values: Values<'a>,
}

/// The values of a column.
pub enum Values<'a> {
    /// Text.
    Text(Vec<&'a str>),
    /// Integers of 64 bits, some of which may be missing.
    Unsigned(Vec<Option<u64>>),
    /// Numbers.
    Double(Vec<f64>),
}

/// Writes a table, whole or not at all.
///
/// # Errors
/// When the disk fails.
///
/// # Panics
/// When columns differ in length.
pub fn write(path: &Path, name: &str, columns: &[Column<'_>]) -> Result<(), Error> {
    let rows = columns.first().map_or(0, |column| column.values.len());
    for column in columns {
        assert_eq!(column.values.len(), rows, "rows of `{}`", column.name);
    }
    let bytes = encode(name, columns).map_err(|cause| Error::Encode {
        path: path.display().to_string(),
        cause,
    })?;
    disk::write_whole(path, &bytes)
}

impl Values<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Text(values) => values.len(),
            Self::Unsigned(values) => values.len(),
            Self::Double(values) => values.len(),
        }
    }
}

fn encode(name: &str, columns: &[Column<'_>]) -> Result<Vec<u8>, ParquetError> {
    let fields: Result<Vec<Arc<Type>>, ParquetError> = columns.iter().map(field).collect();
    let schema = Type::group_type_builder(name)
        .with_fields(fields?)
        .build()?;
    let properties = WriterProperties::builder().set_compression(Compression::LZ4_RAW);
    let mut writer =
        SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties.build()))?;
    let mut group = writer.next_row_group()?;
    for column in columns {
        write_column(&mut group, &column.values)?;
    }
    group.close()?;
    writer.into_inner()
}

fn field(column: &Column<'_>) -> Result<Arc<Type>, ParquetError> {
    let (physical, logical, repetition) = match &column.values {
        Values::Text(_) => (
            Physical::BYTE_ARRAY,
            Some(LogicalType::String),
            Repetition::REQUIRED,
        ),
        Values::Unsigned(_) => (
            Physical::INT64,
            Some(LogicalType::integer(64, false)),
            Repetition::OPTIONAL,
        ),
        Values::Double(_) => (Physical::DOUBLE, None, Repetition::REQUIRED),
    };
    let builder = Type::primitive_type_builder(column.name, physical);
    let builder = builder
        .with_repetition(repetition)
        .with_logical_type(logical);
    Ok(Arc::new(builder.build()?))
}

fn write_column(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    values: &Values<'_>,
) -> Result<(), ParquetError> {
    match values {
        Values::Text(values) => {
            let values: Vec<ByteArray> = values.iter().map(|text| ByteArray::from(*text)).collect();
            write_values::<ByteArrayType>(group, &values, None)
        }
        Values::Unsigned(values) => {
            // Parquet keeps 64 unsigned bits in a signed word; the logical type says so.
            let known: Vec<i64> = values.iter().flatten().map(|&value| value as i64).collect();
            let levels: Vec<i16> = values.iter().map(|value| value.is_some().into()).collect();
            write_values::<Int64Type>(group, &known, Some(&levels))
        }
        Values::Double(values) => write_values::<DoubleType>(group, values, None),
    }
}

fn write_values<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    values: &[T::T],
    levels: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let mut column = group
        .next_column()?
        .expect("the schema has a field for each column");
    column.typed::<T>().write_batch(values, levels, None)?;
    column.close()
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    use super::*;

    #[test]
    fn a_table_reads_back_with_its_types_and_gaps() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        let columns = [
            Column {
                name: "arm",
                values: Values::Text(vec!["never", "größer"]),
            },
            Column {
                name: "seed",
                values: Values::Unsigned(vec![None, Some(u64::MAX)]),
            },
            Column {
                name: "usd",
                values: Values::Double(vec![0.1, -2.5]),
            },
        ];
        write(&path, "results", &columns).unwrap();
        let reader = SerializedFileReader::new(std::fs::File::open(&path).unwrap()).unwrap();
        let rows: Vec<Vec<(String, Field)>> = reader
            .get_row_iter(None)
            .unwrap()
            .map(|row| row.unwrap().into_columns())
            .collect();
        let field = |row: usize, column: usize| rows[row][column].1.clone();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0][1].0, "seed");
        assert_eq!(
            (field(0, 0), field(0, 1), field(0, 2)),
            (
                Field::Str("never".to_owned()),
                Field::Null,
                Field::Double(0.1)
            )
        );
        assert_eq!(
            (field(1, 0), field(1, 1)),
            (Field::Str("größer".to_owned()), Field::ULong(u64::MAX))
        );
    }

    #[test]
    fn a_table_without_rows_has_its_columns() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        let column = Column {
            name: "usd",
            values: Values::Double(Vec::new()),
        };
        write(&path, "results", &[column]).unwrap();
        let reader = SerializedFileReader::new(std::fs::File::open(&path).unwrap()).unwrap();
        let schema = reader.metadata().file_metadata().schema_descr();
        assert_eq!(schema.num_columns(), 1);
        assert_eq!(schema.column(0).name(), "usd");
    }
}
