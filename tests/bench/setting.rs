//! What all parts of the bench stand on: a stack of their own, the target, a folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use isitup_dev::{Stack, StackOptions};
use isitup_shared::config::{Format, KafkaClient, KafkaConfig, TopicShape};
use postgres::{Client, NoTls};
use tempfile::TempDir;

use crate::cli::{self, Cli};
use crate::process;
use crate::target::Target;

/// The running stack and target, and the binaries to be measured.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) stack: Stack,
    pub(crate) target: Target,
    pub(crate) rounds: u32,
    pub(crate) seconds: u64,
    pub(crate) rate: u32,
    pub(crate) events: u64,
    /// That of the services.
    pub(crate) client: cli::ServicesClient,
    folder: TempDir,
}

impl Setting {
    /// Starts Kafka and PostgreSQL, with fsync as in earnest, and the target.
    pub(crate) fn begin(cli: &Cli) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let options = StackOptions { only: vec!["kafka".into(), "postgres".into()], ..StackOptions::default() };
        cli::complain("starting Kafka and PostgreSQL ...");
        let stack = Stack::start_with(&binary("isitup-dev")?, &options)?;
        let target = Target::start(folder.path())?;
        let Cli { rounds, seconds, rate, events, client, .. } = *cli;
        Ok(Self { stack, target, rounds, seconds, rate, events, client, folder })
    }

    /// A folder that vanishes at the end.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A new connection to PostgreSQL.
    pub(crate) fn postgres(&self) -> Result<Client> {
        Ok(Client::connect(self.stack.postgres_url(), NoTls)?)
    }

    /// The process above all of PostgreSQL's.
    pub(crate) fn postmaster(&self, client: &mut Client) -> Result<u32> {
        let backend: i32 = client.query_one("SELECT pg_backend_pid()", &[])?.try_get(0)?;
        process::parent(backend.unsigned_abs())
    }

    /// How the bench itself reaches Kafka.
    pub(crate) fn kafka(&self, topic: &str) -> KafkaConfig {
        KafkaConfig {
            client: KafkaClient::KafkaRust,
            brokers: vec![self.stack.kafka().to_owned()],
            topic: topic.to_owned(),
            format: Format::default(),
            create_topic: TopicShape::default(),
        }
    }

    /// Says what goes on.
    pub(crate) fn say(&self, what: &str) {
        cli::complain(what);
    }
}

/// A binary of the workspace, as built for release.
pub(crate) fn binary(name: &str) -> Result<PathBuf> {
    isitup_dev::binary(name).context("cargo build --release --workspace comes first; make bench does it")
}
