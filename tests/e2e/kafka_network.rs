//! The network between the services and Kafka misbehaves.
