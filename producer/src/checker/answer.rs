//! What the head of an answer tells of it.

use reqwest::Version;
use reqwest::blocking::Response;
use reqwest::header::{CONTENT_LENGTH, TRANSFER_ENCODING};

/// Whether nothing but the end of the connection ends the body. Of one that was compressed this cannot be told: the
/// library takes the headers that say so away, and it is taken to be so.
pub(super) fn is_ended_by_connection(response: &Response) -> bool {
    let headers = response.headers();
    response.version() <= Version::HTTP_11
        && !headers.contains_key(CONTENT_LENGTH)
        && !headers.contains_key(TRANSFER_ENCODING)
}

/// As the contract has it.
pub(super) fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP/1.1",
    }
}
