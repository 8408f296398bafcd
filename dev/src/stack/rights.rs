//! What users may do: rights granted and taken back, in Kafka's own words (CreateAcls, DeleteAcls).

use std::io;

use super::wire::{self, int16, int32, put_string, string};

const CREATE_ACLS: wire::Api = (30, 1);
const DELETE_ACLS: wire::Api = (31, 1);

/// What somebody may do something with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource<'a> {
    /// The topic of that name; `*` means all.
    Topic(&'a str),
    /// The consumer group of that name; `*` means all.
    Group(&'a str),
}

/// What they may do with it, by Kafka's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Everything.
    All = 2,
    /// Fetch records, and join groups and commit offsets.
    Read = 3,
    /// Produce records.
    Write = 4,
    /// Make it.
    Create = 5,
    /// Learn that it is there, and where.
    Describe = 8,
    /// Learn how it is set.
    DescribeConfigs = 10,
}

impl Resource<'_> {
    /// Kind, name, and that the name is meant as it stands.
    fn put(self, bytes: &mut Vec<u8>) {
        let (kind, name) = match self {
            Self::Topic(name) => (2, name),
            Self::Group(name) => (3, name),
        };
        bytes.push(kind);
        put_string(bytes, name);
        bytes.push(3);
    }
}

/// User, from any host, the operation, and that it is allowed.
fn put_entry(bytes: &mut Vec<u8>, user: &str, operation: Operation) {
    put_string(bytes, &format!("User:{user}"));
    put_string(bytes, "*");
    bytes.extend([operation as u8, 3]);
}

/// Lets `user` do that, from now on.
pub(crate) fn allow(port: u16, user: &str, resource: Resource<'_>, operations: &[Operation]) -> io::Result<()> {
    change(CREATE_ACLS, port, user, resource, operations)
}

/// Takes back what was allowed in these words.
pub(crate) fn disallow(port: u16, user: &str, resource: Resource<'_>, operations: &[Operation]) -> io::Result<()> {
    change(DELETE_ACLS, port, user, resource, operations)
}

/// What is made and what is looked for to be deleted are written alike.
fn change(api: wire::Api, port: u16, user: &str, resource: Resource<'_>, operations: &[Operation]) -> io::Result<()> {
    let mut body = (operations.len() as i32).to_be_bytes().to_vec();
    for operation in operations {
        resource.put(&mut body);
        put_entry(&mut body, user, *operation);
    }
    well(&wire::ask(port, api, &body)?)
}

/// Lets `user` do what the two services do, with all topics and groups, and no more.
pub(crate) fn allow_services(port: u16, user: &str) -> io::Result<()> {
    let operations = [Operation::Describe, Operation::Create, Operation::Write, Operation::Read];
    allow(port, user, Resource::Topic("*"), &operations)?;
    allow(port, user, Resource::Group("*"), &[Operation::Read])
}

/// Whether the first error code, after a time and a count, is that of success. All that is asked at once is alike.
fn well(mut answer: &[u8]) -> io::Result<()> {
    let rest = &mut answer;
    int32(rest);
    int32(rest);
    match (int16(rest), string(rest)) {
        (Some(0), _) => Ok(()),
        (code, why) => Err(io::Error::other(format!("Kafka's error code is {code:?}: {}", why.unwrap_or_default()))),
    }
}
