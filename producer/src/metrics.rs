//! The producer's metrics.

use std::sync::atomic::{AtomicI64, AtomicU64};

use isitup_shared::event::{Check, GapReason};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// All of them; clones share the figures.
#[derive(Clone, Debug)]
pub struct Metrics {
    up: Counter,
    down: Counter,
    /// From the slot to the start of its check, in seconds.
    lateness: Histogram,
    confirmations: Family<OutcomeLabel, Counter>,
    prober_faults: Counter,
    reloads: Family<ResultLabel, Counter>,
    /// 1 while the configuration in use is the newest, 0 when the newest was refused.
    is_last_reload_well: Gauge,
    /// Threads in a check.
    pub workers_busy: Gauge,
    /// Checks that panicked.
    pub panics: Counter,
    /// Events in the spool that Kafka has not acknowledged.
    pub spool_events: Gauge,
    /// How long the oldest of them waits, in seconds.
    pub spool_oldest_age: Gauge<f64, AtomicU64>,
    /// Events that Kafka acknowledged.
    pub published: Counter,
    gaps: Family<Reason, Counter>,
    slots_missed: Family<Reason, Counter>,
    /// The most threads.
    pub workers_limit: Gauge,
    /// 1 while the spool cannot be written.
    pub spool_blocked: Gauge,
    /// From an event's acceptance by the spool to its acknowledgement by Kafka, in seconds; of the oldest in each batch.
    pub publish_lag: Histogram,
    /// Tries to publish that failed.
    pub publish_errors: Counter,
    /// For how long nothing was published although events wait, in seconds.
    pub publish_silence: Gauge<f64, AtomicU64>,
    /// Partitions that have not taken all events for a minute.
    pub partitions_stalled: Gauge,
    /// Connections to Kafka after the first.
    pub kafka_reconnects: Counter,
    /// Steps of the wall clock.
    pub clock_steps: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

const PUBLISH_LAG_SECONDS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10.0, 60.0, 600.0];
const LATENESS_SECONDS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

impl Metrics {
    /// New metrics, at home in `registry`.
    pub fn new(registry: &mut Registry) -> Self {
        let checks = Family::<OutcomeLabel, Counter>::default();
        let metrics = Self {
            up: checks.get_or_create_owned(&OutcomeLabel { outcome: "up" }),
            down: checks.get_or_create_owned(&OutcomeLabel { outcome: "down" }),
            lateness: Histogram::new(LATENESS_SECONDS),
            confirmations: Family::default(),
            prober_faults: Counter::default(),
            reloads: Family::default(),
            is_last_reload_well: Gauge::default(),
            workers_busy: Gauge::default(),
            panics: Counter::default(),
            spool_events: Gauge::<i64, AtomicI64>::default(),
            spool_oldest_age: Gauge::default(),
            published: Counter::default(),
            gaps: Family::default(),
            slots_missed: Family::default(),
            workers_limit: Gauge::default(),
            spool_blocked: Gauge::default(),
            publish_lag: Histogram::new(PUBLISH_LAG_SECONDS),
            publish_errors: Counter::default(),
            publish_silence: Gauge::default(),
            partitions_stalled: Gauge::default(),
            kafka_reconnects: Counter::default(),
            clock_steps: Counter::default(),
        };
        registry.register("isitup_checks", "Checks that ended, by outcome", checks);
        registry.register(
            "isitup_check_lateness_seconds",
            "From a slot to the start of its check",
            metrics.lateness.clone(),
        );
        registry.register(
            "isitup_confirmations",
            "Failures looked at again, by outcome",
            metrics.confirmations.clone(),
        );
        registry.register("isitup_prober_faults", "Failures of this machine's making", metrics.prober_faults.clone());
        registry.register("isitup_config_reloads", "Changed configurations, by result", metrics.reloads.clone());
        metrics.is_last_reload_well.set(1);
        registry.register(
            "isitup_config_last_reload_successful",
            "Whether the newest configuration is in use",
            metrics.is_last_reload_well.clone(),
        );
        registry.register("isitup_workers_busy", "Threads in a check", metrics.workers_busy.clone());
        registry.register("isitup_check_panics", "Checks that panicked: defects", metrics.panics.clone());
        registry.register("isitup_spool_events", "Events Kafka has not acknowledged", metrics.spool_events.clone());
        registry.register(
            "isitup_spool_oldest_event_age_seconds",
            "How long the oldest event waits for Kafka",
            metrics.spool_oldest_age.clone(),
        );
        registry.register("isitup_events_published", "Events Kafka acknowledged", metrics.published.clone());
        registry.register("isitup_gaps_declared", "Gap events, by reason", metrics.gaps.clone());
        metrics.register_more(registry);
        let info = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("isitup_build", "The release", info);
        metrics
    }

    fn register_more(&self, registry: &mut Registry) {
        registry.register("isitup_slots_missed", "Slots that were not checked, by reason", self.slots_missed.clone());
        registry.register("isitup_workers_limit", "The most threads there may be", self.workers_limit.clone());
        registry.register("isitup_spool_blocked", "1 while the spool cannot be written", self.spool_blocked.clone());
        registry.register(
            "isitup_publish_lag_seconds",
            "From the spool's acceptance to Kafka's acknowledgement, of the oldest event of each batch",
            self.publish_lag.clone(),
        );
        registry.register("isitup_publish_errors", "Tries to publish that failed", self.publish_errors.clone());
        registry.register(
            "isitup_publish_silence_seconds",
            "How long nothing was published although events wait",
            self.publish_silence.clone(),
        );
        registry.register(
            "isitup_partitions_stalled",
            "Partitions that have not taken all events for a minute",
            self.partitions_stalled.clone(),
        );
        registry.register("isitup_kafka_reconnects", "Connections after the first", self.kafka_reconnects.clone());
        registry.register("isitup_clock_steps", "Steps of the wall clock", self.clock_steps.clone());
    }

    /// Counts slots that stay unchecked.
    pub fn count_missed(&self, reason: GapReason, slots: u64) {
        self.slots_missed.get_or_create(&Reason { reason: reason.as_str() }).inc_by(slots);
    }

    /// Counts a check that ended.
    pub fn count(&self, check: &Check) {
        let is_up = check.outcome.failure().is_none();
        if check.confirmation.is_some() {
            let outcome = if is_up { "up" } else { "down" };
            self.confirmations.get_or_create(&OutcomeLabel { outcome }).inc();
            return;
        }
        match is_up {
            true => self.up.inc(),
            false => self.down.inc(),
        };
        if check.prober_fault.is_some() {
            self.prober_faults.inc();
        }
        self.lateness.observe(check.started_at.since(check.scheduled_at).as_secs_f64());
    }

    /// Counts a changed configuration that was taken up, or refused.
    pub fn count_reload(&self, is_well: bool) {
        let result = if is_well { "success" } else { "failure" };
        self.reloads.get_or_create(&ResultLabel { result }).inc();
        self.is_last_reload_well.set(i64::from(is_well));
    }

    /// Counts a gap event.
    pub fn count_gap(&self, reason: GapReason) {
        self.gaps.get_or_create(&Reason { reason: reason.as_str() }).inc();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new(&mut Registry::default())
    }
}

#[cfg(test)]
mod tests {
    use isitup_shared::exposition::{Exposition, broken_lines};

    use super::*;

    #[test]
    fn names_and_help_follow_the_conventions() {
        let mut registry = Registry::default();
        let metrics = Metrics::new(&mut registry);
        metrics.count_missed(GapReason::Overrun, 3);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(text.contains("isitup_slots_missed_total{reason=\"overrun\"} 3"), "{text}");
        assert_eq!(isitup_shared::http::unconventional(&text), [""; 0], "{text}");
    }

    #[test]
    fn metrics_are_text_of_the_format_0_0_4_unless_asked() {
        let mut registry = Registry::default();
        let metrics = Metrics::new(&mut registry);
        metrics.count_missed(GapReason::Overrun, 3);
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
