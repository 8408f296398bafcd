//! The daily partitions of `result`.

use isitup_shared::crash_point;
use jiff::civil::Date;
use postgres::Row;

use super::{Session, StoreError, Tx};

/// The days of a batch, as the database sees them.
#[derive(Debug)]
pub struct Days {
    /// Today in UTC, by the database's clock.
    pub today: Date,
    /// Those that have a partition, which stays until the transaction ends.
    pub existing: Vec<Date>,
}

/// Which of `days` have a partition. They are kept from retention until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub fn find(tx: &mut Tx<'_>, days: &[Date]) -> Result<Days, StoreError> {
    let rows = tx.query(
        "SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date, found.day
         FROM (VALUES (1)) AS one LEFT JOIN LATERAL (
             SELECT day FROM result_day WHERE day = ANY ($1) FOR KEY SHARE) AS found ON true",
        &[&days],
    )?;
    let today = rows.first().map_or(Ok(Date::MIN), |row| row.try_get(0))?;
    let existing = rows.iter().filter_map(|row| row.try_get::<_, Option<Date>>(1).transpose());
    Ok(Days { today, existing: existing.collect::<Result<_, _>>()? })
}

/// Makes the partition of `day`, unless it is there: created by itself, then attached, so that nothing waits.
///
/// # Errors
/// When a statement fails.
pub fn ensure(tx: &mut Tx<'_>, day: Date) -> Result<(), StoreError> {
    // The row is also the lock: of two that make one day at a time, the second waits here and then has nothing to do.
    let is_new = tx.execute("INSERT INTO result_day (day) VALUES ($1) ON CONFLICT DO NOTHING", &[&day])? == 1;
    if !is_new {
        return Ok(());
    }
    crash_point!("day.named");
    tx.query("SELECT make_result_day($1)", &[&day])?;
    crash_point!("day.made");
    Ok(())
}

/// Those of `days` that retention has dropped: their numbers are summed up, and their rows gone.
///
/// # Errors
/// When the statement fails.
pub fn dropped(tx: &mut Tx<'_>, days: &[Date]) -> Result<Vec<Date>, StoreError> {
    let rows = tx.query(
        "SELECT day FROM audit_day a WHERE day = ANY ($1) AND NOT EXISTS (SELECT FROM result_day d WHERE d.day = a.day)",
        &[&days],
    )?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// How many days are kept by `consumer.retention`, which is `configured`, and by what the owner has recorded. The owner
/// records it; whoever else stores can drop no day that the owner keeps.
///
/// # Errors
/// When a statement fails.
pub fn agree_on_retention(tx: &mut Tx<'_>, configured: i32) -> Result<i32, StoreError> {
    let row = tx.query_one(
        "SELECT has_table_privilege('retention', 'INSERT') AND has_table_privilege('retention', 'UPDATE'),
                (SELECT keep_days FROM retention)",
        &[],
    )?;
    let (may_record, recorded): (bool, Option<i32>) = (row.try_get(0)?, row.try_get(1)?);
    if may_record {
        tx.execute(
            "INSERT INTO retention (keep_days) VALUES ($1) ON CONFLICT (only_row) DO UPDATE
             SET keep_days = excluded.keep_days, recorded_at = now() WHERE retention.keep_days <> excluded.keep_days",
            &[&configured],
        )?;
        return Ok(configured);
    }
    if let Some(longer) = recorded.filter(|recorded| *recorded > configured) {
        log::warn!(
            "results are kept for {longer} days, as the owner of the schema has recorded, and not for the {configured} days \
             of consumer.retention; to record these, let an administrator run: isitup-consumer setup-database"
        );
        return Ok(longer);
    }
    Ok(configured)
}

/// A partition that lies before what retention keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldPartition {
    /// Its day.
    pub day: Date,
    /// How far its removal has come.
    pub state: Attachment,
    /// Whether it is ours to change.
    pub is_owned: bool,
}

/// How a partition hangs on its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attachment {
    /// As usual.
    Attached,
    /// A detach was begun and cut off.
    Detaching,
    /// Not any more.
    Detached,
}

/// The partitions of days before `first_kept`, oldest first, however far their removal has come.
///
/// # Errors
/// When the statement fails.
pub fn before(tx: &mut Tx<'_>, first_kept: Date) -> Result<Vec<OldPartition>, StoreError> {
    let rows = tx.query(
        r"SELECT to_date(substr(c.relname, 8), 'YYYYMMDD') AS day, i.inhrelid IS NOT NULL, coalesce(i.inhdetachpending, false),
                 pg_has_role(c.relowner, 'USAGE')
          FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
          WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND c.relname ~ '^result_\d{8}$'
            AND to_date(substr(c.relname, 8), 'YYYYMMDD') < $1
          ORDER BY day",
        &[&first_kept],
    )?;
    let read = |row: &Row| -> Result<OldPartition, StoreError> {
        let state = match (row.try_get(1)?, row.try_get(2)?) {
            (false, _) => Attachment::Detached,
            (true, true) => Attachment::Detaching,
            (true, false) => Attachment::Attached,
        };
        Ok(OldPartition { day: row.try_get(0)?, state, is_owned: row.try_get(3)? })
    };
    rows.iter().map(read).collect()
}

/// Takes a day from the ingest: waits for transactions that still write to it, and lets no new one begin.
///
/// # Errors
/// When the statement fails.
pub fn close_for_good(tx: &mut Tx<'_>, day: Date) -> Result<(), StoreError> {
    tx.execute("DELETE FROM result_day WHERE day = $1", &[&day])?;
    Ok(())
}

/// Detaches and drops the partition of `old`, without holding up readers or writers of other days. Who does not own it
/// leaves it to the owner's function, which holds them up for a moment, or gives up after a tenth of a second.
///
/// # Errors
/// When a command fails; called again, it goes on where it stopped.
pub fn remove(session: &mut Session, schema: &str, old: &OldPartition) -> Result<(), StoreError> {
    if !old.is_owned {
        let mut tx = session.begin_house()?;
        tx.query("SELECT drop_result_day($1)", &[&old.day])?;
        return tx.commit();
    }
    let name = partition_name(old.day);
    let detach = match old.state {
        Attachment::Attached => Some("CONCURRENTLY"),
        Attachment::Detaching => Some("FINALIZE"),
        Attachment::Detached => None,
    };
    if let Some(how) = detach {
        session.execute_alone(&format!("ALTER TABLE {schema}.result DETACH PARTITION {schema}.{name} {how}"))?;
    }
    crash_point!("day.detached");
    session.execute_alone(&format!("DROP TABLE {schema}.{name}"))
}

fn partition_name(day: Date) -> String {
    format!("result_{}", day.strftime("%Y%m%d"))
}
