//! What waits for one partition: a bounded part of it in memory, the rest on disk only.

use std::collections::VecDeque;
use std::time::Instant;

use isitup_shared::kafka::{KafkaError, Record, RefusedRecord};
use isitup_shared::time::UtcTime;

use super::refused::Suspect;
use crate::spool::Stored;

/// The most events of a partition in memory.
pub(super) const MOST_EVENTS: usize = 1024;
/// The same in bytes; at least one event is kept.
const MOST_BYTES: usize = 1 << 20;
/// After so many refused records that cannot be declared yet, a partition waits.
const MOST_SUSPECTS: usize = 16;

/// The first event that is on disk only, and when it was accepted. All later ones of its partition are, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) seq: u64,
    pub(super) accepted_at: UtcTime,
}

/// One partition's events, in order.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) pending: VecDeque<Stored>,
    bytes: usize,
    pub(super) left: Option<Left>,
    /// Why it takes nothing.
    pub(super) failure: Option<KafkaError>,
    /// Records that were refused by themselves, and that the others do not wait for.
    pub(super) suspects: Vec<Suspect>,
}

impl Lane {
    /// Takes an event, or leaves it to the disk.
    pub(super) fn push(&mut self, event: Stored) {
        let is_full = self.pending.len() >= MOST_EVENTS || (self.bytes >= MOST_BYTES && !self.pending.is_empty());
        if self.left.is_some() || is_full {
            self.left.get_or_insert(Left { seq: event.seq, accepted_at: event.accepted_at });
            return;
        }
        self.bytes += event.message.len();
        self.pending.push_back(event);
    }

    /// Takes events that were read back from disk, and where to go on.
    pub(super) fn refill(&mut self, events: Vec<Stored>, next: Option<u64>) {
        let accepted_at = events.last().map(|event| event.accepted_at).or(self.left.map(|left| left.accepted_at));
        self.left = None;
        for event in events {
            self.push(event);
        }
        if self.left.is_none() {
            self.left = next.zip(accepted_at).map(|(seq, accepted_at)| Left { seq, accepted_at });
        }
    }

    /// Takes `count` acknowledged events off the front.
    pub(super) fn take_front(&mut self, count: usize) -> Vec<Stored> {
        let events: Vec<Stored> = self.pending.drain(..count.min(self.pending.len())).collect();
        self.bytes -= events.iter().map(|event| event.message.len()).sum::<usize>();
        events
    }

    /// The first record was refused: it steps aside, and the others go on.
    pub(super) fn set_aside(&mut self, refused: &RefusedRecord) {
        self.failure = None;
        let first = self.take_front(1);
        self.suspects.extend(first.into_iter().map(|event| Suspect::new(event, refused.clone())));
    }

    /// Whether too many of its records were refused to send it more.
    pub(super) fn is_blocked(&self) -> bool {
        self.suspects.len() >= MOST_SUSPECTS
    }

    /// Whether it may be sent to. After a failure only when it is time to try again.
    pub(super) fn may_send(&self, is_retry: bool) -> bool {
        !self.is_blocked() && (is_retry || self.failure.is_none())
    }

    /// Whether there is something to send now.
    pub(super) fn is_due(&self, is_retry: bool) -> bool {
        !self.pending.is_empty() && self.may_send(is_retry)
    }

    /// Why it takes nothing, or not all.
    pub(super) fn why(&self) -> Option<String> {
        let suspect =
            || self.suspects.iter().find(|suspect| suspect.is_old()).map(|suspect| suspect.refused.reason.clone());
        self.failure.as_ref().map(ToString::to_string).or_else(suspect)
    }

    /// Its next records.
    pub(super) fn records(&self, partition: i32) -> impl Iterator<Item = Record<'_>> {
        self.pending.iter().map(move |event| record(partition, event))
    }

    /// Its oldest event that is not done with: number and time.
    pub(super) fn oldest(&self) -> Option<(u64, UtcTime)> {
        let suspects = self.suspects.iter().map(|suspect| &suspect.event);
        let in_memory = suspects.chain(self.pending.front()).map(|event| (event.seq, event.accepted_at));
        in_memory.chain(self.left.map(|left| (left.seq, left.accepted_at))).min()
    }

    /// Whether something is to be sent, now or after a failure. Not so for refused records until it is time for them.
    pub(super) fn has_more(&self, now: Instant) -> bool {
        let is_stuck = self.is_blocked() && self.suspects.iter().all(|suspect| !suspect.is_due(now));
        let waits = !self.pending.is_empty() || self.left.is_some();
        (waits && !is_stuck) || self.suspects.iter().any(|suspect| suspect.is_due(now))
    }

    /// Whether nothing of it waits.
    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty() && self.left.is_none() && self.suspects.is_empty()
    }
}

/// `event` as Kafka gets it.
pub(super) fn record(partition: i32, event: &Stored) -> Record<'_> {
    Record { partition, key: &event.key, value: &event.message }
}

#[cfg(test)]
mod tests {
    use isitup_shared::event::Rank;

    use super::*;

    fn event(seq: u64, size: usize) -> Stored {
        let at = UtcTime::from_micros(i64::try_from(seq).unwrap());
        Stored { seq, accepted_at: at, rank: Rank::Routine, key: b"site".to_vec(), message: vec![0; size] }
    }

    fn numbers(lane: &Lane) -> Vec<u64> {
        lane.pending.iter().map(|event| event.seq).collect()
    }

    #[test]
    fn what_does_not_fit_is_left_to_the_disk_in_order() {
        let mut lane = Lane::default();
        for seq in 1..=MOST_EVENTS as u64 + 50 {
            lane.push(event(seq, 10));
        }
        assert_eq!(lane.pending.len(), MOST_EVENTS);
        assert_eq!(lane.left.map(|left| left.seq), Some(MOST_EVENTS as u64 + 1));
        lane.take_front(MOST_EVENTS);
        lane.push(event(5000, 10));
        assert!(lane.pending.is_empty(), "later events follow those on disk");
        lane.refill((1025..1030).map(|seq| event(seq, 10)).collect(), Some(1030));
        assert_eq!((numbers(&lane), lane.left.map(|left| left.seq)), ((1025..1030).collect(), Some(1030)));
        lane.take_front(5);
        lane.refill(vec![event(1030, 10)], None);
        assert_eq!((numbers(&lane), lane.left), (vec![1030], None));
    }

    #[test]
    fn a_lane_is_bounded_in_bytes_too() {
        let mut lane = Lane::default();
        for seq in 1..=3 {
            lane.push(event(seq, MOST_BYTES));
        }
        assert_eq!((numbers(&lane), lane.left.map(|left| left.seq)), (vec![1], Some(2)));
        lane.take_front(1);
        lane.refill(vec![event(2, MOST_BYTES), event(3, MOST_BYTES)], None);
        assert_eq!((numbers(&lane), lane.left.map(|left| left.seq)), (vec![2], Some(3)));
    }

    #[test]
    fn the_oldest_event_is_found_wherever_it_waits() {
        let mut lane = Lane::default();
        assert_eq!(lane.oldest(), None);
        lane.push(event(4, 10));
        lane.push(event(5, 10));
        let refused = RefusedRecord { index: 0, is_final: true, reason: String::new() };
        lane.set_aside(&refused);
        assert_eq!((lane.oldest().unwrap().0, numbers(&lane)), (4, vec![5]));
        lane.suspects.clear();
        assert_eq!(lane.oldest().unwrap().0, 5);
    }
}
