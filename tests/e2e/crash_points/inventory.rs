//! The points themselves: all are known, all are used, and ordinary programs have none.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use isitup_shared::crash;

use super::{group, order};
use crate::harness::{Pipeline, eventually, site};

/// Groups of points, and the test that lets a process die at each of them.
const TESTED: &[(&str, &str)] = &[
    ("identity", "producer"),
    ("segment", "producer"),
    ("spool", "producer"),
    ("publish", "producer"),
    ("unlink", "producer"),
    ("mend", "producer"),
    ("thin", "spool_full"),
    ("rewrite", "spool_full"),
    ("migrate", "consumer"),
    ("partitions", "consumer"),
    ("lease", "consumer"),
    ("store", "consumer"),
    ("mirror", "consumer"),
    ("house", "house"),
    ("day", "house"),
    ("hours", "house"),
    ("hour", "house"),
];

#[test]
fn each_point_of_the_sources_is_listed_once_and_each_listed_one_is_tested() {
    for (service, listed) in [("producer", crash::PRODUCER), ("consumer", crash::CONSUMER)] {
        let mut found = marked_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(service).join("src"));
        found.sort();
        let mut known: Vec<String> = listed.iter().map(|point| (*point).to_owned()).collect();
        known.sort();
        assert_eq!(found, known, "crash_point!s in {service}/src, and the list in shared/src/crash.rs");
    }
    let groups: BTreeSet<&str> = crash::PRODUCER.iter().chain(crash::CONSUMER).map(|point| group(point)).collect();
    assert_eq!(groups, TESTED.iter().map(|(group, _)| *group).collect(), "groups of points, and those with a test");
    for (group, test) in TESTED {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/crash_points").join(test).with_extension("rs");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(&format!("\"{group}\"")), "{} arms no point of {group}", path.display());
    }
}

/// The names in all `crash_point!("…")` below `folder`.
fn marked_in(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        if path.is_dir() {
            names.extend(marked_in(&path));
        } else {
            let text = fs::read_to_string(&path).unwrap();
            names.extend(text.split("crash_point!(\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()));
        }
    }
    names
}

#[test]
fn ordinary_programs_have_no_points_and_pay_no_heed_to_orders() {
    for name in ["isitup-producer", "isitup-consumer"] {
        // The name of the variable stands in every program that reads it.
        assert!(contains(name, "FAILPOINTS") == Some(false), "{name} is built with points to die at");
        assert!(contains(&format!("{name}-failpoints"), "FAILPOINTS") == Some(true), "this test sees nothing");
    }
    let orders = |points: &[&str]| points.iter().map(|point| order(point, 0)).collect::<Vec<_>>().join(";");
    let site = site::well("hello");
    let pipeline = Pipeline::new("unarmed").site("a", site.url()).site("b", site.url());
    let producer = pipeline.armed("the producer", "isitup-producer", &orders(crash::PRODUCER), &[]);
    let _consumer = pipeline.armed("the consumer", "isitup-consumer", &orders(crash::CONSUMER), &[]);
    pipeline.wait_for_rows(10);
    pipeline.prove(producer);
}

#[test]
fn an_order_for_a_point_that_does_not_exist_is_refused() {
    let pipeline = Pipeline::new("no_such_point");
    let ended = pipeline.armed_producer("spool.written=return;spool.writen=return").wait();
    assert_eq!(ended.code, Some(2));
    assert!(ended.log.contains("there is no point \"spool.writen\""), "{}", ended.log);
}

#[test]
fn a_process_can_be_held_at_a_point() {
    let site = site::well("hello");
    let pipeline = Pipeline::new("held").site("a", site.url());
    let producer = pipeline.producer();
    let held = pipeline.armed_consumer("store.written=return(hold)");
    held.wait_for_log("held at store.written");
    let open = "pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.state = 'idle in transaction'
                AND l.relation = 'partition_offset'::regclass AND l.mode = 'RowExclusiveLock'";
    assert_eq!(pipeline.count(open), 1, "it stands still in mid-transaction");
    assert_eq!(pipeline.count("check_result"), 0);
    held.kill9();
    let _consumer = pipeline.consumer();
    eventually("its rows are stored by another", || pipeline.count("check_result") > 0);
    pipeline.prove(producer);
}

/// Whether a program's file has `words` somewhere.
fn contains(program: &str, words: &str) -> Option<bool> {
    let bytes = fs::read(isitup_dev::binary(program).ok()?).ok()?;
    let (first, rest) = words.as_bytes().split_first()?;
    let mut from = 0;
    while let Some(at) = bytes.get(from..)?.iter().position(|byte| byte == first) {
        from += at + 1;
        if bytes[from..].starts_with(rest) {
            return Some(true);
        }
    }
    Some(false)
}
