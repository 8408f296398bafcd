//! Real ZooKeeper, Kafka and PostgreSQL as local processes.

mod broker;
mod certificates;
mod console;
mod foreground;
mod home;
mod jars;
mod kafka;
mod kraft;
mod part;
mod parts;
mod ports;
mod postgres;
mod postgres_tls;
mod probe;
mod rights;
mod secured;
mod wire;
mod zookeeper;

pub(crate) use foreground::{StackArgs, run};
pub(crate) use home::{Home, delete_data, log_of};
pub(crate) use jars::Line;
pub(crate) use part::{Context, Part};
pub(crate) use parts::{Kind, Parts, Wanted, database_url};
pub(crate) use ports::Port;
pub use rights::{Operation, Resource};
pub(crate) use rights::{allow, disallow};
pub(crate) use secured::password;
