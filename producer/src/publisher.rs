//! The thread that takes events from the spool to Kafka, and forgets only what Kafka has acknowledged, or what is declared gone since
//! Kafka refuses it for good (`refused`).

mod lane;
mod progress;
mod refused;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, TryRecvError};
use isitup_shared::config::KafkaConfig;
use isitup_shared::crash_point;
use isitup_shared::event::Gap;
use isitup_shared::heartbeat::Heartbeat;
use isitup_shared::kafka::{self, Delivery, KafkaError, Record, Sender, partition_for};
use isitup_shared::retry::Retry;
use isitup_shared::shutdown::Shutdown;
use isitup_shared::time::UtcTime;

use self::lane::{Lane, MOST_EVENTS, record};
use self::refused::Suspect;
use crate::metrics::Metrics;
use crate::spool::{Feed, Stored};

pub use self::progress::{Progress, Stall};

/// Waiting for new events ends with the first one; this bounds only how fast a shutdown is noticed.
const WAIT: Duration = Duration::from_millis(200);
/// At the end there is little time, and until a gap is durable it is short.
const SHORT_WAIT: Duration = Duration::from_millis(10);

/// How often the topic is asked whether it has other partitions now. Somebody who adds some wants them used.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Events on their way, by partition. A partition that fails holds up no other: what waits for it is in memory up to a bound, and
/// then on disk only, from where it is read again.
pub struct Publisher {
    feed: Feed,
    sender: Box<dyn Sender>,
    topic: String,
    wanted_partitions: u32,
    metrics: Metrics,
    /// How many there are, and when that was asked.
    partitions: Option<(u32, Instant)>,
    /// The number of partitions that was told last.
    told: Option<u32>,
    lanes: BTreeMap<i32, Lane>,
    /// Refused events whose gaps are on their way to the disk.
    declaring: Option<Declaring>,
    retry: Retry,
    /// When failed partitions are tried again.
    retry_at: Instant,
    progress: Progress,
}

/// Gaps that are not durable yet, and what they take the place of.
struct Declaring {
    suspects: Vec<(i32, Suspect)>,
    gaps: Vec<Gap>,
    is_durable: Receiver<()>,
}

impl Publisher {
    /// Publishes what `feed` gives to the topic of `kafka`.
    pub fn new(feed: Feed, kafka: &KafkaConfig, metrics: Metrics, progress: Progress) -> Self {
        Self {
            feed,
            sender: kafka::sender(kafka),
            topic: kafka.topic.clone(),
            wanted_partitions: kafka.create_topic.partitions,
            metrics,
            partitions: None,
            told: None,
            lanes: BTreeMap::new(),
            declaring: None,
            retry: Retry::for_service(),
            retry_at: Instant::now(),
            progress,
        }
    }

    /// Publishes until `stop`.
    pub fn run(&mut self, stop: &Shutdown, heart: &Heartbeat) {
        let _pulse = heart.begin();
        while !stop.is_triggered() {
            heart.beat();
            let result = self.step(WAIT);
            self.count_reconnects();
            self.note(result.as_ref().err());
            if result.is_err() {
                self.metrics.publish_errors.inc();
                self.partitions = None;
                self.retry.pause(stop);
            }
        }
    }

    fn count_reconnects(&self) {
        let reconnects = self.sender.connects().saturating_sub(1);
        self.metrics.kafka_reconnects.inc_by(reconnects.saturating_sub(self.metrics.kafka_reconnects.get()));
    }

    /// Notes what is wrong, if anything, for health and the log.
    fn note(&self, failure: Option<&KafkaError>) {
        if self.is_done() {
            self.progress.published();
        }
        let why = |(partition, lane): (&i32, &Lane)| Some((*partition, lane.why()?));
        let failed = || self.lanes.values().find_map(|lane| lane.failure.as_ref());
        self.progress.note(failure.or_else(failed), self.lanes.iter().filter_map(why).collect(), self.feed.depth());
    }

    /// Whether all that is durable was acknowledged or declared.
    fn is_done(&self) -> bool {
        self.feed.is_empty() && self.declaring.is_none() && self.lanes.values().all(Lane::is_empty)
    }

    /// Publishes what the spool still holds, until it is empty or `deadline` comes, or Kafka fails in a way that does not pass
    /// in seconds. A partition that fails in passing must not keep what the others have.
    pub fn drain(&mut self, deadline: Instant) {
        let mut failure = None;
        while Instant::now() < deadline {
            self.retry_at = Instant::now();
            let result = self.step(SHORT_WAIT);
            let now = Instant::now();
            let is_waiting = |lane: &Lane| lane.has_more(now);
            if result.is_ok()
                && self.feed.is_empty()
                && self.declaring.is_none()
                && !self.lanes.values().any(is_waiting)
            {
                break;
            }
            let of_lane = || self.lanes.values().find_map(|lane| lane.failure.clone());
            failure = result.err().or_else(of_lane);
            if let Some(error) = &failure {
                if !error.is_passing() {
                    break;
                }
                self.partitions = None;
                thread::sleep(SHORT_WAIT);
            }
        }
        if self.is_done() {
            return;
        }
        let refused = || {
            Some(KafkaError::RecordRefused(self.lanes.values().find_map(|lane| lane.suspects.first())?.refused.clone()))
        };
        let why =
            failure.or_else(refused).map_or_else(|| "the time was too short".to_owned(), |error| error.to_string());
        log::warn!("not all was published, the rest stays in the spool for the next start: {why}");
    }

    /// Sends what is pending and what the spool has beside it. Returns how many events were acknowledged.
    fn step(&mut self, wait: Duration) -> Result<usize, KafkaError> {
        let is_retry = self.lanes.values().any(|lane| lane.failure.is_some()) && Instant::now() >= self.retry_at;
        // First the partitions, so that nothing is taken that has no place to go. What failed may have another leader by now.
        let partitions = self.partition_count(is_retry)?;
        self.finish_declaring();
        self.refill(partitions, is_retry)?;
        let fullest = self.lanes.values().filter(|lane| lane.may_send(false)).map(|lane| lane.pending.len()).max();
        let room = MOST_EVENTS.saturating_sub(fullest.unwrap_or(0));
        let events = self.feed.take(room, self.wait(wait, is_retry)).map_err(|error| unreadable(&error))?;
        self.place(events, partitions);
        let acknowledged = self.send(is_retry) + self.try_suspects();
        self.settle(acknowledged);
        self.declare();
        Ok(acknowledged)
    }

    /// How long to wait for new events.
    fn wait(&self, most: Duration, is_retry: bool) -> Duration {
        if self.lanes.values().any(|lane| lane.is_due(is_retry)) {
            Duration::ZERO
        } else if self.declaring.is_some() {
            SHORT_WAIT
        } else if self.lanes.values().any(|lane| lane.failure.is_some()) {
            most.min(self.retry_at.saturating_duration_since(Instant::now()))
        } else {
            most
        }
    }

    fn partition_count(&mut self, is_retry: bool) -> Result<u32, KafkaError> {
        if let Some((partitions, _)) = self.partitions.filter(|(_, asked)| !is_retry && asked.elapsed() < LOOK_EVERY) {
            return Ok(partitions);
        }
        let partitions = self.sender.partition_count(&self.topic)?;
        if self.told != Some(partitions) {
            self.told = Some(partitions);
            self.tell_partitions(partitions);
            self.place_anew(partitions);
        }
        self.partitions = Some((partitions, Instant::now()));
        Ok(partitions)
    }

    /// Gives what is pending the partitions that its keys have now: those it waited for may be gone for good, as a topic
    /// made anew can have fewer. What had arrived all the same is a duplicate, which the consumer ignores.
    fn place_anew(&mut self, partitions: u32) {
        let lanes = std::mem::take(&mut self.lanes);
        if lanes.values().any(|lane| lane.left.is_some()) {
            // What is on disk only was told apart by the partitions before.
            self.declaring = None;
            let oldest = lanes.values().filter_map(Lane::oldest).min();
            self.feed.rewind(oldest.map_or(self.feed.taken(), |(seq, _)| seq - 1));
            return;
        }
        let waiting = |lane: Lane| lane.suspects.into_iter().map(|suspect| suspect.event).chain(lane.pending);
        let mut events: Vec<Stored> = lanes.into_values().flat_map(waiting).collect();
        events.sort_unstable_by_key(|event| event.seq);
        self.place(events, partitions);
    }

    fn place(&mut self, events: impl IntoIterator<Item = Stored>, partitions: u32) {
        for event in events {
            self.lanes.entry(partition_for(&event.key, partitions)).or_default().push(event);
        }
    }

    /// Reads again from disk what partitions had no room for.
    fn refill(&mut self, partitions: u32, is_retry: bool) -> Result<(), KafkaError> {
        for (partition, lane) in &mut self.lanes {
            let Some(left) = lane.left.filter(|_| lane.pending.is_empty() && lane.may_send(is_retry)) else { continue };
            let is_its = |event: &Stored| partition_for(&event.key, partitions) == *partition;
            let read = self.feed.read_again(left.seq, MOST_EVENTS, is_its);
            let (events, next) = read.map_err(|error| unreadable(&error))?;
            lane.refill(events, next);
        }
        Ok(())
    }

    /// A broker that makes topics by itself gives them its own number of partitions, which bounds how many consumers
    /// can share the work.
    fn tell_partitions(&self, partitions: u32) {
        let (topic, wanted) = (&self.topic, self.wanted_partitions);
        if partitions < wanted {
            log::warn!(
                "topic {topic} has {partitions} partitions, kafka.create_topic.partitions says {wanted}; to add them, \
                 run: kafka-topics --bootstrap-server BROKER --alter --topic {topic} --partitions {wanted}"
            );
        } else {
            log::info!("publishing to topic {topic} with {partitions} partitions");
        }
    }

    fn send(&mut self, is_retry: bool) -> usize {
        let due = self.lanes.iter().filter(|(_, lane)| lane.is_due(is_retry));
        let records: Vec<Record<'_>> = due.flat_map(|(partition, lane)| lane.records(*partition)).collect();
        if records.is_empty() {
            return 0;
        }
        crash_point!("publish.begin");
        let delivery = self.sender.send(&self.topic, &records);
        drop(records);
        crash_point!("publish.sent");
        let acknowledged = self.forget(delivery);
        crash_point!("publish.acknowledged");
        acknowledged
    }

    /// Forgets what was acknowledged, and notes what failed.
    fn forget(&mut self, delivery: Delivery) -> usize {
        let (mut acknowledged, mut has_failed) = (0, false);
        for (partition, result) in delivery {
            let Some(lane) = self.lanes.get_mut(&partition) else { continue };
            let done = match result {
                Ok(()) => {
                    lane.failure = None;
                    lane.take_front(usize::MAX)
                }
                Err(KafkaError::RecordRefused(refused)) => {
                    let done = lane.take_front(refused.index);
                    lane.set_aside(&refused);
                    done
                }
                Err(error) => {
                    lane.failure = Some(error);
                    Vec::new()
                }
            };
            has_failed |= lane.failure.is_some();
            acknowledged += self.done(&done);
        }
        if has_failed {
            self.metrics.publish_errors.inc();
            self.retry_at = Instant::now() + self.retry.next_pause();
        } else if self.lanes.values().all(|lane| lane.failure.is_none()) {
            self.retry.reset();
        }
        acknowledged
    }

    /// Notes how long events took that were acknowledged. Returns how many they are.
    fn done(&mut self, events: &[Stored]) -> usize {
        if let (Some(oldest), Some(newest)) = (events.first(), events.last()) {
            self.metrics.publish_lag.observe(UtcTime::now().since(oldest.accepted_at).as_secs_f64());
            self.feed.reached(newest.seq);
        }
        self.metrics.published.inc_by(events.len() as u64);
        events.len()
    }

    /// Sends refused records once more, each alone, where it is time. Not to partitions that fail, as something may be in flight there.
    fn try_suspects(&mut self) -> usize {
        let (now, mut taken) = (Instant::now(), Vec::new());
        for (partition, lane) in self.lanes.iter_mut().filter(|(_, lane)| lane.failure.is_none()) {
            let Some(index) = lane.suspects.iter().position(|suspect| suspect.is_due(now)) else { continue };
            let suspect = &mut lane.suspects[index];
            match self.sender.send(&self.topic, &[record(*partition, &suspect.event)]).remove(partition) {
                Some(Ok(())) => taken.push(lane.suspects.remove(index).event),
                Some(Err(KafkaError::RecordRefused(refused))) => suspect.refused_again(refused, Instant::now()),
                Some(Err(_)) | None => suspect.put_off(now),
            }
        }
        taken.iter().map(|event| self.done(std::slice::from_ref(event))).sum()
    }

    /// Tells the spool what is done with: `newly` more events than before.
    fn settle(&mut self, newly: usize) {
        if newly > 0 {
            let now = Instant::now();
            self.progress.published();
            let suspects = self.lanes.values_mut().flat_map(|lane| &mut lane.suspects);
            suspects.for_each(|suspect| suspect.other_is_taken(now));
        }
        let declaring = self.declaring.iter().flat_map(|declaring| &declaring.suspects);
        let declared = declaring.map(|(_, suspect)| (suspect.event.seq, suspect.event.accepted_at));
        let oldest = self.lanes.values().filter_map(Lane::oldest).chain(declared).min();
        let floor = oldest.map_or(self.feed.taken(), |(seq, _)| seq - 1);
        self.feed.acknowledged(floor, newly, oldest.map(|(_, at)| at));
    }

    /// Begins to declare the records that are given up.
    fn declare(&mut self) {
        if self.declaring.is_some() {
            return;
        }
        let (mut suspects, mut gaps) = (Vec::new(), Vec::new());
        for (partition, lane) in &mut self.lanes {
            for suspect in std::mem::take(&mut lane.suspects) {
                match suspect.gaps() {
                    Some(told) => {
                        gaps.extend(told);
                        suspects.push((*partition, suspect));
                    }
                    None => lane.suspects.push(suspect),
                }
            }
        }
        if suspects.is_empty() {
            return;
        }
        match self.feed.declare_refused(&gaps) {
            Ok(is_durable) => self.declaring = Some(Declaring { suspects, gaps, is_durable }),
            Err(error) => {
                log::warn!("refused events cannot be declared yet: {error}");
                self.take_back(suspects);
            }
        }
    }

    fn take_back(&mut self, suspects: Vec<(i32, Suspect)>) {
        for (partition, suspect) in suspects {
            self.lanes.entry(partition).or_default().suspects.push(suspect);
        }
    }

    /// Once the gaps are durable, the records that they stand for are done with.
    fn finish_declaring(&mut self) {
        let Some(declaring) = self.declaring.take() else { return };
        match declaring.is_durable.try_recv() {
            Err(TryRecvError::Empty) => self.declaring = Some(declaring),
            Err(TryRecvError::Disconnected) => self.take_back(declaring.suspects),
            Ok(()) => {
                declaring.gaps.iter().for_each(|gap| self.metrics.count_gap(gap.reason));
                for (partition, suspect) in &declaring.suspects {
                    let (seq, reason) = (suspect.event.seq, &suspect.refused.reason);
                    log::error!(
                        "event {seq} is given up and declared as a gap (record_refused), partition {partition}: {reason}"
                    );
                }
                self.settle_declared(declaring.suspects.len());
            }
        }
    }

    fn settle_declared(&mut self, count: usize) {
        let oldest = self.lanes.values().filter_map(Lane::oldest).min();
        let floor = oldest.map_or(self.feed.taken(), |(seq, _)| seq - 1);
        self.feed.acknowledged(floor, count, oldest.map(|(_, at)| at));
    }
}

fn unreadable(error: &io::Error) -> KafkaError {
    KafkaError::Refused(format!("the spool cannot be read back: {error}"))
}
