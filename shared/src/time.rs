//! One type for every moment that leaves the process: UTC, whole microseconds.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::fmt::temporal::DateTimePrinter;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A moment in UTC with microsecond resolution, written as RFC 3339 with six decimals: `2026-11-21T02:26:08.000000Z`.
///
/// PostgreSQL's `timestamptz` has the same resolution, so a moment reads back from there exactly as it was written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UtcTime(jiff::Timestamp);

impl UtcTime {
    /// The first moment of 1970.
    pub const EPOCH: Self = Self(jiff::Timestamp::UNIX_EPOCH);

    /// The wall clock's time, cut to whole microseconds.
    pub fn now() -> Self {
        Self::from(jiff::Timestamp::now())
    }

    /// Microseconds since 1970; negative before it.
    pub fn as_micros(self) -> i64 {
        self.0.as_microsecond()
    }

    /// The moment `micros` microseconds after 1970; what lies beyond the years -9999 to 9999 becomes the nearest moment within.
    pub fn from_micros(micros: i64) -> Self {
        // Of its last second in either direction jiff makes no timestamp again.
        const SECOND: i64 = 1_000_000;
        let earliest = jiff::Timestamp::MIN.as_microsecond() + SECOND;
        let latest = jiff::Timestamp::MAX.as_microsecond() - SECOND;
        let bounded = micros.clamp(earliest, latest);
        Self(jiff::Timestamp::from_microsecond(bounded).unwrap_or(jiff::Timestamp::UNIX_EPOCH))
    }

    /// This moment moved by `by` into the future.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self::from_micros(self.as_micros().saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this moment lies; zero when it does not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.as_micros().saturating_sub(earlier.as_micros())).unwrap_or(0))
    }
}

impl From<jiff::Timestamp> for UtcTime {
    fn from(timestamp: jiff::Timestamp) -> Self {
        Self::from_micros(timestamp.as_microsecond())
    }
}

impl From<UtcTime> for jiff::Timestamp {
    fn from(time: UtcTime) -> Self {
        time.0
    }
}

const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(6));

impl fmt::Display for UtcTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&PRINTER.timestamp_to_string(&self.0))
    }
}

impl fmt::Debug for UtcTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for UtcTime {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<jiff::Timestamp>().map(Self::from)
    }
}

impl Serialize for UtcTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UtcTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = UtcTime;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an RFC 3339 time")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<UtcTime, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

impl JsonSchema for UtcTime {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "UtcTime".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "date-time",
            "description": "RFC 3339, UTC, six decimals",
        })
    }

    fn inline_schema() -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_in_utc_with_six_decimals() {
        assert_eq!(UtcTime::from_micros(1_795_228_000_000_000).to_string(), "2026-11-21T02:26:40.000000Z");
        assert_eq!(UtcTime::from_micros(1).to_string(), "1970-01-01T00:00:00.000001Z");
    }

    #[test]
    fn nanoseconds_are_cut_so_that_what_is_read_equals_what_was_written() {
        let time: UtcTime = "2026-11-21T02:26:40.123456789Z".parse().unwrap();
        assert_eq!(time.to_string(), "2026-11-21T02:26:40.123456Z");
        assert_eq!(time.to_string().parse::<UtcTime>().unwrap(), time);
    }

    #[test]
    fn what_lies_beyond_the_calendar_becomes_its_nearest_moment() {
        assert!(UtcTime::from_micros(i64::MAX) > UtcTime::from_micros(253_402_000_000_000_000));
        assert!(UtcTime::from_micros(i64::MIN) < UtcTime::from_micros(-377_705_000_000_000_000));
    }
}
