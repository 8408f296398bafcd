//! The console sink: each check as one JSON line on standard output, and nothing else there.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, ErrorKind, Write};

use isitup_shared::event::{self, AVRO_MARKER, Body};
use isitup_shared::kafka::{KafkaError, OffsetRange, Receiver};
use isitup_shared::retry::Retry;
use isitup_shared::shutdown::Shutdown;

use crate::partition_rest::Resting;
use crate::status::{Part, Status};
use crate::waiting::Patience;

/// Where the console begins to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum From {
    /// At the oldest message that Kafka still has.
    #[default]
    Earliest,
    /// At what comes from now on.
    Latest,
}

/// Prints checks from all partitions until the shutdown, or until nobody reads the output any more.
pub(crate) struct Console<'a> {
    /// Kafka.
    pub receiver: Box<dyn Receiver>,
    /// The topic.
    pub topic: &'a str,
    /// Where to begin.
    pub from: From,
    /// Where health looks.
    pub status: &'a Status,
    /// Next offsets by partition.
    pub positions: BTreeMap<i32, i64>,
    /// Partitions that could not be read.
    pub resting: Resting,
}

enum Trouble {
    Kafka(KafkaError),
    Output(io::Error),
}

impl Console<'_> {
    /// Prints until the shutdown.
    ///
    /// # Errors
    /// When standard output cannot be written to; a reader that has left is no error.
    pub(crate) fn run(mut self, shutdown: &Shutdown) -> io::Result<()> {
        let (mut patience, mut retry) = (Patience::new("Kafka"), Retry::for_service());
        let mut out = BufWriter::new(io::stdout().lock());
        while !shutdown.is_triggered() {
            match self.round(&mut out) {
                Ok(()) => {
                    self.status.well(Part::Kafka);
                    patience.succeeded();
                    retry.reset();
                    let do_all_rest = self.positions.keys().all(|partition| self.resting.is_resting(*partition));
                    shutdown.wait(self.resting.next_in().filter(|_| do_all_rest).unwrap_or_default());
                }
                Err(Trouble::Kafka(error)) => {
                    self.status.trouble(Part::Kafka, error.to_string());
                    patience.failed(&error);
                    retry.pause(shutdown);
                }
                Err(Trouble::Output(error)) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
                Err(Trouble::Output(error)) => return Err(error),
            }
        }
        Ok(())
    }

    fn round(&mut self, out: &mut impl Write) -> Result<(), Trouble> {
        if self.positions.is_empty() {
            self.begin().map_err(Trouble::Kafka)?;
        }
        let awake = self.positions.iter().filter(|(partition, _)| !self.resting.is_resting(**partition));
        let positions: Vec<(i32, i64)> = awake.map(|(partition, next)| (*partition, *next)).collect();
        for fetched in self.receiver.fetch(self.topic, &positions).map_err(Trouble::Kafka)? {
            match fetched.messages {
                Ok(messages) => {
                    self.resting.succeeded(fetched.partition, self.status);
                    for message in messages {
                        print(out, &message.value).map_err(Trouble::Output)?;
                        self.positions.insert(fetched.partition, message.offset + 1);
                    }
                }
                Err(KafkaError::OffsetOutOfRange | KafkaError::PerhapsAnotherTopic) => {
                    self.begin_again(fetched.partition).map_err(Trouble::Kafka)?;
                }
                Err(error) => self.resting.failed(fetched.partition, &error, self.status),
            }
        }
        out.flush().map_err(Trouble::Output)
    }

    fn begin(&mut self) -> Result<(), KafkaError> {
        let begin = |range: OffsetRange| match self.from {
            From::Earliest => range.earliest,
            From::Latest => range.latest,
        };
        let ranges = self.receiver.offsets(self.topic)?;
        self.positions = ranges.into_iter().map(|(partition, range)| (partition, begin(range))).collect();
        Ok(())
    }

    fn begin_again(&mut self, partition: i32) -> Result<(), KafkaError> {
        if let Some(range) = self.receiver.offsets(self.topic)?.get(&partition) {
            log::warn!("partition {partition} goes on at its earliest offset {}", range.earliest);
            self.positions.insert(partition, range.earliest);
        }
        Ok(())
    }
}

/// Prints one message, where it is a check. JSON is printed as it came: one line is what the producer writes.
fn print(out: &mut impl Write, message: &[u8]) -> io::Result<()> {
    let event = match event::decode(message) {
        Ok(event) if matches!(event.body, Body::Check(_)) => event,
        Ok(_) => return Ok(()),
        Err(error) => {
            log::warn!("a message that is no event was left out: {error}");
            return Ok(());
        }
    };
    if message.starts_with(&AVRO_MARKER) {
        out.write_all(event.to_json().as_bytes())?;
    } else if !message.iter().all(|byte| matches!(byte, b' '..=b'~')) && holds_forbidden(message) {
        // Someone else's JSON, over several lines, or with what a terminal obeys in fields that are not ours.
        out.write_all(event.to_json().as_bytes())?;
    } else {
        out.write_all(message)?;
    }
    out.write_all(b"\n")
}

fn holds_forbidden(message: &[u8]) -> bool {
    String::from_utf8_lossy(message).chars().any(event::is_forbidden)
}

#[cfg(test)]
mod tests {
    use isitup_shared::config::Format;
    use isitup_shared::event::{Draft, Sealer};

    use super::*;

    fn printed(message: impl AsRef<[u8]>) -> String {
        let mut out = Vec::new();
        print(&mut out, message.as_ref()).unwrap();
        String::from_utf8(out).unwrap()
    }

    const CHECK: &str = r#"{"v":1,"type":"check","producer_id":"00000000-0000-0000-0000-000000000001","seq":1,"location":"x","site":"s","url":"https://s/","scheduled_at":"2026-11-21T00:00:00.000000Z","started_at":"2026-11-21T00:00:00.000000Z","finished_at":"2026-11-21T00:00:00.000000Z","outcome":"up","timings_us":{"total":1},"config_hash":"c"}"#;

    #[test]
    fn a_check_is_printed_as_one_line_whatever_its_layout() {
        assert_eq!(printed(CHECK), format!("{CHECK}\n"));
        let spread = CHECK.replace("\"v\":1,", "\n  \"v\": 1,\n");
        assert_eq!(printed(&spread).lines().count(), 1);
        let hostile = CHECK.replace("\"v\":1,", "\"v\":1,\"note\":\"\u{9b}31m\u{202e}\",");
        assert!(!printed(&hostile).trim_end().chars().any(event::is_forbidden));
    }

    #[test]
    fn a_check_in_avro_is_printed_as_the_same_in_json() {
        let event = event::decode(CHECK.as_bytes()).unwrap();
        let sealer = Sealer::new(event.envelope.producer_id, &event.envelope.location);
        let avro = sealer.seal(&Draft::new(&event.body, Format::Avro), event.envelope.seq);
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        let mut expected = value(CHECK);
        expected["redirects"] = 0.into();
        assert_eq!((printed(&avro).lines().count(), value(&printed(&avro))), (1, expected));
    }

    #[test]
    fn nothing_but_checks_is_printed() {
        let step = r#"{"v":1,"type":"clock_step","producer_id":"00000000-0000-0000-0000-000000000001","seq":2,"location":"x","at":"2026-11-21T00:00:00.000000Z","step_us":600000}"#;
        assert_eq!(printed(step) + &printed("no event") + &printed(""), "");
    }
}
