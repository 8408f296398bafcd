//! What follows from the definition of the command line: completions for shells, and the manual pages.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;

/// Prints what completes our options in a `shell`.
///
/// # Errors
/// When standard output cannot be written to.
pub(crate) fn completions(shell: Shell) -> io::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "isitup-consumer", &mut script);
    io::stdout().lock().write_all(&script)
}

/// Writes the manual pages, one for each command, into `folder`.
///
/// # Errors
/// When they cannot be written.
pub(crate) fn manual(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    clap_mangen::generate_to(Cli::command(), folder)
}
