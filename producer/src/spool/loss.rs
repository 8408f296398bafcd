//! Between which times the slots of lost events lie, as what is whole around them tells.

use std::time::Duration;

use isitup_shared::event::{ClockStep, Gap, GapReason, SeqRange, TimeSpan};
use isitup_shared::time::UtcTime;

use super::segment::{Contents, Segment};

/// Where nothing tells how old lost events are: so much older than all that is known.
const UNKNOWN_AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// Where the wall clock was put back among the lost events, neither of their times bounds them.
const PUT_BACK: Duration = Duration::from_secs(60 * 60);

/// What whole records say about lost ones.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    /// No event numbered from here on is of a slot before that moment.
    since: Vec<(u64, UtcTime)>,
    /// When events were accepted, which is after their slots.
    accepted: Vec<(u64, UtcTime)>,
}

impl Bounds {
    /// Those of one segment.
    pub(super) fn of(segment: &Segment, contents: &Contents) -> Self {
        let mut bounds = Self::default();
        bounds.note(segment, contents);
        bounds.sort();
        bounds
    }

    /// Adds what `contents` of `segment` say.
    pub(super) fn note(&mut self, segment: &Segment, contents: &Contents) {
        let begin = contents.head.and_then(|head| head.since).or(segment.since);
        self.since.extend(begin.map(|moment| (segment.first_seq, moment)));
        self.since.extend(&contents.since);
        self.accepted.extend(contents.events.iter().map(|event| (event.seq, event.accepted_at)));
    }

    /// To be done before any question.
    pub(super) fn sort(&mut self) {
        self.since.sort_unstable();
        self.accepted.sort_unstable();
    }

    /// The gap over numbers that are lost: their slots lie in its span.
    pub(super) fn gap(&self, range: SeqRange) -> Gap {
        let after = self.accepted.partition_point(|(seq, _)| *seq <= range.last);
        let to = self.accepted.get(after).map_or_else(UtcTime::now, |(_, at)| at.after(ClockStep::SMALLEST));
        let before = self.accepted.partition_point(|(seq, _)| *seq < range.first).checked_sub(1);
        let before = before.map(|index| self.accepted[index].1);
        let known = self.since.partition_point(|(seq, _)| *seq <= range.first).checked_sub(1);
        let from = known.map_or_else(|| earlier(self.oldest(), UNKNOWN_AGE), |index| self.since[index].1);
        let (from, to) = match before {
            Some(before) if before > to => (earlier(from.min(to), PUT_BACK), before.after(PUT_BACK)),
            _ => (from.min(to), to),
        };
        let span = TimeSpan { from, to, sites: None };
        Gap { reason: GapReason::SpoolCorrupt, seqs: Some(range), span: Some(span) }
    }

    fn oldest(&self) -> UtcTime {
        let times = self.since.iter().chain(&self.accepted).map(|(_, moment)| *moment);
        times.min().unwrap_or_else(UtcTime::now)
    }
}

/// Gaps over the numbers of `segment` from `first` to `last` that are there no more, where it was damaged since it was
/// written. Numbers that were declared before may be among them.
pub(super) fn found_lost(segment: &Segment, contents: &Contents, first: u64, last: u64) -> Vec<Gap> {
    if !contents.damaged {
        return Vec::new();
    }
    let seqs = contents.events.iter().map(|event| SeqRange { first: event.seq, last: event.seq }).collect();
    let lost = between(first.max(segment.first_seq), last.min(segment.last_seq), seqs);
    let bounds = Bounds::of(segment, contents);
    lost.into_iter().map(|range| bounds.gap(range)).collect()
}

/// The numbers from `first` to `last` that lie in none of `there`.
pub(super) fn between(first: u64, last: u64, mut there: Vec<SeqRange>) -> Vec<SeqRange> {
    there.sort_unstable_by_key(|range| range.first);
    let (mut lost, mut next) = (Vec::new(), first);
    for range in there.into_iter().chain([SeqRange { first: last + 1, last: last + 1 }]) {
        let end = range.first.min(last + 1);
        if end > next {
            lost.push(SeqRange { first: next, last: end - 1 });
        }
        next = next.max(range.last + 1);
    }
    lost
}

fn earlier(moment: UtcTime, by: Duration) -> UtcTime {
    UtcTime::from_micros(moment.as_micros().saturating_sub(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
}
