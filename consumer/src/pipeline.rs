//! Reads the partitions that this process holds and has them stored, until the shutdown.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use isitup_shared::crash_point;
use isitup_shared::kafka::{Fetched, KafkaError, OffsetRange, Receiver};
use isitup_shared::retry::Retry;
use isitup_shared::shutdown::Shutdown;

use crate::assignment::{Assignment, Held};
use crate::ingest::Run;
use crate::metrics::Metrics;
use crate::packing::{Queue, next_batch};
use crate::status::{Part, Status};
use crate::store::StoreError;
use crate::store::offsets::Move;
use crate::storer::{Ended, Storer};
use crate::topic_check::{Verdict, compare_range, is_another_topic};
use crate::waiting::Patience;

/// How often the topic is asked for new partitions.
const DISCOVERY: Duration = Duration::from_secs(5);

/// How long a partition may seem to end before our offset until that is believed: a new leader may for a moment not
/// know how far its predecessor was.
const DOUBT: Duration = Duration::from_secs(10);

/// How long ago the last fetch may have begun, by a receiver that does not notice another topic in the place of the one
/// that it reads: within this time one is not deleted, made anew and filled further than the old one was read.
const UNWATCHED: Duration = Duration::from_secs(1);

/// The pause of a pipeline that has nothing to read.
const IDLE: Duration = Duration::from_millis(500);

/// The reading side, and the storer it feeds.
pub(crate) struct Pipeline<'a> {
    /// The topic.
    pub topic: &'a str,
    /// Kafka.
    pub receiver: Box<dyn Receiver>,
    /// The database.
    pub storer: Storer<'a>,
    /// The partitions we hold.
    pub assignment: &'a Assignment,
    /// Where health looks.
    pub status: &'a Status,
    /// Where lag is shown.
    pub metrics: &'a Metrics,
    /// Whether a topic that was made anew is read from its beginning, instead of halting.
    pub accept_new_topic: bool,
    /// The last offsets the topic had, and when it was asked.
    pub discovered: Option<Instant>,
    /// Since when partitions seem to end before our offset.
    pub doubts: BTreeMap<i32, Instant>,
    /// When the last fetch began, unless its partitions are to be looked at before the next.
    pub fetch_begun: Option<Instant>,
}

/// What came of looking at the records before the offsets.
#[derive(Default)]
struct Looked {
    /// What follows them, of the partitions that still are those that were read.
    fetched: Vec<Fetched>,
    /// Why some could not be looked at.
    failure: Option<KafkaError>,
}

/// Why a round was cut short.
enum Trouble {
    Kafka(KafkaError),
    /// The storer has told it already.
    Store,
    Halt(String),
    Ended,
}

impl From<KafkaError> for Trouble {
    fn from(error: KafkaError) -> Self {
        Self::Kafka(error)
    }
}

impl From<StoreError> for Trouble {
    fn from(_: StoreError) -> Self {
        Self::Store
    }
}

impl From<Ended> for Trouble {
    fn from(_: Ended) -> Self {
        Self::Ended
    }
}

impl Pipeline<'_> {
    /// Reads and stores until the shutdown.
    pub(crate) fn run(mut self, shutdown: &Shutdown) {
        let (mut patience, mut retry) = (Patience::new("Kafka"), Retry::for_service());
        let _pulse = self.status.pipeline.begin();
        while !shutdown.is_triggered() {
            self.status.pipeline.beat();
            let result = self.round();
            self.metrics.note_connects(self.receiver.connects());
            match result {
                Ok(()) => {
                    self.status.well(Part::Kafka);
                    patience.succeeded();
                    retry.reset();
                }
                Err(Trouble::Kafka(error)) => {
                    self.metrics.fetch_errors.inc();
                    self.status.trouble(Part::Kafka, error.to_string());
                    patience.failed(&error);
                    retry.pause(shutdown);
                }
                Err(Trouble::Store) => {
                    retry.pause(shutdown);
                }
                Err(Trouble::Ended) => return,
                Err(Trouble::Halt(why)) => {
                    self.halt(&why);
                    while !shutdown.wait(Duration::from_secs(60)) {
                        self.status.pipeline.beat();
                        log::error!("still halted: {why}");
                    }
                }
            }
        }
    }

    fn halt(&self, why: &str) {
        log::error!("{why}");
        self.status.well(Part::Kafka);
        self.status.trouble(Part::Topic, why);
        self.metrics.topic_halted.set(1);
    }

    fn round(&mut self) -> Result<(), Trouble> {
        let is_unchecked = |held: &BTreeMap<i32, Held>| held.values().any(|held| !held.is_checked);
        let held = self.assignment.snapshot();
        self.storer.keep_only(&held);
        if held.is_empty() {
            // What others have now is not to be read ahead here.
            self.receiver.fetch(self.topic, &[])?;
        }
        let mut looked = Looked::default();
        if is_unchecked(&held) || self.discovered.is_none_or(|at| at.elapsed() >= DISCOVERY) {
            let ranges = self.discover()?;
            looked = self.check(&held, &ranges)?;
        }
        self.store(&held, looked.fetched)?;
        let end = looked.failure.map_or(Ok(()), |error| Err(error.into()));
        let held: BTreeMap<i32, Held> =
            self.assignment.snapshot().into_iter().filter(|(_, held)| held.is_checked).collect();
        if held.is_empty() {
            if end.is_ok() {
                self.assignment.wait_for_any(IDLE);
            }
            return end;
        }
        if self.was_unwatched() {
            self.assignment.uncheck_all();
            return end;
        }
        let ready = held.iter().filter(|(partition, _)| !self.storer.waits(**partition));
        let positions: Vec<(i32, i64)> = ready.map(|(partition, held)| (*partition, held.next)).collect();
        if positions.is_empty() {
            self.storer.wait_for_parked(IDLE);
            return end;
        }
        let fetched = self.fetch(&positions).inspect_err(|_| self.assignment.uncheck_all())?;
        crash_point!("store.fetched");
        self.store(&held, fetched)?;
        end
    }

    fn fetch(&mut self, positions: &[(i32, i64)]) -> Result<Vec<Fetched>, KafkaError> {
        self.fetch_begun = Some(Instant::now());
        self.receiver.fetch(self.topic, positions)
    }

    /// While the database was slow or this process was stopped, another topic may have taken the place of the one that is read.
    fn was_unwatched(&mut self) -> bool {
        let is_long_ago = |begun: &mut Instant| begun.elapsed() > UNWATCHED;
        !self.receiver.notices_another_topic() && self.fetch_begun.take_if(is_long_ago).is_some()
    }

    /// Asks the topic for its partitions, and makes sure the table knows them.
    fn discover(&mut self) -> Result<BTreeMap<i32, OffsetRange>, Trouble> {
        let ranges = self.receiver.offsets(self.topic).inspect_err(|_| self.assignment.uncheck_all())?;
        let earliest: Vec<(i32, i64)> = ranges.iter().map(|(partition, range)| (*partition, range.earliest)).collect();
        self.storer.add_partitions(&earliest)?;
        self.discovered = Some(Instant::now());
        Ok(ranges)
    }

    /// Makes sure that partitions still are those whose offsets we hold. A partition that Kafka does not let us look at
    /// stays unchecked, and keeps none of the others from being read; why is what it gives.
    fn check(&mut self, held: &BTreeMap<i32, Held>, ranges: &BTreeMap<i32, OffsetRange>) -> Result<Looked, Trouble> {
        let mut anchored = BTreeMap::new();
        for (partition, held) in held.iter().filter(|(_, held)| !held.is_checked) {
            let Some(range) = ranges.get(partition) else { continue };
            let verdict = compare_range(held, *range);
            if !matches!(verdict, Verdict::Shorter { .. }) {
                self.doubts.remove(partition);
            }
            match verdict {
                Verdict::Same => self.assignment.set_checked(*partition, held.epoch, true),
                Verdict::NeedsAnchor => {
                    anchored.insert(*partition, (held, range.earliest));
                }
                Verdict::Truncated { earliest } => self.skip_truncated(*partition, held, earliest)?,
                Verdict::Shorter { latest } => {
                    let since = *self.doubts.entry(*partition).or_insert_with(Instant::now);
                    if since.elapsed() < DOUBT && !self.accept_new_topic {
                        let message = format!("partition {partition} ends at offset {latest}, {} was read", held.next);
                        return Err(Trouble::Kafka(KafkaError::LeaderMoving(message)));
                    }
                    let why = format!("it ends at offset {latest}, but {} offsets of it were read", held.next);
                    self.meet_new_topic(*partition, held, range.earliest, &why)?;
                }
            }
        }
        self.check_anchors(&anchored)
    }

    /// Looks whether the last records that were read are still there, in one call for all partitions.
    fn check_anchors(&mut self, anchored: &BTreeMap<i32, (&Held, i64)>) -> Result<Looked, Trouble> {
        if anchored.is_empty() {
            // To read nothing would end what is being read ahead.
            return Ok(Looked::default());
        }
        let positions: Vec<(i32, i64)> =
            anchored.iter().map(|(partition, (held, _))| (*partition, held.next - 1)).collect();
        let mut looked = Looked::default();
        for answer in self.fetch(&positions)? {
            let Some((held, earliest)) = anchored.get(&answer.partition) else { continue };
            match answer.messages {
                Ok(messages) if is_another_topic(held, &messages) => {
                    let why = format!("the record at offset {} is not the one that was read", held.next - 1);
                    self.meet_new_topic(answer.partition, held, *earliest, &why)?;
                }
                Ok(mut messages) => {
                    self.assignment.set_checked(answer.partition, held.epoch, true);
                    messages.retain(|message| message.offset >= held.next);
                    looked.fetched.push(Fetched { messages: Ok(messages), ..answer });
                }
                // It stays unchecked, and is looked at again.
                Err(KafkaError::PerhapsAnotherTopic) => {}
                Err(error) => looked.failure = Some(error),
            }
        }
        Ok(looked)
    }

    fn skip_truncated(&mut self, partition: i32, held: &Held, earliest: i64) -> Result<(), Trouble> {
        let (first, last) = (held.next, earliest - 1);
        log::error!(
            "Kafka no longer has offsets {first} to {last} of partition {partition}, which were not read yet: \
             the topic's retention is shorter than this consumer was away; audit names what is missing"
        );
        self.storer.skip(move_to(partition, held, earliest), (first, Some(last)))?;
        Ok(())
    }

    /// The topic was deleted and made anew, or a replica that lacked records became the leader: either way its offsets
    /// mean other records now.
    fn meet_new_topic(&mut self, partition: i32, held: &Held, earliest: i64, why: &str) -> Result<(), Trouble> {
        let topic = self.topic;
        if !self.accept_new_topic {
            return Err(Trouble::Halt(format!(
                "topic {topic} is halted: partition {partition} is not the one that was read: {why}. Either the topic was made \
                 anew, or its log was cut by an unclean leader election, or somebody moved the offset by hand, which audit tells. To store what the topic has now, from its \
                 beginning, start once by: isitup-consumer run --accept-new-topic; then audit names what was lost unread"
            )));
        }
        log::warn!(
            "partition {partition} of {topic} begins anew at offset {earliest}, as --accept-new-topic says: {why}"
        );
        self.doubts.remove(&partition);
        self.storer.skip(move_to(partition, held, earliest), (held.next, None))?;
        Ok(())
    }

    fn store(&mut self, held: &BTreeMap<i32, Held>, fetched: Vec<Fetched>) -> Result<(), Trouble> {
        let mut queues: BTreeMap<i32, Queue> = BTreeMap::new();
        let mut latest = BTreeMap::new();
        let mut failure = None;
        for answer in fetched {
            let Some(position) = held.get(&answer.partition) else { continue };
            latest.extend(answer.latest.map(|latest| (answer.partition, latest)));
            match answer.messages {
                Ok(messages) => {
                    let (partition, epoch, expected) = (answer.partition, position.epoch, position.next);
                    queues.insert(partition, Queue { partition, epoch, expected, messages: messages.into() });
                }
                Err(error) => {
                    self.assignment.set_checked(answer.partition, position.epoch, false);
                    failure = Some(error);
                }
            }
        }
        let mut queues: VecDeque<Queue> = queues.into_values().collect();
        while let Some(batch) = next_batch(&mut queues) {
            let still_held = self.assignment.snapshot();
            // One that is lost is another's; one that waits, or was read further, does not stand where this run begins.
            let is_held = |run: &&Run| {
                still_held.get(&run.partition).is_some_and(|h| (h.epoch, h.next) == (run.epoch, run.expected))
            };
            let others: Vec<i32> = batch.runs.iter().filter(|run| !is_held(run)).map(|run| run.partition).collect();
            self.storer.store(batch.without(&others))?;
        }
        for (partition, next) in self.assignment.positions() {
            if let Some(latest) = latest.get(&partition) {
                self.metrics.set_lag(partition, (latest - next).max(0));
            }
        }
        // Whether it was truncated or made anew is told by the next round's check.
        let is_for_check =
            |error: &KafkaError| matches!(error, KafkaError::OffsetOutOfRange | KafkaError::PerhapsAnotherTopic);
        failure.filter(|error| !is_for_check(error)).map_or(Ok(()), |error| Err(error.into()))
    }
}

fn move_to(partition: i32, held: &Held, next: i64) -> Move {
    Move { partition, epoch: held.epoch, expected: held.next, next, anchor: None }
}
