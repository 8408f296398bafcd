//! Any bytes as a message of the topic: an event within its limits, the same in either format, or a short reason.

use isitup_shared::config::Format;
use isitup_shared::event::{Draft, LARGEST_EVENT, Sealer, decode, is_forbidden, number_of};
use serde_json::Value;

/// A reason quotes what is wrong, cut.
const LONGEST_REASON: usize = 1200;

pub(crate) fn check(input: &[u8]) {
    let event = match decode(input) {
        Ok(event) => event,
        Err(error) => {
            let reason = error.to_string();
            assert!(!reason.is_empty() && reason.len() <= LONGEST_REASON && is_clean(&reason), "{reason:?}");
            return;
        }
    };
    let envelope = &event.envelope;
    assert_eq!(number_of(input), Some((envelope.producer_id, envelope.seq)));
    assert_texts_are_clean(&serde_json::from_str(&event.to_json()).unwrap());
    let sealer = Sealer::new(envelope.producer_id, &envelope.location);
    for format in [Format::Json, Format::Avro] {
        let message = sealer.seal(&Draft::new(&event.body, format), envelope.seq);
        assert!(message.len() <= LARGEST_EVENT, "{} bytes in {format:?}", message.len());
        assert_eq!(decode(&message).unwrap(), event, "{format:?}");
    }
}

/// Panics where a text of an event in JSON, whatever its field, holds what is not allowed.
pub(crate) fn assert_texts_are_clean(value: &Value) {
    match value {
        Value::String(text) => assert!(is_clean(text), "{text:?}"),
        Value::Array(items) => items.iter().for_each(assert_texts_are_clean),
        Value::Object(fields) => fields.values().for_each(assert_texts_are_clean),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn is_clean(text: &str) -> bool {
    !text.chars().any(is_forbidden)
}
