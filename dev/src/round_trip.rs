//! `isitup-dev round-trip`: one check followed to Kafka and into PostgreSQL, with the services' own commands.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use jiff::Timestamp;
use serde_json::Value;

use crate::ending::Ending;
use crate::setup::{FolderArgs, PRODUCER, PRODUCER_PORT, SITES_PORT, State};
use crate::{http, tools};

/// The demo sites are checked every 5 s.
const STEP_LIMIT: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What to follow, and how.
#[derive(Debug, Args)]
pub(crate) struct RoundTripArgs {
    #[command(flatten)]
    folder: FolderArgs,
    /// Go on for ever, with a pause of so many seconds
    #[arg(long, value_name = "SECONDS")]
    interval: Option<u64>,
    /// The configuration of the two services
    #[arg(short, long, value_name = "FILE", default_value = "config.dev.yml")]
    config: PathBuf,
    /// The site to check, as the producer sees it
    #[arg(long, value_name = "URL")]
    site: Option<String>,
    /// Where the running producer listens, as seen from here
    #[arg(long, value_name = "ADDRESS")]
    producer_listen: Option<String>,
    /// How to call the producer, for instance `docker compose exec -T producer isitup-producer`; --config is then not passed
    #[arg(long, value_name = "COMMAND")]
    producer_command: Option<String>,
    /// How to call the consumer
    #[arg(long, value_name = "COMMAND")]
    consumer_command: Option<String>,
}

/// Goes once, or on and on.
pub(crate) fn run(args: &RoundTripArgs) -> Result<()> {
    let trip = Trip::new(args)?;
    let Some(seconds) = args.interval else { return trip.once() };
    let ending = Ending::on_signals()?;
    loop {
        // Going on is the point: the next trip shows whether it is better.
        let gone = trip.once();
        if ending.is_raised() {
            return Ok(());
        }
        if let Err(error) = gone {
            log::error!("{error:#}");
        }
        if !ending.sleep(Duration::from_secs(seconds)) {
            return Ok(());
        }
    }
}

/// How to reach everything.
struct Trip {
    site: String,
    producer_listen: String,
    producer: Vec<String>,
    consumer: Vec<String>,
    /// Beside a command of one's own nothing is added.
    config: Vec<String>,
    environment: BTreeMap<String, String>,
}

impl Trip {
    fn new(args: &RoundTripArgs) -> Result<Self> {
        let state = State::running(&args.folder.dir)?;
        let listen = state.as_ref().and_then(|state| Some(state.item(PRODUCER)?.address.clone()));
        let words = |own: &Option<String>, name: &str| -> Result<Vec<String>> {
            match own {
                Some(command) => Ok(command.split_whitespace().map(str::to_owned).collect()),
                None => Ok(vec![tools::beside_us(name)?.display().to_string()]),
            }
        };
        let config = vec!["--config".to_owned(), args.config.display().to_string()];
        Ok(Self {
            site: args.site.clone().unwrap_or_else(|| format!("http://127.0.0.1:{SITES_PORT}/steady")),
            producer_listen: args
                .producer_listen
                .clone()
                .or(listen)
                .unwrap_or_else(|| format!("127.0.0.1:{PRODUCER_PORT}")),
            producer: words(&args.producer_command, "isitup-producer")?,
            consumer: words(&args.consumer_command, "isitup-consumer")?,
            config: if args.producer_command.is_some() { Vec::new() } else { config },
            environment: state.map(|state| state.environment).unwrap_or_default(),
        })
    }

    fn once(&self) -> Result<()> {
        let start = Timestamp::now();
        step("check: the producer checks the steady demo site", || self.check())?;
        step("Kafka: the running producer publishes", || self.published_moves())?;
        step("PostgreSQL: a new result of a demo site is stored", || self.new_row(start))?;
        step("audit: nothing is missing, nothing is doubled", || self.audit())
    }

    fn check(&self) -> Result<String> {
        let line = self.call(&self.producer, &["check", "--json", &self.site])?;
        Ok(match serde_json::from_str::<Value>(line.trim()) {
            Ok(result) => format!("{} {}", self.site, text(&result, "outcome")),
            Err(_) => self.site.clone(),
        })
    }

    fn published_moves(&self) -> Result<String> {
        let ready = http::get(&self.producer_listen, "/health/ready")?;
        if ready.status != 200 {
            bail!("the producer is not ready ({}): {}", ready.status, ready.body.trim());
        }
        let before = self.published()?;
        wait_for("isitup_events_published_total does not grow: does Kafka answer? See the producer's log", || {
            let now = self.published()?;
            Ok((now > before).then(|| format!("{now} events published, {before} before")))
        })
    }

    fn published(&self) -> Result<f64> {
        let metrics = http::get(&self.producer_listen, "/metrics")?.body;
        total(&metrics, "isitup_events_published_total")
            .context("the producer has no metric isitup_events_published_total")
    }

    fn new_row(&self, start: Timestamp) -> Result<String> {
        let base = self.site.rsplit_once('/').map_or(self.site.as_str(), |(base, _)| base);
        wait_for("no result that is newer than the start: see the consumer's log", || {
            let rows = self.call(&self.consumer, &["peek", "--json", "--limit", "50"])?;
            Ok(rows.lines().find_map(|line| describe_if_new(line, base, start)))
        })
    }

    /// Some seconds `audit` itself waits for what is on its way; after a crash the lease must run out first.
    fn audit(&self) -> Result<String> {
        let until = Instant::now() + STEP_LIMIT;
        loop {
            match self.call(&self.consumer, &["audit"]) {
                Ok(_) => return Ok(String::new()),
                Err(error) if Instant::now() > until => return Err(error),
                Err(_) => thread::sleep(LOOK_EVERY),
            }
        }
    }

    fn call(&self, program: &[String], args: &[&str]) -> Result<String> {
        let Some((name, rest)) = program.split_first() else { bail!("the command to call is empty") };
        let mut command = Command::new(name);
        command.args(rest).args(args).args(&self.config).envs(&self.environment).stdin(Stdio::null());
        let answer = command.output().with_context(|| format!("could not run {name}"))?;
        let said = String::from_utf8_lossy(&answer.stdout).into_owned();
        if !answer.status.success() {
            let errors = String::from_utf8_lossy(&answer.stderr).trim().to_owned();
            bail!("`{} {}` failed ({}): {}{errors}", name, args.join(" "), answer.status, said.trim());
        }
        Ok(said)
    }
}

/// Does a step and shows how it went and how long it took.
fn step(name: &str, action: impl FnOnce() -> Result<String>) -> Result<()> {
    let started = Instant::now();
    let result = action();
    let took = started.elapsed().as_secs_f64();
    let (word, detail) = match &result {
        Ok(detail) => ("ok", detail.as_str()),
        Err(_) => ("failed", ""),
    };
    writeln!(std::io::stdout(), "{word:<6} {took:>6.2} s  {name:<50} {detail}")
        .context("could not write to our output")?;
    result.map(|_| ()).with_context(|| format!("failed at {name:?}"))
}

fn wait_for(otherwise: &str, mut look: impl FnMut() -> Result<Option<String>>) -> Result<String> {
    let until = Instant::now() + STEP_LIMIT;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if Instant::now() > until {
            bail!("{} s have passed and {otherwise}", STEP_LIMIT.as_secs());
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// The sum of a metric over all its labels, in Prometheus' text format.
fn total(metrics: &str, name: &str) -> Option<f64> {
    let values = metrics.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        rest.starts_with([' ', '{']).then(|| rest.rsplit(' ').next()?.parse::<f64>().ok())?
    });
    values.fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value))
}

/// What a line of `peek --json` says, if it is about a site below `base` and its check ended after `start`.
fn describe_if_new(line: &str, base: &str, start: Timestamp) -> Option<String> {
    let row: Value = serde_json::from_str(line).ok()?;
    let finished: Timestamp = row.get("finished_at")?.as_str()?.parse().ok()?;
    let is_ours = row.get("url")?.as_str()?.starts_with(base);
    (is_ours && finished > start).then(|| format!("{} {} at {finished:.3}", text(&row, "site"), text(&row, "outcome")))
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or("?").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_summed_over_its_labels() {
        let metrics = "# TYPE a_total counter\na_total{x=\"1\"} 2\na_total{x=\"2\"} 3\na_total_else 9\nb_total 4\n";
        assert_eq!(total(metrics, "a_total"), Some(5.0));
        assert_eq!(total(metrics, "c_total"), None);
    }

    #[test]
    fn only_a_newer_row_of_a_demo_site_counts() {
        let start: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        let row = |url: &str, at: &str| format!(r#"{{"site":"s","url":"{url}","outcome":"up","finished_at":"{at}"}}"#);
        let base = "http://127.0.0.1:28090";
        let newer = row("http://127.0.0.1:28090/slow", "2026-11-21T10:00:01.000001Z");
        assert_eq!(describe_if_new(&newer, base, start).unwrap(), "s up at 2026-11-21T10:00:01.000Z");
        assert_eq!(describe_if_new(&row("https://example.com", "2026-11-21T10:00:01Z"), base, start), None);
        assert_eq!(describe_if_new(&row(base, "2026-11-21T09:59:59Z"), base, start), None);
        assert_eq!(describe_if_new("not JSON", base, start), None);
    }
}
