//! Which times a producer lived through, as its own events tell: one piece, unless the wall clock was stepped.

use std::collections::BTreeMap;

use serde_json::Value;
use uuid::Uuid;

/// A producer's times, in microseconds since 1970.
#[derive(Debug)]
pub(super) struct Timeline {
    pub(super) producer_id: Uuid,
    /// From its first start to its last result, both included.
    pub(super) pieces: Vec<Piece>,
}

/// Time that passes without a step. Every slot in it is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) first: i64,
    pub(super) last: i64,
}

impl Timeline {
    /// Those of the producers that ever said `started`.
    pub(super) fn of_each_producer<'a>(events: impl Iterator<Item = &'a Value>) -> Vec<Self> {
        let mut producers: BTreeMap<Uuid, BTreeMap<i64, &Value>> = BTreeMap::new();
        for event in events {
            let Some(producer_id) = event["producer_id"].as_str().and_then(|id| id.parse().ok()) else { continue };
            producers.entry(producer_id).or_default().insert(event["seq"].as_i64().unwrap_or(0), event);
        }
        let timeline = |(producer_id, events): (Uuid, BTreeMap<i64, &Value>)| Self {
            producer_id,
            pieces: pieces(events.into_values()),
        };
        producers.into_iter().map(timeline).filter(|timeline| !timeline.pieces.is_empty()).collect()
    }
}

/// `events` in the order of their numbers.
fn pieces<'a>(events: impl Iterator<Item = &'a Value>) -> Vec<Piece> {
    let mut ended: Vec<Piece> = Vec::new();
    let mut current: Option<Piece> = None;
    for event in events {
        match (event["type"].as_str(), event["state"].as_str()) {
            (Some("producer"), Some("started")) => {
                let at = micros(&event["at"]);
                match &mut current {
                    // The time between two runs is in a gap.
                    Some(piece) if at >= piece.last => piece.last = at,
                    // The clock was set back meanwhile: that time comes again.
                    _ => ended.extend(current.replace(Piece { first: at, last: at })),
                }
            }
            (Some("clock_step"), _) => {
                let (at, step) = (micros(&event["at"]), event["step_us"].as_i64().unwrap_or(0));
                if let Some(piece) = current.replace(Piece { first: at, last: at }) {
                    ended.push(Piece { last: at - step, ..piece });
                }
            }
            (Some("check"), _) if event["confirmation"].is_null() => {
                // Checks that a step overtook come after it, and belong to the piece before.
                if let Some(piece) = &mut current
                    && is_close(piece, micros(&event["scheduled_at"]))
                {
                    piece.last = piece.last.max(micros(&event["scheduled_at"]));
                }
            }
            _ => {}
        }
    }
    ended.extend(current);
    ended
}

/// Whether a slot may belong to `piece`, rather than to the time before a step: no step that tests make is as short.
fn is_close(piece: &Piece, slot: i64) -> bool {
    const MOST_APART: i64 = 20 * 60 * 1_000_000;
    (piece.first..piece.last + MOST_APART).contains(&slot)
}

/// Microseconds since 1970, asked of nobody who serves the services: the texts have six decimals and end in Z.
fn micros(time: &Value) -> i64 {
    let text = time.as_str().unwrap_or_default();
    let number = |from: usize, to: usize| text.get(from..to).and_then(|part| part.parse::<i64>().ok()).unwrap_or(0);
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let seconds = ((days(year, month, day) * 24 + number(11, 13)) * 60 + number(14, 16)) * 60 + number(17, 19);
    seconds * 1_000_000 + number(20, 26)
}

/// Days since 1970-01-01 in the Gregorian calendar: years begin in March, so that the leap day comes last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_read_as_everybody_reads_them() {
        assert_eq!(micros(&json!("1970-01-01T00:00:00.000001Z")), 1);
        assert_eq!(micros(&json!("2000-03-01T00:00:00.000000Z")), 951_868_800_000_000);
        assert_eq!(micros(&json!("2026-11-21T10:18:52.123456Z")), 1_795_256_332_123_456);
    }

    #[test]
    fn a_step_of_the_clock_ends_a_piece_where_the_old_clock_stood() {
        let check = |at: &str| json!({"type": "check", "scheduled_at": at});
        let events = [
            json!({"type": "producer", "state": "started", "at": "1970-01-01T05:00:00.000000Z"}),
            check("1970-01-01T05:00:01.000000Z"),
            json!({"type": "clock_step", "at": "1970-01-01T04:00:03.000000Z", "step_us": -3_600_000_000_i64}),
            check("1970-01-01T05:00:02.000000Z"),
            check("1970-01-01T04:00:04.000000Z"),
        ];
        let hour = 3_600_000_000;
        let wanted = [
            Piece { first: 5 * hour, last: 5 * hour + 3_000_000 },
            Piece { first: 4 * hour + 3_000_000, last: 4 * hour + 4_000_000 },
        ];
        assert_eq!(pieces(events.iter()), wanted);
    }
}
