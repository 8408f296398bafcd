//! Rows a second from the topic into PostgreSQL, and what a row costs, against a bare loop of fetch and insert.

use std::process::id;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::events::Events;
use crate::figures::{Aim, Figure};
use crate::insert;
use crate::process::{cpu, cpu_of_family};
use crate::service::Plan;
use crate::setting::Setting;

const LIMIT: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(20);

/// CPU time up to now, of whoever inserts and of PostgreSQL.
#[derive(Clone, Copy, Debug)]
struct Reading {
    at: Instant,
    rows: u64,
    own: Duration,
    postgres: Duration,
}

impl Reading {
    fn take(rows: u64, pid: u32, postmaster: u32) -> Result<Self> {
        Ok(Self { at: Instant::now(), rows, own: cpu(pid)?, postgres: cpu_of_family(postmaster)? })
    }

    fn cost_since(&self, before: &Self) -> Cost {
        let rows = (self.rows - before.rows).max(1) as f64;
        let micros = |now: Duration, then: Duration| now.saturating_sub(then).as_secs_f64() * 1e6 / rows;
        Cost {
            rate: rows / self.at.duration_since(before.at).as_secs_f64(),
            own: micros(self.own, before.own),
            postgres: micros(self.postgres, before.postgres),
        }
    }
}

/// Rows a second, and microseconds of CPU for each.
#[derive(Clone, Copy, Debug)]
struct Cost {
    rate: f64,
    own: f64,
    postgres: f64,
}

/// The bare loop once before the consumer and once after it, each into tables of its own: their mean counts.
pub(crate) fn measure(setting: &Setting) -> Result<Vec<Figure>> {
    let mut client = setting.postgres()?;
    let postmaster = setting.postmaster(&mut client)?;
    let events = Events::until_now(setting.events);
    let plans = ["store", "bare_1", "bare_2"].map(plan);
    for plan in &plans {
        plan.migrate(setting)?;
    }
    let [plan, first, second] = &plans;
    events.publish(plan, setting)?;
    let topic = plan.topic();
    let mut measure_bare = |plan: &Plan| -> Result<Cost> {
        insert::prepare(&mut client, &plan.schema())?;
        client.batch_execute("CHECKPOINT")?;
        let before = Reading::take(0, id(), postmaster)?;
        insert::drain(setting, &mut client, &topic, events.count)?;
        let cost = Reading::take(events.count, id(), postmaster)?.cost_since(&before);
        setting.say(&told("bare loop", cost));
        Ok(cost)
    };
    let first = measure_bare(first)?;
    let ours = measure_consumer(plan, events.count, postmaster, setting)?;
    let second = measure_bare(second)?;
    let mean = |of: fn(&Cost) -> f64| f64::midpoint(of(&first), of(&second));
    let bare = Cost { rate: mean(|cost| cost.rate), own: mean(|cost| cost.own), postgres: mean(|cost| cost.postgres) };
    Ok(vec![
        Figure::new("store", "rows from topic to table", ours.rate, "rows/s").aiming(Aim::AtLeast(30_000.0)),
        Figure::new("store", "rows by bare loop", bare.rate, "rows/s"),
        Figure::new("store", "CPU per row, consumer", ours.own, "us"),
        Figure::new("store", "CPU per row, bare loop", bare.own, "us"),
        Figure::new("store", "CPU per row, consumer / bare", ours.own / bare.own, "times").aiming(Aim::AtMost(2.0)),
        Figure::new("store", "CPU per row in PostgreSQL, consumer", ours.postgres, "us"),
        Figure::new("store", "CPU per row in PostgreSQL, bare", bare.postgres, "us"),
        Figure::new("store", "CPU in PostgreSQL, consumer / bare", ours.postgres / bare.postgres, "times")
            .aiming(Aim::AtMost(2.0)),
    ])
}

fn plan(name: &str) -> Plan {
    Plan::of_one_target(name, Duration::from_secs(3600), 1, "http://127.0.0.1:9/")
}

fn measure_consumer(plan: &Plan, count: u64, postmaster: u32, setting: &Setting) -> Result<Cost> {
    setting.postgres()?.batch_execute("CHECKPOINT")?;
    let mut service = plan.start_consumer(setting)?;
    let deadline = Instant::now() + LIMIT;
    // From the first rows on: connecting and taking leases is no row's cost.
    let mut before: Option<Reading> = None;
    loop {
        let rows = service.metrics()?.sum("isitup_rows_stored_total", "") as u64;
        if rows >= count {
            let Some(before) = before else { bail!("--events are too few to measure") };
            let cost = Reading::take(rows, service.pid(), postmaster)?.cost_since(&before);
            setting.say(&told("consumer", cost));
            service.stop()?;
            return Ok(cost);
        }
        if before.is_none() && rows > 0 {
            before = Some(Reading::take(rows, service.pid(), postmaster)?);
        }
        service.expect_alive()?;
        if Instant::now() > deadline {
            bail!("only {rows} of {count} rows were stored in time: {}", service.last_words());
        }
        thread::sleep(POLL);
    }
}

fn told(who: &str, Cost { rate, own, postgres }: Cost) -> String {
    format!("{who}: {rate:.0} rows/s, {own:.1} us a row, {postgres:.1} us in PostgreSQL")
}
