//! Events as Avro, beside JSON: single-object encoding, that is a marker, the fingerprint of the writer's schema, and one
//! datum of it (<https://avro.apache.org/docs/1.12.0/specification/#single-object-encoding>).
//!
//! Written by hand, since the point of Avro is to be smaller and faster than JSON: `make bench ARGS=formats` shows both
//! beside each other and beside the crate `apache-avro`, which the tests hold this code to. Each record is listed once
//! ([`records`]); its schema, what writes it and what reads it all follow from that list.

mod datum;
mod records;
mod schema;
mod wire;

use uuid::Uuid;

use super::codec::{DecodeError, checked_seq};
use super::{Body, Envelope, Event, Name, SCHEMA_VERSION, is_readable};
use datum::{Datum, put_long, put_text};
pub use schema::avro_schema;
pub use wire::AvroError;
use wire::Input;

/// How a message in single-object encoding begins, which no JSON does: it is no UTF-8.
pub const AVRO_MARKER: [u8; 2] = [0xc3, 0x01];

/// Marker and fingerprint.
const HEADER: usize = AVRO_MARKER.len() + size_of::<u64>();

/// A schema that was ever written, by how many fields its records have. A later schema only adds fields, each at the end
/// of its record and with a default, so that the number says which ones a datum has; a test compares this list with the
/// schemas in `shared/schema/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The CRC-64-AVRO of the schema's parsing canonical form.
    pub fingerprint: u64,
    /// Fields of `Check`.
    pub check: usize,
    /// Fields of `Hop`.
    pub hop: usize,
    /// Fields of `Failure`.
    pub failure: usize,
    /// Fields of `Timings`.
    pub timings: usize,
    /// Fields of `Gap`.
    pub gap: usize,
    /// Fields of `Producer`.
    pub producer: usize,
    /// Fields of `ClockStep`.
    pub clock_step: usize,
}

/// The schemas that this release reads, oldest first: those of its own version of the contract and of the one before. It
/// writes the last one.
pub const AVRO_LAYOUTS: &[Layout] = &[Layout { fingerprint: 0xe6ec_3314_efc4_ffc4, ..WRITTEN }, WRITTEN];

const WRITTEN: Layout = Layout {
    fingerprint: 0xc429_8cf1_8a69_3888,
    check: 30,
    hop: 4,
    failure: 2,
    timings: 6,
    gap: 6,
    producer: 5,
    clock_step: 2,
};

/// A fingerprint for people: in hexadecimal, its bytes in the order in which they stand in a message.
pub fn fingerprint_text(fingerprint: u64) -> String {
    format!("{:016x}", fingerprint.swap_bytes())
}

/// The fingerprints of [`AVRO_LAYOUTS`], for people.
pub(super) fn known_schemas() -> String {
    let shown: Vec<String> = AVRO_LAYOUTS.iter().map(|layout| fingerprint_text(layout.fingerprint)).collect();
    shown.join(", ")
}

/// Whether the message says that it is Avro.
pub(super) fn is_avro(message: &[u8]) -> bool {
    message.starts_with(&AVRO_MARKER)
}

/// The fingerprint in a message's header, where it has one.
pub fn avro_fingerprint(message: &[u8]) -> Option<u64> {
    let fingerprint = message.strip_prefix(&AVRO_MARKER)?.first_chunk::<8>()?;
    Some(u64::from_le_bytes(*fingerprint))
}

/// What precedes the body of one producer's events, save the number.
#[derive(Clone, Debug)]
pub(super) struct Sealing {
    /// From the marker to the producer's id.
    before: Vec<u8>,
    location: Vec<u8>,
}

impl Sealing {
    pub(super) fn new(producer_id: Uuid, location: &str) -> Self {
        let mut before = AVRO_MARKER.to_vec();
        before.extend_from_slice(&WRITTEN.fingerprint.to_le_bytes());
        put_long(&mut before, i64::from(SCHEMA_VERSION));
        before.extend_from_slice(producer_id.as_bytes());
        let mut place = Vec::new();
        put_text(&mut place, location);
        Self { before, location: place }
    }

    /// The message of `body`, as [`encode_body`] made it, with the number `seq`.
    pub(super) fn seal(&self, body: &[u8], seq: u64) -> Vec<u8> {
        let mut message = Vec::with_capacity(self.before.len() + self.location.len() + body.len() + 10);
        message.extend_from_slice(&self.before);
        seq.write(&mut message);
        message.extend_from_slice(&self.location);
        message.extend_from_slice(body);
        message
    }
}

/// The field `body` of the datum.
pub(super) fn encode_body(body: &Body) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    body.write(&mut out);
    out
}

/// Reads a message that begins with the marker.
pub(super) fn decode(message: &[u8]) -> Result<Event, DecodeError> {
    let fingerprint = avro_fingerprint(message).ok_or_else(|| AvroError::new("the header is cut short"))?;
    let layout = AVRO_LAYOUTS.iter().rev().find(|layout| layout.fingerprint == fingerprint);
    decode_datum(message.get(HEADER..).unwrap_or_default(), layout.ok_or(DecodeError::UnknownSchema(fingerprint))?)
}

/// Producer and number of a message that begins with the marker, where its schema is known.
pub(super) fn number_of(message: &[u8]) -> Option<(Uuid, u64)> {
    let fingerprint = avro_fingerprint(message)?;
    let layout = AVRO_LAYOUTS.iter().find(|layout| layout.fingerprint == fingerprint)?;
    let mut input = Input::new(message.get(HEADER..)?, layout);
    i64::read(&mut input).ok()?;
    Some((Uuid::read(&mut input).ok()?, u64::read(&mut input).ok()?))
}

/// Reads the datum of an event that was written in the schema of `layout`. For tests of schemas that are no release's;
/// a message is read by [`super::decode`].
///
/// # Errors
/// When it is no event, or one of a version that this release does not read.
pub fn decode_datum(datum: &[u8], layout: &Layout) -> Result<Event, DecodeError> {
    let mut input = Input::new(datum, layout);
    let version = i64::read(&mut input).map_err(|error| error.of("v"))?;
    let readable = u32::try_from(version).ok().filter(|v| is_readable(*v));
    let v = readable.ok_or(DecodeError::UnknownVersion(version.into()))?;
    let producer_id = Uuid::read(&mut input).map_err(|error| error.of("producer_id"))?;
    let seq = checked_seq(i64::read(&mut input).map_err(|error| error.of("seq"))?.into())?;
    let location = Name::read(&mut input).map_err(|error| error.of("location"))?;
    let body = Body::read(&mut input).map_err(|error| error.of("body"))?;
    input.finish()?;
    Ok(Event { envelope: Envelope { v, producer_id, seq, location }, body })
}
