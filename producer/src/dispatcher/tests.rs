//! The schedule meets a stepped clock.

use std::collections::BTreeSet;
use std::time::Instant;

use isitup_shared::config::{Format, SpoolConfig};
use isitup_shared::event::decode;
use prometheus_client::registry::Registry;

use super::*;
use crate::checker::Trust;
use crate::reference::Reference;
use crate::spool::Spool;
use crate::target::Target;
use crate::verdict::Jury;

#[test]
fn slots_between_the_last_look_and_a_step_of_the_clock_are_begun_or_declared() {
    let folder = tempfile::tempdir().unwrap();
    let config = SpoolConfig { path: folder.path().join("spool"), max_size: 1 << 30 };
    let (ledger, shutdown) = (Arc::new(Ledger::default()), Shutdown::new());
    let (intake, mut feed, handle) =
        Spool::open(&config, "here", Format::Json).unwrap().start(Arc::clone(&ledger), shutdown.clone()).unwrap();
    let (trust, metrics) = (Trust::only([]).unwrap(), Metrics::new(&mut Registry::default()));
    let jury = Jury::new(Reference::new(&trust, Vec::new()), shutdown);
    let workers = Workers::new(2, trust, jury, intake.clone(), metrics.clone());
    let site: Site = Site::new(Target::parse("http://127.0.0.1:1/").unwrap(), None, Arc::default());
    let slots = Slots::new(&site.name, site.settings.interval);
    let identification = Identification { config_hash: String::new(), site_count: 1 };
    let (_reloads, reloads) = crossbeam_channel::bounded(1);
    let mut dispatcher = Dispatcher::begin(
        identification,
        vec![Arc::new(SiteState::new(site))],
        reloads,
        Before::default(),
        workers,
        ledger,
        intake,
        handle.gauge(),
        metrics,
    );
    // The clock ran on for three slots and was put back by an hour, and nobody had looked.
    let first = slots.at_or_after(dispatcher.frontier);
    let old = first.after(slots_apart(&slots, first) * 2);
    let step = ClockStep { at: UtcTime::from_micros(old.as_micros() - 3_600_000_000), step_us: -3_600_000_000 };
    dispatcher.step(step);
    dispatcher.finish(Instant::now() + GRACE);
    handle.flush(Instant::now() + GRACE);

    let mut told = BTreeSet::new();
    for event in feed.take(1000, Duration::from_secs(1)).unwrap() {
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

fn slots_apart(slots: &Slots, slot: UtcTime) -> Duration {
    slots.at_or_after(slot.after(Duration::from_micros(1))).since(slot)
}
