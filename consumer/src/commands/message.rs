//! A message from outside, as people can read it: nothing in it is obeyed by the terminal.

use std::fmt::Write as _;

use isitup_shared::event::{self, avro_fingerprint, fingerprint_text};
use serde_json::Value;

use crate::output::printable;

const BYTES_A_LINE: usize = 16;

/// As JSON with indents, where it is JSON or can be read as an event; else byte by byte.
pub(super) fn readable(raw: &[u8]) -> String {
    let as_json =
        |raw: &[u8]| serde_json::from_slice::<Value>(raw).and_then(|value| serde_json::to_string_pretty(&value));
    match as_json(raw)
        .or_else(|error| event::decode(raw).map_or(Err(error), |event| as_json(event.to_json().as_bytes())))
    {
        Ok(text) => text.chars().map(harmless).collect(),
        Err(_) => dump(raw),
    }
}

/// Text of one line, whole, with nothing in it that a terminal obeys.
pub(super) fn line(text: &str) -> String {
    text.chars().map(|c| if c == '\n' { "\\n".into() } else { harmless(c) }).collect()
}

/// How it begins, on one line.
pub(super) fn beginning(raw: &[u8]) -> String {
    match avro_fingerprint(raw) {
        Some(fingerprint) => format!("Avro, schema {}", fingerprint_text(fingerprint)),
        None => printable(&String::from_utf8_lossy(raw.get(..48).unwrap_or(raw))),
    }
}

/// The characters that no text of an event may hold, as JSON writes them.
fn harmless(c: char) -> String {
    if c == '\n' || !event::is_forbidden(c) { c.into() } else { format!("\\u{:04x}", u32::from(c)) }
}

/// Offset, bytes in hexadecimal, and those of them that are ASCII.
fn dump(raw: &[u8]) -> String {
    if raw.is_empty() {
        return "(empty)".into();
    }
    let mut text = String::new();
    for (number, line) in raw.chunks(BYTES_A_LINE).enumerate() {
        let bytes: String = line.iter().map(|byte| format!("{byte:02x} ")).collect();
        let shown = |byte: &u8| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '.' };
        let ascii: String = line.iter().map(shown).collect();
        let written = writeln!(text, "{:08x}  {bytes:<48} |{ascii}|", number * BYTES_A_LINE);
        debug_assert!(written.is_ok());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_indented_and_anything_else_shown_byte_by_byte() {
        assert_eq!(readable(br#"{"a":"b\u001b\u202e"}"#), "{\n  \"a\": \"b\\u001b\\u202e\"\n}");
        let dumped = readable(b"\xfe\x00 abc\x1bdefghijklmn");
        let expected =
            "00000000  fe 00 20 61 62 63 1b 64 65 66 67 68 69 6a 6b 6c  |.. abc.defghijkl|\n00000010  6d 6e ";
        assert!(dumped.starts_with(expected) && dumped.ends_with("|mn|\n"), "{dumped}");
        assert_eq!(readable(b""), "(empty)");
    }
}
