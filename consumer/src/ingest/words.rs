//! What producers say beside results: their state, steps of their clocks, and gaps.

use std::collections::BTreeSet;

use isitup_shared::event::{Body, Event, Gap};
use isitup_shared::time::UtcTime;

use super::dates::hour_of;
use crate::store::dirty::Mark;
use crate::store::producers::{self, Insertion, ProducerRow, ProducerWord};
use crate::store::{StoreError, Tx, gaps};

/// A gap that is longer marks only this many of its hours: enough for any sane retention.
const MOST_HOURS: usize = 24 * 400;

const HOUR_US: i64 = 3_600_000_000;

/// Stores an event that is no check, and marks the hours it touches.
///
/// # Errors
/// When a statement fails.
pub(super) fn store(
    tx: &mut Tx<'_>,
    partition: i32,
    event: &Event,
    marks: &mut BTreeSet<Mark>,
) -> Result<Insertion, StoreError> {
    if let Body::Gap(gap) = &event.body {
        mark_span(gap, partition, marks);
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

fn mark_span(gap: &Gap, partition: i32, marks: &mut BTreeSet<Mark>) {
    let Some(span) = &gap.span else { return };
    // From its end back: the oldest hours are the first that retention takes.
    let mut hour = hour_of(span.to);
    for _ in 0..MOST_HOURS {
        if hour < hour_of(span.from) {
            break;
        }
        marks.insert((hour, partition));
        hour = UtcTime::from_micros(hour.as_micros() - HOUR_US);
    }
}
