//! Messages of the topic as JSON, whichever format they have: Avro is read by the crate `apache-avro` and the schema that
//! the message names by its fingerprint, as anybody would who finds it in `shared/schema/released`.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value as Avro;
use serde_json::{Map, Value, json};

/// How a message in Avro's single-object encoding begins.
const MARKER: &[u8] = &[0xc3, 0x01];
const HEADER: usize = 10;

/// The message as JSON, if it is an event.
pub(crate) fn as_json(message: &[u8]) -> Option<Value> {
    if !is_avro(message) {
        return serde_json::from_slice(message).ok();
    }
    avro_prefix(message).filter(|(_, length)| *length == message.len()).map(|(event, _)| event)
}

/// Whether the message is Avro.
pub(crate) fn is_avro(message: &[u8]) -> bool {
    message.starts_with(MARKER)
}

/// The event in Avro that begins here, and its length, whatever follows.
pub(crate) fn avro_prefix(bytes: &[u8]) -> Option<(Value, usize)> {
    let schema = schema(bytes.get(MARKER.len()..HEADER).filter(|_| is_avro(bytes))?)?;
    let mut rest = &bytes[HEADER..];
    let value = GenericDatumReader::builder(schema).build().unwrap().read_value(&mut rest).ok()?;
    Some((event(value), bytes.len() - rest.len()))
}

/// The schema with this fingerprint, if any release has it.
fn schema(fingerprint: &[u8]) -> Option<&'static Schema> {
    static KNOWN: Mutex<Option<HashMap<Vec<u8>, Option<&'static Schema>>>> = Mutex::new(None);
    let read = || {
        let name: String = fingerprint.iter().map(|byte| format!("{byte:02x}")).collect();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/schema/released");
        let text = fs::read_to_string(folder.join(name + ".avsc")).ok()?;
        Some(&*Box::leak(Box::new(Schema::parse_str(&text).unwrap())))
    };
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    *known.get_or_insert_default().entry(fingerprint.to_owned()).or_insert_with(read)
}

/// Envelope and body beside each other, as in JSON.
fn event(datum: Avro) -> Value {
    let Avro::Record(fields) = datum else { panic!("an event is a record: {datum:?}") };
    let mut event = Map::new();
    for (name, value) in fields {
        match value {
            Avro::Union(branch, body) if name == "body" => {
                event.insert("type".into(), ["check", "gap", "producer", "clock_step"][branch as usize].into());
                event.extend(json(*body).as_object().unwrap().clone());
            }
            value => drop(event.insert(name, json(value))),
        }
    }
    event.into()
}

/// What is unknown is absent, as it is in JSON, and so are flags that are not set and lists of nothing.
fn json(value: Avro) -> Value {
    const ONLY_WHERE_SET: [&str; 4] = ["insecure", "maintenance", "hops", "further_failures"];
    match value {
        Avro::Record(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (name, json(value)));
            let is_told = |(name, value): &(String, Value)| {
                let is_unset = *value == json!(false) || *value == json!([]);
                !(value.is_null() || is_unset && ONLY_WHERE_SET.contains(&name.as_str()))
            };
            fields.filter(is_told).collect::<Map<_, _>>().into()
        }
        Avro::Union(_, value) => json(*value),
        Avro::Array(items) => items.into_iter().map(json).collect(),
        Avro::Enum(_, word) | Avro::String(word) => word.into(),
        Avro::Uuid(id) => id.to_string().into(),
        Avro::TimestampMicros(micros) => rfc3339(micros).into(),
        Avro::Int(number) => number.into(),
        Avro::Long(number) => number.into(),
        Avro::Boolean(flag) => flag.into(),
        Avro::Null => Value::Null,
        other => panic!("an event has no {other:?}"),
    }
}

/// Microseconds since 1970 with six decimals and a Z. Years begin in March here, so that the leap day comes last.
fn rfc3339(micros: i64) -> String {
    let (seconds, fraction) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    let (day, second) = (seconds.div_euclid(86_400) + 719_468, seconds.rem_euclid(86_400));
    let (era, day_of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let (date, month) = (day_of_year - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}.{fraction:06}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_everybody_writes_them() {
        assert_eq!(rfc3339(1), "1970-01-01T00:00:00.000001Z");
        assert_eq!(rfc3339(951_868_800_000_000), "2000-03-01T00:00:00.000000Z");
        assert_eq!(rfc3339(951_782_400_000_000), "2000-02-29T00:00:00.000000Z");
        assert_eq!(rfc3339(1_795_256_332_123_456), "2026-11-21T10:18:52.123456Z");
    }
}
