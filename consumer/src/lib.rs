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
mod documents;
mod exit;
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
use isitup_shared::logging;
use isitup_shared::shutdown::Shutdown;

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
    let command = cli.take_command().map_err(CommandError::Usage)?;
    match &command {
        Command::Completions { shell } => return Ok(documents::completions(*shell).map(|()| Answer::Yes)?),
        Command::Manual { folder } => return Ok(documents::manual(folder).map(|()| Answer::Yes)?),
        Command::Decode(args) => return commands::decode::run(args),
        _ => {}
    }
    let needs_postgres = match &command {
        Command::Run(args) => args.sinks().contains(&Sink::Postgres),
        Command::Health => false,
        _ => true,
    };
    let config = Config::read(cli.config.as_deref(), needs_postgres)?;
    let mut log = config.log;
    log.level = cli.log_level.unwrap_or(log.level);
    logging::init(log);
    let shutdown = Shutdown::on_signals()?;
    let context = Context { config, wait: cli.wait, shutdown };
    match command {
        Command::Run(args) => {
            run::run(&context.config, &args, &context.shutdown)?;
            Ok(Answer::Yes)
        }
        Command::SetupDatabase(args) => commands::setup_database::run(&context, &args),
        Command::Migrate => commands::migrate::run(&context),
        Command::Drop(args) => commands::drop::run(&context, args),
        Command::Peek(args) => commands::peek::run(&context, args),
        Command::Report(args) => commands::report::run(&context, args),
        Command::Audit(args) => commands::audit::run(&context, args),
        Command::Replay(args) => commands::replay::run(&context, args),
        Command::Rejected(command) => commands::rejected::run(&context, &command),
        Command::CheckConfig(args) => commands::check_config::run(&context.config, &args),
        Command::Health => commands::health::run(&context.config),
        // Done above, where no configuration was needed yet.
        Command::Completions { .. } | Command::Manual { .. } | Command::Decode(_) => Ok(Answer::Yes),
    }
}
