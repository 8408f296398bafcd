//! Errors of a whole command, and the exit codes that are part of its interface.

use std::process::ExitCode;

use isitup_shared::config::Problems;
use isitup_shared::kafka::KafkaError;

use crate::store::StoreError;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// All is well.
    Yes,
    /// It worked, and the answer is no.
    No,
}

/// Why a command did not come to an answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// The command line is wrong.
    #[error("{0}")]
    Usage(String),
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] Problems),
    /// PostgreSQL did not answer, or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Kafka did not answer, or refused.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// What the configuration names is not there; which was told already.
    #[error("not well: {0}")]
    NotThere(String),
    /// Anything else.
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

impl From<std::io::Error> for CommandError {
    fn from(error: std::io::Error) -> Self {
        Self::Other(error.into())
    }
}

/// The exit code: 0 well, 1 the answer is no (or something broke), 2 bad usage or configuration, 3 a service could not
/// be reached, or a command that is to print a secret failed.
pub(crate) fn code(result: &Result<Answer, CommandError>) -> ExitCode {
    ExitCode::from(match result {
        Ok(Answer::Yes) => 0,
        Ok(Answer::No) | Err(CommandError::Other(_)) => 1,
        Err(CommandError::Config(problems)) if problems.are_passing() => 3,
        Err(CommandError::Usage(_) | CommandError::Config(_)) => 2,
        Err(CommandError::Store(_) | CommandError::Kafka(_) | CommandError::NotThere(_)) => 3,
    })
}
