//! `rejected retry`: rejected messages go once more through the code that rejected them. What is accepted now is stored
//! and leaves the table in one transaction; the rest stays, with its present reason. So it can be cut off anywhere, run
//! again, and run beside others: rows that another retry has locked are left to it, and rows of a running consumer
//! are met as duplicates.

use std::collections::{BTreeMap, HashMap};

use clap::Args;
use isitup_shared::time::UtcTime;
use jiff::civil::Date;
use serde::Serialize;
use uuid::Uuid;

use super::Address;
use crate::commands::Context;
use crate::exit::{Answer, CommandError};
use crate::ingest::decode::{Record, decode};
use crate::ingest::{Batch, Directory, Run, Scope, WriteError, Written, try_control, write_again};
use crate::output::{print, printable};
use crate::run::scope_of;
use crate::store::rejected::{self, Kept, Rejection, Selection};
use crate::store::{Fault, Session, Store, StoreError, days};

/// How many are tried in one transaction: a message may have a megabyte.
const MOST_AT_ONCE: i64 = 100;
/// How often in a row others may be in the way.
const MOST_COLLISIONS: u32 = 20;
/// How many of those that stay are shown to a person.
const MOST_SHOWN: usize = 20;

/// Options of `rejected retry`.
#[derive(Clone, Debug, Args)]
pub(crate) struct RetryArgs {
    /// Which ones: partitions and offsets, such as 3:4711
    #[arg(required_unless_present_any = ["all", "reason"], conflicts_with = "all")]
    pub addresses: Vec<Address>,
    /// All of them
    #[arg(long)]
    pub all: bool,
    /// Those whose reason has these words
    #[arg(long, value_name = "WORDS")]
    pub reason: Option<String>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// What became of them.
#[derive(Debug, Default, Serialize)]
struct Outcome {
    /// How many were tried.
    tried: u64,
    /// New rows.
    stored: u64,
    /// Those whose row was there already.
    duplicates: u64,
    /// Those that another retry is at.
    left_to_others: u64,
    /// Those that stay.
    rejected: Vec<Stays>,
}

/// A message that stays rejected.
#[derive(Debug, Serialize)]
struct Stays {
    address: String,
    reason: String,
}

/// Tries the chosen messages again; the answer is no when one of them stays rejected.
///
/// # Errors
/// When PostgreSQL does not answer, or refuses.
pub(super) fn run(context: &Context, args: &RetryArgs) -> Result<Answer, CommandError> {
    let addresses = args.addresses.iter().map(|address| (address.partition, address.offset)).collect();
    let selection = Selection {
        topic: context.config.kafka.topic.clone(),
        addresses: (!args.addresses.is_empty()).then_some(addresses),
        reason: args.reason.clone().unwrap_or_default(),
    };
    let store = context.store()?;
    let scope = scope_of(&context.config.kafka, &context.config.consumer, Uuid::nil());
    let outcome = Retrial::new(&store, scope, selection)?.run()?;
    if args.json {
        print(&serde_json::to_string(&outcome).map_err(std::io::Error::from)?)?;
    } else {
        print(&as_text(&outcome))?;
    }
    Ok(if outcome.rejected.is_empty() { Answer::Yes } else { Answer::No })
}

/// A walk over the chosen messages.
struct Retrial {
    session: Session,
    directory: Directory,
    scope: Scope,
    selection: Selection,
    /// All up to this number were tried.
    after: i64,
    /// Those that come later are left alone.
    until: i64,
    /// How many are tried in one transaction.
    at_once: i64,
    /// How often in a row others were in the way.
    collisions: u32,
    outcome: Outcome,
}

impl Retrial {
    fn new(store: &Store, scope: Scope, selection: Selection) -> Result<Self, StoreError> {
        let mut session = store.session()?;
        let mut tx = session.begin_durable()?;
        let (count, until) = rejected::extent(&mut tx, &selection)?;
        tx.commit()?;
        let outcome = Outcome { left_to_others: u64::try_from(count).unwrap_or(0), ..Outcome::default() };
        let directory = Directory::default();
        Ok(Self {
            session,
            directory,
            scope,
            selection,
            after: 0,
            until,
            at_once: MOST_AT_ONCE,
            collisions: 0,
            outcome,
        })
    }

    fn run(mut self) -> Result<Outcome, StoreError> {
        loop {
            match self.attempt() {
                Ok(false) => return Ok(self.outcome),
                Ok(true) => {
                    self.collisions = 0;
                    self.at_once = (self.at_once * 2).min(MOST_AT_ONCE);
                }
                Err(error) => {
                    self.collisions += 1;
                    self.directory = Directory::default();
                    self.recover(error)?;
                }
            }
        }
    }

    /// Tries the next ones in one transaction. Whether there were any.
    fn attempt(&mut self) -> Result<bool, WriteError> {
        let mut tx = self.session.begin_durable()?;
        let kept = rejected::lock_next(&mut tx, &self.selection, (self.after, self.until), self.at_once)?;
        let Some(last) = kept.last().map(|kept| kept.id) else { return Ok(false) };
        let batch = batch_of(&kept);
        let (written, rejections) = write_again(&mut tx, &self.scope, &batch, &mut self.directory)?;
        let ids: HashMap<(i32, i64, &[u8]), i64> =
            kept.iter().map(|kept| ((kept.partition, kept.offset, kept.raw.as_slice()), kept.id)).collect();
        let mut gone: Vec<i64> = kept.iter().map(|kept| kept.id).collect();
        for rejection in &rejections {
            if let Some(id) = ids.get(&(rejection.partition, rejection.offset, rejection.raw)) {
                gone.retain(|other| other != id);
                rejected::keep(&mut tx, *id, rejection)?;
            }
        }
        rejected::remove(&mut tx, &gone)?;
        tx.commit()?;
        self.after = last;
        self.outcome.count(kept.len() as u64, &written, &rejections);
        Ok(true)
    }

    /// Makes the next attempt a better one, where that is possible.
    fn recover(&mut self, error: WriteError) -> Result<(), StoreError> {
        let may_collide = self.collisions < MOST_COLLISIONS;
        let error = match error {
            WriteError::DaysMissing(missing) if may_collide => return self.make_days(&missing),
            WriteError::StatusMoved if may_collide => return Ok(()),
            // Nobody is in the way so often.
            WriteError::StatusMoved => StoreError::Vanished("a status"),
            WriteError::Store(error) => error,
            other => return Err(StoreError::Contended { tries: MOST_COLLISIONS, why: other.to_string() }),
        };
        match error.fault() {
            Fault::Conflict if may_collide => Ok(()),
            Fault::NoPartition if may_collide => self.restore_days(),
            Fault::Data | Fault::Slow | Fault::Odd | Fault::Conflict if self.at_once > 1 => {
                self.at_once /= 2;
                Ok(())
            }
            // A trouble of the whole database is none of the message.
            Fault::Data | Fault::Slow | Fault::Odd | Fault::Conflict if self.control_passes() => self.keep_next(&error),
            _ => Err(error),
        }
    }

    fn make_days(&mut self, missing: &[Date]) -> Result<(), StoreError> {
        for day in missing {
            let mut tx = self.session.begin_durable()?;
            days::ensure(&mut tx, *day)?;
            tx.commit()?;
        }
        Ok(())
    }

    /// Makes the partitions anew that the next ones lack.
    fn restore_days(&mut self) -> Result<(), StoreError> {
        let mut tx = self.session.begin_durable()?;
        let next = rejected::lock_next(&mut tx, &self.selection, (self.after, self.until), self.at_once)?;
        days::restore(&mut tx, &batch_of(&next).days())?;
        tx.commit()
    }

    /// Whether harmless records are stored.
    fn control_passes(&mut self) -> bool {
        let mut control = || {
            let mut tx = self.session.begin_trial()?;
            try_control(&mut tx, &self.scope, 0, UtcTime::now())?;
            tx.check_deferred().map_err(WriteError::from)
        };
        control().is_ok()
    }

    /// The next one is what the database does not take: it stays, with what the database says.
    fn keep_next(&mut self, error: &StoreError) -> Result<(), StoreError> {
        let mut tx = self.session.begin_durable()?;
        let next = rejected::lock_next(&mut tx, &self.selection, (self.after, self.until), 1)?;
        if let Some(kept) = next.first() {
            let mut record = decode(kept.offset, kept.raw.clone());
            record.refuse(error.to_string());
            let Err(refusal) = &record.content else { return Ok(()) };
            let (partition, offset, raw) = (kept.partition, kept.offset, kept.raw.as_slice());
            let (reason, number) = (refusal.reason.clone(), refusal.number);
            let rejection = Rejection { partition, offset, raw, reason, number, is_doubled: false };
            rejected::keep(&mut tx, kept.id, &rejection)?;
            tx.commit()?;
            self.after = kept.id;
            self.collisions = 0;
            self.outcome.count(1, &Written::default(), &[rejection]);
        }
        Ok(())
    }
}

impl Outcome {
    fn count(&mut self, tried: u64, written: &Written, rejections: &[Rejection<'_>]) {
        self.tried += tried;
        self.stored += written.stored;
        self.duplicates += written.duplicates;
        self.left_to_others = self.left_to_others.saturating_sub(tried);
        self.rejected.extend(rejections.iter().map(|rejection| Stays {
            address: Address { partition: rejection.partition, offset: rejection.offset }.to_string(),
            reason: rejection.reason.to_string(),
        }));
    }
}

/// The messages, decoded anew, as they stood on the topic.
fn batch_of(kept: &[Kept]) -> Batch {
    let mut runs: BTreeMap<i32, Vec<Record>> = BTreeMap::new();
    for kept in kept {
        runs.entry(kept.partition).or_default().push(decode(kept.offset, kept.raw.clone()));
    }
    let run = |(partition, mut records): (i32, Vec<Record>)| {
        records.sort_by_key(|record| record.offset);
        Run { partition, epoch: 0, expected: 0, records }
    };
    Batch { runs: runs.into_iter().map(run).collect() }
}

fn as_text(outcome: &Outcome) -> String {
    let Outcome { tried, stored, duplicates, left_to_others, rejected } = outcome;
    let mut lines: Vec<String> = rejected
        .iter()
        .take(MOST_SHOWN)
        .map(|stays| format!("{} stays: {}", stays.address, printable(&stays.reason)))
        .collect();
    if let Some(more) = rejected.len().checked_sub(MOST_SHOWN).filter(|more| *more > 0) {
        lines.push(format!("and {more} more stay (all of them: --json)"));
    }
    if *left_to_others > 0 {
        lines.push(format!("{left_to_others} were left to another retry, or were gone meanwhile"));
    }
    lines.push(format!(
        "{tried} tried: {stored} stored, {duplicates} found stored already, {} stay rejected",
        rejected.len()
    ));
    lines.join("\n")
}
