//! The sections `log`, `producer` and `consumer`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{ByteSize, Network, Problems, Scalar, Section, load};
use crate::site::label::{LABEL, is_label};

/// What is logged, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// The least serious level that is logged.
    pub level: log::LevelFilter,
    /// For people or for programs.
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One readable line.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: log::LevelFilter::Info, format: LogFormat::Text }
    }
}

impl LogConfig {
    /// Reads the section `log` of `root`.
    pub fn read(root: &mut Section) -> Self {
        let mut section = root.section("log");
        let config = Self {
            level: section.get("level").unwrap_or(log::LevelFilter::Info),
            format: section.get("format").unwrap_or_default(),
        };
        section.finish();
        config
    }
}

/// The producer's own settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerConfig {
    /// Where this producer stands; each event says so.
    pub location: String,
    /// The most threads that check sites at one time.
    pub workers: usize,
    /// Where results wait for Kafka.
    pub spool: SpoolConfig,
    /// Where health and metrics are served.
    pub listen: SocketAddr,
    /// Networks that no check may connect to.
    pub deny_networks: Vec<Network>,
    /// Addresses, `host:port`, that answer while this machine's network is well.
    pub reference: Vec<String>,
}

/// The producer's durable queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolConfig {
    /// Its folder.
    pub path: PathBuf,
    /// The most bytes it may take.
    pub max_size: u64,
}

const LISTEN_PRODUCER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9101);
const LISTEN_CONSUMER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9102);

/// The smallest spool: room for a few of its segments.
const SMALLEST_SPOOL: u64 = 16 << 20;

impl ProducerConfig {
    /// Only where health and metrics are served, from `file`, where one is given, and the environment: whoever asks for the health
    /// of a service that runs need not know, nor run, what else the configuration says by now.
    ///
    /// # Errors
    /// When the file cannot be read, or that address is wrong.
    pub fn read_listen(file: Option<&Path>) -> Result<SocketAddr, Problems> {
        read_listen(file, "producer", LISTEN_PRODUCER)
    }

    /// Reads the section `producer` of `root`.
    pub fn read(root: &mut Section) -> Self {
        let mut section = root.section("producer");
        let location = section.get_where("location", |name: &String| is_label(name), LABEL);
        let workers = section.get_in("workers", 1..=10_000).unwrap_or(512);
        let mut spool = section.section("spool");
        let spool_config = SpoolConfig {
            path: spool.get::<String>("path").map_or_else(|| "/var/lib/isitup".into(), PathBuf::from),
            max_size: spool
                .get_where("max_size", |size: &ByteSize| size.0 >= SMALLEST_SPOOL, "the spool needs at least 16MiB")
                .map_or(1 << 30, |size| size.0),
        };
        spool.finish();
        let listen = section.get("listen").unwrap_or(LISTEN_PRODUCER);
        let deny_networks = section.list("deny_networks").unwrap_or_default();
        let reference = section.list::<Reference>("reference").unwrap_or_default();
        section.finish();
        Self {
            location: location.unwrap_or_else(|| "default".into()),
            workers,
            spool: spool_config,
            listen,
            deny_networks,
            reference: reference.into_iter().map(|Reference(address)| address).collect(),
        }
    }
}

/// An address that answers while the network is well.
struct Reference(String);

impl Scalar for Reference {
    const WHAT: &'static str = "an address that accepts connections, such as 1.1.1.1:443 or example.com:443";

    fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let is_odd = |c: char| matches!(c, '/' | '@') || c.is_whitespace() || c.is_control();
        let is_well = !host.is_empty() && !host.contains(is_odd) && port.parse::<u16>().is_ok_and(|port| port > 0);
        is_well.then(|| Self(text.to_owned()))
    }
}

/// The consumer's own settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerConfig {
    /// How long results are kept.
    pub retention: Duration,
    /// How long a partition stays with a consumer that no longer answers.
    pub lease: Duration,
    /// Where health and metrics are served.
    pub listen: SocketAddr,
}

impl ConsumerConfig {
    /// The same as [`ProducerConfig::read_listen`].
    ///
    /// # Errors
    /// When the file cannot be read, or the address is wrong.
    pub fn read_listen(file: Option<&Path>) -> Result<SocketAddr, Problems> {
        read_listen(file, "consumer", LISTEN_CONSUMER)
    }

    /// Reads the section `consumer` of `root`.
    pub fn read(root: &mut Section) -> Self {
        let mut section = root.section("consumer");
        let day = Duration::from_secs(24 * 3600);
        let retention =
            section.get_where("retention", |d: &Duration| *d >= day, "results are kept by the day: at least 1d");
        let lease_range = Duration::from_secs(2)..=Duration::from_secs(600);
        let lease = section.get_where("lease", |d: &Duration| lease_range.contains(d), "a lease is 2s to 10m");
        let listen = section.get("listen").unwrap_or(LISTEN_CONSUMER);
        section.finish();
        Self { retention: retention.unwrap_or(90 * day), lease: lease.unwrap_or(Duration::from_secs(15)), listen }
    }
}

fn read_listen(file: Option<&Path>, service: &str, default: SocketAddr) -> Result<SocketAddr, Problems> {
    let mut root = load(file)?;
    let listen = root.section(service).get("listen").unwrap_or(default);
    root.leave_root(Some(listen))
}

impl Scalar for log::LevelFilter {
    const WHAT: &'static str = "a log level: off, error, warn, info, debug or trace";
    const HARMLESS: bool = true;

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Scalar for LogFormat {
    const WHAT: &'static str = "a log format: text or json";
    const HARMLESS: bool = true;

    fn parse(text: &str) -> Option<Self> {
        match text {
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

impl Scalar for SocketAddr {
    const WHAT: &'static str = "an address and port to listen on, such as 127.0.0.1:9101";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}
