//! What follows from the definition of a command line: completions for shells, and the manual pages.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

/// Prints what completes the options of `Cli` in a `shell`.
///
/// # Errors
/// When standard output cannot be written to.
pub fn completions<Cli: CommandFactory>(shell: Shell) -> io::Result<()> {
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    io::stdout().lock().write_all(&script)
}

/// Writes the manual pages of `Cli`, one for each command, into `folder`.
///
/// # Errors
/// When they cannot be written.
pub fn manual<Cli: CommandFactory>(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    clap_mangen::generate_to(Cli::command(), folder)
}
