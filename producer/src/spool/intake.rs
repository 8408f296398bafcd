//! Where events enter the spool, and what others may know of it while it runs.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crossbeam_channel::{Sender, bounded};
use isitup_shared::config::Format;
use isitup_shared::event::{Body, ClockStep, Draft};
use isitup_shared::heartbeat::Heartbeat;
use isitup_shared::shutdown::Shutdown;
use isitup_shared::time::UtcTime;

use super::feed::Feed;
use super::{Ledger, Shared, Spool};

/// Events on their way to the disk; when there are more, their senders wait.
const MOST_WAITING: usize = 8192;

/// What is said to the spool's thread.
pub(super) enum Entry {
    Event {
        draft: Draft,
        closes: Vec<UtcTime>,
    },
    /// The feed wants to hand more to Kafka than the last mark allows.
    Extend,
    /// What comes after this belongs into another segment.
    EndSegment,
    /// Somebody wants to know when all before this is on disk.
    Sync(Sender<()>),
    /// Nothing comes after this.
    End,
}

/// Where events enter the spool. Clones share it.
#[derive(Clone, Debug)]
pub struct Intake {
    entries: Sender<Entry>,
    format: Format,
}

impl Intake {
    /// Encodes `body` as this spool's events are.
    pub fn draft(&self, body: &Body) -> Draft {
        Draft::new(body, self.format)
    }

    /// Gives `draft` to the spool, which closes the slots `closes` with it. Waits while the disk cannot keep up.
    pub fn put(&self, draft: Draft, closes: Vec<UtcTime>) {
        if self.entries.send(Entry::Event { draft, closes }).is_err() {
            log::error!("an event came after the spool had ended; the restart will declare its slot");
        }
    }

    /// Gives `step` to the spool, and ends the segment with it: what is lost of one segment lies between the times of its
    /// neighbours, and its loss does not take along the only word on a time that nobody would look for.
    pub fn put_step(&self, step: ClockStep, closes: Vec<UtcTime>) {
        self.put(self.draft(&Body::ClockStep(step)), closes);
        // Where the spool has ended, that was told.
        let _ = self.entries.send(Entry::EndSegment);
    }
}

#[cfg(test)]
impl Intake {
    /// One whose spool takes nothing as long as the second value lives.
    pub(crate) fn stalled() -> (Self, impl Sized) {
        let (entries, taken) = bounded(MOST_WAITING);
        (Self { entries, format: Format::Json }, taken)
    }
}

/// The running spool's figures, and its thread.
#[derive(Debug)]
pub struct SpoolHandle {
    shared: Arc<Shared>,
    entries: Sender<Entry>,
    thread: JoinHandle<()>,
}

/// The figures of a spool, for metrics and health.
#[derive(Clone, Debug)]
pub struct SpoolGauge {
    shared: Arc<Shared>,
}

impl SpoolGauge {
    /// Events that Kafka has not acknowledged.
    pub fn events(&self) -> i64 {
        self.shared.depth.load(Ordering::Relaxed).max(0)
    }

    /// How long the oldest of them waits, in seconds.
    pub fn oldest_age_seconds(&self) -> f64 {
        self.shared.oldest_age_seconds()
    }

    /// The heartbeat of the thread that writes.
    pub fn heart(&self) -> &Heartbeat {
        &self.shared.heart
    }

    /// Why nothing can be written at the moment.
    pub fn blocked(&self) -> Option<String> {
        self.shared.lock().blocked.clone()
    }

    /// Whether there was a time since `moment` when nothing could be written.
    pub fn was_blocked_since(&self, moment: Instant) -> bool {
        let state = self.shared.lock();
        state.blocked.is_some() || state.unblocked_at.is_some_and(|at| at >= moment)
    }
}

impl SpoolHandle {
    /// The figures.
    pub fn gauge(&self) -> SpoolGauge {
        SpoolGauge { shared: Arc::clone(&self.shared) }
    }

    /// Waits until all that came so far is on disk, but no longer than to `deadline`.
    pub fn flush(&self, deadline: Instant) {
        let (done, is_done) = bounded(1);
        let is_asked = self.entries.send_deadline(Entry::Sync(done), deadline).is_ok();
        if !is_asked || is_done.recv_deadline(deadline).is_err() {
            log::error!("the disk did not take the last events in time; the restart declares their slots");
        }
    }

    /// Makes all that came so far durable, with a last mark, and ends the spool.
    pub fn finish(self) {
        // An error means that the thread has ended already, which the join tells.
        let _ = self.entries.send(Entry::End);
        if self.thread.join().is_err() {
            log::error!("the spool's thread panicked; what it had not written is declared by the restart");
        }
    }
}

impl Spool {
    /// Starts the spool's thread. After `shutdown` a disk that refuses to be written is no longer waited for.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(self, ledger: Arc<Ledger>, shutdown: Shutdown) -> io::Result<(Intake, Feed, SpoolHandle)> {
        let (sender, entries) = bounded(MOST_WAITING);
        let mut writer = self.writer;
        let format = writer.format;
        let shared = Arc::clone(&writer.shared);
        let feed = Feed::new(Arc::clone(&shared), sender.clone(), format);
        let thread =
            thread::Builder::new().name("spool".into()).spawn(move || writer.run(&entries, &ledger, &shutdown))?;
        Ok((Intake { entries: sender.clone(), format }, feed, SpoolHandle { shared, entries: sender, thread }))
    }
}
