//! The end of a storm: the oracle's table, and the proof.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::fleet::Fleet;
use super::lane::Storm;
use super::watch::Watch;
use crate::harness::oracle::{Account, Verdict};

pub(super) struct Report {
    verdict: Verdict,
    locations: BTreeMap<String, &'static str>,
    /// What `audit --json` says, and its exit code.
    audit: (Option<i32>, Value),
    went_back: Vec<String>,
    peaks: BTreeMap<&'static str, u64>,
    /// Gaps and their slots, by reason.
    reasons: BTreeMap<String, i64>,
    /// Steps of the wall clock that were told.
    steps: i64,
    struck: BTreeMap<(&'static str, &'static str), u32>,
    storm: String,
}

/// Faults that never fail to leave their trace; others may strike where nothing is.
const ALWAYS: [&str; 3] = ["kill -9 of a producer", "restart of a producer", "more checks due than workers can do"];

/// What a fault must have left behind, and what only it explains.
const TRACES: [(&str, &str); 11] = [
    ("the largest message of the topic lowered", "record_refused"),
    ("the disk of a spool full", "spool_full"),
    ("a producer that dies at a named point", "producer_down"),
    ("kill -9 of a producer", "producer_down"),
    ("three kills in a row, each in the start of the next", "producer_down"),
    ("restart of a producer", "producer_down"),
    ("more checks due than workers can do", "overrun"),
    ("bytes flipped in a dead producer's spool", "spool_corrupt"),
    ("bytes flipped in a dead producer's spool", "producer_down"),
    ("a dead producer's spool cut short", "spool_corrupt"),
    ("a dead producer's spool cut short", "producer_down"),
];

impl Report {
    /// Ends the producers in order and lets the oracle judge.
    pub(super) fn of(fleet: Fleet<'_>, storm: &Storm, watch: &Watch) -> Self {
        for producer in &fleet.producers {
            let ended = producer.service.take().sigterm();
            assert_eq!(ended.code, Some(0), "{} did not end well:\n{}", producer.location, ended.log);
        }
        fleet.pipeline.wait_until_read();
        let producers = fleet.producer_ids();
        let spooled = fleet.spooled_events();
        let verdict = fleet.pipeline.verdict_on(Some(&producers), &spooled);
        let audit = fleet.pipeline.audit();
        let locations = fleet.database().rows("SELECT DISTINCT producer_id::text, location FROM check_result", &[]);
        let known = |name: &str| fleet.locations().into_iter().find(|location| *location == name).unwrap_or("?");
        let locations = locations.iter().map(|row| (row.get(0), known(row.get(1)))).collect();
        let counted = "SELECT reason, count(*) FROM gap GROUP BY reason";
        let reasons = fleet.database().rows(counted, &[]).iter().map(|row| (row.get(0), row.get(1))).collect();
        let steps = fleet.pipeline.count("producer_event WHERE type = 'clock_step'");
        let struck = storm.struck();
        let faults: Vec<String> =
            struck.iter().map(|((lane, what), times)| format!("    {times:4} x {lane}: {what}")).collect();
        let (seed, length) = (storm.seed(), storm.length().as_secs());
        let storm = format!("storm of {length} s, ISITUP_TEST_SEED={seed}; what struck:\n{}", faults.join("\n"));
        Self {
            verdict,
            locations,
            audit,
            went_back: watch.went_back(),
            peaks: watch.peaks(),
            reasons,
            steps,
            struck,
            storm,
        }
    }

    /// Fails unless all is well.
    pub(super) fn prove(&self) {
        let few: Vec<&String> = self.verdict.faults.iter().chain(&self.went_back).take(20).collect();
        assert!(
            few.is_empty(),
            "{} things are wrong, such as {few:#?}",
            self.verdict.faults.len() + self.went_back.len()
        );
        assert_eq!((self.audit.0, &self.audit.1["ok"]), (Some(0), &Value::Bool(true)), "{}", self.audit.1);
        let told = crate::harness::without_ranges(&self.audit.1);
        assert_eq!(told, self.verdict.as_audit(), "the audit and the oracle disagree");
        self.prove_reasons();
    }

    /// Each fault left its trace, and no gap gives a reason that nothing explains.
    fn prove_reasons(&self) {
        if self.struck.contains_key(&("producer", "a wall clock stepped by an hour, and back")) {
            assert!(self.steps > 0, "no step of the clock was told");
        }
        let has_struck = |what: &str| self.struck.keys().any(|(_, struck)| *struck == what);
        if has_struck("poison on the topic") {
            assert!(self.verdict.strange > 0, "poison never got to the topic");
        }
        for (what, reason) in TRACES.iter().filter(|(what, _)| ALWAYS.contains(what) && has_struck(what)) {
            assert!(self.reasons.contains_key(*reason), "{what} left no gap of reason {reason}: {:?}", self.reasons);
        }
        for reason in self.reasons.keys() {
            let explained = TRACES.iter().any(|(what, left)| left == reason && has_struck(what));
            assert!(explained || reason == "overrun", "nothing that struck explains gaps of reason {reason}");
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.storm)?;
        writeln!(f, "\nTHE ORACLE")?;
        writeln!(
            f,
            "{:>9} {:>8} {:>8} {:>8} {:>8} {:>8} {:>12} {:>8} {:>8} {:>8}",
            "PRODUCER",
            "LAST",
            "STORED",
            "DECLARED",
            "MISSING",
            "DOUBLED",
            "SENT AGAIN",
            "SLOTS",
            "CHECKED",
            "DECLARED"
        )?;
        for account in &self.verdict.accounts {
            let Account { producer_id, last, stored, declared, missing, doubled, repeated, slots, slots_declared } =
                account;
            let name = self.locations.get(&producer_id.to_string()).copied().unwrap_or("?");
            writeln!(
                f,
                "{name:>9} {last:8} {stored:8} {declared:8} {missing:8} {doubled:8} {repeated:12} {slots:8} {:8} {slots_declared:8}",
                slots - slots_declared
            )?;
        }
        writeln!(f, "messages that are no events, set aside whole: {}", self.verdict.strange)?;
        let reasons: Vec<String> = self.reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        writeln!(f, "gaps: {}; steps of the clock: {}", reasons.join(", "), self.steps)?;
        writeln!(f, "offsets that went back: {}", self.went_back.len())?;
        for (kind, peak) in &self.peaks {
            writeln!(f, "most memory of a {kind}: {} MiB", peak / 1024)?;
        }
        let agrees = crate::harness::without_ranges(&self.audit.1) == self.verdict.as_audit();
        writeln!(
            f,
            "audit: exit code {:?}, {}",
            self.audit.0,
            if agrees { "agrees number by number" } else { "DISAGREES" }
        )?;
        write!(f, "faults found: {}", self.verdict.faults.len() + self.went_back.len())
    }
}
