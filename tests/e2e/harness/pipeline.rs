//! A producer and consumers with a topic, a schema, a spool and ports of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use isitup_dev::Stack;
use tempfile::TempDir;
use uuid::Uuid;

use super::child::{self, Finished, Service};
use super::database::Database;
use super::lane::Lane;
use super::oracle;
use super::proxy::Proxy;
use super::secured;
use super::servers::shared_servers;
use super::site::Site;
use super::topic::Topic;
use super::waiting::eventually;

/// What both services are told, and where to look for what they did.
pub(crate) struct Pipeline<'a> {
    servers: &'a Stack,
    folder: TempDir,
    name: String,
    interval: Duration,
    lease: Duration,
    postgres_url: String,
    /// Where the services find Kafka, when not where it is.
    brokers: Option<Vec<String>>,
    /// How they do, when not as the lane says.
    kafka: Option<String>,
    /// Where the tests look.
    database_url: String,
    /// More of the section `postgres`.
    postgres: String,
    sites: Vec<String>,
    /// Those of them that come or go while the producer runs.
    passing: Vec<String>,
    /// More of the configuration.
    more: String,
    producer: String,
    site_lines: Vec<String>,
}

impl Pipeline<'static> {
    /// On the servers that tests share.
    pub(crate) fn new(name: &str) -> Self {
        Self::on(shared_servers(), name)
    }
}

impl<'a> Pipeline<'a> {
    /// On the given servers.
    pub(crate) fn on(servers: &'a Stack, name: &str) -> Self {
        Self::made_of(servers, servers.postgres_url(), name)
    }

    /// On the Kafka of the given servers, and the database that tests share.
    pub(crate) fn with_kafka_of(servers: &'a Stack, name: &str) -> Self {
        Self::made_of(servers, shared_servers().postgres_url(), name)
    }

    fn made_of(servers: &'a Stack, database_url: &str, name: &str) -> Self {
        let unique = Uuid::new_v4().simple().to_string();
        Self {
            servers,
            folder: tempfile::tempdir().unwrap(),
            name: format!("{name}_{}", &unique[..8]),
            interval: Duration::from_millis(500),
            lease: Duration::from_secs(15),
            postgres_url: database_url.to_owned(),
            brokers: None,
            kafka: None,
            database_url: database_url.to_owned(),
            postgres: String::new(),
            sites: Vec::new(),
            passing: Vec::new(),
            more: String::new(),
            producer: String::new(),
            site_lines: Vec::new(),
        }
    }

    /// How often each site is checked.
    pub(crate) fn every(self, interval: Duration) -> Self {
        Self { interval, ..self }
    }

    /// How long a partition may stay with a consumer that no longer answers.
    pub(crate) fn lease(self, lease: Duration) -> Self {
        Self { lease, ..self }
    }

    /// Where else PostgreSQL is, or with whose name and password.
    pub(crate) fn postgres_url(self, postgres_url: String) -> Self {
        Self { postgres_url, ..self }
    }

    /// More of the section `postgres`, such as `tls: {mode: require}`.
    pub(crate) fn postgres_with(self, settings: &str) -> Self {
        Self { postgres: format!(", {settings}"), ..self }
    }

    /// Where else the services find Kafka. The tests themselves go straight to it.
    pub(crate) fn broker_behind(self, address: String) -> Self {
        Self { brokers: Some(vec![address]), ..self }
    }

    /// How the services reach Kafka, whatever the lane: what stands between the braces of `kafka: {}`. Kafka itself may
    /// then be of any version, so that the tests look at it by librdkafka.
    pub(crate) fn kafka(self, settings: String) -> Self {
        Self { kafka: Some(settings), ..self }
    }

    /// The same for a cluster.
    pub(crate) fn brokers_behind(self, proxies: &[Proxy]) -> Self {
        Self { brokers: Some(proxies.iter().map(Proxy::address).collect()), ..self }
    }

    /// Where the proofs look for what is stored, when not in the servers' database.
    pub(crate) fn proved_at(self, database_url: String) -> Self {
        Self { database_url, ..self }
    }

    /// Adds a site.
    pub(crate) fn site(self, name: &str, url: &str) -> Self {
        self.site_with(name, url, "group: tests")
    }

    /// Adds a site with settings in YAML, such as `timeout: 1s, expect: {status: [404]}`.
    pub(crate) fn site_with(mut self, name: &str, url: &str, settings: &str) -> Self {
        self.site_lines.push(format!("{{name: {name:?}, url: {url:?}, {settings}}}"));
        self.sites.push(name.to_owned());
        self
    }

    /// A site that is checked, too, from when or until when the configuration has it by other ways than these.
    pub(crate) fn passing(mut self, name: &str) -> Self {
        self.sites.push(name.to_owned());
        self.passing.push(name.to_owned());
        self
    }

    /// The same pipeline from now on without a site that it had.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.site_lines.retain(|line| !line.starts_with(&format!("{{name: {name:?},")));
        self.passing.push(name.to_owned());
        self
    }

    /// The same pipeline from now on with a site at another URL, with other settings.
    pub(crate) fn changed(mut self, name: &str, url: &str, settings: &str) -> Self {
        let begin = format!("{{name: {name:?},");
        for line in self.site_lines.iter_mut().filter(|line| line.starts_with(&begin)) {
            *line = format!("{begin} url: {url:?}, {settings}}}");
        }
        self
    }

    /// The same pipeline from now on with one more site.
    pub(crate) fn site_later(mut self, name: &str, url: &str) -> Self {
        self.passing.push(name.to_owned());
        self.site(name, url)
    }

    /// More of the configuration: lines of YAML.
    pub(crate) fn with(self, yaml: &str) -> Self {
        Self { more: format!("{}{yaml}\n", self.more), ..self }
    }

    /// More of the producer's own settings, such as `reference: ['127.0.0.1:1']`.
    pub(crate) fn producer_with(self, settings: &str) -> Self {
        Self { producer: format!(", {settings}"), ..self }
    }

    /// Adds 60 sites that are checked each 200 ms: 300 checks a second.
    pub(crate) fn busy_with(self, site: &Site) -> Self {
        let pipeline = self.every(Duration::from_millis(200));
        (0..60).fold(pipeline, |pipeline, number| pipeline.site(&format!("busy {number}"), site.url()))
    }

    /// Starts a producer.
    pub(crate) fn producer(&self) -> Service {
        Service::start("the producer", self.command("isitup-producer", &[]))
    }

    /// Starts a consumer.
    pub(crate) fn consumer(&self) -> Service {
        self.consumer_with(&[])
    }

    /// Starts a consumer with more arguments.
    pub(crate) fn consumer_with(&self, args: &[&str]) -> Service {
        Service::start("the consumer", self.command("isitup-consumer", args))
    }

    /// Starts a producer that dies or stands still where `orders` say: see [`isitup_shared::crash`].
    pub(crate) fn armed_producer(&self, orders: &str) -> Service {
        self.armed("the armed producer", "isitup-producer-failpoints", orders, &[])
    }

    /// Starts a consumer that dies or stands still where `orders` say: see [`isitup_shared::crash`].
    pub(crate) fn armed_consumer(&self, orders: &str) -> Service {
        self.armed("the armed consumer", "isitup-consumer-failpoints", orders, &[])
    }

    /// Starts `program` with points and settings in its environment.
    pub(crate) fn armed(&self, name: &str, program: &str, orders: &str, settings: &[(&str, &str)]) -> Service {
        let mut command = self.command(program, &[]);
        command.env("FAILPOINTS", orders).envs(settings.iter().copied());
        Service::start(name, command)
    }

    /// Runs a command of the consumer to its end.
    pub(crate) fn ask(&self, args: &[&str]) -> Finished {
        self.consumer_with(args).wait()
    }

    /// What `program` says of its configuration and of what it needs beside it.
    pub(crate) fn check_config(&self, program: &str) -> Finished {
        Service::start("the check", self.command(program, &["check-config", "--connect"])).wait()
    }

    /// `program` with this pipeline's configuration as it is now.
    pub(crate) fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = child::command(program);
        command.arg("--config").arg(self.write_config()).args(args);
        command
    }

    /// The folder of the configuration and the spool, which goes with the pipeline.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where the producer keeps its events.
    pub(crate) fn spool(&self) -> PathBuf {
        self.folder().join("spool")
    }

    /// The spool's files of events, in order.
    pub(crate) fn segments(&self) -> Vec<PathBuf> {
        oracle::spool::segments_in(&self.spool())
    }

    /// Where Kafka is.
    pub(crate) fn broker(&self) -> &str {
        self.servers.kafka()
    }

    /// The topic.
    pub(crate) fn topic(&self) -> Topic {
        match self.kafka {
            None => Topic::at(self.servers.brokers(), &self.name),
            Some(_) => Topic::by(Lane::Librdkafka4.client(), self.servers.brokers(), &self.name),
        }
    }

    /// The name of the topic and of the schema.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where the database is.
    pub(crate) fn database_url(&self) -> &str {
        &self.database_url
    }

    /// The schema.
    #[track_caller]
    pub(crate) fn database(&self) -> Database {
        Database::connect(&self.database_url, &self.name).unwrap()
    }

    /// How many rows a table or view has, all of it or where some condition holds; 0 as long as nobody can tell.
    pub(crate) fn count(&self, of: &str) -> i64 {
        let ask = || {
            let mut database = Database::connect(&self.database_url, &self.name)?;
            database.try_value(&format!("SELECT count(*) FROM {of}"))
        };
        ask().unwrap_or(0)
    }

    /// Waits until there are at least so many results.
    #[track_caller]
    pub(crate) fn wait_for_rows(&self, at_least: i64) {
        eventually(&format!("{at_least} results are stored"), || self.count("check_result") >= at_least);
    }

    /// Waits until there are so many results more than now.
    #[track_caller]
    pub(crate) fn wait_for_more_rows(&self, more: i64) {
        self.wait_for_rows(self.count("check_result") + more);
    }

    /// Waits until a result of each site is stored.
    #[track_caller]
    pub(crate) fn wait_for_each_site(&self) {
        let count = i64::try_from(self.sites.len()).unwrap();
        eventually("each site has a result", || self.count("latest_status") == count);
    }

    /// Waits until everything on the topic is read.
    #[track_caller]
    pub(crate) fn wait_until_read(&self) {
        // A consumer that has just started may still be making it.
        eventually("there is a table of offsets", || {
            self.database().value("SELECT to_regclass('partition_offset') IS NOT NULL")
        });
        let ends: Vec<String> =
            self.topic().ends().iter().map(|(partition, end)| format!("({partition}, {end})")).collect();
        let unread = format!(
            "(VALUES {}) e (p, o) WHERE NOT EXISTS (SELECT FROM partition_offset WHERE partition = p AND next_offset = o)",
            ends.join(", ")
        );
        eventually("the consumers have read all of the topic", || {
            let mut database = self.database();
            database.count(&unread) == 0
        });
    }

    /// The names of all sites.
    pub(super) fn sites(&self) -> &[String] {
        &self.sites
    }

    /// Those of them that come or go while the producer runs.
    pub(super) fn passing_sites(&self) -> &[String] {
        &self.passing
    }

    /// How often each site is checked.
    pub(super) fn interval(&self) -> Duration {
        self.interval
    }

    /// Writes the configuration as it is now, and gives its path.
    pub(crate) fn write_config(&self) -> PathBuf {
        let path = self.folder().join("config.yml");
        let (name, postgres) = (&self.name, &self.postgres);
        let url = match self.postgres_url.as_str() {
            url if postgres.contains("tls:") || url.contains("sslmode=") => url.to_owned(),
            url => secured::as_services_get(url),
        };
        let by_lane = || Lane::current().yaml(self.servers, self.brokers.as_deref());
        let kafka = self.kafka.clone().unwrap_or_else(by_lane);
        let (spool, interval, lease) = (self.spool(), self.interval.as_millis(), self.lease.as_millis());
        let sites: String = self.site_lines.iter().map(|line| format!("\n  - {line}")).collect();
        let (producer, more, format) = (&self.producer, &self.more, Lane::format());
        let text = format!(
            "kafka: {{{kafka}, topic: {name}, format: {format}}}
postgres: {{url: {url:?}, schema: {name}{postgres}}}
producer: {{location: tests, spool: {{path: {spool:?}, max_size: 256MiB}}, listen: 127.0.0.1:0{producer}}}
consumer: {{lease: {lease}ms, listen: 127.0.0.1:0}}
defaults: {{interval: {interval}ms, timeout: 5s}}
{more}domains:{sites}
"
        );
        if fs::read_to_string(&path).is_ok_and(|there| there == text) {
            return path;
        }
        // Renamed into place: a service that is starting may be reading it.
        let written = self.folder().join("config.yml.new");
        fs::write(&written, text).unwrap();
        fs::rename(&written, &path).unwrap();
        path
    }
}
