//! The configuration as the producer needs it: the shared sections, and the sites, each checked into a [`Site`].

mod alarms;
mod contradictions;
mod domains;
mod expect;
mod request;
mod settings;
#[cfg(test)]
mod tests;
mod transport;
mod warnings;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use isitup_shared::config::{self, KafkaConfig, LogConfig, Problem, Problems, ProducerConfig, Section};

use crate::site::{Site, SiteSettings, short_hash};
use domains::Layers;
use settings::Reader;
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
}

/// The sites alone, for checks that need no Kafka.
#[derive(Clone, Debug)]
pub struct Sites {
    /// What holds for a site that says nothing else.
    pub defaults: Arc<SiteSettings>,
    /// The configured sites; here there may be none.
    pub list: Vec<Site>,
    /// Files, and patterns of files, that they depend on beside the configuration itself.
    pub sources: Vec<PathBuf>,
    /// The groups that have settings of their own.
    pub groups: Vec<String>,
}

impl Settings {
    /// Reads `file`, where one is given, and the environment.
    ///
    /// # Errors
    /// All that is wrong, at once.
    pub fn load(file: Option<&Path>) -> Result<Self, Problems> {
        let mut root = config::load(file)?;
        let log = LogConfig::read(&mut root);
        let kafka = KafkaConfig::read(&mut root);
        let producer = ProducerConfig::read(&mut root);
        let (sites, problems) = read_sites(&mut root, file, &producer);
        let sites = finish(root, sites, problems, file, Needed::OneSite)?;
        // `finish` has failed where the section could not be read; the error here is never seen.
        let kafka = kafka.ok_or_else(|| Problems(Vec::new()))?;
        let config_hash = hash_of(&sites.list);
        Ok(Self { log, kafka, producer, sites: sites.list, sources: sites.sources, groups: sites.groups, config_hash })
    }
}

impl Sites {
    /// Reads only the sites, their defaults, and what the producer may connect to, from `file`, where one is given, and the
    /// environment.
    ///
    /// # Errors
    /// All that is wrong with them, at once.
    pub fn load(file: Option<&Path>) -> Result<(Self, ProducerConfig), Problems> {
        let mut root = config::load(file)?;
        for key in ["log", "kafka"] {
            root.skip(key);
        }
        let producer = ProducerConfig::read(&mut root);
        let (sites, problems) = read_sites(&mut root, file, &producer);
        let sites = finish(root, sites, problems, file, Needed::NoSite)?;
        Ok((sites, producer))
    }
}

fn read_sites(root: &mut Section, file: Option<&Path>, producer: &ProducerConfig) -> (Sites, Vec<Problem>) {
    for other in ["postgres", "consumer"] {
        root.skip(other);
    }
    let mut reader = Reader::new(file.and_then(Path::parent));
    let layers = Layers::read(root, &mut reader);
    let list = domains::read(root, &mut reader, &layers, !producer.deny_networks.is_empty());
    let mut sources = reader.sources;
    sources.extend(root.secret_files());
    (Sites { groups: layers.group_names(), defaults: layers.defaults, list, sources }, reader.problems)
}

/// How many sites there must be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needed {
    NoSite,
    OneSite,
}

/// Ends the reading: `sites`, or what was found wrong by the shared reader and by ours, in the order of the file.
fn finish(
    root: Section,
    sites: Sites,
    ours: Vec<Problem>,
    file: Option<&Path>,
    needed: Needed,
) -> Result<Sites, Problems> {
    let is_enough = needed == Needed::NoSite || !sites.list.is_empty();
    let mut problems = match root.finish_root(Some(sites)) {
        Ok(sites) if ours.is_empty() && is_enough => return Ok(sites),
        Ok(_) => Vec::new(),
        Err(Problems(problems)) => problems,
    };
    problems.extend(ours);
    // A site that is written wrongly is not a missing one. Lines of a domains file have no key.
    if !is_enough && !problems.iter().any(|problem| problem.key.is_empty() || problem.key.starts_with("domains")) {
        problems.push(no_site(file));
    }
    let main = file.map(|file| file.display().to_string()).unwrap_or_default();
    problems.sort_by_key(|problem| match problem.origin.rsplit_once(':') {
        Some((name, line)) => (name != main, line.parse().unwrap_or(0)),
        None => (false, 0),
    });
    Err(Problems(problems))
}

fn no_site(file: Option<&Path>) -> Problem {
    let remedy = "no site to check: write `domains: [https://example.com]`, or name a file of them in `domains_file`";
    let (origin, message) = match file {
        Some(file) => (file.display().to_string(), format!("{remedy} (or set ISITUP__DOMAINS)")),
        None => (
            "ISITUP__DOMAINS".into(),
            "no site to check: set it to one URL or several with commas, such as https://example.com".into(),
        ),
    };
    Problem::new(origin, "domains".into(), message)
}

fn hash_of(sites: &[Site]) -> String {
    let mut hashes: Vec<&str> = sites.iter().map(|site| &*site.config_hash).collect();
    hashes.sort_unstable();
    short_hash(hashes)
}
