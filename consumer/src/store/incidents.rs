//! Times for which a site was down.

use isitup_shared::event::Failure;
use isitup_shared::time::UtcTime;

use super::{PgTime, StoreError, Tx};

/// The end of an incident that is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closing<'a> {
    /// The site.
    pub site_id: i32,
    /// Where it was checked.
    pub location: &'a str,
    /// When it was up again.
    pub at: UtcTime,
}

/// An incident to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incident<'a> {
    /// The site.
    pub site_id: i32,
    /// Where it was checked.
    pub location: &'a str,
    /// When it was first seen down.
    pub opened_at: UtcTime,
    /// When it was up again, unless it still is down.
    pub closed_at: Option<UtcTime>,
    /// How the first check failed.
    pub failure: &'a Failure,
}

/// Closes the open incidents of these sites.
///
/// # Errors
/// When the statement fails.
pub fn close(tx: &mut Tx<'_>, closings: &[Closing<'_>]) -> Result<u64, StoreError> {
    let sites: Vec<i32> = closings.iter().map(|closing| closing.site_id).collect();
    let locations: Vec<&str> = closings.iter().map(|closing| closing.location).collect();
    let times: Vec<PgTime> = closings.iter().map(|closing| PgTime(closing.at)).collect();
    tx.execute(
        // A clock that was set back must not make an incident end before it began.
        "UPDATE incident i SET closed_at = greatest(n.at, i.opened_at)
         FROM unnest($1::int[], $2::text[], $3::timestamptz[]) AS n (site_id, location, at)
         WHERE i.site_id = n.site_id AND i.location = n.location AND i.closed_at IS NULL",
        &[&sites, &locations, &times],
    )
}

/// Stores incidents. At most one of a site and location may be open; a second one is left out.
///
/// # Errors
/// When the statement fails.
pub fn insert(tx: &mut Tx<'_>, incidents: &[Incident<'_>]) -> Result<u64, StoreError> {
    let sites: Vec<i32> = incidents.iter().map(|incident| incident.site_id).collect();
    let locations: Vec<&str> = incidents.iter().map(|incident| incident.location).collect();
    let opened: Vec<PgTime> = incidents.iter().map(|incident| PgTime(incident.opened_at)).collect();
    let closed: Vec<Option<PgTime>> = incidents.iter().map(|incident| incident.closed_at.map(PgTime)).collect();
    let kinds: Vec<&str> = incidents.iter().map(|incident| incident.failure.kind.as_str()).collect();
    let details: Vec<&str> = incidents.iter().map(|incident| incident.failure.detail.as_str()).collect();
    tx.execute(
        "INSERT INTO incident (site_id, location, opened_at, closed_at, failure_kind, failure_detail)
         SELECT site_id, location, opened_at, greatest(closed_at, CASE WHEN closed_at IS NOT NULL THEN opened_at END), kind, detail
         FROM unnest($1::int[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::text[], $6::text[])
              AS n (site_id, location, opened_at, closed_at, kind, detail)
         -- A consumer of an older release, still running beside this one, may have opened it for what does not count.
         ON CONFLICT (site_id, location) WHERE closed_at IS NULL DO NOTHING",
        &[&sites, &locations, &opened, &closed, &kinds, &details],
    )
}
