//! Housekeeping: whose turn it is, hours and days to be summed up.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use uuid::Uuid;

use super::{StoreError, Tx};

/// Takes the turn for `hold`, unless another consumer has it; not for longer than it can have it, whatever the table says.
/// Whether it was taken.
///
/// # Errors
/// When the statement fails.
pub fn take_turn(tx: &mut Tx<'_>, owner: Uuid, hold: Duration) -> Result<bool, StoreError> {
    let taken = tx.execute(
        "UPDATE maintenance SET owner = $1, expires_at = clock_timestamp() + $2::float8 * interval '1 s'
         WHERE owner IS NULL OR owner = $1 OR expires_at < clock_timestamp()
            OR expires_at > clock_timestamp() + 2 * $2::float8 * interval '1 s'",
        &[&owner, &hold.as_secs_f64()],
    )?;
    Ok(taken == 1)
}

/// Gives the turn back; `has_succeeded` says whether all that was due was done.
///
/// # Errors
/// When the statement fails.
pub fn end_turn(tx: &mut Tx<'_>, owner: Uuid, has_succeeded: bool) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE maintenance SET owner = NULL, expires_at = NULL,
             succeeded_at = CASE WHEN $2 THEN clock_timestamp() ELSE succeeded_at END
         WHERE owner = $1",
        &[&owner, &has_succeeded],
    )?;
    Ok(())
}

/// How far the housekeeping has come, whichever consumer did it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// When all that was due was last done without an error, in seconds since 1970; 0 before the first time.
    pub succeeded_at: f64,
    /// How long ago that was, in seconds; 0 before the first time.
    pub success_age: f64,
    /// How long ago the oldest hour ended that is not summed up, in seconds; 0 where there is none.
    pub oldest_unsummed_age: f64,
    /// Partitions of days to come.
    pub days_ahead: i64,
    /// Today in UTC, by the database's clock.
    pub today: Date,
}

/// Reads how far the housekeeping has come.
///
/// # Errors
/// When the statement fails.
pub fn progress(tx: &mut Tx<'_>) -> Result<Progress, StoreError> {
    let row = tx.query_one(
        "SELECT coalesce(extract(epoch FROM m.succeeded_at), 0)::float8,
                coalesce(extract(epoch FROM clock_timestamp() - h.oldest - interval '1 hour'), 0)::float8,
                (SELECT count(*) FROM result_day WHERE day > t.today), t.today,
                coalesce(extract(epoch FROM clock_timestamp() - m.succeeded_at), 0)::float8
         FROM maintenance m, LATERAL (SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date AS today) t,
              LATERAL (SELECT date_trunc('hour', now() - interval '2 minutes', 'UTC') AS present) p,
              LATERAL (SELECT least(CASE WHEN m.rolled_until < p.present THEN m.rolled_until END,
                                    (SELECT min(hour) FROM dirty_hour WHERE hour < p.present)) AS oldest) h",
        &[],
    )?;
    Ok(Progress {
        succeeded_at: row.try_get(0)?,
        oldest_unsummed_age: row.try_get(1)?,
        days_ahead: row.try_get(2)?,
        today: row.try_get(3)?,
        success_age: row.try_get(4)?,
    })
}

/// Marks every hour that has passed since the last call, so that hours without any result are summed up too; not those
/// before `first_kept`, whose results are gone. An hour has passed two minutes after its end.
///
/// # Errors
/// When a statement fails.
pub fn mark_passed_hours(tx: &mut Tx<'_>, first_kept: Date) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO dirty_hour (hour, partition, marked_at)
         SELECT generate_series(
                    greatest(coalesce(m.rolled_until, b.first_hour), $1::date::timestamp AT TIME ZONE 'UTC'),
                    date_trunc('hour', now() - interval '2 minutes', 'UTC') - interval '1 hour',
                    interval '1 hour'), -1, '-infinity'
         FROM maintenance m,
              (SELECT date_trunc('hour', min(first_scheduled_at), 'UTC') AS first_hour FROM site_status) b
         WHERE b.first_hour IS NOT NULL
         ON CONFLICT (hour, partition) DO UPDATE SET marks = dirty_hour.marks + 1",
        &[&first_kept],
    )?;
    tx.execute(
        "UPDATE maintenance
         SET rolled_until = greatest(rolled_until, date_trunc('hour', now() - interval '2 minutes', 'UTC'))
         WHERE EXISTS (SELECT FROM site_status)",
        &[],
    )?;
    Ok(())
}

/// Hours that have passed and are marked, oldest first; not those that still get rows every few seconds.
///
/// # Errors
/// When the statement fails.
pub fn dirty_hours(tx: &mut Tx<'_>) -> Result<Vec<Timestamp>, StoreError> {
    // `peek --follow` relies on a mark living for a few seconds.
    let rows = tx.query(
        "SELECT hour FROM dirty_hour WHERE hour < date_trunc('hour', now() - interval '2 minutes', 'UTC')
         GROUP BY hour HAVING max(marked_at) < now() - interval '10 seconds' ORDER BY hour",
        &[],
    )?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// The marked hours of one day.
///
/// # Errors
/// When the statement fails.
pub fn dirty_hours_of(tx: &mut Tx<'_>, day: Date) -> Result<Vec<Timestamp>, StoreError> {
    let rows = tx.query(
        "SELECT DISTINCT hour FROM dirty_hour
         WHERE hour >= $1::date::timestamp AT TIME ZONE 'UTC' AND hour < ($1::date + 1)::timestamp AT TIME ZONE 'UTC'",
        &[&day],
    )?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Sums an hour up anew and removes its marks, except for those set since they were read. The hour's day is no longer
/// summed for the audit then.
///
/// # Errors
/// When a statement fails.
pub fn sum_hour(tx: &mut Tx<'_>, hour: Timestamp) -> Result<(), StoreError> {
    // The marks are read first, each statement sees what was committed before it: rows that come in between leave
    // their mark.
    let marks = tx.query("SELECT partition, marks FROM dirty_hour WHERE hour = $1", &[&hour])?;
    let partitions = marks.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<Vec<i32>, StoreError>>()?;
    let counts = marks.iter().map(|row| Ok(row.try_get(1)?)).collect::<Result<Vec<i64>, StoreError>>()?;
    tx.execute("DELETE FROM uptime_hour WHERE hour = $1", &[&hour])?;
    tx.execute(
        "INSERT INTO uptime_hour (hour, site_id, location, up, down, unknown, maintenance)
         SELECT $1, site_id, location, up, down, unknown, maintenance
         FROM uptime_between($1::timestamptz, $1::timestamptz + interval '1 hour')
         WHERE up + down + unknown + maintenance > 0",
        &[&hour],
    )?;
    reopen_day(tx, hour)?;
    tx.execute(
        "DELETE FROM dirty_hour d USING unnest($2::int[], $3::bigint[]) AS seen (partition, marks)
         WHERE d.hour = $1 AND d.partition = seen.partition AND d.marks = seen.marks",
        &[&hour, &partitions, &counts],
    )?;
    Ok(())
}

fn reopen_day(tx: &mut Tx<'_>, hour: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM audit_day a USING result_day d WHERE a.day = ($1 AT TIME ZONE 'UTC')::date AND d.day = a.day",
        &[&hour],
    )?;
    Ok(())
}

/// Days that ended an hour ago or more, have no marks, and are not summed for the audit.
///
/// # Errors
/// When the statement fails.
pub fn days_to_sum(tx: &mut Tx<'_>) -> Result<Vec<Date>, StoreError> {
    let rows = tx.query(
        "SELECT d.day FROM result_day d
         WHERE d.day < ((now() - interval '1 hour') AT TIME ZONE 'UTC')::date
           AND NOT EXISTS (SELECT FROM audit_day a WHERE a.day = d.day)
           AND NOT EXISTS (
               SELECT FROM dirty_hour h WHERE h.hour >= d.day::timestamp AT TIME ZONE 'UTC'
                   AND h.hour < (d.day + 1)::timestamp AT TIME ZONE 'UTC')
         ORDER BY d.day",
        &[],
    )?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Whether the day's numbers are summed for the audit.
///
/// # Errors
/// When the statement fails.
pub fn is_summed(tx: &mut Tx<'_>, day: Date) -> Result<bool, StoreError> {
    Ok(tx.query_one("SELECT EXISTS (SELECT FROM audit_day WHERE day = $1)", &[&day])?.try_get(0)?)
}

/// Sums a day's numbers up for the audit.
///
/// # Errors
/// When a statement fails.
pub fn sum_day(tx: &mut Tx<'_>, day: Date) -> Result<(), StoreError> {
    tx.execute("INSERT INTO audit_day (day) VALUES ($1)", &[&day])?;
    tx.execute(
        "INSERT INTO audit_sum (day, producer_id, seqs, doubled)
         SELECT $1, producer_id, seqs, doubled FROM day_numbers($1)",
        &[&day],
    )?;
    Ok(())
}

/// Drops a day's events of producers about themselves; its numbers must be summed.
///
/// # Errors
/// When the statement fails.
pub fn drop_producer_events(tx: &mut Tx<'_>, day: Date) -> Result<u64, StoreError> {
    tx.execute(
        "DELETE FROM producer_event
         WHERE at >= $1::date::timestamp AT TIME ZONE 'UTC' AND at < ($1::date + 1)::timestamp AT TIME ZONE 'UTC'",
        &[&day],
    )
}

/// Forgets the sums of a day, so that they are made anew.
///
/// # Errors
/// When the statement fails.
pub fn forget_sum(tx: &mut Tx<'_>, day: Date) -> Result<(), StoreError> {
    tx.execute("DELETE FROM audit_day WHERE day = $1", &[&day])?;
    Ok(())
}
