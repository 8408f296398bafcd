//! Real ZooKeeper, Kafka and PostgreSQL as local processes.

mod console;
mod foreground;
mod home;
mod jars;
mod kafka;
mod part;
mod parts;
mod ports;
mod postgres;
mod postgres_tls;
mod probe;
mod zookeeper;

pub(crate) use foreground::{StackArgs, run};
pub(crate) use home::{Home, delete_data, log_of};
pub(crate) use part::{Context, Part};
pub(crate) use parts::{Kind, Parts, Wanted, database_url};
pub(crate) use ports::Port;
