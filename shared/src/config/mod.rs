//! Configuration: one YAML file for both services, overridden by `ISITUP__` environment variables, parsed once into
//! checked types. All that is wrong is told at once.
//!
//! [`load`] gives the merged tree as a [`Section`]; the sections that both services know are read here, a service's
//! sites and the like by the service itself. A service skips what is the other's.

mod kafka;
mod kafka_client;
mod layers;
mod network;
mod permissions;
mod postgres;
mod postgres_options;
mod postgres_tls;
mod problems;
mod scalar;
mod secrets;
mod section;
mod services;
pub mod shown;
mod sites;
#[cfg(test)]
mod tests;
mod whole;
#[cfg(test)]
mod whole_tests;
mod yaml;

pub use kafka::{Format, KafkaConfig, TopicShape};
pub use kafka_client::KafkaClient;
#[cfg(feature = "librdkafka")]
pub use kafka_client::{KafkaTls, KeyPairFiles, Mechanism, Sasl, Security};
pub use layers::load;
pub use network::Network;
pub use permissions::Sources;
pub use postgres::{PostgresConfig, SchemaName};
pub use postgres_tls::{PostgresTls, TlsFileProblem, TlsFiles, TlsMode, TlsSetting};
pub use problems::{Problem, Problems};
pub use scalar::{ByteSize, Scalar};
pub use secrets::{Credential, SecretCommand, SecretSource};
pub use section::{Entry, Found, Section};
pub use services::{ConsumerConfig, LogConfig, LogFormat, ProducerConfig, SpoolConfig};
pub use sites::Sites;
pub use whole::{Service, Whole};
