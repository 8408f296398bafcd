//! What all brokers of a stack have in common, whichever Kafka they are.

use super::secured::Secured;

/// The parts' names, by number.
const NAMES: [&str; 5] = ["kafka", "kafka-2", "kafka-3", "kafka-4", "kafka-5"];
/// The most brokers of a stack.
pub(crate) const MOST: usize = NAMES.len();

/// Which of the brokers one is.
pub(super) struct Broker {
    /// From 1 on.
    pub(super) number: usize,
    /// How many brokers there are.
    pub(super) of: usize,
    /// Its listeners beside the plaintext one.
    pub(super) secured: Option<Secured>,
}

impl Broker {
    pub(super) fn name(&self) -> &'static str {
        NAMES.get(self.number - 1).copied().unwrap_or("kafka")
    }

    /// How much memory it may have.
    pub(super) fn heap(&self) -> &'static str {
        if self.of == 1 { "384m" } else { "256m" }
    }

    /// Its listeners, and more where it is the controller itself.
    pub(super) fn listeners(&self, port: u16, more: &str) -> String {
        let plain = format!("PLAINTEXT://127.0.0.1:{port}");
        let listeners = self.secured.iter().fold(plain, |all, secured| all + &secured.listeners());
        let protocols = self.secured.as_ref().map(Secured::protocols).unwrap_or_default();
        format!(
            "listeners={listeners}{more}
advertised.listeners={listeners}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT{protocols}
inter.broker.listener.name=PLAINTEXT
"
        )
    }

    /// What differs from Kafka's defaults: a broker is one of few, it is small, starts fast and is reached from here only.
    pub(super) fn settings(&self, data: &str) -> String {
        format!(
            "log.dirs={data}
auto.create.topics.enable=true
log.message.timestamp.type=LogAppendTime
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=4
num.recovery.threads.per.data.dir=2
background.threads=2
log.cleaner.dedupe.buffer.size=8388608
log.index.size.max.bytes=1048576
log.segment.bytes=134217728
"
        ) + &topics(self.of)
    }
}

/// What holds for new topics, which a controller apart must know as well. As many replicas as there are brokers, and one
/// broker may be away.
pub(super) fn topics(brokers: usize) -> String {
    let least = brokers.saturating_sub(1).max(1);
    format!(
        "num.partitions=6
default.replication.factor={brokers}
min.insync.replicas={least}
auto.leader.rebalance.enable=false
"
    )
}
