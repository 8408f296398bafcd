//! What hostile sites answer, and what other hands write on the topic.

use fastrand::Rng;
use isitup_shared::time::UtcTime;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::site;

/// An answer that is too long, too many, binary, or no HTTP at all.
pub(super) fn answer() -> Vec<u8> {
    let redirect = |location: &[u8]| {
        [b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nConnection: close\r\nLocation: ", location, b"\r\n\r\n"].concat()
    };
    match fastrand::u8(..9) {
        0 => redirect(&[b"/".as_slice(), &[0xff; 120_000]].concat()),
        1 => redirect(&[b"?".as_slice(), &[b'\\'; 60_000]].concat()),
        2 => redirect(b"http://127.0.0.1:1/\x1b[2J\x07\xc2\x9b31m\xe2\x80\xae"),
        3 => site::ok("X-A: \x1b]0;owned\x07\r\n", b"\0\x1b[2J\xe2\x80\xae".repeat(1000)),
        4 => site::ok("", vec![b'x'; 2 << 20]),
        5 => site::ok("Content-Encoding: gzip\r\n", b"\x1f\x8b\x08 and no more"),
        6 => site::ok(&(0..500).map(|n| format!("X-{n}: {n}\r\n")).collect::<String>(), ""),
        7 => b"HTTP/1.1 200 \x1b[31m\x07\xff\xfe\r\nContent-Length: nine\r\n\r\n".to_vec(),
        _ => (0..5000).map(|_| fastrand::u8(..)).collect(),
    }
}

/// A message of a stranger that reads as an event at first sight, and must not be taken for one.
pub(super) fn forged_event(rng: &mut Rng) -> Vec<u8> {
    let now = UtcTime::now().to_string();
    let gap = json!({"v": 1, "type": "gap", "producer_id": Uuid::nil(), "seq": 1, "location": "x"});
    let check = |changed: Value| {
        let check = json!({
            "v": 1, "type": "check", "producer_id": Uuid::nil(), "seq": 1, "location": "x", "site": "forged", "url": "http://a/",
            "scheduled_at": now, "started_at": now, "finished_at": now, "outcome": "up", "redirects": 0,
            "timings_us": {"total": 7}, "config_hash": "c",
        });
        with(check, changed)
    };
    let event = match rng.u8(..8) {
        0 => check(json!({"group": "\u{1e}"})),
        1 => check(json!({"location": "x".repeat(2684)})),
        2 => check(json!({"finished_at": "9999-06-01T00:00:00.000000Z"})),
        3 => check(json!({"site": "a\u{202e}b"})),
        4 => check(json!({"hops": vec![json!({"url": "http://a/", "timings_us": {"total": 1}}); 500]})),
        5 => with(gap, json!({"reason": "overrun", "from": now, "to": "9000-01-01T00:00:00.000000Z"})),
        6 => check(json!({"outcome": "down", "failure": {"kind": "dns", "detail": "key\u{0}value"}})),
        _ => check(json!({"url": format!("http://a/{}", "x".repeat(5000))})),
    };
    event.to_string().into_bytes()
}

fn with(mut event: Value, changed: Value) -> Value {
    for (field, value) in changed.as_object().into_iter().flatten() {
        event[field] = value.clone();
    }
    event
}
