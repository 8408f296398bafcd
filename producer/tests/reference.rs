//! README's reference of the configuration, held against what the services really read: each key, its default, and for
//! which sites it is. The keys are found by asking: a mapping that is read names all its keys when it meets an unknown one.

#![allow(clippy::unwrap_used, reason = "a helper that cannot do its work fails the test that called it")]

#[path = "reference/examples.rs"]
mod examples;
#[path = "reference/readme.rs"]
mod readme;
#[path = "reference/services.rs"]
mod services;

use std::collections::{BTreeMap, BTreeSet};

use examples::EXAMPLES;
use readme::{Default, Row, example, service_rows, site_rows};
use serde_json::{Value, json};
use services::{Services, set};

/// Each kind of site, and a URL of one.
const KINDS: [(&str, &str); 4] = [
    ("http", "https://example.com"),
    ("tcp", "tcp://example.com:25"),
    ("tls", "tls://example.com:465"),
    ("dns", "dns://192.0.2.53/example.com"),
];

/// A configuration that is well, with a site of each kind.
fn base() -> Value {
    let sites: Vec<Value> = KINDS.iter().map(|(_, url)| json!({ "url": url })).collect();
    json!({
        "kafka": { "brokers": ["k:9092"] },
        "postgres": { "url": "postgres://u@h/d" },
        "domains": sites,
    })
}

/// The client that knows TLS and SASL.
fn with_librdkafka(config: Value) -> Value {
    set(set(config, "kafka.client", json!("librdkafka")), "kafka.tls", json!({}))
}

/// Keys, and whether each is a secret: one that can stand in a file or a variable too.
type Keys = BTreeMap<String, bool>;

/// Makes one secret of a key, its `_file`, its `_env` and its `_command`.
fn with_secrets(keys: BTreeSet<String>) -> Keys {
    let ends = ["_file", "_env", "_command"];
    let is_secret = |key: &str| ends.iter().all(|end| keys.contains(&format!("{key}{end}")));
    let is_way = |key: &str| ends.iter().any(|end| key.strip_suffix(end).is_some_and(is_secret));
    keys.iter().filter(|key| !is_way(key)).map(|key| (key.clone(), is_secret(key))).collect()
}

fn written(rows: &[Row]) -> Keys {
    let keys: Vec<(String, bool)> = rows.iter().map(|row| (row.key.clone(), row.is_secret)).collect();
    let count = keys.len();
    let keys = Keys::from_iter(keys);
    assert_eq!(keys.len(), count, "a key stands in two rows");
    keys
}

#[test]
fn each_key_of_the_services_stands_in_the_readme_and_each_in_the_readme_is_read() {
    let mut asked = Services::new().keys_below("", &with_librdkafka(base()));
    for of_sites in ["defaults.", "domains[]."] {
        asked.retain(|key| !key.starts_with(of_sites));
    }
    asked.extend(["defaults".to_owned(), "domains".to_owned(), "domains_file".to_owned()]);
    assert_eq!(written(&service_rows()), with_secrets(asked));
}

#[test]
fn each_key_of_a_site_stands_in_the_readme_with_the_kinds_of_sites_that_have_it() {
    let services = Services::new();
    for (kind, url) in KINDS {
        let mut config = base();
        config["domains"] = json!([{ "url": url }]);
        let mut asked = services.keys_below("domains[].", &config);
        if asked.iter().any(|key| key.starts_with("maintenance[]")) {
            asked.insert("maintenance".into());
        }
        let rows: Vec<Row> = site_rows().into_iter().filter(|row| row.kinds.contains(kind)).collect();
        assert_eq!(written(&rows), with_secrets(asked), "{kind}");
    }
}

#[test]
fn whatever_a_site_may_say_stands_in_the_defaults_and_in_a_group_too() {
    let services = Services::new();
    let mut config = base();
    config["groups"] = json!({ "g": {} });
    let mut of_sites: BTreeSet<String> = BTreeSet::new();
    for (_, url) in KINDS {
        config["domains"] = json!([{ "url": url }]);
        of_sites.extend(services.keys_below("domains[].", &config));
    }
    of_sites.retain(|key| !["url", "name"].contains(&key.as_str()));
    assert_eq!(services.keys_below("defaults.", &config), of_sites);
    assert_eq!(services.keys_below("groups.g.", &config), of_sites);
}

/// Where a key of a table stands in a whole configuration.
fn places() -> Vec<(String, Row)> {
    let in_defaults = |row: Row| match row.key.as_str() {
        "url" | "name" => (format!("domains[].{}", row.key), row),
        _ => (format!("defaults.{}", row.key), row),
    };
    let services = service_rows().into_iter().map(|row| (row.key.clone(), row));
    services.chain(site_rows().into_iter().map(in_defaults)).collect()
}

/// What a list needs to have an item at all: else a key of its items could not be left out.
fn with_item(path: &str) -> Value {
    let mut config = base();
    if path.contains("maintenance[]") {
        let window = if path.ends_with("from") || path.ends_with("to") {
            json!([{ "from": "2026-12-01T22:00:00Z", "to": "2026-12-02T22:00:00Z" }])
        } else {
            json!([{ "weekly": "Sun 02:00-04:00" }])
        };
        config["defaults"] = json!({ "maintenance": window });
    }
    if path.starts_with("kafka.tls") || path.starts_with("kafka.sasl") {
        config = with_librdkafka(config);
    }
    if path.starts_with("kafka.sasl") {
        config["kafka"]["sasl"] = json!({ "mechanism": "PLAIN", "username": "u", "password": "p" });
    }
    if path.starts_with("domains_file[]") {
        config["domains_file"] = json!([{ "path": "sites.txt" }]);
    }
    config
}

#[test]
fn each_default_in_the_readme_is_what_holds_where_nothing_is_said() {
    let services = Services::new();
    for (path, row) in places() {
        let config = with_item(&path);
        match &row.default {
            Default::Literal(_) | Default::Url => {
                let literal = if let Default::Literal(literal) = &row.default { literal } else { KINDS[0].1 };
                let unsaid = services.read(&config).unwrap();
                let said = services.read_with(&config, &[(&path, literal)]);
                assert_eq!(said.as_ref(), Ok(&unsaid), "{path}: {literal}");
            }
            Default::Required => {
                let missing = services.read(&set(config, &path, Value::Null)).unwrap_err();
                let told = format!("{}: missing", path.replace("[]", "[0]"));
                assert!(missing.iter().any(|problem| problem.contains(&told)), "{path}: {missing:?}");
            }
            Default::Words => {}
        }
    }
}

#[test]
fn each_key_in_the_readme_takes_a_value_that_is_not_its_default() {
    let services = Services::new();
    let mut rows: BTreeMap<String, String> = places().into_iter().map(|(path, row)| (row.key, path)).collect();
    for examples in EXAMPLES {
        let paths: Vec<String> = examples.iter().map(|(key, _)| rows[*key].clone()).collect();
        let said: Vec<(&str, &str)> = paths.iter().zip(*examples).map(|(path, (_, value))| (&**path, *value)).collect();
        let unsaid = services.read(&base()).unwrap();
        let said = services.read_with(&base(), &said).unwrap_or_else(|problems| panic!("{examples:?}: {problems:?}"));
        assert_ne!(said, unsaid, "{examples:?} changes nothing");
    }
    rows.retain(|key, _| !EXAMPLES.iter().any(|e| e.iter().any(|(known, _)| known == key)));
    assert!(rows.is_empty(), "without an example: {:?}", rows.keys());
}

#[test]
fn the_example_in_the_readme_is_well() {
    let services = Services::new();
    let read = services.read_text(&example());
    assert!(read.is_ok(), "{read:?}");
}
