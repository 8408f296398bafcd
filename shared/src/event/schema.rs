//! The JSON Schema of the contract, generated from the types; the copy in `shared/schema/` is compared with it in a test.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{Check, ClockStep, Envelope, Gap, ProducerReport, SCHEMA_VERSION};

/// The JSON Schema (draft 2020-12) of one event on the topic.
pub fn json_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "isitup event",
        "description": "One message on isitup's Kafka topic. Its key is the site's name, for events that belong to no one site the producer_id. A message has at most 262144 bytes.",
        "oneOf": [
            event::<Check>("check", "The result of one check of one site."),
            event::<Gap>("gap", "Something that was not checked or not kept, and why."),
            event::<ProducerReport>("producer", "The producer's word about itself."),
            event::<ClockStep>("clock_step", "The producer's wall clock jumped."),
        ],
    })
}

/// The schema of an event whose body is `B`: the envelope's fields and the body's, flat beside each other.
fn event<B: JsonSchema>(type_name: &str, description: &str) -> Value {
    let mut schema = object_schema::<B>();
    let envelope = object_schema::<Envelope>();
    let mut properties = envelope.get("properties").cloned().unwrap_or_default();
    let mut required = envelope.get("required").cloned().unwrap_or_default();
    properties["v"] = json!({"description": "Schema version.", "const": SCHEMA_VERSION});
    properties["type"] = json!({"const": type_name});
    if let (Some(all), Some(own)) = (properties.as_object_mut(), schema.get("properties").and_then(Value::as_object)) {
        all.extend(own.clone());
    }
    if let Some(all) = required.as_array_mut() {
        all.push("type".into());
        all.extend(schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default());
    }
    schema.insert("title".into(), type_name.into());
    schema.insert("description".into(), description.into());
    schema.insert("properties".into(), properties);
    schema.insert("required".into(), required);
    schema.into()
}

/// The schema of `T` alone, with all that it refers to in place.
pub(super) fn object_schema<T: JsonSchema>() -> Map<String, Value> {
    let generator = SchemaSettings::draft2020_12()
        .with(|settings| {
            settings.inline_subschemas = true;
            settings.meta_schema = None;
        })
        .into_generator();
    generator.into_root_schema_for::<T>().to_value().as_object().cloned().unwrap_or_default()
}
