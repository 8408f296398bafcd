//! Events to messages and back.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::avro::{self, AvroError};
use super::numbers;
use super::{Body, Detail, Envelope, Event, HIGHEST_NUMBER, LARGEST_EVENT, Name, Outcome, SCHEMA_VERSION, is_readable};
use crate::config::Format;

/// An event before it has a number: what the spool is asked to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    type_name: &'static str,
    key: Option<Name>,
    format: Format,
    /// The body: as a JSON object without its opening brace, or as the last field of a datum.
    tail: Vec<u8>,
    rank: Rank,
}

/// How much an event would be missed: when room is scarce, lower ranks go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// A site is up.
    Routine,
    /// A site is down.
    Outage,
    /// The accounts themselves: gaps, the producer's state, clock steps. Never dropped.
    Account,
}

impl Draft {
    /// Encodes `body`.
    pub fn new(body: &Body, format: Format) -> Self {
        let (key, rank) = match body {
            Body::Check(check) if check.outcome == Outcome::Up => (Some(check.site.clone()), Rank::Routine),
            Body::Check(check) => (Some(check.site.clone()), Rank::Outage),
            Body::Gap(_) | Body::Producer(_) | Body::ClockStep(_) => (None, Rank::Account),
        };
        let tail = match format {
            Format::Json => json_body(body),
            Format::Avro => avro::encode_body(body),
        };
        Self { type_name: body.type_name(), key, format, tail, rank }
    }

    /// About how many bytes the message will take.
    pub fn size(&self) -> usize {
        self.tail.len() + 160
    }

    /// How much the event would be missed.
    pub fn rank(&self) -> Rank {
        self.rank
    }
}

fn json_body(body: &Body) -> Vec<u8> {
    match body {
        Body::Check(check) => json(check),
        Body::Gap(gap) => json(gap),
        Body::Producer(report) => json(report),
        Body::ClockStep(step) => json(step),
    }
}

/// Serialises a type of this module without its opening brace. These types cannot fail: they have string keys only
/// and no fallible serialiser.
fn json(value: &impl serde::Serialize) -> Vec<u8> {
    let mut bytes =
        serde_json::to_vec(value).unwrap_or_else(|error| unreachable!("a contract type became no JSON: {error}"));
    bytes.remove(0);
    bytes
}

impl Body {
    /// The `type` in the envelope.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Check(_) => "check",
            Self::Gap(_) => "gap",
            Self::Producer(_) => "producer",
            Self::ClockStep(_) => "clock_step",
        }
    }
}

/// Puts one producer's envelope before drafts.
#[derive(Clone, Debug)]
pub struct Sealer {
    producer_id: String,
    /// JSON from after the number to the body.
    location: String,
    avro: avro::Sealing,
}

impl Sealer {
    /// For the events of `producer_id` at `location`.
    pub fn new(producer_id: Uuid, location: &str) -> Self {
        let location = Name::from(location);
        let avro = avro::Sealing::new(producer_id, &location);
        let location = serde_json::Value::from(location.as_str()).to_string();
        Self { producer_id: producer_id.to_string(), location, avro }
    }

    /// The message of `draft` with the number `seq`.
    pub fn seal(&self, draft: &Draft, seq: u64) -> Vec<u8> {
        match draft.format {
            Format::Json => self.seal_json(draft, seq),
            Format::Avro => self.avro.seal(&draft.tail, seq),
        }
    }

    fn seal_json(&self, draft: &Draft, seq: u64) -> Vec<u8> {
        let mut message = format!(
            r#"{{"v":{SCHEMA_VERSION},"type":"{}","producer_id":"{}","seq":{seq},"location":{},"#,
            draft.type_name, self.producer_id, self.location
        )
        .into_bytes();
        message.extend_from_slice(&draft.tail);
        message
    }

    /// The message key of `draft`: the site's name, so that a site's events stay in order; else the producer's id.
    pub fn key<'a>(&'a self, draft: &'a Draft) -> &'a str {
        draft.key.as_deref().unwrap_or(&self.producer_id)
    }
}

/// Why a message is no event that this code reads.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// A message without content.
    #[error("empty value")]
    Empty,
    /// A message longer than any event.
    #[error("{0} bytes long, an event has at most {LARGEST_EVENT}")]
    TooLarge(usize),
    /// Not text.
    #[error("not UTF-8: {0}")]
    NotUtf8(#[from] std::str::Utf8Error),
    /// Not the JSON of an event.
    #[error("not an event: {0}")]
    NotAnEvent(Detail),
    /// Not the Avro of an event.
    #[error("not an event: Avro: {0}")]
    NotADatum(#[from] AvroError),
    /// Avro of a schema that no release had which this one knows.
    #[error("unknown Avro schema {}; this release reads {}", avro::fingerprint_text(*.0), avro::known_schemas())]
    UnknownSchema(u64),
    /// Written by a release that is too new or too old.
    #[error("unknown schema version {0}; this release reads version {SCHEMA_VERSION}")]
    UnknownVersion(i128),
    /// A type that this version does not have.
    #[error("unknown event type {0:?}")]
    UnknownType(Name),
    /// A number that no producer issues.
    #[error("seq {0} is outside 1 to {HIGHEST_NUMBER}")]
    SeqOutOfRange(i128),
}

impl Event {
    /// The event as one line of JSON, whatever it was read from.
    pub fn to_json(&self) -> String {
        let Envelope { v: _, producer_id, seq, location } = &self.envelope;
        let line = Sealer::new(*producer_id, location).seal(&Draft::new(&self.body, Format::Json), *seq);
        String::from_utf8_lossy(&line).into_owned()
    }
}

/// The envelope, read before the body so that a refusal can name what is wrong. Wide types: a number that is out of
/// range is told as such.
#[derive(Deserialize)]
struct Header {
    v: u64,
    r#type: String,
    producer_id: Uuid,
    seq: serde_json::Number,
    location: Name,
}

/// Reads a message from the topic.
///
/// # Errors
/// When it is no event, or one of a version or type that this release does not read.
pub fn decode(message: &[u8]) -> Result<Event, DecodeError> {
    if message.is_empty() {
        return Err(DecodeError::Empty);
    }
    if message.len() > LARGEST_EVENT {
        return Err(DecodeError::TooLarge(message.len()));
    }
    let event = if avro::is_avro(message) { avro::decode(message)? } else { decode_json(message)? };
    match numbers::out_of_range(&event.body) {
        Some(reason) => Err(DecodeError::NotAnEvent(reason.into())),
        None => Ok(event),
    }
}

/// Returns producer and number of a message that need not be an event, as far as its envelope says them. To name a message
/// that [`decode`] refused.
pub fn number_of(message: &[u8]) -> Option<(Uuid, u64)> {
    #[derive(Deserialize)]
    struct Number {
        producer_id: Uuid,
        seq: u64,
    }
    if message.len() > LARGEST_EVENT {
        return None;
    }
    let (producer_id, seq) = if avro::is_avro(message) {
        avro::number_of(message)?
    } else {
        let Number { producer_id, seq } = serde_json::from_slice(message).ok()?;
        (producer_id, seq)
    };
    checked_seq(seq.into()).ok().map(|seq| (producer_id, seq))
}

fn decode_json(message: &[u8]) -> Result<Event, DecodeError> {
    let text = std::str::from_utf8(message)?;
    let header: Header = read(text).map_err(|error| unreadable_version(text).unwrap_or(error))?;
    let readable = u32::try_from(header.v).ok().filter(|v| is_readable(*v));
    let v = readable.ok_or(DecodeError::UnknownVersion(header.v.into()))?;
    let seq = json_seq(&header.seq)?;
    let body = decode_body(&header.r#type, text)?;
    Ok(Event { envelope: Envelope { v, producer_id: header.producer_id, seq, location: header.location }, body })
}

/// Whether the version is why an envelope could not be read: another version's envelope may differ in all else.
fn unreadable_version(text: &str) -> Option<DecodeError> {
    #[derive(Deserialize)]
    struct Version {
        v: u64,
    }
    let version = serde_json::from_str::<Version>(text).ok()?.v;
    (!u32::try_from(version).is_ok_and(is_readable)).then_some(DecodeError::UnknownVersion(version.into()))
}

fn json_seq(number: &serde_json::Number) -> Result<u64, DecodeError> {
    let no_number = || DecodeError::NotAnEvent(format!("seq {number} is no whole number").into());
    checked_seq(number.as_i128().ok_or_else(no_number)?)
}

/// A number that producers issue.
pub(super) fn checked_seq(number: i128) -> Result<u64, DecodeError> {
    let seq = u64::try_from(number).ok().filter(|seq| (1..=HIGHEST_NUMBER).contains(seq));
    seq.ok_or(DecodeError::SeqOutOfRange(number))
}

fn decode_body(type_name: &str, text: &str) -> Result<Body, DecodeError> {
    Ok(match type_name {
        "check" => Body::Check(read(text)?),
        "gap" => Body::Gap(read(text)?),
        "producer" => Body::Producer(read(text)?),
        "clock_step" => Body::ClockStep(read(text)?),
        other => return Err(DecodeError::UnknownType(other.into())),
    })
}

/// Longer paths of fields are of another program, and would leave no room for the reason.
const LONGEST_PATH: usize = 100;

/// Reads a `T`. Which field is wrong is worth another reading, which only refused messages cost.
fn read<T: DeserializeOwned>(text: &str) -> Result<T, DecodeError> {
    serde_json::from_str(text).map_err(|error| {
        let again = serde_path_to_error::deserialize::<_, T>(&mut serde_json::Deserializer::from_str(text));
        let path =
            again.err().map(|error| error.path().to_string()).filter(|path| path != "." && path.len() <= LONGEST_PATH);
        DecodeError::NotAnEvent(match path {
            Some(path) => format!("{path}: {error}").into(),
            None => error.to_string().into(),
        })
    })
}
