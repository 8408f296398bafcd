//! Keeps the set-up running.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use signal_hook::consts::SIGHUP;

use super::service::{News, Service};
use super::state::{self, Board, Health, Item, Phase, State};
use super::{
    CONSUMER, CONSUMER_PORT, KAFKA_PORT, POSTGRES_PORT, PRODUCER, PRODUCER_PORT, SITES_PORT, SITES_TLS_PORT, SetupArgs,
    ZOOKEEPER_PORT,
};
use crate::ending::Ending;
use crate::proc::{self, Identity};
use crate::sites::Sites;
use crate::spawner::Spawner;
use crate::stack::{Context, Home, Kind, Line, Part, Parts, Port, Wanted, database_url};

const LOOK_EVERY: Duration = Duration::from_millis(200);
const NEXT_TRY: Duration = Duration::from_secs(10);

/// Starts everything and keeps it running until a signal says to end.
pub(crate) fn supervise(args: &SetupArgs, spawner: Spawner) -> Result<()> {
    // Out of the terminal's session, so that closing it or Ctrl-C in it does not reach us. Who starts it by hand in a
    // shell leads a group already and cannot: then the terminal stays in charge, as one would expect.
    let _ = rustix::process::setsid();
    let ending = Ending::on_termination()?;
    let home = Arc::new(Home::take(&args.folder.dir)?);
    let ports = Ports::take()?;
    let board = Board::new(home.root(), ports.first_state(&home)?)?;
    let context = Context { home: Arc::clone(&home), spawner, ending: ending.clone() };
    let result = keep_running(args, ports, &context, &board);
    match &result {
        Err(error) if !ending.is_raised() => {
            log::error!("{error:#}");
            board.change(|state| {
                state.phase = Phase::Failed;
                state.error = Some(format!("{error:#}"));
            });
            result
        }
        _ => state::forget(home.root()),
    }
}

/// Runs the two services alone, their output being ours, until a signal says to end.
pub(crate) fn services(args: &SetupArgs, spawner: &Spawner) -> Result<()> {
    let ending = Ending::on_signals()?;
    let log = Path::new("");
    let (producer, consumer) = (args.producer()?, args.consumer()?);
    let programs = [("isitup-producer", producer), ("isitup-consumer", consumer)];
    let service = |(name, program): (&'static str, PathBuf)| Service::new(name, &program, &args.config, log, None);
    let mut services = programs.map(|program| service(program).with_launch(|launch| launch.with_our_output()));
    while ending.sleep(LOOK_EVERY) {
        for service in &mut services {
            if let Some(News::Crashed(how)) = service.look(spawner)? {
                log::error!("{how}");
            }
        }
    }
    services.iter_mut().try_for_each(Service::stop)
}

/// Where everything listens: as `config.dev.yml` says, or elsewhere when somebody else is there.
struct Ports {
    zookeeper: Port,
    kafka: Port,
    postgres: Port,
    producer: Port,
    consumer: Port,
    _sites: [Port; 2],
}

impl Ports {
    fn take() -> Result<Self> {
        Ok(Self {
            zookeeper: Port::wanted(ZOOKEEPER_PORT)?,
            kafka: Port::wanted(KAFKA_PORT)?,
            postgres: Port::wanted(POSTGRES_PORT)?,
            producer: Port::wanted(PRODUCER_PORT)?,
            consumer: Port::wanted(CONSUMER_PORT)?,
            _sites: [
                Port::given_or_free(Some(SITES_PORT), SITES_REASON)?,
                Port::given_or_free(Some(SITES_TLS_PORT), SITES_REASON)?,
            ],
        })
    }

    fn pairs(&self) -> [(&'static str, u16, &Port); 5] {
        [
            ("zookeeper", ZOOKEEPER_PORT, &self.zookeeper),
            ("kafka", KAFKA_PORT, &self.kafka),
            ("postgres", POSTGRES_PORT, &self.postgres),
            (PRODUCER, PRODUCER_PORT, &self.producer),
            (CONSUMER, CONSUMER_PORT, &self.consumer),
        ]
    }

    /// What has to be said to the services because it differs from `config.dev.yml`.
    fn environment(&self) -> BTreeMap<String, String> {
        let moved = self.pairs().into_iter().filter(|(_, wanted, port)| port.number() != *wanted);
        moved
            .filter_map(|(name, _, port)| match name {
                "kafka" => Some(("ISITUP__KAFKA__BROKERS", port.address())),
                "postgres" => Some(("ISITUP__POSTGRES__URL", database_url(port.number()))),
                PRODUCER => Some(("ISITUP__PRODUCER__LISTEN", port.address())),
                CONSUMER => Some(("ISITUP__CONSUMER__LISTEN", port.address())),
                _ => None,
            })
            .map(|(key, value)| (key.to_owned(), value))
            .collect()
    }

    fn first_state(&self, home: &Home) -> Result<State> {
        let notes = self.pairs().into_iter().filter(|(_, wanted, port)| port.number() != *wanted).map(
            |(name, wanted, port)| {
                let holder = proc::listener_on(wanted).unwrap_or_else(|| "another process".to_owned());
                format!("port {wanted} is taken by {holder}: {name} listens on {} instead", port.number())
            },
        );
        let item = |name: &str, address: String| Item {
            name: name.to_owned(),
            health: Health::Starting,
            address,
            process: None,
            since: Timestamp::now(),
            restarts: 0,
            log: home.log(name),
        };
        let sites = Item { log: home.log("supervisor"), ..item("sites", format!("127.0.0.1:{SITES_PORT}")) };
        let items = self.pairs().map(|(name, _, port)| item(name, port.address()));
        Ok(State {
            supervisor: Identity::own().context("/proc does not know this process: is it mounted?")?,
            phase: Phase::Starting,
            error: None,
            generation: 0,
            environment: self.environment(),
            notes: notes.collect(),
            items: items.into_iter().chain([sites]).collect(),
        })
    }
}

const SITES_REASON: &str = "the demo sites, which cannot move as config.dev.yml names them,";

fn keep_running(args: &SetupArgs, ports: Ports, context: &Context, board: &Board) -> Result<()> {
    let restart = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGHUP, Arc::clone(&restart)).context("could not listen for SIGHUP")?;
    board.read().notes.iter().for_each(|note| log::warn!("{note}"));
    let mut services = make_services(args, &ports, context, &board.read().environment)?;
    let _sites = start_sites(board)?;
    let wanted = Wanted {
        kinds: [Kind::Kafka, Kind::Postgres].into(),
        line: Line::Three,
        is_secured: false,
        zookeeper: ports.zookeeper,
        kafka: vec![ports.kafka],
        postgres: ports.postgres,
        fsync: true,
        postgres_tls: false,
    };
    let is_ready = |part: &Part| {
        board.change_item(part.name(), Health::Ready, |item| {
            item.address = part.port().address();
            item.process = part.identity();
        });
    };
    let mut parts = Parts::start(wanted, context, &is_ready)?;
    let mut keeper = PartsKeeper::default();
    while context.ending.sleep(LOOK_EVERY) {
        if restart.swap(false, Ordering::SeqCst) {
            restart_services(&mut services, context, board)?;
        }
        for service in &mut services {
            look_after(service, context, board)?;
        }
        keeper.look_after(&mut parts, board)?;
        board.mark_ready();
    }
    log::info!("ending");
    services.iter_mut().try_for_each(Service::stop)?;
    parts.end(true)
}

fn make_services(
    args: &SetupArgs,
    ports: &Ports,
    context: &Context,
    environment: &BTreeMap<String, String>,
) -> Result<[Service; 2]> {
    if !args.config.is_file() {
        bail!(
            "there is no configuration {}: call this from the repository's root, or name one by --config",
            args.config.display()
        );
    }
    let service = |name, program: &_, port: &Port| {
        let service = Service::new(name, program, &args.config, &context.home.log(name), Some(port.address()));
        environment.iter().fold(service, |service, (key, value)| service.with_launch(|launch| launch.env(key, value)))
    };
    Ok([service(PRODUCER, &args.producer()?, &ports.producer), service(CONSUMER, &args.consumer()?, &ports.consumer)])
}

fn start_sites(board: &Board) -> Result<Sites> {
    let on = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let sites = Sites::on(on(SITES_PORT), on(SITES_TLS_PORT))?;
    board.change_item("sites", Health::Ready, |item| item.process = Identity::own());
    Ok(sites)
}

fn restart_services(services: &mut [Service], context: &Context, board: &Board) -> Result<()> {
    log::info!("restarting the services, as asked");
    for service in services {
        service.stop()?;
        look_after(service, context, board)?;
    }
    board.change(|state| {
        state.generation += 1;
        state.items.iter_mut().for_each(|item| item.restarts = 0);
    });
    Ok(())
}

fn look_after(service: &mut Service, context: &Context, board: &Board) -> Result<()> {
    let name = service.name();
    match service.look(&context.spawner)? {
        Some(News::Started(identity)) => {
            log::info!("{name} started (process {})", identity.pid);
            board.change_item(name, Health::Starting, |item| item.process = Some(identity));
        }
        Some(News::Ready) => {
            log::info!("{name} is ready");
            board.change_item(name, Health::Ready, |_| {});
        }
        Some(News::Crashed(how)) => {
            log::error!("{how}");
            board.change_item(name, Health::Crashed, |item| {
                item.process = None;
                item.restarts += 1;
            });
        }
        None => {}
    }
    Ok(())
}

/// Restarts parts that have crashed.
#[derive(Default)]
struct PartsKeeper {
    due: BTreeMap<&'static str, Instant>,
}

impl PartsKeeper {
    fn look_after(&mut self, parts: &mut Parts, board: &Board) -> Result<()> {
        for part in parts.all() {
            let name = part.name();
            if let Some(how) = part.has_crashed()?
                && !self.due.contains_key(name)
            {
                log::error!("{how}");
                board.change_item(name, Health::Crashed, |item| item.restarts += 1);
                self.due.insert(name, Instant::now());
            }
            if self.due.get(name).is_some_and(|due| *due <= Instant::now()) {
                self.restart(part, board);
            }
        }
        Ok(())
    }

    fn restart(&mut self, part: &mut Part, board: &Board) {
        let name = part.name();
        match part.start() {
            Ok(()) => {
                self.due.remove(name);
                board.change_item(name, Health::Ready, |item| item.process = part.identity());
            }
            Err(error) => {
                log::error!("could not restart {name}, next try in {} s: {error:#}", NEXT_TRY.as_secs());
                self.due.insert(name, Instant::now() + NEXT_TRY);
            }
        }
    }
}

impl Board {
    /// Once everything has been ready the set-up counts as started, whatever crashes later.
    fn mark_ready(&self) {
        let state = self.read();
        if state.phase == Phase::Starting && state.is_all_ready() {
            log::info!("everything is ready");
            self.change(|state| state.phase = Phase::Ready);
        }
    }
}
