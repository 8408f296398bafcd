//! The consumer's metrics, in Prometheus' text format.

use std::sync::atomic::AtomicU64;

use isitup_shared::event::GapReason;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::ingest::Written;
use crate::store::maintenance::Progress;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PartitionLabel {
    partition: i32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Step {
    step: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

const STORE_SECONDS: [f64; 9] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0];

/// Counters and gauges. Clones share their values.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    /// Events stored as new rows.
    rows_stored: Counter,
    /// Events met again with the same content.
    duplicates: Counter,
    events_rejected: Family<Reason, Counter>,
    gap_events: Family<Reason, Counter>,
    /// Partitions this process holds.
    pub partitions_owned: Gauge,
    /// Partitions this process has taken, and has lost or given back.
    pub leases_taken: Counter,
    pub leases_lost: Counter,
    /// 1 while the topic is not read because it is not the one it was.
    pub topic_halted: Gauge,
    /// Offsets moved by another hand.
    pub offset_jumps: Counter,
    /// Rounds of reading that Kafka failed.
    pub fetch_errors: Counter,
    /// Tries to store that PostgreSQL failed.
    pub store_errors: Counter,
    /// Connections of the reading and the storing side after their first.
    pub kafka_reconnects: Counter,
    pub postgres_reconnects: Counter,
    /// How long the transaction of a batch took, in seconds.
    pub store_batch: Histogram,
    /// For how long the lag of a partition has grown while nothing of it was stored, in seconds.
    pub store_silence: Gauge<f64, AtomicU64>,
    lag: Family<PartitionLabel, Gauge>,
    housekeeping: Housekeeping,
}

/// What all consumers have done of the housekeeping, and what this one failed to do.
#[derive(Clone, Debug, Default)]
struct Housekeeping {
    last_success: FloatGauge,
    oldest_unsummed_hour_age: FloatGauge,
    days_ahead: Gauge,
    failures: Family<Step, Counter>,
}

type FloatGauge = Gauge<f64, AtomicU64>;

impl Housekeeping {
    fn register(&self, root: &mut Registry) {
        let (name, help) =
            ("last_success_timestamp_seconds", "When a consumer last did all of the housekeeping that was due");
        root.register(format!("isitup_housekeeping_{name}"), help, self.last_success.clone());
        let (name, help) = ("oldest_unsummed_hour_age_seconds", "Time since the end of the oldest hour not summed up");
        root.register(format!("isitup_housekeeping_{name}"), help, self.oldest_unsummed_hour_age.clone());
        root.register(
            "isitup_housekeeping_partitions_ahead",
            "Partitions made for days to come",
            self.days_ahead.clone(),
        );
        let help = "Tasks of the housekeeping that failed, by step";
        root.register("isitup_housekeeping_failures", help, self.failures.clone());
    }
}

impl Metrics {
    /// The metrics and the registry that shows them.
    pub(crate) fn register() -> (Self, Registry) {
        let metrics = Self::new();
        let mut root = Registry::default();
        let version = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        root.register("isitup_build", "The release that runs", version);
        let mut add = |name, help, counter: &Counter| root.register(name, help, counter.clone());
        add("isitup_rows_stored", "Events stored as new rows", &metrics.rows_stored);
        add("isitup_duplicates", "Events met again with the same content", &metrics.duplicates);
        add("isitup_offset_jumps", "Offsets found moved by another hand", &metrics.offset_jumps);
        add("isitup_leases_taken", "Partitions this process has taken", &metrics.leases_taken);
        add("isitup_leases_lost", "Partitions it has lost or given back", &metrics.leases_lost);
        add("isitup_fetch_errors", "Rounds of reading that Kafka failed", &metrics.fetch_errors);
        add("isitup_store_errors", "Tries to store that PostgreSQL failed", &metrics.store_errors);
        add("isitup_kafka_reconnects", "Connections to Kafka after the first", &metrics.kafka_reconnects);
        add("isitup_postgres_reconnects", "Connections for storing after the first", &metrics.postgres_reconnects);
        let rejected = metrics.events_rejected.clone();
        root.register("isitup_events_rejected", "Messages set aside, by kind of reason", rejected);
        root.register("isitup_gap_events", "Gap events stored, by reason", metrics.gap_events.clone());
        root.register("isitup_store_batch_seconds", "Time of a batch's transaction", metrics.store_batch.clone());
        root.register("isitup_partitions_owned", "Partitions this process holds", metrics.partitions_owned.clone());
        root.register("isitup_topic_halted", "1 while the topic is not the one it was", metrics.topic_halted.clone());
        root.register(
            "isitup_store_silence_seconds",
            "How long the lag of a partition has grown while nothing of it was stored",
            metrics.store_silence.clone(),
        );
        root.register("isitup_consumer_lag", "Messages not read yet, of the partitions held", metrics.lag.clone());
        metrics.housekeeping.register(&mut root);
        (metrics, root)
    }

    fn new() -> Self {
        Self {
            rows_stored: Counter::default(),
            duplicates: Counter::default(),
            events_rejected: Family::default(),
            gap_events: Family::default(),
            partitions_owned: Gauge::default(),
            leases_taken: Counter::default(),
            leases_lost: Counter::default(),
            topic_halted: Gauge::default(),
            offset_jumps: Counter::default(),
            fetch_errors: Counter::default(),
            store_errors: Counter::default(),
            kafka_reconnects: Counter::default(),
            postgres_reconnects: Counter::default(),
            store_batch: Histogram::new(STORE_SECONDS),
            store_silence: Gauge::default(),
            lag: Family::default(),
            housekeeping: Housekeeping::default(),
        }
    }

    /// Counts what a transaction brought.
    pub(crate) fn count(&self, written: &Written) {
        self.rows_stored.inc_by(written.stored);
        self.duplicates.inc_by(written.duplicates);
        for class in &written.rejected {
            self.events_rejected.get_or_create(&Reason { reason: class.as_str() }).inc();
        }
        for reason in &written.gaps {
            self.count_gap(*reason);
        }
    }

    /// Shows how far the housekeeping has come.
    pub(crate) fn show_housekeeping(&self, progress: &Progress) {
        self.housekeeping.last_success.set(progress.succeeded_at);
        self.housekeeping.oldest_unsummed_hour_age.set(progress.oldest_unsummed_age);
        self.housekeeping.days_ahead.set(progress.days_ahead);
    }

    /// Counts a task of the housekeeping that failed.
    pub(crate) fn count_housekeeping_failure(&self, step: &'static str) {
        self.housekeeping.failures.get_or_create(&Step { step }).inc();
    }

    fn count_gap(&self, reason: GapReason) {
        self.gap_events.get_or_create(&Reason { reason: reason.as_str() }).inc();
    }

    /// Notes how often Kafka was connected to so far.
    pub(crate) fn note_connects(&self, connects: u64) {
        let known = self.kafka_reconnects.get();
        self.kafka_reconnects.inc_by(connects.saturating_sub(1).saturating_sub(known));
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

#[cfg(test)]
mod tests {
    use isitup_shared::exposition::{Exposition, broken_lines};

    use super::*;
    use crate::store::rejected::Class;

    #[test]
    fn names_and_help_follow_the_conventions() {
        let (metrics, registry) = Metrics::register();
        let (rejected, gaps) = (vec![Class::Doubled, Class::Day, Class::Day], vec![GapReason::Overrun]);
        metrics.count(&Written { rejected, gaps, ..Written::default() });
        metrics.set_lag(3, 7);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in ["isitup_events_rejected_total{reason=\"day\"} 2", "isitup_gap_events_total{reason=\"overrun\"} 1"]
        {
            assert!(text.contains(line), "{line} is not in: {text}");
        }
        assert_eq!(isitup_shared::http::unconventional(&text), [""; 0], "{text}");
    }

    #[test]
    fn metrics_are_text_of_the_format_0_0_4_unless_asked() {
        let (metrics, registry) = Metrics::register();
        metrics.set_lag(3, 7);
        let text = Exposition::Text.render(&registry).unwrap();
        assert_eq!(broken_lines(&text), [""; 0], "{text}");
        assert!(text.contains("# TYPE isitup_build_info gauge\n"), "{text}");
        let open_metrics = Exposition::OpenMetrics.render(&registry).unwrap();
        assert!(open_metrics.contains("# TYPE isitup_build info\n") && open_metrics.ends_with("# EOF\n"));
        if let Some(objections) = promtool(&text) {
            assert_eq!(objections, "", "{text}");
        }
    }

    /// What `promtool check metrics` says of `text`, where there is one (dev/deps installs it).
    fn promtool(text: &str) -> Option<String> {
        let piped = || std::process::Stdio::piped();
        let mut promtool = std::process::Command::new("promtool");
        let promtool = promtool.args(["check", "metrics"]).stdin(piped()).stdout(piped()).stderr(piped());
        let mut running = promtool.spawn().ok()?;
        std::io::Write::write_all(&mut running.stdin.take()?, text.as_bytes()).unwrap();
        let output = running.wait_with_output().unwrap();
        Some(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }
}
