//! The oracle: what a pipeline's topic and tables say of each other, computed by code that shares nothing with the
//! services. A verdict lists every fault, and each producer's numbers, which `audit` must agree with.

mod slots;
pub(crate) mod spool;
mod statements;
mod timeline;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::database::Database;
use super::message::as_json;
use super::topic::Message;
use timeline::Timeline;

/// Messages are loaded in portions of this many.
const PORTION: usize = 5000;

/// What there was to be checked.
pub(crate) struct Plan<'a> {
    /// The names of the sites.
    pub(crate) sites: &'a [String],
    /// Those of them that come or go while the producer runs.
    pub(crate) passing: &'a [String],
    /// How often each is checked.
    pub(crate) interval: Duration,
    /// The producers whose messages are events; any other message must have been set aside. `None`: all are.
    pub(crate) producers: Option<&'a BTreeSet<Uuid>>,
    /// Events that the spools still hold, now that the producers have ended in order.
    pub(crate) spooled: &'a [Value],
}

/// One producer's numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) producer_id: Uuid,
    /// The highest number on the topic, in the tables or in a gap.
    pub(crate) last: i64,
    /// Numbers that are stored, of all types of event.
    pub(crate) stored: i64,
    /// Numbers in a declared gap and not stored.
    pub(crate) declared: i64,
    /// Numbers that are neither.
    pub(crate) missing: i64,
    /// Numbers with more than one payload, on the topic or in the tables.
    pub(crate) doubled: i64,
    /// Its messages that the topic holds more than once, as it may.
    pub(crate) repeated: i64,
    /// Slots that were due, and how many of them are declared instead of checked.
    pub(crate) slots: usize,
    pub(crate) slots_declared: usize,
}

/// What the oracle found.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) accounts: Vec<Account>,
    /// Messages that are no events, all of them set aside whole.
    pub(crate) strange: usize,
    /// What is wrong, a line each.
    pub(crate) faults: Vec<String>,
}

impl Verdict {
    /// The numbers in the shape of `audit --json`, without the ranges.
    pub(crate) fn as_audit(&self) -> Value {
        let producer = |account: &Account| {
            json!({"producer_id": account.producer_id, "first": 1, "last": account.last, "stored": account.stored,
                   "declared": account.declared, "missing": account.missing, "doubled": account.doubled})
        };
        self.accounts.iter().map(producer).collect()
    }
}

/// Judges what `messages`, all that the topic holds, became in the `database`.
pub(crate) fn judge(database: &mut Database, messages: &[Message], plan: &Plan<'_>) -> Verdict {
    let events: Vec<Option<Value>> = messages.iter().map(|message| event(&message.value, plan)).collect();
    load(database, messages, &events);
    let mut faults = left_behind(database, plan.spooled);
    for statement in [statements::NOT_SET_ASIDE, statements::OTHERWISE_NUMBERED, statements::OTHERWISE_STORED] {
        faults.extend(database.column::<String>(statement, &[]));
    }
    let mut accounts = accounts(database);
    let phases = slots::phases(database, plan);
    for timeline in Timeline::of_each_producer(events.iter().flatten()) {
        let found = slots::account(database, &timeline, &phases, plan);
        if let Some(account) = accounts.iter_mut().find(|account| account.producer_id == timeline.producer_id) {
            (account.slots, account.slots_declared) = (found.due, found.declared);
        }
        faults.extend(found.faults);
    }
    for account in accounts.iter().filter(|account| account.missing + account.doubled > 0) {
        faults.push(format!("missing or doubled numbers: {account:?}"));
    }
    Verdict { accounts, strange: events.iter().filter(|event| event.is_none()).count(), faults }
}

/// The message as an event, if it is one.
fn event(message: &[u8], plan: &Plan<'_>) -> Option<Value> {
    let event = as_json(message)?;
    let producer_id: Uuid = event.get("producer_id")?.as_str()?.parse().ok()?;
    plan.producers.is_none_or(|ours| ours.contains(&producer_id)).then_some(event)
}

fn load(database: &mut Database, messages: &[Message], events: &[Option<Value>]) {
    database.run(statements::TABLES);
    let all: Vec<(&Message, &Option<Value>)> = messages.iter().zip(events).collect();
    for portion in all.chunks(PORTION) {
        let partitions: Vec<i32> = portion.iter().map(|(message, _)| message.partition).collect();
        let offsets: Vec<i64> = portion.iter().map(|(message, _)| message.offset).collect();
        // An event's bytes are told by its JSON, whichever format it has; only those of other messages are compared as bytes.
        let raw: Vec<Option<&[u8]>> = portion.iter().map(|(m, e)| e.is_none().then_some(m.value.as_slice())).collect();
        let events: Vec<Option<String>> = portion.iter().map(|(_, e)| e.as_ref().map(Value::to_string)).collect();
        database.column::<i64>(statements::LOAD, &[&partitions, &offsets, &raw, &events]);
    }
    database.run(statements::EVENTS);
}

/// Events in the spools that are neither on the topic, as they are, nor declared gone.
fn left_behind(database: &mut Database, spooled: &[Value]) -> Vec<String> {
    let events: Vec<String> = spooled.iter().map(Value::to_string).collect();
    database.column(statements::LEFT_BEHIND, &[&events])
}

fn accounts(database: &mut Database) -> Vec<Account> {
    let account = |row: postgres::Row| Account {
        producer_id: row.get(0),
        last: row.get(1),
        stored: row.get(2),
        declared: row.get(3),
        missing: row.get(4),
        doubled: row.get(5),
        repeated: row.get(6),
        slots: 0,
        slots_declared: 0,
    };
    database.rows(statements::ACCOUNTS, &[]).into_iter().map(account).collect()
}
