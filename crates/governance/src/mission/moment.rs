//! Moments and days as texts: RFC 3339, with the distance from UTC that makes a time of day a moment.

use evidence::time::Timestamp;

/// Microseconds of one day.
const DAY_US: i64 = 86_400_000_000;

const WRITE: &str = "not a date or time such as 2026-12-31 or 2026-12-31T18:00:00Z";

/// The first and the last microsecond of a day or, twice the same, a moment.
pub(crate) fn moments(text: &str) -> Result<(Timestamp, Timestamp), &'static str> {
    let is_digits = |range: std::ops::Range<usize>| {
        text.get(range).is_some_and(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let is_day = text.len() == 10 && is_digits(0..4) && is_digits(5..7) && is_digits(8..10);
    if is_day {
        let start: Timestamp = format!("{text}T00:00:00Z").parse().map_err(|_| "not a date")?;
        return Ok((start, start.plus_micros(DAY_US - 1)));
    }
    if text.len() > 35
        || !text.bytes().all(|byte| byte.is_ascii_digit() || b"-:.+TZ".contains(&byte))
        || text.get(16..17) != Some(":")
    {
        return Err(WRITE);
    }
    let zone = text
        .get(19..)
        .map(|rest| rest.trim_start_matches(|character: char| character == '.' || character.is_ascii_digit()));
    match zone {
        Some("") => Err("a time without its distance from UTC"),
        Some(_) if text.get(10..11) == Some("T") => {
            let moment: Timestamp = text.parse().map_err(|_| "not a date or time")?;
            Ok((moment, moment))
        }
        _ => Err(WRITE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_moments_are_read() {
        for (text, first, last) in [
            ("2026-12-31", "2026-12-31T00:00:00.000000Z", "2026-12-31T23:59:59.999999Z"),
            ("2026-12-31T18:00:00Z", "2026-12-31T18:00:00.000000Z", "2026-12-31T18:00:00.000000Z"),
            ("2026-12-31T18:00:00.5Z", "2026-12-31T18:00:00.500000Z", "2026-12-31T18:00:00.500000Z"),
            ("2027-01-01T01:00:00+02:00", "2026-12-31T23:00:00.000000Z", "2026-12-31T23:00:00.000000Z"),
        ] {
            let (from, to) = moments(text).unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!((from.to_string(), to.to_string()), (first.to_owned(), last.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_read_differently_is_no_moment() {
        for text in [
            "",
            "2026",
            "2026-13-01",
            "2026-02-30",
            "31.12.2026",
            "12/31/2026",
            "2026-12-31T18:00:00",
            "2026-12-31 18:00:00Z",
            "2026-12-31t18:00:00z",
            "20261231",
            "2026-12-31T18:00Z",
            "2026-W53-4",
            "+2026-12-31",
            "１026-12-31",
            "2026-12-31T18:00:00Z[Europe/Berlin]",
            "2026-12-31T25:00:00Z",
            "tomorrow",
        ] {
            assert!(moments(text).is_err(), "{text} gives {:?}", moments(text));
        }
    }
}
