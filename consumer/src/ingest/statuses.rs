//! Statuses, incidents and intervals of a batch: each stored check, confirmations apart, is seen in the order of the topic, then what
//! changed is written once for each site and location.

use std::collections::{BTreeMap, HashMap};

use isitup_shared::time::UtcTime;
use uuid::Uuid;

use super::checks::PendingCheck;
use super::directory::{Directory, Place, SiteRef};
use super::status_change::{Turn, observe};
use super::write::WriteError;
use crate::store::incidents::{self, Closing, Incident};
use crate::store::sites;
use crate::store::statuses::{self, StatusRow};
use crate::store::{StoreError, Tx};

/// What a batch changes at one site and location.
#[derive(Debug)]
struct Change<'a> {
    /// Producer and number of the status before the batch.
    replaces: Option<(Uuid, u64)>,
    /// The version before the batch.
    version_before: Option<i32>,
    newest: Option<PendingCheck<'a>>,
    began_earlier: bool,
    /// When the incident that was open before the batch ended.
    closing: Option<UtcTime>,
    /// Incidents that began in the batch; only the last may still be open.
    incidents: Vec<(PendingCheck<'a>, Option<UtcTime>)>,
}

/// Writes what `stored` changes.
///
/// # Errors
/// When a statement fails, or another consumer changed a status since it was read.
pub(super) fn follow<'a>(
    tx: &mut Tx<'_>,
    directory: &mut Directory,
    stored: &[(PendingCheck<'a>, SiteRef)],
    now: UtcTime,
) -> Result<(), WriteError> {
    // A confirmation is a result of its own; what it means for its slot stands in the scheduled check.
    let scheduled = || stored.iter().filter(|(pending, _)| pending.check.confirmation.is_none());
    let wanted = scheduled().map(|(pending, site)| (site.site, pending.envelope.location.as_str()));
    directory.learn_statuses(tx, wanted)?;
    let mut changes: HashMap<(usize, usize), Change<'a>> = HashMap::new();
    let mut steps: BTreeMap<i32, i64> = BTreeMap::new();
    for (pending, site) in scheduled() {
        see(directory, &mut changes, &mut steps, (pending, site), now);
    }
    if !steps.is_empty() {
        sites::learn_intervals(tx, &steps.into_iter().collect::<Vec<_>>())?;
    }
    let mut sorted: Vec<(i32, &str, &Change<'a>, StatusRow<'_>)> = changes
        .iter()
        .filter_map(|((site, place), change)| {
            let (site_id, place) = directory.place(*site, *place)?;
            let row = row(site_id, place, change)?;
            Some((site_id, place.location.as_str(), change, row))
        })
        .collect();
    sorted.sort_by_key(|(site_id, location, ..)| (*site_id, *location));
    write_statuses(tx, &sorted)?;
    write_incidents(tx, &sorted)?;
    Ok(())
}

fn row<'s>(site_id: i32, place: &'s Place, change: &Change<'s>) -> Option<StatusRow<'s>> {
    let newest = change.newest.map(|pending| pending.check);
    Some(StatusRow {
        site_id,
        location: &place.location,
        status: place.status.as_ref()?,
        replaces: change.replaces,
        total_us: newest.map_or(0, |check| check.timings_us.total),
        http_status: newest.and_then(|check| check.status),
        certificate_expires_at: newest.and_then(|check| check.certificate_expires_at),
        failure: newest.and_then(|check| check.outcome.failure()),
        prober_fault: newest.and_then(|check| check.prober_fault.as_deref()),
        maintenance: newest.is_some_and(|check| check.maintenance),
        confirmed: newest.and_then(|check| check.confirmed),
    })
}

type Sorted<'s, 'a> = (i32, &'s str, &'s Change<'a>, StatusRow<'s>);

fn see<'a>(
    directory: &mut Directory,
    changes: &mut HashMap<(usize, usize), Change<'a>>,
    steps: &mut BTreeMap<i32, i64>,
    (pending, site): (&PendingCheck<'a>, &SiteRef),
    now: UtcTime,
) {
    let Some((index, place)) = directory.place_mut(site.site, &pending.envelope.location) else { return };
    let before = place.status.as_ref().map(|status| (status.producer_id, status.seq));
    let version_before = place.status.as_ref().map(|status| status.version_id);
    let observation = observe(&mut place.status, pending.envelope, pending.check, site.version_id, now);
    if !observation.is_newer && !observation.began_earlier {
        return;
    }
    let change = changes.entry((site.site, index)).or_insert_with(|| Change {
        replaces: before,
        version_before,
        newest: None,
        began_earlier: false,
        closing: None,
        incidents: Vec::new(),
    });
    change.began_earlier |= observation.began_earlier;
    if observation.is_newer {
        change.newest = Some(*pending);
    }
    match observation.turn {
        Some(Turn::WentDown) => change.incidents.push((*pending, None)),
        Some(Turn::CameUp) => match change.incidents.last_mut() {
            Some((_, closed_at)) => *closed_at = Some(pending.check.finished_at),
            None => change.closing = Some(pending.check.finished_at),
        },
        None => {}
    }
    if let Some(step) = observation.step_us
        && directory.note_step(site.site, site.version_id, step)
    {
        steps.insert(site.version_id, step);
    }
}

fn write_statuses(tx: &mut Tx<'_>, sorted: &[Sorted<'_, '_>]) -> Result<(), WriteError> {
    let with_newest = || sorted.iter().filter(|(_, _, change, _)| change.newest.is_some());
    let (known, new): (Vec<StatusRow<'_>>, Vec<StatusRow<'_>>) =
        with_newest().map(|(.., row)| *row).partition(|row| row.replaces.is_some());
    let mut written = 0;
    if !new.is_empty() {
        written += statuses::insert(tx, &new)?;
    }
    if !known.is_empty() {
        written += statuses::replace(tx, &known)?;
    }
    if written != (new.len() + known.len()) as u64 {
        return Err(WriteError::StatusMoved);
    }
    let firsts: Vec<(i32, &str, UtcTime)> = sorted
        .iter()
        .filter(|(_, _, change, _)| change.newest.is_none() && change.began_earlier)
        .map(|(site_id, location, _, row)| (*site_id, *location, row.status.first_scheduled_at))
        .collect();
    if !firsts.is_empty() {
        statuses::begin_earlier(tx, &firsts)?;
    }
    let moved: Vec<i32> = sorted
        .iter()
        .filter(|(_, _, change, row)| change.version_before.is_some_and(|before| before != row.status.version_id))
        .map(|(.., row)| row.status.version_id)
        .collect();
    if !moved.is_empty() {
        sites::follow_versions(tx, &moved)?;
    }
    Ok(())
}

fn write_incidents(tx: &mut Tx<'_>, sorted: &[Sorted<'_, '_>]) -> Result<(), StoreError> {
    let closings: Vec<Closing<'_>> = sorted
        .iter()
        .filter_map(|(site_id, location, change, _)| Some(Closing { site_id: *site_id, location, at: change.closing? }))
        .collect();
    if !closings.is_empty() {
        incidents::close(tx, &closings)?;
    }
    let opened: Vec<Incident<'_>> = sorted
        .iter()
        .flat_map(|(site_id, location, change, _)| {
            change.incidents.iter().filter_map(|(first, closed_at)| {
                Some(Incident {
                    site_id: *site_id,
                    location,
                    opened_at: first.check.finished_at,
                    closed_at: *closed_at,
                    failure: first.check.outcome.failure()?,
                })
            })
        })
        .collect();
    if !opened.is_empty() {
        incidents::insert(tx, &opened)?;
    }
    Ok(())
}
