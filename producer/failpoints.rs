//! The producer's binary for tests, which dies or stands still where the environment says: see `isitup_shared::crash`.

use std::process::ExitCode;

use clap::Parser;
use isitup_producer::cli::Cli;

fn main() -> ExitCode {
    isitup_shared::crash::arm();
    Cli::parse().execute()
}
