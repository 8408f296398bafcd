//! One Kafka broker, on ZooKeeper.

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

/// One broker.
pub(crate) struct Kafka {
    pub(crate) zookeeper: u16,
}

impl Program for Kafka {
    fn name(&self) -> &'static str {
        "kafka"
    }

    /// Waits until ZooKeeper has forgotten the broker that ran before.
    fn prepare(&self, context: &Context) -> Result<()> {
        let until = Instant::now() + EXPIRY_LIMIT;
        loop {
            let why = match probe::zookeeper_word(self.zookeeper, "dump") {
                Ok(sessions) if !sessions.contains("/brokers/ids/1") => return Ok(()),
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
        let settings = settings(&data.display().to_string(), port.number(), self.zookeeper);
        let settings = context.home.write_settings("kafka.properties", &settings)?;
        Ok(jars::java(context, self.name(), &data, "384m")?.args(["kafka.Kafka".into(), settings.into_os_string()]))
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

/// What differs from Kafka's defaults: one broker is all there is, it is small, starts fast and is reached from here only.
fn settings(data: &str, port: u16, zookeeper: u16) -> String {
    let session = SESSION.as_millis();
    format!(
        "broker.id=1
listeners=PLAINTEXT://127.0.0.1:{port}
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
