//! Tables on standard output: aligned for people, CSV and JSON for programs.
use anyhow::Result;
use clap::ValueEnum;
use serde_json::{Map, Value};

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns.
    #[default]
    Table,
    /// One object or array.
    Json,
    /// With a header.
    Csv,
}

/// A table of text and numbers; every row has as many cells as there are columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

/// One cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Words.
    Text(String),
    /// A count.
    Count(u64),
    /// A whole number that may be negative.
    Whole(i64),
    /// Yes or no.
    Flag(bool),
    /// A quantity and the digits a person wants to see of it.
    Number(f64, usize),
    /// Nothing to say.
    Empty,
}

impl Table {
    /// A table without rows.
    pub fn new(columns: &[&'static str]) -> Self {
        Self::named(columns.iter().map(|&name| name.to_owned()).collect())
    }

    /// A table without rows, whose columns were not known beforehand.
    pub fn named(columns: Vec<String>) -> Self {
        Self {
            columns,
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn push(&mut self, row: Vec<Cell>) {
        assert_eq!(row.len(), self.columns.len(), "a row of another width");
        self.rows.push(row);
    }

    /// Writes the table in a format, with a line break at the end.
    pub fn render(&self, format: Format) -> Result<String> {
        match format {
            Format::Table => Ok(self.aligned()),
            Format::Csv => self.csv(),
            Format::Json => Ok(format!("{}\n", serde_json::to_string_pretty(&self.json())?)),
        }
    }

    /// The rows as an array of objects.
    pub fn json(&self) -> Value {
        let object = |row: &Vec<Cell>| {
            let pairs = self
                .columns
                .iter()
                .zip(row)
                .map(|(name, cell)| (name.clone(), cell.json()));
            Value::Object(pairs.collect::<Map<String, Value>>())
        };
        Value::Array(self.rows.iter().map(object).collect())
    }

    fn csv(&self) -> Result<String> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(&self.columns)?;
        for row in &self.rows {
            writer.write_record(row.iter().map(Cell::exact))?;
        }
        Ok(String::from_utf8(writer.into_inner()?)?)
    }

    fn aligned(&self) -> String {
        let shown: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| row.iter().map(Cell::shown).collect())
            .collect();
        let width = |i: usize| {
            let cells = shown
                .iter()
                .map(|row| row[i].chars().count())
                .max()
                .unwrap_or(0);
            cells.max(self.columns[i].chars().count())
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let mut text = String::new();
        for (row, cells) in std::iter::once((None, &self.columns))
            .chain(shown.iter().enumerate().map(|(i, row)| (Some(i), row)))
        {
            let line: Vec<String> = cells
                .iter()
                .enumerate()
                .map(|(i, cell)| {
                    if self.is_text(i, row) {
                        format!("{cell:<0$}", widths[i])
                    } else {
                        format!("{cell:>0$}", widths[i])
                    }
                })
                .collect();
            text.push_str(line.join("  ").trim_end());
            text.push('\n');
        }
        text
    }

    /// Words stand left, numbers right; a header stands as its column does.
    fn is_text(&self, column: usize, row: Option<usize>) -> bool {
        let cell = self.rows.get(row.unwrap_or(0)).map(|row| &row[column]);
        matches!(cell, None | Some(Cell::Text(_)))
    }
}

impl Cell {
    /// A cell of words.
    pub fn text(text: impl Into<String>) -> Self {
        Cell::Text(text.into())
    }

    fn shown(&self) -> String {
        match self {
            Cell::Text(text) => text.clone(),
            Cell::Count(count) => count.to_string(),
            Cell::Whole(number) => number.to_string(),
            Cell::Flag(flag) => flag.to_string(),
            Cell::Number(number, digits) => format!("{number:.digits$}"),
            Cell::Empty => String::new(),
        }
    }

    fn exact(&self) -> String {
        match self {
            Cell::Number(number, _) => number.to_string(),
            other => other.shown(),
        }
    }

    fn json(&self) -> Value {
        match self {
            Cell::Text(text) => Value::from(text.as_str()),
            Cell::Count(count) => Value::from(*count),
            Cell::Whole(number) => Value::from(*number),
            Cell::Flag(flag) => Value::from(*flag),
            Cell::Number(number, _) => Value::from(*number),
            Cell::Empty => Value::Null,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new(&["arm", "cost_usd"]);
        table.push(vec![Cell::text("always"), Cell::Number(1.25, 1)]);
        table.push(vec![Cell::text("never, ever"), Cell::Number(10.0, 1)]);
        table
    }

    #[test]
    fn the_same_table_in_three_formats() {
        let table = sample();
        assert_eq!(
            table.render(Format::Table).unwrap(),
            "arm          cost_usd\nalways            1.2\nnever, ever      10.0\n"
        );
        assert_eq!(
            table.render(Format::Csv).unwrap(),
            "arm,cost_usd\nalways,1.25\n\"never, ever\",10\n"
        );
        assert_eq!(table.json()[1]["cost_usd"], 10.0);
    }
}
