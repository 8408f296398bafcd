//! Messages to events, or to the reason why they are none that can be stored.

use isitup_shared::event::{self, Body, Check, Event, Gap, Timings};
use isitup_shared::time::UtcTime;
use uuid::Uuid;

/// A message of the topic.
#[derive(Debug)]
pub struct Record {
    /// Its offset.
    pub offset: i64,
    /// The whole message.
    pub raw: Vec<u8>,
    /// What it says.
    pub content: Result<Event, Refusal>,
}

/// Why a message is not stored as an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reason, for people.
    pub reason: String,
    /// Producer and number, where the message could be read that far.
    pub number: Option<(Uuid, u64)>,
}

impl Record {
    /// Turns the record into one that is set aside for `reason`.
    pub fn refuse(&mut self, reason: String) {
        let number = self.content.as_ref().map_or_else(|refusal| refusal.number, |event| Some(number_of(event)));
        self.content = Err(Refusal { reason, number });
    }
}

/// Reads a message.
pub fn decode(offset: i64, raw: Vec<u8>) -> Record {
    let content = match event::decode(&raw) {
        Ok(event) => match unstorable(&event) {
            None => Ok(event),
            Some(reason) => Err(Refusal { reason: reason.to_owned(), number: Some(number_of(&event)) }),
        },
        Err(error) => Err(Refusal { reason: error.to_string(), number: event::number_of(&raw) }),
    };
    Record { offset, raw, content }
}

fn number_of(event: &Event) -> (Uuid, u64) {
    (event.envelope.producer_id, event.envelope.seq)
}

/// The audit adds such numbers up, so they stay well inside a 64-bit number. No producer comes near: at a million
/// events a second it takes 146,000 years.
const HIGHEST_SEQ: u64 = 1 << 62;

/// Why an event cannot be stored though it can be read. Most bad data is left to the database to find; here stands
/// what it could not tell from good data, or only by an error on a later reading.
fn unstorable(event: &Event) -> Option<&'static str> {
    if event.envelope.seq > HIGHEST_SEQ {
        return Some("seq is higher than any producer can count");
    }
    match &event.body {
        Body::Check(check) => unstorable_check(check),
        Body::Gap(gap) => unstorable_gap(gap),
        Body::Producer(report) if i64::try_from(report.site_count).is_err() => Some("site_count is out of range"),
        Body::Producer(report) if report.at < UtcTime::EPOCH => Some("at lies before 1970"),
        Body::ClockStep(step) if step.at < UtcTime::EPOCH => Some("at lies before 1970"),
        Body::Producer(_) | Body::ClockStep(_) => None,
    }
}

fn unstorable_check(check: &Check) -> Option<&'static str> {
    let times = |t: &Timings| [t.dns, t.connect, t.tls, t.first_byte, t.body, Some(t.total)];
    let of_hops = check.hops.iter().flat_map(|hop| times(&hop.timings_us));
    let mut numbers =
        times(&check.timings_us).into_iter().chain([check.body_bytes, check.queue_us]).chain(of_hops).flatten();
    if numbers.any(|number| i64::try_from(number).is_err()) {
        return Some("a time or size is out of range");
    }
    if check.confirmation.is_some_and(|number| number < 1 || i32::try_from(number).is_err()) {
        return Some("confirmation is out of range");
    }
    if i32::try_from(check.redirects).is_err() {
        return Some("redirects is out of range");
    }
    (check.scheduled_at < UtcTime::EPOCH).then_some("scheduled_at lies before 1970")
}

fn unstorable_gap(gap: &Gap) -> Option<&'static str> {
    gap.seqs.is_some_and(|seqs| seqs.last > HIGHEST_SEQ).then_some("last_seq is higher than any producer can count")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(message: &str) -> Refusal {
        decode(0, message.as_bytes().to_vec()).content.expect_err("a refusal")
    }

    fn gap(seq: u64, last_seq: u64) -> String {
        let id = Uuid::nil();
        format!(
            r#"{{"v":1,"type":"gap","producer_id":"{id}","seq":{seq},"location":"x","reason":"overrun","first_seq":1,"last_seq":{last_seq}}}"#
        )
    }

    #[test]
    fn what_is_no_event_keeps_its_bytes_and_says_why() {
        let record = decode(7, b"\xff\x00".to_vec());
        assert_eq!((record.offset, record.raw.as_slice()), (7, b"\xff\x00".as_slice()));
        assert!(record.content.is_err_and(|refusal| refusal.reason.contains("UTF-8") && refusal.number.is_none()));
        assert_eq!(refusal("").reason, "empty value");
    }

    #[test]
    fn numbers_that_would_break_the_audit_are_refused_with_their_producer_and_number() {
        assert!(decode(0, gap(5, 9).into_bytes()).content.is_ok());
        assert_eq!(refusal(&gap(5, i64::MAX as u64)).number, Some((Uuid::nil(), 5)));
        assert!(refusal(&gap(i64::MAX as u64, 9)).reason.contains("seq 9223372036854775807 is outside 1 to"));
    }

    #[test]
    fn a_record_refused_later_keeps_its_number() {
        let mut record = decode(0, gap(5, 9).into_bytes());
        record.refuse("the database says no".into());
        let expected = Refusal { reason: "the database says no".into(), number: Some((Uuid::nil(), 5)) };
        assert_eq!(record.content, Err(expected));
    }
}
