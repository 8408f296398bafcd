//! `check-config`: what a well configuration says, the load it makes, and what is likely wrong with it.

use isitup_shared::config::{KafkaConfig, ProducerConfig};
use isitup_shared::prerequisites::Prerequisites;
use isitup_shared::time::UtcTime;
use serde_json::{Value, json};

use super::{connect, say};
use crate::capacity::Capacity;
use crate::cli::{NO, UNREACHABLE};
use crate::config::{Settings, Warning, warnings};
use crate::schedule::Slots;
use crate::site::Site;

/// Sites that are shown where all were not asked for.
const SHOWN: usize = 20;
/// How long a check is taken to need, for the load to expect: that of a usual site elsewhere on the internet.
const USUAL_CHECK_SECONDS: f64 = 0.3;

/// How `check-config` tells.
#[derive(Clone, Copy)]
pub(crate) struct Telling {
    /// For programs.
    pub(crate) json: bool,
    /// All sites, however many.
    pub(crate) all: bool,
    /// Warnings make the answer no.
    pub(crate) strict: bool,
    /// Whether what the producer needs is there, too.
    pub(crate) connect: bool,
}

/// The load that sites make.
struct Load {
    checks_per_second: f64,
    usual_threads: f64,
    most_threads: f64,
}

impl Load {
    fn of(sites: &[Site]) -> Self {
        let each = |cost: fn(&Site) -> f64| sites.iter().map(cost).sum::<f64>();
        let checks_per_second = each(|site| 1.0 / site.settings.interval.as_secs_f64());
        Self {
            checks_per_second,
            usual_threads: checks_per_second * USUAL_CHECK_SECONDS,
            // One check of a site at a time: a site that hangs keeps one thread at most.
            most_threads: each(|site| {
                (site.settings.timeout.as_secs_f64() / site.settings.interval.as_secs_f64()).min(1.0)
            }),
        }
    }
}

/// Tells what `settings` say.
pub(crate) fn describe(settings: &Settings, telling: Telling) -> u8 {
    let load = Load::of(&settings.sites);
    let mut warnings = warnings(settings);
    let capacity = Capacity::of(settings.producer.workers, &settings.sites);
    warnings.extend(capacity.shortages.iter().map(|shortage| Warning::general(shortage.to_string())));
    if load.most_threads > settings.producer.workers as f64 {
        warnings.push(Warning::general(format!(
            "{:.0} threads would be busy if all sites hung, producer.workers allows {}: slots would be missed then",
            load.most_threads.ceil(),
            settings.producer.workers
        )));
    }
    let needed = if telling.connect { connect::look(settings) } else { Prerequisites::new() };
    if telling.json {
        let mut told = in_json(settings, &load, &warnings);
        if telling.connect {
            told["connect"] = needed.json();
        }
        say(&told.to_string());
    } else {
        in_words(settings, &load, &warnings, telling.all);
        needed.lines().iter().for_each(|line| say(line));
    }
    if needed.missing().is_some() {
        return UNREACHABLE;
    }
    if telling.strict && !warnings.is_empty() { NO } else { 0 }
}

fn in_words(settings: &Settings, load: &Load, warnings: &[Warning], all: bool) {
    let Settings { kafka, producer, sites, config_hash, .. } = settings;
    say(&format!("well: {} sites, configuration {config_hash}", sites.len()));
    say(&format!(
        "  load    {:.2} checks/s; about {:.0} threads when a check takes {USUAL_CHECK_SECONDS} s, {:.0} when all sites hang",
        load.checks_per_second,
        load.usual_threads.ceil(),
        load.most_threads.ceil()
    ));
    services(kafka, producer);
    let shown = if all { sites.len() } else { SHOWN.min(sites.len()) };
    table(&sites[..shown]);
    if shown < sites.len() {
        say(&format!("  .. and {} more (--all shows them)", sites.len() - shown));
    }
    for warning in warnings {
        say(&format!("warning: {warning}"));
    }
}

fn services(kafka: &KafkaConfig, producer: &ProducerConfig) {
    say(&format!("  kafka   {} topic {}", kafka.brokers.join(","), kafka.topic));
    say(&format!(
        "  spool   {} up to {} MiB, location {}, at most {} threads",
        producer.spool.path.display(),
        producer.spool.max_size >> 20,
        producer.location,
        producer.workers
    ));
}

fn table(sites: &[Site]) {
    let now = UtcTime::now();
    let width = sites.iter().map(|site| site.name.chars().count()).max().unwrap_or(0).min(60);
    for site in sites {
        let settings = &site.settings;
        let (interval, timeout) = (humane(settings.interval), humane(settings.timeout));
        let next = next_run(site, now).to_string();
        // The time of the day, to the millisecond.
        let next = next.split('T').nth(1).and_then(|time| time.get(..12)).unwrap_or_default().to_owned();
        let group = settings.group.as_deref().map(|group| format!(" [{group}]")).unwrap_or_default();
        say(&format!(
            "  {:width$}  every {interval}, timeout {timeout}, next {next}Z  {}{group}",
            site.name, site.shown_url
        ));
    }
}

fn humane(duration: std::time::Duration) -> String {
    format!("{duration:?}")
}

fn next_run(site: &Site, now: UtcTime) -> UtcTime {
    Slots::new(&site.name, site.settings.interval).at_or_after(now)
}

fn in_json(settings: &Settings, load: &Load, warnings: &[Warning]) -> Value {
    let now = UtcTime::now();
    let sites: Vec<Value> = settings
        .sites
        .iter()
        .map(|site| {
            json!({
                "name": &*site.name,
                "url": &*site.shown_url,
                "group": site.settings.group.as_deref(),
                "interval_ms": site.settings.interval.as_millis() as u64,
                "timeout_ms": site.settings.timeout.as_millis() as u64,
                "next_run": next_run(site, now).to_string(),
                "config_hash": &*site.config_hash,
            })
        })
        .collect();
    json!({
        "config_hash": settings.config_hash,
        "site_count": sites.len(),
        "sites": sites,
        "checks_per_second": load.checks_per_second,
        "usual_threads": load.usual_threads,
        "most_threads": load.most_threads,
        "warnings": warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}
