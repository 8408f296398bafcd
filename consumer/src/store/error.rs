//! What can go wrong with PostgreSQL, and what a caller should do about it.

use std::error::Error;

use postgres::error::{DbError, SqlState};

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A row holds something that cannot be stored: find it and set it aside.
    Data,
    /// Two transactions were in each other's way: try again at once.
    Conflict,
    /// The server gave up on a statement that took too long: ask for less at a time, after a pause.
    Slow,
    /// The database is away or refuses: try again after a pause, on a new connection.
    Away,
}

/// Whether an error is one that passes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// It does not: something must be changed.
    Broken,
    /// It does, soon or when the server is well again.
    Passing,
    /// It does when whoever holds a lock or reads an old snapshot has ended.
    Waiting,
}

/// An error of the database or on the way to it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection could be made.
    #[error("{0}")]
    Unreachable(String),
    /// No connection could be made, and none will be until somebody changes something.
    #[error("{}", .0.why)]
    Refused(Refusal),
    /// A statement failed, or the connection under it.
    #[error("{}", describe(.0))]
    Sql(#[from] postgres::Error),
    /// The migrations failed.
    #[error("the schema could not be brought up to date: {0}")]
    Migration(String),
    /// The schema is not one that this program can work with, or this user may not.
    #[error("{0}")]
    NotReady(String),
}

/// Why no connection can be made, with the setting and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The text for people.
    pub why: String,
    /// Whether the server demands a password and none is configured.
    pub wants_password: bool,
}

impl StoreError {
    pub(super) fn refused(why: String) -> Self {
        Self::Refused(Refusal { why, wants_password: false })
    }

    /// The same for one more of those who wait for a connection.
    pub(super) fn repeated(&self) -> Self {
        match self {
            Self::Refused(refusal) => Self::Refused(refusal.clone()),
            error => Self::Unreachable(error.to_string()),
        }
    }

    /// What to do about it.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Sql(error) => error.code().map_or(Fault::Away, fault_of),
            Self::Unreachable(_) | Self::Refused(_) | Self::Migration(_) | Self::NotReady(_) => Fault::Away,
        }
    }

    /// Whether it passes by itself.
    pub fn outlook(&self) -> Outlook {
        match self {
            Self::Sql(error) => error.code().map_or(Outlook::Passing, outlook_of),
            Self::Unreachable(_) => Outlook::Passing,
            Self::Refused(_) | Self::Migration(_) | Self::NotReady(_) => Outlook::Broken,
        }
    }

    /// Whether the database itself could not be reached, as opposed to having refused.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Sql(error) => error.as_db_error().is_none_or(|db| is_starting_or_ending(db.code())),
            Self::Refused(_) | Self::Migration(_) | Self::NotReady(_) => false,
        }
    }
}

/// Classes of SQLSTATE: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn fault_of(state: &SqlState) -> Fault {
    const INDEX_ROW_TOO_LONG: &SqlState = &SqlState::PROGRAM_LIMIT_EXCEEDED;
    if state.code().starts_with("22")
        || [&SqlState::NOT_NULL_VIOLATION, &SqlState::CHECK_VIOLATION, INDEX_ROW_TOO_LONG].contains(&state)
    {
        Fault::Data
    } else if [&SqlState::T_R_DEADLOCK_DETECTED, &SqlState::T_R_SERIALIZATION_FAILURE].contains(&state) {
        Fault::Conflict
    } else if *state == SqlState::QUERY_CANCELED {
        Fault::Slow
    } else {
        Fault::Away
    }
}

fn outlook_of(state: &SqlState) -> Outlook {
    match (state.code(), state.code().get(..2)) {
        // A lock timeout, and a statement that was cancelled as it waited for too long.
        ("55P03" | "57014", _) => Outlook::Waiting,
        // Disk, memory and connections; the operator; input and output; a standby; conflicts of transactions.
        ("25006", _) | (_, Some("40" | "53" | "57" | "58")) => Outlook::Passing,
        _ => Outlook::Broken,
    }
}

fn is_starting_or_ending(state: &SqlState) -> bool {
    let states = [
        &SqlState::CANNOT_CONNECT_NOW,
        &SqlState::ADMIN_SHUTDOWN,
        &SqlState::CRASH_SHUTDOWN,
        &SqlState::TOO_MANY_CONNECTIONS,
    ];
    states.contains(&state)
}

/// The driver's own text hides the server's words in the error's sources.
pub(super) fn describe(error: &postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => describe_refusal(db),
        None => {
            let mut text = format!("PostgreSQL: {error}");
            let mut source = error.source();
            while let Some(inner) = source {
                let inner_text = inner.to_string();
                if !text.contains(&inner_text) {
                    text = format!("{text}: {inner_text}");
                }
                source = inner.source();
            }
            text
        }
    }
}

fn describe_refusal(error: &DbError) -> String {
    let detail = error.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
    let remedy = match error.code() {
        &SqlState::UNDEFINED_TABLE | &SqlState::INVALID_SCHEMA_NAME => "; run: isitup-consumer migrate",
        &SqlState::INSUFFICIENT_PRIVILEGE => "; run as the owner of the schema, or grant the right",
        _ => "",
    };
    format!("PostgreSQL refused: {}{detail} [{}]{remedy}", error.message(), error.code().code())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_told_from_what_needs_somebody() {
        let outlook = |code| outlook_of(&SqlState::from_code(code));
        for (code, expected) in [
            ("23514", Outlook::Broken),
            ("42501", Outlook::Broken),
            ("54000", Outlook::Broken),
            ("40P01", Outlook::Passing),
            ("53100", Outlook::Passing),
            ("57P01", Outlook::Passing),
            ("55P03", Outlook::Waiting),
            ("57014", Outlook::Waiting),
        ] {
            assert_eq!(outlook(code), expected, "{code}");
        }
    }

    #[test]
    fn bad_data_is_told_from_collisions_and_from_an_absent_server() {
        let fault = |code| fault_of(&SqlState::from_code(code));
        for code in ["22021", "22003", "22008", "23502", "23514", "54000"] {
            assert_eq!(fault(code), Fault::Data, "{code}");
        }
        assert_eq!([fault("40P01"), fault("40001")], [Fault::Conflict; 2]);
        assert_eq!(fault("57014"), Fault::Slow);
        for code in ["57P01", "53100", "42P01", "23505", "25006"] {
            assert_eq!(fault(code), Fault::Away, "{code}");
        }
    }
}
