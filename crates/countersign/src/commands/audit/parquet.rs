//! `--format parquet`: records as a table for warehouses and notebooks, one row each, with the whole body as JSON.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use evidence::record::{Record, RecordType};
use evidence::time::Timestamp;
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::Found;
use crate::exit_code::Failure;

/// The columns. They are only ever added, at the end; docs/evidence.md says what they are.
const SCHEMA: &str = "message record {
    required int64 seq;
    required binary id (string);
    required int64 recorded_at (timestamp(micros, true));
    required int64 occurred_at (timestamp(micros, true));
    required binary type (string);
    optional binary mission (string);
    optional binary run (string);
    optional binary call (string);
    optional binary session (string);
    required binary agent (string);
    optional binary agent_version (string);
    required binary initiator (string);
    required binary authenticated (string);
    required binary classes (string);
    optional binary trace (string);
    required binary emitter (string);
    required int64 schema;
    required binary links (json);
    required binary body (json);
}";

/// After so many bytes of records a group of rows is written: what a reader of the file holds at a time, and this program.
const GROUP_BYTES_MAX: usize = 32 << 20;

/// One column of a group of rows.
#[derive(Default)]
struct Column {
    /// For each row, whether it has a value; empty where all have.
    levels: Vec<i16>,
    numbers: Vec<i64>,
    texts: Vec<ByteArray>,
}

/// A cell of a row.
enum Cell {
    Maybe(Option<String>),
    Number(i64),
    Text(String),
}

/// Writes what was found to a file that is not there yet; it has its name once it is whole.
pub(super) fn write(found: &Found, filter: &str, out: &Path) -> Result<u64, Failure> {
    if out.exists() {
        return Err(Failure::usage(format!("`{}` is there already", out.display())));
    }
    let mut part = out.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let written = to(found, filter, &part).and_then(|rows| Ok(fs::rename(&part, out).map(|()| rows)?));
    if written.is_err() {
        // What is there is of no use.
        let _ = fs::remove_file(&part);
    }
    written
}

fn to(found: &Found, filter: &str, part: &Path) -> Result<u64, Failure> {
    let file = File::create(part).map_err(|error| Failure::usage(format!("`{}`: {error}", part.display())))?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by(concat!("countersign ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(vec![KeyValue::new("countersign.filter".to_owned(), filter.to_owned())]))
        .build();
    let schema = Arc::new(parse_message_type(SCHEMA).map_err(Failure::could_not)?);
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).map_err(Failure::could_not)?;
    let (mut columns, mut bytes, mut rows) = (Vec::new(), 0, 0);
    found.each(|record| {
        for (at, cell) in row(record)?.into_iter().enumerate() {
            if columns.len() <= at {
                columns.push(Column::default());
            }
            if let Some(column) = columns.get_mut(at) {
                bytes += column.push(cell);
            }
        }
        rows += 1;
        if bytes >= GROUP_BYTES_MAX {
            bytes = 0;
            group(&mut writer, &std::mem::take(&mut columns)).map_err(std::io::Error::other)?;
        }
        Ok(())
    })?;
    if !columns.is_empty() {
        group(&mut writer, &columns).map_err(Failure::could_not)?;
    }
    let file = writer.into_inner().map_err(Failure::could_not)?;
    file.sync_all()?;
    Ok(rows)
}

fn group(writer: &mut SerializedFileWriter<File>, columns: &[Column]) -> Result<(), ParquetError> {
    let mut group = writer.next_row_group()?;
    for Column { levels, numbers, texts } in columns {
        let Some(mut column) = group.next_column()? else { break };
        let levels = (!levels.is_empty()).then_some(levels.as_slice());
        if numbers.is_empty() {
            column.typed::<ByteArrayType>().write_batch(texts, levels, None)?;
        } else {
            column.typed::<Int64Type>().write_batch(numbers, levels, None)?;
        }
        column.close()?;
    }
    group.close()?;
    Ok(())
}

impl Column {
    /// Takes a cell; says how large it is.
    fn push(&mut self, cell: Cell) -> usize {
        match cell {
            Cell::Maybe(text) => {
                self.levels.push(text.is_some().into());
                text.map_or(1, |text| self.text(text))
            }
            Cell::Number(number) => {
                self.numbers.push(number);
                size_of::<i64>()
            }
            Cell::Text(text) => self.text(text),
        }
    }

    fn text(&mut self, text: String) -> usize {
        let bytes = text.len() + size_of::<ByteArray>();
        self.texts.push(ByteArray::from(text.into_bytes()));
        bytes
    }
}

/// The cells of a record, in the order of the schema.
fn row(record: &Record) -> serde_json::Result<[Cell; 19]> {
    let correlation = &record.correlation;
    let session = match record.record_type {
        RecordType::RequestContext => Some(record.id),
        _ => correlation.context,
    };
    let time = |at: Timestamp| Cell::Number(at.micros());
    let text = |value: &dyn ToString| Cell::Text(value.to_string());
    let authenticated = serde_json::to_value(record.initiator.authenticated)?;
    Ok([
        Cell::Number(i64::try_from(record.seq).unwrap_or(i64::MAX)),
        text(&record.id),
        time(record.recorded_at),
        time(record.occurred_at),
        text(&record.record_type),
        Cell::Maybe(correlation.mission.as_ref().map(ToString::to_string)),
        Cell::Maybe(correlation.run.map(|run| run.to_string())),
        Cell::Maybe(correlation.call.map(|call| call.to_string())),
        Cell::Maybe(session.map(|session| session.to_string())),
        text(&record.agent.name),
        Cell::Maybe(record.agent.version.as_ref().map(ToString::to_string)),
        text(&record.initiator.name),
        text(&authenticated.as_str().unwrap_or_default()),
        text(&record.data_classes.join(",")),
        Cell::Maybe(correlation.trace.as_ref().map(ToString::to_string)),
        text(&record.emitter),
        Cell::Number(record.schema.into()),
        Cell::Text(serde_json::to_string(&record.links)?),
        Cell::Text(serde_json::to_string(&record.body)?),
    ])
}
