//! The types of fields: how each is written, read and named in the schema.

use serde_json::{Value, json};
use uuid::Uuid;

use super::schema::Names;
use super::wire::{AvroError, Input};
use crate::event::{List, Text};
use crate::time::UtcTime;

/// A type of the contract as Avro has it.
pub(super) trait Datum: Sized {
    /// How many fields of its record it makes.
    const WIDTH: usize = 1;

    /// Its schema; of a named type that was defined before, the name.
    fn schema(names: &mut Names) -> Value;

    /// Appends it.
    fn write(&self, out: &mut Vec<u8>);

    /// Takes it from the input.
    fn read(input: &mut Input<'_>) -> Result<Self, AvroError>;

    /// What it is in a datum whose schema did not have the field yet; nothing where there is no such schema.
    fn absent() -> Option<Self> {
        None
    }

    /// The same in JSON, as the schema's default.
    fn default_json() -> Option<Value> {
        None
    }

    /// What the schema says of its size, beside its type. Avro leaves such properties out of the canonical form, so the
    /// fingerprint does not depend on them.
    fn limits() -> Vec<(&'static str, usize)> {
        Vec::new()
    }

    /// Adds the field, or the fields, to those of its record.
    fn declare(name: &str, doc: Option<Value>, names: &mut Names, fields: &mut Vec<Value>) {
        let mut field = json!({"name": name, "type": Self::schema(names)});
        if let Some(doc) = doc {
            field["doc"] = doc;
        }
        if let Some(default) = Self::default_json() {
            field["default"] = default;
        }
        for (limit, most) in Self::limits() {
            field[limit] = most.into();
        }
        fields.push(field);
    }
}

/// Appends a number: zigzag, seven bits a byte, the lowest first.
pub(super) fn put_long(out: &mut Vec<u8>, number: i64) {
    let mut bits = ((number << 1) ^ (number >> 63)) as u64;
    while bits >= 0x80 {
        out.push(bits as u8 | 0x80);
        bits >>= 7;
    }
    out.push(bits as u8);
}

/// Appends a text.
pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_long(out, text.len() as i64);
    out.extend_from_slice(text.as_bytes());
}

impl Datum for i64 {
    fn schema(_: &mut Names) -> Value {
        "long".into()
    }

    fn write(&self, out: &mut Vec<u8>) {
        put_long(out, *self);
    }

    fn read(input: &mut Input<'_>) -> Result<Self, AvroError> {
        input.long()
    }
}

/// Numbers that are not negative, in a signed type of Avro's. What is beyond it becomes its highest number: no count or
/// time in microseconds comes near, and the consumer refuses it as out of range in either format.
macro_rules! unsigned {
    ($($number:ty as $name:literal),+) => {$(
        impl Datum for $number {
            fn schema(_: &mut Names) -> Value {
                $name.into()
            }

            fn write(&self, out: &mut Vec<u8>) {
                put_long(out, i64::try_from(*self).unwrap_or(i64::MAX));
            }

            fn read(input: &mut Input<'_>) -> Result<Self, AvroError> {
                let number = input.long()?;
                Self::try_from(number).map_err(|_| AvroError::new(format!("{number} is out of range")))
            }
        }
    )+};
}
unsigned!(u16 as "int", u32 as "long", u64 as "long");

impl Datum for bool {
    fn schema(_: &mut Names) -> Value {
        "boolean".into()
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn read(input: &mut Input<'_>) -> Result<Self, AvroError> {
        match input.take(1)? {
            [0] => Ok(false),
            [1] => Ok(true),
            other => Err(AvroError::new(format!("{other:?} is neither true nor false"))),
        }
    }

    fn absent() -> Option<Self> {
        Some(false)
    }

    fn default_json() -> Option<Value> {
        Some(false.into())
    }
}

impl<const CHARS: usize, const BYTES: usize> Datum for Text<CHARS, BYTES> {
    fn limits() -> Vec<(&'static str, usize)> {
        vec![("maxLength", CHARS), ("maxBytes", BYTES)]
    }

    fn schema(_: &mut Names) -> Value {
        "string".into()
    }

    fn write(&self, out: &mut Vec<u8>) {
        put_text(out, self);
    }

    fn read(input: &mut Input<'_>) -> Result<Self, AvroError> {
        let length = input.length()?;
        let text = std::str::from_utf8(input.take(length)?);
        let text = text.map_err(|error| AvroError::new(format!("not UTF-8: {error}")))?;
        Self::strict(text).map_err(|error| AvroError::new(error.to_string()))
    }
}

impl Datum for UtcTime {
    fn schema(_: &mut Names) -> Value {
        json!({"type": "long", "logicalType": "timestamp-micros"})
    }

    fn write(&self, out: &mut Vec<u8>) {
        put_long(out, self.as_micros());
    }

    fn read(input: &mut Input<'_>) -> Result<Self, AvroError> {
        let micros = input.long()?;
        let time = Self::from_micros(micros);
        let is_exact = time.as_micros() == micros;
        is_exact.then_some(time).ok_or_else(|| AvroError::new(format!("{micros} us is no time")))
    }
}

impl Datum for Uuid {
    fn schema(names: &mut Names) -> Value {
        names.define("Uuid", |_| json!({"type": "fixed", "name": "Uuid", "size": 16, "logicalType": "uuid"}))
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }

    fn read(input: &mut Input<'_>) -> Result<Self, AvroError> {
        Self::from_slice(input.take(16)?).map_err(|error| AvroError::new(error.to_string()))
    }
}

/// What may be unknown: null or a value, null where the schema did not have it yet.
impl<T: Datum> Datum for Option<T> {
    fn limits() -> Vec<(&'static str, usize)> {
        T::limits()
    }

    fn schema(names: &mut Names) -> Value {
        json!(["null", T::schema(names)])
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(if self.is_some() { 2 } else { 0 });
        if let Some(value) = self {
            value.write(out);
        }
    }

    fn read(input: &mut Input<'_>) -> Result<Self, AvroError> {
        match input.long()? {
            0 => Ok(None),
            1 => T::read(input).map(Some),
            other => Err(AvroError::new(format!("branch {other} of two"))),
        }
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn default_json() -> Option<Value> {
        Some(Value::Null)
    }
}

/// One block where there is something, then the end. Others may write several, also with their sizes.
impl<T: Datum, const MAX: usize> Datum for List<T, MAX> {
    fn limits() -> Vec<(&'static str, usize)> {
        [vec![("maxItems", MAX)], T::limits()].concat()
    }

    fn schema(names: &mut Names) -> Value {
        json!({"type": "array", "items": T::schema(names)})
    }

    fn write(&self, out: &mut Vec<u8>) {
        if !self.is_empty() {
            put_long(out, self.len() as i64);
            self.iter().for_each(|item| item.write(out));
        }
        out.push(0);
    }

    fn read(input: &mut Input<'_>) -> Result<Self, AvroError> {
        let mut items = Self::default();
        loop {
            let count = input.long()?;
            if count == 0 {
                return Ok(items);
            }
            if count < 0 {
                input.length()?;
            }
            // A count that lies ends with the input, or where the list is full.
            for _ in 0..count.unsigned_abs() {
                items.push(T::read(input)?).map_err(|error| AvroError::new(error.to_string()))?;
            }
        }
    }

    fn absent() -> Option<Self> {
        Some(Self::default())
    }

    fn default_json() -> Option<Value> {
        Some(json!([]))
    }
}
