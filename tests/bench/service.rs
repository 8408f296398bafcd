//! The two services as processes: their configuration, their start, their metrics.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::Running;
use crate::setting::{Setting, binary};

const START_LIMIT: Duration = Duration::from_secs(20);
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// What a service is told.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Topic, schema and folder are called by this.
    pub(crate) name: String,
    pub(crate) interval: Duration,
    /// The URL of each site.
    pub(crate) urls: Vec<String>,
    /// Whether the sites stand in a `domains_file`, each called by its URL.
    pub(crate) in_file: bool,
}

/// A running service.
#[derive(Debug)]
pub(crate) struct Service {
    running: Running,
    listen: SocketAddr,
    log: PathBuf,
}

impl Plan {
    /// `count` sites, all at `url`.
    pub(crate) fn of_one_target(name: &str, interval: Duration, count: usize, url: &str) -> Self {
        Self { name: name.to_owned(), interval, urls: vec![url.to_owned(); count], in_file: false }
    }

    /// The name of the site with this index.
    pub(crate) fn site(index: usize) -> String {
        format!("site-{index:05}")
    }

    /// The topic of this plan.
    pub(crate) fn topic(&self) -> String {
        format!("bench.{}", self.name)
    }

    /// The schema of this plan.
    pub(crate) fn schema(&self) -> String {
        format!("bench_{}", self.name)
    }

    /// Writes the configuration of both services, which shall listen on `listen`.
    pub(crate) fn write(&self, setting: &Setting, listen: SocketAddr) -> Result<PathBuf> {
        let (kafka, client, postgres) = (setting.stack.kafka(), setting.client, setting.stack.postgres_url());
        let spool = setting.folder().join(format!("spool-{}", self.name));
        let (topic, schema, interval) = (self.topic(), self.schema(), self.interval.as_millis());
        let mut text = format!(
            "log: {{level: warn}}\n\
             kafka: {{brokers: ['{kafka}'], topic: {topic}, client: {client}}}\n\
             postgres: {{url: '{postgres}', schema: {schema}}}\n\
             producer: {{location: bench, spool: {{path: '{}'}}, listen: '{listen}'}}\n\
             consumer: {{listen: '{listen}'}}\n\
             defaults: {{interval: {interval}ms, timeout: 10s}}\n",
            spool.display()
        );
        self.write_sites(setting, &mut text)?;
        let path = setting.folder().join(format!("{}-{}.yml", self.name, listen.port()));
        fs::write(&path, text)?;
        Ok(path)
    }

    fn write_sites(&self, setting: &Setting, text: &mut String) -> Result<()> {
        if self.in_file {
            let file = setting.folder().join(format!("{}.txt", self.name));
            fs::write(&file, self.urls.join("\n"))?;
            writeln!(text, "domains_file: '{}'", file.display())?;
            return Ok(());
        }
        text.push_str("domains:\n");
        for (index, url) in self.urls.iter().enumerate() {
            writeln!(text, "  - {{name: {}, url: '{url}'}}", Self::site(index))?;
        }
        Ok(())
    }

    /// Starts `isitup-producer`, and waits until it is ready.
    pub(crate) fn start_producer(&self, setting: &Setting) -> Result<Service> {
        Service::start("isitup-producer", self, setting)
    }

    /// Starts `isitup-consumer`, and waits until it is ready.
    pub(crate) fn start_consumer(&self, setting: &Setting) -> Result<Service> {
        Service::start("isitup-consumer", self, setting)
    }

    /// Makes the tables.
    pub(crate) fn migrate(&self, setting: &Setting) -> Result<()> {
        let config = self.write(setting, free_address()?)?;
        let output = Command::new(binary("isitup-consumer")?).arg("migrate").arg("--config").arg(config).output()?;
        if !output.status.success() {
            bail!("isitup-consumer migrate failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }
}

impl Service {
    fn start(name: &str, plan: &Plan, setting: &Setting) -> Result<Self> {
        let listen = free_address()?;
        let log = setting.folder().join(format!("{name}-{}.log", plan.name));
        let mut command = Command::new(binary(name)?);
        command.arg("--config").arg(plan.write(setting, listen)?);
        // The target's CA is all that is trusted, here as in the yardstick.
        command.env("SSL_CERT_FILE", &setting.target.ca_file).env_remove("SSL_CERT_DIR");
        command.stderr(File::create(&log)?);
        let mut service = Self { running: Running::start(name, &mut command)?, listen, log };
        let deadline = Instant::now() + START_LIMIT;
        while !matches!(get(listen, "/health/ready"), Ok((200, _))) {
            service.expect_alive()?;
            if Instant::now() > deadline {
                bail!("{name} was not ready in time: {}", service.last_words());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(service)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// Its metrics as they are now.
    pub(crate) fn metrics(&self) -> Result<Metrics> {
        match get(self.listen, "/metrics")? {
            (200, text) => Ok(Metrics(text)),
            (status, text) => bail!("/metrics says {status}: {text}"),
        }
    }

    /// An error once it has ended.
    pub(crate) fn expect_alive(&mut self) -> Result<()> {
        let alive = self.running.expect_alive();
        alive.with_context(|| self.last_words())
    }

    /// Ends it in order.
    pub(crate) fn stop(self) -> Result<()> {
        self.running.stop()
    }

    /// The end of its log.
    pub(crate) fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().rev().take(5).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

/// Metrics in Prometheus' text format.
#[derive(Debug)]
pub(crate) struct Metrics(String);

impl Metrics {
    /// The sum of all series of `name` whose labels hold `label`.
    pub(crate) fn sum(&self, name: &str, label: &str) -> f64 {
        let series = self.0.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (found, labels) = series.split_once('{').unwrap_or((series, ""));
            (found == name && labels.contains(label)).then(|| value.parse::<f64>().ok())?
        });
        // The sum of no floats is minus zero.
        series.sum::<f64>() + 0.0
    }

    /// The bound below which `share` of what the histogram `name` has seen since `before` lies, and its unit is that of
    /// the histogram; infinite where that is beyond the last bound.
    pub(crate) fn quantile_since(&self, before: &Self, name: &str, share: f64) -> f64 {
        let bucket = format!("{name}_bucket");
        let bounds = self.0.lines().filter_map(|line| {
            let labels = line.strip_prefix(&bucket)?;
            labels.split_once("le=\"")?.1.split_once('"').map(|(bound, _)| bound.to_owned())
        });
        let count = format!("{name}_count");
        let wanted = (self.sum(&count, "") - before.sum(&count, "")) * share;
        let seen = |bound: &str| {
            let label = format!("le=\"{bound}\"");
            self.sum(&bucket, &label) - before.sum(&bucket, &label)
        };
        let found = bounds.into_iter().find(|bound| seen(bound) >= wanted);
        found.and_then(|bound| bound.parse().ok()).unwrap_or(f64::INFINITY)
    }
}

/// An address that nobody listens on at the moment.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn get(address: SocketAddr, path: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_LIMIT)?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP")?;
    let status = head.split_whitespace().nth(1).context("no HTTP")?.parse()?;
    Ok((status, body.to_owned()))
}
