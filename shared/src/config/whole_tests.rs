//! One file, one answer: what both services say of it, and what neither shows.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::layers::load_with;
use super::{Problems, Service, Whole};

const CONSUMER: Service = Service::Consumer { needs_postgres: true };

/// What `service` says of `yaml`, with `variables` over it, in a folder that has no other file.
fn read(folder: &Path, yaml: &str, variables: &[(&str, &str)], service: Service) -> Result<Whole, Problems> {
    let path = folder.join("config.yml");
    fs::write(&path, yaml).unwrap();
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    load_with(Some(&path), variables).and_then(|root| Whole::read(root, Some(&path), service))
}

/// What both say of it, which must be the same.
fn both(yaml: &str, variables: &[(&str, &str)]) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let bare = |problems: Problems| problems.to_string().replace(&format!("{}/", folder.path().display()), "");
    let [producer, consumer] = [Service::Producer, CONSUMER]
        .map(|service| read(folder.path(), yaml, variables, service).map(drop).map_err(bare));
    assert_eq!(producer, consumer, "{yaml}");
    producer
}

fn base() -> Value {
    json!({
        "kafka": kafka(),
        "postgres": {"url": "postgres://u@h/d"},
        "domains": [{"url": "https://example.com"}],
    })
}

/// By librdkafka, where it is built in, as only that has keys for TLS and SASL.
fn kafka() -> Value {
    if cfg!(feature = "librdkafka") {
        json!({"brokers": ["k:9092"], "client": "librdkafka", "tls": {}})
    } else {
        json!({"brokers": ["k:9092"]})
    }
}

/// `config` with `value` at `path`, such as `domains.0.url`.
fn set(mut config: Value, path: &str, value: Value) -> Value {
    let mut place = &mut config;
    for part in path.split('.') {
        if !place.is_object() && !place.is_array() {
            *place = json!({});
        }
        place = match part.parse::<usize>() {
            Ok(index) => {
                if !place.is_array() {
                    *place = json!([null]);
                }
                &mut place[index]
            }
            Err(_) => &mut place[part],
        };
    }
    *place = value;
    config
}

/// The keys that are known in the mapping at `path`.
fn keys_at(path: &str) -> Vec<String> {
    let unknown = if path.is_empty() { "zzz".to_owned() } else { format!("{path}.zzz") };
    let told = both(&set(base(), &unknown, json!("x")).to_string(), &[]).unwrap_err();
    let list = told.lines().find_map(|line| line.split_once("zzz: unknown key; allowed here: ")).map(|(_, list)| list);
    list.unwrap_or_default().split(", ").filter(|key| !key.is_empty()).map(str::to_owned).collect()
}

#[test]
fn both_services_refuse_a_wrong_value_wherever_it_stands() {
    for (path, value) in [
        ("log.level", json!("loud")),
        ("kafka.topic", json!("a b")),
        ("postgres.schema", json!("No")),
        ("postgres.url", json!("postgres://u@h/d?pgbouncer=true")),
        ("postgres.url", json!("mysql://h/d")),
        ("postgres.tls.mode", json!("prefer")),
        ("postgres.tls.cert_file", json!("a.pem")),
        ("postgres.colour", json!("red")),
        ("producer.workers", json!("many")),
        ("producer.location", json!("x".repeat(257))),
        ("consumer.retention", json!("1h")),
        ("defaults.max_body_size", json!("plenty")),
        ("defaults.proxy", json!("ftp://p")),
        ("defaults.tls.cert_file", json!("a.pem")),
        ("groups.web.timeout", json!("0s")),
        ("domains.0.expect.body", json!("(")),
        ("domains.0.headers", json!({"Connection": "close"})),
        ("domains.0.basic_auth", json!("u:p")),
        ("domains.0.maintenance", json!(["sometimes"])),
        ("domains.0.url", json!("ftp://example.com")),
        ("domains.1", json!("8080")),
        ("domains.1", json!("https://example.com")),
        ("domains.0.resolver", json!("ns.example.com")),
        ("colour", json!("red")),
    ] {
        let mut config = base();
        config["domains"] = json!([{"url": "https://example.com"}, "https://a.test"]);
        let told = both(&set(config, path, value.clone()).to_string(), &[]);
        assert!(told.is_err(), "{path}: {value} is taken");
    }
    let contradiction = json!({"url": "a.test", "proxy_file": "none", "resolver": "192.0.2.1", "basic_auth": {}});
    let folder = tempfile::tempdir().unwrap();
    let yaml = set(base(), "domains.0", contradiction).to_string();
    let told = read(folder.path(), &yaml, &[], CONSUMER).unwrap_err().to_string();
    assert!(told.contains("domains[0].basic_auth.username: missing"), "{told}");
}

#[test]
fn each_service_leaves_the_files_and_secrets_of_the_other_alone() {
    let folder = tempfile::tempdir().unwrap();
    let postgres = json!({
        "url": "postgres://u@h/d", "password_command": "touch ran; exit 1",
        "tls": {"ca_file": "none.pem", "cert_file": "none.pem", "key_file": "none.pem"},
    });
    read(folder.path(), &set(base(), "postgres", postgres.clone()).to_string(), &[], Service::Producer).unwrap();
    assert!(!folder.path().join("ran").exists());
    assert!(read(folder.path(), &set(base(), "postgres", postgres).to_string(), &[], CONSUMER).is_err());
    fs::remove_file(folder.path().join("ran")).unwrap();
    let sites = json!([
        {"url": "a.test", "bearer_token_file": "none"},
        {"url": "b.test", "body_env": "TEST_HAS_NO_SUCH"},
        {"url": "c.test", "proxy_command": "touch ran; exit 1", "no_proxy": ["d.test"]},
        {"url": "e.test", "tls": {"ca_file": "none.pem", "cert_file": "none.pem", "key_file": "none.pem"}},
        {"url": "f.test", "basic_auth": {"username": "u", "password_file": "none"}},
    ]);
    let config = set(set(base(), "domains", sites), "domains_file", json!(["none.txt", "none*.txt"])).to_string();
    read(folder.path(), &config, &[], CONSUMER).unwrap();
    assert!(!folder.path().join("ran").exists());
    assert!(read(folder.path(), &config, &[], Service::Producer).is_err());
    // A list of sites that is there is checked by both.
    fs::write(folder.path().join("there.txt"), "https://a.test\n8080\n").unwrap();
    let config = set(base(), "domains_file", json!("there.txt")).to_string();
    let told = read(folder.path(), &config, &[], CONSUMER).unwrap_err();
    assert_eq!(told.to_string(), read(folder.path(), &config, &[], Service::Producer).unwrap_err().to_string());
    assert!(told.to_string().contains("there.txt:2: "), "{told}");
}

#[test]
fn what_is_missing_is_told_by_the_service_that_needs_it() {
    let folder = tempfile::tempdir().unwrap();
    let told = |yaml: &str, service| read(folder.path(), yaml, &[], service).map(drop).map_err(|told| told.to_string());
    let no_sites = "kafka: {brokers: ['k:1']}\npostgres: {url: postgres://u@h/d}\n";
    assert_eq!(told(no_sites, CONSUMER), Ok(()));
    assert!(told(no_sites, Service::Producer).unwrap_err().contains("no site to check"));
    let no_database = "kafka: {brokers: ['k:1']}\npostgres: {schema: a}\ndomains: [a.test]\n";
    assert_eq!(told(no_database, Service::Producer), Ok(()));
    assert!(told(no_database, CONSUMER).unwrap_err().contains("postgres.url: missing"));
}

/// Texts that may be a password, in the place of any value.
fn secrets() -> Vec<Value> {
    vec![
        json!("hunter2"),
        json!("isitup:hunter2"),
        json!("https://admin:hunter2@example.com:x"),
        json!("https://admin:hun/ter2:hunter2@example.com"),
        json!("https://example.com/?token=hunter2 x"),
        json!("postgres://u:p?hunter2@h/d"),
        json!("postgres://u:p&hunter2=1@h/d?hunter2=1"),
        json!("postgres://u@h:hunter2/d"),
        json!("Authorization: Bearer hunter2\n"),
        json!("/hunter2"),
        json!("no/such/hunter2"),
        json!(["hunter2"]),
        json!(["isitup:hunter2", "hunter2\u{0}"]),
        json!([["hunter2"]]),
        json!({"hunter2": "x"}),
        json!({"https://admin:hunter2@example.com": {"interval": "10s"}}),
        json!([{"https://admin:hunter2@example.com": {"interval": "10s"}}]),
        json!([{"url": "https://admin:hunter2@", "name": "isitup:hunter2\n"}]),
        json!({"a": {"isitup:hunter2": ["isitup:hunter2"]}}),
    ]
}

#[test]
fn no_message_shows_a_text_that_stands_in_the_place_of_any_value() {
    let folder = tempfile::tempdir().unwrap();
    let (mut paths, mut sections) = (Vec::new(), vec![String::new()]);
    while let Some(section) = sections.pop() {
        for key in keys_at(&section) {
            let path = if section.is_empty() { key } else { format!("{section}.{key}") };
            if matches!(&*path, "log" | "kafka" | "producer" | "consumer" | "postgres" | "defaults")
                || ["tls", "sasl", "spool", "create_topic", "basic_auth", "expect", "confirm"]
                    .iter()
                    .any(|end| path.ends_with(end))
            {
                sections.push(path.clone());
            }
            paths.push(path);
        }
    }
    paths.extend(
        ["groups.web", "groups.web.tls", "domains.0.name", "domains.0.headers", "domains.0.expect.json"]
            .map(str::to_owned),
    );
    assert!(paths.len() > 90, "{paths:?}");
    for path in &paths {
        for secret in secrets() {
            let yaml = set(base(), path, secret).to_string();
            for service in [Service::Producer, CONSUMER] {
                let told = read(folder.path(), &yaml, &[], service).map(|whole| format!("{:?}", whole.sources));
                let told = told.map_err(|problems| format!("{problems} {problems:?}"));
                if let Err(told) = told {
                    assert!(!told.contains("hunter2"), "{path}, {yaml}: {told}");
                }
            }
        }
    }
}

#[test]
fn no_message_shows_a_secret_of_a_broken_file_or_of_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    for yaml in [
        "kafka: 'isitup:hunter2",
        "kafka: {sasl: hunter2: x}",
        "hunter2",
        "- hunter2",
        "isitup:hunter2: 1\nisitup:hunter2: 2",
        "hunter2: 1\nhunter2: 2",
        "a: *hunter2",
        "a: !hunter2 x",
        "a: \"\\hunter2\"",
        "kafka: hunter2\n\tpostgres: hunter2",
        "%hunter2\n---\na: 1",
        "? [hunter2]\n: x",
        "a: 1\n--- hunter2",
        "<<: hunter2",
        "domains:\n- https://admin:hunter2@example.com:\n    interval: 10s",
        "domains:\n- name: hunter2\n  https://admin:hunter2@example.com: x",
        "domains:\n- https://admin:hunter2@example.com\n- https://admin:hunter2@example.com",
        "domains:\n- https://a.test/?token=hunter2\n- https://a.test/?token=hunter2",
        "domains:\n- {url: a.test, name: 'isitup:hunter2'}\n- {url: b.test, name: 'isitup:hunter2'}",
        "domains_file: https://admin:hunter2@example.com",
    ] {
        for service in [Service::Producer, CONSUMER] {
            let told = read(folder.path(), yaml, &[], service).unwrap_err().to_string();
            assert!(!told.contains("hunter2"), "{yaml}: {told}");
        }
    }
    for name in [
        "ISITUP__KAFKA",
        "ISITUP__KAFKA__SASL",
        "ISITUP__KAFKA__BROKERS",
        "ISITUP__POSTGRES__URL",
        "ISITUP__POSTGRES__PASSWORD__X",
        "ISITUP__DOMAINS",
        "ISITUP__DOMAINS__0__URL",
        "ISITUP__DEFAULTS__BASIC_AUTH",
        "ISITUP__DEFAULTS__TIMEOUT",
        "ISITUP__HUNTER2",
        "ISITUP__A[HUNTER2",
        "ISITUP__",
        "ISITUP__KAFKA__",
    ] {
        for value in ["isitup:hunter2", "https://admin:hunter2@example.com:x\nhunter2:hunter2"] {
            for service in [Service::Producer, CONSUMER] {
                let Err(told) = read(folder.path(), &base().to_string(), &[(name, value)], service) else { continue };
                assert!(!told.to_string().to_lowercase().contains("hunter2"), "{name}: {told}");
            }
        }
    }
    fs::write(folder.path().join("sites.txt"), "https://admin:hunter2@example.com:x\nhunter2:hunter2\na\thunter2\n")
        .unwrap();
    let told = read(folder.path(), &set(base(), "domains_file", json!("sites.txt")).to_string(), &[], CONSUMER);
    let told = told.unwrap_err().to_string();
    assert!(told.lines().count() == 3 && !told.contains("hunter2"), "{told}");
}

#[test]
fn sites_of_the_environment_stand_one_a_line_or_between_commas() {
    let folder = tempfile::tempdir().unwrap();
    for value in ["a.test\nb.test", "a.test\r\n\r\nb.test\r\n", "a.test,b.test", " a.test , \n b.test "] {
        let variables = [("ISITUP__DOMAINS", value)];
        let whole = read(folder.path(), &base().to_string(), &variables, Service::Producer).unwrap();
        let names: Vec<&str> = whole.sites.list.iter().map(|site| &*site.name).collect();
        assert_eq!(names, ["https://a.test", "https://b.test"], "{value:?}");
    }
}
