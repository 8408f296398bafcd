//! What the tests are written with: servers, a pipeline on them, sites to check, and the oracle that judges at the end.

mod binaries;
mod child;
pub(crate) mod clockwork;
mod cluster;
mod database;
pub(crate) mod disk;
mod http;
mod lane;
mod manager;
pub(crate) mod message;
pub(crate) mod mount;
pub(crate) mod oracle;
mod pgbouncer;
mod pipeline;
mod postgres;
mod proof;
pub(crate) mod proxy;
mod servers;
pub(crate) mod site;
mod topic;
pub(crate) mod trace;
pub(crate) mod units;
mod waiting;

pub(crate) use binaries::{fresh, repository};
pub(crate) use child::{Finished, Service, command, command_of};
pub(crate) use cluster::{Cluster, Election};
pub(crate) use database::Database;
pub(crate) use lane::Lane;
pub(crate) use manager::Manager;
pub(crate) use pgbouncer::PgBouncer;
pub(crate) use pipeline::Pipeline;
pub(crate) use postgres::OwnPostgres;
pub(crate) use proof::without_ranges;
pub(crate) use servers::{OwnServers, shared_servers};
pub(crate) use topic::Topic;
pub(crate) use waiting::{eventually, within};
