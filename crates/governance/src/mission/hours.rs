//! When a mission holds: days of the week and hours, in its time zone.

use std::fmt;

use evidence::time::{Timestamp, Zone};

/// Minutes of one day.
pub(crate) const DAY: u32 = 24 * 60;

/// Minutes of one week, from Monday on.
pub(crate) const WEEK: u32 = 7 * DAY;

/// The days as a mission writes them, from Monday on.
pub(crate) const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The same hours on some days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hours {
    /// Whether each day is one, from Monday on.
    pub(crate) days: [bool; 7],
    /// The first minute of the day.
    pub(crate) from: u32,
    /// The first minute that is no longer one.
    pub(crate) to: u32,
}

impl Hours {
    /// The pieces of the week that it holds: first minute, and the first that is no longer one.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = (u32, u32)> {
        let (from, to) = (self.from, self.to);
        let days = (0_u32..).zip(self.days).filter(|(_, is_one)| *is_one);
        days.map(move |(day, _)| (day * DAY + from, day * DAY + to))
    }

    pub(crate) fn holds(&self, minute: u32) -> bool {
        self.pieces().any(|(from, to)| (from..to).contains(&minute))
    }
}

/// The minute of the week that clocks in `zone` show at `at`. In a zone of whole minutes, which all of them are since 1972.
pub(crate) fn minute_of_week(zone: &Zone, at: Timestamp) -> u32 {
    let clock = zone.clock(at);
    u32::from(clock.weekday) * DAY + u32::from(clock.hour) * 60 + u32::from(clock.minute)
}

/// Whether `hours` hold at `minute`: always, where there are none.
pub(crate) fn hold(hours: &[Hours], minute: u32) -> bool {
    hours.is_empty() || hours.iter().any(|hours| hours.holds(minute))
}

/// The last moment before `until` at which `hours` hold; the moment before `until` where there is none.
pub(crate) fn last_moment(hours: &[Hours], zone: &Zone, until: Timestamp) -> Timestamp {
    let end = until.plus_micros(-1);
    let back = (0..i64::from(WEEK)).map(|minutes| end.plus_micros(-minutes * 60_000_000));
    back.into_iter().find(|at| hold(hours, minute_of_week(zone, *at))).unwrap_or(end)
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days: Vec<&str> =
            DAYS.into_iter().zip(self.days).filter(|(_, is_one)| *is_one).map(|(day, _)| day).collect();
        let clock = |minute: u32| format!("{:02}:{:02}", minute / 60, minute % 60);
        write!(f, "{} from {} to {}", days.join(", "), clock(self.from), clock(self.to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_begins_on_monday() {
        for (at, day, clock) in [
            ("1970-01-01T00:00:00.000000Z", 3, 0),
            ("2026-11-25T12:34:56.000000Z", 2, 12 * 60 + 34),
            ("2026-11-29T23:59:59.999999Z", 6, DAY - 1),
            ("2026-11-30T00:00:00.000000Z", 0, 0),
            ("2024-02-29T08:00:00.000000Z", 3, 480),
        ] {
            assert_eq!(minute_of_week(&Zone::utc(), at.parse().unwrap()), day * DAY + clock, "{at}");
        }
    }

    #[test]
    fn the_last_moment_is_one_that_holds() {
        let office = Hours { days: [true, true, true, true, true, false, false], from: 480, to: 1080 };
        // The end of 2026 is a Friday morning; that of the week before a Sunday.
        for (until, last) in [
            ("2027-01-01T00:00:00.000000Z", "2026-12-31T17:59:59.999999Z"),
            ("2026-12-28T00:00:00.000000Z", "2026-12-25T17:59:59.999999Z"),
            ("2026-12-31T12:00:00.000000Z", "2026-12-31T11:59:59.999999Z"),
        ] {
            let found = last_moment(std::slice::from_ref(&office), &Zone::utc(), until.parse().unwrap());
            assert_eq!(found.to_string(), last, "{until}");
        }
        let until: Timestamp = "2027-01-01T00:00:00.000000Z".parse().unwrap();
        assert_eq!(last_moment(&[], &Zone::utc(), until), until.plus_micros(-1));
    }

    #[test]
    fn a_zone_has_its_own_clocks() {
        let berlin = Zone::named("Europe/Berlin").unwrap();
        for (at, day, clock) in [
            // Winter and summer, and both sides of the night in which an hour is missing, and of the one in which it is there twice.
            ("2026-01-05T07:00:00.000000Z", 0, 8 * 60),
            ("2026-07-06T07:00:00.000000Z", 0, 9 * 60),
            ("2026-03-29T00:59:59.999999Z", 6, 119),
            ("2026-03-29T01:00:00.000000Z", 6, 180),
            ("2026-10-25T00:30:00.000000Z", 6, 150),
            ("2026-10-25T01:30:00.000000Z", 6, 150),
            ("2026-01-04T23:00:00.000000Z", 0, 0),
        ] {
            assert_eq!(minute_of_week(&berlin, at.parse().unwrap()), day * DAY + clock, "{at}");
        }
        let kathmandu = Zone::named("Asia/Kathmandu").unwrap();
        assert_eq!(minute_of_week(&kathmandu, "2026-01-05T00:00:00.000000Z".parse().unwrap()), 5 * 60 + 45);
    }
}
