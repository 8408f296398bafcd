//! What is watched while the storm rages: that offsets never go back, and how much memory the services take.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use super::fleet::Fleet;

const LOOK_EVERY: Duration = Duration::from_millis(200);

#[derive(Default)]
pub(super) struct Watch {
    is_over: AtomicBool,
    /// How often PostgreSQL was killed. It may then forget what it had promised a moment before, rows and offsets alike.
    crashes: AtomicU32,
    went_back: Mutex<Vec<String>>,
    /// The most memory of each kind of service, in KiB.
    peaks: Mutex<BTreeMap<&'static str, u64>>,
}

impl Watch {
    /// PostgreSQL is about to be killed, or was just now.
    pub(super) fn postgres_crashes(&self) {
        self.crashes.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }

    pub(super) fn went_back(&self) -> Vec<String> {
        self.went_back.lock().unwrap().clone()
    }

    pub(super) fn peaks(&self) -> BTreeMap<&'static str, u64> {
        self.peaks.lock().unwrap().clone()
    }

    /// Watches until the end.
    pub(super) fn keep(&self, fleet: &Fleet<'_>) {
        let mut seen: (u32, BTreeMap<i32, i64>) = Default::default();
        while !self.is_over.load(Ordering::SeqCst) {
            let crashes = self.crashes.load(Ordering::SeqCst);
            if let Some(offsets) = fleet.offsets()
                && crashes == self.crashes.load(Ordering::SeqCst)
            {
                if seen.0 == crashes {
                    self.compare(&seen.1, &offsets);
                }
                seen = (crashes, offsets);
            }
            let mut peaks = self.peaks.lock().unwrap();
            for (kind, memory) in fleet.memory() {
                let peak = peaks.entry(kind).or_default();
                *peak = memory.max(*peak);
            }
            drop(peaks);
            thread::sleep(LOOK_EVERY);
        }
    }

    fn compare(&self, before: &BTreeMap<i32, i64>, after: &BTreeMap<i32, i64>) {
        for (partition, was) in before {
            let is = after.get(partition).copied().unwrap_or(0);
            if is < *was {
                self.went_back
                    .lock()
                    .unwrap()
                    .push(format!("the offset of partition {partition} went back from {was} to {is}"));
            }
        }
    }
}
