//! `countersign audit --count`: how many records, by the values of any fields.

use std::io::{self, BufWriter, Write as _};

use evidence::filter::{Field, Filter};
use store::{Group, Reader};

use super::{Shape, flushed, harmless, visible};
use crate::commands::table;
use crate::exit_code::Failure;

/// The name of days, which are what times are counted by.
const DAY: &str = "day";

/// What is counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct By {
    name: &'static str,
    field: Field,
}

/// Reads the fields to count by, separated by commas; none at all counts all records together.
pub(super) fn fields(text: &str) -> Result<Vec<By>, Failure> {
    let wanted = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    let by = |name: &str| {
        let field = if name == DAY { Some(Field::On) } else { Field::named(name) };
        match field {
            Some(Field::On) => Ok(By { name: DAY, field: Field::On }),
            Some(field) if is_countable(field) => Ok(By { name: field.name(), field }),
            _ => {
                let countable = Field::ALL.iter().filter(|field| is_countable(**field)).map(|field| field.name());
                let known = std::iter::once(DAY).chain(countable).collect::<Vec<_>>().join(", ");
                Err(Failure::usage(format!("`{name}` is nothing to count by; known are {known}")))
            }
        }
    };
    wanted.map(by).collect()
}

/// Whether records can be counted by its values.
const fn is_countable(field: Field) -> bool {
    !matches!(field, Field::After | Field::Before | Field::On | Field::Seq | Field::Text)
}

/// Counts what matches and writes it, the most first.
pub(super) fn write(reader: &Reader, filter: &Filter, by: &[By], shape: Shape) -> Result<(), Failure> {
    let counted = if by.is_empty() {
        vec![(Vec::new(), reader.count(filter).map_err(Failure::could_not)?)]
    } else {
        let fields: Vec<Field> = by.iter().map(|by| by.field).collect();
        reader.count_by(filter, &fields).map_err(Failure::could_not)?
    };
    let names: Vec<&str> = by.iter().map(|by| by.name).chain(["count"]).collect();
    match shape {
        Shape::Parquet | Shape::Table | Shape::Timeline => print(&names, &counted),
        Shape::Json => json(&names, &counted)?,
        Shape::Csv => csv(&names, &counted)?,
    }
    Ok(())
}

fn print(names: &[&str], counted: &[(Group, u64)]) {
    let mut table = table(names);
    for (group, count) in counted {
        let values = group.iter().map(|value| value.clone().map_or_else(|| "-".to_owned(), visible));
        table.add_row(values.chain([count.to_string()]));
    }
    println!("{table}");
}

fn json(names: &[&str], counted: &[(Group, u64)]) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    let written = counted.iter().try_for_each(|(group, count)| {
        let values = group.iter().map(|value| value.clone().into()).chain([(*count).into()]);
        let names = names.iter().map(ToString::to_string);
        let object: serde_json::Map<String, serde_json::Value> = names.zip(values).collect();
        serde_json::to_writer(&mut out, &object)?;
        out.write_all(b"\n")
    });
    flushed(written.and_then(|()| out.flush()))
}

fn csv(names: &[&str], counted: &[(Group, u64)]) -> Result<(), Failure> {
    let mut out = csv::Writer::from_writer(io::stdout().lock());
    out.write_record(names).map_err(Failure::could_not)?;
    let written = counted.iter().try_for_each(|(group, count)| {
        let values = group.iter().map(|value| harmless(value.clone().unwrap_or_default()));
        out.write_record(values.chain([count.to_string()])).map_err(io::Error::from)
    });
    flushed(written.and_then(|()| out.flush()))
}
