//! The consumer's metrics, in Prometheus' text format.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PartitionLabel {
    partition: i32,
}

/// Counters and gauges. Clones share their values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    /// Events stored as new rows.
    pub rows_stored: Counter,
    /// Events met again with the same content.
    pub duplicates: Counter,
    /// Messages set aside.
    pub events_rejected: Counter,
    /// Partitions this process holds.
    pub partitions_owned: Gauge,
    /// 1 while the topic is not read because it is not the one it was.
    pub topic_halted: Gauge,
    /// Offsets moved by another hand.
    pub offset_jumps: Counter,
    lag: Family<PartitionLabel, Gauge>,
}

impl Metrics {
    /// The metrics and the registry that shows them.
    pub(crate) fn register() -> (Self, Registry) {
        let metrics = Self::default();
        let mut root = Registry::default();
        let version = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        root.register("isitup_build", "The release that runs", version);
        let mut add = |name, help, counter: &Counter| root.register(name, help, counter.clone());
        add("isitup_rows_stored", "Events stored as new rows", &metrics.rows_stored);
        add("isitup_duplicates", "Events met again with the same content", &metrics.duplicates);
        add("isitup_events_rejected", "Messages set aside", &metrics.events_rejected);
        add("isitup_offset_jumps", "Offsets found moved by another hand", &metrics.offset_jumps);
        root.register("isitup_partitions_owned", "Partitions this process holds", metrics.partitions_owned.clone());
        root.register("isitup_topic_halted", "1 while the topic is not the one it was", metrics.topic_halted.clone());
        root.register("isitup_consumer_lag", "Messages not read yet, of the partitions held", metrics.lag.clone());
        (metrics, root)
    }

    /// How many messages of a partition were not read yet.
    pub(crate) fn set_lag(&self, partition: i32, messages: i64) {
        self.lag.get_or_create(&PartitionLabel { partition }).set(messages);
    }

    /// The partition is another consumer's now.
    pub(crate) fn forget_lag(&self, partition: i32) {
        self.lag.remove(&PartitionLabel { partition });
    }
}
