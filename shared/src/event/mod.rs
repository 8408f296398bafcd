//! The wire contract: the events on the Kafka topic. One event is one message.
//!
//! An event is an [`Envelope`] and a [`Body`], written as one flat JSON object or as one Avro datum; readers tell them
//! apart by the first bytes. The body is encoded where it arises ([`Draft::new`]); its number is put before it when the
//! spool accepts it ([`Sealer::seal`]), so nothing is encoded twice.

mod avro;
mod body;
mod check;
mod codec;
mod list;
mod numbers;
mod schema;
mod text;
mod words;

pub use avro::{
    AVRO_LAYOUTS, AVRO_MARKER, AvroError, Layout, avro_fingerprint, avro_schema, decode_datum as decode_avro_datum,
    fingerprint_text,
};
pub use body::{Body, ClockStep, Gap, GapReason, ProducerReport, ProducerState, SeqRange, SiteNames, TimeSpan};
pub use check::{Check, Failure, FailureKind, FurtherFailures, HopReport, Hops, Outcome, Timings};
pub use codec::{DecodeError, Draft, Rank, Sealer, decode, number_of};
pub use list::{List, TooManyItems};
pub use schema::json_schema;
pub use text::{Detail, Label, Name, ShownUrl, Text, TextError, is_forbidden};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The version this code writes. It also reads the one before, where there was one.
pub const SCHEMA_VERSION: u32 = 1;

/// The most bytes of a message. The types of the contract hold every event below it, whatever a site or a name server
/// answers; a longer message is no event.
pub const LARGEST_EVENT: usize = 256 << 10;

/// The highest number in an event, of events and of all else: the highest that every reader of JSON takes exactly. At a
/// million events a second a producer needs 285 years to get there.
pub const HIGHEST_NUMBER: u64 = (1 << 53) - 1;

/// The first version that ever was.
const FIRST_VERSION: u32 = 1;

/// What every event carries beside its body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Envelope {
    /// Schema version.
    pub v: u32,
    /// Who made the event: a UUID made once for each spool.
    pub producer_id: Uuid,
    /// The event's number at its producer: contiguous from 1 over all types of event.
    #[schemars(range(min = 1, max = 9_007_199_254_740_991_u64))]
    pub seq: u64,
    /// Where the producer stands, as its operator named it.
    pub location: Name,
}

/// One message on the topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Who says it, and the event's number there.
    pub envelope: Envelope,
    /// What is said.
    pub body: Body,
}

/// Whether this code reads events of `version`.
fn is_readable(version: u32) -> bool {
    reads(SCHEMA_VERSION, version)
}

/// Whether a release that writes version `own` reads `version`: its own and the one before, where there was one.
const fn reads(own: u32, version: u32) -> bool {
    version >= FIRST_VERSION && version <= own && version + 1 >= own
}

#[cfg(test)]
mod tests {
    use super::reads;

    #[test]
    fn a_release_reads_its_own_version_and_the_one_before_and_no_other() {
        let read_by = |own: u32| (0..6).filter(|version| reads(own, *version)).collect::<Vec<u32>>();
        assert_eq!([read_by(1), read_by(2), read_by(4)], [vec![1], vec![1, 2], vec![3, 4]]);
        assert!(!reads(1, u32::MAX));
    }
}
