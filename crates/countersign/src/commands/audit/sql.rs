//! `countersign audit --sql`: one statement over the views of the records that a filter picks.

use std::io::{self, BufWriter, Write as _};
use std::ops::ControlFlow;
use std::time::Duration;

use evidence::filter::Filter;
use store::{Cell, Reader, SqlError};

use super::{Shape, flushed, harmless, visible};
use crate::commands::table;
use crate::exit_code::Failure;

/// Asks and writes the answer, row by row.
pub(super) fn write(
    reader: &Reader,
    filter: &Filter,
    statement: &str,
    within: Duration,
    shape: Shape,
) -> Result<(), Failure> {
    let mut query = reader.sql(statement, within).map_err(failure)?;
    let columns = query.columns().to_vec();
    match shape {
        Shape::Parquet | Shape::Table | Shape::Timeline => {
            let mut table = table(&columns.iter().map(String::as_str).collect::<Vec<_>>());
            let each = |row: Vec<Cell>| {
                table.add_row(row.into_iter().map(|cell| visible(text(cell).unwrap_or_else(|| "-".into()))));
                ControlFlow::Continue(())
            };
            query.answer(filter, each).map_err(failure)?;
            println!("{table}");
            Ok(())
        }
        Shape::Json => {
            let mut out = BufWriter::new(io::stdout().lock());
            let mut written = Ok(());
            let each = |row: Vec<Cell>| {
                let object: serde_json::Map<String, serde_json::Value> =
                    columns.iter().cloned().zip(row.into_iter().map(json)).collect();
                let line = serde_json::to_writer(&mut out, &object).map_err(io::Error::from);
                written = line.and_then(|()| out.write_all(b"\n"));
                if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            };
            query.answer(filter, each).map_err(failure)?;
            flushed(written.and_then(|()| out.flush()))
        }
        Shape::Csv => {
            let mut out = csv::Writer::from_writer(io::stdout().lock());
            let mut written = out.write_record(&columns);
            let each = |row: Vec<Cell>| {
                // A number stays one; only what is text can be a formula.
                let cells = row.into_iter().map(|cell| match cell {
                    Cell::Text(text) => harmless(text),
                    cell => text(cell).unwrap_or_default(),
                });
                written = out.write_record(cells);
                if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            };
            query.answer(filter, each).map_err(failure)?;
            flushed(written.map_err(io::Error::from).and_then(|()| out.flush()))
        }
    }
}

fn failure(error: SqlError) -> Failure {
    match error {
        SqlError::Statement(_) => Failure::usage(error),
        SqlError::Time(_) | SqlError::Records | SqlError::Read(_) => Failure::could_not(error),
    }
}

fn text(cell: Cell) -> Option<String> {
    match cell {
        Cell::Null => None,
        Cell::Integer(number) => Some(number.to_string()),
        Cell::Real(number) => Some(number.to_string()),
        Cell::Text(text) => Some(text),
    }
}

fn json(cell: Cell) -> serde_json::Value {
    match cell {
        Cell::Null => serde_json::Value::Null,
        Cell::Integer(number) => number.into(),
        Cell::Real(number) => number.into(),
        Cell::Text(text) => text.into(),
    }
}
