//! A storm: every fault that the pipeline must live through, at random and several at once, under 300 checks a second
//! from two producers into three consumers; afterwards the oracle judges, and `audit` must agree.
//!
//! What strikes is chosen by a seed, which is printed; `ISITUP_TEST_SEED` gives it back. Faults that end a promise
//! instead of trying it (an unclean election, a topic deleted, a spool copied) have tests of their own.

mod faults;
mod fleet;
mod hostile;
mod lane;
mod network;
mod report;
mod watch;

use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{OwnServers, eventually, within};
use fleet::Fleet;
use lane::Storm;
use report::Report;
use watch::Watch;

/// How long the pipeline may take to be done with what piled up in the storm.
const DRAINED: Duration = Duration::from_secs(180);
/// How long a check may then take to become a row.
const FRESH: Duration = Duration::from_secs(10);

#[test]
fn a_short_storm_loses_and_doubles_nothing() {
    weather(Duration::from_secs(30));
}

#[test]
#[ignore = "long: make test-faults runs it"]
fn a_storm_of_ten_minutes_loses_and_doubles_nothing() {
    let minutes = std::env::var("ISITUP_TEST_MINUTES").map_or(10, |minutes| minutes.parse().unwrap());
    weather(Duration::from_secs(60 * minutes));
}

fn weather(length: Duration) {
    let seed = std::env::var("ISITUP_TEST_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    eprintln!("the storm's seed: ISITUP_TEST_SEED={seed}");
    let servers = OwnServers::brokers_and_database(3);
    let fleet = Fleet::set_sail(&servers);
    let storm = Storm::new(seed, length);
    let watch = Watch::default();
    thread::scope(|scope| {
        let watching = scope.spawn(|| watch.keep(&fleet));
        thread::scope(|scope| {
            for lane in faults::lanes(&fleet, &watch) {
                scope.spawn(|| storm.run(lane));
            }
        });
        calm(&fleet);
        watch.end();
        watching.join().unwrap();
    });
    let report = Report::of(fleet, &storm, &watch);
    eprintln!("{report}");
    report.prove();
}

/// After the faults: what piled up is worked off, and a fresh check becomes a row soon.
fn calm(fleet: &Fleet<'_>) {
    let since = Instant::now();
    within(DRAINED, "the spools are empty again", || fleet.spooled() < 300.0);
    within(DRAINED, "the consumers have read all but the newest", || fleet.lag() < 300);
    eprintln!("drained {:.1} s after the last fault", since.elapsed().as_secs_f64());
    for location in fleet.locations() {
        let newest = fleet.newest_number(location);
        within(FRESH, &format!("a fresh check of {location} is stored"), || fleet.newest_number(location) > newest);
    }
    eventually("all services are ready", || fleet.are_ready());
}
