//! The partitions that this process holds, shared between the thread that keeps the leases and the one that reads.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::store::leases::Lease;

/// A partition that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// The lease it is held under.
    pub epoch: i64,
    /// Where reading goes on.
    pub next: i64,
    /// SHA-256 of the record before `next`, where one was read.
    pub anchor: Option<Vec<u8>>,
    /// Whether the topic was found to be the one that `next` and `anchor` come from.
    pub is_checked: bool,
}

/// All partitions that are held.
#[derive(Debug, Default)]
pub(crate) struct Assignment {
    held: Mutex<BTreeMap<i32, Held>>,
    changed: Condvar,
}

impl Assignment {
    /// A copy of the present state.
    pub(crate) fn snapshot(&self) -> BTreeMap<i32, Held> {
        self.lock().clone()
    }

    /// Where reading goes on in each partition.
    pub(crate) fn positions(&self) -> Vec<(i32, i64)> {
        self.lock().iter().map(|(partition, held)| (*partition, held.next)).collect()
    }

    /// Waits until there is a partition, or `at_most` has passed.
    pub(crate) fn wait_for_any(&self, at_most: Duration) {
        let held = self.lock();
        if held.is_empty() {
            drop(self.changed.wait_timeout(held, at_most));
        }
    }

    /// Takes over what the lease table says: new partitions are added, lost ones go. Where a partition is held under
    /// the same lease already, its own position is the newer; unless the table stands behind `seen`, what was held
    /// before the table was read. What was stored is then lost: the database crashed, failed over to a server that
    /// lagged, or was restored. It must be read again, also where no new record would ever bring it to light.
    pub(crate) fn take_over(&self, leases: Vec<Lease>, seen: &BTreeMap<i32, Held>) {
        let mut held = self.lock();
        let mut before = std::mem::take(&mut *held);
        for lease in leases {
            let is_back =
                seen.get(&lease.partition).is_some_and(|seen| seen.epoch == lease.epoch && lease.next < seen.next);
            if is_back {
                let (partition, next) = (lease.partition, lease.next);
                log::warn!("the database lost what it had stored of partition {partition}: reading again from {next}");
            }
            let known = before.remove(&lease.partition).filter(|known| known.epoch == lease.epoch && !is_back);
            let now =
                known.unwrap_or(Held { epoch: lease.epoch, next: lease.next, anchor: lease.anchor, is_checked: false });
            held.insert(lease.partition, now);
        }
        self.changed.notify_all();
    }

    /// Lets a partition go: what the table holds is no longer what we thought.
    pub(crate) fn drop_partition(&self, partition: i32) {
        self.lock().remove(&partition);
    }

    /// Moves a partition's position, where it still is held under the lease `epoch`.
    pub(crate) fn advance(&self, partition: i32, epoch: i64, next: i64, anchor: Option<Vec<u8>>) {
        self.change(partition, epoch, |held| {
            held.next = next;
            held.anchor = anchor;
        });
    }

    /// Notes whether the topic is known to be the right one.
    pub(crate) fn set_checked(&self, partition: i32, epoch: i64, is_checked: bool) {
        self.change(partition, epoch, |held| held.is_checked = is_checked);
    }

    /// Forgets that any partition was checked: the connection to Kafka was lost, and behind it all may be new.
    pub(crate) fn uncheck_all(&self) {
        self.lock().values_mut().for_each(|held| held.is_checked = false);
    }

    fn change(&self, partition: i32, epoch: i64, change: impl FnOnce(&mut Held)) {
        if let Some(held) = self.lock().get_mut(&partition).filter(|held| held.epoch == epoch) {
            change(held);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<i32, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(partition: i32, epoch: i64, next: i64) -> Lease {
        Lease { partition, epoch, next, anchor: None }
    }

    #[test]
    fn a_renewed_lease_keeps_the_position_that_is_ahead_of_the_table() {
        let assignment = Assignment::default();
        assignment.take_over(vec![lease(0, 1, 10), lease(1, 1, 20)], &BTreeMap::new());
        let seen = assignment.snapshot();
        assignment.advance(0, 1, 15, None);
        assignment.take_over(vec![lease(0, 1, 10)], &seen);
        assert_eq!(assignment.positions(), vec![(0, 15)]);
    }

    #[test]
    fn a_table_that_stands_behind_what_was_stored_is_believed() {
        let assignment = Assignment::default();
        assignment.take_over(vec![lease(0, 1, 10), lease(1, 1, 20)], &BTreeMap::new());
        assignment.advance(0, 1, 15, None);
        assignment.take_over(vec![lease(0, 1, 10), lease(1, 1, 20)], &assignment.snapshot());
        assert_eq!(assignment.positions(), vec![(0, 10), (1, 20)]);
    }

    #[test]
    fn a_lease_lost_and_won_again_begins_where_the_table_says() {
        let assignment = Assignment::default();
        assignment.take_over(vec![lease(0, 1, 10)], &BTreeMap::new());
        assignment.advance(0, 1, 15, None);
        assignment.take_over(vec![lease(0, 3, 12)], &assignment.snapshot());
        assignment.advance(0, 1, 99, None);
        assert_eq!(assignment.positions(), vec![(0, 12)]);
    }
}
