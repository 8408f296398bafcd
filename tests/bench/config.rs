//! How long 50,000 sites take to be read and how much memory, and how a producer bears them.

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::figures::{Aim, Figure};
use crate::process::{Running, peak_memory};
use crate::service::{Plan, free_address};
use crate::setting::{Setting, binary};

const SITES: usize = 50_000;
const INTERVAL: Duration = Duration::from_secs(60);
/// Long enough for each site to be checked.
const RUN: Duration = Duration::from_secs(70);
const READ_LIMIT: Duration = Duration::from_secs(60);
/// How often memory is looked at: its peak is kept by the kernel only as long as the process lives.
const POLL: Duration = Duration::from_millis(1);
const MIB: f64 = 1024.0 * 1024.0;

/// Reads the sites from a file of domains and from the configuration itself, then checks them.
pub(crate) fn measure(setting: &Setting) -> Result<Vec<Figure>> {
    let urls: Vec<String> = (0..SITES).map(|index| format!("{}?site={index}", setting.target.http)).collect();
    let plan = |name: &str, in_file| Plan { name: name.to_owned(), interval: INTERVAL, urls: urls.clone(), in_file };
    let (in_file, inline) = (plan("file", true), plan("inline", false));
    let mut figures = Vec::new();
    let (took, memory) = read(&in_file, setting)?;
    figures.extend([
        Figure::new("config", "50,000 sites read from a domains_file", took, "s").aiming(Aim::AtMost(2.0)),
        Figure::new("config", "memory for it", memory, "MiB").aiming(Aim::AtMost(100.0)),
    ]);
    let (took, memory) = read(&inline, setting)?;
    figures.extend([
        Figure::new("config", "50,000 sites read from the YAML file itself", took, "s"),
        Figure::new("config", "memory for it", memory, "MiB"),
    ]);
    setting.say("config: 50,000 sites at 60 s ...");
    figures.extend(run(&in_file, setting)?);
    Ok(figures)
}

/// Seconds and MiB of `check-config`.
fn read(plan: &Plan, setting: &Setting) -> Result<(f64, f64)> {
    let config = plan.write(setting, free_address()?)?;
    let mut command = Command::new(binary("isitup-producer")?);
    command.arg("check-config").arg("--config").arg(config).stdout(Stdio::null());
    let begin = Instant::now();
    let mut running = Running::start("isitup-producer check-config", &mut command)?;
    let mut peak = 0;
    while begin.elapsed() < READ_LIMIT {
        // It has no memory any more once it has ended.
        peak = peak_memory(running.pid()).unwrap_or(peak).max(peak);
        match running.child().try_wait()? {
            Some(status) if status.success() => return Ok((begin.elapsed().as_secs_f64(), peak as f64 / MIB)),
            Some(status) => bail!("check-config did not end well: {status}"),
            None => thread::sleep(POLL),
        }
    }
    bail!("check-config did not end within {READ_LIMIT:?}")
}

fn run(plan: &Plan, setting: &Setting) -> Result<Vec<Figure>> {
    let begin = Instant::now();
    let producer = plan.start_producer(setting)?;
    let start = begin.elapsed().as_secs_f64();
    let before = producer.metrics()?;
    thread::sleep(RUN);
    let after = producer.metrics()?;
    let late = after.quantile_since(&before, "isitup_check_lateness_seconds", 0.99) * 1e3;
    let memory = peak_memory(producer.pid())? as f64 / MIB;
    let missed = after.sum("isitup_gaps_declared_total", "overrun");
    producer.stop()?;
    Ok(vec![
        Figure::new("config", "producer with them, until it is ready", start, "s").aiming(Aim::AtMost(2.0)),
        Figure::new("config", "memory while it checks each every 60 s", memory, "MiB").aiming(Aim::AtMost(100.0)),
        Figure::new("config", "lateness there, p99 (a bound of the histogram)", late, "ms").aiming(Aim::AtMost(50.0)),
        Figure::new("config", "gap events there for missed slots", missed, "").aiming(Aim::AtMost(0.0)),
    ])
}
