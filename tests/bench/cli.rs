//! The bench's command line, and the roles it plays as a child of itself.

use std::fmt;
use std::io::Write;

use clap::{Parser, ValueEnum};

use crate::{bare, target};

/// Measures the release binaries on real Kafka and PostgreSQL: CPU per check and per row, memory, latency
#[derive(Debug, Parser)]
#[command(name = "make bench", after_help = EXAMPLES)]
pub(crate) struct Cli {
    /// What to measure [default: all]
    #[arg(value_enum, value_name = "PART")]
    parts: Vec<Part>,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    /// Measurements of http and https, of which the median counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Seconds of each measurement of http, https and latency
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seconds: u64,
    /// Checks a second of http and https, and as many requests of the yardstick beside them
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=5000))]
    pub(crate) rate: u32,
    /// Events for the store
    #[arg(long, default_value_t = 300_000, value_parser = clap::value_parser!(u64).range(1000..))]
    pub(crate) events: u64,
    /// The client by which the services speak to Kafka
    #[arg(long, value_enum, default_value_t = ServicesClient::KafkaRust)]
    pub(crate) client: ServicesClient,
    /// Cargo says this to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

const EXAMPLES: &str = "\
Examples:
  make bench                           all of it, some seven minutes
  make bench ARGS=\"http https\"         two parts
  make bench ARGS=\"--client librdkafka\" over the other client
  make bench ARGS=\"store --json\"       for programs";

/// The values of `kafka.client`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ServicesClient {
    /// kafka-rust
    KafkaRust,
    /// librdkafka
    Librdkafka,
}

impl fmt::Display for ServicesClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KafkaRust => "kafka-rust",
            Self::Librdkafka => "librdkafka",
        })
    }
}

/// What can be measured by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// CPU of a check from its slot to Kafka's acknowledgement, against bare reqwest
    Http,
    /// The same over TLS
    Https,
    /// Rows a second from the topic into PostgreSQL, and CPU per row, against a bare insert
    Store,
    /// Memory with 1,000 sites, and with 10,000 of which one in ten is a black hole
    Memory,
    /// From the end of a check to its visible row
    Latency,
    /// Reading 50,000 sites, and a producer that checks them
    Config,
    /// Bytes and time of an event in JSON and in Avro
    Formats,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Store => "store",
            Self::Memory => "memory",
            Self::Latency => "latency",
            Self::Config => "config",
            Self::Formats => "formats",
        })
    }
}

impl Cli {
    /// What this process was told.
    pub(crate) fn read() -> Self {
        Self::parse()
    }

    /// The parts to measure, in their order.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let is_wanted = |part: &&Part| self.parts.is_empty() || self.parts.contains(part);
        Part::value_variants().iter().filter(is_wanted).copied().collect()
    }
}

/// The role and its arguments, where this process is a child of the bench.
pub(crate) fn helper() -> Option<(String, Vec<String>)> {
    let mut args = std::env::args().skip(1);
    let role = args.next().filter(|role| role == target::ROLE || role == bare::ROLE)?;
    Some((role, args.collect()))
}

/// Says on the standard error what went wrong, or what goes on.
pub(crate) fn complain(message: &str) {
    // Nobody is left to be told when this fails.
    let _ = writeln!(std::io::stderr(), "bench: {message}");
}
