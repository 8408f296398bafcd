//! Whether the messages of each partition held get into the database: while its lag grows and nothing of it is stored, that is
//! told, whatever the reason.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A partition whose lag grows for longer, while nothing of it is stored, is told.
const LIMIT: Duration = Duration::from_secs(60);

/// The progress of all partitions held.
#[derive(Debug, Default)]
pub(crate) struct Progress(Mutex<BTreeMap<i32, Partition>>);

#[derive(Clone, Copy, Debug)]
struct Partition {
    /// Where reading goes on.
    next: i64,
    /// Since when it is there, while there are messages.
    since: Instant,
    /// How far the partition went then, and goes now.
    first_end: i64,
    end: i64,
}

impl Partition {
    fn is_silent(&self) -> bool {
        self.end > self.next && self.end > self.first_end
    }
}

impl Progress {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<i32, Partition>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A partition is stored up to `next` and goes to `end`.
    pub(crate) fn note(&self, partition: i32, next: i64, end: i64) {
        self.note_at(Instant::now(), partition, next, end);
    }

    fn note_at(&self, now: Instant, partition: i32, next: i64, end: i64) {
        let begun = Partition { next, since: now, first_end: end, end };
        let mut partitions = self.lock();
        let known = partitions.entry(partition).or_insert(begun);
        // Without messages it had nothing to store until now.
        if known.next == next && known.end > next {
            known.end = known.end.max(end);
        } else {
            *known = begun;
        }
    }

    /// Keeps the partitions that are still held.
    pub(crate) fn retain(&self, is_held: impl Fn(i32) -> bool) {
        self.lock().retain(|partition, _| is_held(*partition));
    }

    /// The longest time for which a partition's lag grows while nothing of it is stored.
    pub(crate) fn silence(&self) -> Duration {
        let silent = |known: &Partition| if known.is_silent() { known.since.elapsed() } else { Duration::ZERO };
        self.lock().values().map(silent).max().unwrap_or_default()
    }

    /// What is not stored for longer than [`LIMIT`], if anything.
    pub(crate) fn stall(&self) -> Option<String> {
        self.stall_at(Instant::now())
    }

    fn stall_at(&self, now: Instant) -> Option<String> {
        let partitions = self.lock();
        let age = |known: &Partition| now.saturating_duration_since(known.since);
        let stalled: Vec<_> = partitions.iter().filter(|(_, known)| known.is_silent() && age(known) >= LIMIT).collect();
        let (_, longest) = stalled.iter().max_by_key(|(_, known)| age(known))?;
        let messages: i64 = stalled.iter().map(|(_, known)| known.end - known.next).sum();
        let numbers: Vec<String> = stalled.iter().map(|(partition, _)| partition.to_string()).collect();
        let (seconds, numbers) = (age(longest).as_secs(), numbers.join(", "));
        Some(format!("nothing of partitions {numbers} was stored for {seconds} s although {messages} messages wait"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_whose_lag_grows_for_a_minute_is_told() {
        let (progress, begin) = (Progress::default(), Instant::now());
        let at = |seconds| begin + Duration::from_secs(seconds);
        progress.note_at(at(0), 3, 10, 12);
        progress.note_at(at(30), 3, 10, 15);
        assert_eq!(progress.stall_at(at(59)), None);
        let told = progress.stall_at(at(61)).unwrap();
        assert_eq!(told, "nothing of partitions 3 was stored for 61 s although 5 messages wait");
        progress.note_at(at(62), 3, 11, 15);
        assert_eq!(progress.stall_at(at(70)), None, "it goes on");
    }

    #[test]
    fn what_is_caught_up_or_gets_nothing_new_is_not_told() {
        let (progress, begin) = (Progress::default(), Instant::now());
        let later = begin + Duration::from_secs(600);
        progress.note_at(begin, 1, 10, 10);
        // A transaction's marker is no message, and may be the last record for long.
        progress.note_at(begin, 2, 10, 11);
        progress.note_at(later, 2, 10, 11);
        assert_eq!(progress.stall_at(later), None);
        progress.note_at(later, 1, 10, 11);
        progress.note_at(later, 1, 10, 12);
        assert_eq!(progress.stall_at(later), None, "it has only begun to wait");
    }
}
