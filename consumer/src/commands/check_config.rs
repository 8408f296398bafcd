//! `check-config`: whether the configuration is well and, if asked, whether all that it names is there.

use clap::Args;
use isitup_shared::config::PostgresConfig;
use isitup_shared::kafka;
use isitup_shared::prerequisites::Prerequisites;
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

/// Tells what is there. All of it, also after something is not.
///
/// # Errors
/// When something is not there, or standard output cannot be written to.
pub(crate) fn run(config: &Config, args: &CheckConfigArgs) -> Result<Answer, CommandError> {
    let needed = if args.connect { look(config) } else { Prerequisites::new() };
    let text = if args.json { in_json(config, &needed).to_string() } else { in_words(config, &needed) };
    print(&text)?;
    needed.missing().map_or(Ok(Answer::Yes), |missing| Err(CommandError::NotThere(missing)))
}

fn look(config: &Config) -> Prerequisites {
    let mut needed = Prerequisites::new();
    needed.note("kafka", kafka::try_receiving(&config.kafka));
    if let Some(postgres) = &config.postgres {
        needed.note("postgres", try_storing(config, postgres));
    }
    needed
}

fn try_storing(config: &Config, postgres: &PostgresConfig) -> Result<String, StoreError> {
    let readiness = Store::new(postgres, config.consumer.lease)?.readiness()?;
    readiness.judge().map_err(StoreError::NotReady)
}

fn in_words(config: &Config, needed: &Prerequisites) -> String {
    let mut lines = vec![format!("configuration well: topic {} by {}", config.kafka.topic, config.kafka.client)];
    lines.extend(needed.lines());
    lines.join("\n")
}

fn in_json(config: &Config, needed: &Prerequisites) -> Value {
    json!({"topic": config.kafka.topic, "brokers": config.kafka.brokers, "connect": needed.json()})
}
