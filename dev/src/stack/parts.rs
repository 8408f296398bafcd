//! The parts of a stack together: which of them, in which order.

use std::collections::BTreeSet;
use std::thread;

use anyhow::{Result, bail};
use clap::ValueEnum;

use super::kafka::Kafka;
use super::part::{Context, Part};
use super::ports::Port;
use super::postgres::{NAME, Postgres};
use super::zookeeper::Zookeeper;

/// The kinds of servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Kind {
    /// Kafka's memory.
    Zookeeper,
    /// The broker; brings ZooKeeper along.
    Kafka,
    /// The database.
    Postgres,
    /// The demo sites.
    Sites,
}

/// What to start, and where.
pub(crate) struct Wanted {
    pub(crate) kinds: BTreeSet<Kind>,
    pub(crate) zookeeper: Port,
    /// One for each broker.
    pub(crate) kafka: Vec<Port>,
    pub(crate) postgres: Port,
    pub(crate) fsync: bool,
    pub(crate) postgres_tls: bool,
}

/// The servers of one stack. Dropped, they are killed.
pub(crate) struct Parts {
    zookeeper: Option<Part>,
    kafka: Vec<Part>,
    postgres: Option<Part>,
}

impl Parts {
    /// The wanted parts, started and ready. `told` hears of each that is.
    pub(crate) fn start(wanted: Wanted, context: &Context, told: &(dyn Fn(&Part) + Sync)) -> Result<Self> {
        let is_wanted = |kind: Kind| wanted.kinds.contains(&kind);
        let with_kafka = is_wanted(Kind::Kafka);
        let with_zookeeper = with_kafka || is_wanted(Kind::Zookeeper);
        let mut zookeeper = with_zookeeper.then(|| Part::new(Box::new(Zookeeper), context, wanted.zookeeper));
        let database = Postgres { fsync: wanted.fsync, tls: wanted.postgres_tls };
        let mut postgres = is_wanted(Kind::Postgres).then(|| Part::new(Box::new(database), context, wanted.postgres));
        let start = |part: &mut Part| -> Result<()> { part.start().inspect(|()| told(part)) };
        let (kafka, database) = thread::scope(|scope| {
            let database = scope.spawn(|| postgres.as_mut().map_or(Ok(()), start));
            let kafka =
                start_kafka(&mut zookeeper, if with_kafka { wanted.kafka } else { Vec::new() }, context, &start);
            (kafka, database.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        match (kafka, database) {
            (Ok(kafka), Ok(())) => Ok(Self { zookeeper, kafka, postgres }),
            (Err(error), Ok(())) | (Ok(_), Err(error)) => Err(error),
            (Err(kafka), Err(database)) => bail!("{kafka:#}; {database:#}"),
        }
    }

    /// The part of that name.
    pub(crate) fn get(&mut self, name: &str) -> Result<&mut Part> {
        match self.all().find(|part| part.name() == name) {
            Some(part) => Ok(part),
            None => {
                bail!("no part is called {name}: there are zookeeper, kafka and postgres, unless --only left them out")
            }
        }
    }

    /// All of them, in the order to end them: Kafka needs ZooKeeper to end well.
    pub(crate) fn all(&mut self) -> impl Iterator<Item = &mut Part> {
        self.kafka.iter_mut().chain(&mut self.zookeeper).chain(&mut self.postgres)
    }

    /// Ends all: in order, or fast when the data is not needed again.
    pub(crate) fn end(&mut self, is_data_needed: bool) -> Result<()> {
        let results: Vec<Result<()>> =
            self.all().map(|part| if is_data_needed { part.stop() } else { part.stop_quickly() }).collect();
        results.into_iter().collect()
    }

    /// `127.0.0.1:<port>`
    pub(crate) fn zookeeper(&self) -> Option<String> {
        self.zookeeper.as_ref().map(|part| part.port().address())
    }

    /// `127.0.0.1:<port>`
    pub(crate) fn kafka(&self) -> Option<String> {
        self.brokers().into_iter().next()
    }

    /// `127.0.0.1:<port>` of each broker.
    pub(crate) fn brokers(&self) -> Vec<String> {
        self.kafka.iter().map(|part| part.port().address()).collect()
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

fn start_kafka(
    zookeeper: &mut Option<Part>,
    ports: Vec<Port>,
    context: &Context,
    start: &(dyn Fn(&mut Part) -> Result<()> + Sync),
) -> Result<Vec<Part>> {
    let Some(zookeeper) = zookeeper else { return Ok(Vec::new()) };
    start(zookeeper)?;
    let (of, zookeeper) = (ports.len(), zookeeper.port().number());
    let broker = |(port, number)| Part::new(Box::new(Kafka { zookeeper, number, of }), context, port);
    let mut brokers: Vec<Part> = ports.into_iter().zip(1..).map(broker).collect();
    let started: Vec<Result<()>> = thread::scope(|scope| {
        let starts: Vec<_> = brokers.iter_mut().map(|part| scope.spawn(move || start(part))).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        starts.into_iter().map(join).collect()
    });
    started.into_iter().collect::<Result<()>>()?;
    Ok(brokers)
}
