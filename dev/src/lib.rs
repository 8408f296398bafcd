//! What developers and newcomers run: real Kafka, ZooKeeper and PostgreSQL as local processes, and demo sites.
//!
//! The program is `isitup-dev`; tests use [`Stack`] to have a stack of their own.

pub mod cli;
mod client;
mod disk;
mod ending;
mod http;
mod proc;
mod process;
mod round_trip;
mod setup;
mod sites;
mod spawner;
mod stack;
mod tools;

use std::path::PathBuf;

pub use client::{Addresses, Stack, StackOptions};
pub use stack::{Operation, Resource};

/// The password of a user of Kafka's secured listeners: `isitup` and `limited`. It is no secret.
pub fn kafka_password(user: &str) -> String {
    stack::password(user)
}

/// The folder of `PostgreSQL`'s programs, as installed.
///
/// # Errors
/// When there is none.
pub fn postgres_folder() -> anyhow::Result<PathBuf> {
    tools::postgres_folder()
}

/// The path of one of the workspace's binaries, such as `isitup-dev`: beside the running one, or above it when that is
/// a test.
///
/// # Errors
/// When it is not built.
pub fn binary(name: &str) -> anyhow::Result<PathBuf> {
    tools::beside_us(name)
}
