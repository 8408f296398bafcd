//! Percent-encoding, where a part of a URL is more than a URL's reader decodes.

/// What `encoded`, a user, password, path or value of a URL, stands for. What is no UTF-8 is replaced.
pub fn decoded(encoded: &str) -> String {
    percent_encoding::percent_decode_str(encoded).decode_utf8_lossy().into_owned()
}
