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
    /// Of as many of them, the latest.
    latest: Vec<UtcTime>,
    /// The oldest moment of all.
    oldest: Option<UtcTime>,
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
        let latest = |latest: &mut UtcTime, (_, at): &(u64, UtcTime)| {
            *latest = (*latest).max(*at);
            Some(*latest)
        };
        self.latest = self.accepted.iter().scan(UtcTime::EPOCH, latest).collect();
        self.oldest = self.since.iter().chain(&self.accepted).map(|(_, moment)| *moment).min();
    }

    /// The gap over numbers that are lost: their slots lie in its span.
    pub(super) fn gap(&self, range: SeqRange) -> Gap {
        let after = self.accepted.partition_point(|(seq, _)| *seq <= range.last);
        let to = self.accepted.get(after).map_or_else(UtcTime::now, |(_, at)| at.after(ClockStep::SMALLEST));
        let before = self.accepted.partition_point(|(seq, _)| *seq < range.first).checked_sub(1);
        let before = before.map(|index| self.latest[index]);
        let known = self.since.partition_point(|(seq, _)| *seq <= range.first).checked_sub(1);
        let later = known.map_or(0, |index| index + 1)..self.since.partition_point(|(seq, _)| *seq <= range.last);
        let oldest = || self.oldest.unwrap_or_else(UtcTime::now);
        let known = known.map_or_else(|| earlier(oldest(), UNKNOWN_AGE), |index| self.since[index].1);
        let from = self.since[later].iter().map(|(_, moment)| *moment).fold(known, UtcTime::min);
        let (from, to) = match before {
            Some(before) if before > to => (earlier(from.min(to), PUT_BACK), before.after(PUT_BACK)),
            _ => (from.min(to), to),
        };
        let span = TimeSpan { from, to, sites: None };
        Gap { reason: GapReason::SpoolCorrupt, seqs: Some(range), span: Some(span) }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> UtcTime {
        UtcTime::from_micros(1_795_228_000_000_000 + second * 1_000_000)
    }

    fn span(since: &[(u64, i64)], accepted: &[(u64, i64)], first: u64, last: u64) -> (UtcTime, UtcTime) {
        let times = |times: &[(u64, i64)]| times.iter().map(|(seq, second)| (*seq, at(*second))).collect();
        let mut bounds = Bounds { since: times(since), accepted: times(accepted), ..Bounds::default() };
        bounds.sort();
        let span = bounds.gap(SeqRange { first, last }).span.unwrap();
        (span.from, span.to)
    }

    #[test]
    fn what_is_lost_lies_between_what_was_settled_before_it_and_what_was_accepted_after_it() {
        assert_eq!(
            span(&[(1, 10), (5, 20)], &[(1, 12), (2, 13), (4, 15)], 3, 3),
            (at(10), at(15).after(ClockStep::SMALLEST))
        );
    }

    #[test]
    fn a_time_that_the_clock_was_put_back_to_within_the_lost_is_not_missed() {
        let (from, to) = span(&[(1, 3610), (4, 20), (7, 3640)], &[(1, 3612), (9, 3642)], 2, 8);
        assert_eq!((from, to), (at(20), at(3642).after(ClockStep::SMALLEST)));
    }

    #[test]
    fn results_of_the_time_before_the_clock_was_put_back_may_be_lost_after_the_step() {
        let (from, to) = span(&[(1, 3600), (3, 10)], &[(1, 3612), (2, 3613), (3, 14), (5, 16)], 4, 4);
        assert!(from <= at(10) && to >= at(3613), "{from} to {to}");
    }
}
