//! Reads configurations as both services do, and asks which keys they know.

use std::collections::BTreeSet;
use std::fs;

use isitup_producer::config::Settings;
use isitup_shared::config::{Problem, Problems, Service, Whole};
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A key that nobody knows, and that is like none.
const UNKNOWN: &str = "zzzzzzzz";
/// Stands for a value that is written as it is.
const PLACEHOLDER: &str = "@@";

/// Reads configurations in a folder with the files that they name.
pub(crate) struct Services {
    folder: TempDir,
}

impl Services {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["example.com".to_owned()]).unwrap().self_signed(&key).unwrap();
        for sub in ["secrets", "sites.d"] {
            fs::create_dir(folder.path().join(sub)).unwrap();
        }
        for (name, text) in [
            ("cert.pem", certificate.pem()),
            ("key.pem", key.serialize_pem()),
            ("sites.txt", "https://listed.example.com".to_owned()),
            ("sites.d/a.txt", "https://a.example.com # first".to_owned()),
            ("secrets/postgres", "secret".to_owned()),
            ("secrets/token", "secret".to_owned()),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        Self { folder }
    }

    /// All that both services take `config` for, or what is wrong with it.
    pub(crate) fn read(&self, config: &Value) -> Result<String, Vec<String>> {
        self.read_text(&config.to_string())
    }

    /// The same with values, as they are written in YAML, at these places.
    pub(crate) fn read_with(&self, config: &Value, values: &[(&str, &str)]) -> Result<String, Vec<String>> {
        let config = values
            .iter()
            .enumerate()
            .fold(config.clone(), |config, (i, (path, _))| set(config, path, json!(format!("{PLACEHOLDER}{i}"))));
        let text = values.iter().enumerate().fold(config.to_string(), |text, (i, (_, value))| {
            text.replace(&format!("\"{PLACEHOLDER}{i}\""), &format!(" {value}"))
        });
        self.read_text(&text)
    }

    pub(crate) fn read_text(&self, text: &str) -> Result<String, Vec<String>> {
        let problems = |Problems(problems): Problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>();
        self.parse(text).map_err(problems)
    }

    fn parse(&self, text: &str) -> Result<String, Problems> {
        let path = self.folder.path().join("config.yml");
        fs::write(&path, text).unwrap();
        match (Settings::load(Some(&path)), consumers(&path)) {
            (Ok(producer), Ok(consumer)) => Ok(format!("{producer:#?}\n{consumer}")),
            (producer, consumer) => {
                let of_both = [producer.err(), consumer.err()].into_iter().flatten().flat_map(|Problems(found)| found);
                Err(Problems(of_both.collect()))
            }
        }
    }

    /// All keys in the mapping at `prefix` of `config` and in the mappings within, as paths from there.
    pub(crate) fn keys_below(&self, prefix: &str, config: &Value) -> BTreeSet<String> {
        let known = self.keys_at(prefix, config);
        assert!(!known.is_empty(), "{prefix:?} does not say which keys are allowed there");
        let below = |key: String| {
            // A mapping, a list of mappings, or a value.
            for inner in [format!("{key}."), format!("{key}[].")] {
                let path = format!("{prefix}{inner}");
                if !self.keys_at(&path, config).is_empty() {
                    return self.keys_below(&path, config).into_iter().map(|key| format!("{inner}{key}")).collect();
                }
            }
            vec![key]
        };
        known.into_iter().flat_map(below).collect()
    }

    /// The keys that are allowed in the mapping at `prefix`; none where it is no mapping with keys of its own.
    fn keys_at(&self, prefix: &str, config: &Value) -> Vec<String> {
        let unknown = format!("{prefix}{UNKNOWN}");
        let config = set(config.clone(), &unknown, json!("x"));
        let Err(Problems(problems)) = self.parse(&config.to_string()) else { return Vec::new() };
        let at = unknown.replace("[]", "[0]");
        let allowed = |problem: &Problem| {
            let list = problem.message.strip_prefix("unknown key; allowed here: ").filter(|_| problem.key == at)?;
            Some(list.split(", ").map(str::to_owned).collect::<Vec<_>>())
        };
        problems.iter().filter_map(allowed).flatten().collect()
    }
}

/// What the consumer reads.
fn consumers(path: &std::path::Path) -> Result<String, Problems> {
    let whole = Whole::load(Some(path), Service::Consumer { needs_postgres: true })?;
    let Whole { log, kafka, postgres, consumer, .. } = whole;
    Ok(format!("{log:#?}\n{kafka:#?}\n{postgres:#?}\n{consumer:#?}"))
}

/// `config` with `value` at `path`, such as `domains[].url`: `[]` is the first item of a list. What is in the way goes.
pub(crate) fn set(mut config: Value, path: &str, value: Value) -> Value {
    let mut place = &mut config;
    for part in path.split('.') {
        let (key, is_list) = part.strip_suffix("[]").map_or((part, false), |key| (key, true));
        if !place.is_object() {
            *place = json!({});
        }
        place = &mut place[key];
        if is_list {
            if place.get(0).is_none() {
                *place = json!([{}]);
            }
            place = &mut place[0];
        }
    }
    *place = value;
    config
}
