//! The durable queue between the checks and Kafka.
//!
//! Every event gets its number here and is on disk before it counts as accepted. Only what the spool holds is
//! published, and an event leaves it only after Kafka's acknowledgement. [`Spool::open`] recovers what is whole;
//! [`Spool::start`] gives the [`Intake`] for the checks, the [`Feed`] for the publisher, and the thread between them.
//!
//! Own files rather than an embedded database: what is whole must survive any flipped byte around it, which a
//! database file does not promise, and a batch costs one write and one `fdatasync` (see ARCHITECTURE.md for figures).

mod feed;
mod files;
mod hold;
mod identity;
mod intake;
mod ledger;
mod limit;
mod lock;
mod loss;
mod record;
mod recovery;
mod room;
mod segment;
mod tail;
#[cfg(test)]
mod tests;
mod writer;

pub use feed::Feed;
pub(crate) use files::create_folder;
pub use intake::{Intake, SpoolGauge, SpoolHandle};
pub use ledger::Ledger;
pub use record::Stored;
pub use recovery::Spool;

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use isitup_shared::heartbeat::Heartbeat;
use isitup_shared::time::UtcTime;

use segment::Segment;
use writer::HANDING_WINDOW;

/// Why a spool cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// Another process has it open.
    #[error("the spool {} is in use by another producer; give each its own producer.spool.path", folder.display())]
    InUse {
        /// The spool's folder.
        folder: PathBuf,
    },
    /// The file system refuses.
    #[error("the spool {} cannot be {what}: {source}; check producer.spool.path, its owner and the free space", folder.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// The spool's folder.
        folder: PathBuf,
        /// Its answer.
        source: io::Error,
    },
}

/// What is amiss with a spool's folder before it is opened: who has access to it, and its room.
pub(crate) fn warnings(folder: &Path, max_size: u64) -> Vec<String> {
    let taken = segment::list(folder).map_or(0, |segments| segments.iter().map(|segment| segment.bytes).sum());
    files::folder_warning(folder).into_iter().chain(room::warning(folder, taken, max_size)).collect()
}

/// What the writer and the feed share.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// Every event up to this number was acknowledged by Kafka.
    acked: AtomicU64,
    /// The highest number that was acknowledged. Where a partition fails, others go on beyond `acked`.
    reached: AtomicU64,
    /// The most bytes the spool may take.
    max_size: u64,
    /// Events in the spool that Kafka has not acknowledged.
    depth: AtomicI64,
    /// When the oldest of them was accepted, in microseconds since 1970.
    oldest: AtomicI64,
    /// That of the thread that writes.
    heart: Heartbeat,
}

#[derive(Debug)]
struct State {
    /// The newest events, a copy of what is on disk: all from `queued_from` on.
    queue: VecDeque<Stored>,
    queued_bytes: usize,
    queued_from: u64,
    /// The highest number on disk.
    durable: u64,
    /// Events up to this number may be handed to Kafka; on disk before it stands here.
    handed: u64,
    /// All segments by first number; the last one is being written.
    segments: Vec<Segment>,
    /// Why nothing can be written at the moment.
    blocked: Option<String>,
    /// When it could be written again.
    unblocked_at: Option<Instant>,
}

/// What may have been handed to Kafka must leave room in the smallest spool, too.
const LEAST_HANDED_BYTES: u64 = 2 * segment::SIZE;

/// Events kept in memory for the publisher beside the disk; when they are more, it reads them back.
const MOST_QUEUED_BYTES: usize = 16 << 20;

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the last number that may be handed to Kafka: [`HANDING_WINDOW`] events beyond the highest one that it
    /// acknowledged, so that others run ahead of a partition that fails. What was handed is never dropped where the spool grows
    /// too large, so all of it takes at most half of the spool. Numbers that no segment has were dropped or skipped, and
    /// count for nothing.
    fn handing_limit(&self, state: &State) -> u64 {
        let (acked, reached) = (self.acked.load(Ordering::Acquire), self.reached.load(Ordering::Acquire));
        let waiting = || state.segments.iter().filter(|segment| segment.last_seq > acked);
        let before = waiting().next().map_or(acked, |segment| acked.max(segment.first_seq.saturating_sub(1)));
        let (most, mut bytes) = (LEAST_HANDED_BYTES.max(self.max_size / 2), 0);
        let too_many = waiting().find(|segment| {
            let is_first = bytes == 0;
            bytes += segment.disk_bytes();
            !is_first && bytes > most
        });
        let by_size = too_many.map_or(u64::MAX, |segment| segment.first_seq.saturating_sub(1));
        by_size.min(before.max(reached) + HANDING_WINDOW)
    }

    /// Takes over a batch that has become durable.
    fn publish(&self, batch: Vec<Stored>, handed: u64) {
        let count = batch.len();
        let mut state = self.lock();
        if self.depth.fetch_add(i64::try_from(count).unwrap_or(i64::MAX), Ordering::Relaxed) == 0
            && let Some(first) = batch.first()
        {
            self.oldest.store(first.accepted_at.as_micros(), Ordering::Relaxed);
        }
        for event in batch {
            state.durable = event.seq;
            state.queued_bytes += event.size();
            state.queue.push_back(event);
        }
        if state.queued_bytes > MOST_QUEUED_BYTES {
            state.forget_queue();
        }
        state.handed = handed;
        drop(state);
        self.changed.notify_all();
    }

    /// Notes that the disk can be written. Tells whether it could not.
    fn unblock(&self) -> bool {
        let mut state = self.lock();
        let was_blocked = state.blocked.take().is_some();
        if was_blocked {
            state.unblocked_at = Some(Instant::now());
        }
        was_blocked
    }

    /// How long the oldest event waits for Kafka's acknowledgement.
    fn oldest_age_seconds(&self) -> f64 {
        if self.depth.load(Ordering::Relaxed) <= 0 {
            return 0.0;
        }
        UtcTime::now().since(UtcTime::from_micros(self.oldest.load(Ordering::Relaxed))).as_secs_f64()
    }
}

impl State {
    /// Leaves the queued events to the disk.
    fn forget_queue(&mut self) {
        self.queue = VecDeque::new();
        self.queued_bytes = 0;
        self.queued_from = self.durable + 1;
    }
}
