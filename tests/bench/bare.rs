//! The yardstick of a check: blocking reqwest alone, as few lines as can be, at the same rate on the same target.
//!
//! It does what any check must do: a fresh connection, the whole handshake, the whole body. It does not tell phases,
//! nor keep or publish anything.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use reqwest::blocking::Client;
use reqwest::redirect::Policy;
use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::process::Running;

/// The first argument of this role.
pub(crate) const ROLE: &str = "__bare";

const THREADS: u32 = 8;

/// The running yardstick.
#[derive(Debug)]
pub(crate) struct Bare {
    running: Running,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Bare {
    /// Starts requesting `url`, `rate` times a second.
    pub(crate) fn start(url: &str, rate: u32, ca_file: &str) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([ROLE, url, &rate.to_string(), ca_file]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut running = Running::start("bare reqwest", &mut command)?;
        let input = running.child().stdin.take().context("bare reqwest has no input")?;
        let output = running.child().stdout.take().context("bare reqwest has no output")?;
        Ok(Self { running, input, output: BufReader::new(output) })
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// How many requests it has made.
    pub(crate) fn count(&mut self) -> Result<u64> {
        writeln!(self.input)?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let [done, failed]: [u64; 2] = serde_json::from_str(&line).context("bare reqwest has ended")?;
        if failed > 0 {
            bail!("{failed} requests of bare reqwest failed");
        }
        Ok(done)
    }
}

#[derive(Default)]
struct Counts {
    done: AtomicU64,
    failed: AtomicU64,
}

/// Requests until the input ends; tells the counts for each line of it.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let [url, rate, ca_file] = args else { bail!("bare reqwest needs a URL, a rate and a CA") };
    let rate: u32 = rate.parse()?;
    let pause = Duration::from_secs(1) * THREADS / rate;
    let config = tls_config(ca_file)?;
    let (counts, begin) = (Arc::new(Counts::default()), Instant::now());
    for index in 0..THREADS {
        let client = client(config.clone())?;
        let (url, counts, first) = (url.clone(), Arc::clone(&counts), begin + pause * index / THREADS);
        thread::spawn(move || request_for_ever(&client, &url, first, pause, &counts));
    }
    for line in io::stdin().lock().lines() {
        line?;
        let counts = [counts.done.load(Ordering::Relaxed), counts.failed.load(Ordering::Relaxed)];
        writeln!(io::stdout(), "{}", serde_json::to_string(&counts)?)?;
    }
    Ok(())
}

fn request_for_ever(client: &Client, url: &str, first: Instant, pause: Duration, counts: &Counts) {
    let mut slot = first;
    loop {
        thread::sleep(slot.saturating_duration_since(Instant::now()));
        slot += pause;
        let body = client.get(url).send().and_then(|response| response.error_for_status()?.bytes());
        let counter = if body.is_ok() { &counts.done } else { &counts.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

fn client(config: ClientConfig) -> Result<Client> {
    let builder =
        Client::builder().tls_backend_preconfigured(config).pool_max_idle_per_host(0).redirect(Policy::none());
    Ok(builder.no_proxy().timeout(Duration::from_secs(10)).build()?)
}

/// The same verification and the same whole handshake as a check's: nothing is resumed.
fn tls_config(ca_file: &str) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca_file)?)?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}
