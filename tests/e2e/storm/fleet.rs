//! Two producers and three consumers in one pipeline, to be struck from several sides at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

use super::hostile;
use crate::harness::clockwork::Clockwork;
use crate::harness::mount::Mount;
use crate::harness::oracle::spool;
use crate::harness::proxy::{Call, Proxy};
use crate::harness::{Database, OwnServers, Pipeline, Service, eventually, site};

const LOCATIONS: [&str; 2] = ["west", "east"];
/// The one of them whose wall clock is stepped.
const STEPPED: usize = 1;
/// 30 sites, each 200 ms, at two locations: 300 checks a second.
const SITES: usize = 30;
/// So many of them are hostile from beginning to end.
const HOSTILE_SITES: usize = 2;
const INTERVAL: Duration = Duration::from_millis(200);
const LEASE: Duration = Duration::from_secs(4);

pub(super) struct Fleet<'a> {
    pub(super) servers: &'a OwnServers,
    // Dropped in this order: the services before the disk, the disk before the folder that it is mounted in.
    pub(super) producers: [Producer; 2],
    pub(super) consumers: [Slot; 3],
    /// The disk of the first producer's spool.
    pub(super) disk: Mount,
    /// The wall clock of the second producer.
    pub(super) clock: Clockwork,
    pub(super) pipeline: Pipeline<'a>,
    /// What lies between the consumers and PostgreSQL.
    pub(super) postgres: Proxy,
    /// What lies between the services and each of Kafka's brokers. The oracle does not go this way.
    pub(super) kafka: Vec<Proxy>,
    /// Whether the sites keep their visitors waiting.
    stalled: Arc<AtomicBool>,
    /// Whether all sites answer as hostile ones do.
    hostile: Arc<AtomicBool>,
}

/// A producer of its own location, name and spool.
pub(super) struct Producer {
    pub(super) location: &'static str,
    pub(super) spool: PathBuf,
    pub(super) service: Slot,
}

/// Where a service runs, or does not at the moment.
#[derive(Default)]
pub(super) struct Slot(Mutex<Option<Service>>);

impl<'a> Fleet<'a> {
    /// All services started, and results stored.
    pub(super) fn set_sail(servers: &'a OwnServers) -> Self {
        let [stalled, hostile] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let (waits, turned) = (Arc::clone(&stalled), Arc::clone(&hostile));
        let site = site::answering_by(move |_| {
            while waits.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(20));
            }
            if turned.load(Ordering::SeqCst) { hostile::answer() } else { site::ok("", "all is well") }
        });
        let attacker = site::answering_by(|_| hostile::answer());
        let proxy = Proxy::postgres(servers.postgres_url());
        let kafka = Proxy::kafka_cluster(servers.brokers());
        let pipeline = Pipeline::on(servers, "storm")
            .postgres_url(proxy.url())
            .brokers_behind(&kafka)
            .every(INTERVAL)
            .lease(LEASE)
            .producer_with("workers: 24");
        let url = |number| if number < HOSTILE_SITES { attacker.url() } else { site.url() };
        let pipeline =
            (0..SITES).fold(pipeline, |pipeline, number| pipeline.site(&format!("site {number}"), url(number)));
        let producer = |location| Producer {
            location,
            spool: pipeline.folder().join("spools").join(location),
            service: Slot::default(),
        };
        let producers = LOCATIONS.map(producer);
        let disk = Mount::tmpfs(&producers[0].spool, "size=96m");
        let (consumers, clock) = (Default::default(), Clockwork::new());
        let fleet =
            Self { servers, producers, consumers, disk, clock, pipeline, postgres: proxy, kafka, stalled, hostile };
        for number in 0..fleet.producers.len() {
            fleet.start_producer(number);
        }
        for number in 0..fleet.consumers.len() {
            fleet.start_consumer(number);
        }
        fleet.pipeline.wait_for_rows(300);
        eventually("the services go through all proxies", || {
            fleet.kafka.iter().all(|proxy| proxy.answered(Call::Produce) > 0 && proxy.answered(Call::Fetch) > 0)
        });
        fleet
    }

    pub(super) fn start_producer(&self, number: usize) {
        self.producers[number].service.put(self.producer(number, "isitup-producer", ""));
    }

    /// A producer that is not in its slot yet: `program`, which dies where `orders` say.
    pub(super) fn producer(&self, number: usize, program: &str, orders: &str) -> Service {
        let Producer { location, spool, .. } = &self.producers[number];
        let mut command = self.pipeline.command(program, &[]);
        command.env("ISITUP__PRODUCER__LOCATION", location);
        command.env("ISITUP__PRODUCER__SPOOL__PATH", spool);
        command.env("FAILPOINTS", orders);
        let command = if number == STEPPED { self.clock.drives(command) } else { command };
        Service::start(&format!("the producer {location}"), command)
    }

    pub(super) fn start_consumer(&self, number: usize) {
        self.consumers[number]
            .put(Service::start(&format!("consumer {number}"), self.pipeline.command("isitup-consumer", &[])));
    }

    /// Lets all sites keep their visitors waiting, or answer again.
    pub(super) fn stall(&self, is_so: bool) {
        self.stalled.store(is_so, Ordering::SeqCst);
    }

    /// Lets all sites answer as hostile ones do, or as usual again.
    pub(super) fn turn_hostile(&self, is_so: bool) {
        self.hostile.store(is_so, Ordering::SeqCst);
    }

    pub(super) fn locations(&self) -> [&'static str; 2] {
        LOCATIONS
    }

    /// Events in the spools that Kafka has not acknowledged.
    pub(super) fn spooled(&self) -> f64 {
        let depth = |producer: &Producer| producer.service.ask(|service| service.metric("isitup_spool_events"));
        self.producers.iter().filter_map(depth).sum()
    }

    /// Messages on the topic that no consumer has stored.
    pub(super) fn lag(&self) -> i64 {
        let offsets = self.offsets().unwrap_or_default();
        let ends = self.pipeline.topic().ends();
        ends.iter().map(|(partition, end)| end - offsets.get(partition).copied().unwrap_or(0)).sum()
    }

    /// Where the consumers stand, unless PostgreSQL is away.
    pub(super) fn offsets(&self) -> Option<BTreeMap<i32, i64>> {
        let mut database = self.try_database()?;
        let rows = database.try_rows("SELECT partition, next_offset FROM partition_offset").ok()?;
        Some(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// The highest number of a location's stored results.
    pub(super) fn newest_number(&self, location: &str) -> i64 {
        let newest = format!("SELECT coalesce(max(seq), 0) FROM check_result WHERE location = '{location}'");
        self.try_database().and_then(|mut database| database.try_value(&newest).ok()).unwrap_or(0)
    }

    pub(super) fn are_ready(&self) -> bool {
        let slots = self.producers.iter().map(|producer| &producer.service).chain(&self.consumers);
        slots.into_iter().all(|slot| slot.ask(|service| service.get("/health/ready").0 == 200) == Some(true))
    }

    /// The memory that each running service has, in KiB.
    pub(super) fn memory(&self) -> Vec<(&'static str, u64)> {
        let producers = self.producers.iter().map(|producer| ("producer", &producer.service));
        let all = producers.chain(self.consumers.iter().map(|consumer| ("consumer", consumer)));
        all.filter_map(|(kind, slot)| Some((kind, slot.try_ask(Service::resident_kib)??))).collect()
    }

    /// The identities that the spools keep.
    pub(super) fn producer_ids(&self) -> BTreeSet<Uuid> {
        let identity = |producer: &Producer| fs::read_to_string(producer.spool.join("identity")).unwrap();
        let id = |text: String| text.split(' ').next().and_then(|id| id.parse().ok()).unwrap();
        self.producers.iter().map(identity).map(id).collect()
    }

    /// The events that the spools' files still hold.
    pub(super) fn spooled_events(&self) -> Vec<Value> {
        self.producers.iter().flat_map(|producer| spool::events_in(&producer.spool)).collect()
    }

    pub(super) fn try_database(&self) -> Option<Database> {
        Database::connect(self.servers.postgres_url(), self.pipeline.name()).ok()
    }

    /// A connection, once PostgreSQL gives one.
    pub(super) fn database(&self) -> Database {
        let mut database = None;
        eventually("PostgreSQL takes a connection", || {
            database = self.try_database();
            database.is_some()
        });
        database.unwrap()
    }
}

impl Slot {
    pub(super) fn put(&self, service: Service) {
        *self.lock() = Some(service);
    }

    /// The service, which is there no longer.
    pub(super) fn take(&self) -> Service {
        self.lock().take().unwrap()
    }

    /// Asks the service, if one is there.
    pub(super) fn ask<T>(&self, question: impl FnOnce(&Service) -> T) -> Option<T> {
        self.lock().as_ref().map(question)
    }

    /// Asks unless somebody else does.
    fn try_ask<T>(&self, question: impl FnOnce(&Service) -> T) -> Option<T> {
        self.0.try_lock().ok()?.as_ref().map(question)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Service>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
