//! Avro as others meet it: held to the crate `apache-avro`, which shares no code with ours, in both directions.

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test a failed step may well end it, in its helpers too")]

mod events;
mod evolution;
mod reference;
mod schema;

use apache_avro::Schema;
use events::{any_event, sealed};
use isitup_shared::config::Format;
use isitup_shared::event::{
    AVRO_LAYOUTS, AVRO_MARKER, Body, Event, Gap, GapReason, Name, avro_fingerprint, avro_schema, decode,
};
use isitup_shared::time::UtcTime;
use proptest::prelude::*;
use reference::Reference;

/// Marker and fingerprint.
const HEADER: usize = 10;

fn written() -> Schema {
    Schema::parse(&avro_schema()).unwrap()
}

/// The message of `datum` in the schema that this release writes.
fn framed(datum: &[u8]) -> Vec<u8> {
    let fingerprint = AVRO_LAYOUTS.last().unwrap().fingerprint;
    [&AVRO_MARKER[..], &fingerprint.to_le_bytes(), datum].concat()
}

fn refusal(message: &[u8]) -> String {
    decode(message).unwrap_err().to_string()
}

fn a_check() -> Event {
    events::check_of_every_field()
}

#[test]
fn a_message_begins_with_the_marker_and_the_fingerprint_and_no_json_does() {
    let message = sealed(&a_check(), Format::Avro);
    assert_eq!(message[..2], [0xc3, 0x01]);
    assert_eq!(avro_fingerprint(&message), Some(AVRO_LAYOUTS.last().unwrap().fingerprint));
    assert!(std::str::from_utf8(&message[..2]).is_err(), "so no JSON is taken for it");
    assert_eq!(avro_fingerprint(&sealed(&a_check(), Format::Json)), None);
}

#[test]
fn avro_takes_at_most_half_the_bytes_of_json() {
    let [json, avro] = [Format::Json, Format::Avro].map(|format| sealed(&a_check(), format).len());
    assert!(avro * 2 <= json, "{avro} bytes against {json}");
}

#[test]
fn cut_bent_and_prolonged_messages_are_refused_and_say_where() {
    let message = sealed(&a_check(), Format::Avro);
    for end in 2..message.len() {
        assert!(refusal(&message[..end]).starts_with("not an event: Avro: "), "cut at {end}");
    }
    let longer = [&message[..], &[0, 0]].concat();
    assert_eq!(refusal(&longer), "not an event: Avro: 2 bytes follow the event");
    assert_eq!(refusal(&message[..5]), "not an event: Avro: the header is cut short");
    assert_eq!(refusal(&framed(&[])), "not an event: Avro: v: it ends too early");
    let datum = |v: u8, seq: &[u8], rest: &[u8]| framed(&[&[v], &[0; 16][..], seq, rest].concat());
    let cases: [(Vec<u8>, &str); 9] = [
        (datum(4, &[], &[]), "unknown schema version 2; this release reads version 1"),
        (datum(0, &[], &[]), "unknown schema version 0; this release reads version 1"),
        (datum(1, &[], &[]), "unknown schema version -1; this release reads version 1"),
        (datum(2, &[0], &[]), "seq 0 is outside 1 to 9007199254740991"),
        (datum(2, &[7], &[]), "seq -4 is outside 1 to 9007199254740991"),
        (datum(2, &[2], &[2, 0xff]), "not an event: Avro: location: not UTF-8"),
        (datum(2, &[2], &[3]), "not an event: Avro: location: a length of -2"),
        (datum(2, &[2], &[0, 8]), "not an event: Avro: body: branch 4 of four"),
        (datum(2, &[0xff; 10], &[]), "not an event: Avro: seq: a number of more than 64 bits"),
    ];
    for (message, reason) in cases {
        assert!(refusal(&message).starts_with(reason), "{} is not: {reason}", refusal(&message));
    }
    // A gap that says nothing, and one that ends before it begins.
    for gap in [&[2, 0, 0, 0, 0, 0, 0][..], &[2, 0, 2, 6, 2, 4, 0, 0, 0]] {
        let reason = refusal(&datum(2, &[2], &[&[0], gap].concat()));
        assert!(reason.starts_with("not an event: Avro: body: a gap"), "{reason}");
    }
}

#[test]
fn an_array_is_read_in_whatever_blocks_it_was_written() {
    let (from, to) = (UtcTime::EPOCH, UtcTime::from_micros(1));
    let sites = ["first", "second", "third"].map(Name::from).into();
    let event = Event { body: Body::Gap(Gap::of_span(GapReason::Overrun, from, to, Some(sites))), ..a_check() };
    let message = sealed(&event, Format::Avro);
    let one_block: Vec<u8> = [&[6][..], b"\x0afirst\x0csecond\x0athird\0"].concat();
    let start = message.len() - one_block.len();
    assert_eq!(message[start..], one_block);
    // Two blocks, of which the second says how many bytes it has.
    let two_blocks = [&message[..start], b"\x02\x0afirst", b"\x03\x1a\x0csecond\x0athird\0"].concat();
    assert_eq!(decode(&two_blocks).unwrap(), event);
    // A count that lies neither takes memory nor time.
    let lie = [&message[..start], &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]].concat();
    assert!(refusal(&lie).ends_with("sites: it ends too early"), "{}", refusal(&lie));
}

proptest! {
    #[test]
    fn what_we_write_apache_avro_writes_and_reads_the_same(event in any_event()) {
        let (message, reference) = (sealed(&event, Format::Avro), Reference::of(written()));
        let value = reference.value(&event);
        prop_assert_eq!(&reference.read(&message[HEADER..]), &value);
        prop_assert_eq!(&framed(&reference.write(&value)), &message);
        prop_assert_eq!(decode(&framed(&reference.write(&value))).unwrap(), event);
    }

    #[test]
    fn an_event_is_the_same_from_json_and_from_avro(event in any_event()) {
        let [json, avro] = [Format::Json, Format::Avro].map(|format| decode(&sealed(&event, format)).unwrap());
        prop_assert_eq!(&json, &avro);
        prop_assert_eq!(&avro, &event);
        prop_assert_eq!(avro.to_json().into_bytes(), sealed(&event, Format::Json));
    }

    #[test]
    fn no_datum_makes_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&framed(&bytes));
    }

    #[test]
    fn no_flipped_byte_makes_the_reader_panic(event in any_event(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut message = sealed(&event, Format::Avro);
        let index = at.index(message.len());
        message[index] = to;
        let _ = decode(&message);
    }
}
