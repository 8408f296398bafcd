//! What can go wrong with PostgreSQL, and what a caller should do about it.

use std::error::Error;

use postgres::error::{DbError, SqlState};

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A row holds something that cannot be stored: find it and set it aside.
    Data,
    /// The partition of a day is missing: make it.
    NoPartition,
    /// Two transactions were in each other's way: try again at once.
    Conflict,
    /// The server gave up on a statement that took too long: ask for less at a time, after a pause.
    Slow,
    /// The server names a state of its own, such as a full disk, a lock or a missing right: try again after a pause. No
    /// record is ever to blame for that.
    State,
    /// The connection is lost, or none could be made: try again after a pause, on a new one.
    Away,
    /// Anything else that the server says: try again after a pause, and look for the record that causes it where only
    /// some records meet it.
    Odd,
}

impl Fault {
    /// Whether another connection may not meet it, such as a plan that a migration outdated.
    pub(super) fn may_be_of_the_connection(self) -> bool {
        matches!(self, Self::State | Self::Away | Self::Odd)
    }
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
    /// A row is not there though the same transaction has just added it.
    #[error(
        "PostgreSQL does not show {0} that the same transaction has added: a trigger or rule suppressed it, or somebody removed it"
    )]
    Vanished(&'static str),
    /// Other transactions changed the same rows each time.
    #[error("others were in the way {tries} times: {why}")]
    Contended {
        /// How often it was tried.
        tries: u32,
        /// What was met the last time.
        why: String,
    },
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
            Self::Sql(error) => error.as_db_error().map_or(Fault::Away, fault_of_refusal),
            Self::Vanished(_) => Fault::Odd,
            Self::Contended { .. } => Fault::Conflict,
            Self::Unreachable(_) | Self::Refused(_) | Self::Migration(_) | Self::NotReady(_) => Fault::Away,
        }
    }

    /// What tells this error from others in all records that meet it: the SQLSTATE, where there is one.
    pub fn symptom(&self) -> String {
        match self {
            Self::Sql(error) => error.code().map_or("connection", SqlState::code).to_owned(),
            Self::Vanished(what) => (*what).to_owned(),
            Self::Contended { .. } => "contended".to_owned(),
            Self::Unreachable(_) | Self::Refused(_) | Self::Migration(_) | Self::NotReady(_) => "away".to_owned(),
        }
    }

    /// Whether another session holds a lock for long. Where that concerns all, trying each partition by itself would keep
    /// locks of our own for most of the time, and the leases from being prolonged.
    pub fn is_lock_timeout(&self) -> bool {
        matches!(self, Self::Sql(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE))
    }

    /// Whether the database itself could not be reached, as opposed to having refused.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Sql(error) => error.as_db_error().is_none_or(|db| is_starting_or_ending(db.code())),
            Self::Refused(_) | Self::Migration(_) | Self::NotReady(_) | Self::Vanished(_) | Self::Contended { .. } => {
                false
            }
        }
    }
}

/// What PostgreSQL's refusal means. A missing partition has the SQLSTATE of a violated CHECK (23514), and so has a row
/// that another partition would have to take: both name the table and, unlike a CHECK, no constraint (`execPartition.c`
/// and `execMain.c` of PostgreSQL 14 to 17).
fn fault_of_refusal(error: &DbError) -> Fault {
    let is_check = *error.code() == SqlState::CHECK_VIOLATION;
    if is_check && error.constraint().is_none() && error.table().is_some() {
        Fault::NoPartition
    } else {
        fault_of(error.code())
    }
}

/// Classes of SQLSTATE: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn fault_of(state: &SqlState) -> Fault {
    const INDEX_ROW_TOO_LONG: &SqlState = &SqlState::PROGRAM_LIMIT_EXCEEDED;
    // Ids have run out, which is no record's fault though its class is that of data.
    const IDS_USED_UP: &str = "2200H";
    let code = state.code();
    let is_of = |classes: &[&str]| classes.iter().any(|class| code.starts_with(class));
    if code == IDS_USED_UP {
        Fault::State
    } else if is_of(&["22"])
        || [&SqlState::NOT_NULL_VIOLATION, &SqlState::CHECK_VIOLATION, INDEX_ROW_TOO_LONG].contains(&state)
    {
        Fault::Data
    } else if [&SqlState::T_R_DEADLOCK_DETECTED, &SqlState::T_R_SERIALIZATION_FAILURE].contains(&state) {
        Fault::Conflict
    } else if *state == SqlState::QUERY_CANCELED {
        Fault::Slow
    } else if is_of(&["08", "57"]) {
        Fault::Away
    } else if is_of(&["25", "28", "53", "55", "58", "F0"]) || *state == SqlState::INSUFFICIENT_PRIVILEGE {
        Fault::State
    } else {
        Fault::Odd
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
fn describe(error: &postgres::Error) -> String {
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
    fn bad_data_is_told_from_collisions_and_from_an_absent_server() {
        let fault = |code| fault_of(&SqlState::from_code(code));
        for code in ["22021", "22003", "22008", "23502", "23514", "54000"] {
            assert_eq!(fault(code), Fault::Data, "{code}");
        }
        assert_eq!([fault("40P01"), fault("40001")], [Fault::Conflict; 2]);
        assert_eq!(fault("57014"), Fault::Slow);
        assert_eq!([fault("57P01"), fault("57P03"), fault("08006")], [Fault::Away; 3]);
        for code in ["53100", "53200", "55P03", "25006", "42501", "58030", "2200H"] {
            assert_eq!(fault(code), Fault::State, "{code}");
        }
        for code in ["42P01", "42703", "42883", "23505", "23503", "P0001", "XX000", "0A000", "40002"] {
            assert_eq!(fault(code), Fault::Odd, "{code}");
        }
    }
}
