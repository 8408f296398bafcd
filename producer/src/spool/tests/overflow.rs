//! Spools that outgrow their size while Kafka is away.

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use isitup_shared::config::{Format, SpoolConfig};
use isitup_shared::event::Draft;
use isitup_shared::event::{Body, FailureKind, Gap, GapReason, Outcome, TimeSpan, decode};
use isitup_shared::time::UtcTime;

use super::super::Spool;
use super::super::room::BEYOND_MAX_SIZE;
use super::{Running, SOON, Stored, at, config, draft, open};

/// Bytes that the spool takes on disk.
fn taken(config: &SpoolConfig) -> u64 {
    let files = fs::read_dir(&config.path).unwrap().filter_map(|entry| entry.ok()?.metadata().ok());
    files.map(|metadata| metadata.blocks() * 512).sum()
}

/// What came out of a spool that had overflowed.
#[derive(Default)]
struct Outcomes {
    seen: BTreeSet<u64>,
    declared: BTreeSet<u64>,
    slots: BTreeSet<UtcTime>,
    downs: i64,
    spans: Vec<TimeSpan>,
    gaps: usize,
}

impl Outcomes {
    /// Takes all that `running` has, beginning with `events`, which were taken already.
    fn take_all(running: &mut Running, mut events: Vec<Stored>) -> Self {
        let mut outcomes = Self::default();
        let total = running.handle.gauge().events();
        if events.is_empty() {
            events = running.take_some();
        }
        loop {
            events.iter().for_each(|event| outcomes.note(event));
            let last = events.last().expect("fewer events came than the spool says it has");
            running.feed.acknowledged(last.seq, events.len(), None);
            if i64::try_from(outcomes.seen.len()).unwrap() >= total {
                return outcomes;
            }
            events = running.take_some();
        }
    }

    fn note(&mut self, event: &Stored) {
        assert!(self.seen.insert(event.seq), "{} came twice", event.seq);
        match decode(&event.message).unwrap().body {
            Body::Gap(Gap { reason: GapReason::SpoolFull, seqs, span }) => {
                self.gaps += 1;
                self.declared.extend(seqs.map_or(0..0, |range| range.first..range.last + 1));
                self.spans.extend(span);
            }
            Body::Check(check) => {
                self.slots.insert(check.scheduled_at);
                self.downs += i64::from(check.outcome != Outcome::Up);
            }
            _ => {}
        }
    }

    /// Every number and every slot of `seconds` was given out or declared, no number both.
    #[track_caller]
    fn assert_complete(&self, seconds: Range<i64>) {
        assert!(!self.declared.is_empty());
        assert!(self.seen.is_disjoint(&self.declared), "an event that is declared gone was given out");
        let all: BTreeSet<u64> = self.seen.union(&self.declared).copied().collect();
        assert_eq!(all, (1..=*all.last().unwrap()).collect(), "a number is neither given out nor declared");
        let mut spans: Vec<(UtcTime, UtcTime)> = self.spans.iter().map(|span| (span.from, span.to)).collect();
        spans.sort_unstable();
        let reach: Vec<UtcTime> = spans
            .iter()
            .scan(UtcTime::EPOCH, |reach, (_, to)| {
                *reach = (*reach).max(*to);
                Some(*reach)
            })
            .collect();
        // One that began before and reaches beyond; wide enough for these tests, where spans grow with the slots.
        let is_declared = |slot: &UtcTime| {
            let after = spans.partition_point(|(from, _)| from <= slot);
            after > 0 && reach[after - 1] >= *slot
        };
        let lost: Vec<UtcTime> =
            seconds.map(at).filter(|slot| !self.slots.contains(slot) && !is_declared(slot)).collect();
        assert_eq!(lost, [], "slots are neither given out nor declared");
    }
}

#[test]
fn a_full_spool_drops_the_oldest_ups_first_and_declares_them_all() {
    let folder = tempfile::tempdir().unwrap();
    let config = SpoolConfig { max_size: 16 << 20, ..config(folder.path()) };
    let mut running = open(&config);
    let down = || Outcome::down(FailureKind::Dns, "no such name");
    let count = 120_000;
    let put = |running: &Running, seconds: Range<i64>| {
        for second in seconds {
            let outcome = if second % 1000 == 0 { down() } else { Outcome::Up };
            running.intake.put(draft(second, outcome), Vec::new());
        }
    };
    // The publisher has the first ones in its hands: nobody can tell whether Kafka has them, too.
    put(&running, 0..500);
    let events = running.take(500);
    put(&running, 500..count);
    running.handle.flush(Instant::now() + SOON);
    running.put(1);

    let outcomes = Outcomes::take_all(&mut running, events);
    outcomes.assert_complete(0..count);
    assert_eq!(outcomes.downs, count / 1000, "an outage was dropped while there were ups");
    let spans = &outcomes.spans;
    assert!(spans.iter().all(|span| span.sites.as_deref() == Some(&["site".into()])), "{spans:?}");
}

#[test]
fn a_spool_stays_within_its_size_however_short_the_runs_of_ups_are() {
    let folder = tempfile::tempdir().unwrap();
    let config = SpoolConfig { max_size: 16 << 20, ..config(folder.path()) };
    let mut running = open(&config);
    let down = || Outcome::down(FailureKind::Dns, "no such name");
    let count = 200_000;
    let mut most = 0;
    for second in 0..count {
        let outcome = if second % 2 == 0 { Outcome::Up } else { down() };
        running.intake.put(draft(second, outcome), Vec::new());
        if second % 5000 == 0 {
            most = most.max(taken(&config));
        }
    }
    running.handle.flush(Instant::now() + SOON);
    running.put(1);
    most = most.max(taken(&config));
    assert!(most <= config.max_size + BEYOND_MAX_SIZE, "{most} bytes were taken");
    let outcomes = Outcomes::take_all(&mut running, Vec::new());
    outcomes.assert_complete(0..count);
    running.finish();
    assert_eq!(open(&config).declared, [], "all that is gone was declared");
}

#[test]
fn gaps_that_outlive_their_results_are_joined_when_they_take_too_much() {
    let folder = tempfile::tempdir().unwrap();
    let config = SpoolConfig { max_size: 16 << 20, ..config(folder.path()) };
    let mut running = open(&config);
    // Kafka holds nothing of it, and nothing of it is a result: spans that nobody could check, as a hanging site makes them.
    let overrun = |second| {
        Draft::new(
            &Body::Gap(Gap::of_span(GapReason::Overrun, at(second), at(second), Some(["site".into()].into()))),
            Format::Json,
        )
    };
    let count = 120_000;
    let mut most = 0;
    for second in 0..count {
        running.intake.put(overrun(second), Vec::new());
        if second % 5000 == 0 {
            most = most.max(taken(&config));
        }
    }
    running.handle.flush(Instant::now() + SOON);
    running.put(1);
    assert!(most.max(taken(&config)) <= config.max_size + BEYOND_MAX_SIZE, "{most} bytes were taken");
    let outcomes = Outcomes::take_all(&mut running, Vec::new());
    assert!(outcomes.gaps < 100, "{} gaps", outcomes.gaps);
    assert!(!outcomes.declared.is_empty() && outcomes.seen.is_disjoint(&outcomes.declared));
}

/// A spool of results and four times as many gaps, which declare half of the results gone.
fn of_gaps(config: &SpoolConfig, gaps: u64) {
    let running = open(config);
    running.put(i64::try_from(gaps / 4).unwrap());
    for number in 0..gaps {
        let gone = 2 * (number % (gaps / 8)) + 1;
        let gap = Gap::of_seqs(GapReason::SpoolFull, gone, gone);
        running.intake.put(Draft::new(&Body::Gap(gap), Format::Json), Vec::new());
    }
    running.finish();
}

#[test]
fn a_spool_of_100_000_events_and_80_000_gaps_opens() {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        for gaps in [20_000, 40_000, 80_000] {
            let folder = tempfile::tempdir().unwrap();
            let config = config(folder.path());
            of_gaps(&config, gaps);
            let spool = Spool::open(&config, "here", Format::Json).unwrap();
            let _ = done.send(spool.declared.len());
        }
    });
    // With work that grows by the square, the last takes some minutes.
    for _ in 0..3 {
        assert_eq!(is_done.recv_timeout(Duration::from_secs(90)).expect("it is still opening"), 0);
    }
}
