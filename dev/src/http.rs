//! The least HTTP client that can ask our own services how they are.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, Result};

const LIMIT: Duration = Duration::from_secs(5);
/// Metrics of a thousand sites are far below this.
const LONGEST: u64 = 8 << 20;

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// `GET http://<address><path>`. HTTP/1.0, so that the answer comes in one piece and ends with the connection.
pub(crate) fn get(address: &str, path: &str) -> Result<Answer> {
    let ask = || -> std::io::Result<Vec<u8>> {
        let target = address.to_socket_addrs()?.next().ok_or_else(|| std::io::Error::other("no such address"))?;
        let mut stream = TcpStream::connect_timeout(&target, LIMIT)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_write_timeout(Some(LIMIT))?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
        let mut bytes = Vec::new();
        stream.take(LONGEST).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = ask().with_context(|| format!("http://{address}{path} does not answer"))?;
    parse(&String::from_utf8_lossy(&bytes)).with_context(|| format!("http://{address}{path} does not answer in HTTP"))
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.get(..3)?.parse().ok()?;
    Some(Answer { status, body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_and_body_are_read() {
        let answer = parse("HTTP/1.0 503 Service Unavailable\r\nx: y\r\n\r\nnot yet");
        assert_eq!(answer, Some(Answer { status: 503, body: "not yet".to_owned() }));
        assert_eq!(parse("SSH-2.0-OpenSSH"), None);
    }
}
