//! Shows our offsets as those of a Kafka consumer group, so that lag tools see them (they are never read back), and the
//! lag itself while nothing moves.

use std::time::Duration;

use isitup_shared::crash_point;
use isitup_shared::kafka::Receiver;
use isitup_shared::shutdown::Shutdown;

use crate::assignment::Assignment;
use crate::metrics::Metrics;

/// The name of the group.
pub(crate) const GROUP: &str = "isitup-consumer";

const INTERVAL: Duration = Duration::from_secs(1);

/// Mirrors the offsets of `assignment` whenever they have moved, until the shutdown. On a connection and thread of its
/// own: a broker that is slow to commit must not slow down reading.
pub(crate) fn run(
    receiver: &mut dyn Receiver,
    topic: &str,
    assignment: &Assignment,
    metrics: &Metrics,
    shutdown: &Shutdown,
) {
    let mut shown = Vec::new();
    while !shutdown.wait(INTERVAL) {
        let positions = assignment.positions();
        if positions == shown {
            // Either nothing comes, or what comes cannot be stored; the pipeline, which tells the lag else, then waits.
            show_lag(receiver, topic, assignment, metrics);
            continue;
        }
        crash_point!("mirror.begin");
        match receiver.mirror_offsets(GROUP, topic, &positions) {
            Ok(()) => {
                crash_point!("mirror.done");
                shown = positions;
            }
            Err(error) => log::debug!("offsets not shown to group {GROUP}: {error}"),
        }
    }
}

fn show_lag(receiver: &mut dyn Receiver, topic: &str, assignment: &Assignment, metrics: &Metrics) {
    match receiver.offsets(topic) {
        Ok(ranges) => {
            for (partition, next) in assignment.positions() {
                if let Some(range) = ranges.get(&partition) {
                    metrics.set_lag(partition, (range.latest - next).max(0));
                }
            }
        }
        Err(error) => log::debug!("lag not known: {error}"),
    }
}
