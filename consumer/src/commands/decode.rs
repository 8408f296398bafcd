//! `decode`: a message of the topic, in whichever format, for people or as JSON. It needs no configuration and no service.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use isitup_shared::event::{Event, avro_fingerprint, fingerprint_text};
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::message;
use crate::exit::{Answer, CommandError};
use crate::ingest::decode::{self, Refusal};
use crate::output::print;

/// Kafka's own limit is a megabyte, unless somebody raised it.
const LONGEST: u64 = 64 << 20;

/// Options of `decode`.
#[derive(Clone, Debug, Args)]
pub(crate) struct DecodeArgs {
    /// The file with the message, or with messages in JSON, one a line; `-` or nothing is standard input
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// As JSON, one line a message
    #[arg(long)]
    pub json: bool,
}

/// Prints the messages; the answer is no when a consumer would reject one of them.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn run(args: &DecodeArgs) -> Result<Answer, CommandError> {
    let unreadable = |path: &Path, error: io::Error| CommandError::Usage(format!("{}: {error}", path.display()));
    match args.file.as_deref().filter(|path| *path != Path::new("-")) {
        Some(path) => {
            let file = File::open(path).map_err(|error| unreadable(path, error))?;
            Decoding::new(args.json).all(BufReader::new(file)).map_err(|error| unreadable(path, error))
        }
        None => Ok(Decoding::new(args.json).all(io::stdin().lock())?),
    }
}

/// A walk over messages.
struct Decoding {
    json: bool,
    answer: Answer,
}

impl Decoding {
    fn new(json: bool) -> Self {
        Self { json, answer: Answer::Yes }
    }

    /// One message, unless the first line is JSON by itself: then each line is one, shown as it comes.
    fn all(mut self, input: impl BufRead) -> io::Result<Answer> {
        let mut input = input.take(LONGEST);
        let mut first = Vec::new();
        input.read_until(b'\n', &mut first)?;
        if serde_json::from_slice::<IgnoredAny>(&first).is_err() {
            input.read_to_end(&mut first)?;
            self.one(&first, "the message")?;
            return Ok(self.answer);
        }
        let (mut line, mut number) = (first, 1_u64);
        while !line.is_empty() {
            if !line.trim_ascii().is_empty() {
                self.one(line.trim_ascii_end(), &format!("line {number}"))?;
            }
            line.clear();
            // The limit is for each.
            input.set_limit(LONGEST);
            input.read_until(b'\n', &mut line)?;
            number += 1;
        }
        Ok(self.answer)
    }

    #[allow(clippy::print_stderr)]
    fn one(&mut self, raw: &[u8], which: &str) -> io::Result<()> {
        match content(raw) {
            Ok(event) if self.json => print(&event.to_json()),
            Ok(event) => print(&as_text(&event, raw)),
            Err(refusal) => {
                self.answer = Answer::No;
                // No log: the command reads no configuration that would say how.
                eprintln!("isitup-consumer: {which} would be rejected: {}", message::line(&refusal.reason));
                Ok(())
            }
        }
    }
}

/// What a consumer would make of it. Tools that print messages end them with a newline, which is no part of a datum.
fn content(raw: &[u8]) -> Result<Event, Refusal> {
    let content = decode::decode(0, raw.to_vec()).content;
    match raw.strip_suffix(b"\n").filter(|_| content.is_err() && avro_fingerprint(raw).is_some()) {
        Some(shorter) => decode::decode(0, shorter.to_vec()).content.or(content),
        None => content,
    }
}

/// What it is, then its fields, one a line.
fn as_text(event: &Event, raw: &[u8]) -> String {
    let format = match avro_fingerprint(raw) {
        Some(fingerprint) => format!("Avro, schema {}", fingerprint_text(fingerprint)),
        None => "JSON".to_owned(),
    };
    let fields: Map<String, Value> = serde_json::from_str(&event.to_json()).unwrap_or_default();
    let widest = fields.keys().map(String::len).max().unwrap_or(0);
    let mut lines = vec![format!("{} event in {format}, {} bytes", event.body.type_name(), raw.len())];
    lines.extend(fields.iter().map(|(name, value)| format!("  {name:widest$}  {}", shown(value))));
    lines.join("\n")
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => message::line(text),
        other => message::line(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use isitup_shared::config::Format;
    use isitup_shared::event::{Body, ClockStep, Draft, Sealer};
    use isitup_shared::time::UtcTime;
    use uuid::Uuid;

    use super::*;

    fn message(format: Format, seq: u64) -> Vec<u8> {
        let body = Body::ClockStep(ClockStep { at: UtcTime::EPOCH, step_us: -600_000 });
        Sealer::new(Uuid::nil(), "here").seal(&Draft::new(&body, format), seq)
    }

    fn answer(input: &[u8]) -> Answer {
        Decoding::new(true).all(input).unwrap()
    }

    #[test]
    fn a_message_of_either_format_is_shown_field_by_field() {
        let [json, avro] = [Format::Json, Format::Avro].map(|format| message(format, 7));
        let text = |raw: &[u8]| as_text(&isitup_shared::event::decode(raw).unwrap(), raw);
        let (of_json, of_avro) = (text(&json), text(&avro));
        assert!(of_json.starts_with("clock_step event in JSON, "), "{of_json}");
        assert!(of_avro.starts_with("clock_step event in Avro, schema "), "{of_avro}");
        assert_eq!(of_json.lines().skip(1).collect::<Vec<_>>(), of_avro.lines().skip(1).collect::<Vec<_>>());
        assert!(of_avro.contains("  at           1970-01-01T00:00:00.000000Z"), "{of_avro}");
    }

    #[test]
    fn lines_of_json_are_messages_of_their_own_and_anything_else_is_one_message() {
        let lines = [message(Format::Json, 1), b"\n\n".to_vec(), message(Format::Json, 2), b"\n".to_vec()].concat();
        assert_eq!(answer(&lines), Answer::Yes);
        assert_eq!(answer(&[&lines[..], b"{}\n"].concat()), Answer::No);
        assert_eq!(answer(&message(Format::Avro, 1)), Answer::Yes);
        assert_eq!(answer(&message(Format::Avro, 5)), Answer::Yes, "5 is written as a newline is");
        assert_eq!(answer(&[message(Format::Avro, 1), b"\n".to_vec()].concat()), Answer::Yes, "as kcat ends it");
        let spread = serde_json::from_slice::<Value>(&message(Format::Json, 3)).unwrap();
        assert_eq!(answer(format!("{spread:#}\n").as_bytes()), Answer::Yes);
        for strange in ["", "hello", "{", "{}", "\u{1}"] {
            assert_eq!(answer(strange.as_bytes()), Answer::No, "{strange:?}");
        }
    }
}
