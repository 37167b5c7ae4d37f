//! An answer as a Parquet file: `time`, `service` where services are kept apart, and one column for each
//! aggregation.
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

use super::{Query, Rollup};
use crate::part::required;
use crate::{Error, disk};

impl Rollup {
    /// Writes the answer to `query` to a Parquet file, whole or not at all.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn write_parquet(&self, query: &Query, path: &Path) -> Result<(), Error> {
        let bytes = self.encode(query).map_err(|cause| Error::Encode {
            path: path.display().to_string(),
            cause,
        })?;
        disk::write_whole(path, &bytes)
    }

    fn encode(&self, query: &Query) -> Result<Vec<u8>, ParquetError> {
        let properties = WriterProperties::builder().set_compression(Compression::LZ4_RAW);
        let mut writer =
            SerializedFileWriter::new(Vec::new(), schema(query)?, Arc::new(properties.build()))?;
        let mut group = writer.next_row_group()?;
        let times: Vec<i64> = self.times.iter().map(|time| time.0).collect();
        let mut column = group.next_column()?.expect("the schema has a time");
        column
            .typed::<Int64Type>()
            .write_batch(&times, None, None)?;
        column.close()?;
        if query.by_service {
            let name = |&number: &u32| ByteArray::from(self.services[number as usize].as_str());
            let services: Vec<ByteArray> = self.service_numbers.iter().map(name).collect();
            let mut column = group.next_column()?.expect("the schema has a service");
            column
                .typed::<ByteArrayType>()
                .write_batch(&services, None, None)?;
            column.close()?;
        }
        for values in &self.columns {
            let mut column = group
                .next_column()?
                .expect("the schema has each aggregation");
            column
                .typed::<DoubleType>()
                .write_batch(values, None, None)?;
            column.close()?;
        }
        group.close()?;
        writer.into_inner()
    }
}

fn schema(query: &Query) -> Result<Arc<Type>, ParquetError> {
    let names: Vec<String> = query.aggregations.iter().map(ToString::to_string).collect();
    let mut columns = vec![("time", Physical::INT64)];
    if query.by_service {
        columns.push(("service", Physical::BYTE_ARRAY));
    }
    columns.extend(names.iter().map(|name| (name.as_str(), Physical::DOUBLE)));
    required("rollup", &columns)
}
