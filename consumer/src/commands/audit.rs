//! `audit`: the proof that no event is missing or doubled.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use clap::Args;
use comfy_table::Table;
use isitup_shared::shutdown::Shutdown;
use jiff::Timestamp;
use serde::Serialize;

use super::Context;
use crate::exit::{Answer, CommandError};
use crate::output::{ago, align_right, print, printable, table};
use crate::store::audit::{self, ProducerAudit, Range};
use crate::store::gaps::{self, Truncation};
use crate::store::jumps::{self, OffsetJump};
use crate::store::{Store, StoreError};

/// Of a system that runs well no number is on its way for longer while later ones are stored, and how often that is looked at.
const ON_THEIR_WAY: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(250);

/// Options of `audit`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct AuditArgs {
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// Declare the missing numbers lost by the truncations of the topic that are shown; needs --yes
    #[arg(long)]
    pub accept_truncation: bool,
    /// Accept that offsets were moved by another hand, as is shown; needs --yes
    #[arg(long)]
    pub accept_offset_jumps: bool,
    /// Really declare or accept it
    #[arg(long)]
    pub yes: bool,
}

/// Shows each producer's numbers; the answer is no when one is missing or doubled, or an offset was moved by another hand.
///
/// # Errors
/// When PostgreSQL does not answer, or refuses; or for options that do not go together.
pub(crate) fn run(context: &Context, args: AuditArgs) -> Result<Answer, CommandError> {
    if let Some(mistake) = args.mistake() {
        return Err(CommandError::Usage(mistake.into()));
    }
    let store = context.store()?;
    if args.accept_truncation && !accept(&store, &look(&store, &context.shutdown)?)? {
        print("no truncation of the topic is waiting to be accepted: nothing was declared")?;
        return Ok(Answer::No);
    }
    if args.accept_offset_jumps && !accept_jumps(&store)? {
        print("no jump of an offset is waiting to be accepted")?;
        return Ok(Answer::No);
    }
    let found = look(&store, &context.shutdown)?;
    let is_well = found.is_well();
    if args.json {
        print(&serde_json::to_string(&Answered { ok: is_well, found: &found }).map_err(std::io::Error::from)?)?;
    } else {
        print(&as_text(&found))?;
    }
    Ok(if is_well { Answer::Yes } else { Answer::No })
}

impl AuditArgs {
    fn mistake(self) -> Option<&'static str> {
        match (self.accept_truncation, self.accept_offset_jumps, self.yes) {
            (true, _, false) => Some(
                "--accept-truncation declares all missing numbers lost for good: look at the audit first, then add --yes",
            ),
            (_, true, false) => Some(
                "--accept-offset-jumps says that nobody needs to look at them any more: look at the audit first, then add --yes",
            ),
            (false, false, true) => Some("--yes is for --accept-truncation and --accept-offset-jumps"),
            _ => None,
        }
    }
}

/// What the audit found. `truncations` and `offset_jumps` are in the JSON only where there are some.
#[derive(Debug, Default, Serialize)]
struct Found {
    producers: Vec<ProducerAudit>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    truncations: Vec<Truncation>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    offset_jumps: Vec<OffsetJump>,
}

impl Found {
    fn is_well(&self) -> bool {
        self.is_counted() && !self.offset_jumps.iter().any(OffsetJump::is_fault)
    }

    fn is_complete(&self) -> bool {
        self.producers.iter().all(|producer| producer.missing == 0)
    }

    fn is_counted(&self) -> bool {
        self.producers.iter().all(|producer| producer.missing == 0 && producer.doubled == 0)
    }
}

/// What there is, and of what is missing only that which stays so: the numbers of a producer that runs come over several
/// partitions, not one after the other. Of truncations those that were there before that.
fn look(store: &Store, shutdown: &Shutdown) -> Result<Found, CommandError> {
    let (mut found, began) = (read(store)?, Instant::now());
    while !found.is_complete() && began.elapsed() < ON_THEIR_WAY {
        if shutdown.wait(AGAIN) {
            return Err(CommandError::Other(anyhow!("interrupted: what is missing may still be on its way")));
        }
        let before = std::mem::replace(&mut found, read(store)?);
        found.truncations = before.truncations;
        for producer in &mut found.producers {
            let known = before.producers.iter().find(|before| before.producer_id == producer.producer_id);
            producer.keep_missing(known.map_or(&[], |known| &known.missing_ranges));
        }
    }
    Ok(found)
}

fn read(store: &Store) -> Result<Found, StoreError> {
    let mut session = store.session()?;
    let mut tx = session.begin_snapshot()?;
    let found = Found {
        producers: audit::all(&mut tx)?,
        truncations: gaps::open_truncations(&mut tx)?,
        offset_jumps: jumps::notable(&mut tx)?,
    };
    tx.commit()?;
    Ok(found)
}

/// Accepts all jumps of offsets that are faults. Whether there was one.
fn accept_jumps(store: &Store) -> Result<bool, StoreError> {
    let mut session = store.session()?;
    let mut tx = session.begin_durable()?;
    let accepted = jumps::accept(&mut tx)?;
    tx.commit()?;
    Ok(accepted > 0)
}

/// Declares what was found missing, where there is a truncation that explains it. Whether there was one.
fn accept(store: &Store, found: &Found) -> Result<bool, StoreError> {
    let Some(last) = found.truncations.iter().map(|truncation| truncation.recorded_at).max() else { return Ok(false) };
    let mut session = store.session()?;
    let mut tx = session.begin_long()?;
    if gaps::accept_truncations(&mut tx, last)? == 0 {
        return Ok(false);
    }
    for producer in &found.producers {
        for (first, last) in &producer.missing_ranges {
            gaps::declare_lost(&mut tx, producer.producer_id, *first, *last)?;
        }
    }
    tx.commit()?;
    Ok(true)
}

/// The answer as JSON.
#[derive(Debug, Serialize)]
struct Answered<'a> {
    ok: bool,
    #[serde(flatten)]
    found: &'a Found,
}

fn as_text(found: &Found) -> String {
    let Found { producers, truncations, offset_jumps } = found;
    let mut details = String::new();
    if !producers.is_empty() {
        add_line(&mut details, &format!("{}\n", as_table(producers)));
    }
    tell_ranges(&mut details, producers);
    tell_truncations(&mut details, truncations);
    tell_jumps(&mut details, offset_jumps);
    details + verdict(found)
}

fn verdict(found: &Found) -> &'static str {
    match (found.is_counted(), found.is_well()) {
        (false, _) => "NOT CLEAN: numbers are missing or doubled",
        (true, false) => "NOT CLEAN: offsets were moved by another hand",
        (true, true) if found.producers.is_empty() => "no producer has been heard of yet",
        (true, true) => "every number is stored once or declared: nothing missing, nothing doubled",
    }
}

fn as_table(producers: &[ProducerAudit]) -> Table {
    let mut shown = table(&["PRODUCER", "FIRST", "LAST", "STORED", "DECLARED", "MISSING", "DOUBLED"]);
    for p in producers {
        let counts = [p.first, p.last, p.stored, p.declared, p.missing, p.doubled].map(|count| count.to_string());
        shown.add_row(std::iter::once(p.producer_id.to_string()).chain(counts));
    }
    align_right(&mut shown, 1..7);
    shown
}

fn tell_ranges(details: &mut String, producers: &[ProducerAudit]) {
    for p in producers {
        for (word, ranges) in [("missing", &p.missing_ranges), ("doubled", &p.doubled_ranges)] {
            if !ranges.is_empty() {
                add_line(details, &format!("producer {}: {word} {}", p.producer_id, list(ranges)));
            }
        }
    }
}

fn tell_truncations(details: &mut String, truncations: &[Truncation]) {
    let now = Timestamp::now();
    for t in truncations {
        let last = t.last_offset.map_or_else(|| "?".to_owned(), |last| last.to_string());
        let (topic, partition, first, when) = (&t.topic, t.partition, t.first_offset, ago(t.recorded_at.into(), now));
        add_line(
            details,
            &format!("Kafka had removed offsets {first} to {last} of {topic}, partition {partition}, unread ({when})"),
        );
    }
    if !truncations.is_empty() {
        add_line(details, "to declare what is missing lost by that: audit --accept-truncation --yes");
    }
}

fn tell_jumps(details: &mut String, jumps: &[OffsetJump]) {
    let now = Timestamp::now();
    for jump in jumps {
        let (what, when) = (printable(&jump.describe()), ago(jump.at.into(), now));
        let why = match jump.reason.as_str() {
            "unexplained" if jump.accepted => "unexplained, accepted",
            "unexplained" => "UNEXPLAINED",
            explained => explained,
        };
        add_line(details, &format!("{what} ({when}): {why}"));
    }
    if jumps.iter().any(OffsetJump::is_fault) {
        add_line(details, "what was passed over is read by: replay --from ..; then: audit --accept-offset-jumps --yes");
    }
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
        let found = Found { producers: vec![producer()], ..Found::default() };
        let answer = Answered { ok: found.is_well(), found: &found };
        assert_eq!(serde_json::to_value(answer).unwrap(), expected);
    }

    #[test]
    fn the_text_names_missing_and_doubled_numbers() {
        let text = as_text(&Found { producers: vec![producer()], ..Found::default() });
        assert!(text.contains("missing 3-4") && text.contains("doubled 7") && text.contains("NOT CLEAN"), "{text}");
    }

    #[test]
    fn only_a_jump_that_nobody_explains_or_accepts_is_a_fault() {
        let jump = |reason: &str, accepted| OffsetJump {
            topic: "t".into(),
            partition: 3,
            from_offset: 10,
            to_offset: Some(25),
            reason: reason.into(),
            at: "2026-11-21T08:00:00Z".parse().unwrap(),
            moved_by: "somebody".into(),
            accepted,
            number: 1,
        };
        let with = |jump| Found { offset_jumps: vec![jump], ..Found::default() };
        for well in [jump("replay", false), jump("truncated", false), jump("unexplained", true)] {
            assert!(with(well.clone()).is_well(), "{well:?}");
        }
        let text = as_text(&with(jump("unexplained", false)));
        assert!(text.contains("partition 3, went from 10 to 25, by somebody"), "{text}");
        assert!(text.contains("UNEXPLAINED") && text.contains("NOT CLEAN"), "{text}");
    }
}
