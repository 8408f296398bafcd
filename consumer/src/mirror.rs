//! Shows our offsets as those of a Kafka consumer group, so that lag tools see them, and the lag in our own metrics. The
//! offsets are never read back.

use std::time::{Duration, Instant};

use isitup_shared::crash_point;
use isitup_shared::kafka::Receiver;
use isitup_shared::outage_log::OutageLog;
use isitup_shared::shutdown::Shutdown;

use crate::assignment::Assignment;
use crate::metrics::Metrics;
use crate::status::Status;

/// The name of the group.
pub(crate) const GROUP: &str = "isitup-consumer";

const INTERVAL: Duration = Duration::from_secs(1);

/// How often the topic is asked how far it goes.
const LAG_INTERVAL: Duration = Duration::from_secs(3);

/// Shows our offsets, until the shutdown. On a connection and thread of its own: a broker that is slow to commit must not
/// slow down reading, and the lag must be told also while nothing can be stored.
#[derive(Debug)]
pub(crate) struct Mirror<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partitions we hold.
    pub assignment: &'a Assignment,
    /// Where lag is shown.
    pub metrics: &'a Metrics,
    /// Where it is noted whether the lag only grows.
    pub status: &'a Status,
}

impl Mirror<'_> {
    /// Mirrors the offsets whenever they have moved, and keeps the lag up to date.
    pub(crate) fn run(&self, receiver: &mut dyn Receiver, shutdown: &Shutdown) {
        let (mut shown, mut asked) = (Vec::new(), None::<Instant>);
        let mut stalls = OutageLog::default();
        while !shutdown.wait(INTERVAL) {
            self.tell_stall(&mut stalls);
            if asked.is_none_or(|at| at.elapsed() >= LAG_INTERVAL) {
                self.tell_lag(receiver);
                asked = Some(Instant::now());
            }
            let positions = self.assignment.positions();
            if positions == shown {
                continue;
            }
            crash_point!("mirror.begin");
            match receiver.mirror_offsets(GROUP, self.topic, &positions) {
                Ok(()) => {
                    crash_point!("mirror.done");
                    shown = positions;
                }
                Err(error) => log::debug!("offsets not shown to group {GROUP}: {error}"),
            }
        }
    }

    /// Says again and again that the lag grows while nothing is stored. On this thread, as the one that stores may be the one that hangs.
    fn tell_stall(&self, stalls: &mut OutageLog) {
        self.metrics.store_silence.set(self.status.progress.silence().as_secs_f64());
        let Some(stall) = self.status.progress.stall() else {
            if stalls.succeeded().is_some() {
                log::info!("messages of all partitions held are stored again");
            }
            return;
        };
        if stalls.failed(Instant::now(), "stalled").is_some() {
            log::warn!("{stall}; /health/ready names what else is known");
        }
    }

    /// While nothing can be stored no round ends, and the lag grows all the same.
    fn tell_lag(&self, receiver: &mut dyn Receiver) {
        let ranges = match receiver.offsets(self.topic) {
            Ok(ranges) => ranges,
            Err(error) => return log::debug!("the lag is not known: {error}"),
        };
        for (partition, next) in self.assignment.positions() {
            if let Some(range) = ranges.get(&partition) {
                self.metrics.set_lag(partition, (range.latest - next).max(0));
                self.status.progress.note(partition, next, range.latest);
            }
        }
        // One that was lost in this moment is not ours to speak of.
        let held = self.assignment.positions();
        self.status.progress.retain(|partition| held.iter().any(|(held, _)| *held == partition));
        for partition in ranges.keys().filter(|partition| held.iter().all(|(held, _)| held != *partition)) {
            self.metrics.forget_lag(*partition);
        }
    }
}
