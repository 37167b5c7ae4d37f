//! The tables as DataFusion sees them: names, columns, and which filters are of use.
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::streaming::StreamingTableExec;

use super::bounds::Bounds;
use super::scan::{Findings, Scan};
use crate::Snapshot;

/// The zone of every time. A name would need a data base of zones.
pub const UTC: &str = "+00:00";

/// One of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Raw samples, sealed or not.
    Samples,
    /// Rows that retention made of samples.
    Rollups,
}

/// A table over a snapshot.
pub struct Table {
    kind: Kind,
    schema: SchemaRef,
    snapshot: Arc<Snapshot>,
    findings: Arc<Findings>,
}

impl Kind {
    /// Its name in a question.
    pub fn name(self) -> &'static str {
        match self {
            Self::Samples => "samples",
            Self::Rollups => "rollups",
        }
    }

    fn fields(self) -> Vec<Field> {
        let text = |name| Field::new(name, DataType::Utf8, false);
        let number = |name| Field::new(name, DataType::Float64, false);
        let time = DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()));
        let key = [
            text("metric"),
            text("service"),
            Field::new("time", time, false),
        ];
        match self {
            Self::Samples => key.into_iter().chain([number("value")]).collect(),
            Self::Rollups => {
                let count = Field::new("count", DataType::Int64, false);
                let rest = ["sum", "min", "max", "first", "last", "increase"].map(number);
                let columns = [text("tier")].into_iter().chain(key).chain([count]);
                columns.chain(rest).collect()
            }
        }
    }
}

impl Table {
    /// A table over a snapshot, whose scans leave what they found in `findings`.
    pub fn new(kind: Kind, snapshot: Arc<Snapshot>, findings: Arc<Findings>) -> Self {
        Self {
            schema: Arc::new(Schema::new(kind.fields())),
            kind,
            snapshot,
            findings,
        }
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table({})", self.kind.name())
    }
}

#[async_trait]
impl TableProvider for Table {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Every filter is offered to [`Bounds`], which may use a part of it; DataFusion filters again.
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        _session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = match projection {
            Some(columns) => Arc::new(self.schema.project(columns)?),
            None => self.schema(),
        };
        let scan = Scan {
            kind: self.kind,
            schema: Arc::clone(&schema),
            snapshot: Arc::clone(&self.snapshot),
            findings: Arc::clone(&self.findings),
            bounds: Bounds::of(filters),
        };
        let plan =
            StreamingTableExec::try_new(schema, vec![Arc::new(scan)], None, [], false, limit)?;
        Ok(Arc::new(plan))
    }
}
