//! `/metrics` as others ask for it.

#![allow(clippy::unwrap_used, reason = "a helper that cannot do its work fails the test that called it")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use isitup_shared::exposition::broken_lines;
use isitup_shared::http::{self, Health};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

struct Well;

impl Health for Well {
    fn ready(&self) -> Result<(), String> {
        Ok(())
    }
}

/// The head and body of the answer to `GET /metrics` with `headers`.
fn ask(address: SocketAddr, headers: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET /metrics HTTP/1.0\r\n{headers}\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), body.to_owned())
}

#[test]
fn metrics_are_open_metrics_only_for_those_who_ask_for_them() {
    let mut registry = Registry::default();
    registry.register("a_checks", "Checks that ended", Counter::<u64>::default());
    registry.register("a_build", "What runs", Info::new([("version", "1")]));
    let address = http::serve(([127, 0, 0, 1], 0).into(), Arc::new(Well), registry).unwrap();
    for headers in
        ["", "Accept: */*\r\n", "Accept: text/html, application/xml;q=0.9, */*;q=0.8\r\n", "Accept: text/plain\r\n"]
    {
        let (head, body) = ask(address, headers);
        assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{headers}: {head}");
        assert_eq!(broken_lines(&body), [""; 0], "{body}");
        assert!(body.contains("# TYPE a_checks_total counter\na_checks_total 0\n"), "{body}");
        assert!(body.contains("# TYPE a_build_info gauge\na_build_info{version=\"1\"} 1\n"), "{body}");
    }
    for headers in [
        "Accept: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n",
        "Accept: application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2\r\n",
        "Accept: text/plain;q=0.5\r\nAccept: application/openmetrics-text\r\n",
    ] {
        let (head, body) = ask(address, headers);
        assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"), "{head}");
        assert!(body.contains("# TYPE a_build info\n") && body.ends_with("# EOF\n"), "{body}");
    }
}
