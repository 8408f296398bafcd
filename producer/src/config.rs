//! The configuration as the producer needs it: the shared sections, and the sites, each checked into a [`Site`].

#[cfg(test)]
mod tests;
mod warnings;

use std::path::{Path, PathBuf};

use isitup_shared::config::{KafkaConfig, LogConfig, Problems, ProducerConfig, Service, Sources, Whole};

use crate::site::{Site, short_hash};
pub use isitup_shared::config::Sites;
pub use warnings::{Warning, warnings};

/// All that the producer is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What is logged, and how.
    pub log: LogConfig,
    /// How to reach Kafka.
    pub kafka: KafkaConfig,
    /// The producer's own settings.
    pub producer: ProducerConfig,
    /// The sites, in the order of the configuration; never empty, and no two of one name.
    pub sites: Vec<Site>,
    /// Files, and patterns of files, that the sites depend on beside the configuration itself.
    pub sources: Vec<PathBuf>,
    /// The groups that have settings of their own.
    pub groups: Vec<String>,
    /// Hash of the whole set of sites, whatever their order.
    pub config_hash: String,
    /// What was read, for who else may read or change it.
    pub read: Sources,
}

impl Settings {
    /// Reads `file`, where one is given, and the environment.
    ///
    /// # Errors
    /// All that is wrong, at once.
    pub fn load(file: Option<&Path>) -> Result<Self, Problems> {
        let Whole { log, kafka, producer, sites, sources: read, .. } = Whole::load(file, Service::Producer)?;
        let config_hash = hash_of(&sites.list);
        let Sites { list, mut sources, groups, .. } = sites;
        sources.extend(read.files.iter().cloned());
        Ok(Self { log, kafka, producer, sites: list, sources, groups, config_hash, read })
    }
}

fn hash_of(sites: &[Site]) -> String {
    let mut hashes: Vec<&str> = sites.iter().map(|site| &*site.config_hash).collect();
    hashes.sort_unstable();
    short_hash(hashes)
}
