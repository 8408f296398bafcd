//! `/health/live`, `/health/ready` and `/metrics`, served on a thread of their own.

mod server;
#[cfg(test)]
mod tests;

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::get;
use prometheus_client::registry::Registry;

use crate::exposition::Exposition;

/// What a service says of itself.
pub trait Health: Send + Sync + 'static {
    /// Whether a restart would not help; else why it would.
    ///
    /// # Errors
    /// What is wrong, for people.
    fn live(&self) -> Result<(), String> {
        Ok(())
    }

    /// Whether the service can do its work; else why it cannot.
    ///
    /// # Errors
    /// What it waits for, for people.
    fn ready(&self) -> Result<(), String>;

    /// What is wrong although the service is ready, for people; the answer to `/health/ready` shows it.
    fn remark(&self) -> Option<String> {
        None
    }

    /// Called before each scrape, to bring gauges up to date that nothing else does.
    fn refresh_metrics(&self) {}
}

/// Serves `health` and `registry` on `listen` until the process ends. Returns the address, as `listen` may have port 0.
///
/// # Errors
/// When the address cannot be listened on, or the thread not started.
pub fn serve(listen: SocketAddr, health: Arc<dyn Health>, registry: Registry) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(listen)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    thread::Builder::new().name("http".into()).spawn(move || {
        runtime.block_on(async {
            match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => server::serve(listener, routes(health, registry)).await,
                Err(error) => log::error!("health and metrics are not served: {error}"),
            }
        });
    })?;
    log::info!("health and metrics on http://{address}/health/ready and /metrics");
    Ok(address)
}

fn routes(health: Arc<dyn Health>, registry: Registry) -> Router {
    let registry = Arc::new(registry);
    let (live, ready) = (Arc::clone(&health), Arc::clone(&health));
    Router::new()
        .route("/health/live", get(move || async move { answer(live.live(), None) }))
        .route("/health/ready", get(move || async move { answer(ready.ready(), ready.remark()) }))
        .route("/metrics", get(move |asked| async move { metrics(&*health, &registry, &asked) }))
}

fn answer(state: Result<(), String>, remark: Option<String>) -> (StatusCode, String) {
    match state {
        Ok(()) => (StatusCode::OK, remark.map_or_else(|| "ok\n".into(), |remark| format!("ok, but {remark}\n"))),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

fn metrics(
    health: &dyn Health,
    registry: &Registry,
    asked: &HeaderMap,
) -> (StatusCode, [(header::HeaderName, &'static str); 1], String) {
    health.refresh_metrics();
    let accept = asked.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let format = Exposition::accepted(accept);
    let (status, text) = match format.render(registry) {
        Ok(text) => (StatusCode::OK, text),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, String::new()),
    };
    (status, [(header::CONTENT_TYPE, format.content_type())], text)
}

/// The metrics in `text` whose names, units or help break the conventions of Prometheus; for tests.
pub fn unconventional(text: &str) -> Vec<&str> {
    let is_well = |line: &str| {
        let mut words = line.split(' ').skip(2);
        let (Some(name), Some(kind)) = (words.next(), words.next()) else { return false };
        let is_plain = name.starts_with("isitup_") && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'_'));
        let has_other_unit = ["_ms", "_us", "_millis", "_micros", "_minutes", "_kib", "_percent"];
        let is_based = !has_other_unit.iter().any(|unit| name.ends_with(unit));
        // The encoder adds the ends that the kinds have: _total, _info, _bucket.
        let has_own_end = ["_total", "_count", "_sum", "_bucket", "_info"].iter().any(|end| name.ends_with(end));
        let needs_unit = kind == "histogram" && !name.ends_with("_seconds") && !name.ends_with("_bytes");
        let help = format!("# HELP {name} ");
        let is_told = text.lines().any(|line| line.strip_prefix(&help).is_some_and(|words| words.len() > 5));
        is_plain && is_based && !has_own_end && !needs_unit && is_told
    };
    text.lines().filter(|line| line.starts_with("# TYPE ") && !is_well(line)).collect()
}

/// Asks the service that listens on `listen` whether it is alive; for container health checks.
///
/// # Errors
/// Why it is not, for people.
pub fn ask_live(listen: SocketAddr) -> Result<(), String> {
    const LIMIT: Duration = Duration::from_secs(3);
    // What listens on all addresses is asked on loopback.
    let address = match listen.ip() {
        ip if !ip.is_unspecified() => listen,
        IpAddr::V4(_) => (Ipv4Addr::LOCALHOST, listen.port()).into(),
        IpAddr::V6(_) => (Ipv6Addr::LOCALHOST, listen.port()).into(),
    };
    let ask = || -> io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_write_timeout(Some(LIMIT))?;
        write!(stream, "GET /health/live HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
        let mut answer = String::new();
        stream.take(64 << 10).read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = ask().map_err(|error| format!("{address} does not answer: {error}"))?;
    if answer.split_whitespace().nth(1) == Some("200") {
        return Ok(());
    }
    Err(answer.lines().last().unwrap_or("an empty answer").to_owned())
}
