//! The days and hours of events: which are kept, and which need a partition first.

use std::collections::BTreeMap;

use isitup_shared::time::UtcTime;
use jiff::ToSpan;
use jiff::civil::Date;

use super::write::{Scope, WriteError};
use crate::store::Tx;
use crate::store::days::{self, Days};

/// Notes for each day why it is refused, if it is.
pub(super) fn check_days(
    tx: &mut Tx<'_>,
    scope: &Scope,
    days: &mut BTreeMap<i64, Option<String>>,
) -> Result<(), WriteError> {
    let dates: Vec<Date> = days.keys().map(|day| date_of(*day)).collect();
    let Days { today, existing } = days::find(tx, &dates)?;
    let first_kept = first_kept(today, scope.retention_days);
    let last_kept = today.saturating_add(1.day());
    let mut missing = Vec::new();
    for (day, reason) in days.iter_mut() {
        let date = date_of(*day);
        if date < first_kept {
            *reason = Some(format!("its day {date} is older than the {} days that are kept", scope.retention_days));
        } else if date > last_kept {
            *reason = Some(format!("its day {date} is more than one day ahead of {today}"));
        } else if !existing.contains(&date) {
            missing.push(date);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    // A day made anew would be summed up anew, and the audit forget the numbers that were dropped with it.
    for dropped in days::dropped(tx, &missing)? {
        missing.retain(|date| *date != dropped);
        for (_, reason) in days.iter_mut().filter(|(day, _)| date_of(**day) == dropped) {
            *reason = Some(format!("its day {dropped} was dropped by retention already"));
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(WriteError::DaysMissing(missing)) }
}

/// The first day that retention keeps.
pub fn first_kept(today: Date, retention_days: i32) -> Date {
    today.saturating_sub(retention_days.days())
}

/// The full hour that holds `time`.
pub(super) fn hour_of(time: UtcTime) -> UtcTime {
    const HOUR_US: i64 = 3_600_000_000;
    UtcTime::from_micros(time.as_micros().div_euclid(HOUR_US) * HOUR_US)
}

/// Days since 1970.
pub(super) fn day_of(time: UtcTime) -> i64 {
    const DAY_US: i64 = 86_400_000_000;
    time.as_micros().div_euclid(DAY_US)
}

fn date_of(day: i64) -> Date {
    jiff::civil::date(1970, 1, 1).saturating_add(i32::try_from(day).unwrap_or(i32::MAX).days())
}

#[cfg(test)]
mod tests {
    use super::*;

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
    }
}
