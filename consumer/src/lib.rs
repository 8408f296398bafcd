//! The consumer: reads events from Kafka and stores each exactly once in PostgreSQL.
//!
//! [`main`] is the whole program. The way of a message: `pipeline` reads it, [`ingest`] decodes it and writes it in
//! one transaction with its offset, `storer` sees that transaction through. `lease` decides which partitions are
//! read, `maintenance` keeps house, [`store`] holds all SQL.

mod assignment;
mod cli;
mod commands;
mod config;
mod console;
mod exit;
mod failures;
pub mod ingest;
mod lease;
mod maintenance;
mod metrics;
mod mirror;
mod output;
mod packing;
mod pipeline;
mod run;
mod status;
pub mod store;
mod storer;
mod topic_check;
mod waiting;

use std::process::ExitCode;

use clap::Parser;
use isitup_shared::config::{ConsumerConfig, LogConfig};
use isitup_shared::shutdown::Shutdown;
use isitup_shared::{documents, logging};

use cli::{Cli, Command, Sink};
use commands::Context;
use config::Config;
use exit::{Answer, CommandError};

/// Parses the command line, does what it says, and prints the one error.
pub fn main() -> ExitCode {
    let result = dispatch(Cli::parse());
    if let Err(error) = &result {
        report(error);
    }
    exit::code(&result)
}

/// Logging may not have begun when an error comes up, so it is written as it is.
#[allow(clippy::print_stderr)]
fn report(error: &CommandError) {
    eprintln!("isitup-consumer: {error}");
}

fn dispatch(mut cli: Cli) -> Result<Answer, CommandError> {
    match cli.take_command().map_err(CommandError::Usage)? {
        Command::Completions { shell } => Ok(documents::completions::<Cli>(shell).map(|()| Answer::Yes)?),
        Command::Manual { folder } => Ok(documents::manual::<Cli>(&folder).map(|()| Answer::Yes)?),
        Command::Decode(args) => commands::decode::run(&args),
        Command::Health => commands::health::run(ConsumerConfig::read_listen(cli.config.as_deref())?),
        Command::Run(args) => {
            let context = begin(&cli, args.sinks().contains(&Sink::Postgres))?;
            Ok(run::run(&context.config, &args, &context.shutdown).map(|()| Answer::Yes)?)
        }
        Command::SetupDatabase(args) => commands::setup_database::run(&begin(&cli, true)?, &args),
        Command::Migrate => commands::migrate::run(&begin(&cli, true)?),
        Command::Drop(args) => commands::drop::run(&begin(&cli, true)?, args),
        Command::Peek(args) => commands::peek::run(&begin(&cli, true)?, args),
        Command::Report(args) => commands::report::run(&begin(&cli, true)?, args),
        Command::Audit(args) => commands::audit::run(&begin(&cli, true)?, args),
        Command::Replay(args) => commands::replay::run(&begin(&cli, true)?, args),
        Command::Rejected(command) => commands::rejected::run(&begin(&cli, true)?, &command),
        Command::CheckConfig(args) => commands::check_config::run(begin(&cli, true)?, &args),
    }
}

/// What a command needs that has a configuration: reads that, and begins to log as it says.
fn begin(cli: &Cli, needs_postgres: bool) -> Result<Context, CommandError> {
    let config = Config::read(cli.config.as_deref(), needs_postgres)?;
    logging::init(LogConfig { level: cli.log_level.unwrap_or(config.log.level), ..config.log });
    Ok(Context { config, wait: cli.wait, shutdown: Shutdown::on_signals()? })
}
