//! The power fails while a producer works. `strace` tells what the real producer writes and syncs; from that, the spool's
//! folder is built as a disk may have it afterwards, at many moments: what was synced, and any part of the rest, torn in
//! sectors, with new names there or not. The spool must open on each of them, and have all that it ever stood for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use isitup_producer::spool::{Ledger, Spool, Stored};
use isitup_shared::config::{Format, SpoolConfig};
use isitup_shared::event::{Body, Check, Draft, Gap, GapReason, decode};
use isitup_shared::shutdown::Shutdown;
use isitup_shared::time::UtcTime;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::disk::{Disk, Luck, Remains};
use crate::harness::trace::{Call, Moment, Trace, watched};
use crate::harness::{Pipeline, Service, eventually, shared_servers, site};

/// An event's number and message, and the slot of a check.
type Told = BTreeMap<u64, (Vec<u8>, Option<UtcTime>)>;

/// What the producer stood for at one moment.
#[derive(Clone, Debug, Default)]
struct Word {
    /// Up to this number all was published before it began.
    base: u64,
    /// Numbers that were surely on the disk.
    kept: BTreeSet<u64>,
    /// Numbers that had been handed to Kafka, perhaps.
    sent: BTreeSet<u64>,
    /// Numbers that Kafka had acknowledged.
    acknowledged: BTreeSet<u64>,
}

/// Follows a trace, and knows at each moment what the producer stands for.
struct Witness<'a> {
    disk: Disk,
    word: Word,
    kafka: &'a str,
    /// Every event that was ever written.
    told: Told,
    /// Events that are written and not yet surely kept: number, place and message.
    under_way: Vec<(u64, (usize, usize), Vec<u8>)>,
    /// Numbers on their way to Kafka, by connection.
    unanswered: BTreeMap<String, BTreeSet<u64>>,
}

/// A moment of power loss.
struct Cut {
    moment: usize,
    luck: Luck,
    remains: Option<Remains>,
    word: Arc<Word>,
}

const MOST_CUTS_AT_ONCE: usize = 200;

impl<'a> Witness<'a> {
    /// Of a producer on `disk`, all of whose numbers up to `base` were published before, with Kafka at `kafka`.
    fn of(disk: Disk, base: u64, kafka: &'a str) -> Self {
        let word = Word { base, ..Word::default() };
        Self { disk, word, kafka, told: Told::new(), under_way: Vec::new(), unanswered: BTreeMap::new() }
    }

    /// Every event that is written in the whole of `trace`.
    fn told_by(mut self, trace: &Trace) -> Told {
        for moment in &trace.moments {
            self.look(*moment, trace);
        }
        self.told
    }

    /// Goes on to `moment`. Says whether a power loss is now another one than before, and whose moment it is.
    fn look<'t>(&mut self, moment: Moment, trace: &'t Trace) -> (bool, &'t Call) {
        match moment {
            Moment::Begin(call) => (self.begin(&trace.calls[call]), &trace.calls[call]),
            Moment::End(call) => (self.end(&trace.calls[call]), &trace.calls[call]),
        }
    }

    /// Takes a call in. Says whether a power loss is now another one than before.
    fn begin(&mut self, call: &Call) -> bool {
        if call.on.contains(self.kafka) {
            let numbers: BTreeSet<u64> = call.strings.iter().flat_map(|sent| numbers_in(sent)).collect();
            let unsafe_ones: Vec<u64> =
                numbers.iter().copied().filter(|n| *n > self.word.base && !self.word.kept.contains(n)).collect();
            assert!(unsafe_ones.is_empty(), "handed to Kafka before the disk surely had them: {unsafe_ones:?}");
            self.unanswered.entry(call.on.clone()).or_default().extend(&numbers);
            self.word.sent.extend(numbers);
            return false;
        }
        let is_other = self.disk.begin(call);
        if let (true, Some(place), [written]) = (is_other, self.disk.place_of(call), call.strings.as_slice()) {
            let events: Vec<(usize, u64, Vec<u8>)> =
                events_in(written).filter(|(_, seq, _)| !self.told.contains_key(seq)).collect();
            let waiting: Vec<u64> = self.under_way.iter().map(|(seq, _, _)| *seq).collect();
            assert!(events.is_empty() || waiting.is_empty(), "written on before the disk surely had {waiting:?}");
            for (at, seq, message) in events {
                let slot = decode(&message).ok().and_then(|event| match event.body {
                    Body::Check(check) => Some(check.scheduled_at),
                    _ => None,
                });
                self.under_way.push((seq, (place.0, place.1 + at), message.clone()));
                self.told.insert(seq, (message, slot));
            }
        }
        is_other
    }

    fn end(&mut self, call: &Call) -> bool {
        if call.on.contains(self.kafka) {
            if call.name.starts_with("recv") && call.result.is_some_and(|length| length > 0) {
                self.word.acknowledged.append(self.unanswered.entry(call.on.clone()).or_default());
            }
            return false;
        }
        let is_other = self.disk.end(call);
        if is_other {
            let (disk, word) = (&self.disk, &mut self.word);
            self.under_way.retain(|(seq, place, message)| {
                let is_kept = disk.surely_has(*place, message);
                if is_kept {
                    word.kept.insert(*seq);
                }
                !is_kept
            });
        }
        is_other
    }
}

/// The numbers of the events in a request to Kafka.
fn numbers_in(sent: &[u8]) -> Vec<u64> {
    const WORD: &[u8] = b"\"seq\":";
    let places =
        (0..sent.len().saturating_sub(WORD.len())).filter(|at| sent[*at] == b'"' && sent[*at..].starts_with(WORD));
    let digits = |at: usize| sent[at + WORD.len()..].iter().take_while(|byte| byte.is_ascii_digit());
    places.filter_map(|at| String::from_utf8(digits(at).copied().collect()).ok()?.parse().ok()).collect()
}

/// The events among what is written to a file: where each begins, its number, its message. Knows the events' JSON and
/// nothing of how the spool frames them.
fn events_in(written: &[u8]) -> impl Iterator<Item = (usize, u64, Vec<u8>)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let begin = at + written.get(at..)?.windows(5).position(|word| word == b"{\"v\":")?;
            let mut values = serde_json::Deserializer::from_slice(&written[begin..]).into_iter::<Value>();
            at = begin + 5;
            if let Some(Ok(event)) = values.next()
                && let Some(seq) = event["seq"].as_u64()
            {
                at = begin + values.byte_offset();
                return Some((begin, seq, written[begin..at].to_vec()));
            }
        }
    })
}

/// What a spool has after a power loss, seen as its neighbours see it.
struct Reopened {
    settled: Option<UtcTime>,
    declared: Vec<Gap>,
    events: Vec<Stored>,
    /// The first number that is given to a result.
    next: u64,
}

fn reopen(folder: &Path) -> Result<Reopened, String> {
    let config = SpoolConfig { path: folder.to_owned(), max_size: 1 << 30 };
    let spool = Spool::open(&config, "tests", Format::Json).map_err(|error| format!("it does not open: {error}"))?;
    let (settled, declared) = (spool.settled, spool.declared.clone());
    // The end has come already: nothing waits.
    let shutdown = Shutdown::new();
    shutdown.trigger();
    let (intake, mut feed, handle) = spool.start(Arc::new(Ledger::default()), shutdown).unwrap();
    intake.put(
        Draft::new(&Body::Check(Box::new(Check::up("probe", "https://example.com/", UtcTime::EPOCH))), Format::Json),
        Vec::new(),
    );
    let mut events = Vec::new();
    for _ in 0..1000 {
        let taken =
            feed.take(10_000, Duration::from_millis(20)).map_err(|error| format!("it gives nothing out: {error}"))?;
        feed.acknowledged(feed.taken(), taken.len(), None);
        events.extend(taken);
        if events.last().is_some_and(|event: &Stored| event.key == b"probe") {
            break;
        }
    }
    handle.finish();
    let next = events.pop().filter(|event| event.key == b"probe").ok_or("it gives out no new event")?.seq;
    Ok(Reopened { settled, declared, events, next })
}

/// What is wrong with the spool that a power loss left in `folder`.
fn faults(folder: &Path, word: &Word, told: &Told) -> Result<Vec<String>, String> {
    let after = reopen(folder)?;
    let mut faults = Vec::new();
    let is_told = |event: &Stored| told.get(&event.seq).is_some_and(|(message, _)| *message == event.message);
    let (old, new): (Vec<&Stored>, Vec<&Stored>) = after.events.iter().partition(|event| is_told(event));
    let gap_of = |event: &Stored| match decode(&event.message).ok()?.body {
        Body::Gap(gap) => gap.seqs.map(|seqs| (gap.reason, seqs.first, seqs.last)),
        _ => None,
    };
    let gaps: Vec<(GapReason, u64, u64)> = after.events.iter().filter_map(gap_of).collect();
    let dropped = |seq: u64| {
        gaps.iter().any(|(why, first, last)| *why == GapReason::SpoolFull && (*first..=*last).contains(&seq))
    };

    let kept: BTreeSet<u64> = old.iter().map(|event| event.seq).collect();
    let is_lost = |seq: &&u64| !kept.contains(seq) && !word.acknowledged.contains(seq) && !dropped(**seq);
    let lost: Vec<&u64> = word.kept.iter().filter(is_lost).collect();
    if !lost.is_empty() {
        faults.push(format!("kept before, lost now: {lost:?}"));
    }
    let highest = word.sent.last().copied().unwrap_or(0).max(word.base);
    for event in new {
        if gap_of(event).is_none() {
            faults.push(format!("an event that nobody made: {}", String::from_utf8_lossy(&event.message)));
        }
        if event.seq <= highest {
            faults.push(format!("the number {} is given again, although {highest} was handed to Kafka", event.seq));
        }
    }
    if after.next <= highest {
        faults.push(format!("the number {} is given again, although {highest} was handed to Kafka", after.next));
    }
    for range in after.declared.iter().filter_map(|gap| gap.seqs) {
        if let Some(seq) = word.sent.range(range.first..=range.last).next() {
            faults.push(format!("declared lost, although handed to Kafka: {seq}"));
        }
    }
    let mut covered: Vec<(u64, u64)> = gaps.iter().map(|(_, first, last)| (*first, *last)).collect();
    covered.extend(
        after.events.iter().map(|event| event.seq).chain(word.acknowledged.iter().copied()).map(|seq| (seq, seq)),
    );
    covered.push((0, word.base));
    covered.sort_unstable();
    let covered_to = covered.iter().fold(0, |to, (first, last)| if *first <= to + 1 { to.max(*last) } else { to });
    if covered_to + 1 < after.next {
        faults.push(format!("{} is neither kept nor acknowledged nor declared", covered_to + 1));
    }
    let is_known = |seq: u64| kept.contains(&seq) || word.acknowledged.contains(&seq) || dropped(seq);
    match after.settled {
        Some(settled) => {
            let is_open = |(seq, (_, slot)): &(&u64, &(Vec<u8>, Option<UtcTime>))| {
                slot.is_some_and(|slot| slot < settled) && !is_known(**seq)
            };
            if let Some((seq, (_, slot))) = told.iter().find(is_open) {
                faults.push(format!("settled until {settled}, but {seq} of slot {slot:?} is lost"));
            }
        }
        None if word.kept.iter().any(|seq| told[seq].1.is_some()) => faults.push("it forgot the settled time".into()),
        None => {}
    }
    let again = Spool::open(&SpoolConfig { path: folder.to_owned(), max_size: 1 << 30 }, "tests", Format::Json)
        .map_err(|e| e.to_string())?;
    if !again.declared.is_empty() {
        faults.push(format!("declared once more at the next start: {:?}", again.declared));
    }
    Ok(faults)
}

/// The runs of a producer on one spool.
struct Runs<'a> {
    pipeline: &'a Pipeline<'a>,
    disk: Disk,
    base: u64,
    logs: TempDir,
    count: usize,
    trace: Trace,
}

impl<'a> Runs<'a> {
    fn of(pipeline: &'a Pipeline<'a>, base: u64) -> Self {
        let (disk, logs) = (Disk::at(&pipeline.spool()), tempfile::tempdir().unwrap());
        Self { pipeline, disk, base, logs, count: 0, trace: Trace::default() }
    }

    /// Runs a producer with Kafka at `broker`, until `end` has ended it.
    fn run(&mut self, broker: &str, end: impl FnOnce(Service)) {
        self.count += 1;
        let log = self.logs.path().join(self.count.to_string());
        let mut command = self.pipeline.command("isitup-producer", &[]);
        command.env("ISITUP__KAFKA__BROKERS", broker);
        let producer = Service::start("the producer", watched(&command, &log));
        let process = producer.process();
        end(producer);
        eventually("strace has told all", || Trace::is_complete(&log, process));
        let kafka = format!("->{broker}]");
        self.trace.read(&log, &[self.pipeline.folder().to_str().unwrap(), &kafka]);
    }

    /// Cuts the power at each `every`th moment at which it makes a difference, and at all moments that have to do with
    /// names; each time with nothing of what was not synced, with all of it, and with some of it.
    fn survive_power_loss(self, broker: &str, every: usize) {
        let (trace, kafka) = (self.trace, format!("->{broker}]"));
        let told = Witness::of(self.disk.clone(), self.base, &kafka).told_by(&trace);
        let mut witness = Witness::of(self.disk, self.base, &kafka);
        let (mut cuts, mut differences, mut count, mut found) = (Vec::new(), 0, 0, Vec::new());
        for (number, moment) in trace.moments.iter().enumerate() {
            let (is_other, call) = witness.look(*moment, &trace);
            differences += usize::from(is_other);
            let concerns_names = !matches!(call.name.as_str(), "pwrite64" | "fdatasync");
            if is_other && (concerns_names || differences.is_multiple_of(every)) {
                let word = Arc::new(witness.word.clone());
                let seed = number as u64;
                for luck in [Luck::Nothing, Luck::Everything, Luck::Some(seed), Luck::Some(!seed)] {
                    let remains = witness.disk.after_power_loss(luck);
                    cuts.push(Cut { moment: number, luck, remains, word: Arc::clone(&word) });
                }
            }
            // Each holds whole files: not too many of them at once.
            if cuts.len() >= MOST_CUTS_AT_ONCE || number + 1 == trace.moments.len() {
                count += cuts.len();
                found.extend(examine(&std::mem::take(&mut cuts), &trace, &told));
            }
        }
        witness.disk.assert_is_as(&self.pipeline.spool());
        let word = witness.word;
        eprintln!(
            "{} events, {} handed to Kafka, {} calls, {differences} moments, {count} power losses",
            told.len(),
            word.sent.len(),
            trace.calls.len(),
        );
        assert!(word.sent.len() > 100 && count > 100, "too little happened to prove anything");
        let few: Vec<String> = found.iter().take(5).map(|fault| fault.chars().take(600).collect()).collect();
        assert!(found.is_empty(), "{} of {count} power losses do harm, such as\n{}", found.len(), few.join("\n"));
    }
}

/// What is wrong after these power losses.
fn examine(cuts: &[Cut], trace: &Trace, told: &Told) -> Vec<String> {
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let memory = tempfile::tempdir_in(if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" }).unwrap();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some(cut) = cuts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let folder = tempfile::tempdir_in(memory.path()).unwrap();
                    let spool = folder.path().join("spool");
                    if let Some(remains) = &cut.remains {
                        remains.build(&spool);
                    }
                    let faults = faults(&spool, &cut.word, told).unwrap_or_else(|fault| vec![fault]);
                    if !faults.is_empty() {
                        let (Moment::Begin(call) | Moment::End(call)) = trace.moments[cut.moment];
                        let call = &trace.calls[call];
                        let at = format!("at {:?}, {} on {}", trace.moments[cut.moment], call.name, call.on);
                        found.lock().unwrap().push(format!("{at}, with {:?}: {}", cut.luck, faults.join("; ")));
                    }
                }
            });
        }
    });
    found.into_inner().unwrap()
}

/// Sites whose results are long, so that segments are soon full.
fn wordy<'a>(pipeline: Pipeline<'a>, site: &site::Site) -> Pipeline<'a> {
    // Each backslash of a query takes two bytes in JSON.
    let url = format!("{}?{}", site.url(), "\\".repeat(2000));
    (0..40).fold(pipeline.every(Duration::from_millis(200)), |pipeline, n| pipeline.site(&format!("wordy {n}"), &url))
}

/// In plaintext on every lane: what goes to Kafka is read from the calls that send it.
fn readable(name: &str) -> Pipeline<'static> {
    Pipeline::new(name).broker_behind(shared_servers().kafka().to_owned())
}

#[test]
fn whatever_a_power_loss_leaves_of_a_new_spool_nothing_that_was_kept_is_lost_and_no_number_comes_twice() {
    let site = site::well("hello");
    let pipeline = readable("power_loss").every(Duration::from_millis(100));
    let pipeline = ["a", "b", "c"].iter().fold(pipeline, |pipeline, name| pipeline.site(name, site.url()));
    let _consumer = pipeline.consumer();
    let broker = pipeline.broker().to_owned();
    let mut runs = Runs::of(&pipeline, 0);
    runs.run(&broker, |producer| {
        producer.wait_until_published(150);
        producer.kill9();
    });
    runs.run(&broker, |producer| {
        producer.wait_until_published(100);
        assert_eq!(producer.sigterm().code, Some(0));
    });
    pipeline.prove_stored();
    runs.survive_power_loss(&broker, 5);
}

#[test]
#[ignore = "long: make test-faults runs it"]
fn whatever_a_power_loss_leaves_of_a_busy_spool_nothing_that_was_kept_is_lost_and_no_number_comes_twice() {
    let site = site::well("hello");
    let pipeline = wordy(readable("power_loss_busy"), &site);
    pipeline.topic().create();
    let broker = pipeline.broker().to_owned();
    // A spool that is about to reserve more numbers.
    let base = 65_500;
    fill(&pipeline.spool(), base);
    let mut runs = Runs::of(&pipeline, base);
    runs.run(&broker, |producer| {
        producer.wait_until_published(1500);
        assert_eq!(producer.sigterm().code, Some(0));
    });
    runs.run("127.0.0.1:1", |producer| {
        eventually("events wait", || producer.metric("isitup_spool_events") > 800.0);
        producer.kill9();
    });
    runs.run(&broker, |producer| {
        producer.wait_until_published(1500);
        producer.kill9();
    });
    runs.survive_power_loss(&broker, 3);
}

/// Makes a spool in `folder` that has seen `count` events, all of them acknowledged.
fn fill(folder: &Path, count: u64) {
    let config = SpoolConfig { path: folder.to_owned(), max_size: 1 << 30 };
    let spool = Spool::open(&config, "tests", Format::Json).unwrap();
    let (intake, mut feed, handle) = spool.start(Arc::new(Ledger::default()), Shutdown::new()).unwrap();
    let check = Check::up("a", "https://example.com/", UtcTime::EPOCH);
    let draft = Draft::new(&Body::Check(Box::new(check)), Format::Json);
    (0..count).for_each(|_| intake.put(draft.clone(), Vec::new()));
    while feed.taken() < count {
        let events = feed.take(10_000, Duration::from_millis(50)).unwrap();
        feed.acknowledged(feed.taken(), events.len(), None);
    }
    handle.finish();
}
