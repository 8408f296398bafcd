//! Every cut and every flipped byte of a spool of several segments. What was there is read by a reader of our own, which
//! knows the events' JSON only; of that, nothing may be lost but the event that the damage hit, nothing may come twice,
//! every number is kept, acknowledged or declared, and so is every slot.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use isitup_producer::spool::{Ledger, Spool, Stored};
use isitup_shared::config::{Format, SpoolConfig};
use isitup_shared::event::{Body, Check, Draft, Gap, decode};
use isitup_shared::shutdown::Shutdown;
use isitup_shared::time::UtcTime;
use serde_json::Value;

/// Numbers up to this one were acknowledged.
const ACKNOWLEDGED: u64 = 10;
const SEGMENTS: u64 = 3;
const IN_EACH: u64 = 12;

fn config(folder: &Path) -> SpoolConfig {
    SpoolConfig { path: folder.to_owned(), max_size: 1 << 30 }
}

/// When the event of this number was due, in a spool that began its work at `begin`: a moment before it is made.
fn slot(begin: UtcTime, number: u64) -> UtcTime {
    begin.after(Duration::from_micros(number))
}

fn draft(slot: UtcTime) -> Draft {
    Draft::new(&Body::Check(Box::new(Check::up("site", "https://example.com/", slot))), Format::Json)
}

/// Three segments of twelve events each: every start begins another one. Gives when the first of them began its work.
fn make(folder: &Path) -> UtcTime {
    let mut begin = None;
    for run in 0..SEGMENTS {
        let (ledger, shutdown) = (Arc::new(Ledger::default()), Shutdown::new());
        shutdown.trigger();
        let (intake, mut feed, handle) =
            Spool::open(&config(folder), "here", Format::Json).unwrap().start(Arc::clone(&ledger), shutdown).unwrap();
        let begin = *begin.get_or_insert_with(UtcTime::now);
        for slot in (run * IN_EACH + 1..=(run + 1) * IN_EACH).map(|number| slot(begin, number)) {
            ledger.open(slot);
            ledger.advance(slot);
            intake.put(draft(slot), vec![slot]);
            handle.flush(Instant::now() + Duration::from_secs(20));
        }
        let taken = feed.take(usize::try_from(ACKNOWLEDGED).unwrap(), Duration::from_secs(5)).unwrap();
        if run == 0 {
            feed.acknowledged(ACKNOWLEDGED, taken.len(), None);
        }
        handle.finish();
    }
    begin.unwrap()
}

/// A file's bytes up to the zeros at its end, its whole size, and its events: begin, end, number, message.
struct Contents {
    bytes: Vec<u8>,
    size: u64,
    events: Vec<(usize, usize, u64, Vec<u8>)>,
}

fn read(folder: &Path) -> BTreeMap<String, Contents> {
    let contents = |path: &Path| {
        let mut bytes = fs::read(path).unwrap();
        let size = bytes.len() as u64;
        bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
        let (mut events, mut at) = (Vec::new(), 0);
        while let Some(found) = bytes[at..].windows(5).position(|word| word == b"{\"v\":") {
            let begin = at + found;
            let mut values = serde_json::Deserializer::from_slice(&bytes[begin..]).into_iter::<Value>();
            let seq = values.next().unwrap().unwrap()["seq"].as_u64().unwrap();
            at = begin + values.byte_offset();
            events.push((begin, at, seq, bytes[begin..at].to_vec()));
        }
        Contents { bytes, size, events }
    };
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), contents(&path))).collect()
}

#[derive(Clone, Copy, Debug)]
enum Damage {
    Cut(usize),
    Flip(usize),
    /// A sector of other bytes.
    Sector(usize),
    Gone,
}

fn build(folder: &Path, files: &BTreeMap<String, Contents>, name: &str, damage: Damage) {
    for (other, contents) in files {
        let (mut bytes, mut size) = (contents.bytes.clone(), contents.size);
        if other == name {
            match damage {
                Damage::Cut(at) => {
                    bytes.truncate(at);
                    size = at as u64;
                }
                Damage::Flip(at) => bytes[at] ^= 0x41,
                Damage::Sector(at) => {
                    let end = bytes.len().min(at + 512);
                    bytes[at..end].iter_mut().for_each(|byte| *byte = byte.wrapping_mul(31).wrapping_add(7));
                }
                Damage::Gone => continue,
            }
        }
        let file = File::create(folder.join(other)).unwrap();
        file.set_len(size).unwrap();
        file.write_all_at(&bytes, 0).unwrap();
    }
}

/// What is wrong with the spool after such a damage.
fn faults(
    folder: &Path,
    begin: UtcTime,
    files: &BTreeMap<String, Contents>,
    name: &str,
    damage: Damage,
) -> Vec<String> {
    let mut faults = Vec::new();
    let slot = |number| slot(begin, number);
    // The bytes around an event belong to its record.
    let is_hit = |file: &str, begin: usize, end: usize| {
        file == name
            && match damage {
                Damage::Cut(at) => at < end,
                Damage::Flip(at) => (begin.saturating_sub(64)..end).contains(&at),
                Damage::Sector(at) => at < end && at + 512 > begin.saturating_sub(64),
                Damage::Gone => true,
            }
    };
    let spool = match Spool::open(&config(folder), "here", Format::Json) {
        Ok(spool) => spool,
        Err(error) => return vec![format!("it does not open: {error}")],
    };
    let (settled, same_name) = (spool.settled, name != "identity");
    let shutdown = Shutdown::new();
    shutdown.trigger();
    let (intake, mut feed, handle) = spool.start(Arc::new(Ledger::default()), shutdown).unwrap();
    intake.put(
        Draft::new(&Body::Check(Box::new(Check::up("probe", "https://example.com/", slot(0)))), Format::Json),
        Vec::new(),
    );
    let mut events: Vec<Stored> = Vec::new();
    for _ in 0..200 {
        events.extend(feed.take(1000, Duration::from_millis(20)).unwrap());
        feed.acknowledged(feed.taken(), events.len(), None);
        if events.last().is_some_and(|event| event.key == b"probe") {
            break;
        }
    }
    handle.finish();
    let Some(probe) = events.pop().filter(|event| event.key == b"probe") else {
        return vec!["no new event comes".into()];
    };

    let told: BTreeMap<u64, &Vec<u8>> =
        files.values().flat_map(|file| &file.events).map(|(_, _, seq, message)| (*seq, message)).collect();
    let kept: BTreeSet<u64> =
        events.iter().filter(|event| told.get(&event.seq) == Some(&&event.message)).map(|event| event.seq).collect();
    for (file, contents) in files {
        for (begin, end, seq, _) in &contents.events {
            if !is_hit(file, *begin, *end) && *seq > ACKNOWLEDGED && !kept.contains(seq) {
                faults.push(format!("{seq} was whole and is lost"));
            }
        }
    }
    let mut numbers: Vec<u64> = events.iter().map(|event| event.seq).collect();
    numbers.sort_unstable();
    if numbers.windows(2).any(|pair| pair[0] == pair[1]) {
        faults.push("a number comes twice".into());
    }
    let last = SEGMENTS * IN_EACH;
    let is_new = |event: &&Stored| !kept.contains(&event.seq);
    if same_name && events.iter().filter(is_new).any(|event| event.seq <= last) || probe.seq <= last {
        faults.push(format!("a number up to {last} is given again"));
    }
    let gaps: Vec<Gap> = events
        .iter()
        .filter_map(|event| match decode(&event.message).unwrap().body {
            Body::Gap(gap) => Some(gap),
            _ => None,
        })
        .collect();
    let is_declared =
        |slot| gaps.iter().filter_map(|gap| gap.span.as_ref()).any(|span| (span.from..=span.to).contains(&slot));
    let lost = (ACKNOWLEDGED + 1..=last).filter(|seq| !kept.contains(seq));
    faults.extend(lost.filter(|seq| !is_declared(slot(*seq))).map(|seq| format!("the slot of {seq} is not declared")));
    let declared = gaps.iter().filter_map(|gap| gap.seqs).map(|seqs| (seqs.first, seqs.last));
    let mut covered: Vec<(u64, u64)> =
        declared.chain(numbers.iter().map(|seq| (*seq, *seq))).chain([(0, ACKNOWLEDGED)]).collect();
    covered.sort_unstable();
    let covered_to = covered.iter().fold(0, |to, (first, last)| if *first <= to + 1 { to.max(*last) } else { to });
    if same_name && covered_to + 1 < probe.seq {
        faults.push(format!("{} is neither kept nor declared", covered_to + 1));
    }
    match settled {
        None => faults.push("it forgot the settled time".into()),
        Some(settled) if settled > slot(last) => faults.push(format!("settled until {settled}: later than ever")),
        Some(_) => {}
    }
    match Spool::open(&config(folder), "here", Format::Json) {
        Ok(again) if again.declared.is_empty() => {}
        Ok(again) => faults.push(format!("declared once more: {:?}", again.declared)),
        Err(error) => faults.push(format!("it does not open again: {error}")),
    }
    faults
}

/// Damages one file after the other, at each `every`th byte, and reports what went wrong.
fn survive(every: usize) {
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("spool");
    let begin = make(&spool);
    let files = read(&spool);
    let names: Vec<&String> = files.keys().filter(|name| *name != "lock").collect();
    assert_eq!(names.len() as u64, SEGMENTS + 1, "{names:?}");
    let mut damages = Vec::new();
    for name in names {
        damages.push((name, Damage::Gone));
        let length = files[name].bytes.len();
        damages.extend((0..length).step_by(every).flat_map(|at| [(name, Damage::Cut(at)), (name, Damage::Flip(at))]));
        damages.extend((0..length).step_by(512).map(|at| (name, Damage::Sector(at))));
        // The zeros behind the records may be cut off, too.
        damages.extend((name != "identity").then_some((name, Damage::Cut(length + 1000))));
    }
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((name, damage)) = damages.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let memory = if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" };
                    let folder = tempfile::tempdir_in(memory).unwrap();
                    build(folder.path(), &files, name, *damage);
                    let faults = faults(folder.path(), begin, &files, name, *damage);
                    if !faults.is_empty() {
                        found.lock().unwrap().push(format!("{damage:?} of {name}: {}", faults.join("; ")));
                    }
                }
            });
        }
    });
    let found = found.into_inner().unwrap();
    let few = found.iter().take(10).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(found.is_empty(), "{} of {} damages do harm, such as\n{few}", found.len(), damages.len());
}

#[test]
fn no_damage_costs_more_than_what_it_hits_and_all_of_it_is_declared() {
    survive(61);
}

#[test]
#[ignore = "long: make test-faults runs it"]
fn no_cut_and_no_flipped_byte_anywhere_costs_more_than_what_it_hits() {
    survive(1);
}
