//! Opening a spool: what is whole is kept, the rest becomes a gap, and no number is issued again.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::sync::{Arc, Condvar, Mutex};

use isitup_shared::config::{Format, SpoolConfig};
use isitup_shared::crash_point;
use isitup_shared::event::{self, Body, Gap, GapReason, Rank, Sealer, SeqRange};
use isitup_shared::heartbeat::Heartbeat;
use isitup_shared::time::UtcTime;
use uuid::Uuid;

use super::files;
use super::identity::Identity;
use super::lock::Lock;
use super::loss::{self, Bounds};
use super::record::{self, Mark, Stored};
use super::room;
use super::segment::{self, Segment};
use super::tail::{Tail, WORTH_EMPTYING};
use super::writer::{LONGEST_SILENCE, Writer};
use super::{Shared, SpoolError, State};

/// A spool that is open and recovered, but not yet running.
#[derive(Debug)]
pub struct Spool {
    /// Who numbers the events.
    pub producer_id: Uuid,
    /// Every slot before this moment has ended as an event; `None` when the spool never saw a schedule.
    pub settled: Option<UtcTime>,
    /// When the newest event that is left was taken; `None` when none is.
    pub last_accepted: Option<UtcTime>,
    /// What was found lost, as it has been declared.
    pub declared: Vec<Gap>,
    pub(super) writer: Writer,
}

impl Spool {
    /// Opens or creates the spool in `config.path` for events at `location`, new ones in this format.
    ///
    /// # Errors
    /// When another process has it open, or the file system refuses.
    pub fn open(config: &SpoolConfig, location: &str, format: Format) -> Result<Self, SpoolError> {
        let folder = &config.path;
        let io = |what| move |source| SpoolError::Io { what, folder: folder.clone(), source };
        files::create_folder(folder).map_err(io("created"))?;
        let lock = Lock::take(folder)?;
        files::make_private(folder).map_err(io("read"))?;
        segment::remove_unplaced(folder).map_err(io("written"))?;
        let segments = segment::list(folder).map_err(io("read"))?;
        // What a killed producer wrote and did not sync is read, and so it must outlast a power loss from here on.
        segments.iter().try_for_each(segment::sync).map_err(io("read"))?;
        let (identity, is_new) = identify(folder, &segments).map_err(io("read"))?;
        let mut survey = Survey::of(segments, &identity, is_new).map_err(io("read"))?;
        if let Some(warning) = room::warning(folder, survey.bytes(), config.max_size) {
            log::warn!("{warning}");
        }
        let gaps = survey.losses();
        if !gaps.is_empty() {
            crash_point!("mend.begin");
        }
        let mut writer = survey.writer(config, lock, identity, (location, format)).map_err(io("written"))?;
        match writer.commit_gaps(&gaps) {
            // The mark is in the segment already.
            Err(error) if gaps.is_empty() && files::is_full(&error) => {}
            written => written.map_err(io("written"))?,
        }
        survey.mend(&mut writer).map_err(io("written"))?;
        let (settled, last_accepted) = (survey.mark.settled, survey.last_accepted);
        Ok(Self { producer_id: writer.producer_id(), settled, last_accepted, declared: gaps, writer })
    }
}

fn identify(folder: &Path, segments: &[Segment]) -> io::Result<(Identity, bool)> {
    if let Some(identity) = Identity::read(folder)? {
        return Ok((identity, false));
    }
    let identity = Identity::create(folder)?;
    if segments.is_empty() {
        log::info!("new spool in {} for producer {}", folder.display(), identity.producer_id);
    } else {
        log::warn!(
            "the spool {} has lost its identity: it goes on as producer {}; what it holds is still published",
            folder.display(),
            identity.producer_id
        );
    }
    Ok((identity, true))
}

/// What all segments together hold.
struct Survey {
    segments: Vec<Segment>,
    /// Those of them, by their place, that hold something that must not be read again.
    to_mend: BTreeSet<usize>,
    /// Numbers of the events that are whole and not yet acknowledged, ascending and joined.
    kept: Vec<SeqRange>,
    kept_count: usize,
    oldest: Option<UtcTime>,
    last_accepted: Option<UtcTime>,
    /// Numbers that gap events in the spool declare gone, by whose they are.
    declared: HashMap<Option<Uuid>, Ranges>,
    /// What is whole tells when the lost was due.
    bounds: Bounds,
    mark: Mark,
    /// The mark that the newest segment ends with, and where.
    newest_mark: Option<Mark>,
    newest_end: u64,
    next_seq: u64,
    /// Whether all numbers below the next one are another, lost identity's.
    is_new: bool,
}

/// An event that was found whole.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    seq: u64,
    accepted_at: UtcTime,
    producer_id: Option<Uuid>,
    /// The place of its segment.
    segment: usize,
}

impl Survey {
    fn of(segments: Vec<Segment>, identity: &Identity, is_new: bool) -> io::Result<Self> {
        let most = if is_new { u64::MAX } else { identity.reserved };
        let mut survey = Self {
            segments,
            to_mend: BTreeSet::new(),
            kept: Vec::new(),
            kept_count: 0,
            oldest: None,
            last_accepted: None,
            declared: HashMap::new(),
            bounds: Bounds::default(),
            mark: Mark::default(),
            newest_mark: None,
            newest_end: 0,
            next_seq: 0,
            is_new,
        };
        let mut events = Vec::new();
        let mut declared: HashMap<Option<Uuid>, Vec<SeqRange>> = HashMap::new();
        for index in 0..survey.segments.len() {
            let contents = segment::read(&survey.segments[index], most)?;
            let segment = &mut survey.segments[index];
            segment.last_seq = contents.events.iter().map(|event| event.seq).max().unwrap_or(segment.last_seq);
            segment.note(&contents.events);
            // Where its head is lost, it cannot be older than what the segment before it ended with.
            segment.since = contents.head.and_then(|head| head.since).or(survey.mark.settled);
            if contents.damaged {
                survey.to_mend.insert(index);
            }
            survey.bounds.note(segment, &contents);
            survey.mark = survey.mark.later(contents.mark);
            (survey.newest_mark, survey.newest_end) = (contents.mark, contents.end);
            let producer_id = contents.head.map(|head| head.producer_id);
            declared.entry(producer_id).or_default().extend(contents.events.iter().filter_map(declared_by));
            let found =
                |event: &Stored| Found { seq: event.seq, accepted_at: event.accepted_at, producer_id, segment: index };
            events.extend(contents.events.iter().map(found));
        }
        survey.declared = declared.into_iter().map(|(by, ranges)| (by, Ranges::of(ranges))).collect();
        // What is only declared gone and still there is mended too, and no damage.
        let is_damaged = !survey.to_mend.is_empty();
        survey.count(events);
        survey.bounds.sort();
        let newest = survey.segments.last().map_or(0, |segment| segment.first_seq);
        let lost_newest = newest < identity.newest;
        let last = survey.segments.iter().map(|segment| segment.last_seq).max().unwrap_or(0).max(survey.mark.acked);
        let is_doubtful = lost_newest || is_damaged;
        survey.next_seq = if is_doubtful { last.max(identity.reserved) } else { last } + 1;
        if is_doubtful {
            // With all marks gone it is older than need be, so that the gap of the restart is longer, but never none.
            survey.mark.settled = survey.mark.settled.or(identity.settled);
        }
        Ok(survey)
    }

    /// Notes which of `events` are still to be published.
    fn count(&mut self, mut events: Vec<Found>) {
        events.sort_unstable();
        events.dedup_by_key(|event| event.seq);
        self.last_accepted = events.last().map(|event| event.accepted_at);
        for Found { seq, accepted_at, producer_id, segment } in events {
            if seq <= self.mark.acked {
                continue;
            }
            if self.declared.get(&producer_id).is_some_and(|ranges| ranges.have(seq)) {
                self.to_mend.insert(segment);
                continue;
            }
            self.kept_count += 1;
            self.oldest.get_or_insert(accepted_at);
            match self.kept.last_mut() {
                Some(range) if range.last + 1 == seq => range.last = seq,
                _ => self.kept.push(SeqRange { first: seq, last: seq }),
            }
        }
    }

    /// Bytes that the segments take.
    fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// The numbers below the next one that are neither kept, nor acknowledged, nor declared.
    fn losses(&self) -> Vec<Gap> {
        let last = self.next_seq - 1;
        if self.is_new {
            let others = Gap::of_seqs(GapReason::SpoolCorrupt, 1, last.max(1));
            let is_damaged = !self.to_mend.is_empty();
            let lost = || self.bounds.gap(SeqRange { first: 1, last });
            return (last > 0).then(|| if is_damaged { lost() } else { others }).into_iter().collect();
        }
        let there = self
            .kept
            .iter()
            .copied()
            .chain(self.declared.values().flat_map(|ranges| ranges.0.iter().copied()))
            .collect();
        let lost = loss::between(self.mark.acked + 1, last, there);
        lost.into_iter().map(|range| self.bounds.gap(range)).collect()
    }

    fn writer(
        &mut self,
        config: &SpoolConfig,
        lock: Lock,
        mut identity: Identity,
        (location, format): (&str, Format),
    ) -> io::Result<Writer> {
        identity.reserve(self.next_seq)?;
        // The mark goes with the segment: one of the same name may be there, which holds nothing but this mark.
        let mut mark = Vec::new();
        record::write_mark(&mut mark, &self.mark);
        // A spool without a schedule so far holds no slot before now; a clock that was put back has its slots anew.
        let since = self.mark.settled.map_or_else(UtcTime::now, |settled| settled.min(UtcTime::now()));
        let new = NewTail {
            folder: &config.path,
            producer_id: identity.producer_id,
            first_seq: self.next_seq,
            since,
            records: &mark,
        };
        let (tail, segment) = match new.create() {
            Err(error) if files::is_full(&error) => self.tail_in_freed_room(&new, error)?,
            made => made?,
        };
        if segment.path == segment::path(&config.path, self.next_seq) {
            match identity.note(self.next_seq, since) {
                // The next segment says it again.
                Err(error) if files::is_full(&error) => log::warn!("the spool's identity was not updated: {error}"),
                noted => noted?,
            }
        }
        let mut segments = self.segments.clone();
        // A producer that died before its first event left a segment of this name, which has just become ours. Listed
        // twice, it would be removed as one that holds nothing.
        segments.retain(|other| other.path != segment.path);
        segments.push(segment);
        let oldest = self.oldest.map_or(0, UtcTime::as_micros);
        let shared = Shared {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                queued_bytes: 0,
                queued_from: self.next_seq,
                durable: self.next_seq - 1,
                handed: self.mark.handed,
                segments,
                blocked: None,
                unblocked_at: None,
            }),
            changed: Condvar::new(),
            heart: Heartbeat::new("spool's thread", LONGEST_SILENCE),
            acked: AtomicU64::new(self.mark.acked),
            reached: AtomicU64::new(self.mark.acked),
            max_size: config.max_size,
            depth: AtomicI64::new(i64::try_from(self.kept_count).unwrap_or(i64::MAX)),
            oldest: AtomicI64::new(oldest),
        };
        let sealer = Sealer::new(identity.producer_id, location);
        Ok(Writer {
            folder: config.path.clone(),
            max_size: config.max_size,
            identity,
            sealer,
            format,
            tail,
            next_seq: self.next_seq,
            mark: self.mark,
            shared: Arc::new(shared),
            records: Vec::new(),
            skipped: None,
            cannot_remove: false,
            lock,
        })
    }

    /// The segment to write to on a full disk: what Kafka has acknowledged is given back, but for the newest segment, which
    /// has the word on that. Where that does not suffice, it is emptied or, while Kafka has not acknowledged it, takes marks
    /// only. A disk that others have filled gives nothing back that way: `full` says so.
    fn tail_in_freed_room(&mut self, new: &NewTail<'_>, full: io::Error) -> io::Result<(Tail, Segment)> {
        let acked = self.mark.acked;
        let is_whole = self.to_mend.is_empty() && !self.is_new && self.newest_mark == Some(self.mark);
        let Some(newest) = self.segments.last().cloned().filter(|_| is_whole && self.bytes() >= WORTH_EMPTYING) else {
            return Err(full);
        };
        self.segments.retain(|segment| {
            let is_kept = segment.last_seq > acked || segment.path == newest.path;
            is_kept || fs::remove_file(&segment.path).is_err()
        });
        match new.create() {
            Err(error) if files::is_full(&error) => {}
            made => return made,
        }
        let mut tail = Tail::open(&newest.path, self.newest_end)?;
        if newest.last_seq > acked || !tail.is_worth_emptying() {
            return Ok((tail, newest));
        }
        let since = Some(new.since);
        let bytes = tail.empty(new.producer_id, since, &self.mark)?;
        Ok((tail, Segment { bytes, since, ..Segment::empty(newest.path, self.next_seq) }))
    }

    /// Rewrites segments without what is damaged or declared gone, now that the gaps are on disk.
    fn mend(&self, writer: &mut Writer) -> io::Result<()> {
        let newest = writer.shared.lock().segments.last().map(|segment| segment.path.clone());
        let to_mend = self.to_mend.iter().map(|index| &self.segments[*index]);
        // The newest one may have taken the place of one without events.
        for segment in to_mend.filter(|segment| Some(&segment.path) != newest.as_ref()) {
            crash_point!("mend.declared");
            let contents = segment::read(segment, u64::MAX)?;
            let keep = |event: &Stored| have(&self.kept, event.seq);
            let events: Vec<Stored> = contents.events.into_iter().filter(keep).collect();
            if events.is_empty() {
                // Where it cannot be removed now, it is when all of the next is acknowledged.
                writer.remove_segment(&segment.path);
            } else {
                let bytes = segment::rewrite(segment, contents.head, writer.producer_id(), &events)?.put()?;
                writer.rewritten(segment, bytes, &events, None);
            }
            crash_point!("mend.done");
        }
        Ok(())
    }
}

/// A segment to be made.
struct NewTail<'a> {
    folder: &'a Path,
    producer_id: Uuid,
    first_seq: u64,
    since: UtcTime,
    records: &'a [u8],
}

impl NewTail<'_> {
    fn create(&self) -> io::Result<(Tail, Segment)> {
        Tail::create(self.folder, self.producer_id, self.first_seq, self.since, self.records)
    }
}

/// Numbers as ranges: ascending, apart from each other.
#[derive(Debug, Default)]
struct Ranges(Vec<SeqRange>);

impl Ranges {
    fn of(mut ranges: Vec<SeqRange>) -> Self {
        ranges.sort_unstable_by_key(|range| range.first);
        let mut joined: Vec<SeqRange> = Vec::new();
        for range in ranges {
            match joined.last_mut() {
                Some(before) if range.first <= before.last.saturating_add(1) => {
                    before.last = before.last.max(range.last);
                }
                _ => joined.push(range),
            }
        }
        Self(joined)
    }

    fn have(&self, seq: u64) -> bool {
        have(&self.0, seq)
    }
}

/// Returns whether one of `ranges`, which ascend, has `seq`.
fn have(ranges: &[SeqRange], seq: u64) -> bool {
    let after = ranges.partition_point(|range| range.first <= seq);
    after > 0 && seq <= ranges[after - 1].last
}

impl Mark {
    /// The later of two marks, field by field.
    fn later(self, other: Option<Self>) -> Self {
        let other = other.unwrap_or_default();
        Self {
            // The newest segment's word, as a wall clock that was put back makes it smaller.
            settled: other.settled.or(self.settled),
            acked: self.acked.max(other.acked),
            handed: self.handed.max(other.handed),
        }
    }
}

/// The numbers that `event` declares gone, where it is a gap.
fn declared_by(event: &Stored) -> Option<SeqRange> {
    if event.rank != Rank::Account {
        return None;
    }
    match event::decode(&event.message).ok()?.body {
        Body::Gap(gap) => gap.seqs,
        _ => None,
    }
}
