//! Where an answer redirects to.

use reqwest::header::HeaderValue;
use reqwest::{Method, Url};

use super::words::short;
use crate::target::redacted;

/// Whether `status` sends the visitor elsewhere. 300 offers a choice, 304 says nothing new, 305 and 306 are history.
pub(super) fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// How the next request is made after `status`: its method, and whether the body goes with it. As browsers do (RFC 9110,
/// section 15.4): 303 asks for a page, whatever was sent, and so do 301 and 302 after a POST.
pub(super) fn method(status: u16, asked: &Method, has_body: bool) -> (Method, bool) {
    match status {
        303 if *asked != Method::HEAD => (Method::GET, false),
        301 | 302 if *asked == Method::POST => (Method::GET, false),
        _ => (asked.clone(), has_body),
    }
}

/// Where an answer to `from` leads, or what is wrong with it. Credentials in the `Location` are dropped: nobody gave
/// them to us for that place.
pub(super) fn target(from: &Url, status: u16, location: Option<&HeaderValue>) -> Result<Url, String> {
    let location = location.ok_or_else(|| format!("status {status} without a Location"))?;
    // Browsers take raw UTF-8 here as well.
    let text = String::from_utf8_lossy(location.as_bytes());
    let mut url = from
        .join(text.trim())
        .map_err(|_| format!("status {status} with a Location that is no URL: {:?}", short(&redacted(&text))))?;
    if !matches!(url.scheme(), "http" | "https") {
        let shown = short(&redacted(url.as_str()));
        return Err(format!("redirected to {shown}: only http and https are followed"));
    }
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_fragment(None);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_keeps_the_method_or_asks_for_a_page_as_browsers_do() {
        for (status, asked, then) in [
            (301, Method::POST, (Method::GET, false)),
            (302, Method::PUT, (Method::PUT, true)),
            (303, Method::DELETE, (Method::GET, false)),
            (303, Method::HEAD, (Method::HEAD, true)),
            (307, Method::POST, (Method::POST, true)),
            (308, Method::PATCH, (Method::PATCH, true)),
        ] {
            assert_eq!(method(status, &asked, true), then, "{status} {asked}");
        }
    }

    fn follow(location: &'static str) -> Result<String, String> {
        let from = Url::parse("https://a.example/x/y?z").unwrap();
        target(&from, 302, Some(&HeaderValue::from_static(location))).map(|url| url.to_string())
    }

    #[test]
    fn a_location_may_be_relative_and_loses_credentials_and_fragment() {
        assert_eq!(follow("../z").unwrap(), "https://a.example/z");
        assert_eq!(follow("//b.example").unwrap(), "https://b.example/");
        assert_eq!(follow("http://u:p@b.example/#top").unwrap(), "http://b.example/");
    }

    #[test]
    fn a_location_that_leads_nowhere_says_why() {
        assert_eq!(follow("https://").unwrap_err(), r#"status 302 with a Location that is no URL: "https://""#);
        assert_eq!(
            follow("ftp://u:p@b.example/").unwrap_err(),
            "redirected to ftp://***@b.example/: only http and https are followed"
        );
        let from = Url::parse("http://a.example/").unwrap();
        assert_eq!(target(&from, 301, None).unwrap_err(), "status 301 without a Location");
    }
}
