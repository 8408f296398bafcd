//! Opening a spool: what is whole is kept, the rest becomes a gap, and no number is issued again.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::sync::{Arc, Condvar, Mutex};

use isitup_shared::config::{Format, SpoolConfig};
use isitup_shared::crash_point;
use isitup_shared::event::{self, Body, Gap, GapReason, Sealer, SeqRange};
use isitup_shared::heartbeat::Heartbeat;
use isitup_shared::time::UtcTime;
use uuid::Uuid;

use super::identity::{self, Identity};
use super::lock::Lock;
use super::loss::{self, Bounds};
use super::record::{self, Mark, Stored};
use super::segment::{self, Segment, Tail};
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
        identity::create_folder(folder).map_err(io("created"))?;
        let lock = Lock::take(folder)?;
        segment::remove_unplaced(folder).map_err(io("written"))?;
        let segments = segment::list(folder).map_err(io("read"))?;
        // What a killed producer wrote and did not sync is read, and so it must outlast a power loss from here on.
        segments.iter().try_for_each(segment::sync).map_err(io("read"))?;
        let (identity, is_new) = identify(folder, &segments).map_err(io("read"))?;
        let survey = Survey::of(segments, &identity, is_new).map_err(io("read"))?;
        let gaps = survey.losses();
        if !gaps.is_empty() {
            crash_point!("mend.begin");
        }
        let mut writer = survey.writer(config, lock, identity, (location, format)).map_err(io("written"))?;
        writer.commit_gaps(&gaps).map_err(io("written"))?;
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
    /// Segments that hold something that must not be read again.
    to_mend: Vec<Segment>,
    /// Numbers of the events that are whole and not yet acknowledged, ascending and joined.
    kept: Vec<SeqRange>,
    kept_count: usize,
    oldest: Option<UtcTime>,
    last_accepted: Option<UtcTime>,
    /// Numbers that gap events in the spool declare gone, and whose.
    declared: Vec<(Option<Uuid>, SeqRange)>,
    /// What is whole tells when the lost was due.
    bounds: Bounds,
    mark: Mark,
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
}

impl Survey {
    fn of(segments: Vec<Segment>, identity: &Identity, is_new: bool) -> io::Result<Self> {
        let most = if is_new { u64::MAX } else { identity.reserved };
        let mut survey = Self {
            segments,
            to_mend: Vec::new(),
            kept: Vec::new(),
            kept_count: 0,
            oldest: None,
            last_accepted: None,
            declared: Vec::new(),
            bounds: Bounds::default(),
            mark: Mark::default(),
            next_seq: 0,
            is_new,
        };
        let mut events = Vec::new();
        for index in 0..survey.segments.len() {
            let contents = segment::read(&survey.segments[index], most)?;
            survey.segments[index].last_seq = contents.events.iter().map(|event| event.seq).max().unwrap_or(0);
            // Where its head is lost, it cannot be older than what the segment before it ended with.
            let since = contents.head.and_then(|head| head.since).or(survey.mark.settled);
            survey.segments[index].since = since;
            if contents.damaged {
                survey.to_mend.push(survey.segments[index].clone());
            }
            survey.bounds.note(&survey.segments[index], &contents);
            survey.mark = survey.mark.later(contents.mark);
            let producer_id = contents.head.map(|head| head.producer_id);
            survey.declared.extend(contents.events.iter().filter_map(declared_by).map(|range| (producer_id, range)));
            let found = |event: &Stored| Found { seq: event.seq, accepted_at: event.accepted_at, producer_id };
            events.extend(contents.events.iter().map(found));
        }
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
        for Found { seq, accepted_at, producer_id } in events {
            if seq <= self.mark.acked {
                continue;
            }
            if self.declared.iter().any(|(by, range)| *by == producer_id && contains(range, seq)) {
                self.mend_segment_of(seq);
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

    fn mend_segment_of(&mut self, seq: u64) {
        let segment = self.segments.iter().find(|segment| (segment.first_seq..=segment.last_seq).contains(&seq));
        if let Some(segment) = segment.filter(|segment| !self.to_mend.contains(segment)) {
            self.to_mend.push(segment.clone());
        }
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
        let there = self.kept.iter().copied().chain(self.declared.iter().map(|(_, range)| *range)).collect();
        let lost = loss::between(self.mark.acked + 1, last, there);
        lost.into_iter().map(|range| self.bounds.gap(range)).collect()
    }

    fn writer(
        &self,
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
        let (tail, segment) = Tail::create(&config.path, identity.producer_id, self.next_seq, since, &mark)?;
        identity.note(self.next_seq, since)?;
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
            _lock: lock,
        })
    }

    /// Rewrites segments without what is damaged or declared gone, now that the gaps are on disk.
    fn mend(&self, writer: &mut Writer) -> io::Result<()> {
        for segment in &self.to_mend {
            crash_point!("mend.declared");
            let contents = segment::read(segment, u64::MAX)?;
            let keep = |event: &Stored| self.kept.iter().any(|range| contains(range, event.seq));
            let events: Vec<Stored> = contents.events.into_iter().filter(keep).collect();
            let bytes = segment::rewrite(segment, contents.head, writer.producer_id(), &events)?.put()?;
            writer.resized(&segment.path, bytes, None);
            crash_point!("mend.done");
        }
        Ok(())
    }
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

fn contains(range: &SeqRange, seq: u64) -> bool {
    (range.first..=range.last).contains(&seq)
}

/// The numbers that `event` declares gone, where it is a gap.
fn declared_by(event: &Stored) -> Option<SeqRange> {
    match event::decode(&event.message).ok()?.body {
        Body::Gap(gap) => gap.seqs,
        _ => None,
    }
}
