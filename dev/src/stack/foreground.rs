//! `isitup-dev stack`: a stack in the foreground, told what to do by its input.

use std::collections::BTreeSet;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use clap::builder::RangedU64ValueParser;
use serde::Serialize;
use serde_json::json;

use super::broker::MOST;
use super::console;
use super::home::Home;
use super::jars::Line;
use super::part::Context;
use super::parts::{Kind, Parts, Wanted};
use super::ports::Port;
use crate::client::Addresses;
use crate::ending::Ending;
use crate::sites::Sites;
use crate::spawner::Spawner;

/// What `stack` can be told.
#[derive(Debug, Args)]
pub(crate) struct StackArgs {
    /// Where data and logs go [default: .dev, or with --ephemeral a new folder below the temporary one]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Delete the folder at the end
    #[arg(long)]
    ephemeral: bool,
    /// Start these parts only; kafka brings zookeeper along
    #[arg(long, value_delimiter = ',', value_name = "PARTS")]
    only: Vec<Kind>,
    /// Which Kafka: 3.9 with ZooKeeper, or 4 without
    #[arg(long, value_name = "LINE", default_value = "3")]
    kafka: Line,
    /// Give Kafka listeners with TLS, certificates and passwords beside the plaintext one; what they need lies in certificates/
    #[arg(long)]
    secured: bool,
    /// ZooKeeper's port, or that of Kafka 4's controller [default: a free one]
    #[arg(long, value_name = "PORT")]
    zookeeper_port: Option<u16>,
    /// Kafka's port [default: a free one]
    #[arg(long, value_name = "PORT")]
    kafka_port: Option<u16>,
    /// How many brokers: kafka, kafka-2, kafka-3 and so on, all but the first on free ports
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = RangedU64ValueParser::<usize>::new().range(1..=MOST as u64))]
    brokers: usize,
    /// PostgreSQL's port [default: a free one]
    #[arg(long, value_name = "PORT")]
    postgres_port: Option<u16>,
    /// Let PostgreSQL run without fsync: a crash of the machine, but no kill -9, may then lose data
    #[arg(long)]
    no_fsync: bool,
    /// Let PostgreSQL offer TLS, with certificates made anew in conf/postgres-tls
    #[arg(long)]
    postgres_tls: bool,
}

/// Starts the parts, says where they are, and obeys until its input ends or a signal says so.
pub(crate) fn run(args: &StackArgs, spawner: Spawner) -> Result<()> {
    let ending = Ending::on_signals()?;
    let lines = read_lines(ending.clone());
    let home = match &args.dir {
        Some(dir) => Home::take(dir),
        None if args.ephemeral => Home::ephemeral(),
        None => Home::take(Path::new(".dev")),
    };
    let result = home.and_then(|home| serve(args, Arc::new(home), spawner, &ending, &lines));
    if let Err(error) = &result {
        say(&json!({"ok": false, "error": format!("{error:#}")}))?;
    }
    result
}

fn serve(args: &StackArgs, home: Arc<Home>, spawner: Spawner, ending: &Ending, lines: &Receiver<String>) -> Result<()> {
    let context = Context { home: Arc::clone(&home), spawner, ending: ending.clone() };
    let served = start(args, &context).and_then(|(mut parts, addresses)| {
        say(&addresses)?;
        obey(lines, &mut parts, ending)?;
        parts.end(!args.ephemeral)
    });
    drop(context);
    if args.ephemeral {
        match Arc::try_unwrap(home) {
            Ok(home) => home.delete()?,
            Err(home) => log::warn!("{} is still in use and stays", home.root().display()),
        }
    }
    match served {
        // Told to end before all was ready: that is no failure.
        Err(_) if ending.is_raised() => Ok(()),
        served => served,
    }
}

fn start(args: &StackArgs, context: &Context) -> Result<(Parts, Addresses)> {
    let all = [Kind::Kafka, Kind::Postgres, Kind::Sites];
    let kinds: BTreeSet<Kind> = if args.only.is_empty() { all.into() } else { args.only.iter().copied().collect() };
    let mut kafka = vec![Port::given_or_free(args.kafka_port, "kafka")?];
    for _ in 1..args.brokers {
        kafka.push(Port::free()?);
    }
    if args.kafka == Line::Four && kinds.contains(&Kind::Zookeeper) {
        bail!("Kafka 4 has no ZooKeeper: leave it out of --only");
    }
    let wanted = Wanted {
        line: args.kafka,
        is_secured: args.secured,
        zookeeper: Port::given_or_free(args.zookeeper_port, "zookeeper")?,
        kafka,
        postgres: Port::given_or_free(args.postgres_port, "postgres")?,
        fsync: !args.no_fsync,
        postgres_tls: args.postgres_tls,
        kinds,
    };
    let sites = wanted.kinds.contains(&Kind::Sites).then(Sites::on_free_ports).transpose()?;
    let parts = Parts::start(wanted, context, &|_| {})?;
    let addresses = Addresses {
        zookeeper: parts.zookeeper(),
        kafka: parts.kafka(),
        brokers: parts.brokers(),
        certificates: args.secured.then(|| context.home.certificates()),
        listeners: parts.listeners(),
        postgres_url: parts.postgres_url(),
        postgres_tls: args.postgres_tls.then(|| context.home.root().join(super::postgres_tls::FOLDER)),
        sites: sites.as_ref().map(|sites| format!("http://{}", sites.plain)),
        sites_tls: sites.as_ref().map(|sites| format!("https://{}", sites.tls)),
        dir: context.home.root().to_owned(),
    };
    Ok((parts, addresses))
}

fn obey(lines: &Receiver<String>, parts: &mut Parts, ending: &Ending) -> Result<()> {
    while !ending.is_raised() {
        match lines.recv_timeout(Duration::from_millis(50)) {
            Ok(line) if line.trim().is_empty() => {}
            Ok(line) => say(&console::obey(&line, parts))?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    Ok(())
}

/// Reads our input in a thread of its own: its end must be seen even while a command is being carried out.
fn read_lines(ending: Ending) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            if line.map(|line| sender.send(line)).is_err() {
                break;
            }
        }
        ending.raise();
    });
    lines
}

fn say(value: &impl Serialize) -> Result<()> {
    let mut line = serde_json::to_vec(value).context("could not write JSON")?;
    line.push(b'\n');
    let mut out = io::stdout().lock();
    match out.write_all(&line).and_then(|()| out.flush()) {
        // Whoever listened is gone; our input will end too.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("could not write to our output"),
    }
}
