//! What the tests are written with: servers, a pipeline on them, sites to check, and the proofs at the end.

mod binaries;
mod child;
mod database;
mod http;
mod pipeline;
mod proofs;
pub(crate) mod proxy;
mod servers;
pub(crate) mod site;
mod topic;
mod waiting;

pub(crate) use child::{Finished, Service, command};
pub(crate) use database::Database;
pub(crate) use pipeline::Pipeline;
pub(crate) use servers::{OwnServers, shared_servers};
pub(crate) use topic::Topic;
pub(crate) use waiting::{eventually, within};
