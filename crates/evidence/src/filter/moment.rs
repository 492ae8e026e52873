//! Times as people write them in filters: a year, a month, a day, a moment, or so long ago.

use std::fmt;

use crate::time::Timestamp;

/// From one moment to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first moment.
    pub from: Timestamp,
    /// The last moment.
    pub until: Timestamp,
}

/// What is a time, for messages.
pub(super) const WANTED: &str =
    "2026-11-01 (its start in UTC), 2026-11, 2026, 2026-11-01T09:30:00Z, today, yesterday, or 30m, 12h, 7d, 2w ago";

const DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// Why a text is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoTime {
    /// Nothing that is known.
    Unknown,
    /// It counts from a now that is not given.
    Relative,
}

/// The span that `text` names: a whole day for a day, one moment for a moment or a time ago.
pub(super) fn read(text: &str, now: Option<Timestamp>) -> Result<Span, NoTime> {
    let relative = || now.ok_or(NoTime::Relative);
    match text {
        "now" => return relative().map(moment),
        "today" => return relative().map(|now| day(start_of_day(now))),
        "yesterday" => return relative().map(|now| day(start_of_day(now).plus_micros(-DAY))),
        _ => {}
    }
    if let Some(micros) = duration_us(text) {
        return relative().map(|now| moment(now.plus_micros(-micros)));
    }
    match text.len() {
        4 => span(&format!("{text}-01-01"), next_year(text).map(|year| format!("{year:04}-01-01"))),
        7 => span(&format!("{text}-01"), next_month(text)),
        10 => start(text).map(day),
        _ => text.parse().ok().map(moment),
    }
    .ok_or(NoTime::Unknown)
}

/// `from..until`, or either alone; else one time.
pub(super) fn read_span(text: &str, now: Option<Timestamp>) -> Result<Span, NoTime> {
    let Some((from, until)) = text.split_once("..") else { return read(text, now) };
    let from = if from.is_empty() { Timestamp::EPOCH } else { read(from, now)?.from };
    let until = if until.is_empty() { Timestamp::from_micros(i64::MAX) } else { read(until, now)?.until };
    if from <= until && text != ".." { Ok(Span { from, until }) } else { Err(NoTime::Unknown) }
}

const fn moment(at: Timestamp) -> Span {
    Span { from: at, until: at }
}

const fn day(from: Timestamp) -> Span {
    Span { from, until: from.plus_micros(DAY - 1) }
}

const fn start_of_day(at: Timestamp) -> Timestamp {
    Timestamp::from_micros(at.micros() - at.micros() % DAY)
}

fn start(date: &str) -> Option<Timestamp> {
    format!("{date}T00:00:00Z").parse().ok()
}

fn span(from: &str, next: Option<String>) -> Option<Span> {
    let from = start(from)?;
    // The end of the last year that there is.
    let until = start(&next?).unwrap_or(Timestamp::from_micros(i64::MAX)).plus_micros(-1);
    Some(Span { from, until })
}

fn next_year(year: &str) -> Option<u16> {
    Some(digits(year)? + 1)
}

fn next_month(text: &str) -> Option<String> {
    let (year, month) = text.split_once('-')?;
    let (year, month) = (digits(year)?, digits(month)?);
    Some(if month == 12 { format!("{:04}-01-01", year + 1) } else { format!("{year:04}-{:02}-01", month + 1) })
}

/// Up to four digits.
fn digits(text: &str) -> Option<u16> {
    text.parse().ok().filter(|_| text.len() <= 4 && text.bytes().all(|c| c.is_ascii_digit()))
}

/// Microseconds of `90s`, `30m`, `12h`, `7d`, `2w`.
#[must_use]
pub fn duration_us(text: &str) -> Option<i64> {
    let unit = match text.chars().last()? {
        's' => 1_000_000,
        'm' => 60 * 1_000_000,
        'h' => 60 * 60 * 1_000_000,
        'd' => DAY,
        'w' => 7 * DAY,
        _ => return None,
    };
    let count = digits(text.get(..text.len() - 1)?)?;
    Some(i64::from(count) * unit)
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from == self.until { self.from.fmt(f) } else { write!(f, "{}..{}", self.from, self.until) }
    }
}
