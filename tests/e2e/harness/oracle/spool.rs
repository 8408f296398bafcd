//! What lies in a spool's folder, read without knowing its format: events are JSON or Avro wherever they are.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Deserializer, Value};

use crate::harness::message::{avro_prefix, is_avro};

/// How every event in JSON begins.
const BEGIN: &[u8] = br#"{"v":"#;

/// The files of events in `folder`, in order.
pub(crate) fn segments_in(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
    paths.sort();
    paths
}

/// All events that can still be read in the files of `folder`, whatever lies between them.
pub(crate) fn events_in(folder: &Path) -> Vec<Value> {
    segments_in(folder).iter().flat_map(|path| events(&fs::read(path).unwrap())).collect()
}

fn events(bytes: &[u8]) -> Vec<Value> {
    let is_begin = |window: &[u8]| window == BEGIN || is_avro(window);
    let begins = bytes.windows(BEGIN.len()).enumerate().filter(|(_, window)| is_begin(window));
    let event = |(at, _)| match is_avro(&bytes[at..]) {
        true => avro_prefix(&bytes[at..]).map(|(event, _)| event),
        false => Deserializer::from_slice(&bytes[at..]).into_iter::<Value>().next()?.ok(),
    };
    begins.filter_map(event).filter(|event| event["seq"].is_i64()).collect()
}
