//! The latest scheduled result of each site at each location.

use isitup_shared::event::Failure;
use isitup_shared::time::UtcTime;
use postgres::types::ToSql;
use uuid::Uuid;

use super::results::big;
use super::{PgTime, StoreError, Tx};

/// What deciding about the next event needs to know of the latest one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Who said it.
    pub producer_id: Uuid,
    /// Its number there.
    pub seq: u64,
    /// The site's configuration then.
    pub version_id: i32,
    /// The first slot ever seen.
    pub first_scheduled_at: UtcTime,
    /// The latest slot.
    pub scheduled_at: UtcTime,
    /// When that check ended.
    pub finished_at: UtcTime,
    /// The same, but no later than when it was stored.
    pub ordered_at: UtcTime,
    /// Since when it is up, or down; where neither is known, since it was first seen.
    pub since: UtcTime,
    /// Whether it is down, by the latest check that counts; `None` until there is one.
    pub is_down: Option<bool>,
}

/// A status to be written.
#[derive(Clone, Copy, Debug)]
pub struct StatusRow<'a> {
    /// The site.
    pub site_id: i32,
    /// Where it was checked.
    pub location: &'a str,
    /// What it is now.
    pub status: &'a Status,
    /// Producer and number of the status it replaces.
    pub replaces: Option<(Uuid, u64)>,
    /// The whole duration of the check, in microseconds.
    pub total_us: u64,
    /// HTTP status.
    pub http_status: Option<u16>,
    /// When the certificate expires.
    pub certificate_expires_at: Option<UtcTime>,
    /// How it failed.
    pub failure: Option<&'a Failure>,
    /// Why the failure says nothing about the site.
    pub prober_fault: Option<&'a str>,
    /// Whether the slot lies in a maintenance window.
    pub maintenance: bool,
    /// Whether all confirmations of the failure failed too.
    pub confirmed: Option<bool>,
}

/// Reads the statuses of sites at locations.
///
/// # Errors
/// When the statement fails.
pub fn load(tx: &mut Tx<'_>, keys: &[(i32, &str)]) -> Result<Vec<(i32, String, Status)>, StoreError> {
    let (sites, locations): (Vec<i32>, Vec<&str>) = keys.iter().copied().unzip();
    let rows = tx.query(
        "SELECT t.site_id, t.location, t.producer_id, t.seq, t.version_id, t.first_scheduled_at, t.scheduled_at,
                t.finished_at, t.since, t.is_down,
                coalesce(t.ordered_at, least(t.finished_at, now()))
         FROM unnest($1::int[], $2::text[]) AS k (site_id, location) JOIN site_status t USING (site_id, location)",
        &[&sites, &locations],
    )?;
    let time = |row: &postgres::Row, index: usize| -> Result<UtcTime, StoreError> {
        Ok(row.try_get::<_, jiff::Timestamp>(index)?.into())
    };
    let read = |row: &postgres::Row| -> Result<(i32, String, Status), StoreError> {
        let status = Status {
            producer_id: row.try_get(2)?,
            seq: u64::try_from(row.try_get::<_, i64>(3)?).unwrap_or(0),
            version_id: row.try_get(4)?,
            first_scheduled_at: time(row, 5)?,
            scheduled_at: time(row, 6)?,
            finished_at: time(row, 7)?,
            since: time(row, 8)?,
            is_down: row.try_get(9)?,
            ordered_at: time(row, 10)?,
        };
        Ok((row.try_get(0)?, row.try_get(1)?, status))
    };
    rows.iter().map(read).collect()
}

/// Arrays of the columns that both statements take, in one order.
struct Arrays<'a> {
    site_id: Vec<i32>,
    location: Vec<&'a str>,
    version_id: Vec<i32>,
    producer_id: Vec<Uuid>,
    seq: Vec<i64>,
    first_scheduled_at: Vec<PgTime>,
    scheduled_at: Vec<PgTime>,
    finished_at: Vec<PgTime>,
    since: Vec<PgTime>,
    certificate_expires_at: Vec<Option<PgTime>>,
    total_us: Vec<i64>,
    status: Vec<Option<i32>>,
    failure_kind: Vec<Option<&'a str>>,
    failure_detail: Vec<Option<&'a str>>,
    prober_fault: Vec<Option<&'a str>>,
    maintenance: Vec<bool>,
    confirmed: Vec<Option<bool>>,
    is_down: Vec<Option<bool>>,
    ordered_at: Vec<PgTime>,
}

impl<'a> Arrays<'a> {
    fn of(rows: &[StatusRow<'a>]) -> Self {
        let each = || rows.iter();
        Self {
            site_id: each().map(|row| row.site_id).collect(),
            location: each().map(|row| row.location).collect(),
            version_id: each().map(|row| row.status.version_id).collect(),
            producer_id: each().map(|row| row.status.producer_id).collect(),
            seq: each().map(|row| big(row.status.seq)).collect(),
            first_scheduled_at: each().map(|row| PgTime(row.status.first_scheduled_at)).collect(),
            scheduled_at: each().map(|row| PgTime(row.status.scheduled_at)).collect(),
            finished_at: each().map(|row| PgTime(row.status.finished_at)).collect(),
            since: each().map(|row| PgTime(row.status.since)).collect(),
            certificate_expires_at: each().map(|row| row.certificate_expires_at.map(PgTime)).collect(),
            total_us: each().map(|row| big(row.total_us)).collect(),
            status: each().map(|row| row.http_status.map(i32::from)).collect(),
            failure_kind: each().map(|row| row.failure.map(|failure| failure.kind.as_str())).collect(),
            failure_detail: each().map(|row| row.failure.map(|failure| failure.detail.as_str())).collect(),
            prober_fault: each().map(|row| row.prober_fault).collect(),
            maintenance: each().map(|row| row.maintenance).collect(),
            confirmed: each().map(|row| row.confirmed).collect(),
            is_down: each().map(|row| row.status.is_down).collect(),
            ordered_at: each().map(|row| PgTime(row.status.ordered_at)).collect(),
        }
    }

    fn params(&self) -> [&(dyn ToSql + Sync); 19] {
        [
            &self.site_id,
            &self.location,
            &self.version_id,
            &self.producer_id,
            &self.seq,
            &self.first_scheduled_at,
            &self.scheduled_at,
            &self.finished_at,
            &self.since,
            &self.certificate_expires_at,
            &self.total_us,
            &self.status,
            &self.failure_kind,
            &self.failure_detail,
            &self.prober_fault,
            &self.maintenance,
            &self.confirmed,
            &self.is_down,
            &self.ordered_at,
        ]
    }
}

/// Adds the statuses of sites that had none. Returns how many; fewer when another consumer was faster.
///
/// # Errors
/// When the statement fails.
pub fn insert(tx: &mut Tx<'_>, rows: &[StatusRow<'_>]) -> Result<u64, StoreError> {
    let a = Arrays::of(rows);
    tx.execute(
        "INSERT INTO site_status (site_id, location, version_id, producer_id, seq, first_scheduled_at, scheduled_at,
             finished_at, since, certificate_expires_at, total_us, status, failure_kind, failure_detail, prober_fault,
             maintenance, confirmed, is_down, ordered_at)
         SELECT * FROM unnest($1::int[], $2::text[], $3::int[], $4::uuid[], $5::bigint[], $6::timestamptz[],
             $7::timestamptz[], $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::bigint[], $12::int[],
             $13::text[], $14::text[], $15::text[], $16::bool[], $17::bool[], $18::bool[], $19::timestamptz[])
         ON CONFLICT DO NOTHING",
        &a.params(),
    )
}

/// Replaces statuses that still are what they were taken for. Returns how many; fewer when another consumer was faster.
///
/// # Errors
/// When the statement fails.
pub fn replace(tx: &mut Tx<'_>, rows: &[StatusRow<'_>]) -> Result<u64, StoreError> {
    let a = Arrays::of(rows);
    let replaced_producer: Vec<Option<Uuid>> = rows.iter().map(|row| row.replaces.map(|(id, _)| id)).collect();
    let replaced_seq: Vec<Option<i64>> = rows.iter().map(|row| row.replaces.map(|(_, seq)| big(seq))).collect();
    let mut params = a.params().to_vec();
    params.extend([&replaced_producer as &(dyn ToSql + Sync), &replaced_seq]);
    tx.execute(
        "UPDATE site_status t
         SET version_id = n.version_id, producer_id = n.producer_id, seq = n.seq,
             first_scheduled_at = n.first_scheduled_at, scheduled_at = n.scheduled_at, finished_at = n.finished_at,
             since = n.since, certificate_expires_at = n.certificate_expires_at, total_us = n.total_us,
             status = n.status, failure_kind = n.failure_kind, failure_detail = n.failure_detail,
             prober_fault = n.prober_fault, maintenance = n.maintenance, confirmed = n.confirmed, is_down = n.is_down,
             ordered_at = n.ordered_at
         FROM unnest($1::int[], $2::text[], $3::int[], $4::uuid[], $5::bigint[], $6::timestamptz[],
             $7::timestamptz[], $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::bigint[], $12::int[],
             $13::text[], $14::text[], $15::text[], $16::bool[], $17::bool[], $18::bool[], $19::timestamptz[],
             $20::uuid[], $21::bigint[])
             AS n (site_id, location, version_id, producer_id, seq, first_scheduled_at, scheduled_at, finished_at,
                 since, certificate_expires_at, total_us, status, failure_kind, failure_detail, prober_fault,
                 maintenance, confirmed, is_down, ordered_at, old_producer_id, old_seq)
         WHERE t.site_id = n.site_id AND t.location = n.location
           AND t.producer_id = n.old_producer_id AND t.seq = n.old_seq",
        &params,
    )
}

/// Moves the first slot of sites back: an earlier one arrived late. `firsts` must be sorted.
///
/// # Errors
/// When the statement fails.
pub fn begin_earlier(tx: &mut Tx<'_>, firsts: &[(i32, &str, UtcTime)]) -> Result<(), StoreError> {
    let sites: Vec<i32> = firsts.iter().map(|first| first.0).collect();
    let locations: Vec<&str> = firsts.iter().map(|first| first.1).collect();
    let slots: Vec<PgTime> = firsts.iter().map(|first| PgTime(first.2)).collect();
    tx.execute(
        "UPDATE site_status t SET first_scheduled_at = least(t.first_scheduled_at, n.slot)
         FROM unnest($1::int[], $2::text[], $3::timestamptz[]) AS n (site_id, location, slot)
         WHERE t.site_id = n.site_id AND t.location = n.location",
        &[&sites, &locations, &slots],
    )?;
    Ok(())
}
