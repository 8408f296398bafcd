//! Keeping the spool within its size while Kafka is away.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::Ordering;

use isitup_shared::crash_point;
use isitup_shared::event::{self, Body, Draft, Gap, GapReason, Name, Rank, SeqRange, TimeSpan};
use isitup_shared::time::UtcTime;

use super::loss;
use super::record::Stored;
use super::segment::{self, Segment};
use super::writer::Writer;

impl Writer {
    /// While the spool is too large, drops the oldest results that say nothing but "up", then the oldest of any kind,
    /// and declares which. What may have been handed to Kafka stays, and so do gaps and the like.
    pub(super) fn keep_within_size(&mut self) {
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
        let may_thin =
            |segment: &&Segment| segment.first_seq > self.mark.handed && segment.thinned < Some(most_dropped);
        closed.iter().find(may_thin).filter(|_| total > self.max_size).cloned()
    }

    fn thin(&mut self, segment: &Segment, most_dropped: Rank) -> io::Result<()> {
        let contents = segment::read_or_gone(segment)?;
        let mut gaps = loss::found_lost(segment, &contents, 1, u64::MAX);
        let (dropped, kept): (Vec<Stored>, Vec<Stored>) =
            contents.events.into_iter().partition(|event| event.rank <= most_dropped);
        let mut bytes = segment.bytes;
        if !dropped.is_empty() || !gaps.is_empty() {
            let lost: u64 = gaps.iter().filter_map(|gap| gap.seqs).map(|range| range.last - range.first + 1).sum();
            let gone = lost + dropped.len() as u64;
            gaps.extend(gaps_over(&dropped));
            log::warn!("the spool is full: {gone} results are dropped and declared");
            let drafts: Vec<Draft> = gaps.iter().map(|gap| self.draft(gap)).collect();
            // First what is kept, under a name of no meaning: a disk that is full to the brim refuses here, while nothing
            // has been said. Then the word that the others are gone, then the deed: a crash between finds both and does
            // the deed. The mark stays, so that nobody may hand them to Kafka in between.
            let prepared = segment::rewrite(segment, contents.head, self.producer_id(), &kept)?;
            self.shared.lock().forget_queue();
            crash_point!("thin.begin");
            self.write(&drafts, self.mark)?;
            crash_point!("thin.declared");
            bytes = prepared.put()?;
            crash_point!("thin.done");
            self.shared.depth.fetch_sub(i64::try_from(gone).unwrap_or(0), Ordering::Relaxed);
        }
        self.resized(&segment.path, bytes, Some(most_dropped));
        Ok(())
    }
}

/// Gaps over `dropped`, neighbours joined: which numbers, and the slots and sites that they were of.
fn gaps_over(dropped: &[Stored]) -> Vec<Gap> {
    let neighbours = dropped.chunk_by(|one, next| one.seq + 1 == next.seq);
    neighbours.filter_map(|events| Some(gap_over(events.first()?.seq, events.last()?.seq, events))).collect()
}

fn gap_over(first: u64, last: u64, events: &[Stored]) -> Gap {
    let (slots, sites): (BTreeSet<UtcTime>, BTreeSet<Name>) = events.iter().filter_map(slot_of).unzip();
    let span = slots.first().zip(slots.last()).map(|(&from, &to)| {
        // A gap over more sites than one event can name names none, and means all.
        let sites = sites.into_iter().collect::<Vec<_>>().try_into().ok();
        TimeSpan { from, to, sites }
    });
    Gap { reason: GapReason::SpoolFull, seqs: Some(SeqRange { first, last }), span }
}

fn slot_of(event: &Stored) -> Option<(UtcTime, Name)> {
    match event::decode(&event.message).ok()?.body {
        Body::Check(check) => Some((check.scheduled_at, check.site)),
        _ => None,
    }
}
