//! `check`: one look at some sites, for people or as the events that would stand on the topic.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crossbeam_channel::{Sender, unbounded};
use indicatif::{ProgressBar, ProgressStyle};
use isitup_shared::config::{Format, Problems, ProducerConfig, Whole};
use isitup_shared::event::{Body, Check, Draft, Outcome, Sealer};
use isitup_shared::time::UtcTime;
use uuid::Uuid;

use super::render::{Look, render};
use super::{complain, say};
use crate::checker::{Checker, Examination, Trust};
use crate::cli::{NO, USAGE};
use crate::config::Sites;
use crate::site::{Site, SiteSettings};
use crate::target::Target;

/// The location in events of single checks, which no configured producer makes.
const LOCATION: &str = "check";
/// Sites that are checked at one time.
const MOST_AT_ONCE: usize = 16;

/// What to check.
pub(crate) struct Wanted<'a> {
    /// URLs, or with a configuration names of its sites too.
    pub(crate) targets: &'a [String],
    /// All sites of the configuration.
    pub(crate) all: bool,
    /// Whether the events are wanted, and not words for people.
    pub(crate) json: bool,
}

/// Checks what is `wanted` once; with the sites and defaults of `config` where one is given.
pub(crate) fn check(wanted: &Wanted<'_>, config: Option<&Path>) -> Result<u8, Problems> {
    let (configured, producer) = match config {
        Some(file) => Whole::load_sites(Some(file)).map(|(sites, producer)| (Some(sites), Some(producer)))?,
        None => (None, None),
    };
    let sites = match chosen(wanted, configured) {
        Ok(sites) => sites,
        Err(message) => {
            complain(&message);
            return Ok(USAGE);
        }
    };
    let trust = match Trust::system() {
        Ok(trust) => {
            trust.denying(&producer.map(|ProducerConfig { deny_networks, .. }| deny_networks).unwrap_or_default())
        }
        Err(error) => {
            complain(&error.to_string());
            return Ok(NO);
        }
    };
    Ok(run(&sites, &trust, wanted.json))
}

/// The sites that are wanted, in the order in which they were asked for.
fn chosen(wanted: &Wanted<'_>, configured: Option<Sites>) -> Result<Vec<Site>, String> {
    let (defaults, mut list) = match configured {
        Some(sites) => (sites.defaults, sites.list),
        None if wanted.all => return Err("--all needs a configuration: name one with --config".into()),
        None => (Arc::<SiteSettings>::default(), Vec::new()),
    };
    if wanted.all {
        return if list.is_empty() { Err("the configuration has no site to check".into()) } else { Ok(list) };
    }
    let site = |text: &String| {
        let is_meant = |site: &Site| *site.name == **text || *site.shown_url == **text;
        if let Some(found) = list.iter().position(is_meant) {
            return Ok(list[found].clone());
        }
        let target = Target::parse(text).map_err(|error| error.to_string())?;
        Ok(Site::new(target, None, Arc::clone(&defaults)))
    };
    let sites = wanted.targets.iter().map(site).collect();
    list.clear();
    sites
}

/// Checks `sites`, some at one time, and tells of each in their order.
fn run(sites: &[Site], trust: &Trust, json: bool) -> u8 {
    let progress = progress(sites.len());
    let next = AtomicUsize::new(0);
    let (done, results) = unbounded();
    let mut code = 0;
    thread::scope(|scope| {
        for helpers in 0..sites.len().min(MOST_AT_ONCE) {
            let (to, next) = (done.clone(), &next);
            let started = thread::Builder::new().spawn_scoped(scope, move || work(sites, trust, next, &to));
            // Where the system gives no more threads, fewer do; where it gives none, this one does.
            if started.is_err() {
                if helpers == 0 {
                    work(sites, trust, next, &done);
                }
                break;
            }
        }
        drop(done);
        // Results come as they are ready; those that came before their turn wait here.
        let (mut early, mut turn) = (BTreeMap::new(), 0);
        for (index, examination) in results {
            progress.inc(1);
            early.insert(index, examination);
            while let Some(examination) = early.remove(&turn) {
                if examination.check.outcome != Outcome::Up {
                    code = NO;
                }
                progress.suspend(|| tell(&sites[turn], &examination, turn, json));
                turn += 1;
            }
        }
    });
    progress.finish_and_clear();
    code
}

fn work(sites: &[Site], trust: &Trust, next: &AtomicUsize, done: &Sender<(usize, Examination)>) {
    let mut checker = Checker::new(trust);
    while let Some((index, site)) = sites.get(next.load(Ordering::Relaxed)).and_then(|_| {
        let index = next.fetch_add(1, Ordering::Relaxed);
        Some((index, sites.get(index)?))
    }) {
        if done.send((index, checker.examine(site))).is_err() {
            return;
        }
    }
}

fn tell(site: &Site, examination: &Examination, index: usize, json: bool) {
    if json {
        say(&event(&examination.check, index + 1));
    } else {
        say(&render(site, examination, UtcTime::now(), &Look::of_stdout()));
    }
}

fn event(check: &Check, number: usize) -> String {
    let draft = Draft::new(&Body::Check(Box::new(check.clone())), Format::Json);
    String::from_utf8_lossy(&Sealer::new(Uuid::nil(), LOCATION).seal(&draft, number as u64)).into_owned()
}

/// Shown on a terminal only, and for more than a few sites.
fn progress(sites: usize) -> ProgressBar {
    if sites <= MOST_AT_ONCE || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("{bar:30} {pos}/{len} sites").unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(sites as u64).with_style(style)
}
