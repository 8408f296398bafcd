//! ZooKeeper, alone.

use anyhow::Result;
use rustix::process::Signal;

use super::jars::{self, Line};
use super::part::{Context, Program};
use super::ports::Port;
use super::probe::{self, Probe};
use crate::process::Launch;

/// One ZooKeeper.
pub(crate) struct Zookeeper;

impl Program for Zookeeper {
    fn name(&self) -> &'static str {
        "zookeeper"
    }

    fn launch(&self, context: &Context, port: &Port) -> Result<Launch> {
        let data = context.home.data(self.name());
        let settings =
            context.home.write_settings("zookeeper.properties", &settings(&data.display().to_string(), port))?;
        Ok(jars::java(context, Line::Three, self.name(), &data, "128m")?
            // Neither a crash of a process nor kill -9 loses what the kernel has; only a crash of the machine would.
            .args(["-Dzookeeper.forceSync=no", "-Dzookeeper.preAllocSize=256"])
            .args(["org.apache.zookeeper.server.quorum.QuorumPeerMain".into(), settings.into_os_string()]))
    }

    fn probe(&self, port: u16) -> Probe {
        probe::zookeeper(port)
    }

    fn stop_signal(&self) -> Signal {
        Signal::TERM
    }
}

/// Short ticks: a session lives at least two of them, and a killed Kafka should be forgotten soon.
fn settings(data: &str, port: &Port) -> String {
    let number = port.number();
    format!(
        "dataDir={data}\nclientPort={number}\nclientPortAddress=127.0.0.1\ntickTime=500\nmaxClientCnxns=0\n\
         admin.enableServer=false\n4lw.commands.whitelist=srvr,dump\n"
    )
}
