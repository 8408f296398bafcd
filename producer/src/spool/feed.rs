//! The spool's end towards Kafka: events in order, from memory where they still are, else read back from disk.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use isitup_shared::config::Format;
use isitup_shared::event::{Body, Draft, Gap};
use isitup_shared::time::UtcTime;

use super::intake::Entry;
use super::loss;
use super::record::Stored;
use super::segment;
use super::{Shared, State};

/// Gives the publisher what is to be published, and takes its word on what was acknowledged. One for each spool.
#[derive(Debug)]
pub struct Feed {
    shared: Arc<Shared>,
    writer: Sender<Entry>,
    format: Format,
    /// All events up to this number were given out.
    taken: u64,
    /// Events given out and not yet acknowledged.
    outstanding: usize,
    /// Up to this number the disk was searched for what was lost while the spool was open.
    searched: u64,
    /// Events read back from disk.
    read_back: VecDeque<Stored>,
    /// The same as `searched`, of events that were given out before.
    searched_again: u64,
}

/// How long the publisher waits for room on the way to the spool's thread, which a full disk may hold up.
const DECLARE_LIMIT: Duration = Duration::from_secs(1);

/// What stands between the publisher and its next event.
enum Next {
    Queued(Vec<Stored>),
    /// Some are on disk only, up to this number.
    OnDisk(u64),
    /// More may be handed out only after another mark is on disk.
    NeedsMark,
    Nothing,
}

impl Feed {
    pub(super) fn new(shared: Arc<Shared>, writer: Sender<Entry>, format: Format) -> Self {
        let taken = shared.acked.load(Ordering::Acquire);
        Self {
            shared,
            writer,
            format,
            taken,
            outstanding: 0,
            searched: 0,
            read_back: VecDeque::new(),
            searched_again: 0,
        }
    }

    /// The next events, at most `most`; waits for them up to `at_most` and may come back with none.
    ///
    /// # Errors
    /// When what is on disk cannot be read back.
    pub fn take(&mut self, most: usize, at_most: Duration) -> io::Result<Vec<Stored>> {
        if most == 0 {
            return Ok(Vec::new());
        }
        let events = self.take_some(most, at_most)?;
        self.outstanding += events.len();
        Ok(events)
    }

    fn take_some(&mut self, most: usize, at_most: Duration) -> io::Result<Vec<Stored>> {
        loop {
            if !self.read_back.is_empty() {
                let count = most.min(self.read_back.len());
                let events: Vec<Stored> = self.read_back.drain(..count).collect();
                self.taken = events.last().map_or(self.taken, |event| event.seq);
                return Ok(events);
            }
            match self.next(most, at_most) {
                Next::Queued(events) => return Ok(events),
                Next::OnDisk(last) => self.read_back(last)?,
                Next::NeedsMark => {
                    if self.outstanding == 0 {
                        // Nothing waits for Kafka: also numbers that are gone are done with.
                        self.shared.acked.fetch_max(self.taken, Ordering::AcqRel);
                    }
                    self.ask_for_mark();
                    self.wait_for_change(at_most);
                    return Ok(Vec::new());
                }
                Next::Nothing => return Ok(Vec::new()),
            }
        }
    }

    fn next(&mut self, most: usize, at_most: Duration) -> Next {
        let mut state = self.shared.lock();
        if state.durable <= self.taken {
            state = self.shared.changed.wait_timeout(state, at_most).unwrap_or_else(PoisonError::into_inner).0;
        }
        if state.durable <= self.taken {
            return Next::Nothing;
        }
        if state.handed <= self.taken {
            return Next::NeedsMark;
        }
        if self.taken + 1 < state.queued_from {
            return Next::OnDisk(state.handed.min(state.queued_from - 1));
        }
        let events = pop(&mut state, most);
        // Where none is among the numbers that may be handed out, these were skipped and are done with.
        self.taken = events.last().map_or(state.handed, |event| event.seq);
        if events.is_empty() { Next::NeedsMark } else { Next::Queued(events) }
    }

    /// Asks for a mark where it would allow more than the last one. It comes with the writer's next batch.
    fn ask_for_mark(&self) {
        let state = self.shared.lock();
        if state.handed < self.shared.handing_limit(&state).min(state.durable) {
            // A full channel means that a batch is under way already.
            let _ = self.writer.try_send(Entry::Extend);
        }
    }

    fn wait_for_change(&self, at_most: Duration) {
        let state = self.shared.lock();
        drop(self.shared.changed.wait_timeout(state, at_most).unwrap_or_else(PoisonError::into_inner));
    }

    /// Reads the events after the last one given out, up to `last`, from the next segment that has any.
    fn read_back(&mut self, last: u64) -> io::Result<()> {
        let segments = self.shared.lock().segments.clone();
        for segment in segments.iter().filter(|segment| segment.last_seq > self.taken && segment.first_seq <= last) {
            let contents = segment::read_known(segment)?;
            self.declare(&loss::found_lost(segment, &contents, self.taken.max(self.searched) + 1, last))?;
            self.searched = last.min(segment.last_seq);
            let wanted = |event: &Stored| event.seq > self.taken && event.seq <= last;
            self.read_back = contents.events.into_iter().filter(wanted).collect();
            if !self.read_back.is_empty() {
                return Ok(());
            }
        }
        self.taken = last;
        Ok(())
    }

    /// Declares what was lost on disk while the spool was open. The gaps are on disk when it returns: nobody else will
    /// look for these numbers again.
    fn declare(&self, lost: &[Gap]) -> io::Result<()> {
        if lost.is_empty() {
            return Ok(());
        }
        let ended = |_| io::Error::other("the spool has ended");
        for gap in lost {
            log::error!("the spool was damaged while it was open; declared gone: {:?}", gap.seqs);
            let count = gap.seqs.map_or(0, |range| range.last - range.first + 1);
            self.shared.depth.fetch_sub(i64::try_from(count).unwrap_or(0), Ordering::Relaxed);
            let draft = Draft::new(&Body::Gap(gap.clone()), self.format);
            self.writer.send(Entry::Event { draft, closes: Vec::new() }).map_err(ended)?;
        }
        let (done, is_done) = bounded(1);
        self.writer.send(Entry::Sync(done)).map_err(ended)?;
        is_done.recv().map_err(|_| io::Error::other("what is lost could not be declared yet"))
    }

    /// Reads events again that were given out before, from number `from` on: those that are `wanted`, about `most` of them. Returns
    /// them with the number from which to go on, unless that was all.
    ///
    /// # Errors
    /// When what is on disk cannot be read back.
    pub fn read_again(
        &mut self,
        from: u64,
        most: usize,
        wanted: impl Fn(&Stored) -> bool,
    ) -> io::Result<(Vec<Stored>, Option<u64>)> {
        let segments = self.shared.lock().segments.clone();
        let mut found: Vec<Stored> = Vec::new();
        for segment in segments.iter().filter(|segment| segment.last_seq >= from && segment.first_seq <= self.taken) {
            let contents = segment::read_known(segment)?;
            let last = self.taken.min(segment.last_seq);
            self.declare(&loss::found_lost(segment, &contents, from.max(self.searched_again + 1), last))?;
            self.searched_again = self.searched_again.max(last);
            for event in contents.events.into_iter().filter(|event| event.seq >= from && event.seq <= self.taken) {
                if found.len() >= most {
                    return Ok((found, Some(event.seq)));
                }
                found.extend(wanted(&event).then_some(event));
            }
            if !found.is_empty() {
                return Ok((found, (last < self.taken).then_some(last + 1)));
            }
        }
        Ok((found, None))
    }

    /// Begins anew after `floor`: all later events will be given out again.
    pub fn rewind(&mut self, floor: u64) {
        self.taken = floor;
        self.outstanding = 0;
        self.read_back.clear();
        let waiting = self.shared.lock().durable.saturating_sub(floor);
        self.shared.depth.store(i64::try_from(waiting).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// Gives the spool gaps over events that Kafka refuses for good. The result is told once they are on disk; it is cut off where
    /// the spool ended before.
    ///
    /// # Errors
    /// When the spool's thread takes nothing at the moment. The gaps may be on their way all the same; a gap that is declared
    /// twice counts once.
    pub fn declare_refused(&self, gaps: &[Gap]) -> io::Result<Receiver<()>> {
        let busy = |_| io::Error::other("the spool's thread is busy");
        for gap in gaps {
            let draft = Draft::new(&Body::Gap(gap.clone()), self.format);
            self.writer.send_timeout(Entry::Event { draft, closes: Vec::new() }, DECLARE_LIMIT).map_err(busy)?;
        }
        let (done, is_done) = bounded(1);
        self.writer.send_timeout(Entry::Sync(done), DECLARE_LIMIT).map_err(busy)?;
        Ok(is_done)
    }

    /// The event `seq` was acknowledged, which others before it may not be.
    pub fn reached(&mut self, seq: u64) {
        self.shared.reached.fetch_max(seq, Ordering::AcqRel);
    }

    /// All events up to `floor` were acknowledged, `newly` more than before; the oldest that was not is `oldest`.
    pub fn acknowledged(&mut self, floor: u64, newly: usize, oldest: Option<UtcTime>) {
        self.outstanding = self.outstanding.saturating_sub(newly);
        self.shared.acked.fetch_max(floor, Ordering::AcqRel);
        self.shared.depth.fetch_sub(i64::try_from(newly).unwrap_or(0), Ordering::Relaxed);
        if let Some(oldest) = oldest {
            self.shared.oldest.store(oldest.as_micros(), Ordering::Relaxed);
        }
    }

    /// How many events Kafka has not acknowledged.
    pub fn depth(&self) -> i64 {
        self.shared.depth.load(Ordering::Relaxed).max(0)
    }

    /// All events up to this number were given out.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Whether all that is durable was given out. Else [`Feed::take`] may give none all the same, while it waits for a mark.
    pub fn is_empty(&self) -> bool {
        self.shared.lock().durable <= self.taken
    }
}

/// Pops events that may be handed out from the queue.
fn pop(state: &mut State, most: usize) -> Vec<Stored> {
    let mut events = Vec::new();
    while events.len() < most && state.queue.front().is_some_and(|event| event.seq <= state.handed) {
        let Some(event) = state.queue.pop_front() else { break };
        state.queued_bytes -= event.size();
        state.queued_from = event.seq + 1;
        events.push(event);
    }
    events
}
