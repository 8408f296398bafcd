//! Which slots are still open: due, but not yet an event in the spool.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use isitup_shared::time::UtcTime;

/// Tells the settled time: every slot before it has ended as an event. The schedule opens slots, the spool closes
/// them when it takes their event into a batch; nobody else touches it.
#[derive(Debug, Default)]
pub struct Ledger {
    slots: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    /// Open slots, each with the number of sites it is open for.
    open: BTreeMap<UtcTime, u32>,
    /// All slots before this moment were opened.
    frontier: Option<UtcTime>,
}

impl Ledger {
    /// A site's slot is due.
    pub fn open(&self, slot: UtcTime) {
        *self.lock().open.entry(slot).or_default() += 1;
    }

    /// A site's slot has ended as an event.
    pub fn close(&self, slot: UtcTime) {
        let mut slots = self.lock();
        if let Some(sites) = slots.open.get_mut(&slot) {
            *sites -= 1;
            if *sites == 0 {
                slots.open.remove(&slot);
            }
        }
    }

    /// All slots before `frontier` were opened.
    pub fn advance(&self, frontier: UtcTime) {
        self.lock().frontier = Some(frontier);
    }

    /// Every slot before this moment has been closed; `None` until a schedule has begun.
    pub fn settled(&self) -> Option<UtcTime> {
        let slots = self.lock();
        let first_open = slots.open.first_key_value().map(|(slot, _)| *slot);
        slots.frontier.map(|frontier| first_open.map_or(frontier, |slot| slot.min(frontier)))
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> UtcTime {
        UtcTime::from_micros(second * 1_000_000)
    }

    #[test]
    fn the_settled_time_stops_at_the_first_open_slot() {
        let ledger = Ledger::default();
        assert_eq!(ledger.settled(), None);
        ledger.open(at(5));
        ledger.open(at(5));
        ledger.open(at(7));
        ledger.advance(at(9));
        assert_eq!(ledger.settled(), Some(at(5)));
        ledger.close(at(5));
        assert_eq!(ledger.settled(), Some(at(5)));
        ledger.close(at(5));
        assert_eq!(ledger.settled(), Some(at(7)));
        ledger.close(at(7));
        assert_eq!(ledger.settled(), Some(at(9)));
    }
}
