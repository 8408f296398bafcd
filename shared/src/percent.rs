//! Percent-encoding, where a part of a URL is more than a URL's reader decodes.

/// What `encoded`, a user, password, path or value of a URL, stands for. What is no UTF-8 is replaced.
pub fn decoded(encoded: &str) -> String {
    // In a query string `+` is a space and `&` ends the value, so both are written as what they stand for here: themselves.
    let query = format!("p={}", encoded.replace('+', "%2B").replace('&', "%26"));
    url::form_urlencoded::parse(query.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}
