//! The parts of a stack together: which of them, in which order.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::thread;

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;

use super::broker::Broker;
use super::jars::Line;
use super::kafka::{self, Kafka};
use super::kraft::{Controller, Node};
use super::part::{Context, Part};
use super::ports::Port;
use super::postgres::{NAME, Postgres};
use super::secured::Secured;
use super::zookeeper::Zookeeper;
use super::{certificates, rights};

/// The kinds of servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Kind {
    /// Kafka 3's memory.
    Zookeeper,
    /// The broker; brings ZooKeeper along, or a controller where several brokers of Kafka 4 need one.
    Kafka,
    /// The database.
    Postgres,
    /// The demo sites.
    Sites,
}

/// What to start, and where.
pub(crate) struct Wanted {
    pub(crate) kinds: BTreeSet<Kind>,
    /// Which Kafka.
    pub(crate) line: Line,
    /// Whether Kafka has listeners that ask who somebody is.
    pub(crate) is_secured: bool,
    /// That of Kafka 4's controller, where there is one.
    pub(crate) zookeeper: Port,
    /// One for each broker.
    pub(crate) kafka: Vec<Port>,
    pub(crate) postgres: Port,
    pub(crate) fsync: bool,
    pub(crate) postgres_tls: bool,
}

/// The servers of one stack. Dropped, they are killed.
pub(crate) struct Parts {
    /// ZooKeeper, or the controller.
    keeper: Option<Part>,
    kafka: Vec<Part>,
    postgres: Option<Part>,
    /// The addresses of each secured listener, by its name.
    listeners: BTreeMap<String, Vec<String>>,
}

/// The parts of Kafka, before they are started.
#[derive(Default)]
struct Cluster {
    keeper: Option<Part>,
    brokers: Vec<Part>,
    listeners: BTreeMap<String, Vec<String>>,
}

impl Parts {
    /// The wanted parts, started and ready. `told` hears of each that is.
    pub(crate) fn start(wanted: Wanted, context: &Context, told: &(dyn Fn(&Part) + Sync)) -> Result<Self> {
        let is_wanted = |kind: Kind| wanted.kinds.contains(&kind);
        let database = Postgres { fsync: wanted.fsync, tls: wanted.postgres_tls };
        let mut postgres = is_wanted(Kind::Postgres).then(|| Part::new(Box::new(database), context, wanted.postgres));
        let mut cluster = if is_wanted(Kind::Kafka) {
            Cluster::new(wanted.line, wanted.is_secured, wanted.zookeeper, wanted.kafka, context)?
        } else if is_wanted(Kind::Zookeeper) {
            Cluster { keeper: Some(Part::new(Box::new(Zookeeper), context, wanted.zookeeper)), ..Cluster::default() }
        } else {
            Cluster::default()
        };
        let start = |part: &mut Part| -> Result<()> { part.start().inspect(|()| told(part)) };
        let (kafka, database) = thread::scope(|scope| {
            let database = scope.spawn(|| postgres.as_mut().map_or(Ok(()), start));
            let kafka = cluster.start(wanted.line, context, &start);
            (kafka, database.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        let Cluster { keeper, brokers: kafka_parts, listeners } = cluster;
        match (kafka, database) {
            (Ok(()), Ok(())) => Ok(Self { keeper, kafka: kafka_parts, postgres, listeners }),
            (Err(error), Ok(())) | (Ok(()), Err(error)) => Err(error),
            (Err(kafka), Err(database)) => bail!("{kafka:#}; {database:#}"),
        }
    }

    /// The part of that name.
    pub(crate) fn get(&mut self, name: &str) -> Result<&mut Part> {
        let names: Vec<&str> = self.all().map(|part| part.name()).collect();
        match self.all().find(|part| part.name() == name) {
            Some(part) => Ok(part),
            None => bail!("no part is called {name}: there are {}", names.join(", ")),
        }
    }

    /// All of them, in the order to end them: Kafka needs ZooKeeper, or its controller, to end well.
    pub(crate) fn all(&mut self) -> impl Iterator<Item = &mut Part> {
        self.kafka.iter_mut().chain(&mut self.keeper).chain(&mut self.postgres)
    }

    /// Ends all: in order, or fast when the data is not needed again.
    pub(crate) fn end(&mut self, is_data_needed: bool) -> Result<()> {
        let results: Vec<Result<()>> =
            self.all().map(|part| if is_data_needed { part.stop() } else { part.stop_quickly() }).collect();
        results.into_iter().collect()
    }

    /// `127.0.0.1:<port>`
    pub(crate) fn zookeeper(&self) -> Option<String> {
        self.keeper.as_ref().filter(|part| part.name() == "zookeeper").map(|part| part.port().address())
    }

    /// `127.0.0.1:<port>`
    pub(crate) fn kafka(&self) -> Option<String> {
        self.brokers().into_iter().next()
    }

    /// `127.0.0.1:<port>` of each broker.
    pub(crate) fn brokers(&self) -> Vec<String> {
        self.kafka.iter().map(|part| part.port().address()).collect()
    }

    /// `127.0.0.1:<port>` of each broker, by the name of the secured listener.
    pub(crate) fn listeners(&self) -> BTreeMap<String, Vec<String>> {
        self.listeners.clone()
    }

    /// The database's URL, password and all: it is no secret.
    pub(crate) fn postgres_url(&self) -> Option<String> {
        self.postgres.as_ref().map(|part| database_url(part.port().number()))
    }
}

/// The URL of the database on that port.
pub(crate) fn database_url(port: u16) -> String {
    format!("postgres://{NAME}:{NAME}@127.0.0.1:{port}/{NAME}")
}

impl Cluster {
    fn new(line: Line, is_secured: bool, keeper: Port, ports: Vec<Port>, context: &Context) -> Result<Self> {
        let (of, keeper_port) = (ports.len(), keeper.number());
        let folder = context.home.certificates();
        if is_secured {
            certificates::make(&folder)?;
        }
        let mut cluster = Self::default();
        let mut keeper = Some(keeper);
        if line == Line::Three {
            cluster.keeper = keeper.take().map(|port| Part::new(Box::new(Zookeeper), context, port));
        } else if of > 1 {
            let controller = Controller { of, is_secured };
            cluster.keeper = keeper.take().map(|port| Part::new(Box::new(controller), context, port));
        }
        for (port, number) in ports.into_iter().zip(1..) {
            let broker = Broker { number, of, secured: cluster.secured(is_secured.then_some(&folder))? };
            let part = match line {
                Line::Three => Part::new(Box::new(Kafka { zookeeper: keeper_port, broker }), context, port),
                Line::Four => {
                    let node = Node { broker, own_controller: keeper.take(), controller: keeper_port };
                    Part::new(Box::new(node), context, port)
                }
            };
            cluster.brokers.push(part);
        }
        Ok(cluster)
    }

    /// The secured listeners of one more broker, where it is to have such.
    fn secured(&mut self, certificates: Option<impl AsRef<Path>>) -> Result<Option<Secured>> {
        let Some(certificates) = certificates else { return Ok(None) };
        let secured = Secured::on_free_ports(certificates.as_ref())?;
        for (name, address) in secured.addresses() {
            self.listeners.entry(name.to_owned()).or_default().push(address);
        }
        Ok(Some(secured))
    }

    /// ZooKeeper first; a controller needs its brokers no less than they need it.
    fn start(&mut self, line: Line, context: &Context, start: &(dyn Fn(&mut Part) -> Result<()> + Sync)) -> Result<()> {
        let mut parts: Vec<&mut Part> = self.brokers.iter_mut().collect();
        match &mut self.keeper {
            Some(zookeeper) if line == Line::Three => {
                start(zookeeper)?;
                if !self.listeners.is_empty() {
                    kafka::make_users(context, zookeeper.port().number())?;
                }
            }
            keeper => parts.extend(keeper),
        }
        let started: Vec<Result<()>> = thread::scope(|scope| {
            let starts: Vec<_> = parts.into_iter().map(|part| scope.spawn(move || start(part))).collect();
            let join = |thread: thread::ScopedJoinHandle<'_, _>| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            starts.into_iter().map(join).collect()
        });
        started.into_iter().collect::<Result<()>>()?;
        match self.brokers.first() {
            Some(broker) if !self.listeners.is_empty() => {
                rights::allow_services(broker.port().number(), "isitup").context("could not grant the services' rights")
            }
            _ => Ok(()),
        }
    }
}
