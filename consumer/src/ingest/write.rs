//! One transaction for one batch: the offsets first, then everything that the records bring.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use isitup_shared::crash_point;
use isitup_shared::event::{Body, Envelope, Event, GapReason};
use jiff::civil::Date;
use uuid::Uuid;

use super::batch::Batch;
use super::checks::{self, Fate, PendingCheck};
use super::dates::{self, Calendar, date_of, day_of, hour_of};
use super::decode::Record;
use super::directory::Directory;
use super::plausible::implausible;
use super::{statuses, words};
use crate::store::dirty::{self, Mark};
use crate::store::offsets::{self, Move};
use crate::store::producers::{self, Insertion, ProducerWord};
use crate::store::rejected::{self, Class, Rejection};
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// New rows, over all types of event.
    pub stored: u64,
    /// Events that were stored before.
    pub duplicates: u64,
    /// Messages set aside, by the kind of reason.
    pub rejected: Vec<Class>,
    /// Gap events among what was stored.
    pub gaps: Vec<GapReason>,
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
    crash_point!("store.moved");
    let (mut written, rejections) = write_again(tx, scope, batch, directory)?;
    if !rejections.is_empty() {
        written.rejected = rejected::insert(tx, &scope.topic, &rejections)?;
    }
    Ok(written)
}

/// Writes records whose offsets were passed long ago, such as those that were set aside. Returns also those that are
/// (still) to be set aside, which is left to the caller.
///
/// # Errors
/// See [`WriteError`].
pub fn write_again<'a>(
    tx: &mut Tx<'_>,
    scope: &Scope,
    batch: &'a Batch,
    directory: &mut Directory,
) -> Result<(Written, Vec<Rejection<'a>>), WriteError> {
    let mut writing = Writing::default();
    let Some((calendar, events)) = plausible_events(tx, scope, batch, &mut writing.rejections)? else {
        return writing.finish(tx);
    };
    add_producers(tx, directory, &events)?;
    writing.store_checks(tx, directory, &calendar, &events)?;
    crash_point!("store.checks_written");
    writing.store_words(tx, &calendar, &events)?;
    writing.finish(tx)
}

/// What a transaction has gathered so far.
#[derive(Debug, Default)]
struct Writing<'a> {
    written: Written,
    rejections: Vec<Rejection<'a>>,
    marks: BTreeSet<Mark>,
}

impl<'a> Writing<'a> {
    fn store_checks(
        &mut self,
        tx: &mut Tx<'_>,
        directory: &mut Directory,
        calendar: &Calendar,
        events: &[Placed<'a>],
    ) -> Result<(), WriteError> {
        let pending: Vec<PendingCheck<'a>> = events.iter().filter_map(Placed::as_check).collect();
        if pending.is_empty() {
            return Ok(());
        }
        let fates = checks::store(tx, directory, &pending)?;
        let mut stored = Vec::with_capacity(pending.len());
        for (check, (fate, site)) in pending.into_iter().zip(fates) {
            match fate {
                Fate::Stored => stored.push((check, site)),
                Fate::Duplicate => self.written.duplicates += 1,
                Fate::Doubled => self.reject_doubled((check.partition, check.offset, check.raw), check.envelope),
            }
        }
        statuses::follow(tx, directory, &stored, calendar.now)?;
        mark_hours(&stored, &mut self.marks);
        self.written.stored += stored.len() as u64;
        Ok(())
    }

    fn store_words(&mut self, tx: &mut Tx<'_>, calendar: &Calendar, events: &[Placed<'a>]) -> Result<(), WriteError> {
        for placed in events.iter().filter(|placed| !matches!(placed.event.body, Body::Check(_))) {
            match words::store(tx, placed.partition, placed.event, calendar, &mut self.marks)? {
                Insertion::Stored => {
                    self.written.stored += 1;
                    if let Body::Gap(gap) = &placed.event.body {
                        self.written.gaps.push(gap.reason);
                    }
                }
                Insertion::Duplicate => self.written.duplicates += 1,
                Insertion::Doubled => self.reject_doubled(placed.origin(), &placed.event.envelope),
            }
        }
        Ok(())
    }

    fn reject_doubled(&mut self, (partition, offset, raw): Origin<'a>, envelope: &Envelope) {
        let reason =
            format!("seq {} of producer {} is stored with other content", envelope.seq, envelope.producer_id).into();
        let number = Some(number_of(envelope));
        self.rejections.push(Rejection { partition, offset, raw, reason, number, is_doubled: true });
    }

    fn finish(self, tx: &mut Tx<'_>) -> Result<(Written, Vec<Rejection<'a>>), WriteError> {
        if !self.marks.is_empty() {
            dirty::mark(tx, &self.marks.into_iter().collect::<Vec<_>>())?;
        }
        Ok((self.written, self.rejections))
    }
}

/// Partition, offset and whole message.
type Origin<'a> = (i32, i64, &'a [u8]);

/// Moves the offsets past `batch`, which is the first thing that its transaction does.
///
/// # Errors
/// When a statement fails, or a partition is no longer ours or stands elsewhere.
pub fn move_offsets(tx: &mut Tx<'_>, scope: &Scope, batch: &Batch) -> Result<(), WriteError> {
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

    fn origin(&self) -> Origin<'a> {
        (self.partition, self.record.offset, &self.record.raw)
    }

    fn rejection(&self, reason: &str) -> Rejection<'a> {
        rejection(self.origin(), reason, Some(number_of(&self.event.envelope)))
    }

    /// The day whose partition or sum the event belongs to.
    fn day(&self) -> Option<i64> {
        match &self.event.body {
            Body::Check(check) => Some(day_of(check.scheduled_at)),
            body => ProducerWord::of(body).map(|word| day_of(word.at())),
        }
    }
}

/// The events of a batch that can be true, and the calendar that they were held against; `None` when there is no event.
/// All other records are added to `rejections`.
fn plausible_events<'a>(
    tx: &mut Tx<'_>,
    scope: &Scope,
    batch: &'a Batch,
    rejections: &mut Vec<Rejection<'a>>,
) -> Result<Option<(Calendar, Vec<Placed<'a>>)>, WriteError> {
    let mut events = Vec::with_capacity(batch.len());
    for (partition, record) in batch.records() {
        match &record.content {
            Ok(event) => events.push(Placed { partition, record, event }),
            Err(refusal) => {
                rejections.push(rejection((partition, record.offset, &record.raw), &refusal.reason, refusal.number));
            }
        }
    }
    if events.is_empty() {
        return Ok(None);
    }
    let mut days: BTreeMap<i64, bool> = events.iter().filter_map(Placed::day).map(|day| (day, false)).collect();
    let calendar = dates::look_up(tx, scope, &mut days)?;
    events.retain(|placed| {
        let reason = implausible(placed.event, &calendar);
        rejections.extend(reason.as_deref().map(|reason| placed.rejection(reason)));
        reason.is_none()
    });
    reject_dropped_days(tx, &days, &mut events, rejections)?;
    Ok(Some((calendar, events)))
}

/// Rejects the events of days that retention has dropped.
///
/// # Errors
/// When a day of the others has no partition yet.
fn reject_dropped_days<'a>(
    tx: &mut Tx<'_>,
    days: &BTreeMap<i64, bool>,
    events: &mut Vec<Placed<'a>>,
    rejections: &mut Vec<Rejection<'a>>,
) -> Result<(), WriteError> {
    let is_missing = |day: &i64| days.get(day) == Some(&false);
    let missing: BTreeSet<i64> = events.iter().filter_map(Placed::day).filter(is_missing).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let missing: Vec<i64> = missing.into_iter().collect();
    let dropped = dates::dropped(tx, &missing)?;
    events.retain(|placed| {
        let day = placed.day().filter(|day| dropped.contains(day));
        let reason = day.map(|day| format!("its day {} was dropped by retention already", date_of(day)));
        rejections.extend(reason.as_deref().map(|reason| placed.rejection(reason)));
        reason.is_none()
    });
    let to_make: Vec<Date> = missing.into_iter().filter(|day| !dropped.contains(day)).map(date_of).collect();
    if to_make.is_empty() { Ok(()) } else { Err(WriteError::DaysMissing(to_make)) }
}

fn rejection<'a>((partition, offset, raw): Origin<'a>, reason: &str, number: Option<(Uuid, u64)>) -> Rejection<'a> {
    Rejection { partition, offset, raw, reason: reason.into(), number, is_doubled: false }
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

fn number_of(envelope: &Envelope) -> (Uuid, u64) {
    (envelope.producer_id, envelope.seq)
}
