//! The sections `defaults`, `groups`, `domains` and `domains_file`: the sites, each checked into a [`Site`].
//!
//! Both services read them, so that both refuse the same file. Only the producer reads the files that they name.

mod alarms;
mod contradictions;
mod domains;
mod expect;
mod request;
mod settings;
mod transport;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Problem, ProducerConfig, Section};
use crate::site::{Site, SiteSettings};
use domains::Layers;
use settings::Reader;

/// The sites of a configuration.
#[derive(Clone, Debug)]
pub struct Sites {
    /// What holds for a site that says nothing else.
    pub defaults: Arc<SiteSettings>,
    /// The configured sites, in the order of the configuration; no two of one name. There may be none.
    pub list: Vec<Site>,
    /// Files, and patterns of files, that they depend on beside the configuration itself.
    pub sources: Vec<PathBuf>,
    /// The groups that have settings of their own.
    pub groups: Vec<String>,
}

impl Sites {
    /// Reads the sites below `root`, for a producer of these settings. Also gives what is wrong with them and was not noted
    /// in `root`.
    pub(super) fn read(root: &mut Section, producer: &ProducerConfig) -> (Self, Vec<Problem>) {
        let file = root.file().map(Path::to_owned);
        let folder = file.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
        let mut reader = Reader::new(folder, root.is_others());
        let layers = Layers::read(root, &mut reader);
        let list = domains::read(root, &mut reader, &layers, !producer.deny_networks.is_empty());
        let sites = Self { groups: layers.group_names(), defaults: layers.defaults, list, sources: reader.sources };
        (sites, reader.problems)
    }
}
