//! The schema in the repository: that of the types, well laid out, and known by its fingerprint.

use std::path::PathBuf;
use std::{env, fs};

use apache_avro::Schema;
use isitup_shared::event::{AVRO_LAYOUTS, Layout, avro_schema};
use serde_json::{Value, json};

/// Where the schemas are.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schema")
}

/// Keys in the order in which people write them.
const KEYS: &[&str] = &[
    "type",
    "name",
    "namespace",
    "logicalType",
    "size",
    "default",
    "doc",
    "symbols",
    "items",
    "fields",
    "maxLength",
    "maxBytes",
    "maxItems",
];

/// The schema as text: a field a line, unless it defines a type.
fn pretty(value: &Value, indent: usize) -> String {
    let (entries, open, close): (Vec<String>, _, _) = match value {
        Value::Object(map) => {
            let is_type =
                ["fields", "symbols", "size", "items", "logicalType"].iter().any(|key| map.contains_key(*key));
            let place = |key: &str| KEYS.iter().position(|known| *known == key).unwrap_or_else(|| panic!("{key}"));
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_by_key(|key| if !is_type && *key == "name" { 0 } else { place(key) + 1 });
            let entry = |key: &String| format!("{}: {}", json!(key), pretty(&map[key], indent + 2));
            (keys.into_iter().map(entry).collect(), '{', '}')
        }
        Value::Array(items) => (items.iter().map(|item| pretty(item, indent + 2)).collect(), '[', ']'),
        other => return other.to_string(),
    };
    let is_long = |entry: &String| entry.contains('\n') || entry.starts_with("{\"name\"");
    if entries.iter().any(is_long) || value.get("symbols").is_some() {
        let (pad, end) = (" ".repeat(indent + 2), " ".repeat(indent));
        return format!("{open}\n{pad}{}\n{end}{close}", entries.join(&format!(",\n{pad}")));
    }
    format!("{open}{}{close}", entries.join(", "))
}

/// The parsing canonical form by the specification. That of apache-avro 0.22 keeps `{"type":"long"}` where a logical type
/// was taken out, unlike Java's, which everybody else follows.
pub(crate) fn canonical(schema: &Value) -> String {
    match schema {
        Value::String(name) => {
            let is_primitive = ["null", "boolean", "int", "long", "string"].contains(&name.as_str());
            if is_primitive { format!("{name:?}") } else { format!("\"isitup.{name}\"") }
        }
        Value::Array(branches) => format!("[{}]", branches.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Object(map) => {
            let of = |key: &str| map[key].as_str().unwrap();
            let name = || format!("\"name\":\"isitup.{}\",\"type\":{:?}", of("name"), of("type"));
            let field =
                |field: &Value| format!("{{\"name\":{},\"type\":{}}}", field["name"], canonical(&field["type"]));
            match of("type") {
                "record" => {
                    let fields: Vec<String> = map["fields"].as_array().unwrap().iter().map(field).collect();
                    format!("{{{},\"fields\":[{}]}}", name(), fields.join(","))
                }
                "enum" => format!("{{{},\"symbols\":{}}}", name(), map["symbols"]),
                "fixed" => format!("{{{},\"size\":{}}}", name(), map["size"]),
                "array" => format!("{{\"type\":\"array\",\"items\":{}}}", canonical(&map["items"])),
                primitive => format!("{primitive:?}"),
            }
        }
        other => panic!("no schema: {other}"),
    }
}

/// The CRC-64-AVRO, bit by bit.
pub(crate) fn rabin(text: &str) -> u64 {
    const EMPTY: u64 = 0xc15d_213a_a4d7_a795;
    let shifted = |fingerprint: u64| (fingerprint >> 1) ^ (EMPTY & (fingerprint & 1).wrapping_neg());
    text.bytes().fold(EMPTY, |fingerprint, byte| {
        let entry = (0..8).fold((fingerprint ^ u64::from(byte)) & 0xff, |entry, _| shifted(entry));
        (fingerprint >> 8) ^ entry
    })
}

/// The layout that `schema` has.
pub(crate) fn layout_of(schema: &Value) -> Layout {
    let count = |name: &str| record(schema, name).map_or(0, Vec::len);
    Layout {
        fingerprint: rabin(&canonical(schema)),
        check: count("Check"),
        hop: count("Hop"),
        failure: count("Failure"),
        timings: count("Timings"),
        gap: count("Gap"),
        producer: count("Producer"),
        clock_step: count("ClockStep"),
    }
}

/// The fields of the record `name` in `schema`.
pub(crate) fn record<'a>(schema: &'a Value, name: &str) -> Option<&'a Vec<Value>> {
    match schema {
        Value::Object(map) if map.get("name").is_some_and(|own| own == name) && map.contains_key("fields") => {
            map["fields"].as_array()
        }
        Value::Object(map) => map.values().find_map(|inner| record(inner, name)),
        Value::Array(items) => items.iter().find_map(|item| record(item, name)),
        _ => None,
    }
}

#[test]
fn the_schema_in_the_repository_is_that_of_the_types() {
    let (file, generated) = (folder().join("event.avsc"), pretty(&avro_schema(), 0) + "\n");
    assert_eq!(serde_json::from_str::<Value>(&generated).unwrap(), avro_schema());
    if env::var_os("UPDATE_SCHEMA").is_some() {
        fs::write(&file, &generated).unwrap();
    }
    let kept = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        kept == generated,
        "{} is not what the types say; run with UPDATE_SCHEMA=1 and review the change",
        file.display()
    );
    Schema::parse(&avro_schema()).unwrap();
}

#[test]
fn the_fingerprint_is_that_of_the_specification() {
    // From the Avro project's own table of test cases, share/test/data/schema-tests.txt.
    for (schema, fingerprint) in [
        ("\"null\"", 7_195_948_357_588_979_594_i64),
        ("\"boolean\"", -6_970_731_678_124_411_036),
        ("\"int\"", 8_247_732_601_305_521_295),
        ("\"string\"", -8_142_146_995_180_207_161),
    ] {
        assert_eq!(rabin(schema) as i64, fingerprint, "{schema}");
    }
    let crates = Schema::parse(&avro_schema()).unwrap().canonical_form();
    assert_eq!(
        crates.replace(r#"{"type":"long"}"#, r#""long""#),
        canonical(&avro_schema()),
        "but for what is said above"
    );
    let written = layout_of(&avro_schema());
    let known = AVRO_LAYOUTS.last().unwrap();
    assert_eq!(*known, written, "the fingerprint of the schema that is written is {:#018x}", written.fingerprint);
}
