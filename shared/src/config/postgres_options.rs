//! What the query of `postgres.url` may say, held to what the driver understands: both services refuse the same URLs,
//! and only the consumer has the driver. A test of the consumer compares the two.

use std::borrow::Cow;
use std::net::IpAddr;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use url::Url;

use super::shown;

const REMEDY: &str = "correct it, or take it out";

/// Why the driver would not understand `url`, from which the settings of TLS were taken; without repeating values.
pub(super) fn problem(url: &Url) -> Option<String> {
    // The driver takes all before the first @ for user and password.
    let has_user = !url.username().is_empty() || url.password().is_some();
    if !has_user && url.as_str().contains('@') {
        return Some("has an @ that ends no user name: write it as %40".into());
    }
    if text(url.username()).is_none() || text(url.path()).is_none() {
        return Some("holds %-signs that stand for no UTF-8; write a % as %25".into());
    }
    let query = url.query().filter(|query| !query.is_empty())?;
    // The driver lets one & at the end pass.
    let query = query.strip_suffix('&').filter(|query| !query.is_empty()).unwrap_or(query);
    query.split('&').find_map(of_option)
}

fn text(encoded: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(encoded).decode_utf8().ok()
}

fn of_option(piece: &str) -> Option<String> {
    let Some((name, value)) = piece.split_once('=') else {
        return Some(
            "has a query with a part that is no name=value; write a ? or & of a password as %3F or %26".into(),
        );
    };
    let (Some(name), Some(value)) = (text(name), text(value)) else {
        return Some("holds %-signs that stand for no UTF-8; write a % as %25".into());
    };
    match is_understood(&name, &value) {
        Some(true) => None,
        Some(false) => Some(format!("invalid value for option `{name}`; {REMEDY}")),
        None => Some(format!("unknown option `{}`; {REMEDY}", shown::key(&name))),
    }
}

/// Whether the driver takes `value` for the option `name`; `None` where it knows no such option.
fn is_understood(name: &str, value: &str) -> Option<bool> {
    fn all<T: FromStr>(list: &str) -> bool {
        list.split(',').all(|item| item.parse::<T>().is_ok())
    }
    Some(match name {
        "user" | "password" | "dbname" | "options" | "application_name" | "host" => true,
        "hostaddr" => all::<IpAddr>(value),
        "port" => value.split(',').all(|port| port.is_empty() || port.parse::<u16>().is_ok()),
        "connect_timeout" | "tcp_user_timeout" | "keepalives_idle" | "keepalives_interval" => {
            value.parse::<i64>().is_ok()
        }
        "keepalives" => value.parse::<u64>().is_ok(),
        "keepalives_retries" => value.parse::<u32>().is_ok(),
        "target_session_attrs" => matches!(value, "any" | "read-write" | "read-only"),
        "channel_binding" => matches!(value, "disable" | "prefer" | "require"),
        "load_balance_hosts" => matches!(value, "disable" | "random"),
        "sslnegotiation" => matches!(value, "postgres" | "direct"),
        _ => return None,
    })
}
