//! The command line.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use clap_complete::Shell;
use isitup_shared::config::{LogConfig, Problems, ProducerConfig};
use isitup_shared::shutdown::{self, Shutdown};
use isitup_shared::{documents, logging};

use crate::config::Settings;
use crate::one_shot::{self, Telling, Wanted};

/// Checks web sites on a schedule and publishes each result to Kafka.
#[derive(Debug, Parser)]
#[command(name = "isitup-producer", version, after_help = EXAMPLES)]
pub struct Cli {
    /// Configuration file (YAML); ISITUP__ environment variables override it, or replace it
    #[arg(short, long, global = true, value_name = "FILE", env = "ISITUP_CONFIG")]
    config: Option<PathBuf>,
    /// Least serious level to log: off, error, warn, info, debug or trace
    #[arg(long, global = true, value_name = "LEVEL")]
    log_level: Option<log::LevelFilter>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check the configured sites until stopped (the default)
    Run,
    /// Check sites once and show what came of it; exit 1 when one is down
    Check {
        /// What to check: URLs (a bare name such as example.com means <https://example.com>), or with a configuration its
        /// sites by name, as they are configured
        #[arg(required_unless_present = "all", value_name = "URL")]
        urls: Vec<String>,
        /// All sites of the configuration
        #[arg(long, conflicts_with = "urls")]
        all: bool,
        /// One JSON line for each: the event as it would stand on the topic
        #[arg(long)]
        json: bool,
    },
    /// Read the configuration and tell all that is wrong with it, else what it says and the load it makes
    CheckConfig {
        /// For programs: one JSON object
        #[arg(long)]
        json: bool,
        /// Show all sites, however many they are
        #[arg(long)]
        all: bool,
        /// Exit 1 when something is likely wrong
        #[arg(long)]
        strict: bool,
        /// Try the spool's folder and the way to Kafka, too; makes the topic where it is missing; exit 3 when they fail
        #[arg(long)]
        connect: bool,
    },
    /// Ask the running producer whether it is alive; exit 0 when it is (for container health checks)
    Health,
    /// Print what completes commands and options in a shell: see README.md for where to put it
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Write the manual pages
    #[command(hide = true)]
    Manual {
        /// Where to
        folder: PathBuf,
    },
}

const EXAMPLES: &str = "\
Examples:
  isitup-producer --config config.yml             check the sites of config.yml until stopped
  isitup-producer check example.com               check one site once, and show where the time goes
  isitup-producer check --all -c config.yml       check each configured site once
  isitup-producer check-config -c config.yml      is the configuration well? (--connect: and Kafka?)
  ISITUP__KAFKA__BROKERS=localhost:9092 ISITUP__DOMAINS=https://example.com isitup-producer

Exit codes: 0 well, 1 the answer is no, 2 bad usage or configuration, 3 a service (or a secret) could not be reached";

/// The answer is no.
pub(crate) const NO: u8 = 1;
/// Bad usage or configuration.
pub(crate) const USAGE: u8 = 2;
/// A service could not be reached.
pub(crate) const UNREACHABLE: u8 = 3;

fn made(document: io::Result<()>) -> u8 {
    document.map_or_else(
        |error| {
            one_shot::complain(&format!("cannot write: {error}"));
            NO
        },
        |()| 0,
    )
}

impl Cli {
    /// Does what the command line asks for, and gives the exit code.
    pub fn execute(self) -> ExitCode {
        let code = match self.command {
            None | Some(Command::Run) => self.run(),
            Some(Command::Check { ref urls, all, json }) => {
                self.start_logging(LogConfig { level: log::LevelFilter::Warn, ..LogConfig::default() });
                one_shot::check(&Wanted { targets: urls, all, json }, self.config.as_deref())
            }
            Some(Command::CheckConfig { json, all, strict, connect }) => {
                self.settings().map(|settings| one_shot::describe(&settings, Telling { json, all, strict, connect }))
            }
            Some(Command::Health) => ProducerConfig::read_listen(self.config.as_deref()).map(one_shot::health),
            Some(Command::Completions { shell }) => Ok(made(documents::completions::<Self>(shell))),
            Some(Command::Manual { ref folder }) => Ok(made(documents::manual::<Self>(folder))),
        };
        ExitCode::from(code.unwrap_or_else(|problems| {
            one_shot::complain(&problems.to_string());
            if problems.are_passing() { UNREACHABLE } else { USAGE }
        }))
    }

    fn run(&self) -> Result<u8, Problems> {
        // First of all: reading the configuration may take long, and a SIGHUP meanwhile must not end the process.
        let hangups = shutdown::hangups();
        let settings = self.settings()?;
        self.start_logging(settings.log);
        for warning in settings.read.warnings() {
            log::warn!("{warning}");
        }
        let ended = hangups
            .and_then(|hangups| Ok((hangups, Shutdown::on_signals()?)))
            .map_err(Into::into)
            .and_then(|(hangups, shutdown)| crate::run(self.config.clone(), settings, hangups, &shutdown));
        Ok(match ended {
            Ok(()) => 0,
            Err(error) => {
                log::error!("{error:#}");
                NO
            }
        })
    }

    fn settings(&self) -> Result<Settings, Problems> {
        Settings::load(self.config.as_deref())
    }

    fn start_logging(&self, config: LogConfig) {
        logging::init(LogConfig { level: self.log_level.unwrap_or(config.level), ..config });
    }
}
