//! `health`: asks the running consumer whether it is alive, for container health checks.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::config::Config;
use crate::exit::{Answer, CommandError};
use crate::output::print;

const TIMEOUT: Duration = Duration::from_secs(3);

/// The most of an answer that is read.
const MOST_BYTES: u64 = 16 << 10;

/// Asks `/health/live`; the answer is no when it says so, or when nobody answers.
///
/// # Errors
/// When standard output cannot be written to.
pub(crate) fn run(config: &Config) -> Result<Answer, CommandError> {
    let address = reachable(config.consumer.listen);
    match ask(address) {
        Ok(answer) if answer.starts_with("HTTP/1.1 200 ") => {
            print("alive")?;
            Ok(Answer::Yes)
        }
        Ok(answer) => {
            print(&format!("not alive: {}", answer.lines().last().unwrap_or("no answer")))?;
            Ok(Answer::No)
        }
        Err(error) => {
            print(&format!("nobody answers at http://{address}/health/live: {error}"))?;
            Ok(Answer::No)
        }
    }
}

/// Where to reach a service that listens on `listen`, which may mean every address.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    (ip, listen.port()).into()
}

fn ask(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(stream, "GET /health/live HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(MOST_BYTES).read_to_string(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_listens_everywhere_is_asked_on_loopback() {
        assert_eq!(reachable("0.0.0.0:9102".parse().unwrap()), "127.0.0.1:9102".parse().unwrap());
        assert_eq!(reachable("[::]:9102".parse().unwrap()), "[::1]:9102".parse().unwrap());
        assert_eq!(reachable("10.0.0.1:9102".parse().unwrap()), "10.0.0.1:9102".parse().unwrap());
    }
}
