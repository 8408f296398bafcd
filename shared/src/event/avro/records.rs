//! The records, each with its fields in their order on the wire: first those that are always there. New ones go to the end
//! of their record, and need a default: see "When you change the contract" in CONTRIBUTING.md.

use serde_json::{Value, json};

use super::datum::{Datum, put_long};
use super::schema::{Names, docs_of};
use super::wire::{AvroError, Input};
use crate::event::body::GapFields;
use crate::event::{
    Body, Check, ClockStep, Failure, FailureKind, Gap, GapReason, HopReport, Outcome, ProducerReport, ProducerState,
    Timings,
};

/// A struct as a record: its name, its place in a layout, and its fields, all of them.
macro_rules! record {
    ($type:ident as $name:literal, $layout:ident { $($field:ident),+ $(,)? }) => {
        impl Datum for $type {
            fn schema(names: &mut Names) -> Value {
                names.define($name, |names| {
                    let (doc, mut docs) = docs_of::<Self>();
                    let mut fields = Vec::new();
                    $(declare_like(|it: &Self| &it.$field, stringify!($field), docs.remove(stringify!($field)), names, &mut fields);)+
                    json!({"type": "record", "name": $name, "doc": doc, "fields": fields})
                })
            }

            fn write(&self, out: &mut Vec<u8>) {
                $(self.$field.write(out);)+
            }

            fn read(input: &mut Input<'_>) -> Result<Self, AvroError> {
                let mut fields = Fields { there: input.layout.$layout, read: 0 };
                // The fields of such an expression are evaluated as they stand here.
                Ok(Self { $($field: fields.next(input, stringify!($field))?),+ })
            }
        }
    };
}

record!(Check as "Check", check {
    site, url, config_hash, scheduled_at, started_at, finished_at, outcome, redirects, timings_us, group, status,
    body_matched, body_bytes, http_version, remote_addr, final_url, hops, further_failures, certificate_expires_at,
    certificate_subject, certificate_issuer, insecure, dns_code, queue_us, reference_answered, prober_fault, maintenance,
    confirmation, confirmed,
});
record!(Failure as "Failure", failure { kind, detail });
record!(HopReport as "Hop", hop { url, timings_us, status, remote_addr });
record!(Timings as "Timings", timings { total, dns, connect, tls, first_byte, body });
record!(GapFields as "Gap", gap { reason, first_seq, last_seq, from, to, sites });
record!(ProducerReport as "Producer", producer { state, at, site_count, config_hash, version });
record!(ClockStep as "ClockStep", clock_step { at, step_us });

/// Declares the field that `get` gives.
fn declare_like<S, T: Datum>(
    _get: fn(&S) -> &T,
    name: &str,
    doc: Option<Value>,
    names: &mut Names,
    fields: &mut Vec<Value>,
) {
    T::declare(name, doc, names, fields);
}

/// Goes over the fields of a record that is read.
struct Fields {
    /// How many of them the writer's schema has.
    there: usize,
    read: usize,
}

impl Fields {
    fn next<T: Datum>(&mut self, input: &mut Input<'_>, name: &str) -> Result<T, AvroError> {
        let is_there = self.read < self.there;
        self.read += T::WIDTH;
        if is_there {
            return T::read(input).map_err(|error| error.of(name));
        }
        T::absent().ok_or_else(|| AvroError::new("missing, and without a default").of(name))
    }
}

/// Enums whose variants have one word each.
macro_rules! symbols {
    ($($type:ident),+) => {$(
        impl Datum for $type {
            fn schema(names: &mut Names) -> Value {
                names.define(stringify!($type), |_| {
                    let symbols: Vec<&str> = Self::ALL.iter().map(|word| word.as_str()).collect();
                    json!({"type": "enum", "name": stringify!($type), "doc": docs_of::<Self>().0, "symbols": symbols})
                })
            }

            fn write(&self, out: &mut Vec<u8>) {
                put_long(out, *self as i64);
            }

            fn read(input: &mut Input<'_>) -> Result<Self, AvroError> {
                let number = input.long()?;
                let word = usize::try_from(number).ok().and_then(|number| Self::ALL.get(number));
                word.copied().ok_or_else(|| AvroError::new(format!("symbol {number} of {}", Self::ALL.len())))
            }
        }
    )+};
}
symbols!(FailureKind, GapReason, ProducerState);

/// Two fields, as in JSON: the word, and how it failed.
impl Datum for Outcome {
    const WIDTH: usize = 2;

    fn schema(names: &mut Names) -> Value {
        names.define("Outcome", |_| json!({"type": "enum", "name": "Outcome", "symbols": ["up", "down"]}))
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Up => out.extend_from_slice(&[0, 0]),
            Self::Down { failure } => {
                out.extend_from_slice(&[2, 2]);
                failure.write(out);
            }
        }
    }

    fn read(input: &mut Input<'_>) -> Result<Self, AvroError> {
        let word = input.long()?;
        match (word, Option::<Failure>::read(input).map_err(|error| error.of("failure"))?) {
            (0, None) => Ok(Self::Up),
            (1, Some(failure)) => Ok(Self::Down { failure }),
            (0, Some(_)) => Err(AvroError::new("up, and a failure")),
            (1, None) => Err(AvroError::new("down, and no failure")),
            _ => Err(AvroError::new(format!("symbol {word} of 2"))),
        }
    }

    fn declare(name: &str, _: Option<Value>, names: &mut Names, fields: &mut Vec<Value>) {
        fields
            .push(json!({"name": name, "type": Self::schema(names), "doc": "Whether all that was expected was met."}));
        let failure = Option::<Failure>::schema(names);
        fields
            .push(json!({"name": "failure", "type": failure, "doc": "How it failed; null when up.", "default": null}));
    }
}

impl Datum for Gap {
    fn schema(names: &mut Names) -> Value {
        GapFields::schema(names)
    }

    fn write(&self, out: &mut Vec<u8>) {
        GapFields::from(self.clone()).write(out);
    }

    fn read(input: &mut Input<'_>) -> Result<Self, AvroError> {
        Self::try_from(GapFields::read(input)?).map_err(AvroError::new)
    }
}

/// A union with a branch for each type of event.
impl Datum for Body {
    fn schema(names: &mut Names) -> Value {
        json!([Check::schema(names), Gap::schema(names), ProducerReport::schema(names), ClockStep::schema(names)])
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Check(check) => {
                put_long(out, 0);
                check.write(out);
            }
            Self::Gap(gap) => {
                put_long(out, 1);
                gap.write(out);
            }
            Self::Producer(report) => {
                put_long(out, 2);
                report.write(out);
            }
            Self::ClockStep(step) => {
                put_long(out, 3);
                step.write(out);
            }
        }
    }

    fn read(input: &mut Input<'_>) -> Result<Self, AvroError> {
        Ok(match input.long()? {
            0 => Self::Check(Box::new(Check::read(input)?)),
            1 => Self::Gap(Gap::read(input)?),
            2 => Self::Producer(ProducerReport::read(input)?),
            3 => Self::ClockStep(ClockStep::read(input)?),
            other => return Err(AvroError::new(format!("branch {other} of four"))),
        })
    }
}
