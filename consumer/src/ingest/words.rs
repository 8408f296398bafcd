//! What producers say beside results: their state, steps of their clocks, and gaps.

use std::collections::BTreeSet;

use isitup_shared::event::{Body, Event, Gap};

use super::dates::{Calendar, hour_of};
use crate::store::dirty::Mark;
use crate::store::producers::{self, Insertion, ProducerRow, ProducerWord};
use crate::store::{StoreError, Tx, gaps};

/// Stores an event that is no check, and marks the hours it touches.
///
/// # Errors
/// When a statement fails.
pub(super) fn store(
    tx: &mut Tx<'_>,
    partition: i32,
    event: &Event,
    calendar: &Calendar,
    marks: &mut BTreeSet<Mark>,
) -> Result<Insertion, StoreError> {
    if let Body::Gap(gap) = &event.body {
        mark_span(gap, partition, calendar, marks);
        return gaps::insert_event(tx, &event.envelope, gap);
    }
    let Some(word) = ProducerWord::of(&event.body) else { return Ok(Insertion::Duplicate) };
    marks.insert((hour_of(word.at()), partition));
    let insertion = producers::insert_event(tx, &ProducerRow { envelope: &event.envelope, word })?;
    if let (ProducerWord::Report(report), Insertion::Stored) = (word, insertion) {
        producers::report(tx, &event.envelope, report)?;
    }
    Ok(insertion)
}

/// Marks the hours of a gap whose sums may change: those before are dropped with their days, those to come are not summed yet.
fn mark_span(gap: &Gap, partition: i32, calendar: &Calendar, marks: &mut BTreeSet<Mark>) {
    if let Some(span) = &gap.span {
        marks.extend(calendar.kept_hours(span.from, span.to).map(|hour| (hour, partition)));
    }
}
