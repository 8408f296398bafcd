//! Partitions whose next record cannot be stored for now: they wait, and all others go on.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use isitup_shared::retry::Retry;

use crate::waiting::Patience;

/// The partitions that wait, and for how long.
#[derive(Debug)]
pub(crate) struct Parking {
    parked: BTreeMap<i32, Parked>,
    patience: Patience,
}

#[derive(Debug)]
struct Parked {
    until: Instant,
    retry: Retry,
    why: String,
}

impl Parking {
    /// Nothing waits.
    pub(crate) fn new() -> Self {
        Self { parked: BTreeMap::new(), patience: Patience::new("PostgreSQL to store the next record of a partition") }
    }

    /// Lets `partition` wait before its next try, longer each time. Says why.
    pub(crate) fn park(&mut self, partition: i32, position: i64, error: &str, now: Instant) {
        let why = format!("partition {partition} waits at offset {position}, others go on: {error}");
        self.patience.failed(&why);
        let parked = self.parked.entry(partition).or_insert_with(|| Parked {
            until: now,
            retry: Retry::for_service(),
            why: String::new(),
        });
        (parked.until, parked.why) = (now + parked.retry.next_pause(), why);
    }

    /// These partitions wait no longer: records of them were stored.
    pub(crate) fn release(&mut self, partition: i32) {
        if self.parked.remove(&partition).is_some() && self.parked.is_empty() {
            self.patience.succeeded();
        }
    }

    /// Forgets partitions that are no longer ours.
    pub(crate) fn keep_only(&mut self, is_held: impl Fn(i32) -> bool) {
        self.parked.retain(|partition, _| is_held(*partition));
    }

    /// Whether `partition` is not to be tried yet.
    pub(crate) fn holds(&self, partition: i32, now: Instant) -> bool {
        self.parked.get(&partition).is_some_and(|parked| parked.until > now)
    }

    /// How long it takes until the first may be tried again.
    pub(crate) fn shortest_wait(&self, now: Instant) -> Duration {
        let waits = self.parked.values().map(|parked| parked.until.saturating_duration_since(now));
        waits.min().unwrap_or_default()
    }

    /// Why partitions wait, where one does.
    pub(crate) fn why(&self) -> Option<String> {
        let all: Vec<&str> = self.parked.values().map(|parked| parked.why.as_str()).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parked_partition_waits_by_itself_until_it_is_released() {
        let (mut parking, now) = (Parking::new(), Instant::now());
        parking.park(3, 17, "no", now);
        parking.park(5, 1, "no", now);
        assert!(parking.holds(3, now) && parking.holds(5, now) && !parking.holds(4, now));
        assert!(!parking.holds(3, now + Duration::from_secs(60)), "it is due");
        assert!(parking.shortest_wait(now) > Duration::ZERO);
        parking.keep_only(|partition| partition == 3);
        assert_eq!(parking.why().as_deref(), Some("partition 3 waits at offset 17, others go on: no"));
        parking.release(3);
        assert_eq!((parking.why(), parking.holds(3, now)), (None, false));
    }
}
