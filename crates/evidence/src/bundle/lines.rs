//! Records of a bundle as lines, each with its salt from another file.

use std::io::{self, BufRead, Read as _};

use super::Files;
use crate::leaf::Salt;
use crate::limits::BUNDLE_RECORD_BYTES_MAX;

/// Bytes of a line of salt: digits and newline.
const SALT_LINE_BYTES: usize = 33;

/// Both files, read side by side.
pub(super) struct Lines<'a> {
    records: Box<dyn BufRead + 'a>,
    salts: Box<dyn BufRead + 'a>,
    /// The last line that was read, from 1.
    pub(super) line: u64,
    next: u64,
}

/// Why there is no next record.
#[derive(Debug)]
pub(super) enum LineFault {
    /// The records' file.
    Records(String),
    /// The salts' file.
    Salts(String),
}

/// One record as the bundle has it.
pub(super) struct Line {
    pub(super) bytes: Vec<u8>,
    pub(super) salt: Salt,
    /// Where the line starts in its file.
    pub(super) start: u64,
}

impl<'a> Lines<'a> {
    pub(super) fn open(files: &'a dyn Files, records: &str, salts: &str) -> Result<Self, LineFault> {
        let open = |name| files.open(name).map_err(|error: io::Error| error.to_string());
        Ok(Self {
            records: open(records).map_err(LineFault::Records)?,
            salts: open(salts).map_err(LineFault::Salts)?,
            line: 0,
            next: 0,
        })
    }

    /// The next record; `None` where both files end.
    pub(super) fn next(&mut self) -> Result<Option<Line>, LineFault> {
        let bytes = line(&mut self.records, BUNDLE_RECORD_BYTES_MAX).map_err(LineFault::Records)?;
        let salt = line(&mut self.salts, SALT_LINE_BYTES).map_err(LineFault::Salts)?;
        self.line += 1;
        let start = self.next;
        match (bytes, salt) {
            (None, None) => Ok(None),
            (Some(_), None) => Err(LineFault::Salts(format!("it ends before line {}", self.line))),
            (None, Some(_)) => Err(LineFault::Records(format!("it ends before line {}", self.line))),
            (Some(bytes), Some(digits)) => {
                self.next += bytes.len() as u64 + 1;
                let lower = digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
                let salt = hex::decode(&digits).ok().filter(|_| lower).and_then(|salt| Salt::try_from(salt).ok());
                let salt = salt.ok_or_else(|| {
                    LineFault::Salts(format!("line {} is not 32 lower-case hexadecimal digits", self.line))
                })?;
                Ok(Some(Line { bytes, salt, start }))
            }
        }
    }
}

/// One line without its newline, of at most `bytes_max`; `None` at the end of the file.
fn line(from: &mut dyn BufRead, bytes_max: usize) -> Result<Option<Vec<u8>>, String> {
    let mut line = Vec::new();
    from.take(bytes_max as u64 + 1).read_until(b'\n', &mut line).map_err(|error| error.to_string())?;
    if line.is_empty() {
        return Ok(None);
    }
    match line.pop() {
        Some(b'\n') => Ok(Some(line)),
        _ if line.len() >= bytes_max => Err(format!("a line has more than {bytes_max} bytes")),
        _ => Err("its last line does not end".to_owned()),
    }
}
