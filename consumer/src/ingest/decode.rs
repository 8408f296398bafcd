//! Messages to events, or to the reason why they are none that can be stored.

use isitup_shared::event::{self, Detail, Event};
use uuid::Uuid;

use super::plausible::impossible;

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
    /// The reason, for people. It may quote the message, or what PostgreSQL quotes of it.
    pub reason: Detail,
    /// Producer and number, where the message could be read that far.
    pub number: Option<(Uuid, u64)>,
}

impl Record {
    /// The record as it came, whatever was made of it since.
    #[must_use]
    pub fn as_it_came(self) -> Self {
        decode(self.offset, self.raw)
    }

    /// Turns the record into one that is set aside for `reason`.
    pub fn refuse(&mut self, reason: impl Into<Detail>) {
        let number = self.content.as_ref().map_or_else(|refusal| refusal.number, |event| Some(number_of(event)));
        self.content = Err(Refusal { reason: reason.into(), number });
    }
}

/// Reads a message.
pub fn decode(offset: i64, raw: Vec<u8>) -> Record {
    let content = match event::decode(&raw) {
        Ok(event) => match impossible(&event) {
            None => Ok(event),
            Some(reason) => Err(Refusal { reason: reason.into(), number: Some(number_of(&event)) }),
        },
        Err(error) => Err(Refusal { reason: error.to_string().into(), number: event::number_of(&raw) }),
    };
    Record { offset, raw, content }
}

fn number_of(event: &Event) -> (Uuid, u64) {
    (event.envelope.producer_id, event.envelope.seq)
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
        assert_eq!(&*refusal("").reason, "empty value");
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
        record.refuse("the database says no\u{1b}[2J");
        let expected = Refusal { reason: "the database says no\u{fffd}[2J".into(), number: Some((Uuid::nil(), 5)) };
        assert_eq!(record.content, Err(expected));
        assert!(record.as_it_came().content.is_ok());
    }
}
