//! The command line of `isitup-dev`.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::spawner::with_spawner;
use crate::{round_trip, setup, sites, stack};

/// Real Kafka, ZooKeeper and PostgreSQL as local processes, demo sites, and the two services on top
#[derive(Debug, Parser)]
#[command(name = "isitup-dev", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  isitup-dev up                          everything in the background, as `make run-dev` does
  isitup-dev exec -- isitup-consumer peek -c config.dev.yml
  isitup-dev stack --ephemeral           servers only, in the foreground; then type `kill kafka`, `start kafka`
  isitup-dev sites --listen 0.0.0.0:8090 the demo sites alone

Exit codes: 0 well, 1 it failed (the message says why), 2 bad usage";

#[derive(Debug, Subcommand)]
enum Command {
    /// Start ZooKeeper, Kafka, PostgreSQL and demo sites in the foreground; commands come by standard input
    ///
    /// Prints one JSON line with all addresses when everything is ready. Then each line read, such as `kill kafka`, is
    /// carried out and answered by one JSON line. Verbs: start, stop, kill, restart, pause, resume. Ends everything
    /// when its input ends, and on SIGTERM or SIGINT.
    Stack(stack::StackArgs),
    /// Serve the demo sites alone
    Sites(sites::SitesArgs),
    /// Start the whole development set-up in the background and wait until it is ready
    Up(setup::SetupArgs),
    /// What `up` starts in the background
    #[command(hide = true)]
    Supervise(setup::SetupArgs),
    /// Run producer and consumer alone in the foreground, against servers that are elsewhere
    Services(setup::SetupArgs),
    /// Restart producer and consumer of the running set-up, leaving the servers alone
    RestartServices(setup::FolderArgs),
    /// End the set-up; its data stays
    Down(setup::DownArgs),
    /// Show what runs
    Status(setup::StatusArgs),
    /// Print the environment that commands need to reach the running set-up, as `export` lines
    Env(setup::FolderArgs),
    /// Run a command with that environment
    Exec(setup::ExecArgs),
    /// Follow one check to Kafka and into PostgreSQL, step by step
    RoundTrip(round_trip::RoundTripArgs),
}

/// Runs the program: prints its one error, and returns its exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).format_target(false).init();
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to be told when this fails.
            let _ = writeln!(std::io::stderr(), "isitup-dev: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Stack(args) => with_spawner(|spawner| stack::run(&args, spawner)),
        Command::Sites(args) => sites::run(&args),
        Command::Up(args) => setup::up(&args),
        Command::Supervise(args) => with_spawner(|spawner| setup::supervise(&args, spawner)),
        Command::Services(args) => with_spawner(|spawner| setup::services(&args, &spawner)),
        Command::RestartServices(args) => setup::restart_services(&args),
        Command::Down(args) => setup::down(&args),
        Command::Status(args) => setup::status(&args),
        Command::Env(args) => setup::env(&args),
        Command::Exec(args) => setup::exec(&args),
        Command::RoundTrip(args) => round_trip::run(&args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
