//! What becomes of a running spool whose files somebody removes, replaces, cuts or hides.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Instant;

use isitup_shared::config::{Format, SpoolConfig};
use isitup_shared::event::{Body, Check, Draft, decode};

use super::super::Spool;
use super::{Outcome, Running, SOON, at, config, copy_folder, draft, open, segments, seqs};

/// What somebody does to the spool's folder.
type Meddling = (&'static str, fn(&SpoolConfig));

fn newest(config: &SpoolConfig) -> PathBuf {
    segments(config).pop().unwrap()
}

fn oldest(config: &SpoolConfig) -> PathBuf {
    segments(config).remove(0)
}

/// Replaces a file by a copy of itself, as a restored backup does.
fn restore(path: &Path) {
    let copy = path.with_extension("copy");
    fs::copy(path, &copy).unwrap();
    fs::rename(copy, path).unwrap();
}

fn replace_by_folder(path: &Path) {
    fs::remove_file(path).unwrap();
    fs::create_dir(path).unwrap();
    fs::write(path.join("a file"), "x").unwrap();
}

fn move_behind_link(path: &Path) {
    let moved = path.with_extension("moved");
    fs::rename(path, &moved).unwrap();
    symlink(moved, path).unwrap();
}

fn cut(path: &Path, length: u64) {
    OpenOptions::new().write(true).open(path).unwrap().set_len(length).unwrap();
}

fn replace_folder_by_copy(config: &SpoolConfig) {
    let (copy, gone) = (config.path.with_extension("copy"), config.path.with_extension("gone"));
    copy_folder(&config.path, &copy);
    fs::rename(&config.path, gone).unwrap();
    fs::rename(copy, &config.path).unwrap();
}

const MEDDLINGS: &[Meddling] = &[
    ("the newest segment is removed", |config| fs::remove_file(newest(config)).unwrap()),
    ("the newest segment is restored", |config| restore(&newest(config))),
    ("the newest segment is emptied", |config| cut(&newest(config), 0)),
    ("the newest segment is cut", |config| cut(&newest(config), 1000)),
    ("the newest segment is a folder", |config| replace_by_folder(&newest(config))),
    ("the newest segment is a link", |config| move_behind_link(&newest(config))),
    ("the newest segment is a link to nothing", |config| {
        let path = newest(config);
        fs::remove_file(&path).unwrap();
        symlink("/nowhere", path).unwrap();
    }),
    ("the oldest segment is removed", |config| fs::remove_file(oldest(config)).unwrap()),
    ("the oldest segment is a folder", |config| replace_by_folder(&oldest(config))),
    ("all segments are removed", |config| segments(config).iter().for_each(|path| fs::remove_file(path).unwrap())),
    ("a folder lies where the next segment goes", |config| {
        fs::remove_file(newest(config)).unwrap();
        fs::create_dir(config.path.join("00000000000000000061.seg")).unwrap();
    }),
    ("a foreign file lies where the next segment goes", |config| {
        fs::remove_file(newest(config)).unwrap();
        fs::write(config.path.join("00000000000000000061.seg"), "foreign").unwrap();
    }),
    ("the identity is removed", |config| fs::remove_file(config.path.join("identity")).unwrap()),
    ("the identity is restored", |config| restore(&config.path.join("identity"))),
    ("the identity is garbage", |config| {
        fs::write(config.path.join("identity.x"), "garbage")
            .and_then(|()| fs::rename(config.path.join("identity.x"), config.path.join("identity")))
            .unwrap();
    }),
    ("the identity is a folder", |config| replace_by_folder(&config.path.join("identity"))),
    ("a folder lies where the identity is prepared", |config| {
        fs::create_dir(config.path.join("identity.new")).unwrap();
        fs::remove_file(config.path.join("identity")).unwrap();
    }),
    ("the lock is removed", |config| fs::remove_file(config.path.join("lock")).unwrap()),
    ("the lock is restored", |config| restore(&config.path.join("lock"))),
    ("the lock is a folder", |config| replace_by_folder(&config.path.join("lock"))),
    ("all files are removed", |config| {
        fs::read_dir(&config.path).unwrap().for_each(|entry| fs::remove_file(entry.unwrap().path()).unwrap());
    }),
    ("the folder is removed", |config| fs::remove_dir_all(&config.path).unwrap()),
    ("the folder is replaced by a copy", replace_folder_by_copy),
    ("the folder is replaced by an empty one", |config| {
        fs::rename(&config.path, config.path.with_extension("gone")).unwrap();
        fs::create_dir(&config.path).unwrap();
    }),
    ("the folder is a link to a copy", |config| {
        let copy = config.path.with_extension("copy");
        copy_folder(&config.path, &copy);
        fs::remove_dir_all(&config.path).unwrap();
        symlink(copy, &config.path).unwrap();
    }),
];

/// Two segments of 30 events each.
fn of_two_segments(config: &SpoolConfig) -> Running {
    let first = open(config);
    first.put(30);
    first.finish();
    let running = open(config);
    running.put(30);
    running
}

/// What a spool has given out: events by number, and the numbers that its gaps declare.
#[derive(Default)]
struct Given {
    events: BTreeMap<u64, Vec<u8>>,
    declared: BTreeSet<u64>,
}

impl Given {
    /// Takes and acknowledges until the newest event has come.
    fn take_all(&mut self, running: &mut Running, what: &str) {
        let deadline = Instant::now() + SOON;
        let mut count = running.handle.gauge().events();
        while count > 0 || !running.feed.is_empty() {
            assert!(Instant::now() < deadline, "{what}: {count} events never came");
            for event in running.take_some() {
                if let Body::Gap(gap) = decode(&event.message).unwrap().body {
                    self.declared.extend(gap.seqs.map_or(0..0, |seqs| seqs.first..seqs.last + 1));
                }
                let before = self.events.insert(event.seq, event.message.clone());
                assert!(before.is_none_or(|before| before == event.message), "{what}: {} is two events", event.seq);
                running.feed.acknowledged(event.seq, 1, None);
            }
            count = running.handle.gauge().events();
        }
    }

    #[track_caller]
    fn assert_complete(&self, what: &str) {
        let last = *self.events.last_key_value().unwrap().0;
        let missing: Vec<u64> =
            (1..=last).filter(|seq| !self.events.contains_key(seq) && !self.declared.contains(seq)).collect();
        assert_eq!(missing, [0; 0], "{what}: neither given out nor declared");
    }
}

#[test]
fn a_running_spool_recovers_whatever_is_done_to_its_files() {
    for (what, meddle) in MEDDLINGS {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        let mut running = of_two_segments(&config);
        meddle(&config);
        running.put(30);
        assert_eq!(running.handle.gauge().blocked(), None, "{what}");
        assert!(config.path.join("lock").is_file() && config.path.join("identity").is_file(), "{what}");
        let mut given = Given::default();
        given.take_all(&mut running, what);
        given.assert_complete(what);
        let producer_id = running.producer_id;
        running.finish();

        let mut restarted = open(&config);
        assert_eq!(restarted.producer_id, producer_id, "{what}");
        restarted.put(1);
        given.take_all(&mut restarted, what);
        given.assert_complete(what);
    }
}

#[test]
fn an_older_copy_of_a_segment_hides_no_loss() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let mut running = open(&config);
    running.put(10);
    let (first, backup) = (oldest(&config), config.path.with_extension("backup"));
    fs::copy(&first, &backup).unwrap();
    // More than memory keeps.
    let url = format!("https://example.com/{}", "x".repeat(3000));
    for second in 0..8000 {
        let check = Check::up("site", &url, at(second));
        running.intake.put(Draft::new(&Body::Check(Box::new(check)), Format::Json), Vec::new());
    }
    running.handle.flush(Instant::now() + SOON);
    fs::copy(&backup, &first).unwrap();
    let mut given = Given::default();
    given.take_all(&mut running, "an older copy");
    given.assert_complete("an older copy");
    assert!(given.declared.contains(&11), "what the copy lacks is gone");
}

#[test]
fn a_restart_after_files_were_changed_repeats_no_number() {
    for (what, meddle) in MEDDLINGS {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        let running = of_two_segments(&config);
        meddle(&config);
        running.put(30);
        running.finish();
        let mut restarted = open(&config);
        restarted.put(1);
        let mut given = Given::default();
        given.take_all(&mut restarted, what);
        given.assert_complete(what);
        let last = *given.events.last_key_value().unwrap().0;
        assert!(last > 90, "{what}: the number {last} was issued before");
    }
}

#[test]
fn a_spool_opens_whatever_lies_in_its_folder() {
    for (what, meddle) in MEDDLINGS {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        of_two_segments(&config).finish();
        meddle(&config);
        drop(Spool::open(&config, "here", Format::Json).expect(what));
        let mut restarted = open(&config);
        restarted.put(1);
        assert!(!restarted.take(1).is_empty(), "{what}");
    }
}

#[test]
fn a_producer_that_lost_its_lock_waits_for_the_other_and_skips_its_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let mut first = open(&config);
    first.put(10);
    fs::remove_file(config.path.join("lock")).unwrap();
    let mut other = open(&config);
    other.put(10);
    let others = seqs(&other.take(20));

    for second in 0..5 {
        first.intake.put(draft(second, Outcome::Up), Vec::new());
    }
    let deadline = Instant::now() + SOON;
    while first.handle.gauge().blocked().is_none_or(|why| !why.contains("in use by another producer")) {
        assert!(Instant::now() < deadline, "{:?}", first.handle.gauge().blocked());
        std::thread::yield_now();
    }
    other.finish();
    first.handle.flush(Instant::now() + SOON);
    assert_eq!(first.handle.gauge().blocked(), None);
    let mut own = seqs(&first.take(10));
    first.feed.acknowledged(10, 10, None);
    own.extend(seqs(&first.take(6)));
    assert_eq!(own.len(), 16, "its first 10 events, a gap and 5 events");
    assert!(own[10..].iter().all(|seq| !others.contains(seq)), "{own:?}, of the other {others:?}");
}

#[test]
fn only_the_owner_has_access_to_the_spool() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let running = open(&config);
    running.put(1);
    assert_eq!(mode(&config.path), 0o700);
    let files = || fs::read_dir(&config.path).unwrap().map(|entry| entry.unwrap().path());
    assert_eq!(files().count(), 3);
    files().for_each(|path| assert_eq!(mode(&path), 0o600, "{}", path.display()));
    running.finish();
    // As an older release made them.
    files().for_each(|path| fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap());
    fs::set_permissions(&config.path, fs::Permissions::from_mode(0o755)).unwrap();
    open(&config).finish();
    files().for_each(|path| assert_eq!(mode(&path), 0o600, "{}", path.display()));
    let warning = super::super::files::folder_warning(&config.path).unwrap();
    assert!(warning.contains("(mode 755)") && warning.contains("chmod 700"), "{warning}");
}
