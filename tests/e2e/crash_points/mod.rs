//! The services die at each named point of their work (see `isitup_shared::crash`), several times in a row, and go on.
//!
//! An armed process must really die where it is told to: a point that is never reached fails its test, by name.

mod consumer;
mod frozen;
mod house;
mod inventory;
mod producer;
mod random;
mod spool_full;

use isitup_shared::crash;

use crate::harness::Pipeline;

/// How often a process passes a point before it dies there: little in each run of the tests, much in `make test-faults`.
const FEW: &[u32] = &[0, 7];
const MANY: &[u32] = &[0, 1, 2, 3, 5, 8, 13, 21, 34, 55];

/// Dies at `point` after so many passes.
fn order(point: &str, passes: u32) -> String {
    format!("{point}={passes}*off->return")
}

/// The producer's points in these groups, such as `spool` for `spool.begin`.
fn producer_points(groups: &[&str]) -> Vec<&'static str> {
    of(crash::PRODUCER, groups)
}

/// The consumer's points in these groups.
fn consumer_points(groups: &[&str]) -> Vec<&'static str> {
    of(crash::CONSUMER, groups)
}

fn of(points: &[&'static str], groups: &[&str]) -> Vec<&'static str> {
    points.iter().copied().filter(|point| groups.contains(&group(point))).collect()
}

fn group(point: &str) -> &str {
    point.split('.').next().unwrap()
}

/// A producer dies at each of `points`, one after the other, after so many passes.
#[track_caller]
fn producers_die(pipeline: &Pipeline<'_>, points: &[&str], passes: u32) {
    for point in points {
        pipeline.armed_producer(&order(point, passes)).dies_at(point);
    }
}

/// A consumer dies at each of `points`, one after the other, after so many passes.
#[track_caller]
fn consumers_die(pipeline: &Pipeline<'_>, points: &[&str], passes: u32) {
    for point in points {
        pipeline.armed_consumer(&order(point, passes)).dies_at(point);
    }
}
