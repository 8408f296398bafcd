//! One transaction for one batch: the offsets first, then everything that the records bring.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use isitup_shared::event::{Body, Event};
use isitup_shared::time::UtcTime;
use jiff::ToSpan;
use jiff::civil::Date;
use uuid::Uuid;

use super::batch::Batch;
use super::checks::{self, Fate, PendingCheck};
use super::decode::Record;
use super::directory::Directory;
use super::{statuses, words};
use crate::store::days::{self, Days};
use crate::store::dirty::{self, Mark};
use crate::store::offsets::{self, Move};
use crate::store::producers::{self, Insertion, ProducerWord};
use crate::store::rejected::{self, Rejection};
use crate::store::{StoreError, Tx};

/// What stays the same from batch to batch.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The topic.
    pub topic: String,
    /// This process, as the leases know it.
    pub owner: Uuid,
    /// How long a lease holds after each move.
    pub lease: Duration,
    /// How many days before today are kept.
    pub retention_days: i32,
}

/// What a transaction brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// New rows, over all types of event.
    pub stored: u64,
    /// Events that were stored before.
    pub duplicates: u64,
    /// Messages set aside.
    pub rejected: u64,
}

/// Why a batch was not written. The transaction must be rolled back, and the directory forgotten.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A statement failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// These partitions are no longer ours, or no longer stand where they were.
    #[error("the lease of partitions {0:?} is gone")]
    LeaseLost(Vec<i32>),
    /// These days need a partition first.
    #[error("days without a partition: {0:?}")]
    DaysMissing(Vec<Date>),
    /// Another consumer changed a status since it was read.
    #[error("a status was changed by another consumer")]
    StatusMoved,
}

/// Writes `batch` inside `tx`, without committing.
///
/// # Errors
/// See [`WriteError`].
pub fn write(tx: &mut Tx<'_>, scope: &Scope, batch: &Batch, directory: &mut Directory) -> Result<Written, WriteError> {
    move_offsets(tx, scope, batch)?;
    let mut written = Written::default();
    let mut rejections: Vec<Rejection<'_>> = Vec::new();
    let mut marks: BTreeSet<Mark> = BTreeSet::new();
    let events = dated_events(tx, scope, batch, &mut rejections)?;
    add_producers(tx, directory, &events)?;

    let pending: Vec<PendingCheck<'_>> = events.iter().filter_map(Placed::as_check).collect();
    if !pending.is_empty() {
        let fates = checks::store(tx, directory, &pending)?;
        let mut stored = Vec::with_capacity(pending.len());
        for (check, (fate, site)) in pending.iter().zip(fates) {
            match fate {
                Fate::Stored => stored.push((*check, site)),
                Fate::Duplicate => written.duplicates += 1,
                Fate::Doubled => {
                    rejections.push(doubled(check.partition, check.offset, check.raw, number_of(check.envelope)));
                }
            }
        }
        statuses::follow(tx, directory, &stored)?;
        mark_hours(&stored, &mut marks);
        written.stored += stored.len() as u64;
    }
    for placed in events.iter().filter(|placed| !matches!(placed.event.body, Body::Check(_))) {
        match words::store(tx, placed.partition, placed.event, &mut marks)? {
            Insertion::Stored => written.stored += 1,
            Insertion::Duplicate => written.duplicates += 1,
            Insertion::Doubled => {
                let Placed { partition, record, event } = placed;
                rejections.push(doubled(*partition, record.offset, &record.raw, number_of(&event.envelope)));
            }
        }
    }
    if !rejections.is_empty() {
        written.rejected = rejected::insert(tx, &scope.topic, &rejections)?;
    }
    if !marks.is_empty() {
        dirty::mark(tx, &marks.into_iter().collect::<Vec<_>>())?;
    }
    Ok(written)
}

fn move_offsets(tx: &mut Tx<'_>, scope: &Scope, batch: &Batch) -> Result<(), WriteError> {
    let moves: Vec<Move> = batch.runs.iter().map(super::Run::offset_move).collect();
    let moved = offsets::advance(tx, &scope.topic, scope.owner, &moves, scope.lease)?;
    if moved.len() == moves.len() {
        return Ok(());
    }
    let lost = moves.iter().map(|m| m.partition).filter(|partition| !moved.contains(partition)).collect();
    Err(WriteError::LeaseLost(lost))
}

/// An event, its record, and the partition that held it.
#[derive(Clone, Copy, Debug)]
struct Placed<'a> {
    partition: i32,
    record: &'a Record,
    event: &'a Event,
}

impl<'a> Placed<'a> {
    fn as_check(&self) -> Option<PendingCheck<'a>> {
        let Body::Check(check) = &self.event.body else { return None };
        Some(PendingCheck {
            partition: self.partition,
            offset: self.record.offset,
            raw: &self.record.raw,
            envelope: &self.event.envelope,
            check,
        })
    }

    /// The day whose partition or sum the event belongs to.
    fn day(&self) -> Option<i64> {
        match &self.event.body {
            Body::Check(check) => Some(day_of(check.scheduled_at)),
            body => ProducerWord::of(body).map(|word| day_of(word.at())),
        }
    }
}

/// The events of a batch whose day is kept. All other records are added to `rejections`.
fn dated_events<'a>(
    tx: &mut Tx<'_>,
    scope: &Scope,
    batch: &'a Batch,
    rejections: &mut Vec<Rejection<'a>>,
) -> Result<Vec<Placed<'a>>, WriteError> {
    let mut events = Vec::with_capacity(batch.len());
    let mut days: BTreeMap<i64, Option<String>> = BTreeMap::new();
    for (partition, record) in batch.records() {
        match &record.content {
            Ok(event) => {
                let placed = Placed { partition, record, event };
                if let Some(day) = placed.day() {
                    days.entry(day).or_default();
                }
                events.push(placed);
            }
            Err(refusal) => rejections.push(Rejection {
                partition,
                offset: record.offset,
                raw: &record.raw,
                reason: refusal.reason.clone(),
                number: refusal.number,
                is_doubled: false,
            }),
        }
    }
    if days.is_empty() {
        return Ok(events);
    }
    check_days(tx, scope, &mut days)?;
    if days.values().any(Option::is_some) {
        events.retain(|placed| {
            let reason = placed.day().and_then(|day| days.get(&day)).and_then(Clone::clone);
            let keep = reason.is_none();
            rejections.extend(reason.map(|reason| Rejection {
                partition: placed.partition,
                offset: placed.record.offset,
                raw: &placed.record.raw,
                reason,
                number: Some(number_of(&placed.event.envelope)),
                is_doubled: false,
            }));
            keep
        });
    }
    Ok(events)
}

/// Notes for each day why it is refused, if it is.
fn check_days(tx: &mut Tx<'_>, scope: &Scope, days: &mut BTreeMap<i64, Option<String>>) -> Result<(), WriteError> {
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
    if missing.is_empty() { Ok(()) } else { Err(WriteError::DaysMissing(missing)) }
}

/// The first day that retention keeps.
pub fn first_kept(today: Date, retention_days: i32) -> Date {
    today.saturating_sub(retention_days.days())
}

fn add_producers(tx: &mut Tx<'_>, directory: &mut Directory, events: &[Placed<'_>]) -> Result<(), StoreError> {
    let mut new: BTreeMap<Uuid, &str> = BTreeMap::new();
    for placed in events {
        let envelope = &placed.event.envelope;
        if directory.is_new_producer(envelope.producer_id) {
            new.insert(envelope.producer_id, &envelope.location);
        }
    }
    if new.is_empty() {
        return Ok(());
    }
    producers::add(tx, &new.into_iter().collect::<Vec<_>>())
}

fn mark_hours<T>(stored: &[(PendingCheck<'_>, T)], marks: &mut BTreeSet<Mark>) {
    let mut last = None;
    for (check, _) in stored {
        let mark = (hour_of(check.check.scheduled_at), check.partition);
        if last != Some(mark) {
            marks.insert(mark);
            last = Some(mark);
        }
    }
}

fn doubled(partition: i32, offset: i64, raw: &[u8], number: (Uuid, u64)) -> Rejection<'_> {
    let reason = format!("seq {} of producer {} is stored with other content", number.1, number.0);
    Rejection { partition, offset, raw, reason, number: Some(number), is_doubled: true }
}

fn number_of(envelope: &isitup_shared::event::Envelope) -> (Uuid, u64) {
    (envelope.producer_id, envelope.seq)
}

/// The full hour that holds `time`.
pub(super) fn hour_of(time: UtcTime) -> UtcTime {
    const HOUR_US: i64 = 3_600_000_000;
    UtcTime::from_micros(time.as_micros().div_euclid(HOUR_US) * HOUR_US)
}

/// Days since 1970.
fn day_of(time: UtcTime) -> i64 {
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
