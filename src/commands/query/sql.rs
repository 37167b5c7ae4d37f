//! `prestage query --sql`: the answer in the formats of every other one.
use anyhow::Result;
use prestage_store::{Snapshot, SqlAnswer, SqlColumn, SqlValues};

use super::{QueryArgs, warn_of_damage};
use crate::commands::print_table;
use crate::output::{Cell, Table};

pub(super) fn run(snapshot: Snapshot, text: &str, args: &QueryArgs) -> Result<()> {
    let answer = snapshot.sql(text)?;
    warn_of_damage(&answer.damaged);
    match &args.parquet {
        Some(file) => {
            answer.write_parquet(file)?;
            eprintln!("answer: {} ({} rows)", file.display(), answer.len());
            Ok(())
        }
        None => print_table(&table(&answer), args.output),
    }
}

fn table(answer: &SqlAnswer) -> Table {
    let columns = answer.columns.iter();
    let mut table = Table::named(columns.map(|column| column.name.clone()).collect());
    for row in 0..answer.len() {
        let cells = answer.columns.iter();
        table.push(cells.map(|column| cell(column, row)).collect());
    }
    table
}

fn cell(column: &SqlColumn, row: usize) -> Cell {
    let cell = match &column.values {
        SqlValues::Whole(values) => values[row].map(Cell::Whole),
        SqlValues::Number(values) => {
            let finite = values[row].filter(|value| value.is_finite());
            finite.map(|value| Cell::Number(value, 4))
        }
        SqlValues::Flag(values) => values[row].map(Cell::Flag),
        SqlValues::Time(values) => values[row].map(|time| Cell::text(time.to_string())),
        SqlValues::Text(values) => values[row].as_ref().map(Cell::text),
    };
    cell.unwrap_or(Cell::Empty)
}
