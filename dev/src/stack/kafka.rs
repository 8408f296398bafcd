//! A Kafka broker, alone or one of several, on ZooKeeper.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rustix::process::Signal;

use super::jars;
use super::part::{Context, Program};
use super::ports::Port;
use super::probe::{self, Probe};
use crate::process::Launch;

/// After kill -9 ZooKeeper remembers the broker this long, and lets no new one with its number in.
const SESSION: Duration = Duration::from_secs(3);
const EXPIRY_LIMIT: Duration = Duration::from_secs(20);

/// The parts' names, by number.
const NAMES: [&str; 5] = ["kafka", "kafka-2", "kafka-3", "kafka-4", "kafka-5"];
/// The most brokers of a stack.
pub(crate) const MOST: usize = NAMES.len();

/// One broker.
pub(crate) struct Kafka {
    pub(crate) zookeeper: u16,
    /// From 1 on.
    pub(crate) number: usize,
    /// How many brokers there are.
    pub(crate) of: usize,
}

impl Program for Kafka {
    fn name(&self) -> &'static str {
        NAMES.get(self.number - 1).copied().unwrap_or("kafka")
    }

    /// Waits until ZooKeeper has forgotten the broker that ran before.
    fn prepare(&self, context: &Context) -> Result<()> {
        let until = Instant::now() + EXPIRY_LIMIT;
        let session = format!("/brokers/ids/{}", self.number);
        loop {
            let why = match probe::zookeeper_word(self.zookeeper, "dump") {
                Ok(sessions) if !sessions.contains(&session) => return Ok(()),
                Ok(_) => "still holds the session of the broker that was killed".to_owned(),
                Err(error) => format!("does not answer ({error}): start it first"),
            };
            if Instant::now() > until {
                bail!("ZooKeeper on port {} {why}", self.zookeeper);
            }
            context.pause()?;
        }
    }

    fn launch(&self, context: &Context, port: &Port) -> Result<Launch> {
        let data = context.home.data(self.name());
        let settings = settings(&data.display().to_string(), port.number(), self.zookeeper) + &self.replication();
        let settings = context.home.write_settings(&format!("{}.properties", self.name()), &settings)?;
        let heap = if self.of == 1 { "384m" } else { "256m" };
        Ok(jars::java(context, self.name(), &data, heap)?.args(["kafka.Kafka".into(), settings.into_os_string()]))
    }

    fn probe(&self, port: u16) -> Probe {
        probe::kafka(port)
    }

    fn stop_signal(&self) -> Signal {
        Signal::TERM
    }

    fn passing_troubles(&self) -> &'static [&'static str] {
        &["NodeExistsException"]
    }
}

impl Kafka {
    /// As many replicas as there are brokers, and one broker may be away.
    fn replication(&self) -> String {
        let (number, of) = (self.number, self.of);
        let least = of.saturating_sub(1).max(1);
        format!("broker.id={number}\ndefault.replication.factor={of}\nmin.insync.replicas={least}\n")
    }
}

/// What differs from Kafka's defaults: a broker is one of few, it is small, starts fast and is reached from here only.
fn settings(data: &str, port: u16, zookeeper: u16) -> String {
    let session = SESSION.as_millis();
    format!(
        "listeners=PLAINTEXT://127.0.0.1:{port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
zookeeper.connect=127.0.0.1:{zookeeper}
zookeeper.session.timeout.ms={session}
zookeeper.connection.timeout.ms=20000
log.dirs={data}
num.partitions=6
auto.create.topics.enable=true
log.message.timestamp.type=LogAppendTime
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
auto.leader.rebalance.enable=false
num.network.threads=2
num.io.threads=4
num.recovery.threads.per.data.dir=2
background.threads=2
log.cleaner.dedupe.buffer.size=8388608
log.index.size.max.bytes=1048576
log.segment.bytes=134217728
"
    )
}
