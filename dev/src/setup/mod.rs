//! The development set-up: a stack, the demo sites and the two services, in the background.
//!
//! `up` starts a supervisor in a session of its own, which keeps everything running and writes down how it is
//! (`state.json`). The other commands read that, and talk to the supervisor by signals: SIGTERM ends it, SIGHUP makes
//! it restart the services.

mod control;
mod service;
mod state;
mod supervisor;
mod up;

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

pub(crate) use control::{DownArgs, ExecArgs, StatusArgs, down, env, exec, restart_services, status};
pub(crate) use state::State;
pub(crate) use supervisor::{services, supervise};
pub(crate) use up::up;

pub(crate) const PRODUCER: &str = "isitup-producer-dev";
pub(crate) const CONSUMER: &str = "isitup-consumer-dev";

/// The ports that `config.dev.yml` names. All but those of the demo sites can move when somebody else has them.
pub(crate) const ZOOKEEPER_PORT: u16 = 22181;
pub(crate) const KAFKA_PORT: u16 = 29092;
pub(crate) const POSTGRES_PORT: u16 = 25432;
pub(crate) const SITES_PORT: u16 = 28090;
pub(crate) const SITES_TLS_PORT: u16 = 28443;
pub(crate) const PRODUCER_PORT: u16 = 9101;
pub(crate) const CONSUMER_PORT: u16 = 9102;
pub(crate) const WANTED_PORTS: [u16; 7] =
    [ZOOKEEPER_PORT, KAFKA_PORT, POSTGRES_PORT, SITES_PORT, SITES_TLS_PORT, PRODUCER_PORT, CONSUMER_PORT];

/// Which set-up is meant.
#[derive(Debug, Clone, Args)]
pub(crate) struct FolderArgs {
    /// The folder with its data and logs
    #[arg(long, value_name = "DIR", default_value = ".dev")]
    pub(crate) dir: PathBuf,
}

/// What runs in a set-up.
#[derive(Debug, Clone, Args)]
pub(crate) struct SetupArgs {
    #[command(flatten)]
    pub(crate) folder: FolderArgs,
    /// The configuration of the two services
    #[arg(short, long, value_name = "FILE", default_value = "config.dev.yml")]
    pub(crate) config: PathBuf,
    /// The producer's binary [default: the one beside this program]
    #[arg(long, value_name = "PATH")]
    producer: Option<PathBuf>,
    /// The consumer's binary [default: the one beside this program]
    #[arg(long, value_name = "PATH")]
    consumer: Option<PathBuf>,
}

impl SetupArgs {
    pub(crate) fn producer(&self) -> Result<PathBuf> {
        self.producer.clone().map_or_else(|| crate::binary("isitup-producer"), Ok)
    }

    pub(crate) fn consumer(&self) -> Result<PathBuf> {
        self.consumer.clone().map_or_else(|| crate::binary("isitup-consumer"), Ok)
    }
}
