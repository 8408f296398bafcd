//! Named points at which tests let a service die or stand still. In ordinary builds there are none.
//!
//! A program with the feature `failpoints` (`isitup-producer-failpoints`, `isitup-consumer-failpoints`) reads from the
//! environment what is to happen where, in the language of the crate `fail`:
//! `FAILPOINTS='spool.written=20*off->return'` lets the process die by SIGKILL when it comes to that point for the 21st
//! time. `return(hold)` lets the thread that comes there stand still for ever, `sleep(500)` for half a second;
//! `1*return(freeze)` stops the whole process once, until somebody sends it SIGCONT.

/// The points of the producer, in the order of an event's life.
pub const PRODUCER: &[&str] = &[
    // Who the producer is, and which numbers it may use.
    "identity.begin",
    "identity.written",
    "identity.synced",
    "identity.renamed",
    "identity.durable",
    // A segment begins.
    "segment.begin",
    "segment.headed",
    "segment.named",
    "segment.durable",
    // A batch of events becomes durable.
    "spool.begin",
    "spool.written",
    "spool.durable",
    "spool.published",
    // Kafka gets it.
    "publish.begin",
    "publish.sent",
    "publish.acknowledged",
    // What Kafka has acknowledged is forgotten.
    "unlink.begin",
    "unlink.done",
    // A spool that is too large: the word that events are gone, then the deed.
    "rewrite.begin",
    "rewrite.synced",
    "thin.begin",
    "thin.declared",
    "rewrite.renamed",
    "thin.done",
    // A damaged spool is opened.
    "mend.begin",
    "mend.declared",
    "mend.done",
];

/// The points of the consumer.
pub const CONSUMER: &[&str] = &[
    // A schema is made or brought up to date.
    "migrate.locked",
    "migrate.schema_made",
    "migrate.applied",
    // Partitions are found, taken, kept and given back.
    "partitions.added",
    "lease.claimed",
    "lease.renewed",
    "lease.released",
    "lease.looked",
    "lease.leaving",
    // A batch is stored.
    "store.fetched",
    "store.moved",
    "store.checks_written",
    "store.written",
    "store.committed",
    "store.advanced",
    // Lag tools are told.
    "mirror.begin",
    "mirror.done",
    // Housekeeping.
    "house.turn_taken",
    "day.named",
    "day.made",
    "hours.marked",
    "hour.summed",
    "day.summed",
    "day.closing",
    "day.closed",
    "day.detached",
    "day.dropped",
    "house.turn_ending",
];

/// Marks a point of [`PRODUCER`] or [`CONSUMER`]. Not even its name is in an ordinary build.
#[cfg(not(feature = "failpoints"))]
#[macro_export]
macro_rules! crash_point {
    ($name:literal) => {};
}

/// Marks a point of [`PRODUCER`] or [`CONSUMER`].
#[cfg(feature = "failpoints")]
#[macro_export]
macro_rules! crash_point {
    ($name:literal) => {
        $crate::crash::reached($name)
    };
}

#[cfg(feature = "failpoints")]
pub use armed::{arm, reached};

#[cfg(feature = "failpoints")]
mod armed {
    use std::io::Write as _;
    use std::{env, io, mem, process, thread};

    use fail::FailScenario;
    use rustix::process::{Signal, getpid, kill_process};

    use super::{CONSUMER, PRODUCER};

    /// Exit code when `FAILPOINTS` is not understood.
    const USAGE: i32 = 2;

    /// Reads `FAILPOINTS`. To be called once, first of all. `fail` itself says nothing to a point that does not exist,
    /// and a test that arms none proves nothing.
    pub fn arm() {
        let orders = env::var("FAILPOINTS").unwrap_or_default();
        let names = orders.split(';').filter_map(|order| order.split_once('=')).map(|(name, _)| name.trim());
        for name in names {
            if !PRODUCER.contains(&name) && !CONSUMER.contains(&name) {
                say(&format!("FAILPOINTS: there is no point {name:?}"));
                process::exit(USAGE);
            }
        }
        // Dropping it would disarm all points.
        mem::forget(FailScenario::setup());
    }

    /// Does what `FAILPOINTS` says for this point.
    pub fn reached(name: &'static str) {
        let order = fail::eval(name, Option::unwrap_or_default);
        match order.as_deref() {
            None => {}
            Some("hold") => {
                say(&format!("held at {name}"));
                loop {
                    thread::park();
                }
            }
            Some("freeze") => {
                say(&format!("freezes at {name}"));
                let _ = kill_process(getpid(), Signal::STOP);
            }
            Some(_) => die(name),
        }
    }

    /// As kill -9 from outside: no destructor, no flush, no handler.
    fn die(name: &str) {
        say(&format!("dies at {name}"));
        let _ = kill_process(getpid(), Signal::KILL);
        process::abort();
    }

    /// A line on standard error, past the log.
    fn say(line: &str) {
        let _ = writeln!(io::stderr(), "{line}");
    }
}
