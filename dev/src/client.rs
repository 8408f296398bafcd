//! A stack of one's own, for tests: spawns `isitup-dev stack --ephemeral` and talks to it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::disk::Disk;
use crate::stack::{self, Operation, Resource};

/// Ending an ephemeral stack takes about half a second.
const END_LIMIT: Duration = Duration::from_secs(30);

/// Where the parts of a stack are; absent are those that were not asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// `127.0.0.1:<port>`
    pub zookeeper: Option<String>,
    /// `127.0.0.1:<port>`
    pub kafka: Option<String>,
    /// `127.0.0.1:<port>` of each broker's plaintext listener.
    pub brokers: Vec<String>,
    /// `127.0.0.1:<port>` of each broker, by the name of the listener: `tls`, `mtls`, `sasl`, `scram` (SCRAM-SHA-512 only),
    /// `expired` and `misnamed` (TLS with such a certificate). Empty unless they were asked for.
    #[serde(default)]
    pub listeners: BTreeMap<String, Vec<String>>,
    /// The folder with certificates and keys: `ca.pem`, `service.cert`, `service.key` and more.
    #[serde(default)]
    pub certificates: Option<PathBuf>,
    /// `postgres://isitup:isitup@127.0.0.1:<port>/isitup`; the user is a superuser, so that tests can make databases.
    pub postgres_url: Option<String>,
    /// Where PostgreSQL's TLS is on: the folder with `ca.pem`, `server.cert`, `server.key`, `client.cert` and `client.key`.
    #[serde(default)]
    pub postgres_tls: Option<PathBuf>,
    /// The demo sites: `http://127.0.0.1:<port>`
    pub sites: Option<String>,
    /// The same with a self-signed certificate: `https://127.0.0.1:<port>`
    pub sites_tls: Option<String>,
    /// The folder with `logs/` and `data/`; deleted when the stack ends.
    pub dir: PathBuf,
}

/// What to start. The default is all parts, with fsync.
#[derive(Debug, Clone, Default)]
pub struct StackOptions {
    /// `kafka` (with ZooKeeper), `postgres`, `sites`, `zookeeper`; empty means all.
    pub only: Vec<String>,
    /// Lets PostgreSQL do without fsync: faster, and still safe from kill -9 of any process.
    pub no_fsync: bool,
    /// Lets PostgreSQL offer TLS, beside plaintext.
    pub postgres_tls: bool,
    /// How many brokers; 0 means one.
    pub brokers: usize,
    /// Kafka 4, which has no `zookeeper`; several brokers of it have a `controller`. Else it is 3.9.
    pub is_kafka_4: bool,
    /// Gives Kafka listeners with TLS, certificates and passwords beside the plaintext one. The user `isitup` may do what
    /// both services do, the user `limited` nothing until [`Stack::allow`].
    pub is_secured: bool,
    /// Puts the first broker's data on a disk of 64 MiB that [`Stack::fill_disk`] fills up. Not with PostgreSQL.
    pub has_small_disk: bool,
    /// Shows what the stack does on our standard error.
    pub is_verbose: bool,
}

/// A running stack. It ends when this is dropped, and also when this process dies in any way.
#[derive(Debug)]
pub struct Stack {
    addresses: Addresses,
    console: Mutex<Console>,
    /// Removed after the console has ended the stack.
    disk: Option<Disk>,
}

#[derive(Debug)]
struct Console {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

#[derive(Deserialize)]
struct Reply {
    ok: bool,
    error: Option<String>,
}

impl Stack {
    /// Starts all parts by the given `isitup-dev` (see [`crate::binary`]) and waits until they are ready, which takes
    /// about four seconds on an idle machine.
    ///
    /// # Errors
    /// When a part could not be started; the message shows the end of its log.
    pub fn start(isitup_dev: &Path) -> Result<Self> {
        Self::start_with(isitup_dev, &StackOptions::default())
    }

    /// Starts what `options` say and waits until it is ready.
    ///
    /// # Errors
    /// When a part could not be started; the message shows the end of its log.
    pub fn start_with(isitup_dev: &Path, options: &StackOptions) -> Result<Self> {
        let disk = options.has_small_disk.then(Disk::make).transpose()?;
        let mut command = disk.as_ref().map_or_else(|| Command::new(isitup_dev), |disk| disk.command(isitup_dev));
        command.args(["stack", "--ephemeral"]);
        if let Some(disk) = &disk {
            command.arg("--dir").arg(disk.folder());
        }
        if !options.only.is_empty() {
            command.args(["--only", &options.only.join(",")]);
        }
        if options.no_fsync {
            command.arg("--no-fsync");
        }
        if options.postgres_tls {
            command.arg("--postgres-tls");
        }
        if options.brokers > 0 {
            command.args(["--brokers", &options.brokers.to_string()]);
        }
        if options.is_kafka_4 {
            command.args(["--kafka", "4"]);
        }
        if options.is_secured {
            command.arg("--secured");
        }
        let errors = if options.is_verbose { Stdio::inherit() } else { Stdio::null() };
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .with_context(|| format!("could not start {}", isitup_dev.display()))?;
        let output = child.stdout.take().context("the stack has no output")?;
        let mut console = Console { input: child.stdin.take(), output: BufReader::new(output), child };
        let line = console.read_line()?;
        match serde_json::from_str::<Addresses>(&line) {
            Ok(addresses) => Ok(Self { addresses, console: Mutex::new(console), disk }),
            Err(_) => bail!("the stack did not start: {}", error_of(&line)),
        }
    }

    /// Where everything is.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Kafka's `127.0.0.1:<port>`.
    ///
    /// # Panics
    /// When the stack was started without Kafka.
    #[expect(clippy::expect_used, reason = "asking for what was not started is a mistake in the test itself")]
    pub fn kafka(&self) -> &str {
        self.addresses.kafka.as_deref().expect("this stack was started without kafka")
    }

    /// The `127.0.0.1:<port>` of each broker.
    pub fn brokers(&self) -> &[String] {
        &self.addresses.brokers
    }

    /// The `127.0.0.1:<port>` of each broker's secured listener of that name.
    ///
    /// # Panics
    /// When there is none: the stack was started without.
    #[expect(clippy::panic, reason = "asking for what was not started is a mistake in the test itself")]
    pub fn listener(&self, name: &str) -> &[String] {
        self.addresses.listeners.get(name).unwrap_or_else(|| panic!("this stack has no listener {name}"))
    }

    /// A file among the certificates and keys, such as `ca.pem`.
    ///
    /// # Panics
    /// When the stack was started without.
    #[expect(clippy::expect_used, reason = "asking for what was not started is a mistake in the test itself")]
    pub fn certificate(&self, name: &str) -> PathBuf {
        self.addresses.certificates.as_deref().expect("this stack was started without certificates").join(name)
    }

    /// Lets a user of the secured listeners do that, from now on.
    ///
    /// # Errors
    /// When Kafka does not take it.
    pub fn allow(&self, user: &str, resource: Resource<'_>, operations: &[Operation]) -> Result<()> {
        Ok(stack::allow(self.kafka_port()?, user, resource, operations)?)
    }

    /// Takes back what was allowed in these very words.
    ///
    /// # Errors
    /// When Kafka does not take it.
    pub fn disallow(&self, user: &str, resource: Resource<'_>, operations: &[Operation]) -> Result<()> {
        Ok(stack::disallow(self.kafka_port()?, user, resource, operations)?)
    }

    fn kafka_port(&self) -> Result<u16> {
        let port = self.kafka().rsplit(':').next().and_then(|port| port.parse().ok());
        port.context("Kafka's address has no port")
    }

    /// PostgreSQL's URL.
    ///
    /// # Panics
    /// When the stack was started without PostgreSQL.
    #[expect(clippy::expect_used, reason = "asking for what was not started is a mistake in the test itself")]
    pub fn postgres_url(&self) -> &str {
        self.addresses.postgres_url.as_deref().expect("this stack was started without postgres")
    }

    /// The demo sites' `http://127.0.0.1:<port>`.
    ///
    /// # Panics
    /// When the stack was started without the demo sites.
    #[expect(clippy::expect_used, reason = "asking for what was not started is a mistake in the test itself")]
    pub fn sites(&self) -> &str {
        self.addresses.sites.as_deref().expect("this stack was started without sites")
    }

    /// The number of the process that runs the stack.
    pub fn pid(&self) -> u32 {
        self.console().child.id()
    }

    /// Starts a part that was stopped or killed, on the same port and data, and waits until it is ready.
    ///
    /// # Errors
    /// When it runs already or does not become ready.
    pub fn start_part(&self, part: &str) -> Result<()> {
        self.tell("start", part)
    }

    /// Ends a part in order: `zookeeper` (`controller`), `kafka` (of several brokers the others are `kafka-2` and so on) or `postgres`.
    ///
    /// # Errors
    /// When there is no such part.
    pub fn stop(&self, part: &str) -> Result<()> {
        self.tell("stop", part)
    }

    /// kill -9, of the part and all its processes; returns when they are gone.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&self, part: &str) -> Result<()> {
        self.tell("kill", part)
    }

    /// Stops the part in order and starts it again.
    ///
    /// # Errors
    /// When it does not become ready again.
    pub fn restart(&self, part: &str) -> Result<()> {
        self.tell("restart", part)
    }

    /// Freezes the part: its connections stay open and nothing answers, as with a hung machine.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&self, part: &str) -> Result<()> {
        self.tell("pause", part)
    }

    /// Lets a paused part go on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self, part: &str) -> Result<()> {
        self.tell("resume", part)
    }

    /// Fills up the small disk.
    ///
    /// # Errors
    /// When the stack was started without one.
    pub fn fill_disk(&self) -> Result<()> {
        self.disk.as_ref().context("this stack has no small disk")?.fill(self.pid())
    }

    /// Gives back what [`Stack::fill_disk`] took.
    ///
    /// # Errors
    /// When it is not full.
    pub fn free_disk(&self) -> Result<()> {
        self.disk.as_ref().context("this stack has no small disk")?.free(self.pid())
    }

    fn tell(&self, verb: &str, part: &str) -> Result<()> {
        let mut console = self.console();
        let input = console.input.as_mut().context("the stack has ended")?;
        writeln!(input, "{verb} {part}").context("the stack has ended")?;
        let line = console.read_line()?;
        match serde_json::from_str::<Reply>(&line) {
            Ok(Reply { ok: true, .. }) => Ok(()),
            _ => bail!("could not {verb} {part}: {}", error_of(&line)),
        }
    }

    /// A test that panicked while it held the console says nothing about the stack.
    fn console(&self) -> MutexGuard<'_, Console> {
        self.console.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Console {
    fn read_line(&mut self) -> Result<String> {
        let mut line = String::new();
        match self.output.read_line(&mut line).context("could not read the stack's answer")? {
            0 => bail!("the stack ended without an answer (set `is_verbose` to see why)"),
            _ => Ok(line),
        }
    }
}

impl Drop for Console {
    /// The end of its input ends the stack.
    fn drop(&mut self) {
        self.input = None;
        let until = Instant::now() + END_LIMIT;
        while Instant::now() < until {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        // Its children die with it. That it cannot be killed only happens when it is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn error_of(line: &str) -> String {
    let reply = serde_json::from_str::<Reply>(line).ok();
    reply.and_then(|reply| reply.error).unwrap_or_else(|| line.trim().to_owned())
}
