//! UTC times in whole microseconds, the only kind that records hold.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A moment in UTC, in microseconds since 1970-01-01T00:00:00Z. From year 1970 to year 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// 9999-12-30T21:59:59.999999Z: the last whole second that is a four-digit year in every time zone.
const MICROS_MAX: i64 = 253_402_207_199_999_999;

/// A time zone of the IANA database that is built into this program, so that the same text means the same everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    name: Arc<str>,
    rules: TimeZone,
}

impl Zone {
    /// Coordinated universal time, the zone of whoever names none.
    #[must_use]
    pub fn utc() -> Self {
        Self { name: Arc::from("UTC"), rules: TimeZone::UTC }
    }

    /// The zone called `name`, such as `Europe/Berlin`, in its spelling of the database; `None` where there is none.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        if name == "UTC" {
            return Some(Self::utc());
        }
        let rules = TimeZoneDatabase::bundled().get(name).ok()?;
        let spelled = rules.iana_name().filter(|spelled| *spelled == name)?;
        Some(Self { name: spelled.into(), rules: rules.clone() })
    }

    /// Every name that [`Zone::named`] knows.
    #[must_use]
    pub fn names() -> Vec<String> {
        TimeZoneDatabase::bundled().available().map(|name| name.to_string()).collect()
    }

    /// Its name in the database.
    #[must_use]
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What clocks on the wall show at `at`.
    #[must_use]
    pub fn clock(&self, at: Timestamp) -> WallClock {
        let shown = self.rules.to_datetime(jiff::Timestamp::from_microsecond(at.0).unwrap_or_default());
        WallClock {
            day: shown.day().unsigned_abs(),
            hour: shown.hour().unsigned_abs(),
            minute: shown.minute().unsigned_abs(),
            month: shown.month().unsigned_abs(),
            weekday: shown.weekday().to_monday_zero_offset().unsigned_abs(),
            year: shown.year().unsigned_abs(),
        }
    }

    /// The first moment of the day after the one that the date `year-month-day` names; `None` where that is no date of these years. Where clocks skip midnight, the
    /// first moment that there is.
    #[must_use]
    pub fn end_of_day(&self, year: u16, month: u8, day: u8) -> Option<Timestamp> {
        let signed = |number: u8| i8::try_from(number).ok();
        let date = jiff::civil::Date::new(i16::try_from(year).ok()?, signed(month)?, signed(day)?).ok()?;
        let start = date.tomorrow().ok()?.to_zoned(self.rules.clone()).ok()?;
        let micros = start.timestamp().as_microsecond();
        (1..=MICROS_MAX).contains(&micros).then_some(Timestamp(micros))
    }
}

/// What clocks on the wall show in a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallClock {
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 1 to 12.
    pub month: u8,
    /// 0 is Monday.
    pub weekday: u8,
    /// 1969 to 10000: some day of the years that a timestamp has, in some zone.
    pub year: u16,
}

/// Why a text is not a timestamp.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not a time: want UTC such as 2026-11-23T09:30:00.000000Z")]
pub struct TimestampError {
    text: String,
}

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// Builds a time from microseconds since the epoch, held to the years 1970 to 9999.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        if micros < 0 {
            Self(0)
        } else if micros > MICROS_MAX {
            Self(MICROS_MAX)
        } else {
            Self(micros)
        }
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since the epoch.
    #[must_use]
    pub const fn millis(self) -> u64 {
        (self.0 / 1_000).unsigned_abs()
    }

    /// This time, later by `micros`.
    #[must_use]
    pub const fn plus_micros(self, micros: i64) -> Self {
        Self::from_micros(self.0.saturating_add(micros))
    }

    /// Microseconds from `earlier` to this time; 0 if `earlier` is later.
    #[must_use]
    pub const fn micros_since(self, earlier: Self) -> i64 {
        let gap = self.0.saturating_sub(earlier.0);
        if gap < 0 { 0 } else { gap }
    }

    /// The 27 bytes of the text form, e.g. `2026-11-23T09:30:00.000000Z`.
    fn text(self) -> [u8; 27] {
        // Civil date from days since the epoch, in 400-year eras that start on 1 March.
        let (secs, micros) = (self.0 / 1_000_000, self.0 % 1_000_000);
        let (days, secs) = (secs / 86_400, secs % 86_400);
        let shifted = days + 719_468;
        let (era, of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);

        let mut out = *b"0000-00-00T00:00:00.000000Z";
        put(&mut out, 0, 4, year);
        put(&mut out, 5, 2, month);
        put(&mut out, 8, 2, day);
        put(&mut out, 11, 2, secs / 3_600);
        put(&mut out, 14, 2, secs / 60 % 60);
        put(&mut out, 17, 2, secs % 60);
        put(&mut out, 20, 6, micros);
        out
    }
}

/// Writes `value` as `width` decimal digits at `start`.
fn put(out: &mut [u8; 27], start: usize, width: usize, mut value: i64) {
    for slot in out.iter_mut().skip(start).take(width).rev() {
        *slot = b'0' + (value % 10).unsigned_abs() as u8;
        value /= 10;
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::str::from_utf8(&self.text()) {
            Ok(text) => f.write_str(text),
            Err(_) => Err(fmt::Error),
        }
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let error = || TimestampError { text: text.chars().take(64).collect() };
        let parsed: jiff::Timestamp = text.parse().map_err(|_| error())?;
        let micros = parsed.as_microsecond();
        if !(0..=MICROS_MAX).contains(&micros) {
            return Err(error());
        }
        Ok(Self(micros))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.text()) {
            Ok(text) => serializer.serialize_str(text),
            Err(error) => Err(serde::ser::Error::custom(error)),
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    /// Accepts only the spelling that is written, so that reading and writing again gives the same bytes.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl de::Visitor<'_> for Text {
            type Value = Timestamp;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
                let parsed: Timestamp = text.parse().map_err(E::custom)?;
                if parsed.text() != text.as_bytes() {
                    return Err(E::custom(TimestampError { text: text.chars().take(64).collect() }));
                }
                Ok(parsed)
            }
        }

        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn zones_are_those_of_the_database_in_its_spelling() {
        for name in ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Asia/Kolkata", "Etc/GMT+12"] {
            let zone = Zone::named(name).unwrap_or_else(|| panic!("{name} is no zone"));
            assert_eq!(&**zone.name(), name);
        }
        for name in ["", "utc", "europe/berlin", "Europe/Atlantis", "+01:00", "CET-1CEST", "../UTC", "Local"] {
            assert_eq!(Zone::named(name), None, "{name}");
        }
        assert!(Zone::names().iter().any(|name| name == "Pacific/Kiritimati"));
    }

    #[test]
    fn a_day_ends_where_clocks_of_the_zone_show_the_next() {
        for (zone, end) in [
            ("UTC", "2027-01-01T00:00:00.000000Z"),
            ("Europe/Berlin", "2026-12-31T23:00:00.000000Z"),
            ("America/New_York", "2027-01-01T05:00:00.000000Z"),
        ] {
            let found = Zone::named(zone).unwrap().end_of_day(2026, 12, 31).unwrap();
            assert_eq!(found.to_string(), end, "{zone}");
        }
        let cairo = Zone::named("Africa/Cairo").unwrap();
        // Clocks went from midnight to one o'clock.
        assert_eq!(cairo.end_of_day(2026, 4, 23).unwrap().to_string(), "2026-04-23T22:00:00.000000Z");
        assert_eq!(Zone::utc().end_of_day(2026, 2, 29), None);
        assert_eq!(Zone::utc().end_of_day(9999, 12, 31), None);
        assert_eq!(Zone::utc().end_of_day(1969, 12, 30), None);
    }

    #[test]
    fn clocks_at_the_ends_of_time_are_read() {
        for zone in Zone::names() {
            let zone = Zone::named(&zone).unwrap();
            assert!(zone.clock(Timestamp::EPOCH).year >= 1969);
            assert!(zone.clock(Timestamp::from_micros(i64::MAX)).year <= 10_000);
        }
    }

    #[test]
    fn known_moments_have_their_known_texts() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_400_000_001, "2000-02-29T00:00:00.000001Z"),
            (1_795_426_200_000_000, "2026-11-23T09:30:00.000000Z"),
            (MICROS_MAX, "9999-12-30T21:59:59.999999Z"),
        ] {
            assert_eq!(Timestamp::from_micros(micros).to_string(), text);
            assert_eq!(text.parse::<Timestamp>().unwrap().micros(), micros);
        }
    }

    proptest! {
        #[test]
        fn text_and_time_agree_with_jiff(micros in 0..=MICROS_MAX) {
            let ours = Timestamp::from_micros(micros).to_string();
            let theirs = jiff::Timestamp::from_microsecond(micros).unwrap();
            prop_assert_eq!(&ours, &format!("{theirs:.6}"));
            prop_assert_eq!(ours.parse::<Timestamp>().unwrap().micros(), micros);
        }
    }
}
