//! Keeping the spool within its size while Kafka is away.
//!
//! Events go in three steps, the oldest segment first: results that say "up", then all results, then the whole segment.
//! What is gone becomes as few gaps as its numbers allow, and those gaps go with a whole segment in their turn: a gap over
//! all numbers between two segments that are left says the same as all gaps before. So whatever comes, the spool stays
//! within `max_size` and two segments (the one that is written and one that is rewritten).

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::Ordering;

use isitup_shared::crash_point;
use isitup_shared::event::{self, Body, Draft, Gap, GapReason, Name, Rank, SeqRange, TimeSpan};
use isitup_shared::time::UtcTime;

use super::loss;
use super::record::Stored;
use super::segment::{self, Contents, Segment};
use super::writer::Writer;

/// A gap whose sites' names take more bytes names none, and means all: it must stay far smaller than what it declares.
const MOST_SITE_BYTES: usize = 8 << 10;
/// Events that a gap with a span of its own stands for, on average of a segment; when they are fewer, one span stands for
/// all of its gaps.
const LEAST_RUN: usize = 16;
/// The part of `max_size` that gaps and the like may take in segments whose results were dropped.
const ACCOUNTS_PART: u64 = 4;

/// What is done to one segment.
struct Step {
    segment: Segment,
    /// Events up to this rank go.
    most_dropped: Rank,
    /// All numbers from the end of the segment before to the beginning of the next that are not kept.
    region: SeqRange,
}

impl Writer {
    /// Drops events while the spool is too large, and declares which. What may have been handed to Kafka stays.
    pub(super) fn keep_within_size(&mut self) {
        while let Some(step) = self.next_step() {
            if let Err(error) = self.thin(&step) {
                log::error!("{} cannot be thinned out: {error}", step.segment.path.display());
                return;
            }
        }
    }

    /// What to drop next, while the spool is too large: never from the segment that is being written.
    fn next_step(&self) -> Option<Step> {
        let state = self.shared.lock();
        let total: u64 = state.segments.iter().map(Segment::disk_bytes).sum();
        if total <= self.max_size {
            return None;
        }
        let (_, closed) = state.segments.split_last()?;
        let first = closed.iter().position(|segment| segment.first_seq > self.mark.handed)?;
        let open = &closed[first..];
        let thinned = |rank: Rank| open.iter().position(|segment| segment.thinned < Some(rank));
        let accounts: u64 =
            open.iter().filter(|segment| segment.thinned.is_some()).map(|segment| segment.accounts).sum();
        let has_room_for_accounts = accounts <= self.max_size / ACCOUNTS_PART;
        let (at, most_dropped) = [Rank::Routine, Rank::Outage]
            .into_iter()
            .filter(|_| has_room_for_accounts)
            .find_map(|rank| Some((first + thinned(rank)?, rank)))
            .unwrap_or((first, Rank::Account));
        let before = at.checked_sub(1).map_or(0, |before| state.segments[before].last_seq);
        let begin = before.max(self.mark.handed).max(self.mark.acked) + 1;
        let region = SeqRange { first: begin, last: state.segments[at + 1].first_seq - 1 };
        Some(Step { segment: state.segments[at].clone(), most_dropped, region })
    }

    fn thin(&mut self, step: &Step) -> io::Result<()> {
        let segment = &step.segment;
        let mut contents = segment::read_known(segment)?;
        let lost = segment.count.saturating_sub(contents.events.len() as u64);
        let events = std::mem::take(&mut contents.events);
        let (dropped, kept): (Vec<Stored>, Vec<Stored>) =
            events.into_iter().partition(|event| event.rank <= step.most_dropped);
        contents.events = kept;
        if dropped.is_empty() && !contents.damaged {
            self.rewritten(segment, segment.bytes, &contents.events, Some(step.most_dropped));
            let is_done = !contents.events.is_empty() || self.remove_segment(&segment.path);
            return if is_done { Ok(()) } else { Err(io::Error::other("it cannot be removed")) };
        }
        let gaps = gaps_of(step, &contents, &dropped);
        let gone = lost + dropped.len() as u64;
        log::warn!("the spool is full: {gone} events are dropped and declared");
        let drafts: Vec<Draft> = gaps.iter().map(|gap| self.draft(gap)).collect();
        // First what is kept, under a name of no meaning: a disk that is full to the brim refuses here, while nothing
        // has been said. Then the word that the others are gone, then the deed: a crash between finds both and does
        // the deed. The mark stays, so that nobody may hand them to Kafka in between.
        let head = contents.head;
        let prepared = (!contents.events.is_empty())
            .then(|| segment::rewrite(segment, head, self.producer_id(), &contents.events))
            .transpose()?;
        self.shared.lock().forget_queue();
        crash_point!("thin.begin");
        self.declare(&drafts)?;
        crash_point!("thin.declared");
        self.shared.depth.fetch_sub(i64::try_from(gone).unwrap_or(0), Ordering::Relaxed);
        // Whether or not the deed succeeds, nobody reads them any more.
        self.rewritten(segment, segment.bytes, &contents.events, Some(step.most_dropped));
        match prepared {
            Some(prepared) => {
                let bytes = prepared.put()?;
                self.rewritten(segment, bytes, &contents.events, Some(step.most_dropped));
            }
            None if !self.remove_segment(&segment.path) => return Err(io::Error::other("it cannot be removed")),
            None => {}
        }
        crash_point!("thin.done");
        Ok(())
    }

    /// Notes that `segment` takes `bytes` now and holds `events`, without those up to the rank `thinned`.
    pub(super) fn rewritten(&self, segment: &Segment, bytes: u64, events: &[Stored], thinned: Option<Rank>) {
        if let Some(listed) = self.shared.lock().segments.iter_mut().find(|listed| listed.path == segment.path) {
            listed.note(events);
            (listed.bytes, listed.thinned) = (bytes, thinned);
        }
    }
}

/// The gaps over what is `dropped` and what was found lost; `contents` has the rest.
fn gaps_of(step: &Step, contents: &Contents, dropped: &[Stored]) -> Vec<Gap> {
    if step.most_dropped > Rank::Routine {
        return gaps_of_region(step, contents, dropped);
    }
    let mut gaps = if contents.damaged { lost_of(step, contents, dropped) } else { Vec::new() };
    let runs: Vec<&[Stored]> = dropped.chunk_by(|one, next| one.seq + 1 == next.seq).collect();
    if runs.len() * LEAST_RUN <= dropped.len() + LEAST_RUN * LEAST_RUN {
        gaps.extend(runs.iter().filter_map(|run| Some(Gap { span: span_of(run), ..numbers_of(run)? })));
    } else {
        gaps.extend(runs.iter().filter_map(|run| numbers_of(run)));
        gaps.extend(span_of(dropped).map(|span| Gap { reason: GapReason::SpoolFull, seqs: None, span: Some(span) }));
    }
    gaps
}

/// Of all numbers of the region every one is gone but those of `contents`, whoever declared some of them before. The gaps
/// among what is dropped are said again by these, as far as they are about other numbers.
fn gaps_of_region(step: &Step, contents: &Contents, dropped: &[Stored]) -> Vec<Gap> {
    let kept = contents.events.iter().map(|event| SeqRange { first: event.seq, last: event.seq }).collect();
    let mut seqs = loss::between(step.region.first, step.region.last, kept);
    let mut times = Times::default();
    if contents.damaged {
        lost_of(step, contents, dropped).iter().filter_map(|gap| gap.span.as_ref()).for_each(|span| times.add(span));
    }
    let mut others: Vec<(GapReason, SeqRange)> = Vec::new();
    for event in dropped {
        match event::decode(&event.message).map(|event| event.body) {
            Ok(Body::Check(check)) => times.add_slot(check.scheduled_at),
            Ok(Body::Gap(gap)) => {
                gap.span.iter().for_each(|span| times.add(span));
                let below = |seqs: SeqRange| SeqRange { last: seqs.last.min(step.region.first - 1), ..seqs };
                others
                    .extend(gap.seqs.map(below).filter(|seqs| seqs.first <= seqs.last).map(|seqs| (gap.reason, seqs)));
            }
            _ => {}
        }
    }
    let mut gaps = joined(others);
    seqs.dedup();
    gaps.extend(seqs.into_iter().map(|seqs| Gap { reason: GapReason::SpoolFull, seqs: Some(seqs), span: None }));
    if let Some(span) = times.span() {
        match gaps.last_mut().filter(|gap| gap.reason == GapReason::SpoolFull) {
            Some(gap) => gap.span = Some(span),
            None => gaps.push(Gap { reason: GapReason::SpoolFull, seqs: None, span: Some(span) }),
        }
    }
    gaps
}

/// Gaps over numbers that were lost to damage, beside the events that are whole.
fn lost_of(step: &Step, contents: &Contents, dropped: &[Stored]) -> Vec<Gap> {
    let events = contents.events.iter().chain(dropped).cloned().collect();
    let whole = Contents { events, since: contents.since.clone(), ..*contents };
    loss::found_lost(&step.segment, &whole, 1, u64::MAX)
}

/// Neighbouring numbers of the same reason as one gap each.
fn joined(mut seqs: Vec<(GapReason, SeqRange)>) -> Vec<Gap> {
    seqs.sort_unstable_by_key(|(reason, seqs)| (reason.as_str(), seqs.first));
    let mut gaps: Vec<Gap> = Vec::new();
    for (reason, seqs) in seqs {
        match gaps.last_mut().filter(|gap| gap.reason == reason).and_then(|gap| gap.seqs.as_mut()) {
            Some(before) if seqs.first <= before.last + 1 => before.last = before.last.max(seqs.last),
            _ => gaps.push(Gap { reason, seqs: Some(seqs), span: None }),
        }
    }
    gaps
}

fn numbers_of(run: &[Stored]) -> Option<Gap> {
    Some(Gap::of_seqs(GapReason::SpoolFull, run.first()?.seq, run.last()?.seq))
}

/// The slots and sites of the results among `events`.
fn span_of(events: &[Stored]) -> Option<TimeSpan> {
    let (slots, sites): (BTreeSet<UtcTime>, BTreeSet<Name>) = events.iter().filter_map(slot_of).unzip();
    let (&from, &to) = slots.first().zip(slots.last())?;
    let bytes: usize = sites.iter().map(|site| site.len()).sum();
    let named = (bytes <= MOST_SITE_BYTES).then(|| sites.into_iter().collect::<Vec<Name>>());
    Some(TimeSpan { from, to, sites: named.and_then(|sites| sites.try_into().ok()) })
}

fn slot_of(event: &Stored) -> Option<(UtcTime, Name)> {
    match event::decode(&event.message).ok()?.body {
        Body::Check(check) => Some((check.scheduled_at, check.site)),
        _ => None,
    }
}

/// The earliest and the latest of some times.
#[derive(Default)]
struct Times(Option<(UtcTime, UtcTime)>);

impl Times {
    fn add_slot(&mut self, slot: UtcTime) {
        let (from, to) = self.0.unwrap_or((slot, slot));
        self.0 = Some((from.min(slot), to.max(slot)));
    }

    fn add(&mut self, span: &TimeSpan) {
        self.add_slot(span.from);
        self.add_slot(span.to);
    }

    /// All slots between them, of all sites.
    fn span(&self) -> Option<TimeSpan> {
        self.0.map(|(from, to)| TimeSpan { from, to, sites: None })
    }
}
