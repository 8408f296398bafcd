//! Bodies that swell when they are decompressed: no more of them is taken than is allowed.

use std::fs;
use std::process::Command;

use isitup_producer::site::{Expect, JsonExpectation, Pattern, SiteSettings};

use crate::server::{answering, check, failure, ok, patient};

const BOMBS: [(&str, &[u8]); 4] = [
    ("gzip", include_bytes!("zeros-4MiB.gz")),
    ("deflate", include_bytes!("zeros-4MiB.zz")),
    ("br", include_bytes!("zeros-256MiB.br")),
    // Asks for a window of 128 MiB as well.
    ("zstd", include_bytes!("zeros-256MiB.zst")),
];

#[test]
fn a_body_that_swells_is_cut_off_at_the_size_allowed() {
    for (encoding, bomb) in BOMBS {
        let address = answering(ok(&format!("Content-Encoding: {encoding}\r\n"), bomb));
        let body = Some(Pattern::new("x").unwrap());
        let settings = SiteSettings { expect: Expect { body, ..Expect::default() }, ..patient() };
        let check = check(&format!("http://{address}"), settings);
        assert_eq!(failure(&check), "body_too_large: the body is larger than 1 MiB", "{encoding}");
        assert!(check.body_bytes.unwrap() < 2 << 20, "{encoding}: {check:?}");
    }
}

#[test]
fn a_compressed_body_that_is_none_says_so() {
    for (encoding, _) in BOMBS {
        let address = answering(ok(&format!("Content-Encoding: {encoding}\r\n"), "this is not compressed at all"));
        let told = failure(&check(&format!("http://{address}"), patient()));
        assert_eq!(told, "protocol: the body's compression is broken", "{encoding}");
    }
}

/// The most memory that this process has had, in KiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Runs in a process of its own, whose memory is this test's.
#[test]
#[ignore = "only by the test below"]
fn bodies_that_swell_as_json() {
    const MOST: usize = 1 << 20;
    let filled = |begin: &str, piece: &str, end: &str| {
        let count = (MOST - begin.len() - end.len()) / piece.len();
        format!("{begin}{}{end}", piece.repeat(count))
    };
    let json = |pointer: &str| vec![JsonExpectation::new(pointer.into(), "ok".into()).unwrap()];
    let looking =
        |pointer: &str| SiteSettings { expect: Expect { json: json(pointer), ..Expect::default() }, ..patient() };
    let first = check(&format!("http://{}", answering(ok("", "{}"))), looking("/0"));
    assert_eq!(failure(&first), "body_mismatch: nothing at /0 in the JSON body, expected \"ok\"");
    let before = peak();
    for (body, pointer) in [
        (filled("[0", r#",{"":0}"#, "]"), "/140000"),
        (filled("[0", r#",{"":0}"#, "]"), ""),
        (filled("[0", ",[]", "]"), "/1"),
        (filled(r#"{"a":[0"#, r#",{"":0}"#, "]}"), "/a"),
        (filled(r#"{"x":0"#, r#","a":[0]"#, "}"), "/a"),
        (format!("{}{}", "[".repeat(MOST / 2), "]".repeat(MOST / 2)), "/0"),
        (filled("[\"", r"\u0041", "\"]"), "/0"),
        (filled("[1", "0", "]"), "/0"),
    ] {
        let told = failure(&check(&format!("http://{}", answering(ok("", &body))), looking(pointer)));
        assert!(told.starts_with("body_mismatch: ") && told.len() < 2000, "{pointer}: {told}");
        assert!(!told.contains("is not JSON"), "{pointer}: {told}");
    }
    // The body, the server's copies of it, and some pieces: a tree takes a hundred times as much.
    let swollen = peak() - before;
    assert!(swollen < 40 << 10, "{swollen} KiB");
}

#[test]
fn a_json_body_takes_memory_for_its_text_alone() {
    let mut child = Command::new(std::env::current_exe().unwrap());
    let output = child.args(["--exact", "--ignored", "bombs::bodies_that_swell_as_json"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// Letters from a to d in no order that an automaton could profit from.
fn irregular(length: usize) -> String {
    let mut state = 1_u32;
    let letter = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'a' + (state >> 30) as u8)
    };
    (0..length).map(letter).collect()
}

#[test]
fn a_costly_search_is_a_timeout_with_the_checks_deadline() {
    let address = answering(ok("X: y\r\n", irregular(1_000_000)));
    for (body, body_not) in [(Some("a[a-d]{800}[e-z]{3}"), None), (None, Some("a[a-d]{700}[x-z]{3}"))] {
        let pattern = |text: Option<&str>| text.map(|text| Pattern::new(text).unwrap());
        let expect = Expect { body: pattern(body), body_not: pattern(body_not), ..Expect::default() };
        let settings = SiteSettings { expect, timeout: std::time::Duration::from_secs(1), ..patient() };
        let check = check(&format!("http://{address}"), settings);
        let shown = body.or(body_not).unwrap();
        assert_eq!(failure(&check), format!("timeout: the body could not be searched for {shown:?} within 1 s"));
        assert!((check.status, check.body_matched) == (Some(200), None) && check.timings_us.total >= 1_000_000);
    }
}
