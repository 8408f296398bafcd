//! The commands that do one thing and end: `check`, `check-config` and `health`.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use isitup_shared::config::Problems;
use isitup_shared::event::{Body, Check, Draft, Outcome, Sealer};
use isitup_shared::http;
use isitup_shared::time::UtcTime;
use uuid::Uuid;

use crate::checker::{Checker, Trust};
use crate::cli::{NO, USAGE};
use crate::config::{Settings, Sites};
use crate::site::Site;
use crate::target::Target;

/// The location in events of single checks, which no configured producer makes.
const LOCATION: &str = "check";

/// Checks each of `urls` once, with the defaults of `config` where one is given.
pub(crate) fn check(urls: &[String], config: Option<&Path>, json: bool) -> Result<u8, Problems> {
    let defaults = match config {
        Some(file) => Sites::load(Some(file))?.0.defaults,
        None => Arc::default(),
    };
    let mut sites = Vec::new();
    for url in urls {
        match Target::parse(url) {
            Ok(target) => sites.push(Site::new(target, None, defaults.clone())),
            Err(error) => {
                complain(&error.to_string());
                return Ok(USAGE);
            }
        }
    }
    let trust = match Trust::system() {
        Ok(trust) => trust,
        Err(error) => {
            complain(&error.to_string());
            return Ok(NO);
        }
    };
    let mut checker = Checker::new(&trust);
    let mut code = 0;
    for (site, number) in sites.iter().zip(1..) {
        let check = checker.check(site, UtcTime::now());
        if check.outcome != Outcome::Up {
            code = NO;
        }
        say(&if json { event(&check, number) } else { line(&check) });
    }
    Ok(code)
}

/// Tells what a well configuration says.
pub(crate) fn describe(settings: &Settings) -> u8 {
    let Settings { kafka, producer, sites, .. } = settings;
    let per_second: f64 = sites.iter().map(|site| 1.0 / site.settings.interval.as_secs_f64()).sum();
    say(&format!("well: {} sites, {per_second:.2} checks/s", sites.len()));
    say(&format!("  kafka   {} topic {}", kafka.brokers.join(","), kafka.topic));
    say(&format!(
        "  spool   {} up to {} MiB, location {}, at most {} threads",
        producer.spool.path.display(),
        producer.spool.max_size >> 20,
        producer.location,
        producer.workers
    ));
    let width = sites.iter().map(|site| site.name.chars().count()).max().unwrap_or(0);
    for site in sites {
        say(&format!(
            "  {:width$}  every {:?}, timeout {:?}  {}",
            site.name, site.settings.interval, site.settings.timeout, site.shown_url
        ));
    }
    0
}

/// Asks the producer on `listen` whether it is alive.
pub(crate) fn health(listen: SocketAddr) -> u8 {
    match http::ask_live(listen) {
        Ok(()) => 0,
        Err(why) => {
            complain(&why);
            NO
        }
    }
}

/// Tells an error to whoever called the command.
#[expect(clippy::print_stderr, reason = "the command's own word to its caller, not a log line")]
pub(crate) fn complain(message: &str) {
    eprintln!("{message}");
}

/// Writes a line of output. A reader that went away, such as `head`, is no error.
fn say(line: &str) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}

fn event(check: &Check, number: u64) -> String {
    let draft = Draft::new(&Body::Check(Box::new(check.clone())));
    String::from_utf8_lossy(&Sealer::new(Uuid::nil(), LOCATION).seal(&draft, number)).into_owned()
}

/// One line for people: what came of it, and where the time went.
fn line(check: &Check) -> String {
    let timings = &check.timings_us;
    let phases = [
        ("dns", timings.dns),
        ("connect", timings.connect),
        ("tls", timings.tls),
        ("first byte", timings.first_byte),
        ("body", timings.body),
    ];
    let phases: Vec<String> =
        phases.iter().filter_map(|(name, us)| us.map(|us| format!("{name} {}", milliseconds(us)))).collect();
    let status = check.status.map_or_else(String::new, |status| format!("  {status}"));
    let total = milliseconds(timings.total);
    let reason = check.outcome.failure().map_or_else(String::new, |f| format!("  {}: {}", f.kind, f.detail));
    format!("{:4}  {}{status}  {total} ms ({}){reason}", check.outcome.as_str(), check.url, phases.join(", "))
}

fn milliseconds(us: u64) -> String {
    format!("{}.{}", us / 1000, us % 1000 / 100)
}
