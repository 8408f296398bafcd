//! What both of isitup's services need, and nothing else: the wire contract, configuration and sites, the seam to Kafka,
//! logging, health and metrics, retries and shutdown.

pub mod config;
pub mod crash;
pub mod documents;
pub mod event;
pub mod exposition;
pub mod heartbeat;
pub mod http;
pub mod kafka;
pub mod limits;
pub mod logging;
pub mod outage_log;
pub mod percent;
pub mod prerequisites;
pub mod retry;
pub mod secret;
pub mod shutdown;
pub mod site;
pub mod supervision;
pub mod time;
pub mod tls;
