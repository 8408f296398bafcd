//! What lies in a spool's folder, read without knowing its format: events are JSON wherever they are.

use std::fs;
use std::path::Path;

use serde_json::{Deserializer, Value};

/// How every event begins.
const BEGIN: &[u8] = br#"{"v":"#;

/// All events that can still be read in the files of `folder`, whatever lies between them.
pub(crate) fn events_in(folder: &Path) -> Vec<Value> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = paths.filter(|path| path.extension().is_some_and(|extension| extension == "seg"));
    files.flat_map(|path| events(&fs::read(path).unwrap())).collect()
}

fn events(bytes: &[u8]) -> Vec<Value> {
    let begins = bytes.windows(BEGIN.len()).enumerate().filter(|(_, window)| *window == BEGIN);
    let event = |(at, _)| Deserializer::from_slice(&bytes[at..]).into_iter::<Value>().next()?.ok();
    begins.filter_map(event).filter(|event| event["seq"].is_i64()).collect()
}
