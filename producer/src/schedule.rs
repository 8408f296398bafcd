//! When each site is due. Pure: it is told the time and never asks for it.
//!
//! A site's slots lie at the times `t` since 1970 with `t mod interval = phase`, where the phase is a hash of the
//! site's name modulo the interval. So the load is even, a restart keeps the phase, and anyone can compute which slots
//! were due.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use isitup_shared::time::UtcTime;
use sha2::{Digest, Sha256};

/// A slot later than this is missed rather than made up, so that a machine that slept does not wake into a burst.
/// For shorter intervals it is the interval.
const MOST_LATE: Duration = Duration::from_secs(1);

/// The slots of one site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots {
    interval_us: i64,
    phase_us: i64,
}

impl Slots {
    /// The slots of the site called `name`, one each `interval` (at least a microsecond).
    ///
    /// The phase is the first 7 bytes of the SHA-256 of the name, as a big-endian number, modulo the interval in
    /// microseconds. In SQL: `('x' || left(encode(sha256(name::bytea), 'hex'), 14))::bit(56)::bigint % interval_us`.
    pub fn new(name: &str, interval: Duration) -> Self {
        let interval_us = i64::try_from(interval.as_micros()).unwrap_or(i64::MAX).max(1);
        let digest = Sha256::digest(name.as_bytes());
        let hash = digest.iter().take(7).fold(0_i64, |hash, byte| (hash << 8) | i64::from(*byte));
        Self { interval_us, phase_us: hash % interval_us }
    }

    /// The first slot at or after `time`.
    pub fn at_or_after(self, time: UtcTime) -> UtcTime {
        let past = (time.as_micros() - self.phase_us).rem_euclid(self.interval_us);
        let to_go = if past == 0 { 0 } else { self.interval_us - past };
        UtcTime::from_micros(time.as_micros().saturating_add(to_go))
    }

    fn next(self, slot: UtcTime) -> UtcTime {
        UtcTime::from_micros(slot.as_micros().saturating_add(self.interval_us))
    }

    /// The oldest slot that may still begin at `now`.
    fn oldest_to_begin(self, now: UtcTime) -> UtcTime {
        let late_us = i64::try_from(MOST_LATE.as_micros()).unwrap_or(i64::MAX).min(self.interval_us - 1);
        self.at_or_after(UtcTime::from_micros(now.as_micros() - late_us))
    }
}

/// What the schedule asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Check this site, for this slot.
    Check {
        /// Index of the site.
        site: usize,
        /// The slot.
        slot: UtcTime,
    },
    /// These slots of this site are past and stay unchecked.
    Missed {
        /// Index of the site.
        site: usize,
        /// The first slot missed.
        first: UtcTime,
        /// The last one.
        last: UtcTime,
    },
}

/// All sites' next slots.
#[derive(Debug)]
pub struct Schedule {
    sites: Vec<Slots>,
    next: BinaryHeap<Reverse<(UtcTime, usize)>>,
}

impl Schedule {
    /// A schedule that begins at `now`: every slot from then on is due.
    pub fn new(sites: Vec<Slots>, now: UtcTime) -> Self {
        let mut schedule = Self { sites, next: BinaryHeap::new() };
        schedule.restart(now);
        schedule
    }

    /// Begins anew at `now`; for a wall clock that jumped.
    pub fn restart(&mut self, now: UtcTime) {
        let first = self.sites.iter().enumerate().map(|(site, slots)| Reverse((slots.at_or_after(now), site)));
        self.next = first.collect();
    }

    /// The next slot of any site; `None` when there are no sites.
    pub fn next_slot(&self) -> Option<UtcTime> {
        self.next.peek().map(|Reverse((slot, _))| *slot)
    }

    /// What is due at `now`, one at a time; `None` when nothing is.
    pub fn pop(&mut self, now: UtcTime) -> Option<Due> {
        let Reverse((slot, site)) = *self.next.peek()?;
        if slot > now {
            return None;
        }
        self.next.pop();
        let slots = self.sites[site];
        let resume = slots.oldest_to_begin(now);
        if slot < resume {
            self.next.push(Reverse((resume, site)));
            let last = UtcTime::from_micros(resume.as_micros() - slots.interval_us);
            return Some(Due::Missed { site, first: slot, last });
        }
        self.next.push(Reverse((slots.next(slot), site)));
        Some(Due::Check { site, slot })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn at(micros: i64) -> UtcTime {
        UtcTime::from_micros(micros)
    }

    #[test]
    fn anyone_can_compute_the_phase() {
        // select ('x' || left(encode(sha256('steady'), 'hex'), 14))::bit(56)::bigint % 30000000;
        let slots = Slots::new("steady", Duration::from_secs(30));
        let digest: [u8; 32] = Sha256::digest(b"steady").into();
        let number = digest[..7].iter().fold(0_u64, |n, byte| n * 256 + u64::from(*byte));
        assert_eq!(slots.phase_us, i64::try_from(number % 30_000_000).unwrap());
    }

    #[test]
    fn a_restart_keeps_the_phase() {
        let slots = vec![Slots::new("a", Duration::from_secs(60))];
        let first = Schedule::new(slots.clone(), at(1_000_000_000)).next_slot().unwrap();
        let later = Schedule::new(slots, at(first.as_micros() + 1)).next_slot().unwrap();
        assert_eq!(later.since(first), Duration::from_secs(60));
    }

    #[test]
    fn many_sites_spread_evenly_over_the_interval() {
        let interval = Duration::from_secs(10);
        let sites: Vec<Slots> = (0..10_000).map(|i| Slots::new(&format!("https://{i}.example"), interval)).collect();
        let mut by_second = BTreeMap::new();
        for slots in sites {
            *by_second.entry(slots.phase_us / 1_000_000).or_insert(0) += 1;
        }
        assert_eq!(by_second.len(), 10);
        assert!(by_second.values().all(|count| (850..1150).contains(count)), "{by_second:?}");
    }

    #[test]
    fn a_machine_that_slept_does_not_wake_into_a_burst() {
        let interval = Duration::from_secs(10);
        let sites: Vec<Slots> = (0..1000).map(|i| Slots::new(&i.to_string(), interval)).collect();
        let mut schedule = Schedule::new(sites, at(0));
        let now = at(3_600_000_000);
        let due: Vec<Due> = std::iter::from_fn(|| schedule.pop(now)).collect();
        let checks = due.iter().filter(|due| matches!(due, Due::Check { .. })).count();
        assert!(checks < 150, "{checks} checks at once");
        assert_eq!(due.iter().filter(|due| matches!(due, Due::Missed { .. })).count(), 1000);
    }

    proptest! {
        #[test]
        fn every_slot_is_due_exactly_once_as_a_check_or_as_missed(
            names in prop::collection::vec("[a-z]{1,8}", 1..6),
            interval_us in 1_000_i64..5_000_000,
            begin in 0_i64..1_000_000_000_000,
            steps in prop::collection::vec(0_i64..4_000_000, 1..40),
        ) {
            let interval = Duration::from_micros(interval_us.unsigned_abs());
            let sites: Vec<Slots> = names.iter().map(|name| Slots::new(name, interval)).collect();
            let mut schedule = Schedule::new(sites.clone(), at(begin));
            let mut seen: Vec<Vec<i64>> = vec![Vec::new(); sites.len()];
            let mut now = begin;
            for step in steps {
                now += step;
                while let Some(due) = schedule.pop(at(now)) {
                    match due {
                        Due::Check { site, slot } => {
                            prop_assert!(slot <= at(now));
                            prop_assert!(at(now).since(slot) <= MOST_LATE);
                            seen[site].push(slot.as_micros());
                        }
                        Due::Missed { site, first, last } => {
                            prop_assert!(first <= last);
                            let mut slot = first.as_micros();
                            while slot <= last.as_micros() {
                                seen[site].push(slot);
                                slot += interval_us;
                            }
                        }
                    }
                }
            }
            for (slots, seen) in sites.iter().zip(&seen) {
                let mut expected = Vec::new();
                let mut slot = slots.at_or_after(at(begin)).as_micros();
                while slot <= now {
                    prop_assert_eq!(slot.rem_euclid(interval_us), slots.phase_us);
                    expected.push(slot);
                    slot += interval_us;
                }
                prop_assert_eq!(seen, &expected);
            }
        }
    }
}
