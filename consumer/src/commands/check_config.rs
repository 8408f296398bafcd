//! `check-config`: whether the configuration is well and, if asked, whether all that it names is there.

use std::time::Duration;

use clap::Args;
use isitup_shared::config::PostgresConfig;
use isitup_shared::kafka;
use isitup_shared::prerequisites::Prerequisites;
use serde_json::{Value, json};

use super::Context;
use crate::config::Config;
use crate::exit::{Answer, CommandError};
use crate::output::print;
use crate::store::{Store, StoreError};

/// How long PostgreSQL may take to answer, as long as Kafka may.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

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
pub(crate) fn run(mut context: Context, args: &CheckConfigArgs) -> Result<Answer, CommandError> {
    context.wait = context.wait.min(ANSWER_LIMIT);
    let config = &context.config;
    let needed = if args.connect { look(&context) } else { Prerequisites::new() };
    let text = if args.json { in_json(config, &needed).to_string() } else { in_words(config, &needed) };
    print(&text)?;
    needed.missing().map_or(Ok(Answer::Yes), |missing| Err(CommandError::NotThere(missing)))
}

fn look(context: &Context) -> Prerequisites {
    let (config, mut needed) = (&context.config, Prerequisites::new());
    needed.note("kafka", kafka::try_receiving(&config.kafka));
    if let Some(postgres) = &config.postgres {
        needed.note("postgres", try_storing(context, postgres));
    }
    needed
}

fn try_storing(context: &Context, postgres: &PostgresConfig) -> Result<String, StoreError> {
    let store = Store::new(postgres, context.config.consumer.lease)?;
    let readiness = context.until("PostgreSQL", StoreError::is_unreachable, || store.readiness())?;
    readiness.judge().map_err(StoreError::NotReady)
}

fn in_words(config: &Config, needed: &Prerequisites) -> String {
    let mut lines = vec![format!("configuration well: topic {} by {}", config.kafka.topic, config.kafka.client)];
    lines.extend(needed.lines());
    lines.extend(config.sources.warnings().into_iter().map(|warning| format!("warning: {warning}")));
    lines.join("\n")
}

fn in_json(config: &Config, needed: &Prerequisites) -> Value {
    json!({
        "topic": config.kafka.topic,
        "brokers": config.kafka.brokers,
        "warnings": config.sources.warnings(),
        "connect": needed.json(),
    })
}
