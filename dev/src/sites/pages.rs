//! What each demo site answers, by its path and the clock.

use std::time::Duration;

/// How long `/flaps` stays as it is.
const FLAP_SECONDS: u64 = 20;
const SLOWNESS: Duration = Duration::from_millis(1500);

/// A page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Page {
    /// An answer, after a while.
    Answer { status: u16, body: &'static str, location: Option<&'static str>, delay: Duration },
    /// Never an answer.
    Silence,
}

/// The page at `path`, `unix_seconds` after 1970.
pub(crate) fn page(path: &str, unix_seconds: u64) -> Page {
    match path {
        "/steady" => plain(200, "steady: all is well\n"),
        "/slow" => Page::Answer { status: 200, body: "slow: all is well\n", location: None, delay: SLOWNESS },
        "/flaps" if (unix_seconds / FLAP_SECONDS).is_multiple_of(2) => plain(200, "flaps: all is well\n"),
        "/flaps" => plain(503, "flaps: down for a moment\n"),
        "/error" => plain(500, "error: something broke\n"),
        "/body" => plain(200, "body: this is not what you look for\n"),
        "/redirect" => Page::Answer {
            status: 302,
            body: "redirect: see /steady\n",
            location: Some("/steady"),
            delay: Duration::ZERO,
        },
        "/silent" => Page::Silence,
        "/health" => plain(200, "ok\n"),
        "/" => plain(200, "demo sites: /steady /slow /flaps /error /body /redirect /silent\n"),
        _ => plain(404, "no such demo site\n"),
    }
}

/// The words beside a status code.
pub(crate) fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        302 => "Found",
        400 => "Bad Request",
        404 => "Not Found",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    }
}

fn plain(status: u16, body: &'static str) -> Page {
    Page::Answer { status, body, location: None, delay: Duration::ZERO }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(path: &str, seconds: u64) -> u16 {
        match page(path, seconds) {
            Page::Answer { status, .. } => status,
            Page::Silence => 0,
        }
    }

    #[test]
    fn the_flapping_site_changes_every_twenty_seconds() {
        let seen: Vec<u16> = [0, 19, 20, 39, 40].iter().map(|seconds| status("/flaps", *seconds)).collect();
        assert_eq!(seen, [200, 200, 503, 503, 200]);
    }

    #[test]
    fn an_unknown_path_is_not_found() {
        assert_eq!(status("/nowhere", 0), 404);
    }
}
