//! Keeps this process's share of the partitions: renews what it holds, takes what is free, gives back what is too much.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use isitup_shared::crash_point;
use isitup_shared::shutdown::Shutdown;
use uuid::Uuid;

use crate::assignment::{Assignment, Held};
use crate::metrics::Metrics;
use crate::status::{Part, Status};
use crate::store::leases::{self, Crowd, Lease};
use crate::store::{Store, StoreError, Tx, jumps};
use crate::waiting::Patience;

/// The longest pause between two looks at the lease table: so soon others notice who came and who left.
const LONGEST_TICK: Duration = Duration::from_secs(2);

/// Holds leases on partitions of one topic.
#[derive(Debug)]
pub(crate) struct LeaseKeeper<'a> {
    /// The database.
    pub store: &'a Store,
    /// The topic.
    pub topic: &'a str,
    /// This process.
    pub owner: Uuid,
    /// How long a partition may stay with a consumer that no longer answers.
    pub lease: Duration,
    /// Where the pipeline looks.
    pub assignment: &'a Assignment,
    /// Where health looks.
    pub status: &'a Status,
    /// Where the number of partitions is shown.
    pub metrics: &'a Metrics,
    /// The last jump of an offset that was told.
    pub told_jump: AtomicI64,
}

/// How often the lease table is looked at: at least three times in the life of a lease.
fn tick(lease: Duration) -> Duration {
    (lease / 6).min(LONGEST_TICK)
}

/// How long a lease holds in the table. Others look every [`tick`], so a partition moves within `lease` all in all.
pub(crate) fn hold(lease: Duration) -> Duration {
    lease.saturating_sub(2 * tick(lease))
}

/// How many partitions a consumer should hold: as equal as can be, the first ones by rank take what is left over.
fn fair_share(crowd: Crowd) -> usize {
    let consumers = crowd.consumers.max(1);
    crowd.partitions / consumers + usize::from(crowd.rank < crowd.partitions % consumers)
}

impl LeaseKeeper<'_> {
    /// Keeps the leases until the shutdown.
    pub(crate) fn run(&self, shutdown: &Shutdown) {
        let mut patience = Patience::new("PostgreSQL to take the leases");
        let _pulse = self.status.keeper.begin();
        loop {
            self.status.keeper.beat();
            let mut pause = tick(self.lease);
            let seen = self.assignment.snapshot();
            match self.look() {
                Ok((leases, is_short)) => {
                    patience.succeeded();
                    self.status.well(Part::Leases);
                    if is_short {
                        // Others are about to give some back, or the topic is about to be found.
                        pause /= 8;
                    }
                    self.take_over(leases, &seen);
                }
                Err(error) => {
                    self.status.trouble(Part::Leases, error.to_string());
                    patience.failed(&error);
                }
            }
            if shutdown.wait(pause) {
                return;
            }
        }
    }

    /// Lets go of everything at once, so that others need not wait for the leases to run out.
    pub(crate) fn leave(&self) {
        let leave = || -> Result<(), StoreError> {
            let mut session = self.store.session()?;
            let mut tx = session.begin_durable()?;
            leases::leave(&mut tx, self.topic, self.owner)?;
            crash_point!("lease.leaving");
            tx.commit()
        };
        match leave() {
            Ok(()) => log::info!("partitions released"),
            Err(error) => log::warn!("partitions not released, others take them when the leases run out: {error}"),
        }
    }

    /// One look at the table. Returns what is held afterwards, and whether that is less than our share.
    fn look(&self) -> Result<(Vec<Lease>, bool), StoreError> {
        let (topic, owner, hold) = (self.topic, self.owner, hold(self.lease));
        let mut session = self.store.session()?;
        let mut tx = session.begin_durable()?;
        leases::announce(&mut tx, topic, owner, hold)?;
        let mut held = leases::renew(&mut tx, topic, owner, hold)?;
        crash_point!("lease.renewed");
        held.sort_by_key(|lease| lease.partition);
        let crowd = leases::crowd(&mut tx, topic, owner)?;
        let share = fair_share(crowd);
        if held.len() > share {
            let surplus: Vec<i32> = held.split_off(share).iter().map(|lease| lease.partition).collect();
            leases::release(&mut tx, topic, owner, &surplus)?;
            crash_point!("lease.released");
        } else if held.len() < share {
            let missing = share - held.len();
            held.extend(leases::claim(&mut tx, topic, owner, hold, missing)?);
            crash_point!("lease.claimed");
        }
        self.tell_jumps(&mut tx)?;
        tx.commit()?;
        crash_point!("lease.looked");
        let is_short = held.len() < share || crowd.partitions == 0;
        Ok((held, is_short))
    }

    /// Says it once when an offset was moved by another hand.
    fn tell_jumps(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        for jump in jumps::faults_since(tx, self.topic, self.told_jump.load(Ordering::Relaxed))? {
            log::error!("{}, and nothing explains it: see isitup-consumer audit", jump.describe());
            self.metrics.offset_jumps.inc();
            self.told_jump.store(jump.number, Ordering::Relaxed);
        }
        Ok(())
    }

    fn take_over(&self, leases: Vec<Lease>, seen: &BTreeMap<i32, Held>) {
        let before: Vec<i32> = self.assignment.positions().into_iter().map(|(partition, _)| partition).collect();
        let mut now: Vec<i32> = leases.iter().map(|lease| lease.partition).collect();
        now.sort_unstable();
        self.metrics.partitions_owned.set(i64::try_from(now.len()).unwrap_or(i64::MAX));
        for partition in before.iter().filter(|partition| !now.contains(partition)) {
            self.metrics.forget_lag(*partition);
            self.metrics.leases_lost.inc();
        }
        let taken = now.iter().filter(|partition| !before.contains(partition)).count();
        self.metrics.leases_taken.inc_by(taken as u64);
        if before != now {
            log::info!("partitions held: {now:?}");
        }
        self.assignment.take_over(leases, seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn shares_add_up_and_differ_by_at_most_one(partitions in 0usize..200, consumers in 1usize..50) {
            let shares: Vec<usize> =
                (0..consumers).map(|rank| fair_share(Crowd { partitions, consumers, rank })).collect();
            prop_assert_eq!(shares.iter().sum::<usize>(), partitions);
            let least = shares.iter().min().copied().unwrap_or(0);
            prop_assert!(shares.iter().all(|share| (least..=least + 1).contains(share)));
        }

        #[test]
        fn a_dead_consumers_partition_moves_within_the_lease(seconds in 2u64..600) {
            let lease = Duration::from_secs(seconds);
            prop_assert!(hold(lease) + tick(lease) < lease);
            prop_assert!(tick(lease) <= lease / 3);
        }
    }
}
