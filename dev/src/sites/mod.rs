//! Demo sites: a small server on loopback that shows every kind of result without the internet.

mod certificate;
mod command;
mod connection;
mod pages;

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::stack::Port;
use connection::{Limits, answer};

pub(crate) use command::{SitesArgs, run};

/// More at once are turned away, so that nobody can make us start threads without end.
const MOST_CONNECTIONS: usize = 512;
const MOST_SILENT: usize = 128;

/// The running demo sites; they run until the process ends.
#[derive(Debug)]
pub(crate) struct Sites {
    pub(crate) plain: SocketAddr,
    pub(crate) tls: SocketAddr,
    _ports: Vec<Port>,
}

impl Sites {
    /// On the given addresses.
    pub(crate) fn on(plain: SocketAddr, tls: SocketAddr) -> Result<Self> {
        Self::start(plain, tls, Vec::new())
    }

    /// On free ports of 127.0.0.1.
    pub(crate) fn on_free_ports() -> Result<Self> {
        let ports = vec![Port::free()?, Port::free()?];
        let address = |port: &Port| SocketAddr::from((Ipv4Addr::LOCALHOST, port.number()));
        Self::start(address(&ports[0]), address(&ports[1]), ports)
    }

    fn start(plain: SocketAddr, tls: SocketAddr, ports: Vec<Port>) -> Result<Self> {
        let config = certificate::self_signed().context("could not make a certificate for the demo sites")?;
        let bind = |address| {
            TcpListener::bind(address).with_context(|| format!("could not listen on {address} for the demo sites"))
        };
        let (plain, tls) = (bind(plain)?, bind(tls)?);
        let addresses = (plain.local_addr()?, tls.local_addr()?);
        let limits = Arc::new(Limits::new(MOST_SILENT));
        let open = Arc::new(AtomicUsize::new(0));
        let for_tls = (Arc::clone(&limits), Arc::clone(&open));
        serve(plain, open, move |stream| answer(stream, &limits))?;
        let (limits, open) = for_tls;
        serve(tls, open, move |stream| answer_tls(stream, &config, &limits))?;
        Ok(Self { plain: addresses.0, tls: addresses.1, _ports: ports })
    }
}

/// Accepts for ever, with a thread for each connection.
fn serve(
    listener: TcpListener,
    open: Arc<AtomicUsize>,
    handle: impl Fn(TcpStream) -> std::io::Result<()> + Clone + Send + 'static,
) -> Result<()> {
    let accept = move || {
        for stream in listener.incoming() {
            match stream {
                Ok(stream) => take(stream, &open, handle.clone()),
                Err(error) => {
                    log::warn!("demo sites: could not accept: {error}");
                    thread::sleep(Duration::from_millis(100));
                }
            }
        }
    };
    thread::Builder::new().name("demo-sites".to_owned()).spawn(accept).context("could not start a thread")?;
    Ok(())
}

fn take(
    stream: TcpStream,
    open: &Arc<AtomicUsize>,
    handle: impl FnOnce(TcpStream) -> std::io::Result<()> + Send + 'static,
) {
    if open.fetch_add(1, Ordering::SeqCst) >= MOST_CONNECTIONS {
        open.fetch_sub(1, Ordering::SeqCst);
        return;
    }
    let counter = Arc::clone(open);
    let work = move || {
        // A visitor that hangs up or speaks no HTTP is no news.
        if let Err(error) = handle(stream) {
            log::debug!("demo sites: {error}");
        }
        counter.fetch_sub(1, Ordering::SeqCst);
    };
    if let Err(error) = thread::Builder::new().spawn(work) {
        open.fetch_sub(1, Ordering::SeqCst);
        log::warn!("demo sites: could not start a thread: {error}");
    }
}

fn answer_tls(stream: TcpStream, config: &Arc<ServerConfig>, limits: &Limits) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let session = ServerConnection::new(Arc::clone(config)).map_err(std::io::Error::other)?;
    answer(StreamOwned::new(session, stream), limits)
}
