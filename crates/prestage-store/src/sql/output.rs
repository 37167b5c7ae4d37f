//! An answer as a Parquet file: its columns with its names, absent values as nulls.
use std::path::Path;
use std::sync::Arc;

use ::parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use ::parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use ::parquet::errors::ParquetError;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use ::parquet::schema::types::Type;

use super::{SqlAnswer, SqlColumn, SqlValues};
use crate::{Error, disk};

impl SqlAnswer {
    /// Writes the answer to a Parquet file, whole or not at all.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn write_parquet(&self, path: &Path) -> Result<(), Error> {
        let bytes = self.encode().map_err(|cause| Error::Encode {
            path: path.display().to_string(),
            cause,
        })?;
        disk::write_whole(path, &bytes)
    }

    fn encode(&self) -> Result<Vec<u8>, ParquetError> {
        let properties = WriterProperties::builder().set_compression(Compression::LZ4_RAW);
        let mut writer = SerializedFileWriter::new(
            Vec::new(),
            schema(&self.columns)?,
            Arc::new(properties.build()),
        )?;
        let mut group = writer.next_row_group()?;
        for column in &self.columns {
            match &column.values {
                SqlValues::Whole(values) => write::<Int64Type, _>(&mut group, values, |v| *v)?,
                SqlValues::Number(values) => write::<DoubleType, _>(&mut group, values, |v| *v)?,
                SqlValues::Flag(values) => write::<BoolType, _>(&mut group, values, |v| *v)?,
                SqlValues::Time(values) => write::<Int64Type, _>(&mut group, values, |v| v.0)?,
                SqlValues::Text(values) => {
                    write::<ByteArrayType, _>(&mut group, values, |v| ByteArray::from(v.as_str()))?;
                }
            }
        }
        group.close()?;
        writer.into_inner()
    }
}

fn write<T: DataType, V>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    values: &[Option<V>],
    stored: impl Fn(&V) -> T::T,
) -> Result<(), ParquetError> {
    let present: Vec<i16> = values
        .iter()
        .map(|value| i16::from(value.is_some()))
        .collect();
    let stored: Vec<T::T> = values.iter().flatten().map(stored).collect();
    let mut column = group
        .next_column()?
        .expect("the schema has each column of the answer");
    column
        .typed::<T>()
        .write_batch(&stored, Some(&present), None)?;
    column.close()
}

fn schema(columns: &[SqlColumn]) -> Result<Arc<Type>, ParquetError> {
    let field = |column: &SqlColumn| {
        let (physical, logical) = match column.values {
            SqlValues::Whole(_) => (Physical::INT64, None),
            SqlValues::Number(_) => (Physical::DOUBLE, None),
            SqlValues::Flag(_) => (Physical::BOOLEAN, None),
            SqlValues::Time(_) => (
                Physical::INT64,
                Some(LogicalType::timestamp(true, TimeUnit::MICROS)),
            ),
            SqlValues::Text(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        };
        let field = Type::primitive_type_builder(&column.name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical);
        Ok(Arc::new(field.build()?))
    };
    let fields: Result<Vec<Arc<Type>>, ParquetError> = columns.iter().map(field).collect();
    Ok(Arc::new(
        Type::group_type_builder("answer")
            .with_fields(fields?)
            .build()?,
    ))
}
