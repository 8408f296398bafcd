//! The addresses of a name, as one name server has them.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};

use super::{Asked, Asking, Patience, Unanswered, code_word, name};
use crate::site::IpFamily;

/// How long an address found waits for those of the other family. Some servers never answer for IPv6.
const OTHER_FAMILY: Duration = Duration::from_millis(250);
/// Links of a chain of aliases.
const LONGEST_CHAIN: usize = 16;

/// The addresses of `name` by `server`, without ports; or why there are none, in words for people.
pub(in super::super) fn addresses(
    server: SocketAddr,
    text: &str,
    family: IpFamily,
    patience: &Patience<'_>,
) -> Result<Vec<SocketAddr>, String> {
    let Some(name) = name(text) else { return Err(format!("no such name: {text}")) };
    let types: &[RecordType] = match family {
        IpFamily::Any => &[RecordType::A, RecordType::AAAA],
        IpFamily::V4 => &[RecordType::A],
        IpFamily::V6 => &[RecordType::AAAA],
    };
    let shown = if server.port() == 53 { server.ip().to_string() } else { server.to_string() };
    let answers = answers(server, &name, types, patience).map_err(|unanswered| match unanswered {
        Unanswered::Late => format!("the name server {shown} gave no answer for {text}"),
        Unanswered::Unreachable(error) => format!("the name server {shown} cannot be reached: {}", reason(&error)),
        Unanswered::Garbage => format!("what the name server {shown} answers is not DNS"),
    })?;
    let found: Vec<SocketAddr> = answers.iter().flat_map(|answer| along_aliases(&name, answer)).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let codes = || answers.iter().map(|answer| answer.metadata.response_code);
    if codes().any(|code| code == ResponseCode::NXDomain) {
        return Err(format!("no such name: {text}"));
    }
    match codes().find(|code| *code != ResponseCode::NoError) {
        Some(code) => Err(format!("the name server {shown} failed for {text} ({})", code_word(code))),
        // There is the name, but no address; who asks says it in his own words.
        None => Ok(Vec::new()),
    }
}

/// The answers of `server` for `types` of `name`; once there is an address, the rest is not waited for much longer.
fn answers(
    server: SocketAddr,
    name: &Name,
    types: &[RecordType],
    patience: &Patience<'_>,
) -> Result<Vec<Message>, Unanswered> {
    let has_address = |answer: &Message| !along_aliases(name, answer).is_empty();
    let grace = |asked: &[Asked]| {
        asked.iter().filter_map(|asked| asked.answer.as_ref()).any(has_address).then_some(OTHER_FAMILY)
    };
    let mut asking = Asking::new(server, name, types)?;
    asking.wait(patience, grace)?;
    Ok(asking.questions.into_iter().filter_map(|asked| asked.answer).collect())
}

/// The addresses of `name` in `answer`, and of what it is an alias for.
fn along_aliases(name: &Name, answer: &Message) -> Vec<SocketAddr> {
    let mut name = name;
    for _ in 0..LONGEST_CHAIN {
        let data =
            || answer.answers.iter().filter(|record| record.name.eq_ignore_root(name)).map(|record| &record.data);
        let addresses: Vec<SocketAddr> = data()
            .filter_map(|data| match data {
                RData::A(address) => Some((address.0, 0).into()),
                RData::AAAA(address) => Some((address.0, 0).into()),
                _ => None,
            })
            .collect();
        let alias = data().find_map(|data| if let RData::CNAME(alias) = data { Some(&alias.0) } else { None });
        match alias {
            Some(alias) if addresses.is_empty() => name = alias,
            _ => return addresses,
        }
    }
    Vec::new()
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".into(),
        io::ErrorKind::HostUnreachable => "no route".into(),
        io::ErrorKind::NetworkUnreachable => "no network".into(),
        _ => error.to_string(),
    }
}
