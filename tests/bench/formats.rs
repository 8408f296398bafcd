//! What an event costs in JSON and in Avro, and what the crate `apache-avro` would take for the same datum. No service
//! and no server takes part.

use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context, Result};
use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use isitup_shared::config::Format;
use isitup_shared::event::{Body, Draft, Sealer, avro_schema, decode};

use crate::events::Events;
use crate::figures::{Aim, Figure, median};
use crate::process::cpu_of_this_thread;

const COUNT: u64 = 50_000;
const ROUNDS: usize = 7;
/// Marker and fingerprint.
const HEADER: usize = 10;

/// Nanoseconds of CPU and bytes an event.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    bytes: f64,
    encode: f64,
    decode: f64,
}

/// Takes all in turns, several times: the median counts.
pub(crate) fn measure() -> Result<Vec<Figure>> {
    let events = Events::until_now(COUNT);
    let bodies: Vec<Body> = events.iter().map(|(_, check)| Body::Check(Box::new(check))).collect();
    let sealer = Sealer::new(events.producer_id, "bench");
    let reference = Reference::new(&bodies, &sealer)?;
    let (mut json, mut avro, mut crates) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        json.push(ours(&bodies, &sealer, Format::Json)?);
        avro.push(ours(&bodies, &sealer, Format::Avro)?);
        crates.push(reference.cost()?);
    }
    let middle = |costs: &[Cost]| Cost {
        bytes: costs.first().map_or(0.0, |cost| cost.bytes),
        encode: median(costs.iter().map(|cost| cost.encode)),
        decode: median(costs.iter().map(|cost| cost.decode)),
    };
    let (json, avro, crates) = (middle(&json), middle(&avro), middle(&crates));
    let figure = |what: &str, value: f64, unit| Figure::new("formats", what, value, unit);
    let ratio = |what: &str, ours: f64, theirs: f64| figure(what, ours / theirs, "times").aiming(Aim::AtMost(1.0));
    Ok(vec![
        figure("bytes an event, JSON", json.bytes, "bytes"),
        figure("bytes an event, Avro", avro.bytes, "bytes"),
        ratio("bytes, Avro / JSON", avro.bytes, json.bytes),
        figure("to encode, JSON", json.encode, "ns"),
        figure("to encode, Avro", avro.encode, "ns"),
        figure("to encode, crate apache-avro", crates.encode, "ns"),
        ratio("to encode, Avro / JSON", avro.encode, json.encode),
        figure("to decode, JSON", json.decode, "ns"),
        figure("to decode, Avro", avro.decode, "ns"),
        figure("to decode, crate apache-avro", crates.decode, "ns"),
        ratio("to decode, Avro / JSON", avro.decode, json.decode),
    ])
}

/// As the producer writes and the consumer reads.
fn ours(bodies: &[Body], sealer: &Sealer, format: Format) -> Result<Cost> {
    let begun = cpu_of_this_thread()?;
    let messages: Vec<Vec<u8>> =
        bodies.iter().zip(1..).map(|(body, seq)| sealer.seal(&Draft::new(black_box(body), format), seq)).collect();
    let encode = per_event(begun)?;
    let begun = cpu_of_this_thread()?;
    for message in &messages {
        black_box(decode(black_box(message))?);
    }
    let decode = per_event(begun)?;
    let bytes = messages.iter().map(Vec::len).sum::<usize>() as f64 / COUNT as f64;
    Ok(Cost { bytes, encode, decode })
}

/// The crate's values of the same events. To make them of our types, and our types of them, would come on top.
struct Reference {
    schema: Schema,
    values: Vec<Value>,
}

impl Reference {
    fn new(bodies: &[Body], sealer: &Sealer) -> Result<Self> {
        let schema = Schema::parse(&avro_schema())?;
        let reader = GenericDatumReader::builder(&schema).build()?;
        let value = |(body, seq)| {
            let message = sealer.seal(&Draft::new(body, Format::Avro), seq);
            Ok(reader.read_value(&mut message.get(HEADER..).context("a datum")?)?)
        };
        let values = bodies.iter().zip(1..).map(value).collect::<Result<_>>()?;
        Ok(Self { schema, values })
    }

    fn cost(&self) -> Result<Cost> {
        let writer = GenericDatumWriter::builder(&self.schema).validate(false).build()?;
        let reader = GenericDatumReader::builder(&self.schema).build()?;
        let begun = cpu_of_this_thread()?;
        let mut datums = Vec::with_capacity(self.values.len());
        for value in &self.values {
            let mut datum = Vec::with_capacity(512);
            writer.write_value_ref(&mut datum, black_box(value))?;
            datums.push(datum);
        }
        let encode = per_event(begun)?;
        let begun = cpu_of_this_thread()?;
        for datum in &datums {
            black_box(reader.read_value(&mut black_box(datum.as_slice()))?);
        }
        Ok(Cost { bytes: 0.0, encode, decode: per_event(begun)? })
    }
}

/// Nanoseconds of CPU since then for each event.
fn per_event(begun: Duration) -> Result<f64> {
    Ok(cpu_of_this_thread()?.saturating_sub(begun).as_secs_f64() * 1e9 / COUNT as f64)
}
