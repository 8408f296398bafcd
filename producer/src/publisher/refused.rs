//! Records that Kafka refuses by themselves, and when they are given up: each becomes a gap of the reason `record_refused`.
//!
//! Only a definite answer to a record that was sent alone makes a suspect. It is given up
//! - after [`FINAL_TRIES`] refusals where the code speaks of the record (its size, its content);
//! - after [`UNCLEAR_TRIES`] refusals over at least [`LEAST_TIME`] with any other code;
//!
//! where Kafka has taken another of our events shortly after each of them.
//!
//! So nothing is given up for what befalls all events: missing rights, too few replicas, a full disk, a limit below every event.

use std::time::{Duration, Instant};

use isitup_shared::event::{self, Body, Gap, GapReason, SeqRange, TimeSpan};
use isitup_shared::kafka::RefusedRecord;

use crate::spool::Stored;

/// Refusals after which a record is given up whose code speaks of it. The second comes right after another event was taken.
const FINAL_TRIES: u32 = 2;
/// The same where the code may stand for a fault that passes.
const UNCLEAR_TRIES: u32 = 5;
/// The least time between the first and the last of these.
const LEAST_TIME: Duration = Duration::from_secs(240);
/// Between two tries.
const PAUSE: Duration = Duration::from_secs(60);
/// An event that was taken later than this after a refusal proves nothing about that time. A heartbeat comes every 10 s.
const FRESH: Duration = Duration::from_secs(12);

/// A record that was refused.
#[derive(Debug)]
pub(super) struct Suspect {
    pub(super) event: Stored,
    pub(super) refused: RefusedRecord,
    first: Instant,
    last: Instant,
    /// Refusals after which Kafka took another event, and the last one.
    tries: u32,
    /// Whether Kafka has taken another event since the last refusal.
    is_alone: bool,
    /// Whether it is to be tried again at once.
    is_in_doubt: bool,
}

impl Suspect {
    /// After its first refusal.
    pub(super) fn new(event: Stored, refused: RefusedRecord) -> Self {
        let now = Instant::now();
        Self { event, refused, first: now, last: now, tries: 1, is_alone: false, is_in_doubt: false }
    }

    /// Kafka took another event.
    pub(super) fn other_is_taken(&mut self, now: Instant) {
        let is_fresh = now.saturating_duration_since(self.last) <= FRESH;
        self.is_alone |= is_fresh;
        self.is_in_doubt |= self.refused.is_final && (!self.is_alone || self.tries < FINAL_TRIES);
    }

    /// It was refused again.
    pub(super) fn refused_again(&mut self, refused: RefusedRecord, now: Instant) {
        // Without others in between nothing new was learnt.
        self.tries += u32::from(self.is_alone);
        (self.refused, self.last, self.is_alone, self.is_in_doubt) = (refused, now, false, false);
    }

    /// Whether it is to be sent once more.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.is_in_doubt || now.saturating_duration_since(self.last) >= PAUSE
    }

    /// It could not be tried.
    pub(super) fn put_off(&mut self, now: Instant) {
        (self.last, self.is_in_doubt) = (now, false);
    }

    /// Whether it waits for longer than it takes to declare it.
    pub(super) fn is_old(&self) -> bool {
        self.first.elapsed() >= FRESH
    }

    /// The gaps that take its place, when it is to be given up.
    pub(super) fn gaps(&self) -> Option<Vec<Gap>> {
        let is_long = self.tries >= UNCLEAR_TRIES && self.last.saturating_duration_since(self.first) >= LEAST_TIME;
        let is_final = self.refused.is_final && self.tries >= FINAL_TRIES;
        let is_over = self.is_alone && (is_final || is_long);
        is_over.then(|| gaps_for(&self.event)).flatten()
    }
}

/// The gaps that declare `event`. A gap with many sites is told again without them, so that it means all; one without cannot become
/// smaller, and waits.
fn gaps_for(event: &Stored) -> Option<Vec<Gap>> {
    let seqs = Some(SeqRange { first: event.seq, last: event.seq });
    let own = |span| Gap { reason: GapReason::RecordRefused, seqs, span };
    match event::decode(&event.message).ok().map(|event| event.body) {
        Some(Body::Check(check)) => {
            let (slot, sites) = (check.scheduled_at, Some([check.site].into()));
            Some(vec![own(Some(TimeSpan { from: slot, to: slot, sites }))])
        }
        Some(Body::Gap(gap)) => {
            let span = gap.span.filter(|span| span.sites.is_some())?;
            let all = Gap { span: Some(TimeSpan { sites: None, ..span }), ..gap };
            Some(vec![all, own(None)])
        }
        _ => Some(vec![own(None)]),
    }
}

#[cfg(test)]
mod tests {
    use isitup_shared::config::Format;
    use isitup_shared::event::{Check, Draft, Rank, Sealer};
    use isitup_shared::time::UtcTime;
    use uuid::Uuid;

    use super::*;

    fn stored(body: &Body) -> Stored {
        let message = Sealer::new(Uuid::nil(), "here").seal(&Draft::new(body, Format::Json), 7);
        Stored { seq: 7, accepted_at: UtcTime::EPOCH, rank: Rank::Account, key: b"k".to_vec(), message }
    }

    fn suspect(is_final: bool) -> Suspect {
        let check = Check::up("site".to_owned(), "https://example.com/", UtcTime::from_micros(5));
        Suspect::new(stored(&Body::Check(Box::new(check))), refused(is_final))
    }

    fn refused(is_final: bool) -> RefusedRecord {
        RefusedRecord { index: 0, is_final, reason: "too large".to_owned() }
    }

    #[test]
    fn a_record_is_given_up_once_others_were_taken_after_each_of_two_refusals() {
        let mut suspect = suspect(true);
        let now = suspect.last;
        assert!(suspect.gaps().is_none() && !suspect.is_due(now));
        suspect.other_is_taken(now);
        assert!(suspect.gaps().is_none() && suspect.is_due(now), "it is tried again at once");
        suspect.refused_again(refused(true), now);
        assert!(suspect.gaps().is_none() && !suspect.is_due(now));
        suspect.other_is_taken(now);
        let slot = UtcTime::from_micros(5);
        let span = Some(TimeSpan { from: slot, to: slot, sites: Some(["site".into()].into()) });
        let seqs = Some(SeqRange { first: 7, last: 7 });
        assert_eq!(suspect.gaps(), Some(vec![Gap { reason: GapReason::RecordRefused, seqs, span }]));
    }

    #[test]
    fn an_unclear_code_needs_several_refusals_over_minutes() {
        let mut suspect = suspect(false);
        let begin = suspect.first;
        for minute in 1..=4 {
            suspect.other_is_taken(suspect.last);
            assert_eq!(suspect.gaps(), None, "after {minute} refusals");
            assert!(!suspect.is_due(suspect.last) && suspect.is_due(suspect.last + PAUSE));
            suspect.refused_again(refused(false), begin + PAUSE * minute);
        }
        assert_eq!(suspect.gaps(), None, "nothing was taken since the last refusal");
        suspect.other_is_taken(suspect.last);
        assert!(suspect.gaps().is_some());
    }

    #[test]
    fn refusals_while_nothing_is_taken_do_not_count() {
        let mut suspect = suspect(false);
        let begin = suspect.first;
        for minute in 1..=10 {
            suspect.refused_again(refused(false), begin + PAUSE * minute);
        }
        suspect.other_is_taken(suspect.last);
        assert_eq!(suspect.gaps(), None);
    }

    #[test]
    fn an_event_taken_long_after_a_refusal_proves_nothing() {
        let mut suspect = suspect(true);
        for _ in 0..5 {
            let later = suspect.last + FRESH * 2;
            suspect.other_is_taken(later);
            assert!(suspect.gaps().is_none() && suspect.is_due(later), "it is tried again first");
            suspect.refused_again(refused(true), later);
        }
    }

    #[test]
    fn a_refused_gap_is_told_again_without_its_sites_and_waits_when_it_has_none() {
        let (from, to) = (UtcTime::from_micros(1), UtcTime::from_micros(9));
        let seqs = Some(SeqRange { first: 2, last: 4 });
        let gap = |sites| Gap { reason: GapReason::SpoolFull, seqs, span: Some(TimeSpan { from, to, sites }) };
        let own = Gap::of_seqs(GapReason::RecordRefused, 7, 7);
        let told = gaps_for(&stored(&Body::Gap(gap(Some(["a".into(), "b".into()].into())))));
        assert_eq!(told, Some(vec![gap(None), own]));
        assert_eq!(gaps_for(&stored(&Body::Gap(gap(None)))), None);
    }
}
