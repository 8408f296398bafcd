//! The thread that makes events durable: numbers them, writes them in batches, and keeps the spool within its size.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use isitup_shared::config::SpoolConfig;
use isitup_shared::event::{Draft, Gap, GapReason, Rank, Sealer};
use isitup_shared::retry::Retry;
use isitup_shared::shutdown::Shutdown;
use isitup_shared::time::UtcTime;
use uuid::Uuid;

use super::feed::Feed;
use super::identity::Identity;
use super::recovery::draft;
use super::record::{self, Mark, Stored};
use super::segment::{self, Segment, Tail};
use super::{Ledger, Shared, Spool};

/// Events on their way to the disk; when there are more, their senders wait.
const MOST_WAITING: usize = 8192;
/// A batch at the most.
const MOST_IN_BATCH: usize = 8192;
const MOST_BATCH_BYTES: usize = 2 << 20;
/// How far the events that may be handed to Kafka run ahead of those that were acknowledged.
pub(super) const HANDING_WINDOW: u64 = 16_384;
/// Between two batches under load: a few times what the last one took, so that disks are not written all the time.
const PAUSE_FACTOR: u32 = 4;
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

pub(super) enum Entry {
    Event { draft: Draft, closes: Vec<UtcTime> },
    /// The feed wants to hand more to Kafka than the last mark allows.
    Extend,
    /// Somebody wants to know when all before this is on disk.
    Sync(Sender<()>),
    /// Nothing comes after this.
    End,
}

/// What is made durable together.
struct Batch {
    drafts: Vec<Draft>,
    syncs: Vec<Sender<()>>,
    /// Whether more may come.
    is_open: bool,
}

/// Where events enter the spool. Clones share it.
#[derive(Clone, Debug)]
pub struct Intake {
    entries: Sender<Entry>,
}

impl Intake {
    /// Gives `draft` to the spool, which closes the slots `closes` with it. Waits while the disk cannot keep up.
    pub fn put(&self, draft: Draft, closes: Vec<UtcTime>) {
        if self.entries.send(Entry::Event { draft, closes }).is_err() {
            log::error!("an event came after the spool had ended; the restart will declare its slot");
        }
    }

    /// As [`Intake::put`], but gives the event back where it would have to wait.
    pub fn try_put(&self, draft: Draft, closes: Vec<UtcTime>) -> Result<(), (Draft, Vec<UtcTime>)> {
        match self.entries.try_send(Entry::Event { draft, closes }) {
            Err(TrySendError::Full(Entry::Event { draft, closes })) => Err((draft, closes)),
            _ => Ok(()),
        }
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

    /// Why nothing can be written at the moment.
    pub fn blocked(&self) -> Option<String> {
        self.shared.lock().blocked.clone()
    }
}

impl SpoolHandle {
    /// The figures.
    pub fn gauge(&self) -> SpoolGauge {
        SpoolGauge { shared: Arc::clone(&self.shared) }
    }

    /// Waits until all that came so far is on disk, up to `at_most`.
    pub fn flush(&self, at_most: Duration) {
        let (done, is_done) = bounded(1);
        if self.entries.send_timeout(Entry::Sync(done), at_most).is_err() || is_done.recv_timeout(at_most).is_err() {
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
        let shared = Arc::clone(&writer.shared);
        let feed = Feed::new(Arc::clone(&shared), sender.clone());
        let thread = thread::Builder::new().name("spool".into()).spawn(move || writer.run(&entries, &ledger, &shutdown))?;
        Ok((Intake { entries: sender.clone() }, feed, SpoolHandle { shared, entries: sender, thread }))
    }
}

#[derive(Debug)]
pub(super) struct Writer {
    folder: PathBuf,
    max_size: u64,
    identity: Identity,
    sealer: Sealer,
    tail: Tail,
    next_seq: u64,
    mark: Mark,
    shared: Arc<Shared>,
    records: Vec<u8>,
    /// Held as long as the spool is open.
    _lock: File,
}

impl Writer {
    #[expect(clippy::too_many_arguments, reason = "made in one place, from what recovery found")]
    pub(super) fn new(
        config: &SpoolConfig,
        lock: File,
        identity: Identity,
        sealer: Sealer,
        tail: Tail,
        next_seq: u64,
        mark: Mark,
        shared: Arc<Shared>,
    ) -> Self {
        let (folder, max_size) = (config.path.clone(), config.max_size);
        Self { folder, max_size, identity, sealer, tail, next_seq, mark, shared, records: Vec::new(), _lock: lock }
    }

    pub(super) fn producer_id(&self) -> Uuid {
        self.identity.producer_id
    }

    /// Declares what recovery found lost.
    pub(super) fn commit_gaps(&mut self, gaps: &[Gap]) -> io::Result<()> {
        let drafts: Vec<Draft> = gaps.iter().map(draft).collect();
        self.commit(&drafts, self.mark.settled)
    }

    /// Notes that the segment at `path` takes `bytes` now, without its events up to the rank `thinned`.
    pub(super) fn resized(&mut self, path: &Path, bytes: u64, thinned: Option<Rank>) {
        if let Some(segment) = self.shared.lock().segments.iter_mut().find(|segment| segment.path == path) {
            segment.bytes = bytes;
            segment.thinned = thinned;
        }
    }

    fn run(&mut self, entries: &Receiver<Entry>, ledger: &Ledger, shutdown: &Shutdown) {
        let mut is_open = true;
        while is_open && let Ok(first) = entries.recv() {
            let batch = gather(first, entries, ledger);
            is_open = batch.is_open;
            let settled = ledger.settled().or(self.mark.settled);
            let began = Instant::now();
            if !self.commit_at_last(&batch.drafts, settled, shutdown) {
                return;
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
            match self.commit(drafts, settled) {
                Ok(()) => {
                    if self.shared.lock().blocked.take().is_some() {
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
                log::error!("{} events were not written before the end; the restart declares their slots", drafts.len());
                return false;
            }
        }
    }

    /// Numbers `drafts` and makes them durable, with a mark behind them. After an error nothing has changed.
    fn commit(&mut self, drafts: &[Draft], settled: Option<UtcTime>) -> io::Result<()> {
        let accepted_at = UtcTime::now();
        let last = self.next_seq + drafts.len() as u64 - 1;
        self.identity.reserve(last)?;
        let batch: Vec<Stored> =
            drafts.iter().zip(self.next_seq..).map(|(draft, seq)| self.number(draft, seq, accepted_at)).collect();
        let acked = self.shared.acked.load(Ordering::Acquire);
        let mark = Mark { settled, acked, handed: self.mark.handed.max(last.min(acked + HANDING_WINDOW)) };
        self.records.clear();
        for event in &batch {
            record::write_event(&mut self.records, event);
        }
        record::write_mark(&mut self.records, &mark);
        if !self.tail.has_room(self.records.len()) {
            let (tail, segment) = Tail::create(&self.folder, self.identity.producer_id, self.next_seq, self.records.len())?;
            self.tail = tail;
            self.add_segment(segment);
        }
        self.tail.append(&self.records)?;
        self.next_seq = last + 1;
        self.mark = mark;
        if let Some(segment) = self.shared.lock().segments.last_mut() {
            segment.last_seq = last;
            segment.bytes += self.records.len() as u64;
        }
        self.shared.publish(batch, mark.handed);
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

    /// Removes segments whose events Kafka has all acknowledged. Only a mark that is on disk counts, else a crash
    /// would find them gone without knowing why.
    fn drop_acknowledged(&mut self) {
        let mut state = self.shared.lock();
        while state.segments.len() > 1 && state.segments[0].last_seq <= self.mark.acked {
            let segment = state.segments.remove(0);
            if let Err(error) = fs::remove_file(&segment.path) {
                log::warn!("{} cannot be removed: {error}", segment.path.display());
            }
        }
    }

    /// While the spool is too large, drops the oldest results that say nothing but "up", then the oldest of any kind,
    /// and declares which. What may have been handed to Kafka stays, and so do gaps and the like.
    fn keep_within_size(&mut self) {
        for most_dropped in [Rank::Routine, Rank::Outage] {
            while let Some(segment) = self.segment_to_thin(most_dropped) {
                if let Err(error) = self.thin(&segment, most_dropped) {
                    log::error!("{} cannot be thinned out: {error}", segment.path.display());
                    return;
                }
            }
        }
    }

    /// The oldest segment that may still be thinned out, while the spool is too large.
    fn segment_to_thin(&self, most_dropped: Rank) -> Option<Segment> {
        let state = self.shared.lock();
        let total: u64 = state.segments.iter().map(|segment| segment.bytes).sum();
        let (_, closed) = state.segments.split_last()?;
        let may_thin = |segment: &&Segment| segment.first_seq > self.mark.handed && segment.thinned < Some(most_dropped);
        closed.iter().find(may_thin).filter(|_| total > self.max_size).cloned()
    }

    fn thin(&mut self, segment: &Segment, most_dropped: Rank) -> io::Result<()> {
        let contents = segment::read(segment, u64::MAX)?;
        let (dropped, kept): (Vec<Stored>, Vec<Stored>) =
            contents.events.into_iter().partition(|event| event.rank <= most_dropped);
        let mut bytes = segment.bytes;
        if !dropped.is_empty() {
            let gaps = joined(dropped.iter().map(|event| event.seq));
            log::warn!("the spool is full: {} results are dropped and declared", dropped.len());
            let drafts: Vec<Draft> = gaps.iter().map(draft).collect();
            self.shared.lock().forget_queue();
            // First the word that they are gone, then the deed: a crash between finds both and does the deed.
            self.commit(&drafts, self.mark.settled)?;
            bytes = segment::rewrite(segment, contents.producer_id.unwrap_or(self.producer_id()), &kept)?;
            self.shared.depth.fetch_sub(i64::try_from(dropped.len()).unwrap_or(0), Ordering::Relaxed);
        }
        self.resized(&segment.path, bytes, Some(most_dropped));
        Ok(())
    }
}

/// Takes what has come meanwhile, and closes its slots.
fn gather(first: Entry, entries: &Receiver<Entry>, ledger: &Ledger) -> Batch {
    let mut batch = Batch { drafts: Vec::new(), syncs: Vec::new(), is_open: true };
    let mut bytes = 0;
    for entry in std::iter::once(first).chain(entries.try_iter()) {
        match entry {
            Entry::Event { draft, closes } => {
                bytes += draft.size();
                batch.drafts.push(draft);
                closes.into_iter().for_each(|slot| ledger.close(slot));
            }
            Entry::Extend => {}
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

/// Gaps over ascending numbers, neighbours joined.
fn joined(seqs: impl Iterator<Item = u64>) -> Vec<Gap> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for seq in seqs {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == seq => *last = seq,
            _ => ranges.push((seq, seq)),
        }
    }
    ranges.into_iter().map(|(first, last)| Gap::of_seqs(GapReason::SpoolFull, first, last)).collect()
}
