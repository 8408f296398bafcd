//! The Avro schema of the contract, generated from the same lists of fields that write and read; the copy in
//! `shared/schema/` is compared with it in a test.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::datum::Datum;
use crate::event::schema::object_schema;
use crate::event::{Body, Name};

/// Which named types a schema has defined so far: each is defined where it is met first.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeSet<&'static str>);

impl Names {
    /// The definition that `define` makes, or the name, where it was made before.
    pub(super) fn define(&mut self, name: &'static str, define: impl FnOnce(&mut Self) -> Value) -> Value {
        if self.0.insert(name) { define(self) } else { name.into() }
    }
}

/// The Avro schema of one event on the topic.
pub fn avro_schema() -> Value {
    let mut names = Names::default();
    let mut fields = Vec::new();
    let doc = |text: &str| Some(text.into());
    i32_field("v", "Schema version.", &mut fields);
    Uuid::declare("producer_id", doc("Who made the event: a UUID made once for each spool."), &mut names, &mut fields);
    let seq = "The event's number at its producer: contiguous from 1 over all types of event.";
    u64::declare("seq", doc(seq), &mut names, &mut fields);
    Name::declare("location", doc("Where the producer stands, as its operator named it."), &mut names, &mut fields);
    Body::declare("body", doc("What is said: the type of event, and its fields."), &mut names, &mut fields);
    json!({
        "type": "record",
        "name": "Event",
        "namespace": "isitup",
        "doc": "One message on isitup's Kafka topic, in single-object encoding. Its key is the site's name, for events that belong to no one site the producer_id. A message has at most 262144 bytes. maxLength (characters), maxBytes (of UTF-8) and maxItems of a field are limits of its texts and lists, which hold no control, direction or invisible characters; event.schema.json names them and the limits of numbers.",
        "fields": fields,
    })
}

fn i32_field(name: &str, doc: &str, fields: &mut Vec<Value>) {
    fields.push(json!({"name": name, "type": "int", "doc": doc}));
}

/// What the types say of themselves and of their fields, on one line each.
pub(super) fn docs_of<T: JsonSchema>() -> (Value, Map<String, Value>) {
    let schema = object_schema::<T>();
    let said = |of: &Value| of.get("description").and_then(Value::as_str).map(|text| text.replace('\n', " ").into());
    let fields = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let fields = fields.filter_map(|(name, field)| Some((name.clone(), said(field)?))).collect();
    (said(&schema.clone().into()).unwrap_or_default(), fields)
}
