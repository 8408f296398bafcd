//! `check-config --connect`: whether what the producer needs beside its configuration is there.

use std::fs;
use std::path::Path;

use isitup_shared::kafka;
use serde_json::{Value, json};

use super::say;
use crate::config::Settings;

/// A thing the producer needs, and what was found of it.
pub(super) type Found = (&'static str, Result<String, String>);

/// Looks at all of them.
pub(super) fn look(settings: &Settings) -> Vec<Found> {
    let kafka = kafka::try_sending(&settings.kafka).map_err(|error| error.to_string());
    vec![("spool", try_folder(&settings.producer.spool.path)), ("kafka", kafka)]
}

/// Whether a file can be written there. A producer that runs meanwhile is not disturbed.
fn try_folder(path: &Path) -> Result<String, String> {
    let shown = path.display().to_string();
    let refused = |error: std::io::Error| {
        format!(
            "producer.spool.path {shown:?} cannot be written: {error}; let the producer's user own it, or set another"
        )
    };
    fs::create_dir_all(path).map_err(refused)?;
    let probe = path.join(format!(".check-config-{}", std::process::id()));
    fs::write(&probe, b"isitup").and_then(|()| fs::remove_file(&probe)).map_err(refused)?;
    Ok(format!("{shown} can be written"))
}

pub(super) fn in_words(found: &[Found]) {
    for (name, result) in found {
        match result {
            Ok(what) => say(&format!("  {name:<7} reached: {what}")),
            Err(why) => say(&format!("  {name:<7} NOT WELL: {why}")),
        }
    }
}

pub(super) fn in_json(found: &[Found]) -> Value {
    let entry = |(name, result): &Found| {
        let (ok, detail) = result.as_ref().map_or_else(|why| (false, why), |what| (true, what));
        ((*name).to_owned(), json!({"ok": ok, "detail": detail}))
    };
    Value::Object(found.iter().map(entry).collect())
}
