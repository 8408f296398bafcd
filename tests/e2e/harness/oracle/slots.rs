//! Every slot of every site: a row, or inside a gap.

use std::collections::{BTreeMap, HashMap};

use super::super::database::Database;
use super::timeline::{Piece, Timeline};
use super::{Plan, statements};

/// What became of one producer's slots.
pub(super) struct Found {
    pub(super) due: usize,
    /// Those without a row, inside a gap.
    pub(super) declared: usize,
    pub(super) faults: Vec<String>,
}

/// Spans of declared gaps, ascending and apart from each other.
struct Declared(Vec<(i64, i64)>);

/// Each site's phase in microseconds.
pub(super) fn phases(database: &mut Database, plan: &Plan<'_>) -> BTreeMap<String, i64> {
    let rows = database.rows(statements::PHASES, &[&plan.sites, &interval(plan)]);
    rows.into_iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Slots that are neither row nor declared; and rows that are no slot or share one.
pub(super) fn account(
    database: &mut Database,
    timeline: &Timeline,
    phases: &BTreeMap<String, i64>,
    plan: &Plan<'_>,
) -> Found {
    let producer = timeline.producer_id;
    let mut rows: HashMap<(String, i64), usize> = HashMap::new();
    for row in database.rows(statements::RESULTS, &[&producer]) {
        *rows.entry((row.get(0), row.get(1))).or_default() += 1;
    }
    let spans: Vec<(i64, i64, Option<Vec<String>>)> = database
        .rows(statements::SPANS, &[&producer])
        .into_iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect();
    let mut found = Found { due: 0, declared: 0, faults: Vec::new() };
    for (site, phase) in phases {
        let pieces = if plan.passing.contains(site) { own_piece(site, &rows) } else { timeline.pieces.clone() };
        let declared = Declared::for_site(site, &spans);
        for (slot, times) in slots(&pieces, *phase, interval(plan)) {
            found.due += 1;
            match rows.remove(&(site.clone(), slot)) {
                Some(count) if count > times => {
                    found.faults.push(format!("checked twice: {site} {slot} of {producer}"));
                }
                Some(_) => {}
                None if declared.has(slot) => found.declared += 1,
                None => found.faults.push(format!("neither checked nor declared: {site} {slot} of {producer}")),
            }
        }
    }
    found
        .faults
        .extend(rows.into_keys().map(|(site, slot)| format!("no slot of the schedule: {site} {slot} of {producer}")));
    found
}

/// A site that comes and goes is only known to be due between its own results.
fn own_piece(site: &str, rows: &HashMap<(String, i64), usize>) -> Vec<Piece> {
    let slots = || rows.keys().filter(|(name, _)| name == site).map(|(_, slot)| *slot);
    slots().min().zip(slots().max()).map(|(first, last)| Piece { first, last }).into_iter().collect()
}

/// All slots of the pieces, each with how often it was due: an hour that comes twice has its slots twice.
fn slots(pieces: &[Piece], phase: i64, interval: i64) -> BTreeMap<i64, usize> {
    let mut slots = BTreeMap::new();
    for piece in pieces {
        let mut slot = piece.first + (phase - piece.first).rem_euclid(interval);
        while slot <= piece.last {
            *slots.entry(slot).or_default() += 1;
            slot += interval;
        }
    }
    slots
}

fn interval(plan: &Plan<'_>) -> i64 {
    i64::try_from(plan.interval.as_micros()).unwrap()
}

impl Declared {
    fn for_site(site: &str, spans: &[(i64, i64, Option<Vec<String>>)]) -> Self {
        let concerns = |sites: &Option<Vec<String>>| sites.as_ref().is_none_or(|sites| sites.iter().any(|s| s == site));
        let mut own: Vec<(i64, i64)> =
            spans.iter().filter(|(_, _, sites)| concerns(sites)).map(|(from, to, _)| (*from, *to)).collect();
        own.sort_unstable();
        let mut joined: Vec<(i64, i64)> = Vec::new();
        for (from, to) in own {
            match joined.last_mut() {
                Some((_, last)) if from <= *last => *last = (*last).max(to),
                _ => joined.push((from, to)),
            }
        }
        Self(joined)
    }

    fn has(&self, slot: i64) -> bool {
        let after = self.0.partition_point(|(from, _)| *from <= slot);
        after > 0 && slot <= self.0[after - 1].1
    }
}
