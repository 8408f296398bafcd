//! The thread that makes events durable: numbers them, and writes them in batches.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use isitup_shared::config::Format;
use isitup_shared::crash_point;
use isitup_shared::event::{Body, Draft, Gap, GapReason, Sealer, SeqRange};
use isitup_shared::retry::Retry;
use isitup_shared::shutdown::Shutdown;
use isitup_shared::time::UtcTime;
use uuid::Uuid;

use super::files;
use super::identity::Identity;
use super::intake::Entry;
use super::lock::Lock;
use super::record::{self, Mark, Stored};
use super::segment::Segment;
use super::tail::Tail;
use super::{Ledger, Shared};

/// A batch at the most.
const MOST_IN_BATCH: usize = 8192;
const MOST_BATCH_BYTES: usize = 2 << 20;
/// How far the events that may be handed to Kafka run ahead of those that were acknowledged, see [`Shared::handing_limit`].
pub(super) const HANDING_WINDOW: u64 = 16_384;
/// Gaps found at once are declared in batches of this many.
const MOST_GAPS_IN_BATCH: usize = 4096;
/// Between two batches under load: a few times what the last one took, so that disks are not written all the time. A
/// batch costs some 300 us of CPU on its way through disk and Kafka, however few events it holds, so that the shortest
/// pause decides what a check costs; on average it delays an event by half of itself.
const PAUSE_FACTOR: u32 = 4;
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// After a shutdown began, a full disk is tried again for so long: within the time that the end of the process leaves.
const LAST_TRIES: Duration = Duration::from_secs(5);

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
    /// To be declared with the next batch: numbers that another producer may have used.
    pub(super) skipped: Option<SeqRange>,
    /// Whether it was said that segments cannot be removed.
    pub(super) cannot_remove: bool,
    /// Held as long as the spool is open.
    pub(super) lock: Lock,
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
        let mut batches = drafts.chunks(MOST_GAPS_IN_BATCH);
        // Without a gap there is a mark to be written all the same.
        self.commit(batches.next().unwrap_or_default(), self.mark.settled)?;
        batches.try_for_each(|drafts| self.commit(drafts, self.mark.settled))
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

    /// Commits, again and again while the disk refuses; gives up only during a shutdown. Where the disk has little room,
    /// it is filled with as many events as fit.
    fn commit_at_last(&mut self, drafts: &[Draft], settled: Option<UtcTime>, shutdown: &Shutdown) -> bool {
        let mut retry = Retry::for_service();
        let (mut rest, mut most) = (drafts, drafts.len());
        loop {
            self.shared.heart.beat();
            let (some, later) = rest.split_at(most.min(rest.len()));
            // The slots of all drafts are closed already; they are settled with the last of them.
            let result = self.commit(some, if later.is_empty() { settled } else { self.mark.settled });
            let mut is_full = false;
            match result {
                Ok(()) if later.is_empty() => {
                    if self.shared.unblock() {
                        log::info!("the spool {} can be written again", self.folder.display());
                    }
                    return true;
                }
                Ok(()) => {
                    (rest, most) = (later, most * 2);
                    retry.reset();
                    continue;
                }
                Err(error) if files::is_full(&error) => {
                    if self.make_room() {
                        continue;
                    }
                    if most > 1 {
                        most = most.div_ceil(2);
                        continue;
                    }
                    self.tell_blocked(&error);
                    is_full = true;
                }
                Err(error) => self.tell_blocked(&error),
            }
            if retry.pause(shutdown) {
                // Kafka may acknowledge something yet, which makes room.
                if is_full && shutdown.triggered_at().is_some_and(|at| at.elapsed() < LAST_TRIES) {
                    thread::sleep(SHORTEST_PAUSE);
                    continue;
                }
                log::error!("{} events were not written before the end; the restart declares their slots", rest.len());
                return false;
            }
        }
    }

    fn tell_blocked(&self, error: &io::Error) {
        let why = format!("the spool {} cannot be written: {error}", self.folder.display());
        if self.shared.lock().blocked.replace(why.clone()).is_none() {
            log::error!("{why}; checks wait until it can");
        }
    }

    /// Numbers `drafts` and makes them durable, with a mark behind them. After an error nothing has changed.
    pub(super) fn commit(&mut self, drafts: &[Draft], settled: Option<UtcTime>) -> io::Result<()> {
        self.write(drafts, |writer, last| Mark { settled, ..writer.mark_up_to(last) })
    }

    /// As [`Writer::commit`], with the mark as it is, so that no more may be handed to Kafka than before.
    pub(super) fn declare(&mut self, drafts: &[Draft]) -> io::Result<()> {
        self.write(drafts, |writer, _| writer.mark)
    }

    /// The mark behind a batch that ends with the number `last`.
    pub(super) fn mark_up_to(&self, last: u64) -> Mark {
        let acked = self.shared.acked.load(Ordering::Acquire);
        let handed = self.shared.handing_limit(&self.shared.lock()).min(last);
        Mark { settled: self.mark.settled, acked, handed: self.mark.handed.max(handed) }
    }

    fn write(&mut self, drafts: &[Draft], mark: impl FnOnce(&Self, u64) -> Mark) -> io::Result<()> {
        self.hold_folder()?;
        let skipped = self.skipped.map(|seqs| Gap { reason: GapReason::SpoolCorrupt, seqs: Some(seqs), span: None });
        let skipped = skipped.map(|gap| self.draft(&gap));
        let accepted_at = UtcTime::now();
        let numbered = skipped.iter().chain(drafts).zip(self.next_seq..);
        let batch: Vec<Stored> = numbered.map(|(draft, seq)| self.number(draft, seq, accepted_at)).collect();
        let last = self.next_seq + batch.len() as u64 - 1;
        self.identity.reserve(last)?;
        let mark = mark(self, last);
        self.records.clear();
        for event in &batch {
            record::write_event(&mut self.records, event);
        }
        record::write_mark(&mut self.records, &mark);
        let bytes = self.place_records()?;
        self.skipped = None;
        self.next_seq = last + 1;
        self.mark = mark;
        if let Some(segment) = self.shared.lock().segments.last_mut() {
            segment.bytes += bytes;
            segment.last_seq = last;
            segment.count += batch.len() as u64;
        }
        self.shared.publish(batch, mark.handed);
        crash_point!("spool.published");
        Ok(())
    }

    /// Makes the records durable. Returns by how many bytes the newest segment in the list has grown since.
    fn place_records(&mut self) -> io::Result<u64> {
        let is_lost = !self.tail.is_in_place()?;
        let grown = if !is_lost && self.tail.has_room(self.records.len()) {
            self.tail.append(&mut self.records)?;
            self.records.len() as u64
        } else {
            self.begin_segment()?;
            0
        };
        // Another producer that came meanwhile has not seen the batch, and may use its numbers.
        if !self.lock.is_in_place()? {
            self.tail.take_back(self.records.len());
            return Err(io::Error::other("its lock file was replaced at this moment"));
        }
        if is_lost {
            let folder = self.folder.display();
            log::error!(
                "the newest segment of the spool {folder} was removed, cut or replaced; another one is begun, and what \
                 only that file had is declared"
            );
        }
        Ok(grown)
    }

    /// Makes the batch the beginning of another segment.
    fn begin_segment(&mut self) -> io::Result<()> {
        let since = self.mark.settled.or(self.identity.settled).unwrap_or_else(UtcTime::now);
        self.clear_way()?;
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
