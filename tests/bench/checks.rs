//! CPU of a check from its slot to Kafka's acknowledgement, against bare reqwest.
//!
//! Both run side by side at the same rate, so that whatever else the machine does meets both alike; one after the other
//! they differ by a third on a busy machine, and by chance.

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

/// Measures both in several rounds.
pub(crate) fn measure(part: Part, setting: &Setting) -> Result<Vec<Figure>> {
    let (name, url, aim) = match part {
        Part::Https => ("https", &setting.target.https, 1.2),
        _ => ("http", &setting.target.http, 1.3),
    };
    let sites = setting.rate.saturating_mul(INTERVAL_SECONDS) as usize;
    let plan = Plan::of_one_target(name, Duration::from_secs(INTERVAL_SECONDS.into()), sites, url);
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for round in 1..=setting.rounds {
        let (a, b) = measure_both(&plan, url, setting)?;
        setting.say(&format!("{name} round {round}: {a:.0} us a check, bare {b:.0} us, ratio {:.2}", a / b));
        ours.push(a);
        bare.push(b);
    }
    let ratio = median(ours.iter().zip(&bare).map(|(ours, bare)| ours / bare));
    Ok(vec![
        Figure::new(name, "CPU per check, slot to ack", median(ours), "us"),
        Figure::new(name, "CPU per request, bare reqwest", median(bare), "us"),
        Figure::new(name, "CPU per check / bare", ratio, "times").aiming(Aim::AtMost(aim)),
    ])
}

/// Microseconds of CPU: of a check, and of a request of bare reqwest.
fn measure_both(plan: &Plan, url: &str, setting: &Setting) -> Result<(f64, f64)> {
    let producer = plan.start_producer(setting)?;
    let mut bare = Bare::start(url, setting.rate, &setting.target.ca_file.to_string_lossy())?;
    let mut sample = || -> Result<(Sample, Sample)> {
        let bare = Sample { checks: bare.count()?, cpu: cpu(bare.pid())? };
        Ok((published(&producer)?, bare))
    };
    thread::sleep(WARM_UP);
    let before = sample()?;
    thread::sleep(Duration::from_secs(setting.seconds));
    let after = sample()?;
    producer.stop()?;
    let ours = checked(setting, before.0, after.0)?;
    Ok((ours.micros_per_check(), checked(setting, before.1, after.1)?.micros_per_check()))
}

/// What the producer has brought to Kafka so far.
fn published(producer: &Service) -> Result<Sample> {
    let metrics = producer.metrics()?;
    let down = metrics.sum("isitup_checks_total", "down");
    if down > 0.0 {
        bail!("{down} checks of the target said down");
    }
    Ok(Sample { checks: metrics.sum("isitup_events_published_total", "") as u64, cpu: cpu(producer.pid())? })
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
