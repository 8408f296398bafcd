//! From the end of a check to its visible row, at 1,000 checks a second.

use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Result, bail};
use postgres::Client;

use crate::figures::{Aim, Figure, quantile};
use crate::service::Plan;
use crate::setting::Setting;

const SITES: usize = 1000;
/// Sites that are watched, spread over all partitions and phases: asking for all would be a load of its own.
const WATCHED: usize = 40;
/// A row is seen at most this late, which counts as its latency.
const POLL: Duration = Duration::from_millis(3);
const WARM_UP: Duration = Duration::from_secs(5);

/// Runs both services and looks at the latest status of some sites, which a row's own transaction moves.
pub(crate) fn measure(setting: &Setting) -> Result<Vec<Figure>> {
    let plan = Plan::of_one_target("latency", Duration::from_secs(1), SITES, &setting.target.http);
    let consumer = plan.start_consumer(setting)?;
    let producer = plan.start_producer(setting)?;
    let mut client = setting.postgres()?;
    client.batch_execute(&format!("SET search_path TO {}", plan.schema()))?;
    watch(&mut client, WARM_UP)?;
    let before = producer.metrics()?.sum("isitup_events_published_total", "");
    let began = Instant::now();
    let mut millis = watch(&mut client, Duration::from_secs(setting.seconds * 2))?;
    let published = producer.metrics()?.sum("isitup_events_published_total", "") - before;
    let rate = published / began.elapsed().as_secs_f64();
    producer.stop()?;
    consumer.stop()?;
    Ok(vec![
        Figure::new("latency", "checks", rate, "1/s"),
        Figure::new("latency", "end of check to visible row, p50", quantile(&mut millis, 0.5), "ms")
            .aiming(Aim::AtMost(30.0)),
        Figure::new("latency", "end of check to visible row, p99", quantile(&mut millis, 0.99), "ms")
            .aiming(Aim::AtMost(100.0)),
    ])
}

/// Milliseconds from the end of each check to when its row was seen.
fn watch(client: &mut Client, time: Duration) -> Result<Vec<f64>> {
    let names: Vec<String> = (0..WATCHED).map(|index| Plan::site(index * SITES / WATCHED)).collect();
    let statement = client.prepare("SELECT site, finished_at FROM latest_status WHERE site = ANY ($1)")?;
    let (mut seen, mut millis) = (HashMap::new(), Vec::new());
    let deadline = Instant::now() + time;
    while Instant::now() < deadline {
        let rows = client.query(&statement, &[&names])?;
        let now = SystemTime::now();
        for row in rows {
            let (site, finished_at): (String, SystemTime) = (row.try_get(0)?, row.try_get(1)?);
            let earlier = seen.insert(site, finished_at);
            // What was there when the watch began may have been there for long.
            if earlier.is_some_and(|earlier| earlier != finished_at) {
                millis.push(now.duration_since(finished_at).unwrap_or_default().as_secs_f64() * 1e3);
            }
        }
        thread::sleep(POLL);
    }
    if millis.is_empty() {
        bail!("no row came");
    }
    Ok(millis)
}
