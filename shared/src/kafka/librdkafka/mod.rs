//! The seam over librdkafka: Kafka 3 and 4, TLS and SASL. The library reconnects, retries and finds leaders by itself;
//! what it knows of troubles it tells by events, which [`context`] keeps and [`trouble`] puts into words. Delivery
//! reports are the only proof of a delivery, and the reading side holds explicit offsets: no group is ever joined.

mod context;
mod diagnosis;
mod life;
mod receiver;
mod rights;
mod sender;
mod settings;
mod topics;
mod trouble;

use std::time::Duration;

pub(super) use self::receiver::LibrdkafkaReceiver;
pub(super) use self::rights::may_write;
pub(super) use self::sender::LibrdkafkaSender;
pub(super) use self::topics::topic_setting;

/// The longest a call may take.
const CALL_LIMIT: Duration = Duration::from_secs(15);
/// The longest that a question about the topic may take.
const ASK_LIMIT: Duration = Duration::from_secs(7);
