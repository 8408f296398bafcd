//! One tiny file for each mistake, with its exact message.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::Duration;

use super::{Settings, Sites};

const KAFKA: &str = "kafka: {brokers: ['k:9092']}\n";

/// Reads `yaml` as `config.yml` beside `files`, and gives the mistakes with bare file names.
fn read_with(yaml: &str, files: &[(&str, &str)]) -> Result<Settings, String> {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files.iter().chain([&("config.yml", yaml)]) {
        fs::write(dir.path().join(name), text).unwrap();
    }
    let folder = format!("{}/", dir.path().display());
    Settings::load(Some(&dir.path().join("config.yml"))).map_err(|problems| problems.to_string().replace(&folder, ""))
}

/// Reads `yaml`, Kafka on line 1 before it.
fn read(yaml: &str) -> Result<Settings, String> {
    read_with(&format!("{KAFKA}{yaml}"), &[])
}

#[test]
fn each_mistake_in_a_site_is_told_with_file_line_key_value_and_what_is_allowed() {
    let cases = [
        ("{interval: 10ms}", r#"interval: "10ms": 100ms to 366d is allowed"#),
        (
            "{interval: often}",
            r#"interval: "often" is not a duration: write a number with its unit, such as 500ms, 30s, 5m, 12h or 14d"#,
        ),
        ("{timeout: 0s}", r#"timeout: "0s": more than 0s and at most 1h is allowed"#),
        ("{timeout: 2h}", r#"timeout: "2h": more than 0s and at most 1h is allowed"#),
        ("{max_body_size: 2GiB}", r#"max_body_size: "2GiB": at most 1GiB is allowed"#),
        (
            "{max_body_size: 1}",
            r#"max_body_size: "1" is not a size: write a number with its unit, such as 512KiB, 1MiB or 1GiB"#,
        ),
        (r#"{group: "a\0"}"#, r#"group: "a\0": 1 to 256 visible characters are allowed"#),
        ("{group: [a]}", r"group: a list is not a text"),
        ("{headers: text}", r#"headers: "text" is not a mapping"#),
        ("{headers: {'a b': x}}", r"headers.a b: is not the name of a header"),
        (
            "{headers: {Connection: close}}",
            r"headers.Connection: this header belongs to the connection, which isitup manages: leave it out",
        ),
        (
            "{headers: {X-Key: \"s3cret\\n\"}}",
            r"headers.X-Key: its value (not shown) cannot stand in a header: visible ASCII characters, spaces and tabs can",
        ),
        (
            "{tls: {ca_file: none.pem}}",
            r#"tls.ca_file: "none.pem": cannot be read: No such file or directory (os error 2)"#,
        ),
        (
            "{tls: {ca_file: empty.pem}}",
            r#"tls.ca_file: "empty.pem": holds no certificate: it must have lines from BEGIN CERTIFICATE to END CERTIFICATE"#,
        ),
        (
            "{tls: {ca_file: broken.pem}}",
            r#"tls.ca_file: "broken.pem": is not PEM: it must hold lines from BEGIN CERTIFICATE to END CERTIFICATE"#,
        ),
        ("{tls: {verify: no}}", r"tls.verify: unknown key; allowed here: ca_file, cert_file, insecure, key_file"),
        ("{tls: {cert_file: empty.pem}}", r"tls.cert_file: needs its key beside it, in `key_file`"),
        ("{tls: {key_file: empty.pem}}", r"tls.key_file: needs its certificate beside it, in `cert_file`"),
        ("{method: FETCH}", r#"method: "FETCH" is not a method: GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS"#),
        ("{body_env: TEST_HAS_NO_SUCH}", r#"body_env: "TEST_HAS_NO_SUCH" is not set in the environment"#),
        ("{basic_auth: {password: x}}", r"basic_auth.username: missing: who logs in"),
        ("{follow_redirects: 51}", r#"follow_redirects: "51" is not true, false or how many to follow, 0 to 50"#),
        ("{http_version: 3}", r#"http_version: "3" is not any, 1.1 or 2"#),
        ("{ip_version: v6}", r#"ip_version: "v6" is not any, 4 or 6"#),
        (
            "{connect_to: a.test}",
            r#"connect_to: "a.test" is not an address to connect to, such as 192.0.2.1, 192.0.2.1:8443 or [2001:db8::1]:443"#,
        ),
        (
            "{resolver: a.test}",
            r#"resolver: "a.test" is not the address of a name server, such as 192.0.2.53 or 192.0.2.53:5353"#,
        ),
        (
            "{proxy: 'ftp://u:s3cret@p'}",
            "proxy: (not shown) is not a proxy: write http://host:port, https://host:port, socks5://host:port or `environment`",
        ),
        ("{confirm: {times: 11}}", r#"confirm.times: "11": 0 to 10 is allowed"#),
        ("{confirm: {within: 2m}}", r#"confirm.within: "2m": more than 0s and at most 1m is allowed"#),
        (
            "{maintenance: [sometimes]}",
            r#"maintenance[0]: "sometimes": write a window as {from: .., to: ..} or {weekly: Sun 02:00-04:00, time_zone: Europe/Berlin}"#,
        ),
        ("{maintenance: [{from: '2026-12-01T22:00:00Z'}]}", "maintenance[0]: needs `from` and `to`, or `weekly` alone"),
        (
            "{maintenance: [{from: x, to: '2026-12-01T22:00:00Z'}]}",
            r#"maintenance[0].from: "x" is no time: write it like 2026-12-01T22:00:00Z"#,
        ),
        (
            "{maintenance: [{from: '2026-12-02', to: '2026-12-01'}]}",
            r#"maintenance[0].to: "2026-12-01" is not after "2026-12-02""#,
        ),
        (
            "{maintenance: [{weekly: Sunday}]}",
            r#"maintenance[0].weekly: "Sunday" is no time of the week: write it like Sun 02:00-04:00 or Mon-Fri 22:00-02:00"#,
        ),
        (
            "{maintenance: [{weekly: 'Sun 02:00-03:00', time_zone: Berlin}]}",
            r#"maintenance[0].time_zone: "Berlin" is no time zone such as Europe/Berlin"#,
        ),
        ("{no_proxy: [a.test]}", "no_proxy: stands here without a `proxy`"),
        (
            "{expect: {status: []}}",
            r"expect.status: no status would ever be well: write at least one, such as [200-299]",
        ),
        (
            "{expect: {status: [99]}}",
            r#"expect.status[0]: "99" is not a status: write a number from 100 to 599, a range such as 200-299 or a class such as 2xx"#,
        ),
        (
            "{expect: {status: [200, 299-200]}}",
            r#"expect.status[1]: "299-200" is not a status: write a number from 100 to 599, a range such as 200-299 or a class such as 2xx"#,
        ),
        (
            "{expect: {status: 6xx}}",
            r#"expect.status[0]: "6xx" is not a status: write a number from 100 to 599, a range such as 200-299 or a class such as 2xx"#,
        ),
        ("{expect: {body: 'a(b'}}", r#"expect.body: "a(b" is not a regular expression: unclosed group"#),
        (
            "{expect: {body: '\\w{5000}'}}",
            r#"expect.body: "\\w{5000}" is not a regular expression: it would take more than 1 MiB of memory"#,
        ),
        ("{expect: {body_not: '['}}", r#"expect.body_not: "[" is not a regular expression: unclosed character class"#),
        ("{expect: {headers: {'a b': x}}}", r"expect.headers.a b: is not the name of a header"),
        (
            "{expect: {headers: {A: '*'}}}",
            r#"expect.headers.A: "*" is not a regular expression: repetition operator missing expression"#,
        ),
        (
            "{expect: {json: {status: ok}}}",
            r"expect.json.status: is not a JSON pointer: write it like /status or /items/0/name",
        ),
        ("{expect: {max_response_time: 0s}}", r#"expect.max_response_time: "0s": more than 0s is allowed"#),
        (
            "{expect: {certificate_valid_for: 14}}",
            r#"expect.certificate_valid_for: "14" is not a duration: write a number with its unit, such as 500ms, 30s, 5m, 12h or 14d"#,
        ),
    ];
    let files =
        [("empty.pem", "nothing\n"), ("broken.pem", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n")];
    for (settings, expected) in cases {
        let as_defaults = format!("{KAFKA}domains: [a.test]\ndefaults: {settings}\n");
        assert_eq!(read_with(&as_defaults, &files).unwrap_err(), format!("config.yml:3: defaults.{expected}"));
        let in_site = format!("{KAFKA}domains:\n- b.test\n- {{url: a.test, {}\n", &settings[1..]);
        assert_eq!(read_with(&in_site, &files).unwrap_err(), format!("config.yml:4: domains[1].{expected}"));
    }
}

#[test]
fn each_mistake_in_the_list_of_sites_is_told() {
    let cases = [
        (
            "",
            "config.yml: domains: no site to check: write `domains: [https://example.com]`, or name a file of them in `domains_file` (or set ISITUP__DOMAINS)",
        ),
        (
            "domains: []",
            "config.yml: domains: no site to check: write `domains: [https://example.com]`, or name a file of them in `domains_file` (or set ISITUP__DOMAINS)",
        ),
        (
            "domains: ['ftp://a.test']",
            r#"config.yml:2: domains[0]: "ftp://a.test": ftp cannot be checked: http, https, tcp, tls and dns can"#,
        ),
        (
            "domains: ['https://u:s3cret@']",
            r#"config.yml:2: domains[0]: "https://***@": is not a URL: empty host; write it like https://example.com"#,
        ),
        (
            "domains:\n- a.test\n-\n  name: x\n  url: https://u:s3cret@a:b",
            r#"config.yml:6: domains[1].url: "https://***@a:b": is not a URL: invalid port number; write it like https://example.com"#,
        ),
        (
            "domains: [{name: x}]",
            "config.yml: domains[0].url: missing: what to check, such as https://example.com (or set ISITUP__DOMAINS)",
        ),
        (
            "domains: [{url: a.test, name: ' '}]",
            r#"config.yml:2: domains[0].name: " ": 1 to 256 visible characters are allowed"#,
        ),
        (
            "domains: [{url: a.test, intervall: 1s}]",
            "config.yml:2: domains[0].intervall: unknown key; allowed here: basic_auth, bearer_token, bearer_token_command, bearer_token_env, bearer_token_file, body, body_command, body_env, body_file, confirm, connect_to, expect, follow_redirects, forbid_downgrade, group, headers, http_version, interval, ip_version, maintenance, max_body_size, method, name, no_proxy, proxy, proxy_command, proxy_env, proxy_file, resolver, timeout, tls, url, user_agent",
        ),
        (
            "domains: [a.test]\ndefaults: {url: b.test}",
            "config.yml:3: defaults.url: unknown key; allowed here: basic_auth, bearer_token, bearer_token_command, bearer_token_env, bearer_token_file, body, body_command, body_env, body_file, confirm, connect_to, expect, follow_redirects, forbid_downgrade, group, headers, http_version, interval, ip_version, maintenance, max_body_size, method, no_proxy, proxy, proxy_command, proxy_env, proxy_file, resolver, send, timeout, tls, user_agent",
        ),
        (
            "domains:\n- a.test\n- https://a.test/",
            r#"config.yml:4: domains[1]: the site "https://a.test/" stands at config.yml:3 too: remove one of them, or give it another `name`"#,
        ),
        (
            "domains:\n- {url: a.test, name: x}\n- {url: b.test, name: x}",
            r#"config.yml:4: domains[1]: the site "x" stands at config.yml:3 too: remove one of them, or give it another `name`"#,
        ),
        ("domains: [[a.test]]", "config.yml:2: domains[0]: a list is neither a text nor a mapping"),
        (
            "domains_file: none.txt",
            r#"config.yml:2: domains_file: "none.txt" cannot be read: No such file or directory (os error 2)"#,
        ),
    ];
    for (yaml, expected) in cases {
        assert_eq!(read(yaml).unwrap_err(), expected, "{yaml}");
    }
}

#[test]
fn a_url_that_is_too_long_to_be_a_name_needs_one_beside_it() {
    let url = format!("https://a.test/{}", "x".repeat(2000));
    let expected = "config.yml:2: domains[0]: the URL is too long to be the site's name, which has at most 256 characters: write it as `url`, with a `name` beside it";
    assert_eq!(read(&format!("domains: ['{url}']")).unwrap_err(), expected);
    assert_eq!(read(&format!("domains: [{{url: '{url}', name: a}}]")).unwrap().sites.len(), 1);
}

#[test]
fn a_domains_file_takes_comments_blank_lines_carriage_returns_and_a_mark_at_its_begin() {
    let file =
        "\u{feff}# ours\r\na.test\r\n\r\n  https://b.test/#top # the second\r\n\tc.test\t# and\r\nd.test#frag\r\n";
    let settings = read_with(&format!("{KAFKA}domains_file: d.txt\ndomains: [e.test]\n"), &[("d.txt", file)]).unwrap();
    let names: Vec<&str> = settings.sites.iter().map(|site| &*site.name).collect();
    assert_eq!(names, ["https://e.test", "https://a.test", "https://b.test/", "https://c.test", "https://d.test"]);
}

#[test]
fn mistakes_in_a_domains_file_name_its_lines() {
    let yaml = format!("{KAFKA}domains_file: d.txt\ndomains: [c.test]\ndefaults: {{timeout: soon}}\n");
    let told = read_with(&yaml, &[("d.txt", "a.test\n\nftp://b.test\na.test # again\nc.test\n")]).unwrap_err();
    let expected = [
        r#"config.yml:4: defaults.timeout: "soon" is not a duration: write a number with its unit, such as 500ms, 30s, 5m, 12h or 14d"#,
        r#"d.txt:3: "ftp://b.test": ftp cannot be checked: http, https, tcp, tls and dns can"#,
        r#"d.txt:4: the site "https://a.test" stands at d.txt:1 too: remove one of them, or give it another `name`"#,
        r#"d.txt:5: the site "https://c.test" stands at config.yml:3 too: remove one of them, or give it another `name`"#,
    ];
    assert_eq!(told.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_site_says_what_is_different_from_the_defaults() {
    let yaml = "defaults:\n  interval: 5s\n  group: all\n  headers: {A: a, B: b}\n  expect: {status: [2xx, 404], body: hi}\n\
                domains:\n- a.test\n- {url: 'https://u:p@b.test', name: b, timeout: 1s, headers: {B: c}, expect: {status: 301-303}}\n";
    let settings = read(yaml).unwrap();
    let [a, b] = settings.sites.as_slice() else { panic!("two sites") };
    assert_eq!(
        (a.settings.interval, a.settings.timeout, a.settings.max_body_size),
        (Duration::from_secs(5), Duration::from_secs(10), 1 << 20)
    );
    assert_eq!(
        (&*a.name, a.settings.group.as_deref(), a.settings.expect.status.to_string()),
        ("https://a.test", Some("all"), "200-299, 404".into())
    );
    assert_eq!((&*b.name, &*b.shown_url, b.settings.timeout), ("b", "https://b.test", Duration::from_secs(1)));
    assert_eq!(
        (b.settings.expect.status.to_string(), b.settings.expect.body.as_ref().unwrap().as_str()),
        ("301-303".into(), "hi")
    );
    let headers: BTreeMap<&str, &str> =
        b.settings.request.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    assert_eq!(headers, BTreeMap::from([("a", "a"), ("b", "c")]));
    assert_eq!(b.authorization.as_ref().unwrap(), "Basic dTpw");
    assert!(b.settings.request.headers.values().all(reqwest::header::HeaderValue::is_sensitive));
}

#[test]
fn a_setting_that_a_kind_of_site_does_not_have_is_a_mistake_there_and_none_in_the_defaults() {
    for (site, expected) in [
        ("{url: 'tcp://a.test:25', method: POST}", "method: only http and https sites have this"),
        ("{url: 'dns://a.test/b', tls: {insecure: true}}", "tls: only http and https, tls sites have this"),
        ("{url: a.test, send: x}", "send: only tcp sites have this"),
        ("{url: a.test, expect: {code: NOERROR}}", "expect.code: only dns sites have this"),
        ("{url: 'tls://a.test', expect: {body: x}}", "expect.body: only http and https, tcp sites have this"),
        (
            "{url: a.test, expect: {header: x}}",
            "expect.header: unknown key; allowed here: body, body_not, certificate_valid_for, headers, json, max_response_time, status",
        ),
        (
            "{url: 'dns://a.test/b', expect: {code: BAD}}",
            r#"expect.code[0]: "BAD" is not an answer code: NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP or REFUSED"#,
        ),
    ] {
        let expected = format!("config.yml:2: domains[0].{expected}");
        assert_eq!(read(&format!("domains: [{site}]")).unwrap_err(), expected);
    }
    read("defaults: {method: HEAD, send: x, expect: {status: 2xx, code: NXDOMAIN}}\ndomains: ['tcp://a.test:1', 'dns://a.test/b', a.test]")
        .unwrap();
}

#[test]
fn settings_that_cannot_be_together_are_told() {
    for (site, expected) in [
        (
            "{url: 'http://u:p@a.test', bearer_token: x}",
            "url: has credentials, and an Authorization is configured too: keep one of the two",
        ),
        (
            "{url: a.test, http_version: 2, headers: {Host: b.test}}",
            "http_version: 2 takes no Host header of its own: leave out one of the two",
        ),
        (
            "{url: a.test, http_version: 2, connect_to: '192.0.2.1:8443'}",
            "http_version: 2 cannot be had with a port in connect_to: leave out one of the two",
        ),
        (
            "{url: a.test, proxy: 'http://p', resolver: 192.0.2.1}",
            "proxy: resolves names by itself: leave out connect_to and resolver, or the proxy",
        ),
        (
            "{url: 'http://192.0.2.7', connect_to: 192.0.2.1}",
            "connect_to: stands in for what a name resolves to, and the URL has an address: write that into the URL",
        ),
        ("{url: 'tcp://192.0.2.7:1', ip_version: 6}", "ip_version: is not that of the address in the URL"),
        ("{url: a.test, connect_to: 192.0.2.7, ip_version: 6}", "ip_version: is not that of the address in connect_to"),
        (
            "{url: a.test, method: HEAD, expect: {body: x}}",
            "method: HEAD is answered without a body: leave out expect.body and expect.json, or use GET",
        ),
        (
            "{url: a.test, expect: {headers: {Content-Encoding: gzip}}}",
            "expect.headers: content-encoding is never seen, since bodies are decompressed before they are judged: leave it out",
        ),
        (
            "{url: a.test, basic_auth: {username: u}, bearer_token: x}",
            "basic_auth: stands beside bearer_token; keep one of the two",
        ),
    ] {
        let expected = format!("config.yml:2: domains[0].{expected}");
        assert_eq!(read(&format!("domains: [{site}]")).unwrap_err(), expected);
    }
    let denying = "producer: {deny_networks: [loopback, 10.0.0.0/8]}\ndomains: [{url: a.test, proxy: environment}]";
    let expected = "config.yml:3: domains[0].proxy: resolves names by itself, so that producer.deny_networks could not be enforced: remove one";
    assert_eq!(read(denying).unwrap_err(), expected);
}

#[test]
fn settings_come_from_the_site_then_its_group_then_the_defaults() {
    let yaml = "defaults: {interval: 7s, timeout: 3s}\ngroups: {web: {timeout: 2s, expect: {body: hi}}}\n\
                domains: [{url: a.test, group: web}, {url: b.test, group: web, timeout: 1s}, {url: c.test, group: x}, d.test]\n\
                domains_file: ['one*.txt', {path: two.txt, group: web}]\n";
    let files = [("one-b.txt", "f.test"), ("one-a.txt", "e.test"), ("two.txt", "g.test")];
    let settings = read_with(&format!("{KAFKA}{yaml}"), &files).unwrap();
    let told: Vec<String> = settings
        .sites
        .iter()
        .map(|site| {
            let s = &site.settings;
            let body = s.expect.body.as_ref().map_or("-", |body| body.as_str());
            format!("{} {} {:?} {:?} {body}", site.name, s.group.as_deref().unwrap_or("-"), s.interval, s.timeout)
        })
        .collect();
    let expected = [
        "https://a.test web 7s 2s hi",
        "https://b.test web 7s 1s hi",
        "https://c.test x 7s 3s -",
        "https://d.test - 7s 3s -",
        "https://e.test - 7s 3s -",
        "https://f.test - 7s 3s -",
        "https://g.test web 7s 2s hi",
    ];
    assert_eq!(told, expected);
    let told = read_with(&format!("{KAFKA}domains_file: none*.txt\n"), &[]).unwrap_err();
    assert_eq!(told, r#"config.yml:2: domains_file: "none*.txt" matches no file"#);
}

#[test]
fn the_hash_of_a_site_changes_with_its_settings_and_not_with_its_secrets() {
    let hash = |site: &str| read(&format!("domains: [{site}]")).unwrap().sites[0].config_hash.clone();
    let first = hash("{url: 'https://u:p@a.test', headers: {K: one}}");
    assert_eq!(first, hash("{url: 'https://x:y@a.test', headers: {k: two}}"));
    assert!(first.len() == 16 && first.bytes().all(|b| b.is_ascii_hexdigit()), "{first}");
    for other in ["{url: 'https://u:p@a.test'}", "{url: 'https://u:p@a.test', headers: {K: one}, interval: 1s}"] {
        assert_ne!(first, hash(other));
    }
    // Fixed for ever: rows of years ago are compared with it.
    assert_eq!(*hash("a.test"), *"d222f23701f68af8");
}

#[test]
fn the_hash_of_the_whole_does_not_depend_on_the_order() {
    let hash = |sites: &str| read(&format!("domains: [{sites}]")).unwrap().config_hash;
    assert_eq!(hash("a.test, b.test"), hash("b.test, a.test"));
    assert_ne!(hash("a.test, b.test"), hash("a.test"));
}

#[test]
fn the_other_service_s_sections_and_for_single_checks_kafka_too_are_left_alone() {
    assert_eq!(read("domains: [a.test]\npostgres: {colour: red}\nconsumer: 7\n").unwrap().sites.len(), 1);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.yml");
    fs::write(&file, "defaults: {timeout: 3s}\nlog: {}\n").unwrap();
    let (sites, _) = Sites::load(Some(&file)).unwrap();
    assert_eq!((sites.defaults.timeout, sites.list.len()), (Duration::from_secs(3), 0));
}

#[test]
fn fifty_thousand_sites_are_read_without_trouble() {
    let file: String = (0..50_000).map(|i| format!("https://site-{i}.test/health\n")).collect();
    let settings = read_with(&format!("{KAFKA}domains_file: d.txt\n"), &[("d.txt", &file)]).unwrap();
    assert_eq!(settings.sites.len(), 50_000);
}

/// Set where this test runs itself again, in a process with an environment of its own.
const AGAIN: &str = "TEST_READS_THE_ENVIRONMENT";

#[test]
fn a_configuration_wholly_from_the_environment_needs_no_file() {
    if std::env::var_os(AGAIN).is_some() {
        let settings = Settings::load(None).unwrap();
        let told: Vec<_> = settings.sites.iter().map(|site| (&*site.name, site.settings.interval.as_secs())).collect();
        assert_eq!(told, [("https://a.test", 5), ("http://b.test/x", 5)]);
        return;
    }
    let test = "config::tests::a_configuration_wholly_from_the_environment_needs_no_file";
    let variables = [
        (AGAIN, "1"),
        ("ISITUP__KAFKA__BROKERS", "k:9092"),
        ("ISITUP__DOMAINS", "a.test, http://b.test/x"),
        ("ISITUP__DEFAULTS__INTERVAL", "5s"),
    ];
    let again =
        Command::new(std::env::current_exe().unwrap()).args(["--exact", test]).envs(variables).output().unwrap();
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stdout));
}
