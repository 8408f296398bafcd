//! What a test ends with: the proof that a pipeline did what it was to do.

use std::collections::BTreeSet;

use isitup_shared::time::UtcTime;
use serde_json::Value;
use uuid::Uuid;

use super::child::Service;
use super::message::as_json;
use super::oracle::{self, Plan, Verdict};
use super::pipeline::Pipeline;
use super::topic::Message;

/// The numbers of all events that are stored.
const STORED_NUMBERS: &str = "
    SELECT seq FROM check_result
    UNION SELECT seq FROM producer_event
    UNION SELECT seq FROM gap WHERE seq IS NOT NULL";

/// The longest time without a check of any site, in milliseconds.
const LONGEST_PAUSE: &str = "SELECT (extract(epoch FROM max(pause)) * 1000)::bigint FROM (
    SELECT started_at - lag(started_at) OVER (ORDER BY started_at) AS pause FROM check_result
) pauses";

impl Pipeline<'_> {
    /// What `audit --json` says.
    #[track_caller]
    pub(crate) fn audit(&self) -> (Option<i32>, Value) {
        let audit = self.ask(&["audit", "--json"]);
        let value =
            serde_json::from_str(&audit.output).unwrap_or_else(|_| panic!("the audit gives no JSON: {audit:?}"));
        (audit.code, value)
    }

    /// Ends the producer in order and proves that all it was to do was done: everything that it numbered is on the topic
    /// and stored once, just as it was told; every slot of every site is a row or declared; and `audit` says so too.
    #[track_caller]
    pub(crate) fn prove(&self, producer: Service) {
        let ended = producer.sigterm();
        assert_eq!(ended.code, Some(0), "the producer did not end well:\n{}", ended.log);
        let last_words = ended.last_lines(20);
        assert!(!ended.log.contains("not all was published"), "events are left in the spool:\n{last_words}");
        // Shown when the proof fails.
        eprintln!("--- the producer's last words ---\n{last_words}\n---");
        self.prove_stored();
    }

    /// The proof alone, for a producer that has ended.
    #[track_caller]
    pub(crate) fn prove_stored(&self) {
        self.wait_until_read();
        let verdict = self.verdict();
        let few = verdict.faults.iter().take(20).map(String::as_str).collect::<Vec<_>>().join("\n");
        assert!(verdict.faults.is_empty(), "{} things are wrong, such as\n{few}", verdict.faults.len());
        let (code, audit) = self.audit();
        assert_eq!((code, &audit["ok"]), (Some(0), &Value::Bool(true)), "{audit}");
        assert_eq!(without_ranges(&audit), verdict.as_audit(), "the audit and the oracle disagree");
    }

    /// What the oracle says, who takes every message for an event.
    #[track_caller]
    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict_on(None, &[])
    }

    /// What the oracle says when only the messages of these producers are events, and these events are left in the spools.
    #[track_caller]
    pub(crate) fn verdict_on(&self, producers: Option<&BTreeSet<Uuid>>, spooled: &[Value]) -> Verdict {
        let (sites, passing, interval) = (self.sites(), self.passing_sites(), self.interval());
        let plan = Plan { sites, passing, interval, producers, spooled };
        oracle::judge(&mut self.database(), &self.topic().read(), &plan)
    }

    /// What the oracle finds wrong when these had been the messages.
    #[track_caller]
    fn faults_of(&self, messages: Vec<Vec<u8>>) -> Vec<String> {
        let message = |(value, offset)| Message { partition: 0, offset, value };
        let messages: Vec<Message> = messages.into_iter().zip(0..).map(message).collect();
        let (sites, passing, interval) = (self.sites(), self.passing_sites(), self.interval());
        let plan = Plan { sites, passing, interval, producers: None, spooled: &[] };
        oracle::judge(&mut self.database(), &messages, &plan).faults
    }

    /// The numbers of events that are stored.
    #[track_caller]
    pub(crate) fn stored_numbers(&self) -> BTreeSet<i64> {
        self.database().column::<i64>(STORED_NUMBERS, &[]).into_iter().collect()
    }

    /// The numbers that `audit` names as missing.
    #[track_caller]
    pub(crate) fn missing_numbers(&self) -> BTreeSet<i64> {
        let (_, audit) = self.audit();
        let ranges: Vec<(i64, i64)> = serde_json::from_value(audit["producers"][0]["missing_ranges"].clone()).unwrap();
        ranges.into_iter().flat_map(|(first, last)| first..=last).collect()
    }

    /// The proof where Kafka itself lost events, unread: one producer, whose events were `stored` up to then, and of which
    /// `old` messages were on the topic. What is on the topic now is stored once, just as it was told; and `audit` names
    /// exactly what is neither there nor was stored before. Gives these numbers. Where nobody can know what `old` messages
    /// there were, what is stored and no longer on the topic is taken for well. Slots of lost events are nowhere, until a
    /// person accepts the loss: then they must be declared, see `kafka_topics::accept_what_is_lost`.
    #[track_caller]
    pub(crate) fn prove_but_for_lost(&self, stored: &BTreeSet<i64>, old: Option<Vec<Vec<u8>>>) -> BTreeSet<i64> {
        self.wait_until_read();
        assert_eq!(self.database().column::<String>("SELECT reason FROM rejected", &[]), [""; 0]);
        let now = self.topic().messages();
        let known: BTreeSet<i64> = now.iter().map(|message| number(message)).chain(stored.iter().copied()).collect();
        let lost: BTreeSet<i64> = (1..=*known.last().unwrap()).filter(|seq| !known.contains(seq)).collect();
        assert_eq!(self.missing_numbers(), lost, "the audit names others than those that are lost");
        let is_old_known = old.is_some();
        let is_lost = |message: &&Vec<u8>| lost.contains(&number(message));
        let gone: Vec<Value> =
            old.iter().flatten().filter(is_lost).map(|message| as_json(message).expect("an event")).collect();
        let told = now.into_iter().chain(old.into_iter().flatten()).filter(|message| !lost.contains(&number(message)));
        let mut faults = self.faults_of(told.collect());
        faults.retain(|fault| !fault.starts_with("missing or doubled"));
        faults.retain(|fault| is_old_known || !fault.starts_with("stored and not told"));
        let (slots, wrong): (Vec<String>, Vec<String>) =
            faults.into_iter().partition(|fault| fault.starts_with("neither checked"));
        let few = wrong.iter().take(20).map(String::as_str).collect::<Vec<_>>().join("\n");
        assert!(wrong.is_empty(), "{} things are wrong, such as\n{few}", wrong.len());
        // Of what was lost unseen nobody knows the slot: then at most one for each.
        let unexplained: Vec<&String> =
            slots.iter().filter(|slot| !gone.iter().any(|event| accounts_for(event, slot))).collect();
        let unseen = lost.len() - gone.iter().map(|event| event["seq"].as_i64()).collect::<BTreeSet<_>>().len();
        assert!(unexplained.len() <= unseen, "{} slots of {unseen} events: {unexplained:?}", unexplained.len());
        lost
    }

    /// Asserts that the schedule went on, whatever happened: of the slots from the first row to the last, most have a row, or
    /// had one that was `lost` later, and where nothing was lost no pause is long. On a busy machine single checks take longer
    /// than their interval; but would the schedule wait for a server, it would miss whole seconds of all sites.
    #[track_caller]
    pub(crate) fn assert_schedule_undisturbed(&self, lost: usize) {
        if lost == 0 {
            // The consumer declares what a truncated topic lost.
            let others = "gap WHERE reason NOT IN ('overrun', 'topic_truncated')";
            assert_eq!(self.count(others), 0, "the spool had room for all");
            let pause: i64 = self.database().value(LONGEST_PAUSE);
            assert!(pause < 4000, "for {pause} ms there was no check at all");
        }
        const SPAN: &str =
            "SELECT (extract(epoch FROM max(scheduled_at) - min(scheduled_at)) * 1000)::bigint FROM check_result";
        let span: i64 = self.database().value(SPAN);
        let sites = i64::try_from(self.sites().len()).unwrap();
        let slots = sites * span / i64::try_from(self.interval().as_millis()).unwrap();
        let checked = self.count("check_result") + i64::try_from(lost).unwrap();
        assert!(checked * 10 >= slots * 7, "of {slots} slots only {checked} were checked");
    }
}

/// Whether a lost event, a check or a gap, was the word on this slot, told as `.. declared: SITE MICROSECONDS of PRODUCER`.
fn accounts_for(event: &Value, slot: &str) -> bool {
    let told = slot.trim_start_matches("neither checked nor declared: ").rsplit_once(" of ");
    let Some((site, micros)) = told.and_then(|(slot, _)| slot.rsplit_once(' ')) else { return false };
    let at = |key: &str| event[key].as_str()?.parse::<UtcTime>().ok().map(UtcTime::as_micros);
    let Ok(micros) = micros.parse::<i64>() else { return false };
    let is_of_site = event["sites"].as_array().is_none_or(|sites| sites.iter().any(|name| name == site));
    let is_in_span = at("from").zip(at("to")).is_some_and(|(from, to)| (from..=to).contains(&micros));
    (event["site"] == site && at("scheduled_at") == Some(micros)) || (is_of_site && is_in_span)
}

/// The producers of an `audit --json` with their numbers, as the oracle gives them.
pub(crate) fn without_ranges(audit: &Value) -> Value {
    let mut producers = audit["producers"].clone();
    for producer in producers.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        producer.retain(|key, _| !key.ends_with("_ranges"));
    }
    producers
}

/// The number of an event.
fn number(message: &[u8]) -> i64 {
    let event = as_json(message).unwrap();
    event["seq"].as_i64().unwrap()
}
