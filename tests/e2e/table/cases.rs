//! The table: a name for people, the server, the site's settings, and what its row says: status, phases by their first
//! letters (dns, connect, tls, first byte, body), outcome.

use std::sync::LazyLock;

use rcgen::date_time_ymd;

use super::servers::*;
use crate::harness::site;

pub(super) struct Case {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) settings: String,
    pub(super) told: &'static str,
}

fn case(name: &str, url: impl Into<String>, settings: impl Into<String>, told: &'static str) -> Case {
    Case { name: name.into(), url: url.into(), settings: format!("timeout: 4s, {}", settings.into()), told }
}

/// A case whose server keeps the check waiting to its end.
fn late(name: &str, url: impl Into<String>, settings: &str, told: &'static str) -> Case {
    Case { name: name.into(), url: url.into(), settings: format!("timeout: 1s, {settings}"), told }
}

/// No settings of its own.
const PLAIN: &str = "group: table";

static AUTHORITY: LazyLock<Authority> = LazyLock::new(Authority::new);

/// Settings that trust the table's authority, and `more`.
fn trusting(more: &str) -> String {
    format!("tls: {{ca_file: {:?}}}{more}", AUTHORITY.file("ca.pem"))
}

fn https(address: String) -> String {
    format!("https://{address}/")
}

fn tls(address: String) -> String {
    format!("tls://{address}")
}

fn tcp(address: String) -> String {
    format!("tcp://{address}")
}

/// A site whose name is asked of this name server.
fn asking(name_server: String) -> String {
    format!("resolver: {name_server:?}")
}

fn dns(name_server: String) -> String {
    format!("dns://{name_server}/a.test")
}

/// A name that leads to this server of 127.0.0.1.
fn at_name(url: &str) -> String {
    url.replace("127.0.0.1", "site.test")
}

pub(super) fn cases() -> Vec<Case> {
    [
        up(),
        names(),
        connections(),
        certificates(),
        stalls(),
        redirects(),
        answers(),
        bodies(),
        expectations(),
        requests(),
        others(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[rustfmt::skip]
fn up() -> Vec<Case> {
    vec![
        case("well", page("", "hello"), PLAIN, "200 cfb up"),
        case("without a body", status("204"), PLAIN, "204 cfb up"),
        case("chunked", page("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"), "expect: {body: hello}", "200 cfb up"),
        case("HTTP/1.0", raw("HTTP/1.0 200 OK\r\n\r\nhello"), "expect: {body: hello}", "200 cfb up"),
        case("a redirect to the page", redirect(302, &page("", "hello")), "expect: {body: hello}", "200 cfb up"),
        case("an expected redirect", redirect(301, "/x"), "expect: {status: [3xx]}", "301 cfb up"),
        case("redirects not followed", redirect(301, "/x"), "follow_redirects: false, expect: {status: 301}", "301 cfb up"),
        case("an expected error", status("404"), "expect: {status: [200-299, 404]}", "404 cfb up"),
        case("Shift JIS by header", page("Content-Type: text/html; charset=shift_jis\r\n", b"\x83\x65\x83\x58\x83\x67"), "expect: {body: テスト}", "200 cfb up"),
        case("Shift JIS by meta", page("", b"<meta charset=shift_jis>\x83\x65\x83\x58\x83\x67"), "expect: {body: テスト}", "200 cfb up"),
        case("no charset and no UTF-8", page("", b"caf\xe9 au lait"), "expect: {body: au lait}", "200 cfb up"),
        case("JSON", page("", r#"{"ok": true, "n": [1, 2.50], "s": "x"}"#), "expect: {json: {/ok: true, /n/1: 2.5, /s: x}}", "200 cfb up"),
        case("headers", page("X-A: one\r\nX-B: two\r\n", ""), "expect: {headers: {X-A: ^one$, x-b: ''}}", "200 cfb up"),
    ]
}

#[rustfmt::skip]
fn names() -> Vec<Case> {
    vec![
        case("a name that no certificate can have", format!("tls://{}.test:443", "x".repeat(64)), PLAIN, "-  invalid_url: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.test is no name that a certificate can have"),
        case("a label that is too long", format!("http://{}.test/", "x".repeat(64)), PLAIN, "- d dns: no such name: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.test"),
        case("no such name", "http://site.test/", asking(name_server(3, &[])), "- d dns: no such name: site.test"),
        case("a name without an address", "http://site.test/", asking(name_server(0, &[])), "- d dns: site.test has no address"),
        case("no address of the family", "http://site.test/", format!("ip_version: 6, {}", asking(name_server(0, &[[127, 0, 0, 1]]))), "- d dns: site.test has no IPv6 address"),
        case("a name server that fails", "http://site.test/", asking(name_server(2, &[])), "- d dns: the name server ADDRESS failed for site.test (SERVFAIL)"),
        case("a name server that refuses", "http://site.test/", asking(name_server(5, &[])), "- d dns: the name server ADDRESS failed for site.test (REFUSED)"),
        late("a silent name server", "http://site.test/", &asking(answering_names(|_| None)), "- d dns: the name servers gave no answer for site.test within 1 s"),
        case("a name server that is none", "http://site.test/", asking(answering_names(|_| Some(b"what?".to_vec()))), "- d dns: what the name server ADDRESS answers is not DNS"),
        case("a name that leads to the site", at_name(&page("", "hello")), asking(name_server(0, &[[127, 0, 0, 1]])), "200 dcfb up"),
    ]
}

#[rustfmt::skip]
fn connections() -> Vec<Case> {
    vec![
        case("nothing listens", site::CLOSED, PLAIN, "- c connect_refused: connection refused by ADDRESS"),
        late("nobody answers", site::unconnectable(), PLAIN, "- c connect_timeout: no connection to ADDRESS within 1 s"),
        case("closed at once", format!("http://{}/", closing()), PLAIN, "- cf protocol: connection closed before an answer"),
        case("a dead proxy", "http://site.test/", "proxy: 'http://127.0.0.1:1'", "- c connect_refused: connection refused by the proxy ADDRESS"),
        case("a proxy that refuses", "https://site.test/", format!("proxy: {:?}", status("403")), "- c connect_refused: the proxy ADDRESS refused to connect to site.test:443"),
        case("a proxy that wants credentials", "https://site.test/", format!("proxy: {:?}", status("407")), "- c connect_refused: the proxy ADDRESS wants credentials (status 407)"),
        case("through a proxy", "http://site.test/", format!("proxy: {:?}", wanting("GET http://site.test/ HTTP/1.1")), "200 cfb up"),
        case("through SOCKS5", "http://site.test/", format!("proxy: 'socks5h://{}'", socks5()), "204 cfb up"),
        case("not through the proxy", page("", "hello"), "proxy: 'http://127.0.0.1:1', no_proxy: [127.0.0.1]", "200 cfb up"),
        case("connected to elsewhere", "http://site.test/", format!("connect_to: {:?}", wanting("Host: site.test\r\n").trim_start_matches("http://").trim_end_matches('/')), "200 dcfb up"),
    ]
}

#[rustfmt::skip]
fn certificates() -> Vec<Case> {
    let expired = || AUTHORITY.server(|params| { params.not_before = date_time_ymd(2020, 1, 1); params.not_after = date_time_ymd(2021, 11, 1); });
    let well = || AUTHORITY.server(|_| {});
    let client = || format!("tls: {{ca_file: {:?}, cert_file: {:?}, key_file: {:?}}}", AUTHORITY.file("ca.pem"), AUTHORITY.file("client.pem"), AUTHORITY.file("client.key"));
    vec![
        case("TLS", https(well()), trusting(""), "204 ctfb up"),
        case("an expired certificate", https(expired()), trusting(""), "- ct tls: certificate expired on 2021-11-01"),
        case("a certificate of tomorrow", https(AUTHORITY.server(|params| params.not_before = date_time_ymd(2098, 1, 1))), trusting(""), "- ct tls: certificate not valid before 2098-01-01"),
        case("another's certificate", https(AUTHORITY.server(|params| params.subject_alt_names = vec![rcgen::SanType::DnsName("other.test".try_into().unwrap())])), trusting(""), "- ct tls: certificate made for other.test, not for 127.0.0.1"),
        case("a self-signed certificate", https(self_signed()), PLAIN, "- ct tls: certificate is self-signed"),
        case("an unknown issuer", https(well()), PLAIN, "- ct tls: certificate of an unknown issuer"),
        case("unverified by wish", https(expired()), "tls: {insecure: true}", "204 ctfb up"),
        case("a certificate that ends soon", https(well()), trusting(", expect: {certificate_valid_for: 36500d}"), "204 ctfb certificate_expiring: certificate expires on 2099-12-31, in N days, expected at least 36500 days"),
        case("plain HTTP on a TLS port", https(speaking("HTTP/1.1 400 x\r\n\r\n")), PLAIN, "- ct tls: the server does not speak TLS on this port, but perhaps plain HTTP"),
        case("closed in the handshake", https(serving(|mut stream| std::io::Read::read(&mut stream, &mut [0; 4096]).map(drop))), PLAIN, "- ct tls: connection closed during the TLS handshake"),
        case("an alert in the handshake", https(speaking(b"\x15\x03\x03\x00\x02\x02\x28")), PLAIN, "- ct tls: the server refused the handshake"),
        case("TLS of long ago", https(speaking(b"\x15\x03\x01\x00\x02\x02\x46")), PLAIN, "- ct tls: the server speaks neither TLS 1.2 nor 1.3"),
        case("a client certificate is wanted", https(AUTHORITY.asking_clients()), trusting(""), "- ctf tls: the server wants a client certificate"),
        case("a client certificate is given", https(AUTHORITY.asking_clients()), client(), "204 ctfb up"),
        case("TLS on a plain port", raw(b"\x15\x03\x03\x00\x02\x02\x28"), PLAIN, "- cf protocol: the server speaks TLS on this port"),
    ]
}

#[rustfmt::skip]
fn stalls() -> Vec<Case> {
    vec![
        late("stalls in the handshake", https(speaking("")), PLAIN, "- ct timeout: the TLS handshake did not end within 1 s"),
        late("silent", stalling(""), PLAIN, "- cf timeout: no answer within 1 s"),
        late("half a head", stalling("HTTP/1.1 200 OK\r\nX-A: "), PLAIN, "- cf timeout: no answer within 1 s"),
        late("a dripping head", dripping("HTTP/1.1 200 OK\r\n", "X-A: b\r\n"), PLAIN, "- cf timeout: no answer within 1 s"),
        late("half a body", stalling("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"), PLAIN, "200 cfb timeout: the body did not end within 1 s"),
        late("a dripping body", dripping("HTTP/1.1 200 OK\r\n\r\n", "x"), PLAIN, "200 cfb timeout: the body did not end within 1 s"),
        late("a redirect to silence", redirect(302, &stalling("")), PLAIN, "- cf timeout: no answer within 1 s"),
        case("too slow", page("", "hello"), "expect: {max_response_time: 1us}", "200 cfb response_too_slow: took N, expected at most 1 µs"),
    ]
}

#[rustfmt::skip]
fn redirects() -> Vec<Case> {
    let post = "method: POST, body: secret";
    vec![
        case("a redirect to itself", redirect(301, "/"), PLAIN, "301 cf redirect: http://ADDRESS/ redirects to itself"),
        case("too many redirects", redirect(302, "x/"), "follow_redirects: 2", "302 cf redirect: more than 2 redirects, now to http://ADDRESS/x/x/x/"),
        case("a redirect without a Location", status("302"), PLAIN, "302 cf redirect: status 302 without a Location"),
        case("a Location that is no URL", redirect(302, "http://"), PLAIN, r#"302 cf redirect: status 302 with a Location that is no URL: "http://""#),
        case("a redirect to a file", redirect(302, "ftp://files.test/x"), PLAIN, "302 cf redirect: redirected to ftp://files.test/x: only http and https are followed"),
        case("a body for another origin", redirect(307, "http://other.test/"), post, "307 cf redirect: status 307 would send the body to another origin: http://other.test/"),
        case("a page after a form", redirect(303, &without("secret")), post, "200 cfb up"),
        case("credentials stay at home", redirect(302, &without("authorization")), "basic_auth: {username: u, password: p}", "200 cfb up"),
        case("a redirect to a closed port", redirect(302, site::CLOSED), PLAIN, "- cf connect_refused: connection refused by ADDRESS"),
    ]
}

#[rustfmt::skip]
fn answers() -> Vec<Case> {
    vec![
        case("closed before an answer", raw(""), PLAIN, "- cf protocol: connection closed before an answer"),
        case("closed within the head", raw("HTTP/1.1 200 OK\r\nX-A"), PLAIN, "- cf protocol: connection closed before an answer"),
        case("SSH", format!("http://{}/", speaking("SSH-2.0-OpenSSH_9.2\r\n")), PLAIN, "- cf protocol: the answer is not HTTP"),
        case("garbage", raw(b"\x00\x01\x02\x03\x04\x05"), PLAIN, "- cf protocol: the answer is not HTTP"),
        case("another version", raw("HTTP/7.3 200 OK\r\n\r\n"), PLAIN, "- cf protocol: the answer is not HTTP"),
        case("no number for a status", raw("HTTP/1.1 abc OK\r\n\r\n"), PLAIN, "- cf protocol: the answer has no valid status"),
        case("a malformed header", raw("HTTP/1.1 200 OK\r\nX A: b\r\n\r\n"), PLAIN, "- cf protocol: the answer has a malformed header"),
        case("no number for a length", page("Content-Length: many\r\n", ""), PLAIN, "- cf protocol: the answer has no valid Content-Length"),
        case("two lengths", page("Content-Length: 1\r\nContent-Length: 2\r\n", "ab"), PLAIN, "- cf protocol: the answer has no valid Content-Length"),
        case("a head that is too large", page(&format!("X-A: {}\r\n", "x".repeat(2_000_000)), ""), PLAIN, "- cf protocol: the head of the answer is too large"),
        case("headers without end", flooding("HTTP/1.1 200 OK\r\n", "X-A: b\r\n"), PLAIN, "- cf protocol: the head of the answer is too large"),
        case("another protocol", status("101"), PLAIN, "101 cf protocol: the server switched to another protocol (status 101)"),
        case("HTTP/2 unasked", format!("http://{}/", speaking(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00")), PLAIN, "- cf protocol: the answer is not HTTP"),
        case("a reset", resetting(""), PLAIN, "- cf protocol: connection reset before an answer"),
    ]
}

#[rustfmt::skip]
fn bodies() -> Vec<Case> {
    let chunked = "Transfer-Encoding: chunked\r\n";
    let encoded = |encoding: &str, body: &[u8]| page(&format!("Content-Encoding: {encoding}\r\n"), body);
    vec![
        case("a short body", page("Content-Length: 10\r\n", "half"), PLAIN, "200 cfb protocol: connection closed within the body"),
        case("a bad chunk", page(chunked, "zz\r\nhello\r\n"), PLAIN, "200 cfb protocol: a chunk of the body is malformed"),
        case("a chunk without end", page(chunked, "fffffffffffffffff\r\n"), PLAIN, "200 cfb protocol: a chunk of the body is malformed"),
        case("chunks that break off", page(chunked, "5\r\nhel"), PLAIN, "200 cfb protocol: connection closed within the body"),
        case("no gzip", encoded("gzip", b"hello"), PLAIN, "200 cfb protocol: the body's compression is broken"),
        case("no deflate", encoded("deflate", b"hello"), PLAIN, "200 cfb protocol: the body's compression is broken"),
        case("no brotli", encoded("br", b"hello, hello"), PLAIN, "200 cfb protocol: the body's compression is broken"),
        case("no zstd", encoded("zstd", b"hello"), PLAIN, "200 cfb protocol: the body's compression is broken"),
        case("a large body", page("", "x".repeat(2000)), "max_body_size: 1KiB", "200 cfb body_too_large: the body is larger than 1 KiB"),
        case("a body without end", flooding("HTTP/1.1 200 OK\r\n\r\n", "x"), PLAIN, "200 cfb body_too_large: the body is larger than 1 MiB"),
        case("a gzip bomb", encoded("gzip", GZIP_BOMB), PLAIN, "200 cfb body_too_large: the body is larger than 1 MiB"),
        case("a deflate bomb", encoded("deflate", DEFLATE_BOMB), PLAIN, "200 cfb body_too_large: the body is larger than 1 MiB"),
        case("a brotli bomb", encoded("br", BROTLI_BOMB), PLAIN, "200 cfb body_too_large: the body is larger than 1 MiB"),
        case("a zstd bomb", encoded("zstd", ZSTD_BOMB), PLAIN, "200 cfb body_too_large: the body is larger than 1 MiB"),
    ]
}

#[rustfmt::skip]
fn expectations() -> Vec<Case> {
    vec![
        case("an error", status("500"), PLAIN, "500 cfb status: status 500, expected 200-299"),
        case("not found", status("404"), "expect: {status: [2xx, 301]}", "404 cfb status: status 404, expected 200-299, 301"),
        case("a status beyond all", status("999"), PLAIN, "999 cfb status: status 999, expected 200-299"),
        case("another body", page("", "hello"), "expect: {body: good bye}", r#"200 cfb body_mismatch: body without a match for "good bye""#),
        case("words that must not be", page("", "an error occurred"), "expect: {body_not: error}", r#"200 cfb body_mismatch: body with a match for "error""#),
        case("a missing header", page("", ""), "expect: {headers: {X-A: ''}}", "200 cfb body_mismatch: no header x-a"),
        case("another header", page("X-A: one\r\n", ""), "expect: {headers: {X-A: two}}", r#"200 cfb body_mismatch: header x-a is "one", without a match for "two""#),
        case("no JSON", page("", "hello"), "expect: {json: {/ok: true}}", "200 cfb body_mismatch: the body is not JSON"),
        case("nothing there in JSON", page("", "{}"), "expect: {json: {/ok: true}}", r#"200 cfb body_mismatch: nothing at /ok in the JSON body, expected "true""#),
        case("another value in JSON", page("", r#"{"ok": false}"#), "expect: {json: {/ok: true}}", r#"200 cfb body_mismatch: false at /ok in the JSON body, expected "true""#),
        case("all wrong at once", raw("HTTP/1.1 500 x\r\n\r\nan error"), "expect: {body: well, body_not: error}", r#"500 cfb status: status 500, expected 200-299 + body_mismatch: body without a match for "well" + body_mismatch: body with a match for "error""#),
        case("an error with half a page", raw("HTTP/1.1 503 x\r\nContent-Length: 9\r\n\r\nhalf"), PLAIN, "503 cfb status: status 503, expected 200-299 + protocol: connection closed within the body"),
    ]
}

#[rustfmt::skip]
fn requests() -> Vec<Case> {
    vec![
        case("a method", wanting("DELETE / HTTP/1.1\r\n"), "method: DELETE", "200 cfb up"),
        case("a body", wanting("\r\n\r\nname=value"), "method: POST, body: name=value", "200 cfb up"),
        case("a header", wanting("X-Key: abc\r\n"), "headers: {X-Key: abc}", "200 cfb up"),
        case("another Host", wanting("Host: other.test\r\n"), "headers: {Host: other.test}", "200 cfb up"),
        case("a user agent", wanting("User-Agent: curl/8\r\n"), "user_agent: curl/8", "200 cfb up"),
        case("basic authorization", wanting("Authorization: Basic dTpw\r\n"), "basic_auth: {username: u, password: p}", "200 cfb up"),
        case("a bearer token", wanting("Authorization: Bearer abc\r\n"), "bearer_token: abc", "200 cfb up"),
        case("HTTP/2 of a server that does not know it", page("", ""), "http_version: 2", "- cf protocol: the answer is not HTTP/2"),
    ]
}

#[rustfmt::skip]
fn others() -> Vec<Case> {
    let greeting = || tcp(speaking("220 ready\r\n"));
    let expired = || AUTHORITY.server(|params| { params.not_before = date_time_ymd(2020, 1, 1); params.not_after = date_time_ymd(2021, 11, 1); });
    let address = || name_server(0, &[[192, 0, 2, 1]]);
    vec![
        case("tcp", greeting(), PLAIN, "- c up"),
        case("tcp with words", greeting(), "expect: {body: ^220}", "- cfb up"),
        case("tcp, asked", tcp(serving(|mut stream| { let mut asked = [0; 4]; std::io::Read::read_exact(&mut stream, &mut asked)?; std::io::Write::write_all(&mut stream, b"PONG") })), "send: PING, expect: {body: PONG}", "- cfb up"),
        case("tcp refused", "tcp://127.0.0.1:1", PLAIN, "- c connect_refused: connection refused by ADDRESS"),
        late("tcp with other words", greeting(), "expect: {body: ^250}", r#"- cfb body_mismatch: body without a match for "^250" within 1 s"#),
        late("tcp silent", tcp(speaking("")), "expect: {body: x}", "- cf timeout: no answer within 1 s"),
        case("tls", tls(AUTHORITY.server(|_| {})), trusting(""), "- ct up"),
        case("tls expired", tls(expired()), trusting(""), "- ct tls: certificate expired on 2021-11-01"),
        case("tls of strangers", tls(AUTHORITY.server(|_| {})), PLAIN, "- ct tls: certificate of an unknown issuer"),
        case("tls for plain", tls(speaking("220 ready\r\n")), PLAIN, "- ct tls: the server does not speak TLS on this port, but perhaps plain HTTP"),
        case("dns", dns(address()), "expect: {record: 192.0.2.1}", "- f up"),
        case("dns, no such name", dns(name_server(3, &[])), PLAIN, "- f status: answer code NXDOMAIN, expected NOERROR"),
        case("dns, expected to be none", dns(name_server(3, &[])), "expect: {code: NXDOMAIN}", "- f up"),
        case("dns with another record", dns(address()), "expect: {record: 192.0.2.2}", r#"- f body_mismatch: no record "192.0.2.2" in the answer, which has 192.0.2.1"#),
        late("dns silent", dns(answering_names(|_| None)), PLAIN, "- f timeout: no answer within 1 s"),
        case("dns garbage", dns(answering_names(|_| Some(vec![0; 5]))), PLAIN, "- f protocol: the answer is not DNS, or not to the question"),
    ]
}
