//! `audit`: the proof that no event is missing or doubled.

use std::fmt::Write as _;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::Context;
use crate::exit::{Answer, CommandError};
use crate::output::{ago, align_right, print, table};
use crate::store::audit::{self, ProducerAudit, Range};
use crate::store::gaps::{self, Truncation};
use crate::store::{Store, StoreError};

/// Options of `audit`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct AuditArgs {
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// Declare the missing numbers lost by the truncations of the topic that are shown; needs --yes
    #[arg(long)]
    pub accept_truncation: bool,
    /// Really declare them
    #[arg(long, requires = "accept_truncation")]
    pub yes: bool,
}

/// Shows each producer's numbers; the answer is no when one is missing or doubled.
///
/// # Errors
/// When PostgreSQL does not answer, or refuses; or for `--accept-truncation` without `--yes`.
pub(crate) fn run(context: &Context, args: AuditArgs) -> Result<Answer, CommandError> {
    if args.accept_truncation && !args.yes {
        return Err(CommandError::Usage(
            "--accept-truncation declares all missing numbers lost for good: look at the audit first, then add --yes"
                .into(),
        ));
    }
    let store = context.store()?;
    if args.accept_truncation && !accept(&store)? {
        print("no truncation of the topic is waiting to be accepted: nothing was declared")?;
        return Ok(Answer::No);
    }
    let (producers, truncations) = read(&store)?;
    let is_well = producers.iter().all(|producer| producer.missing == 0 && producer.doubled == 0);
    if args.json {
        let answer = Answered { ok: is_well, producers: &producers, truncations: &truncations };
        print(&serde_json::to_string(&answer).map_err(std::io::Error::from)?)?;
    } else {
        print(&as_text(is_well, &producers, &truncations))?;
    }
    Ok(if is_well { Answer::Yes } else { Answer::No })
}

fn read(store: &Store) -> Result<(Vec<ProducerAudit>, Vec<Truncation>), StoreError> {
    let mut session = store.session()?;
    let mut tx = session.begin_snapshot()?;
    let read = (audit::all(&mut tx)?, gaps::open_truncations(&mut tx)?);
    tx.commit()?;
    Ok(read)
}

/// Declares what is missing, where there is a truncation that explains it. Whether there was one.
fn accept(store: &Store) -> Result<bool, StoreError> {
    let mut session = store.session()?;
    let mut tx = session.begin_long()?;
    if gaps::accept_truncations(&mut tx)? == 0 {
        return Ok(false);
    }
    for producer in audit::all(&mut tx)? {
        for (first, last) in producer.missing_ranges {
            gaps::declare_lost(&mut tx, producer.producer_id, first, last)?;
        }
    }
    tx.commit()?;
    Ok(true)
}

/// The answer as JSON. `truncations` is there only while one waits to be accepted.
#[derive(Debug, Serialize)]
struct Answered<'a> {
    ok: bool,
    producers: &'a [ProducerAudit],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    truncations: &'a [Truncation],
}

fn as_text(is_well: bool, producers: &[ProducerAudit], truncations: &[Truncation]) -> String {
    if producers.is_empty() {
        return "no producer has been heard of yet".into();
    }
    let mut shown = table(&["PRODUCER", "FIRST", "LAST", "STORED", "DECLARED", "MISSING", "DOUBLED"]);
    let mut details = String::new();
    for p in producers {
        let counts = [p.first, p.last, p.stored, p.declared, p.missing, p.doubled].map(|count| count.to_string());
        shown.add_row(std::iter::once(p.producer_id.to_string()).chain(counts));
        for (word, ranges) in [("missing", &p.missing_ranges), ("doubled", &p.doubled_ranges)] {
            if !ranges.is_empty() {
                add_line(&mut details, &format!("producer {}: {word} {}", p.producer_id, list(ranges)));
            }
        }
    }
    align_right(&mut shown, 1..7);
    let now = Timestamp::now();
    for t in truncations {
        let last = t.last_offset.map_or_else(|| "?".to_owned(), |last| last.to_string());
        let (topic, partition, first, when) = (&t.topic, t.partition, t.first_offset, ago(t.recorded_at.into(), now));
        add_line(
            &mut details,
            &format!("Kafka had removed offsets {first} to {last} of {topic}, partition {partition}, unread ({when})"),
        );
    }
    if !truncations.is_empty() {
        add_line(&mut details, "to declare what is missing lost by that: audit --accept-truncation --yes");
    }
    let verdict = if is_well {
        "every number is stored once or declared: nothing missing, nothing doubled"
    } else {
        "NOT CLEAN: numbers are missing or doubled"
    };
    format!("{shown}\n\n{details}{verdict}")
}

fn add_line(text: &mut String, line: &str) {
    let written = writeln!(text, "{line}");
    debug_assert!(written.is_ok());
}

/// Ranges for people; the first few, as a list of thousands helps nobody.
fn list(ranges: &[Range]) -> String {
    const MOST: usize = 20;
    let one = |(first, last): &Range| if first == last { first.to_string() } else { format!("{first}-{last}") };
    let shown: Vec<String> = ranges.iter().take(MOST).map(one).collect();
    match ranges.len().saturating_sub(MOST) {
        0 => shown.join(", "),
        more => format!("{} and {more} more ranges (all of them: --json)", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use uuid::Uuid;

    fn producer() -> ProducerAudit {
        ProducerAudit {
            producer_id: Uuid::nil(),
            first: 1,
            last: 9,
            stored: 6,
            declared: 1,
            missing: 2,
            doubled: 1,
            missing_ranges: vec![(3, 4)],
            doubled_ranges: vec![(7, 7)],
        }
    }

    #[test]
    fn the_json_has_the_documented_shape() {
        let expected = json!({
            "ok": false,
            "producers": [{
                "producer_id": Uuid::nil(), "first": 1, "last": 9, "stored": 6, "declared": 1, "missing": 2,
                "doubled": 1, "missing_ranges": [[3, 4]], "doubled_ranges": [[7, 7]],
            }],
        });
        let answer = Answered { ok: false, producers: &[producer()], truncations: &[] };
        assert_eq!(serde_json::to_value(answer).unwrap(), expected);
    }

    #[test]
    fn the_text_names_missing_and_doubled_numbers() {
        let text = as_text(false, &[producer()], &[]);
        assert!(text.contains("missing 3-4") && text.contains("doubled 7") && text.contains("NOT CLEAN"), "{text}");
    }
}
