//! The spool as its neighbours use it, on real files, also damaged ones.

mod damage;
mod meddling;
mod overflow;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use isitup_shared::config::{Format, SpoolConfig};
use isitup_shared::event::{Body, Check, Draft, Gap, Outcome, decode};
use isitup_shared::shutdown::Shutdown;
use isitup_shared::time::UtcTime;

use super::{Feed, Intake, Ledger, Spool, SpoolError, SpoolHandle, Stored};

const SOON: Duration = Duration::from_secs(20);

fn at(second: i64) -> UtcTime {
    UtcTime::from_micros(1_795_228_000_000_000 + second * 1_000_000)
}

/// Of either format: a spool may hold both.
fn draft(second: i64, outcome: Outcome) -> Draft {
    let format = if second % 3 == 1 { Format::Json } else { Format::Avro };
    let url = "https://example.com/";
    let check = Check { outcome, status: Some(200), ..Check::up("site", url, at(second)) };
    Draft::new(&Body::Check(Box::new(check)), format)
}

struct Running {
    intake: Intake,
    feed: Feed,
    handle: SpoolHandle,
    ledger: Arc<Ledger>,
    declared: Vec<Gap>,
    settled: Option<UtcTime>,
    producer_id: uuid::Uuid,
}

fn config(folder: &Path) -> SpoolConfig {
    SpoolConfig { path: folder.join("spool"), max_size: 1 << 30 }
}

fn open(config: &SpoolConfig) -> Running {
    let spool = Spool::open(config, "here", Format::Json).unwrap();
    let (declared, settled, producer_id) = (spool.declared.clone(), spool.settled, spool.producer_id);
    let ledger = Arc::new(Ledger::default());
    let (intake, feed, handle) = spool.start(Arc::clone(&ledger), Shutdown::new()).unwrap();
    Running { intake, feed, handle, ledger, declared, settled, producer_id }
}

impl Running {
    fn put(&self, count: i64) {
        for second in 0..count {
            self.intake.put(draft(second, Outcome::Up), Vec::new());
        }
        self.handle.flush(Instant::now() + SOON);
    }

    /// Takes until `count` events have come.
    fn take(&mut self, count: usize) -> Vec<Stored> {
        let deadline = Instant::now() + SOON;
        let mut events = Vec::new();
        while events.len() < count && Instant::now() < deadline {
            events.extend(self.feed.take(count - events.len(), Duration::from_millis(50)).unwrap());
        }
        events
    }

    /// Takes what comes next.
    fn take_some(&mut self) -> Vec<Stored> {
        let deadline = Instant::now() + SOON;
        loop {
            let events = self.feed.take(1000, Duration::from_millis(50)).unwrap();
            if !events.is_empty() || Instant::now() > deadline {
                return events;
            }
        }
    }

    fn finish(self) {
        self.handle.finish();
    }
}

fn seqs(events: &[Stored]) -> Vec<u64> {
    events.iter().map(|event| event.seq).collect()
}

fn segments(config: &SpoolConfig) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(&config.path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .collect();
    paths.sort();
    paths
}

#[test]
fn events_are_numbered_from_one_and_come_out_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(&config(folder.path()));
    spool.put(1000);
    let events = spool.take(1000);
    assert_eq!(seqs(&events), (1..=1000).collect::<Vec<_>>());
    let event = decode(&events[6].message).unwrap();
    assert_eq!((event.envelope.seq, event.envelope.producer_id), (7, spool.producer_id));
    assert_eq!(events[6].key, b"site");
}

#[test]
fn a_restart_goes_on_with_the_next_number_and_gives_out_what_was_not_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let mut first = open(&config);
    first.put(10);
    first.take(10);
    first.feed.acknowledged(4, 4, None);
    let producer_id = first.producer_id;
    first.finish();

    let mut second = open(&config);
    assert_eq!((second.producer_id, &second.declared), (producer_id, &vec![]));
    second.put(1);
    assert_eq!(seqs(&second.take(7)), [5, 6, 7, 8, 9, 10, 11]);
}

#[test]
fn a_killed_spool_keeps_all_that_it_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let (config, copy) = (config(folder.path()), SpoolConfig { path: folder.path().join("copy"), max_size: 1 << 30 });
    let running = open(&config);
    running.put(10);
    // What lies on disk at this moment is what a killed process leaves.
    copy_folder(&config.path, &copy.path);
    let mut restarted = open(&copy);
    assert_eq!(restarted.declared, []);
    restarted.put(1);
    assert_eq!(seqs(&restarted.take(11)), (1..=11).collect::<Vec<_>>());
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

#[test]
fn a_spool_killed_before_its_first_event_does_not_later_remove_the_segment_it_writes_to() {
    let folder = tempfile::tempdir().unwrap();
    let (config, copy) = (config(folder.path()), SpoolConfig { path: folder.path().join("copy"), max_size: 1 << 30 });
    // As good as killed: a segment is there, and nothing is in it. The next one begins at the same number.
    drop(Spool::open(&config, "here", Format::Json).unwrap());
    let mut running = open(&config);
    running.put(10);
    assert_eq!(running.take(10).len(), 10);
    running.put(10);
    assert_eq!(segments(&config).len(), 1, "the segment that is being written was removed");

    copy_folder(&config.path, &copy.path);
    let mut restarted = open(&copy);
    restarted.put(1);
    assert_eq!(seqs(&restarted.take(21)), (1..=21).collect::<Vec<_>>(), "a number is issued again");
}

#[test]
fn two_producers_on_one_spool_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let _running = open(&config);
    let error = Spool::open(&config, "here", Format::Json).unwrap_err();
    assert!(matches!(error, SpoolError::InUse { .. }));
    assert!(error.to_string().ends_with("is in use by another producer; give each its own producer.spool.path"));
}

#[test]
fn the_settled_time_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let running = open(&config);
    assert_eq!(running.settled, None);
    running.ledger.open(at(3));
    running.ledger.open(at(5));
    running.ledger.advance(at(9));
    running.intake.put(draft(3, Outcome::Up), vec![at(3)]);
    running.handle.flush(Instant::now() + SOON);
    running.finish();
    assert_eq!(open(&config).settled, Some(at(5)));
}

#[test]
fn segments_whose_events_were_acknowledged_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let mut running = open(&config);
    while segments(&config).len() < 4 {
        running.put(2000);
        let events = running.take(2000);
        running.feed.acknowledged(events.last().unwrap().seq, 2000, None);
        if events.last().unwrap().seq > 100_000 {
            break;
        }
    }
    running.put(1);
    assert!(segments(&config).len() <= 2, "{:?}", segments(&config));
}

#[test]
fn more_than_memory_keeps_comes_back_from_disk_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = open(&config(folder.path()));
    let count = 120_000;
    running.put(count);
    let mut seen = Vec::new();
    while (seen.len() as i64) < count {
        let events = running.take(1000);
        assert!(!events.is_empty(), "nothing after {}", seen.len());
        seen.extend(seqs(&events));
        running.feed.acknowledged(*seen.last().unwrap(), events.len(), None);
    }
    assert_eq!(seen, (1..=120_000).collect::<Vec<_>>());
}
