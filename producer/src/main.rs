//! The producer's binary.

use std::process::ExitCode;

use clap::Parser;
use isitup_producer::cli::Cli;

fn main() -> ExitCode {
    Cli::parse().execute()
}
