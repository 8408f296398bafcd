//! Schemas of other releases: earlier ones are read, later ones refused whole.

use std::fs;

use apache_avro::Schema;
use apache_avro::schema_compatibility::SchemaCompatibility;
use isitup_shared::config::Format;
use isitup_shared::event::{AVRO_LAYOUTS, AVRO_MARKER, Body, avro_schema, decode, decode_avro_datum, fingerprint_text};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::events::{any_event, sealed};
use super::reference::Reference;
use super::schema::{canonical, folder, layout_of, rabin, record};
use super::{HEADER, a_check, written};

const RECORDS: [&str; 7] = ["Check", "Hop", "Failure", "Timings", "Gap", "Producer", "ClockStep"];

/// The fields of the record `name`, to be changed.
fn fields_of<'a>(schema: &'a mut Value, name: &str) -> Option<&'a mut Vec<Value>> {
    if schema.get("fields").is_some() && schema["name"] == name {
        return schema["fields"].as_array_mut();
    }
    match schema {
        Value::Object(map) => map.values_mut().find_map(|inner| fields_of(inner, name)),
        Value::Array(items) => items.iter_mut().find_map(|item| fields_of(item, name)),
        _ => None,
    }
}

/// The schema as it was before its records got their last fields: `share` of those that have a default.
fn earlier_schema(share: f64) -> Value {
    let mut schema = avro_schema();
    for name in RECORDS {
        // Hops may be gone with the field that has them.
        let Some(fields) = fields_of(&mut schema, name) else { continue };
        let optional = fields.iter().rev().take_while(|field| field.get("default").is_some()).count();
        // A gap's numbers and times go together: there was never a schema without them.
        let most = if name == "Gap" { 1 } else { optional };
        let cut = ((most as f64 * share) as usize).min(optional);
        let kept = fields.len() - cut;
        fields.truncate(kept);
    }
    schema
}

/// A message in another schema.
fn framed_in(schema: &Value, datum: &[u8]) -> Vec<u8> {
    [&AVRO_MARKER[..], &rabin(&canonical(schema)).to_le_bytes(), datum].concat()
}

#[test]
fn every_released_schema_is_known_and_is_the_beginning_of_the_present_one() {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder().join("released")).unwrap() {
        let path = entry.unwrap().path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|name| name.ends_with(".avsc")) else {
            continue;
        };
        let released: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let layout = layout_of(&released);
        assert_eq!(name, fingerprint_text(layout.fingerprint) + ".avsc", "a schema is found by its fingerprint");
        assert!(AVRO_LAYOUTS.contains(&layout), "{name} is not among AVRO_LAYOUTS: {layout:?}");
        for record_name in RECORDS {
            let (then, now) =
                (record(&released, record_name).unwrap(), record(&avro_schema(), record_name).unwrap().clone());
            let names = |fields: &[Value]| fields.iter().map(|field| field["name"].clone()).collect::<Vec<_>>();
            assert!(names(&now).starts_with(&names(then)), "{name}: fields of {record_name} were moved or taken out");
        }
        SchemaCompatibility::can_read(&Schema::parse(&released).unwrap(), &written()).unwrap();
        found.push(layout);
    }
    let missing: Vec<_> = AVRO_LAYOUTS.iter().filter(|layout| !found.contains(layout)).collect();
    assert!(missing.is_empty(), "shared/schema/released has no copy of {missing:?}");
}

#[test]
fn fields_that_may_come_later_are_many_so_that_the_tests_here_mean_something() {
    let (now, then) = (layout_of(&avro_schema()), layout_of(&earlier_schema(1.0)));
    assert!(then.check + 15 <= now.check && then.timings < now.timings && then.gap < now.gap, "{then:?}");
    assert_ne!(now.fingerprint, then.fingerprint);
}

#[test]
fn a_later_schema_is_refused_whole_with_its_fingerprint() {
    let mut later = avro_schema();
    let more = json!({"name": "more", "type": ["null", "string"], "default": null});
    fields_of(&mut later, "Check").unwrap().push(more);
    let writer = Reference::of(Schema::parse(&later).unwrap());
    let datum = writer.write(&writer.value(&a_check()));
    let message = framed_in(&later, &datum);
    let known = AVRO_LAYOUTS.iter().map(|layout| fingerprint_text(layout.fingerprint)).collect::<Vec<_>>().join(", ");
    let expected =
        format!("unknown Avro schema {}; this release reads {known}", fingerprint_text(rabin(&canonical(&later))));
    assert_eq!(decode(&message).unwrap_err().to_string(), expected);
}

#[test]
fn a_datum_that_lacks_what_has_no_default_is_refused() {
    let mut layout = *AVRO_LAYOUTS.last().unwrap();
    layout.check = 2;
    let message = sealed(&a_check(), Format::Avro);
    let reason = decode_avro_datum(&message[HEADER..], &layout).unwrap_err().to_string();
    assert_eq!(reason, "not an event: Avro: body.config_hash: missing, and without a default");
}

proptest! {
    /// Written by apache-avro in an earlier schema, read by us and by apache-avro's own resolution in the present one.
    #[test]
    fn an_event_of_an_earlier_schema_is_read_as_avros_rules_of_resolution_read_it(event in any_event(), share in 0.0..=1.0) {
        let earlier = earlier_schema(share);
        let (then, now) = (Reference::of(Schema::parse(&earlier).unwrap()), Reference::of(written()));
        let datum = then.write(&then.value(&event));
        let read = decode_avro_datum(&datum, &layout_of(&earlier)).unwrap();
        prop_assert_eq!(now.value(&read), then.read_as(&written(), &datum));
        prop_assert_eq!(&read.envelope, &event.envelope);
        if let (Body::Check(read), Body::Check(event)) = (read.body, event.body) {
            prop_assert_eq!((read.site, read.outcome, read.scheduled_at), (event.site, event.outcome, event.scheduled_at));
        }
    }
}
