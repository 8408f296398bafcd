//! Whether a topic may be written to, without writing.

use rdkafka::error::RDKafkaErrorCode;

use super::super::{KafkaError, Record};
use super::context::Context;
use super::sender::{Client, hand_to};
use super::settings::Settings;
use super::{ASK_LIMIT, trouble};
use crate::config::{KafkaConfig, Security};

/// Asks for the right by a request that the broker refuses in any case: it looks at the rights first, and then at the number of
/// acknowledgements, which can only be 0, 1 or all.
///
/// # Errors
/// That the right is missing, or what kept the broker from saying so.
pub(in super::super) fn may_write(config: &KafkaConfig, security: &Security) -> Result<(), KafkaError> {
    let settings = Settings::new(config, security);
    let context = Context::new(&settings);
    let client: Client = settings
        .refused_producer()?
        .create_with_context(context.clone())
        .map_err(|error| trouble::of_creation(&error, &settings))?;
    let refused = |code| trouble::of_partition(code, 0, &settings);
    let record = Record { partition: 0, key: b"", value: b"" };
    let flight = hand_to(&client, &context, &config.topic, &record).map_err(refused)?;
    context.wait_for_reports(ASK_LIMIT);
    match flight.outcome.get() {
        Some(Ok(()) | Err(RDKafkaErrorCode::InvalidRequiredAcks)) => Ok(()),
        Some(Err(code)) => Err(refused(*code)),
        None => Err(context.trouble().unwrap_or(KafkaError::NoAnswer { seconds: ASK_LIMIT.as_secs() })),
    }
}
