//! `health`: asks the running consumer whether it is alive, for container health checks.

use isitup_shared::http;

use crate::config::Config;
use crate::exit::{Answer, CommandError};
use crate::output::print;

/// Asks `/health/live`; the answer is no when it says so, or when nobody answers.
///
/// # Errors
/// When standard output cannot be written to.
pub(crate) fn run(config: &Config) -> Result<Answer, CommandError> {
    match http::ask_live(config.consumer.listen) {
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
