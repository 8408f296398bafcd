//! `replay`: moves offsets back, so that the topic is read again. What is stored already is recognised and left alone.

use std::collections::BTreeMap;
use std::str::FromStr;

use clap::Args;
use isitup_shared::event::{self, Body};
use isitup_shared::kafka::{self, KafkaError, OffsetRange, Receiver};
use isitup_shared::time::UtcTime;

use super::Context;
use crate::exit::{Answer, CommandError};
use crate::output::{align_right, print, table};
use crate::store::offsets::{self, Standing};
use crate::store::{Store, StoreError};

/// Options of `replay`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Where to begin again: earliest, an offset, or a time such as 2026-11-21T08:00:00Z (to be found by the events' own times)
    #[arg(long, value_name = "POINT")]
    pub from: Point,
    /// Only this partition
    #[arg(long, value_name = "N")]
    pub partition: Option<i32>,
}

/// Where to begin again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// At the oldest message.
    Earliest,
    /// At this offset.
    Offset(i64),
    /// At the first event of this time or later.
    Time(UtcTime),
}

impl FromStr for Point {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "earliest" {
            return Ok(Self::Earliest);
        }
        if let Some(offset) = text.parse::<i64>().ok().filter(|offset| *offset >= 0) {
            return Ok(Self::Offset(offset));
        }
        text.parse()
            .map(Self::Time)
            .map_err(|_| "write earliest, an offset, or a time such as 2026-11-21T08:00:00Z".into())
    }
}

/// Moves the offsets, unless a consumer holds one of the partitions.
///
/// # Errors
/// When PostgreSQL or Kafka do not answer.
pub(crate) fn run(context: &Context, args: ReplayArgs) -> Result<Answer, CommandError> {
    let store = context.store()?;
    let topic = &context.config.kafka.topic;
    let mut receiver = kafka::receiver(&context.config.kafka);
    let ranges = context.until("Kafka", |_: &KafkaError| true, || receiver.offsets(topic))?;
    let mut targets = BTreeMap::new();
    for (partition, range) in
        ranges.iter().filter(|(partition, _)| args.partition.is_none_or(|only| only == **partition))
    {
        let target = match args.from {
            Point::Earliest => range.earliest,
            Point::Offset(offset) => offset.max(range.earliest),
            Point::Time(time) => context.until(
                "Kafka",
                |_: &KafkaError| true,
                || first_since(&mut *receiver, topic, *partition, *range, time),
            )?,
        };
        targets.insert(*partition, target);
    }
    match rewind(&store, topic, &targets)? {
        Ok(moves) if moves.is_empty() => {
            print("nothing to move: no partition has been read beyond that point")?;
            Ok(Answer::No)
        }
        Ok(moves) => {
            print(&as_table(&moves))?;
            Ok(Answer::Yes)
        }
        Err(held) => {
            print(&format!("partitions {held:?} are held by a running consumer: stop all consumers of {topic} first"))?;
            Ok(Answer::No)
        }
    }
}

/// Partition, offset before, offset after.
type Moved = (i32, i64, i64);

/// Moves offsets back, never forward: what lies between would be lost. Or tells which partitions are held.
fn rewind(
    store: &Store,
    topic: &str,
    targets: &BTreeMap<i32, i64>,
) -> Result<Result<Vec<Moved>, Vec<i32>>, StoreError> {
    let mut session = store.session()?;
    let mut tx = session.begin_durable()?;
    let standing = offsets::lock_all(&mut tx, topic)?;
    let wanted = |s: &&Standing| targets.contains_key(&s.partition);
    let held: Vec<i32> = standing.iter().filter(wanted).filter(|s| s.is_held).map(|s| s.partition).collect();
    if !held.is_empty() {
        return Ok(Err(held));
    }
    let mut moves = Vec::new();
    for Standing { partition, next, .. } in standing {
        if let Some(target) = targets.get(&partition).copied().filter(|target| *target < next) {
            offsets::rewind(&mut tx, topic, partition, target)?;
            moves.push((partition, next, target));
        }
    }
    tx.commit()?;
    Ok(Ok(moves))
}

/// The first offset whose event is of `time` or later, found by halving: a partition's events are in order of time but
/// for a few moments, which re-reading a little more would not make wrong.
fn first_since(
    receiver: &mut dyn Receiver,
    topic: &str,
    partition: i32,
    range: OffsetRange,
    time: UtcTime,
) -> Result<i64, KafkaError> {
    let (mut low, mut high) = (range.earliest, range.latest);
    while low < high {
        let middle = low + (high - low) / 2;
        match time_at(receiver, topic, partition, middle)? {
            Some((offset, found)) if found < time => low = offset + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}

/// The time of the first event at or after `offset`, and its offset.
fn time_at(
    receiver: &mut dyn Receiver,
    topic: &str,
    partition: i32,
    offset: i64,
) -> Result<Option<(i64, UtcTime)>, KafkaError> {
    for answer in receiver.fetch(topic, &[(partition, offset)])? {
        let found = answer.messages?.iter().find_map(|message| Some((message.offset, time_of(&message.value)?)));
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

fn time_of(message: &[u8]) -> Option<UtcTime> {
    match event::decode(message).ok()?.body {
        Body::Check(check) => Some(check.finished_at),
        Body::Producer(report) => Some(report.at),
        Body::ClockStep(step) => Some(step.at),
        Body::Gap(gap) => gap.span.map(|span| span.to),
    }
}

fn as_table(moves: &[Moved]) -> String {
    let mut shown = table(&["PARTITION", "WAS AT", "GOES ON AT"]);
    for (partition, before, after) in moves {
        shown.add_row([partition.to_string(), before.to_string(), after.to_string()]);
    }
    align_right(&mut shown, 0..3);
    format!("{shown}\n\nthe next consumer reads from there; what is stored already is left as it is")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_earliest_an_offset_or_a_time() {
        assert_eq!("earliest".parse(), Ok(Point::Earliest));
        assert_eq!("42".parse(), Ok(Point::Offset(42)));
        assert_eq!("2026-11-21T08:00:00Z".parse(), Ok(Point::Time("2026-11-21T08:00:00Z".parse().unwrap())));
        assert!("-1".parse::<Point>().is_err() && "yesterday".parse::<Point>().is_err());
    }
}
