//! The schedule meets a stepped clock.

use std::collections::BTreeSet;
use std::time::Instant;

use isitup_shared::config::{Format, SpoolConfig};
use isitup_shared::event::decode;
use prometheus_client::registry::Registry;
use tempfile::TempDir;

use super::*;
use crate::checker::Trust;
use crate::reference::Reference;
use crate::spool::{Feed, Spool, SpoolHandle};
use crate::target::Target;
use crate::verdict::Jury;

const HOUR: i64 = 3_600_000_000;

/// A spool and a schedule of one site, which begins now.
struct Bench {
    ledger: Arc<Ledger>,
    feed: Feed,
    spool: SpoolHandle,
    _folder: TempDir,
}

impl Bench {
    fn new() -> (Self, Intake) {
        let folder = tempfile::tempdir().unwrap();
        let config = SpoolConfig { path: folder.path().join("spool"), max_size: 1 << 30 };
        let ledger = Arc::new(Ledger::default());
        let spool = Spool::open(&config, "here", Format::Json).unwrap();
        let (intake, feed, spool) = spool.start(Arc::clone(&ledger), Shutdown::new()).unwrap();
        (Self { ledger, feed, spool, _folder: folder }, intake)
    }

    /// What the schedule says goes to `intake`.
    fn begin(&self, intake: Intake, before: Before) -> (Dispatcher, Slots) {
        let (trust, metrics) = (Trust::only([]).unwrap(), Metrics::new(&mut Registry::default()));
        let jury = Jury::new(Reference::new(&trust, Vec::new()), Shutdown::new());
        let workers = Workers::new(2, trust, jury, intake.clone(), metrics.clone());
        let site: Site = Site::new(Target::parse("http://127.0.0.1:1/").unwrap(), None, Arc::default());
        let slots = Slots::new(&site.name, site.settings.interval);
        let identification = Identification { config_hash: String::new(), site_count: 1 };
        let (_reloads, reloads) = crossbeam_channel::bounded(1);
        let (sites, ledger) = (vec![Arc::new(SiteState::new(site))], Arc::clone(&self.ledger));
        let gauge = self.spool.gauge();
        let dispatcher =
            Dispatcher::begin(identification, sites, reloads, before, workers, ledger, intake, gauge, metrics);
        (dispatcher, slots)
    }
}

#[test]
fn slots_between_the_last_look_and_a_step_of_the_clock_are_begun_or_declared() {
    let (mut bench, intake) = Bench::new();
    let (mut dispatcher, slots) = bench.begin(intake, Before::default());
    // The clock ran on for three slots and was put back by an hour, and nobody had looked.
    let first = slots.at_or_after(dispatcher.frontier);
    let old = first.after(slots_apart(&slots, first) * 2);
    dispatcher.step(ClockStep { at: UtcTime::from_micros(old.as_micros() - HOUR), step_us: -HOUR });
    dispatcher.finish(Instant::now() + GRACE);
    bench.spool.flush(Instant::now() + GRACE);

    let mut told = BTreeSet::new();
    for event in bench.feed.take(1000, Duration::from_secs(1)).unwrap() {
        match decode(&event.message).unwrap().body {
            Body::Check(check) => drop(told.insert((check.scheduled_at, check.scheduled_at))),
            Body::Gap(gap) => told.extend(gap.span.map(|span| (span.from, span.to))),
            _ => {}
        }
    }
    for slot in [first, first.after(slots_apart(&slots, first)), old] {
        assert!(told.iter().any(|(from, to)| (*from..=*to).contains(&slot)), "{slot} is not among {told:?}");
    }
}

#[test]
fn until_the_spool_has_a_step_of_the_clock_no_time_after_it_is_settled() {
    let (bench, _) = Bench::new();
    let (intake, _untaken) = Intake::stalled();
    let (mut dispatcher, _) = bench.begin(intake, Before::default());
    let old = dispatcher.frontier;
    dispatcher.step(ClockStep { at: UtcTime::from_micros(old.as_micros() + HOUR), step_us: HOUR });
    assert!(bench.ledger.settled().unwrap() <= old);
    let back = UtcTime::from_micros(old.as_micros() - HOUR);
    dispatcher.step(ClockStep { at: back, step_us: -2 * HOUR });
    assert_eq!(bench.ledger.settled(), Some(back));
}

#[test]
fn until_the_spool_has_the_gap_between_two_runs_it_is_open() {
    let (bench, _) = Bench::new();
    let (intake, _untaken) = Intake::stalled();
    let settled = UtcTime::from_micros(UtcTime::now().as_micros() - HOUR);
    bench.begin(intake, Before { settled: Some(settled), last: None });
    assert_eq!(bench.ledger.settled(), Some(settled));
}

fn slots_apart(slots: &Slots, slot: UtcTime) -> Duration {
    slots.at_or_after(slot.after(Duration::from_micros(1))).since(slot)
}
