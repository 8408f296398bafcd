//! `check-config`: whether the configuration is well and, if asked, whether all that it names is there.

use clap::Args;
use isitup_shared::config::PostgresConfig;
use isitup_shared::kafka;
use serde_json::{Value, json};

use crate::config::Config;
use crate::exit::{Answer, CommandError};
use crate::output::print;
use crate::store::{Store, StoreError};

/// Options of `check-config`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct CheckConfigArgs {
    /// Try the way to Kafka and to PostgreSQL, too, with the topic, the schema and the rights; exit 3 when one fails
    #[arg(long)]
    connect: bool,
    /// For programs: one JSON object
    #[arg(long)]
    json: bool,
}

type Found = (&'static str, Result<String, String>);

/// Tells what is there. All of it, also after something is not.
///
/// # Errors
/// When something is not there, or standard output cannot be written to.
pub(crate) fn run(config: &Config, args: &CheckConfigArgs) -> Result<Answer, CommandError> {
    let found = if args.connect { look(config) } else { Vec::new() };
    let text = if args.json { in_json(config, &found).to_string() } else { in_words(config, &found) };
    print(&text)?;
    let missing: Vec<&str> = found.iter().filter(|(_, result)| result.is_err()).map(|(name, _)| *name).collect();
    if missing.is_empty() { Ok(Answer::Yes) } else { Err(CommandError::NotThere(missing.join(" and "))) }
}

fn look(config: &Config) -> Vec<Found> {
    let mut found = vec![("kafka", kafka::try_receiving(&config.kafka).map_err(|error| error.to_string()))];
    if let Some(postgres) = &config.postgres {
        found.push(("postgres", try_storing(config, postgres).map_err(|error| error.to_string())));
    }
    found
}

fn try_storing(config: &Config, postgres: &PostgresConfig) -> Result<String, StoreError> {
    let readiness = Store::new(postgres, config.consumer.lease)?.readiness()?;
    readiness.judge().map_err(StoreError::NotReady)
}

fn in_words(config: &Config, found: &[Found]) -> String {
    let mut lines = vec![format!("configuration well: topic {} by {}", config.kafka.topic, config.kafka.client)];
    lines.extend(found.iter().map(|(name, result)| match result {
        Ok(what) => format!("  {name:<8} reached: {what}"),
        Err(why) => format!("  {name:<8} NOT WELL: {why}"),
    }));
    lines.join("\n")
}

fn in_json(config: &Config, found: &[Found]) -> Value {
    let entry = |(name, result): &Found| {
        let (ok, detail) = result.as_ref().map_or_else(|why| (false, why), |what| (true, what));
        ((*name).to_owned(), json!({"ok": ok, "detail": detail}))
    };
    let connect: serde_json::Map<String, Value> = found.iter().map(entry).collect();
    json!({"topic": config.kafka.topic, "brokers": config.kafka.brokers, "connect": connect})
}
