//! CPU of a check from its slot to Kafka's acknowledgement, against bare reqwest.

use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::bare::Bare;
use crate::cli::Part;
use crate::figures::{Aim, Figure, median};
use crate::process::cpu;
use crate::service::{Plan, Service};
use crate::setting::Setting;

/// Threads start, connections to Kafka are made: none of that is a check's.
const WARM_UP: Duration = Duration::from_secs(2);
const INTERVAL_SECONDS: u32 = 2;

/// What was done within a measurement.
#[derive(Clone, Copy, Debug)]
struct Sample {
    checks: u64,
    cpu: Duration,
}

impl Sample {
    fn micros_per_check(self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.checks.max(1) as f64
    }
}

/// Measures both by turns.
pub(crate) fn measure(part: Part, setting: &Setting) -> Result<Vec<Figure>> {
    let (name, url, aim) = match part {
        Part::Https => ("https", &setting.target.https, 1.2),
        _ => ("http", &setting.target.http, 1.3),
    };
    let sites = setting.rate.saturating_mul(INTERVAL_SECONDS) as usize;
    let plan = Plan::of_one_target(name, Duration::from_secs(INTERVAL_SECONDS.into()), sites, url);
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for round in 1..=setting.rounds {
        ours.push(measure_producer(&plan, setting)?.micros_per_check());
        bare.push(measure_bare(url, setting)?.micros_per_check());
        let (a, b) = (ours.last().copied().unwrap_or_default(), bare.last().copied().unwrap_or_default());
        setting.say(&format!("{name} round {round}: {a:.0} us a check, bare {b:.0} us, ratio {:.2}", a / b));
    }
    let ratio = median(ours.iter().zip(&bare).map(|(ours, bare)| ours / bare));
    Ok(vec![
        Figure::new(name, "CPU per check, slot to ack", median(ours), "us"),
        Figure::new(name, "CPU per request, bare reqwest", median(bare), "us"),
        Figure::new(name, "CPU per check / bare", ratio, "times").aiming(Aim::AtMost(aim)),
    ])
}

fn measure_producer(plan: &Plan, setting: &Setting) -> Result<Sample> {
    let service = plan.start_producer(setting)?;
    let published = |service: &Service| -> Result<Sample> {
        let metrics = service.metrics()?;
        let down = metrics.sum("isitup_checks_total", "down");
        if down > 0.0 {
            bail!("{down} checks of the target said down");
        }
        Ok(Sample { checks: metrics.sum("isitup_events_published_total", "") as u64, cpu: cpu(service.pid())? })
    };
    thread::sleep(WARM_UP);
    let before = published(&service)?;
    thread::sleep(Duration::from_secs(setting.seconds));
    let after = published(&service)?;
    service.stop()?;
    checked(setting, before, after)
}

fn measure_bare(url: &str, setting: &Setting) -> Result<Sample> {
    let mut bare = Bare::start(url, setting.rate, &setting.target.ca_file.to_string_lossy())?;
    thread::sleep(WARM_UP);
    let before = Sample { checks: bare.count()?, cpu: cpu(bare.pid())? };
    thread::sleep(Duration::from_secs(setting.seconds));
    let after = Sample { checks: bare.count()?, cpu: cpu(bare.pid())? };
    checked(setting, before, after)
}

/// What lies between two samples, if it is about as much as was asked for: else the machine was too busy to compare.
fn checked(setting: &Setting, before: Sample, after: Sample) -> Result<Sample> {
    let sample = Sample { checks: after.checks - before.checks, cpu: after.cpu.saturating_sub(before.cpu) };
    let wanted = u64::from(setting.rate) * setting.seconds;
    if sample.checks * 10 < wanted * 9 {
        bail!("only {} of {wanted} checks were made in time: try a lower --rate", sample.checks);
    }
    Ok(sample)
}
