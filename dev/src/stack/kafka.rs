//! A Kafka broker, alone or one of several, on ZooKeeper.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rustix::process::Signal;

use super::broker::Broker;
use super::jars::{self, Line};
use super::part::{Context, Program};
use super::ports::Port;
use super::probe::{self, Probe};
use super::secured::{self, USERS};
use crate::process::Launch;

/// After kill -9 ZooKeeper remembers the broker this long, and lets no new one with its number in.
const SESSION: Duration = Duration::from_secs(3);
const EXPIRY_LIMIT: Duration = Duration::from_secs(20);

/// One broker.
pub(super) struct Kafka {
    pub(super) zookeeper: u16,
    pub(super) broker: Broker,
}

impl Program for Kafka {
    fn name(&self) -> &'static str {
        self.broker.name()
    }

    /// Waits until ZooKeeper has forgotten the broker that ran before.
    fn prepare(&self, context: &Context) -> Result<()> {
        let until = Instant::now() + EXPIRY_LIMIT;
        let session = format!("/brokers/ids/{}", self.broker.number);
        loop {
            let why = match probe::zookeeper_word(self.zookeeper, "dump") {
                Ok(sessions) if !sessions.contains(&session) => return Ok(()),
                Ok(_) => "still holds the session of the broker that was killed".to_owned(),
                Err(error) => format!("does not answer ({error}): start it first"),
            };
            if Instant::now() > until {
                bail!("ZooKeeper on port {} {why}", self.zookeeper);
            }
            context.pause()?;
        }
    }

    fn launch(&self, context: &Context, port: &Port) -> Result<Launch> {
        let data = context.home.data(self.name());
        let settings = [
            self.broker.listeners(port.number(), ""),
            self.broker.settings(&data.display().to_string()),
            self.membership(),
            self.broker.secured.as_ref().map(|secured| secured.settings(Line::Three)).unwrap_or_default(),
        ];
        let settings = context.home.write_settings(&format!("{}.properties", self.name()), &settings.concat())?;
        let java = jars::java(context, Line::Three, self.name(), &data, self.broker.heap())?;
        Ok(java.args(["kafka.Kafka".into(), settings.into_os_string()]))
    }

    fn probe(&self, port: u16) -> Probe {
        probe::kafka(port)
    }

    fn stop_signal(&self) -> Signal {
        Signal::TERM
    }

    fn passing_troubles(&self) -> &'static [&'static str] {
        &["NodeExistsException"]
    }
}

impl Kafka {
    fn membership(&self) -> String {
        let (number, zookeeper, session) = (self.broker.number, self.zookeeper, SESSION.as_millis());
        format!(
            "broker.id={number}
zookeeper.connect=127.0.0.1:{zookeeper}
zookeeper.session.timeout.ms={session}
zookeeper.connection.timeout.ms=20000
"
        )
    }
}

/// Makes the users of SCRAM before any broker runs, by Kafka's own tool. Made again they are as they were.
pub(super) fn make_users(context: &Context, zookeeper: u16) -> Result<()> {
    for user in USERS {
        let data = context.home.data("kafka-users");
        jars::java(context, Line::Three, "kafka-users", &data, "128m")?
            .args(["kafka.admin.ConfigCommand", "--zookeeper", &format!("127.0.0.1:{zookeeper}"), "--alter"])
            .args(["--entity-type", "users", "--entity-name", user, "--add-config"])
            .args([secured::SCRAM.map(|kind| format!("{kind}=[password={}]", secured::password(user))).join(",")])
            .run(&context.spawner)?;
    }
    Ok(())
}
