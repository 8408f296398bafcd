//! What people read: the newest checks, new ones as they come, and figures per site.

use jiff::Timestamp;
use postgres::Row;

use super::{StoreError, Tx};

/// A check as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownCheck {
    /// The slot.
    pub scheduled_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// The site.
    pub site: String,
    /// Where it was checked.
    pub location: String,
    /// How it failed, unless it was up.
    pub failure: Option<(String, String)>,
    /// HTTP status.
    pub status: Option<i32>,
    /// The whole duration, in microseconds.
    pub total_us: i64,
    /// Which confirmation of its slot's failure it is, where it is one.
    pub confirmation: Option<i32>,
    /// Whether all confirmations of its failure failed too.
    pub confirmed: Option<bool>,
    /// Whether its slot lies in a maintenance window.
    pub maintenance: bool,
    /// Why its failure says nothing about the site.
    pub prober_fault: Option<String>,
    /// The whole row, its columns named as the contract's fields.
    pub row: serde_json::Value,
}

impl ShownCheck {
    fn read(row: &Row) -> Result<Self, StoreError> {
        let kind: Option<String> = row.try_get(4)?;
        let detail: Option<String> = row.try_get(5)?;
        Ok(Self {
            scheduled_at: row.try_get(0)?,
            finished_at: row.try_get(1)?,
            site: row.try_get(2)?,
            location: row.try_get(3)?,
            failure: kind.zip(detail),
            status: row.try_get(6)?,
            total_us: row.try_get(7)?,
            row: row.try_get(8)?,
            confirmation: row.try_get(9)?,
            confirmed: row.try_get(10)?,
            maintenance: row.try_get(11)?,
            prober_fault: row.try_get(12)?,
        })
    }
}

/// The `limit` newest checks by their slot, newest first.
///
/// # Errors
/// When the statement fails.
pub fn newest(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<ShownCheck>, StoreError> {
    let rows = tx.query(
        "SELECT scheduled_at, finished_at, site, location, failure_kind, failure_detail, status, total_us,
                jsonb_strip_nulls(to_jsonb(c)), confirmation, confirmed, maintenance, prober_fault
         FROM check_result c ORDER BY scheduled_at DESC, finished_at DESC LIMIT $1",
        &[&limit],
    )?;
    rows.iter().map(ShownCheck::read).collect()
}

/// The moment that this transaction sees, for [`since`].
///
/// # Errors
/// When the statement fails.
pub fn moment(tx: &mut Tx<'_>) -> Result<String, StoreError> {
    Ok(tx.query_one("SELECT pg_current_snapshot()::text", &[])?.try_get(0)?)
}

/// The checks that this transaction sees and `moment` did not, in the order of their slots: none twice, none left out,
/// however late it came. Only hours that were marked since are searched.
///
/// # Errors
/// When the statement fails.
pub fn since(tx: &mut Tx<'_>, moment: &str) -> Result<Vec<ShownCheck>, StoreError> {
    let rows = tx.query(
        "SELECT c.scheduled_at, c.finished_at, c.site, c.location, c.failure_kind, c.failure_detail, c.status,
                c.total_us, jsonb_strip_nulls(to_jsonb(c)), c.confirmation, c.confirmed, c.maintenance, c.prober_fault
         FROM (SELECT DISTINCT d.hour FROM dirty_hour d WHERE came_after(d.xmin, $1::text::pg_snapshot)) h
         CROSS JOIN LATERAL (
             SELECT r.scheduled_at, r.producer_id, r.seq FROM result r
             WHERE r.scheduled_at >= h.hour AND r.scheduled_at < h.hour + interval '1 hour'
               AND came_after(r.xmin, $1::text::pg_snapshot)) n
         JOIN check_result c ON c.scheduled_at = n.scheduled_at AND c.producer_id = n.producer_id AND c.seq = n.seq
         ORDER BY c.scheduled_at, c.finished_at",
        &[&moment],
    )?;
    rows.iter().map(ShownCheck::read).collect()
}

/// Figures of one site.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct SiteReport {
    /// The site.
    pub site: String,
    /// Slots that were up.
    pub up: i64,
    /// Slots that were down.
    pub down: i64,
    /// Slots that were due and have no result, or one that says nothing about the site.
    pub unknown: i64,
    /// Slots in a maintenance window.
    pub maintenance: i64,
    /// Up among the known ones, in percent; absent where none is known.
    pub uptime_percent: Option<f64>,
    /// Results, without confirmations.
    pub checks: i64,
    /// Confirmations of failures.
    pub confirmations: i64,
    /// Half of the good checks, those in maintenance apart, were at least as fast, in microseconds.
    pub p50_us: Option<i64>,
    /// 95 % of the good checks were at least as fast, in microseconds.
    pub p95_us: Option<i64>,
    /// Times for which it was down, also those that began before.
    pub incidents: i64,
    /// Whether it is down at some location now.
    pub is_down: bool,
}

impl SiteReport {
    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            site: row.try_get(0)?,
            up: row.try_get(1)?,
            down: row.try_get(2)?,
            unknown: row.try_get(3)?,
            uptime_percent: row.try_get(4)?,
            checks: row.try_get(5)?,
            p50_us: row.try_get(6)?,
            p95_us: row.try_get(7)?,
            incidents: row.try_get(8)?,
            is_down: row.try_get(9)?,
            maintenance: row.try_get(10)?,
            confirmations: row.try_get(11)?,
        })
    }
}

/// Figures of every site from `since` until now.
///
/// # Errors
/// When the statement fails.
pub fn report(tx: &mut Tx<'_>, since: Timestamp) -> Result<Vec<SiteReport>, StoreError> {
    let rows = tx.query(
        "WITH edge AS (
             SELECT date_trunc('hour', $1::timestamptz + interval '59 minutes 59.999999 seconds', 'UTC') AS full_hour
         ), slots AS (
             SELECT x.site, sum(x.up)::bigint AS up, sum(x.down)::bigint AS down, sum(x.unknown)::bigint AS unknown,
                    sum(x.maintenance)::bigint AS maintenance
             FROM (
                 SELECT u.site, u.up, u.down, u.unknown, u.maintenance FROM edge e JOIN uptime u ON u.hour >= e.full_hour
                 UNION ALL
                 SELECT s.name, b.up, b.down, b.unknown, b.maintenance
                 FROM edge e CROSS JOIN LATERAL uptime_between($1, e.full_hour) b JOIN site s USING (site_id)
             ) x GROUP BY x.site
         ), figures AS (
             SELECT r.site_id, count(*) FILTER (WHERE r.confirmation IS NULL) AS checks, count(r.confirmation) AS confirmations,
                    percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY r.total_us)
                        FILTER (WHERE r.failure_kind IS NULL AND r.confirmation IS NULL AND r.maintenance IS NOT true)
                        AS percentiles
             FROM result r WHERE r.scheduled_at >= $1 GROUP BY r.site_id
         ), downs AS (
             SELECT i.site_id, count(*) AS incidents, bool_or(i.closed_at IS NULL) AS is_down
             FROM incident i WHERE i.closed_at IS NULL OR i.closed_at >= $1 GROUP BY i.site_id
         )
         SELECT s.name, coalesce(l.up, 0), coalesce(l.down, 0), coalesce(l.unknown, 0),
                (100.0 * l.up / nullif(l.up + l.down, 0))::float8, coalesce(f.checks, 0),
                f.percentiles[1], f.percentiles[2], coalesce(d.incidents, 0), coalesce(d.is_down, false),
                coalesce(l.maintenance, 0), coalesce(f.confirmations, 0)
         FROM site s LEFT JOIN slots l ON l.site = s.name LEFT JOIN figures f USING (site_id) LEFT JOIN downs d USING (site_id)
         WHERE coalesce(l.up + l.down + l.unknown + l.maintenance, 0) + coalesce(f.checks + f.confirmations, 0) > 0
         ORDER BY s.name",
        &[&since],
    )?;
    rows.iter().map(SiteReport::read).collect()
}
