//! Memory of both services with 1,000 sites, and how the producer bears 10,000 with black holes among them.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::figures::{Aim, Figure};
use crate::process::peak_memory;
use crate::service::Plan;
use crate::setting::Setting;

const INTERVAL: Duration = Duration::from_secs(30);
/// Long enough for each site to be checked.
const FEW_TIME: Duration = Duration::from_secs(40);
/// In the first turn nobody knows yet which sites are black holes.
const FIRST_TURN: Duration = Duration::from_secs(42);
const LATER: Duration = Duration::from_secs(35);
const MIB: f64 = 1024.0 * 1024.0;

/// Measures both, one after the other.
pub(crate) fn measure(setting: &Setting) -> Result<Vec<Figure>> {
    let mut figures = few(setting)?;
    setting.say("memory: 10,000 sites ...");
    figures.extend(many(setting)?);
    Ok(figures)
}

fn few(setting: &Setting) -> Result<Vec<Figure>> {
    let plan = Plan::of_one_target("memory", INTERVAL, 1000, &setting.target.https);
    let (consumer, producer) = (plan.start_consumer(setting)?, plan.start_producer(setting)?);
    thread::sleep(FEW_TIME);
    let of = |pid| peak_memory(pid).map(|bytes| bytes as f64 / MIB);
    let figures = vec![
        Figure::new("memory", "producer, 1,000 sites at 30 s", of(producer.pid())?, "MiB"),
        Figure::new("memory", "consumer, 1,000 sites at 30 s", of(consumer.pid())?, "MiB"),
    ];
    producer.stop()?;
    consumer.stop()?;
    Ok(figures)
}

fn many(setting: &Setting) -> Result<Vec<Figure>> {
    const SITES: usize = 10_000;
    let target = &setting.target;
    let url = |index: usize| if index.is_multiple_of(10) { &target.black_hole } else { &target.http };
    let urls = (0..SITES).map(|i| url(i).clone()).collect();
    let plan = Plan { name: "holes".into(), interval: INTERVAL, urls, in_file: false };
    let producer = plan.start_producer(setting)?;
    thread::sleep(FIRST_TURN);
    let before = producer.metrics()?;
    thread::sleep(LATER);
    let after = producer.metrics()?;
    let late = after.quantile_since(&before, "isitup_check_lateness_seconds", 0.99) * 1e3;
    let memory = peak_memory(producer.pid())? as f64 / MIB;
    producer.stop()?;
    Ok(vec![
        Figure::new("memory", "producer, 10,000 sites, 1 in 10 a black hole", memory, "MiB").aiming(Aim::AtMost(150.0)),
        Figure::new("memory", "lateness there, p99 (a bound of the histogram)", late, "ms").aiming(Aim::AtMost(50.0)),
        Figure::new(
            "memory",
            "gap events there for missed slots",
            after.sum("isitup_gaps_declared_total", "overrun"),
            "",
        )
        .aiming(Aim::AtMost(0.0)),
    ])
}
