//! The days and hours of events: which are kept, and which need a partition first.

use std::collections::BTreeMap;

use isitup_shared::time::UtcTime;
use jiff::ToSpan;
use jiff::civil::Date;

use super::write::{Scope, WriteError};
use crate::store::Tx;
use crate::store::days::{self, Days};

const HOUR_US: i64 = 3_600_000_000;
const DAY_US: i64 = 24 * HOUR_US;

/// So many hours a span has at most, however long results are kept: 400 days.
const MOST_HOURS: i64 = 24 * 400;

/// What the times of events are held against, by the database's clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calendar {
    /// Now.
    pub now: UtcTime,
    /// How many days before today are kept.
    pub retention_days: i32,
}

impl Calendar {
    /// Today, in days since 1970.
    pub(super) fn today(&self) -> i64 {
        day_of(self.now)
    }

    /// The first day that retention keeps.
    pub(super) fn first_kept(&self) -> i64 {
        self.today() - i64::from(self.retention_days)
    }

    /// Tomorrow: clocks that are wrong by a time zone are common, and their results are kept.
    pub(super) fn last_kept(&self) -> i64 {
        self.today() + 1
    }

    /// The hours of the kept days from `from` to `to`, not those to come; the last [`MOST_HOURS`] of them.
    pub(super) fn kept_hours(&self, from: UtcTime, to: UtcTime) -> impl Iterator<Item = UtcTime> {
        let last = hour_of(to.min(self.now)).as_micros();
        let kept = self.first_kept().saturating_mul(DAY_US).max(last - (MOST_HOURS - 1) * HOUR_US);
        let first = hour_of(from).as_micros().max(kept);
        (0..)
            .map(move |number: i64| first + number * HOUR_US)
            .take_while(move |hour| *hour <= last)
            .map(UtcTime::from_micros)
    }
}

/// Reads the clock, and notes for each of `days` whether it has a partition.
pub(super) fn look_up(tx: &mut Tx<'_>, scope: &Scope, days: &mut BTreeMap<i64, bool>) -> Result<Calendar, WriteError> {
    let dates: Vec<Date> = days.keys().map(|day| date_of(*day)).collect();
    let Days { now, existing } = days::find(tx, &dates)?;
    for (day, exists) in days.iter_mut() {
        *exists = existing.contains(&date_of(*day));
    }
    Ok(Calendar { now, retention_days: scope.retention_days })
}

/// Tells which of `missing` retention has dropped. The others need a partition first.
pub(super) fn dropped(tx: &mut Tx<'_>, missing: &[i64]) -> Result<Vec<i64>, WriteError> {
    let dates: Vec<Date> = missing.iter().map(|day| date_of(*day)).collect();
    // A day made anew would be summed up anew, and the audit forget the numbers that were dropped with it.
    let dropped = days::dropped(tx, &dates)?;
    Ok(missing.iter().copied().filter(|day| dropped.contains(&date_of(*day))).collect())
}

/// The first day that retention keeps.
pub fn first_kept(today: Date, retention_days: i32) -> Date {
    today.saturating_sub(retention_days.days())
}

/// The full hour that holds `time`.
pub(super) fn hour_of(time: UtcTime) -> UtcTime {
    UtcTime::from_micros(time.as_micros().div_euclid(HOUR_US) * HOUR_US)
}

/// Days since 1970.
pub(super) fn day_of(time: UtcTime) -> i64 {
    time.as_micros().div_euclid(DAY_US)
}

/// The date of a day, given in days since 1970.
pub(super) fn date_of(day: i64) -> Date {
    let days = i32::try_from(day).unwrap_or(if day < 0 { i32::MIN + 1 } else { i32::MAX });
    jiff::civil::date(1970, 1, 1).saturating_add(days.days())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> UtcTime {
        text.parse().unwrap()
    }

    #[test]
    fn hours_and_days_are_cut_in_utc() {
        let time: UtcTime = "2026-11-21T23:59:59.999999Z".parse().unwrap();
        assert_eq!(hour_of(time), "2026-11-21T23:00:00Z".parse().unwrap());
        assert_eq!(date_of(day_of(time)), jiff::civil::date(2026, 11, 21));
        let next = UtcTime::from_micros(time.as_micros() + 1);
        assert_eq!(date_of(day_of(next)), jiff::civil::date(2026, 11, 22));
    }

    #[test]
    fn retention_counts_whole_days_before_today() {
        let today = jiff::civil::date(2026, 11, 21);
        assert_eq!(first_kept(today, 90), jiff::civil::date(2026, 8, 23));
        let calendar = Calendar { now: time("2026-11-21T13:00:00Z"), retention_days: 90 };
        assert_eq!(date_of(calendar.first_kept()), first_kept(today, 90));
    }

    #[test]
    fn a_span_has_the_hours_of_kept_days_that_have_begun() {
        let calendar = Calendar { now: time("2026-11-21T13:30:00Z"), retention_days: 2 };
        let hours = |from, to| calendar.kept_hours(time(from), time(to)).collect::<Vec<_>>();
        assert_eq!(
            hours("2026-11-21T11:59:00Z", "2026-11-21T12:00:00Z"),
            [time("2026-11-21T11:00:00Z"), time("2026-11-21T12:00:00Z")]
        );
        let all = hours("1970-01-01T00:00:00Z", "9000-01-01T00:00:00Z");
        assert_eq!(
            (all.len(), all[0], all[all.len() - 1]),
            (62, time("2026-11-19T00:00:00Z"), time("2026-11-21T13:00:00Z"))
        );
        assert!(hours("1970-01-01T00:00:00Z", "2026-11-18T23:59:59Z").is_empty());
        assert!(hours("2026-11-22T00:00:00Z", "2026-11-22T01:00:00Z").is_empty());
        let for_ever = Calendar { retention_days: 1_000_000, ..calendar };
        assert_eq!(for_ever.kept_hours(UtcTime::EPOCH, calendar.now).count() as i64, MOST_HOURS);
    }
}
