//! A node of Kafka 4, which keeps its metadata itself: a broker that is its own controller, or brokers and a controller
//! apart, so that any broker may die.

use anyhow::Result;
use rustix::process::Signal;

use super::broker::{Broker, topics};
use super::home::fingerprint;
use super::jars::{self, Line};
use super::part::{Context, Program};
use super::ports::Port;
use super::probe::{self, Probe};
use super::secured::{self, SCRAM, USERS};
use crate::process::Launch;

/// The number of a controller apart; brokers count from 1.
const CONTROLLER: usize = 100;
/// Not heard of for so many milliseconds, a broker is taken for dead, as by ZooKeeper.
const TIMES: &str = "broker.session.timeout.ms=3000\nbroker.heartbeat.interval.ms=500\n";

/// A broker.
pub(super) struct Node {
    pub(super) broker: Broker,
    /// Where it is its own controller.
    pub(super) own_controller: Option<Port>,
    /// Where the controller listens.
    pub(super) controller: u16,
}

/// A controller apart.
pub(super) struct Controller {
    /// How many brokers there are.
    pub(super) of: usize,
    /// Whether the brokers ask who somebody is, and what they may.
    pub(super) is_secured: bool,
}

impl Program for Node {
    fn name(&self) -> &'static str {
        self.broker.name()
    }

    fn launch(&self, context: &Context, port: &Port) -> Result<Launch> {
        let is_controller = self.own_controller.is_some();
        let controller = format!(",CONTROLLER://127.0.0.1:{}", self.controller);
        let (number, of) = (self.broker.number, self.broker.of);
        let settings = [
            self.broker.listeners(port.number(), if is_controller { &controller } else { "" }),
            self.broker.settings(&context.home.data(self.name()).display().to_string()),
            membership(if is_controller { "broker,controller" } else { "broker" }, number, of, self.controller),
            "share.coordinator.state.topic.num.partitions=1\nshare.coordinator.state.topic.replication.factor=1\n"
                .into(),
            "share.coordinator.state.topic.min.isr=1\n".to_owned(),
            self.broker.secured.as_ref().map(|secured| secured.settings(Line::Four)).unwrap_or_default(),
        ];
        let with_users = is_controller && self.broker.secured.is_some();
        launch(context, self.name(), &settings.concat(), self.broker.heap(), with_users)
    }

    fn probe(&self, port: u16) -> Probe {
        probe::kafka(port)
    }

    fn stop_signal(&self) -> Signal {
        Signal::TERM
    }
}

impl Program for Controller {
    fn name(&self) -> &'static str {
        "controller"
    }

    fn launch(&self, context: &Context, port: &Port) -> Result<Launch> {
        let port = port.number();
        let settings = [
            format!("listeners=CONTROLLER://127.0.0.1:{port}\nlistener.security.protocol.map=CONTROLLER:PLAINTEXT\n"),
            format!("log.dirs={}\n", context.home.data(self.name()).display()),
            topics(self.of),
            membership("controller", CONTROLLER, self.of, port),
            if self.is_secured { secured::authorizer(Line::Four) } else { String::new() },
        ];
        launch(context, self.name(), &settings.concat(), "128m", self.is_secured)
    }

    fn probe(&self, port: u16) -> Probe {
        probe::controller(port)
    }

    fn stop_signal(&self) -> Signal {
        Signal::TERM
    }
}

fn membership(roles: &str, number: usize, of: usize, controller: u16) -> String {
    let voter = if of == 1 { number } else { CONTROLLER };
    format!(
        "process.roles={roles}
node.id={number}
controller.listener.names=CONTROLLER
controller.quorum.voters={voter}@127.0.0.1:{controller}
{TIMES}"
    )
}

/// Formats the data folder before the first start.
fn launch(context: &Context, name: &'static str, settings: &str, heap: &str, with_users: bool) -> Result<Launch> {
    let data = context.home.data(name);
    let settings = context.home.write_settings(&format!("{name}.properties"), settings)?.into_os_string();
    if !data.join("meta.properties").exists() {
        let users = if with_users { users() } else { Vec::new() };
        jars::java(context, Line::Four, name, &data, "128m")?
            .args(["kafka.tools.StorageTool", "format", "--cluster-id", &cluster_id(context), "--config"])
            .args([&settings])
            .args(users)
            .run(&context.spawner)?;
    }
    Ok(jars::java(context, Line::Four, name, &data, heap)?.args(["kafka.Kafka".into(), settings]))
}

/// The users of SCRAM, as arguments.
fn users() -> Vec<String> {
    let user = |user, kind| format!("{kind}=[name={user},password={}]", secured::password(user));
    let all = USERS.into_iter().flat_map(|name| SCRAM.map(|kind| user(name, kind)));
    all.flat_map(|user| ["--add-scram".to_owned(), user]).collect()
}

/// Sixteen bytes in base64, the same for all nodes of a stack: a broker that meets another stack's controller on a port
/// that changed hands is then refused.
fn cluster_id(context: &Context) -> String {
    format!("{:016x}AAAAAA", fingerprint(context.home.root().as_os_str().as_encoded_bytes()))
}
