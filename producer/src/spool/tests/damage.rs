//! Damaged spools: what is whole is kept, and of what is lost both the number and the slot are declared.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::time::Instant;

use isitup_shared::config::{Format, SpoolConfig};
use isitup_shared::event::{Body, Check, ClockStep, Draft, Gap, GapReason, SeqRange, TimeSpan, decode};
use isitup_shared::time::UtcTime;

use super::super::Spool;
use super::{SOON, at, config, copy_folder, open, segments, seqs};

#[test]
fn a_flipped_byte_costs_one_event_which_is_declared_and_no_number_comes_twice() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let running = open(&config);
    running.put(20);
    running.finish();
    let path = segments(&config).remove(0);
    let bytes = fs::read(&path).unwrap();
    let place = bytes.windows(9).position(|window| window == b"\"seq\":11,").unwrap();
    OpenOptions::new().write(true).open(&path).unwrap().write_all_at(b"!", place as u64).unwrap();

    let mut restarted = open(&config);
    let lost: Vec<SeqRange> = restarted.declared.iter().filter_map(|gap| gap.seqs).collect();
    assert_eq!(lost[0], SeqRange { first: 11, last: 11 });
    assert_eq!(lost.len(), 2, "the reserved numbers behind the damage are declared too");
    assert!(lost[1].first == 21 && lost[1].last > 60_000);
    let mut events = restarted.take(19);
    restarted.feed.acknowledged(20, 19, None);
    events.extend(restarted.take(2));
    let expected: Vec<u64> = (1..=20).filter(|seq| *seq != 11).chain([lost[1].last + 1, lost[1].last + 2]).collect();
    assert_eq!(seqs(&events), expected);
    restarted.finish();
    assert_eq!(open(&config).declared, [], "what was declared once is not declared again");
}

#[test]
fn every_cut_of_the_last_segment_leaves_a_whole_prefix_and_declares_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let running = open(&config);
    running.put(3);
    running.finish();
    let path = segments(&config).remove(0);
    let whole = fs::read(&path).unwrap();
    let end = whole.iter().rposition(|byte| *byte != 0).unwrap();
    for cut in (0..=end).step_by(7) {
        let damaged = SpoolConfig { path: folder.path().join(format!("cut-{cut}")), max_size: 1 << 30 };
        copy_folder(&config.path, &damaged.path);
        fs::write(damaged.path.join(path.file_name().unwrap()), &whole[..cut]).unwrap();
        let restarted = Spool::open(&damaged, "here", Format::Json).unwrap();
        let lost = restarted.declared.last().and_then(|gap| gap.seqs).unwrap();
        assert!((1..=4).contains(&lost.first) && lost.last > 60_000, "cut {cut}: {lost:?}");
    }
}

#[test]
fn a_lost_identity_begins_a_new_producer_and_still_gives_out_the_old_events() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let running = open(&config);
    running.put(5);
    let old = running.producer_id;
    running.finish();
    fs::remove_file(config.path.join("identity")).unwrap();

    let mut restarted = open(&config);
    assert_ne!(restarted.producer_id, old);
    assert_eq!(restarted.declared, [Gap::of_seqs(GapReason::SpoolCorrupt, 1, 5)]);
    restarted.put(1);
    let producers: Vec<uuid::Uuid> =
        restarted.take(7).iter().map(|event| decode(&event.message).unwrap().envelope.producer_id).collect();
    assert_eq!(producers[..5], [old; 5]);
    assert_eq!(producers[5..], [restarted.producer_id; 2]);
    restarted.finish();
    assert_eq!(seqs(&open(&config).take(7)), (1..=7).collect::<Vec<_>>(), "a second restart keeps them all");
}

/// A spool of so many checks, each in a batch of its own, and their slots.
fn of_single_batches(config: &SpoolConfig, count: usize) -> Vec<UtcTime> {
    let running = open(config);
    let check = |_| {
        let slot = UtcTime::now();
        running.ledger.open(slot);
        running.ledger.advance(slot);
        running.intake.put(due(slot), vec![slot]);
        running.handle.flush(Instant::now() + SOON);
        slot
    };
    let slots = (0..count).map(check).collect();
    running.finish();
    slots
}

fn due(slot: UtcTime) -> Draft {
    Draft::new(&Body::Check(Box::new(Check::up("site", "https://example.com/", slot))), Format::Json)
}

#[test]
fn a_loss_amid_other_events_is_declared_no_wider_than_they_tell() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let slots = of_single_batches(&config, 9);
    let mut bytes = fs::read(&segments(&config)[0]).unwrap();
    let place = bytes.windows(8).position(|window| window == b"\"seq\":5,").unwrap();
    bytes[place] ^= 1;
    fs::write(&segments(&config)[0], bytes).unwrap();
    let spans: Vec<TimeSpan> = open(&config).declared.into_iter().filter_map(|gap| gap.span).collect();
    // The slot of the event before the last whole one was open at the time of the mark that lies before that.
    assert!(spans[0].from >= slots[1], "{spans:?}, of {slots:?}");
}

#[test]
fn a_step_of_the_clock_ends_its_segment_and_is_not_lost_with_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let running = open(&config);
    running.ledger.advance(at(3700));
    running.put(3);
    running.ledger.advance(at(100));
    running.intake.put_step(ClockStep { at: at(100), step_us: -3_600_000_000 }, Vec::new());
    running.put(3);
    running.finish();
    let paths = segments(&config);
    assert_eq!(paths.len(), 2);
    fs::write(&paths[1], "").unwrap();

    let mut restarted = open(&config);
    let gap = restarted.declared.first().unwrap();
    assert_eq!(gap.seqs.unwrap().first, 5, "the step is kept");
    assert!(gap.span.as_ref().unwrap().from <= at(100), "{gap:?}");
    let step = restarted.take(4).pop().unwrap();
    assert!(matches!(decode(&step.message).unwrap().body, Body::ClockStep(_)));
}
