//! `health`: asks the running consumer whether it is alive, for container health checks.

use std::net::SocketAddr;

use isitup_shared::http;

use crate::exit::{Answer, CommandError};
use crate::output::print;

/// Asks `/health/live` of who listens there; the answer is no when it says so, or when nobody answers.
///
/// # Errors
/// When standard output cannot be written to.
pub(crate) fn run(listen: SocketAddr) -> Result<Answer, CommandError> {
    match http::ask_live(listen) {
        Ok(()) => {
            print("alive")?;
            Ok(Answer::Yes)
        }
        Err(why) => {
            print(&format!("not alive: {why}"))?;
            Ok(Answer::No)
        }
    }
}
