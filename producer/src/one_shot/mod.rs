//! The commands that do one thing and end: `check`, `check-config` and `health`.

mod check;
mod connect;
mod describe;
mod render;

use std::io::{self, Write};
use std::net::SocketAddr;

use isitup_shared::http;

use crate::cli::NO;

pub(crate) use check::{Wanted, check};
pub(crate) use describe::{Telling, describe};

/// Asks the producer on `listen` whether it is alive.
pub(crate) fn health(listen: SocketAddr) -> u8 {
    match http::ask_live(listen) {
        Ok(()) => 0,
        Err(why) => {
            complain(&why);
            NO
        }
    }
}

/// Tells an error to whoever called the command.
#[expect(clippy::print_stderr, reason = "the command's own word to its caller, not a log line")]
pub(crate) fn complain(message: &str) {
    eprintln!("{message}");
}

/// Writes a line of output. A reader that went away, such as `head`, is no error.
fn say(line: &str) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}
