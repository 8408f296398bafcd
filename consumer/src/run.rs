//! The service: wiring of threads, nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use isitup_shared::config::{ConsumerConfig, KafkaConfig};
use isitup_shared::http::{self, Health};
use isitup_shared::kafka;
use isitup_shared::retry::Retry;
use isitup_shared::shutdown::Shutdown;
use isitup_shared::supervision;
use uuid::Uuid;

use crate::assignment::Assignment;
use crate::cli::{RunArgs, Sink};
use crate::config::Config;
use crate::console::Console;
use crate::ingest::Scope;
use crate::lease::{self, LeaseKeeper};
use crate::maintenance::Housekeeper;
use crate::metrics::Metrics;
use crate::mirror::Mirror;
use crate::pipeline::Pipeline;
use crate::status::{Part, Status};
use crate::store::{Store, StoreError};
use crate::storer::Storer;
use crate::waiting::Patience;

/// Runs the chosen sinks until the shutdown.
///
/// # Errors
/// When the health address cannot be listened on, or a sink cannot go on.
pub(crate) fn run(config: &Config, args: &RunArgs, shutdown: &Shutdown) -> anyhow::Result<()> {
    let sinks = args.sinks();
    let with_postgres = sinks.contains(&Sink::Postgres);
    let parts: &[Part] = if with_postgres { &[Part::Kafka, Part::Database, Part::Leases] } else { &[Part::Kafka] };
    let status = Arc::new(Status::starting(parts));
    let (metrics, registry) = Metrics::register();
    let listen = config.consumer.listen;
    http::serve(listen, Arc::clone(&status) as Arc<dyn Health>, registry)
        .with_context(|| format!("cannot listen on {listen}: free it, or set consumer.listen"))?;

    let store = match &config.postgres {
        Some(postgres) if with_postgres => Some(Store::new(postgres, config.consumer.lease)?),
        _ => None,
    };
    let _told = supervision::begin(Arc::clone(&status) as Arc<dyn Health>, shutdown)
        .context("starting the thread that tells systemd")?;

    thread::scope(|scope| {
        let console = sinks.contains(&Sink::Console).then(|| {
            let console = Console {
                receiver: kafka::receiver(&config.kafka),
                topic: &config.kafka.topic,
                from: args.from.unwrap_or_default(),
                status: &status,
                positions: BTreeMap::new(),
            };
            scope.spawn(|| {
                // A console that ends, ends the process: nobody would notice otherwise.
                let _end = EndOfThread(shutdown);
                console.run(shutdown)
            })
        });
        if let Some(store) = &store {
            run_postgres(config, store, args, (&status, &metrics), shutdown);
        }
        match console.map(thread::ScopedJoinHandle::join) {
            Some(Ok(printed)) => printed.context("cannot write to standard output"),
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Ok(()),
        }
    })
}

fn run_postgres(
    config: &Config,
    store: &Store,
    args: &RunArgs,
    (status, metrics): (&Status, &Metrics),
    shutdown: &Shutdown,
) {
    let Config { kafka, consumer, .. } = config;
    if !prepare_when_possible(store, args.no_migrate, status, shutdown) {
        return;
    }
    let (owner, assignment) = (Uuid::new_v4(), Assignment::default());
    let (schema, how) = (store.schema().as_str(), store.protection());
    log::info!("consumer {owner} stores topic {} in schema {schema}, {how}", kafka.topic);
    let (topic, lease, assignment) = (kafka.topic.as_str(), consumer.lease, &assignment);
    let keeper = LeaseKeeper { store, topic, owner, lease, assignment, status, metrics, told_jump: AtomicI64::new(0) };
    let housekeeper = Housekeeper { store, owner, retention_days: retention_days(consumer), status, metrics };
    let pipeline = Pipeline {
        topic,
        receiver: kafka::receiver(kafka),
        storer: Storer::new(store, scope_of(kafka, consumer, owner), assignment, (metrics, status), shutdown),
        assignment,
        status,
        metrics,
        accept_new_topic: args.accept_new_topic,
        discovered: None,
        doubts: BTreeMap::new(),
        fetch_begun: None,
    };
    thread::scope(|scope| {
        let leases = scope.spawn(|| guarded(shutdown, || keeper.run(shutdown)));
        let house = scope.spawn(|| guarded(shutdown, || housekeeper.run(shutdown)));
        scope.spawn(|| {
            let mut receiver = kafka::receiver(kafka);
            guarded(shutdown, || Mirror { topic, assignment, metrics }.run(&mut *receiver, shutdown));
        });
        guarded(shutdown, || pipeline.run(shutdown));
        match leases.join() {
            Ok(()) => {
                keeper.leave();
                wait_for_house(shutdown, || house.is_finished());
            }
            Err(panic) => std::panic::resume_unwind(panic),
        }
    });
}

/// Waits for the housekeeping to end. Its statements are cancelled, but a server that does not answer cancels none.
fn wait_for_house(shutdown: &Shutdown, is_finished: impl Fn() -> bool) {
    const LIMIT: Duration = Duration::from_secs(7);
    let begun = shutdown.triggered_at().unwrap_or_else(Instant::now);
    while !is_finished() {
        if begun.elapsed() >= LIMIT {
            log::warn!(
                "the housekeeping has not ended within {} s: left as it is, it may be cut off anywhere",
                LIMIT.as_secs()
            );
            std::process::exit(0);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn guarded(shutdown: &Shutdown, work: impl FnOnce()) {
    let _end = EndOfThread(shutdown);
    work();
}

/// Starts the shutdown when a thread ends, also by a panic: the process must not go on with a part of itself.
struct EndOfThread<'a>(&'a Shutdown);

impl Drop for EndOfThread<'_> {
    fn drop(&mut self) {
        self.0.trigger();
    }
}

/// Brings the schema up to date as soon as PostgreSQL answers, or waits until somebody else has. Whether that was before
/// the shutdown.
fn prepare_when_possible(store: &Store, is_left_alone: bool, status: &Status, shutdown: &Shutdown) -> bool {
    let (mut patience, mut retry) = (Patience::new("PostgreSQL"), Retry::for_service());
    status.trouble(Part::Database, "the schema is not known to be up to date yet");
    while !shutdown.is_triggered() {
        let prepared = if is_left_alone {
            store.readiness().and_then(|found| found.judge_as_it_is().map_err(StoreError::NotReady)).map(|_| Vec::new())
        } else {
            store.migrate(shutdown)
        };
        match prepared {
            Ok(applied) => {
                patience.succeeded();
                for migration in applied {
                    log::info!("migrated schema {}: {migration}", store.schema().as_str());
                }
                return true;
            }
            Err(error) => {
                status.trouble(Part::Database, error.to_string());
                patience.failed(&error);
                retry.pause(shutdown);
            }
        }
    }
    false
}

/// What the ingest needs to know.
pub(crate) fn scope_of(kafka: &KafkaConfig, consumer: &ConsumerConfig, owner: Uuid) -> Scope {
    Scope {
        topic: kafka.topic.clone(),
        owner,
        lease: lease::hold(consumer.lease),
        retention_days: retention_days(consumer),
    }
}

/// Whole days; a part of a day keeps the whole.
pub(crate) fn retention_days(consumer: &ConsumerConfig) -> i32 {
    const DAY: u64 = 24 * 3600;
    // For ever, within what calendars can count.
    const MOST: i32 = 1_000_000;
    i32::try_from(consumer.retention.as_secs().div_ceil(DAY)).unwrap_or(i32::MAX).min(MOST)
}
