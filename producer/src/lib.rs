//! isitup-producer: checks web sites on a schedule and publishes each result to Kafka.
//!
//! This file is the wiring only. A result's way: [`schedule`] -> [`dispatcher`] -> [`workers`] -> [`checker`] ->
//! [`spool`] -> [`publisher`].

pub mod capacity;
pub mod checker;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dispatcher;
pub mod endpoint;
pub mod metrics;
mod one_shot;
pub mod publisher;
pub mod reference;
pub mod reload;
pub mod schedule;
pub mod site;
pub mod spool;
pub mod target;
pub mod verdict;
pub mod workers;

use std::io;
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use isitup_shared::heartbeat::Heartbeat;
use isitup_shared::http::{self, Health};
use isitup_shared::limits;
use isitup_shared::shutdown::Shutdown;
use isitup_shared::supervision;
use prometheus_client::registry::Registry;
use signal_hook::consts::SIGXFSZ;

use capacity::Capacity;
use checker::Trust;
use config::Settings;
use dispatcher::{Before, Dispatcher, Identification};
use metrics::Metrics;
use publisher::{Progress, Publisher, Stall};
use reference::Reference;
use reload::Watch;
use spool::{Ledger, Spool, SpoolGauge};
use verdict::Jury;
use workers::{SiteState, Workers};

/// The end of the process takes at most 8 s, where the disk answers: 5 s for checks in flight, and what these leave. So, counted
/// from its beginning, the last flush and the last publishing are over then.
const END_OF_FLUSH: Duration = Duration::from_millis(5_800);
const END_OF_PUBLISHING: Duration = Duration::from_millis(6_500);
/// Each has some time however late it is, and no more than is needed however early.
const LEAST_TO_END: Duration = Duration::from_millis(500);
const MOST_TO_END: Duration = Duration::from_secs(3);
/// After the publishing: for a call that began just before its end, and for the client to end its threads.
const END_OF_CLIENT: Duration = Duration::from_millis(1_200);

/// The dispatcher looks at the schedule each second, unless the spool cannot be written.
const MOST_BETWEEN_LOOKS: Duration = Duration::from_secs(60);
/// Each call to Kafka is bounded; a publisher with a full hand needs many of them.
const MOST_BETWEEN_TRIES: Duration = Duration::from_secs(600);

/// Checks the sites of `settings`, which were read from `file`, until `shutdown`. A SIGHUP, which sets `hangups`, has them
/// read again.
///
/// # Errors
/// When the spool cannot be opened, the trusted certificates not read, or the address for health not listened on.
/// Kafka being away is no error: results wait in the spool.
pub fn run(
    file: Option<PathBuf>,
    mut settings: Settings,
    hangups: Arc<AtomicBool>,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    // A limit on the size of files is to be an error of the file system like any other, not the end of the process.
    signal_hook::flag::register(SIGXFSZ, Arc::default()).context("setting up signals")?;
    limits::raise_open_files();
    let capacity = Capacity::of(settings.producer.workers, &settings.sites);
    for shortage in &capacity.shortages {
        log::warn!("{shortage}");
    }
    let mut registry = Registry::default();
    let metrics = Metrics::new(&mut registry);
    let trust = Trust::system()
        .context("reading the trusted certificates")?
        .denying(&settings.producer.deny_networks)
        .bounded(capacity.lookups, capacity.bodies);
    let spool = Spool::open(&settings.producer.spool, &settings.producer.location, settings.kafka.format)?;
    let (before, producer_id) = (Before { settled: spool.settled, last: spool.last_accepted }, spool.producer_id);
    for gap in &spool.declared {
        log::warn!("the spool was damaged; declared gone: {:?}", gap.seqs);
        metrics.count_gap(gap.reason);
    }
    let ledger = Arc::new(Ledger::default());
    let (intake, feed, spool) =
        spool.start(Arc::clone(&ledger), shutdown.clone()).context("starting the spool's thread")?;
    let gauge = spool.gauge();
    let dispatcher_heart = Heartbeat::new("dispatcher", MOST_BETWEEN_LOOKS);
    let publisher_heart = Heartbeat::new("publisher", MOST_BETWEEN_TRIES);
    let progress = Progress::default();
    let health = Arc::new(ProducerHealth {
        spool: gauge.clone(),
        metrics: metrics.clone(),
        dispatcher: dispatcher_heart.clone(),
        publisher: publisher_heart.clone(),
        progress: progress.clone(),
    });
    metrics.workers_limit.set(i64::try_from(capacity.workers).unwrap_or(i64::MAX));
    let listen = settings.producer.listen;
    http::serve(listen, Arc::clone(&health) as Arc<dyn Health>, registry)
        .with_context(|| format!("producer.listen: {listen} cannot be listened on; free it or set another address"))?;

    let identification =
        Identification { config_hash: settings.config_hash.clone(), site_count: settings.sites.len() as u64 };
    log::info!("producer {producer_id} checks {} sites with up to {} threads", settings.sites.len(), capacity.workers);
    let sites = mem::take(&mut settings.sites).into_iter().map(|site| Arc::new(SiteState::new(site))).collect();
    let jury = Jury::new(Reference::new(&trust, settings.producer.reference.clone()), shutdown.clone());
    let workers = Workers::new(capacity.workers, trust, jury, intake.clone(), metrics.clone());
    let kafka = settings.kafka.clone();
    let reloads =
        Watch::start(file, settings, metrics.clone(), hangups, shutdown).context("watching the configuration")?;
    let dispatcher =
        Dispatcher::begin(identification, sites, reloads, before, workers, ledger, intake, gauge, metrics.clone());

    let publishing = Publishing::start(Publisher::new(feed, &kafka, metrics, progress), publisher_heart)?;
    let _told = supervision::begin(health, shutdown).context("starting the thread that tells systemd")?;
    dispatcher.run(shutdown, &dispatcher_heart);
    let begun = shutdown.triggered_at().unwrap_or_else(Instant::now);
    spool.flush(deadline(begun + END_OF_FLUSH));
    publishing.finish(deadline(begun + END_OF_PUBLISHING));
    spool.finish();
    log::info!("stopped");
    Ok(())
}

/// Until when to wait for something that begins now, and is to be over at `end`.
fn deadline(end: Instant) -> Instant {
    let now = Instant::now();
    end.clamp(now + LEAST_TO_END, now + MOST_TO_END)
}

/// The publisher's thread.
struct Publishing {
    stop: Shutdown,
    /// Takes until when the rest may be published.
    deadline: Sender<Instant>,
    ended: Receiver<()>,
}

impl Publishing {
    fn start(mut publisher: Publisher, heart: Heartbeat) -> io::Result<Self> {
        let stop = Shutdown::new();
        let (end, ended) = bounded::<()>(1);
        let (deadline, until) = bounded(1);
        let on_stop = stop.clone();
        thread::Builder::new().name("publisher".into()).spawn(move || {
            publisher.run(&on_stop, &heart);
            publisher.drain(until.recv().unwrap_or_else(|_| Instant::now()));
            // The process is not to end while a client's threads do.
            drop(publisher);
            drop(end);
        })?;
        Ok(Self { stop, deadline, ended })
    }

    /// Publishes what is left, until `deadline`. A broker that keeps silent is left to the end of the process.
    fn finish(self, deadline: Instant) {
        // The thread has ended already where it takes this no more, which is seen below.
        let _ = self.deadline.send(deadline);
        self.stop.trigger();
        if self.ended.recv_deadline(deadline + END_OF_CLIENT) == Err(RecvTimeoutError::Timeout) {
            log::warn!("Kafka does not answer; the rest stays in the spool for the next start");
        }
    }
}

/// The producer can do its work while its spool can be written and Kafka, where it is there, takes its events.
struct ProducerHealth {
    spool: SpoolGauge,
    metrics: Metrics,
    dispatcher: Heartbeat,
    publisher: Heartbeat,
    progress: Progress,
}

impl ProducerHealth {
    fn stall(&self) -> Option<Stall> {
        self.progress.stall(self.spool.events())
    }
}

impl Health for ProducerHealth {
    fn live(&self) -> Result<(), String> {
        if self.spool.blocked().is_some() {
            // All that makes events waits for the disk, which no restart would change.
            self.dispatcher.excuse();
        }
        Heartbeat::check_all(&[&self.dispatcher, self.spool.heart(), &self.publisher])
    }

    fn ready(&self) -> Result<(), String> {
        if let Some(blocked) = self.spool.blocked() {
            return Err(blocked);
        }
        match self.stall().filter(|stall| !stall.is_ready) {
            Some(stall) => Err(stall.why),
            None => Ok(()),
        }
    }

    fn remark(&self) -> Option<String> {
        self.stall().map(|stall| stall.why)
    }

    fn refresh_metrics(&self) {
        self.metrics.spool_events.set(self.spool.events());
        self.metrics.spool_oldest_age.set(self.spool.oldest_age_seconds());
        self.metrics.spool_blocked.set(i64::from(self.spool.blocked().is_some()));
        let silence = self.progress.silence(self.spool.events());
        self.metrics.publish_silence.set(silence.as_secs_f64());
        let stalled = self.progress.stalled_partitions();
        self.metrics.partitions_stalled.set(i64::try_from(stalled).unwrap_or(i64::MAX));
    }
}
