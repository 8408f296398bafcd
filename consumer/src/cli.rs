//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::commands::audit::AuditArgs;
use crate::commands::check_config::CheckConfigArgs;
use crate::commands::decode::DecodeArgs;
use crate::commands::drop::DropArgs;
use crate::commands::peek::PeekArgs;
use crate::commands::rejected::RejectedCommand;
use crate::commands::replay::ReplayArgs;
use crate::commands::report::ReportArgs;
use crate::commands::setup_database::SetUpArgs;
use crate::console::From;

/// Stores check results from Kafka in PostgreSQL, each exactly once, and proves it.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    /// The configuration file; without one all of it comes from ISITUP__ environment variables
    #[arg(short, long, global = true, value_name = "FILE", env = "ISITUP_CONFIG")]
    pub config: Option<PathBuf>,
    /// The least serious level that is logged: off, error, warn, info, debug or trace
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log_level: Option<log::LevelFilter>,
    /// How long a one-shot command waits for its services, 60s at most
    #[arg(long, global = true, value_name = "DURATION", default_value = "30s", value_parser = wait)]
    pub wait: Duration,
    /// Of `run`, which may be left out
    #[command(flatten)]
    pub run: RunArgs,
    /// What to do; run, when nothing is said
    #[command(subcommand)]
    pub command: Option<Command>,
}

const EXAMPLES: &str = "\
Examples:
  isitup-consumer --config config.yml                     store what comes, until stopped
  isitup-consumer run -c config.yml --sink console        print each check as a JSON line instead
  isitup-consumer peek -c config.yml --follow             watch results as they come
  isitup-consumer report -c config.yml --since 7d         uptime of each site
  isitup-consumer check-config -c config.yml --connect    is all there that it needs?
  isitup-consumer audit -c config.yml                     prove that nothing is missing or doubled
  isitup-consumer rejected list -c config.yml             messages that could not be stored, and why
  kcat -C -t TOPIC -c 1 -f %s | isitup-consumer decode    show one message, in whichever format

Exit codes: 0 well, 1 the answer is no, 2 bad usage or configuration, 3 a service (or a secret) could not be reached.";

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Store what comes, until stopped (this is what happens without a command)
    Run(RunArgs),
    /// Create the schema or bring it up to date; harmless when it is
    Migrate,
    /// Print the SQL for a database of isitup's own, with an owner, a user that stores and one that reads; or run it
    SetupDatabase(SetUpArgs),
    /// Drop the schema with everything in it
    Drop(DropArgs),
    /// Show the newest checks
    Peek(PeekArgs),
    /// Show uptime, response times and incidents of each site
    Report(ReportArgs),
    /// Check that no event is missing or doubled and no offset was moved by another hand; exit code 1 if not
    Audit(AuditArgs),
    /// Move offsets back, so that the topic is read again; what is stored already is recognised
    Replay(ReplayArgs),
    /// Messages that could not be stored: list them, show one, try them again
    #[command(subcommand)]
    Rejected(RejectedCommand),
    /// Print a message of the topic, JSON or Avro, from a file or standard input; exit code 1 if it would be rejected
    Decode(DecodeArgs),
    /// Read the configuration and tell all that is wrong with it
    CheckConfig(CheckConfigArgs),
    /// Ask the running consumer whether it is alive; for container health checks
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

/// Options of `run`.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct RunArgs {
    /// Where checks go; may be given twice [default: postgres]
    #[arg(long = "sink", value_enum, value_name = "SINK")]
    pub sink: Vec<Sink>,
    /// Where the console sink begins [default: earliest]
    #[arg(long, value_enum, value_name = "OFFSET")]
    pub from: Option<From>,
    /// Leave the schema as it is, and wait until it is at this program's version
    #[arg(long)]
    pub no_migrate: bool,
    /// Where a topic was deleted and made anew, read it from its beginning instead of halting
    #[arg(long)]
    pub accept_new_topic: bool,
}

/// Where checks go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sink {
    /// Into PostgreSQL, exactly once
    Postgres,
    /// To standard output, one JSON line each
    Console,
}

impl RunArgs {
    /// The chosen sinks, or the default one.
    pub(crate) fn sinks(&self) -> &[Sink] {
        if self.sink.is_empty() { &[Sink::Postgres] } else { &self.sink }
    }

    /// What is wrong with the options as a whole.
    fn mistake(&self) -> Option<&'static str> {
        (self.from.is_some() && !self.sinks().contains(&Sink::Console))
            .then_some("--from is for --sink console; the offsets of --sink postgres live in the database (see replay)")
    }

    fn is_given(&self) -> bool {
        !self.sink.is_empty() || self.from.is_some() || self.no_migrate || self.accept_new_topic
    }

    fn or(self, other: &Self) -> Self {
        Self {
            sink: if self.sink.is_empty() { other.sink.clone() } else { self.sink },
            from: self.from.or(other.from),
            no_migrate: self.no_migrate || other.no_migrate,
            accept_new_topic: self.accept_new_topic || other.accept_new_topic,
        }
    }
}

impl Cli {
    /// The command, `run` where none was given.
    ///
    /// # Errors
    /// When options do not go together.
    pub(crate) fn take_command(&mut self) -> Result<Command, String> {
        let run = std::mem::take(&mut self.run);
        let args = match self.command.take() {
            None => run,
            Some(Command::Run(args)) => args.or(&run),
            Some(_) if run.is_given() => return Err("options of run before another command".into()),
            Some(other) => return Ok(other),
        };
        args.mistake().map_or(Ok(Command::Run(args)), |mistake| Err(mistake.into()))
    }
}

fn wait(text: &str) -> Result<Duration, String> {
    const MOST: Duration = Duration::from_secs(60);
    match duration(text)? {
        wait if wait <= MOST => Ok(wait),
        _ => Err("60s at most".into()),
    }
}

/// A duration with its unit, as in the configuration file.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    use isitup_shared::config::Scalar;
    Duration::parse(text).ok_or_else(|| format!("not {}", Duration::WHAT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(args: &str) -> Result<Command, String> {
        let args = std::iter::once("isitup-consumer").chain(args.split_whitespace());
        Cli::try_parse_from(args).map_err(|error| error.to_string()).and_then(|mut cli| cli.take_command())
    }

    #[test]
    fn run_is_what_happens_without_a_command() {
        for args in [
            "--sink console --from latest",
            "run --sink console --from latest",
            "-c x.yml run --sink console --from latest",
        ] {
            let Ok(Command::Run(run)) = command(args) else { panic!("{args}") };
            assert_eq!((run.sinks(), run.from), (&[Sink::Console][..], Some(From::Latest)), "{args}");
        }
        assert!(matches!(command(""), Ok(Command::Run(run)) if run.sinks() == [Sink::Postgres]));
    }

    #[test]
    fn global_options_stand_before_or_after_the_command() {
        for args in ["-c x.yml --log-level debug migrate", "migrate -c x.yml --log-level debug"] {
            assert!(matches!(command(args), Ok(Command::Migrate)), "{args}");
        }
    }

    #[test]
    fn options_that_do_not_go_together_are_refused() {
        assert!(command("--from latest").is_err_and(|error| error.contains("--sink console")));
        assert!(command("--sink console migrate").is_err());
        assert!(command("migrate --wait 5m").is_err_and(|error| error.contains("60s at most")));
    }
}
