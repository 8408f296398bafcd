//! The thread that makes events durable: numbers them, and writes them in batches.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use isitup_shared::config::Format;
use isitup_shared::crash_point;
use isitup_shared::event::{Body, Draft, Gap, Rank, Sealer};
use isitup_shared::retry::Retry;
use isitup_shared::shutdown::Shutdown;
use isitup_shared::time::UtcTime;
use uuid::Uuid;

use super::identity::{self, Identity};
use super::intake::Entry;
use super::lock::Lock;
use super::record::{self, Mark, Stored};
use super::segment::{Segment, Tail};
use super::{Ledger, Shared};

/// A batch at the most.
const MOST_IN_BATCH: usize = 8192;
const MOST_BATCH_BYTES: usize = 2 << 20;
/// How far the events that may be handed to Kafka run ahead of those that were acknowledged, see [`Shared::handing_limit`].
pub(super) const HANDING_WINDOW: u64 = 16_384;
/// Between two batches under load: a few times what the last one took, so that disks are not written all the time. A
/// batch costs some 300 us of CPU on its way through disk and Kafka, however few events it holds, so that the shortest
/// pause decides what a check costs; on average it delays an event by half of itself.
const PAUSE_FACTOR: u32 = 4;
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// After so long without a batch the thread hangs: the producer's own heartbeat alone brings one each 10 s.
pub(super) const LONGEST_SILENCE: Duration = Duration::from_secs(120);

/// What is made durable together.
struct Batch {
    drafts: Vec<Draft>,
    syncs: Vec<Sender<()>>,
    ends_segment: bool,
    /// Whether more may come.
    is_open: bool,
}

/// What writes; made by recovery.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) folder: PathBuf,
    pub(super) max_size: u64,
    pub(super) identity: Identity,
    pub(super) sealer: Sealer,
    /// How new events are encoded. What the spool holds may be of the other format.
    pub(super) format: Format,
    pub(super) tail: Tail,
    pub(super) next_seq: u64,
    pub(super) mark: Mark,
    pub(super) shared: Arc<Shared>,
    /// The batch as it goes to disk; kept for its room.
    pub(super) records: Vec<u8>,
    /// Held as long as the spool is open.
    pub(super) _lock: Lock,
}

impl Writer {
    pub(super) fn producer_id(&self) -> Uuid {
        self.identity.producer_id
    }

    /// The event that tells `gap`.
    pub(super) fn draft(&self, gap: &Gap) -> Draft {
        Draft::new(&Body::Gap(gap.clone()), self.format)
    }

    /// Declares what recovery found lost.
    pub(super) fn commit_gaps(&mut self, gaps: &[Gap]) -> io::Result<()> {
        let drafts: Vec<Draft> = gaps.iter().map(|gap| self.draft(gap)).collect();
        self.commit(&drafts, self.mark.settled)
    }

    /// Notes that the segment at `path` takes `bytes` now, without its events up to the rank `thinned`.
    pub(super) fn resized(&mut self, path: &Path, bytes: u64, thinned: Option<Rank>) {
        if let Some(segment) = self.shared.lock().segments.iter_mut().find(|segment| segment.path == path) {
            segment.bytes = bytes;
            segment.thinned = thinned;
        }
    }

    /// Writes what comes until [`Entry::End`].
    pub(super) fn run(&mut self, entries: &Receiver<Entry>, ledger: &Ledger, shutdown: &Shutdown) {
        let _pulse = self.shared.heart.begin();
        let mut is_open = true;
        while is_open && let Ok(first) = entries.recv() {
            self.shared.heart.beat();
            let batch = gather(first, entries, ledger);
            is_open = batch.is_open;
            let settled = ledger.settled().or(self.mark.settled);
            let began = Instant::now();
            if !self.commit_at_last(&batch.drafts, settled, shutdown) {
                return;
            }
            if batch.ends_segment {
                self.tail.end();
            }
            for sync in batch.syncs {
                // Whoever asked may have stopped waiting.
                let _ = sync.send(());
            }
            self.drop_acknowledged();
            self.keep_within_size();
            // Events that come meanwhile share the next batch and wake nobody.
            shutdown.wait((began.elapsed() * PAUSE_FACTOR).clamp(SHORTEST_PAUSE, LONGEST_PAUSE));
        }
        // The last word: what was acknowledged, and that the schedule had ended.
        let settled = ledger.settled().or(self.mark.settled);
        if let Err(error) = self.commit(&[], settled) {
            log::warn!("the spool's last mark was not written ({error}); the next start publishes some events again");
        }
    }

    /// Commits, again and again while the disk refuses; gives up only during a shutdown.
    fn commit_at_last(&mut self, drafts: &[Draft], settled: Option<UtcTime>, shutdown: &Shutdown) -> bool {
        let mut retry = Retry::for_service();
        loop {
            self.shared.heart.beat();
            match self.commit(drafts, settled) {
                Ok(()) => {
                    if self.shared.unblock() {
                        log::info!("the spool {} can be written again", self.folder.display());
                    }
                    return true;
                }
                Err(error) => {
                    let why = format!("the spool {} cannot be written: {error}", self.folder.display());
                    if self.shared.lock().blocked.replace(why.clone()).is_none() {
                        log::error!("{why}; checks wait until it can");
                    }
                }
            }
            if retry.pause(shutdown) {
                log::error!(
                    "{} events were not written before the end; the restart declares their slots",
                    drafts.len()
                );
                return false;
            }
        }
    }

    /// Numbers `drafts` and makes them durable, with a mark behind them. After an error nothing has changed.
    pub(super) fn commit(&mut self, drafts: &[Draft], settled: Option<UtcTime>) -> io::Result<()> {
        let acked = self.shared.acked.load(Ordering::Acquire);
        let last = self.next_seq + drafts.len() as u64 - 1;
        let limit = self.shared.handing_limit(&self.shared.lock());
        let mark = Mark { settled, acked, handed: self.mark.handed.max(last.min(limit)) };
        self.write(drafts, mark)
    }

    /// As [`Writer::commit`], with `mark` as it is given.
    pub(super) fn write(&mut self, drafts: &[Draft], mark: Mark) -> io::Result<()> {
        let accepted_at = UtcTime::now();
        let last = self.next_seq + drafts.len() as u64 - 1;
        self.identity.reserve(last)?;
        let batch: Vec<Stored> =
            drafts.iter().zip(self.next_seq..).map(|(draft, seq)| self.number(draft, seq, accepted_at)).collect();
        self.records.clear();
        for event in &batch {
            record::write_event(&mut self.records, event);
        }
        record::write_mark(&mut self.records, &mark);
        if !self.tail.is_in_place()? {
            self.begin_folder_anew()?;
            self.begin_segment()?;
        } else if self.tail.has_room(self.records.len()) {
            self.tail.append(&self.records)?;
            if let Some(segment) = self.shared.lock().segments.last_mut() {
                segment.bytes += self.records.len() as u64;
            }
        } else {
            self.begin_segment()?;
        }
        self.next_seq = last + 1;
        self.mark = mark;
        if let Some(segment) = self.shared.lock().segments.last_mut() {
            segment.last_seq = last;
        }
        self.shared.publish(batch, mark.handed);
        crash_point!("spool.published");
        Ok(())
    }

    /// Makes the batch the beginning of another segment.
    fn begin_segment(&mut self) -> io::Result<()> {
        let since = self.mark.settled.or(self.identity.settled).unwrap_or_else(UtcTime::now);
        let (tail, segment) =
            Tail::create(&self.folder, self.identity.producer_id, self.next_seq, since, &self.records)?;
        self.tail = tail;
        self.add_segment(segment);
        if let Err(error) = self.identity.note(self.next_seq, since) {
            // The batch is on disk and counts. The next segment says it again; until then nobody would notice the loss of
            // this one as a whole.
            log::warn!("the identity of the spool {} was not updated: {error}", self.folder.display());
        }
        Ok(())
    }

    /// Somebody took the spool's files away. The producer keeps its name and its numbers; what is lost shows when it is
    /// to be read back.
    fn begin_folder_anew(&mut self) -> io::Result<()> {
        log::error!("the spool {} was taken away; it begins anew with what is in memory", self.folder.display());
        identity::create_folder(&self.folder)?;
        self._lock = Lock::take(&self.folder).map_err(io::Error::other)?;
        self.identity.write()
    }

    fn number(&self, draft: &Draft, seq: u64, accepted_at: UtcTime) -> Stored {
        let message = self.sealer.seal(draft, seq);
        Stored { seq, accepted_at, rank: draft.rank(), key: self.sealer.key(draft).as_bytes().to_vec(), message }
    }

    /// A segment that could not be written to may be there already, under the same name.
    fn add_segment(&self, segment: Segment) {
        let mut state = self.shared.lock();
        state.segments.retain(|other| other.path != segment.path);
        state.segments.push(segment);
    }

    /// Removes segments whose events Kafka has all acknowledged. Only a mark that is on disk counts, else a crash
    /// would find them gone without knowing why.
    fn drop_acknowledged(&mut self) {
        let mut state = self.shared.lock();
        while state.segments.len() > 1 && state.segments[0].last_seq <= self.mark.acked {
            let segment = state.segments.remove(0);
            crash_point!("unlink.begin");
            if let Err(error) = fs::remove_file(&segment.path) {
                log::warn!("{} cannot be removed: {error}", segment.path.display());
            }
            crash_point!("unlink.done");
        }
    }
}

/// Takes what has come meanwhile, and closes its slots.
fn gather(first: Entry, entries: &Receiver<Entry>, ledger: &Ledger) -> Batch {
    let mut batch = Batch { drafts: Vec::new(), syncs: Vec::new(), ends_segment: false, is_open: true };
    let mut bytes = 0;
    for entry in std::iter::once(first).chain(entries.try_iter()) {
        match entry {
            Entry::Event { draft, closes } => {
                bytes += draft.size();
                batch.drafts.push(draft);
                closes.into_iter().for_each(|slot| ledger.close(slot));
            }
            Entry::Extend => {}
            Entry::EndSegment => {
                batch.ends_segment = true;
                break;
            }
            Entry::Sync(done) => batch.syncs.push(done),
            Entry::End => {
                batch.is_open = false;
                break;
            }
        }
        if batch.drafts.len() >= MOST_IN_BATCH || bytes >= MOST_BATCH_BYTES {
            break;
        }
    }
    batch
}
