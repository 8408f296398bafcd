//! `isitup-dev sites`: the demo sites alone, for instance in a container.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;

use super::Sites;
use crate::ending::Ending;
use crate::http;

/// Where the demo sites listen.
#[derive(Debug, Args)]
pub(crate) struct SitesArgs {
    /// Where they listen for HTTP
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// Where they listen for HTTPS, with a self-signed certificate
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    tls_listen: SocketAddr,
    /// Start nothing: ask the demo sites on --listen whether they are well, as a container's health check does
    #[arg(long)]
    check: bool,
}

/// Serves until a signal says to end.
pub(crate) fn run(args: &SitesArgs) -> Result<()> {
    if args.check {
        return check(args.listen);
    }
    let ending = Ending::on_signals()?;
    let sites = Sites::on(args.listen, args.tls_listen)?;
    log::info!("demo sites on http://{} and https://{}", sites.plain, sites.tls);
    while ending.sleep(Duration::from_secs(60)) {}
    Ok(())
}

fn check(listen: SocketAddr) -> Result<()> {
    // Who listens everywhere is asked on loopback.
    let host = if listen.ip().is_unspecified() { "127.0.0.1".to_owned() } else { listen.ip().to_string() };
    let answer = http::get(&format!("{host}:{}", listen.port()), "/health")?;
    if answer.status != 200 {
        bail!("the demo sites on {listen} answered {}", answer.status);
    }
    Ok(())
}
