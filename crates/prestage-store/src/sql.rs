//! Questions in SQL: the store's rows as two tables that DataFusion plans over.
//!
//! Only planning, joins and arithmetic are DataFusion's. Its tables are our own scan ([`scan`]), so that
//! what is in the log counts, a damaged partition is named and left out, and filters on metric, service,
//! tier and time skip what they skip in a [`crate::Query`]. Nothing can be written: statements that
//! define or change data are refused. One thread, one partition: rows come in a stable order.
mod answer;
mod bounds;
mod output;
mod scan;
mod tables;

pub use answer::{SqlAnswer, SqlColumn, SqlValues};

use std::sync::Arc;

use datafusion::common::DFSchema;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::{Error, Snapshot};
use scan::Findings;
use tables::{Kind, Table};

/// Attempts at an answer while a writer replaces the files that are being read.
const ATTEMPTS_MAX: u32 = 5;

/// Longest question, bytes: a chain of operators nests as deep as it is long.
const QUESTION_BYTES_MAX: usize = 16 * 1024;

/// Stack of the thread that answers. The longest chain of operators needs tens of MiB in a build that
/// is not optimised; what is not touched takes no memory.
const STACK_BYTES: usize = 512 * 1024 * 1024;

/// The tables and their columns, for people.
const TABLES: &str = "tables are `samples` (metric, service, time, value) and `rollups` (tier, metric, \
                      service, time, count, sum, min, max, first, last, increase); text stands in 'single quotes'";

impl Snapshot {
    /// Answers one `SELECT` over the tables `samples` and `rollups`. A damaged partition is named
    /// in the answer and the rest answers.
    ///
    /// # Errors
    /// [`Error::Sql`] when the text is no question that can be answered; also when the disk fails.
    pub fn sql(self, text: &str) -> Result<SqlAnswer, Error> {
        if text.len() > QUESTION_BYTES_MAX {
            let problem = format!(
                "the question is {} bytes long (allowed: {QUESTION_BYTES_MAX})",
                text.len()
            );
            let hint = "ask for less at once, or join what several questions answer";
            return Err(Error::Sql { problem, hint });
        }
        std::thread::scope(|scope| {
            let answering = std::thread::Builder::new()
                .stack_size(STACK_BYTES)
                .spawn_scoped(scope, || self.answer_sql(text))
                .map_err(no_thread)?;
            match answering.join() {
                Ok(answer) => answer,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    fn answer_sql(self, text: &str) -> Result<SqlAnswer, Error> {
        let mut snapshot = Arc::new(self);
        let mut answer = ask(&snapshot, text)?;
        for _ in 1..ATTEMPTS_MAX {
            if answer.damaged.is_empty() {
                break;
            }
            // What is missing may have been replaced by a writer since the snapshot was taken.
            let newer = Self::open(snapshot.root())?;
            if newer.parts() == snapshot.parts() {
                break;
            }
            snapshot = Arc::new(newer);
            answer = ask(&snapshot, text)?;
        }
        Ok(answer)
    }
}

fn ask(snapshot: &Arc<Snapshot>, text: &str) -> Result<SqlAnswer, Error> {
    let findings = Arc::new(Findings::default());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(no_thread)?;
    let collected = runtime.block_on(collect(snapshot, &findings, text));
    // What stopped the scan says more than what DataFusion made of it.
    if let Some(failure) = findings.take_failure() {
        return Err(failure);
    }
    let mut answer = collected
        .and_then(|(schema, batches)| SqlAnswer::of(&schema, &batches))
        .map_err(|problem| refused(&problem))?;
    answer.damaged = findings.take_damaged();
    answer.rows_scanned = findings.rows_scanned();
    Ok(answer)
}

fn no_thread(cause: std::io::Error) -> Error {
    Error::Io {
        path: "a thread".to_owned(),
        action: "start",
        cause,
    }
}

type Collected = (DFSchema, Vec<datafusion::arrow::array::RecordBatch>);

async fn collect(
    snapshot: &Arc<Snapshot>,
    findings: &Arc<Findings>,
    text: &str,
) -> Result<Collected, DataFusionError> {
    let config = SessionConfig::new()
        .with_target_partitions(1)
        .with_information_schema(true);
    let context = SessionContext::new_with_config(config);
    for kind in [Kind::Samples, Kind::Rollups] {
        let table = Table::new(kind, Arc::clone(snapshot), Arc::clone(findings));
        context.register_table(kind.name(), Arc::new(table))?;
    }
    let read_only = SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false);
    let frame = context.sql_with_options(text, read_only).await?;
    let schema = frame.schema().clone();
    Ok((schema, frame.collect().await?))
}

fn refused(problem: &DataFusionError) -> Error {
    Error::Sql {
        problem: problem.strip_backtrace(),
        hint: TABLES,
    }
}

#[cfg(test)]
mod tests;
