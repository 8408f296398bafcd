//! The whole configuration, as each service reads it: one file, one answer.
//!
//! Each service checks the form of all sections and refuses the same files in the same words. It reads the secrets and
//! other files of its own sections only; those of the other's need not be on its machine. What is missing is told by the
//! service that needs it.

use std::path::Path;

use super::{
    ConsumerConfig, KafkaConfig, LogConfig, PostgresConfig, Problem, Problems, ProducerConfig, Section, Sites, Sources,
    load,
};

/// Who reads the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// The producer, which needs a site.
    Producer,
    /// The consumer.
    Consumer {
        /// Whether it needs PostgreSQL.
        needs_postgres: bool,
    },
}

/// All that a configuration says.
#[derive(Clone, Debug)]
pub struct Whole {
    /// The section `log`.
    pub log: LogConfig,
    /// The section `kafka`.
    pub kafka: KafkaConfig,
    /// The section `producer`.
    pub producer: ProducerConfig,
    /// The section `consumer`.
    pub consumer: ConsumerConfig,
    /// The section `postgres`, where there is one.
    pub postgres: Option<PostgresConfig>,
    /// The sites. For the consumer they are but a form: their secrets and files were not read.
    pub sites: Sites,
    /// What was read beside the configuration itself.
    pub sources: Sources,
}

impl Whole {
    /// Reads `file`, where one is given, and the environment, for `service`.
    ///
    /// # Errors
    /// All that is wrong, at once.
    pub fn load(file: Option<&Path>, service: Service) -> Result<Self, Problems> {
        Self::read(load(file)?, file, service)
    }

    /// Reads the tree below `root`, which was loaded from `file`.
    pub(super) fn read(mut root: Section, file: Option<&Path>, service: Service) -> Result<Self, Problems> {
        let log = LogConfig::read(&mut root);
        let kafka = KafkaConfig::read(&mut root);
        let producer = ProducerConfig::read(&mut root);
        let consumer = ConsumerConfig::read(&mut root);
        let (postgres, (sites, mut problems)) = match service {
            Service::Producer => {
                let postgres = root.of_another_service(|root| PostgresConfig::read(root, false));
                (postgres, Sites::read(&mut root, &producer))
            }
            Service::Consumer { needs_postgres } => {
                let is_there = root.contains("postgres");
                let postgres = PostgresConfig::read(&mut root, needs_postgres || is_there);
                (postgres, root.of_another_service(|root| Sites::read(root, &producer)))
            }
        };
        let sources = root.sources();
        if service == Service::Producer && sites.list.is_empty() {
            problems.push(no_site(file));
        }
        let whole = kafka.map(|kafka| Self { log, kafka, producer, consumer, postgres, sites, sources });
        finish(root, whole, problems, file)
    }

    /// Reads only the sites and the section `producer`, for checks that need no Kafka.
    ///
    /// # Errors
    /// All that is wrong with them, at once.
    pub fn load_sites(file: Option<&Path>) -> Result<(Sites, ProducerConfig), Problems> {
        let mut root = load(file)?;
        for key in ["log", "kafka", "postgres", "consumer"] {
            root.skip(key);
        }
        let producer = ProducerConfig::read(&mut root);
        let (sites, problems) = Sites::read(&mut root, &producer);
        finish(root, Some((sites, producer)), problems, file)
    }
}

/// Ends the reading: `value`, or what was found wrong, in the order of the file, those of other files after it.
fn finish<T>(root: Section, value: Option<T>, ours: Vec<Problem>, file: Option<&Path>) -> Result<T, Problems> {
    let mut problems = match root.finish_root(value) {
        Ok(value) if ours.is_empty() => return Ok(value),
        Ok(_) => Vec::new(),
        Err(Problems(problems)) => problems,
    };
    // A site that is written wrongly is not a missing one. Lines of a domains file have no key.
    let is_of_sites = |problem: &Problem| problem.key.is_empty() || problem.key.starts_with("domains");
    let has_wrong_sites =
        problems.iter().any(is_of_sites) || ours.iter().any(|problem| is_of_sites(problem) && !is_no_site(problem));
    problems.extend(ours.into_iter().filter(|problem| !(has_wrong_sites && is_no_site(problem))));
    let main = file.map(|file| file.display().to_string()).unwrap_or_default();
    problems.sort_by_key(|problem| match problem.origin.rsplit_once(':') {
        Some((name, line)) => (name != main, line.parse().unwrap_or(0)),
        None => (false, 0),
    });
    Err(Problems(problems))
}

const NO_SITE: &str = "no site to check: ";

fn is_no_site(problem: &Problem) -> bool {
    problem.message.starts_with(NO_SITE)
}

fn no_site(file: Option<&Path>) -> Problem {
    let (origin, remedy) = match file {
        Some(file) => (
            file.display().to_string(),
            "write `domains: [https://example.com]`, or name a file of them in `domains_file` (or set ISITUP__DOMAINS)",
        ),
        None => ("ISITUP__DOMAINS".into(), "set it to one URL or several with commas, such as https://example.com"),
    };
    Problem::new(origin, "domains".into(), format!("{NO_SITE}{remedy}"))
}
